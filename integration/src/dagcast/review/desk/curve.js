// The response to spend of what is chosen, through what is forecast at none, now, and under the plan.
const CURVE = { width: 420, height: 190, left: 52, right: 14, top: 12, bottom: 34 };

// Means and the interval of what the plan brings; null where the page does not hold them.
function responseOf(item) {
  const chart = data.charts[item.chart], plan = roleOf(chart, "plan"), none = roleOf(chart, "none"), current = roleOf(chart, "current");
  if (!none || !plan) return null;
  const [at, before, now] = [plan, none, current].map((line) => (line ? outcomeOf(chart, line) : null));
  if (at === null || before === null) return null;
  const [least, most] = item.effect.map(array);
  let low = 0, high = 0;
  for (const row of summedRows(least.rows)) {
    const span = spanOf(row), start = (row + 1) * least.columns;
    if (span) for (let i = start + span[0]; i <= start + span[1]; i++) {
      low += least.codes[i] / least.scale;
      high += most.codes[i] / most.scale;
    }
  }
  return { before, now, at, low: before + low, high: before + high };
}

// What is forecast at multiples of the plan, [[multiple, outcome]]; none where the page lacks it.
function levelsOf(item, before) {
  const found = [];
  for (const [scale, number] of item.scaled || []) {
    const values = array(number);
    if (values.rows === 1 && choice.rows.length) return [];
    let sum = before;
    for (const row of summedRows(values.rows)) {
      const span = spanOf(row), start = values.rows === 1 ? 0 : (row + 1) * values.columns;
      if (span) for (let i = start + span[0]; i <= start + span[1]; i++) sum += values.codes[i] / values.scale;
    }
    found.push([scale, sum]);
  }
  return found;
}

// Through points, monotone between those that are (Fritsch and Carlson, 1980).
function through(points) {
  const xs = points.map(([x]) => x), ys = points.map(([, y]) => y), n = xs.length;
  const steps = xs.slice(1).map((x, k) => (ys[k + 1] - ys[k]) / (x - xs[k]));
  const slopes = xs.map((_, k) => {
    if (k === 0) return steps[0];
    if (k === n - 1) return steps[n - 2];
    const [left, right] = [steps[k - 1], steps[k]];
    return left * right <= 0 ? 0 : (2 * left * right) / (left + right);
  });
  return (x) => {
    let k = 0;
    while (k < n - 2 && x > xs[k + 1]) k++;
    const width = xs[k + 1] - xs[k], t = (x - xs[k]) / width;
    if (t > 1) return ys[n - 1] + slopes[n - 1] * (x - xs[n - 1]);
    const [t2, t3] = [t * t, t * t * t];
    return (2 * t3 - 3 * t2 + 1) * ys[k] + (t3 - 2 * t2 + t) * width * slopes[k] + (3 * t2 - 2 * t3) * ys[k + 1] + (t3 - t2) * width * slopes[k + 1];
  };
}

// What one more unit of spend brings of an outcome, where the plan spends it: from its own chart.
function slopeOf(item) {
  const key = Object.keys(data.charts).find((one) => one.startsWith(`m-${item.chart.slice(2)}-`));
  if (!key) return null;
  let total = 0, weights = 0;
  const parts = deskLayers("plan").filter((layer) => layer.part !== data.desk.all || deskLayers("plan").length === 1);
  for (const layer of parts) {
    const line = data.charts[key].lines.find((one) => one.name === layer.part);
    if (!line || array(line.values).rows === 1) continue;
    const decided = array(layer.values), edges = array(line.values);
    for (const row of chosenRows()) {
      const span = spanOf(row), at = row * decided.columns;
      if (span) for (let i = at + span[0]; i <= at + span[1]; i++) {
        total += (decided.codes[i] * edges.codes[i + edges.columns]) / edges.scale;
        weights += decided.codes[i];
      }
    }
  }
  return weights > 0 ? total / weights : null;
}

// A curve that saturates: 0 at nothing, `gain` at `spent`, with `slope` there; a line without one.
function saturating(spent, gain, slope) {
  const steep = slope === null ? 1 : Math.max(0.02, (slope * spent) / gain);
  if (!(gain > 0) || steep >= 0.98) return (x) => (gain * x) / spent;
  // steep = b / (exp(b) - 1), which falls in b.
  let low = 1e-6, high = 60;
  for (let k = 0; k < 60; k++) {
    const middle = (low + high) / 2;
    if (middle / Math.expm1(middle) > steep) low = middle; else high = middle;
  }
  return (x) => (gain * Math.expm1((-low * x) / spent)) / Math.expm1(-low);
}

function curveOf() {
  const offered = data.desk.outcomes.filter((item) => item.effect);
  if (!offered.length) return "";
  const item = offered.find((one) => one.title === shown.curve) || offered[offered.length - 1];
  const found = responseOf(item), plan = spentOf("plan"), current = spentOf("current");
  if (!found || plan === null) return "";
  const box = make("figure", { class: "curve" }), spend = data.desk.spend;
  const pick = make("select", {}, ...offered.map((one) => make("option", {}, one.title)));
  pick.value = item.title;
  pick.addEventListener("change", () => { shown.curve = pick.value; showPanel(); byId("panel").querySelector(".curve select").focus(); });
  box.append(make("figcaption", {}, make("h4", {}, "Response to spend"), make("label", {}, "of ", pick)));
  if (plan <= 0) {
    box.append(make("p", { class: "note" }, "Nothing is spent here under this plan."));
    return box;
  }
  const slope = slopeOf(item), gain = found.at - found.before, levels = levelsOf(item, found.before);
  box.append(drawCurve(found, plan, current, slope, item.form, levels));
  const bound = data.desk.bounds ? ` A cell may have ${data.desk.bounds}.` : "";
  const edge = slope === null ? "" : `; one more ${data.desk.step} brings ${figure(slope, { ...item.form, digits: 2 }, true)}`;
  const text = `${figure(plan, spend)} bring ${figure(gain, item.form, true)} (${endsOf(found.low - found.before, found.high - found.before, item.form, true)})${edge}.`;
  const alike = wholeWeek() && !choice.rows.length ? "" : choice.from !== null && choice.from === choice.to && choice.rows.length === 1 ? "" : " The interval is as wide as if all its hours erred alike.";
  const how = levels.length ? `Dots are forecasts with every cell of the plan at ${levels.map(([scale]) => `${plain(100 * scale, 0)} %`).join(", ")} of what it has; the curve is drawn between them` : "The curve is drawn through what is forecast without spend and under the plan, with the slope there";
  box.append(make("p", { class: "note" }, `${text} ${how}; "now" is the current plan, which spends elsewhere too.${alike}${bound}`));
  box.append(curveFigures(item, found, plan, current, levels));
  return box;
}

// The points of the curve as a table and as a file, as behind every chart.
function curveFigures(item, found, plan, current, levels) {
  const spend = { ...data.desk.spend, digits: Math.abs(plan) < 1000 ? 2 : 0 };
  const points = [["no spend", 0, found.before], ...levels.map(([scale, value]) => [`${plain(100 * scale, 0)} % of the plan`, scale * plan, value]), ["this plan", plan, found.at]];
  if (current !== null && found.now !== null) points.push(["now", current, found.now]);
  points.sort((a, b) => a[1] - b[1]);
  const heads = ["", data.desk.lever, item.title];
  const details = make("details", { class: "points" }, make("summary", {}, "Figures"), tableOf(heads, points.map(([name, spent, value]) => [[name], [figure(spent, spend)], [figure(value, item.form)]])));
  const csv = make("button", { type: "button", class: "csv-points" }, "CSV");
  csv.addEventListener("click", () => save(heads.map((head) => head || "point"), points.map(([name, spent, value]) => [name, spent.toFixed(2), value.toFixed(Math.max(2, item.form.digits))]), "response"));
  return make("div", { class: "tools" }, details, csv);
}

// What is spent where every chosen cell is at its upper bound.
function boundOf() {
  const parts = deskLayers("plan").filter((layer) => layer.part !== data.desk.all || deskLayers("plan").length === 1).length;
  let cells = 0;
  for (const row of chosenRows()) {
    const span = spanOf(row);
    if (span) cells += span[1] - span[0] + 1;
  }
  return cells * parts * data.desk.upper;
}

function drawCurve(found, plan, current, slope, form, levels) {
  const { width, height, left, right, top, bottom } = CURVE, { before, at } = found;
  const now = current !== null && found.now !== null ? [current, found.now] : null;
  const farthest = levels.length ? levels[levels.length - 1][0] * plan : 1.15 * plan;
  const last = Math.max(farthest, now ? 1.05 * now[0] : 0), cells = data.desk.upper === null ? 0 : boundOf();
  // Where levels were forecast the curve goes through them, and its ends rise as its middle does.
  const computed = levels.length && at !== before ? through([[0, before], ...levels.map(([scale, value]) => [scale * plan, value]), [plan, at]].sort((a, b) => a[0] - b[0])) : null;
  const curve = (end) => computed ? (x) => before + ((computed(x) - before) * (end - before)) / (at - before) : drawn(end);
  const drawn = (end) => { const rise = saturating(plan, end - before, slope === null || at === before ? null : (slope * (end - before)) / (at - before)); return (x) => before + rise(x); };
  // Beyond the last forecast nothing is drawn.
  const finish = levels.length ? Math.max(farthest, plan) : last, xs = Array.from({ length: 41 }, (_, k) => (finish * k) / 40);
  const [mid, least, most] = [at, found.low, found.high].map((end) => xs.map(curve(end)));
  const values = [...mid, ...least, ...most, ...levels.map(([, value]) => value), ...(now ? [now[1]] : [])];
  let low = Math.min(...values), high = Math.max(...values);
  if (low === high) [low, high] = [low - 1, high + 1];
  const x = (value) => left + (value / last) * (width - left - right);
  const y = (value) => top + ((high - value) / (high - low)) * (height - top - bottom);
  const spoken = [[0, before, data.desk.none], [plan, at, "this plan"], ...(now ? [[...now, "now"]] : [])];
  const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, class: "response", role: "img", "aria-label": spoken.map(([spent, value, name]) => `${name}: ${figure(spent, data.desk.spend)}, ${figure(value, form)}`).join("; ") });
  for (const tick of ticksOf(low, high, 4)) {
    svg.append(shape("line", { class: "grid", x1: left, x2: width - right, y1: y(tick), y2: y(tick) }), shape("text", { x: left - 6, y: y(tick) + 4, "text-anchor": "end" }, short(tick)));
  }
  for (const tick of ticksOf(0, last, 4)) svg.append(shape("text", { x: x(tick), y: height - 16, "text-anchor": tick ? "middle" : "start" }, `${data.desk.spend.prefix}${short(tick)}`));
  const path = (of) => of.map((value, k) => `${x(xs[k]).toFixed(1)} ${y(value).toFixed(1)}`);
  svg.append(shape("path", { class: "band plan", d: `M${path(most).join("L")}L${path(least).reverse().join("L")}Z` }));
  svg.append(shape("path", { class: "line plan", d: `M${path(mid).join("L")}` }));
  for (const [scale, value] of levels) svg.append(shape("circle", { class: "level plan", cx: x(scale * plan), cy: y(value), r: 3 }));
  if (cells && cells <= last) {
    svg.append(shape("line", { class: "bound", x1: x(cells), x2: x(cells), y1: top, y2: height - bottom }));
    svg.append(shape("text", { x: x(cells) - 4, y: top + 10, "text-anchor": "end" }, "bound"));
  }
  for (const [spent, value, name] of spoken) {
    const role = { "this plan": "plan", now: "current" }[name] || "none", side = spent > 0.85 * last ? "end" : spent ? "middle" : "start";
    svg.append(shape("circle", { class: `dot ${role}`, cx: x(spent), cy: y(value), r: 5 }));
    svg.append(shape("text", { x: x(spent) + (side === "start" ? 11 : 0), y: y(value) + (role === "current" ? 20 : side === "start" ? 5 : -10), "text-anchor": side, class: role }, name));
  }
  return svg;
}
