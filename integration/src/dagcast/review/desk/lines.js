// Lines and bands over the hours, one SVG each.
const HEIGHT = 216, MARGIN = { left: 46, right: 8, top: 8, bottom: 24 };

// What a chart shows of the rows that are chosen: its lines, each with the ends of its band.
function seriesOf(chart) {
  const rows = choice.rows;
  return chart.lines.map((line) => {
    if (rows.length > 1 && array(line.values).rows > 1) {
      // The interval of several rows together does not follow from theirs.
      const many = rows.map((row) => row + 1);
      return { ...line, mid: rowsOf(line.values, many, chart.how, line.weight), ends: null };
    }
    const row = rows.length === 1 ? rows[0] + 1 : 0;
    const ends = line.low === undefined ? null : [rowOf(line.low, row), rowOf(line.high, row)];
    return { ...line, mid: rowOf(line.values, row), ends };
  });
}

const labelsShown = () => hoursOf(choice.rows.length === 1 ? choice.rows[0] : -1);

function rangeOf(series) {
  let low = Infinity, high = -Infinity;
  for (const line of series) {
    for (const values of [line.mid, ...(line.ends || [])]) {
      for (const value of values) {
        if (value < low) low = value;
        if (value > high) high = value;
      }
    }
  }
  if (!(high >= low)) return [0, 1];
  if (low > 0 && low < 0.6 * high) low = 0;
  if (high < 0 && high > 0.6 * low) high = 0;
  if (low === high) return [low - 0.5, high + 0.5];
  const room = 0.04 * (high - low);
  return [low === 0 ? 0 : low - room, high === 0 ? 0 : high + room];
}

function pathOf(values, x, y) {
  let path = "", drawing = false;
  for (let i = 0; i < values.length; i++) {
    if (Number.isNaN(values[i])) { drawing = false; continue; }
    path += `${drawing ? "L" : "M"}${x(i).toFixed(1)} ${y(values[i]).toFixed(1)}`;
    drawing = true;
  }
  return path;
}

function bandOf([low, high], x, y) {
  const there = [], back = [];
  for (let i = 0; i < low.length; i++) {
    if (Number.isNaN(low[i])) continue;
    there.push(`${x(i).toFixed(1)} ${y(high[i]).toFixed(1)}`);
    back.push(`${x(i).toFixed(1)} ${y(low[i]).toFixed(1)}`);
  }
  return there.length ? `M${there.join("L")}L${back.reverse().join("L")}Z` : "";
}

function drawLines(holder, chart) {
  const plot = holder.querySelector(".plot"), series = seriesOf(chart), hours = labelsShown();
  const width = Math.max(240, plot.clientWidth), inner = width - MARGIN.left - MARGIN.right;
  const [low, high] = rangeOf(series);
  const x = (i) => MARGIN.left + (inner * (i + 0.5)) / hours.length;
  const y = (value) => MARGIN.top + ((high - value) / (high - low)) * (HEIGHT - MARGIN.top - MARGIN.bottom);
  const svg = shape("svg", { width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, "aria-hidden": "true" });
  for (const tick of ticksOf(low, high, 4)) {
    svg.append(shape("line", { class: "grid", x1: MARGIN.left, x2: width - MARGIN.right, y1: y(tick), y2: y(tick) }));
    svg.append(shape("text", { x: MARGIN.left - 6, y: y(tick) + 4, "text-anchor": "end" }, short(tick)));
  }
  for (const [place, name] of daysAmong(hours)) {
    const at = x(place - 0.5);
    svg.append(shape("line", { class: "grid", x1: at, x2: at, y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom }));
    if (at < width - 34) svg.append(shape("text", { x: at, y: HEIGHT - 7 }, name));
  }
  const span = spanShown();
  if (span) {
    svg.append(shape("rect", { class: "span", x: x(span[0] - 0.5), width: x(span[1] + 0.5) - x(span[0] - 0.5), y: MARGIN.top, height: HEIGHT - MARGIN.top - MARGIN.bottom }));
  }
  for (const line of series) if (line.ends) svg.append(shape("path", { class: `band ${line.role}`, d: bandOf(line.ends, x, y) }));
  // The plan is drawn last, on top of what it is compared with, but named first.
  const last = (line) => (line.role === "plan" || line.role === "actual" ? 1 : 0);
  for (const line of [...series].sort((a, b) => last(a) - last(b))) {
    svg.append(shape("path", { class: `line ${line.role}`, d: pathOf(line.mid, x, y) }));
  }
  const cross = shape("line", { class: "cross", y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom, x1: -9, x2: -9 });
  svg.append(cross);
  plot.replaceChildren(svg);
  holder.drawn = { series, hours, x, cross, chart, width: inner };
  showHour(holder);
}

// The values of one hour, in the figure's own line of text.
function showHour(holder) {
  const { series, hours, x, cross, chart } = holder.drawn;
  const at = hover.hour, out = holder.querySelector("output");
  const known = at !== null && at < hours.length;
  cross.setAttribute("x1", known ? x(at) : -9);
  cross.setAttribute("x2", known ? x(at) : -9);
  const text = known ? `${momentOf(hours[at])}: ${spokenOf(series, chart, at)}` : "";
  if (out.textContent !== text) out.textContent = text;
}

function spokenOf(series, chart, at) {
  return series.map((line) => {
    const interval = line.ends ? ` (${plain(line.ends[0][at], chart.digits)} to ${plain(line.ends[1][at], chart.digits)})` : "";
    return `${line.name} ${plain(line.mid[at], chart.digits)}${interval}`;
  }).join(", ");
}

function hourAt(holder, clientX) {
  const { hours, width } = holder.drawn;
  const at = clientX - holder.querySelector(".plot").getBoundingClientRect().left - MARGIN.left;
  return Math.min(hours.length - 1, Math.max(0, Math.floor((at / width) * hours.length)));
}

function listenToLines(holder) {
  const plot = holder.querySelector(".plot");
  let begun = null;
  plot.addEventListener("pointermove", (event) => holder.drawn && hoverAt(hourAt(holder, event.clientX)));
  plot.addEventListener("pointerleave", () => hoverAt(null));
  plot.addEventListener("pointerdown", (event) => { begun = holder.drawn ? hourAt(holder, event.clientX) : null; });
  plot.addEventListener("pointerup", (event) => {
    if (begun === null) return;
    const ended = hourAt(holder, event.clientX), { hours } = holder.drawn;
    choose({ rows: choice.rows, from: hours[Math.min(begun, ended)], to: hours[Math.max(begun, ended)] });
    begun = null;
  });
  plot.addEventListener("keydown", (event) => {
    if (!holder.drawn) redraw(holder);
    const last = holder.drawn.hours.length - 1, step = event.shiftKey ? 24 : 1;
    const at = hover.hour === null ? 0 : hover.hour;
    const to = { ArrowRight: at + step, ArrowLeft: at - step, Home: 0, End: last }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      hoverAt(Math.min(last, Math.max(0, to)));
      showHour(holder);
      say(holder.querySelector("output").textContent);
    } else if (event.key === "Enter") {
      event.preventDefault();
      choose({ rows: choice.rows, from: holder.drawn.hours[at], to: holder.drawn.hours[at] });
    } else if (event.key === "Escape") choose({ rows: [], from: null, to: null });
  });
}
