"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const root = document.documentElement;
const decoded = new Map();

function rows(encoded) {
  // Decoded once; a page holds each array as base64 of little-endian float32.
  if (!decoded.has(encoded)) {
    const text = atob(encoded.f4);
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    const flat = new Float32Array(bytes.buffer);
    const [count, width] = encoded.shape;
    decoded.set(encoded, Array.from({ length: count }, (_, r) => flat.subarray(r * width, (r + 1) * width)));
  }
  return decoded.get(encoded);
}

const color = (name) => getComputedStyle(root).getPropertyValue("--" + name).trim();
const roleColor = { plan: "accent", none: "none", current: "current", actual: "actual", expost: "expost",
  1: "s1", 2: "s2", 3: "s3", 4: "s4", 5: "s5" };
const roleDash = { none: "dot", current: "solid", actual: "solid", expost: "dash" };

function faded(hex, alpha) {
  const n = parseInt(hex.slice(1), 16);
  return `rgba(${n >> 16}, ${(n >> 8) & 255}, ${n & 255}, ${alpha})`;
}

function axis(extra) {
  return Object.assign({
    gridcolor: color("rule"), linecolor: color("rule"), zerolinecolor: color("rule"),
    tickfont: { color: color("muted"), size: 12 }, automargin: true, fixedrange: true,
  }, extra);
}

function layout(extra) {
  return Object.assign({
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: getComputedStyle(document.body).fontFamily, color: color("ink"), size: 13 },
    margin: { l: 44, r: 8, t: 10, b: 30 }, showlegend: true,
    legend: { orientation: "h", traceorder: "normal", x: 0, y: -0.16, yanchor: "top", font: { color: color("muted"), size: 12 }, bgcolor: "rgba(0,0,0,0)" },
    hoverlabel: { bgcolor: color("surface"), bordercolor: color("rule"), font: { color: color("ink"), size: 13 } },
  }, extra);
}

// Hours are shown by the clock of whatever is chosen, or in UTC.
const clockChoice = document.getElementById("clock");
const inUtc = () => clockChoice !== null && clockChoice.value === "utc";
function hoursOf(row) {
  if (inUtc()) return data.utc;
  // Row 0 is all rows together.
  return row > 0 && data.clock.length ? data.clocks[data.clock[row - 1]] : data.hours;
}

// Days are the unit in which people read a week.
const daysOf = (hours) => [...new Set(hours.filter((hour) => hour.endsWith("T00:00")))];
const narrow = () => window.innerWidth < 620;
const dayAxis = (hours) => axis({ type: "date", tickvals: daysOf(hours), tickangle: 0, tickformat: narrow() ? "%a" : "%a %-d", ticks: "", showgrid: true, hoverformat: "%a %-d %b %H:%M" });
const format = (digits) => `,.${digits}f`;

function lines(figure, chart, row) {
  const traces = [], hours = hoursOf(row);
  const values = (encoded) => rows(encoded)[row] || rows(encoded)[0];
  // The plan is drawn last, on top of what it is compared with, but named first.
  const last = (line) => (line.role === "plan" || line.role === "actual" ? 1 : 0);
  const ordered = [...chart.lines].sort((a, b) => last(a) - last(b));
  for (const line of ordered) {
    const stroke = color(roleColor[line.role]);
    if (line.low) {
      const common = { x: hours, type: "scatter", mode: "lines", line: { width: 0 }, hoverinfo: "skip", showlegend: false };
      traces.push({ ...common, y: values(line.low) });
      traces.push({ ...common, y: values(line.high), fill: "tonexty", fillcolor: faded(stroke, 0.17) });
    }
    traces.push({
      x: hours, y: values(line.values), name: line.name, type: "scatter", mode: "lines",
      legendrank: 1000 + chart.lines.indexOf(line),
      line: { color: stroke, width: line.role === "plan" || line.role === "actual" ? 2 : 1.4, dash: roleDash[line.role] || "solid" },
      hovertemplate: `%{y:${format(chart.digits)}}`,
    });
  }
  Plotly.react(figure, traces, layout({ hovermode: "x unified", xaxis: dayAxis(hours), yaxis: axis({ rangemode: "normal", zeroline: false, nticks: 5, tickformat: "~g" }) }),
    { displayModeBar: false, responsive: true });
}

function scale(dark, diverging) {
  if (diverging) {
    return dark ? [[0, "#e5a05a"], [0.5, "#171f27"], [1, "#58c0c3"]] : [[0, "#b4600f"], [0.5, "#f6f7f7"], [1, "#0b6a73"]];
  }
  return dark
    ? [[0, "#171f27"], [0.25, "#1b474d"], [0.5, "#26787d"], [0.75, "#58c0c3"], [1, "#d2f3f1"]]
    : [[0, "#f3f6f6"], [0.25, "#bfdedd"], [0.5, "#76b8b9"], [0.75, "#2a868d"], [1, "#094a52"]];
}

// Rows with clocks of their own stand side by side at the same local hour.
function byOwnClock(values) {
  const hours = [...new Set(data.clocks.flat())].sort();
  const place = new Map(hours.map((hour, position) => [hour, position]));
  const moved = values.map((own, row) => {
    const line = new Array(hours.length).fill(null);
    data.clocks[data.clock[row]].forEach((hour, position) => { line[place.get(hour)] = own[position]; });
    return line;
  });
  return [hours, moved];
}

function heatmap(figure, chart, layer) {
  const all = chart.layers.map((entry) => rows(entry.values));
  const own = !inUtc() && data.clock.length > 0 && !chart.rows.length && all[layer].length === data.rows.length;
  const [hours, values] = own ? byOwnClock(all[layer]) : [hoursOf(0), all[layer]];
  const labels = chart.rows.length ? chart.rows : data.rows;
  let low = Infinity, high = -Infinity;
  for (const row of values) for (const value of row) {
    if (value !== null && Number.isFinite(value)) { low = Math.min(low, value); high = Math.max(high, value); }
  }
  const diverging = low < 0 && high > 0;
  const bound = Math.max(Math.abs(low), Math.abs(high));
  const dark = root.dataset.theme === "dark";
  const trace = {
    type: "heatmap", x: hours, y: labels, z: values, xgap: 0, ygap: 2,
    zmin: diverging ? -bound : Math.min(low, 0), zmax: diverging ? bound : Math.max(high, 0),
    colorscale: scale(dark, diverging), reversescale: !diverging && high <= 0,
    hovertemplate: `%{y}, %{x|%a %-d %b %H:%M}<br><b>%{z:${format(chart.digits)}}</b> ${chart.unit}<extra></extra>`,
    colorbar: { thickness: 10, len: 1, outlinewidth: 0, tickfont: { color: color("muted"), size: 12 }, nticks: 5 },
  };
  const height = Math.max(150, 56 + 22 * Math.min(labels.length, 40));
  Plotly.react(figure, [trace], layout({
    height, showlegend: false, margin: { l: 60, r: 8, t: 8, b: 30 }, xaxis: Object.assign(dayAxis(hours), { showgrid: false }),
    yaxis: axis({ autorange: "reversed", showgrid: false, type: "category" }),
    shapes: daysOf(hours).slice(1).map((day) => ({ type: "line", x0: day, x1: day, y0: 0, y1: 1, yref: "paper", line: { color: color("paper"), width: 2 } })),
  }), { displayModeBar: false, responsive: true });
}

const choice = document.getElementById("row");
const layerOf = new Map();
function draw() {
  const row = choice ? Number(choice.value) : 0;
  for (const holder of document.querySelectorAll("figure.chart")) {
    const chart = data.charts[holder.dataset.key];
    const figure = holder.querySelector(".plot");
    if (chart.kind === "lines") lines(figure, chart, row);
    else heatmap(figure, chart, layerOf.get(holder) || 0);
  }
}

if (choice) choice.addEventListener("change", draw);
if (clockChoice) clockChoice.addEventListener("change", draw);
for (const group of document.querySelectorAll(".layers")) {
  group.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    for (const other of group.querySelectorAll("button")) other.setAttribute("aria-pressed", String(other === button));
    layerOf.set(group.closest("figure"), Number(button.dataset.layer));
    draw();
  });
}

const prefersDark = window.matchMedia("(prefers-color-scheme: dark)");
function show(theme) { root.dataset.theme = theme; draw(); }
document.getElementById("theme").addEventListener("click", () => show(root.dataset.theme === "dark" ? "light" : "dark"));
prefersDark.addEventListener("change", (event) => show(event.matches ? "dark" : "light"));
show(location.hash === "#dark" || prefersDark.matches ? "dark" : "light");
