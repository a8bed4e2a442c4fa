// Behind every chart: its figures as a table, and as a file.
const MOST_ROWS = 400;

// Heads and rows of what a chart shows; hours as the clock shown has them, and in UTC.
function figuresOf(holder, all) {
  const { chart } = holder;
  if (chart.kind === "lines") {
    const series = seriesOf(chart), hours = labelsShown(), span = spanShown() || [0, hours.length - 1];
    const heads = ["hour", "hour UTC", ...series.flatMap((line) => (line.ends ? [line.name, `${line.name}, low`, `${line.name}, high`] : [line.name]))];
    const rows = [];
    for (let i = span[0]; i <= span[1]; i++) {
      rows.push([hours[i], data.utc[i], ...series.flatMap((line) => [line.mid[i], ...(line.ends ? [line.ends[0][i], line.ends[1][i]] : [])]).map((value) => value.toFixed(chart.digits))]);
    }
    return { heads, rows };
  }
  if (chart.kind === "parts") {
    const whole = chart.bars.reduce((sum, [, size]) => sum + size, 0);
    return { heads: ["part", chart.unit], rows: [...chart.bars, [chart.whole, whole]].map(([name, size]) => [name, size.toFixed(chart.form.digits)]) };
  }
  const layer = layerOf(holder), values = cellsOf(layer), labels = rowLabels(chart), rows = [];
  const linked = !ownRows(chart) && values.rows === data.rows.length;
  const chosen = linked && choice.rows.length ? choice.rows : Array.from({ length: values.rows }, (_, row) => row);
  for (const row of chosen) {
    const hours = linked ? hoursOf(row) : hoursOf(-1), span = spanAmong(hours);
    const [first, last] = span || [0, choice.from === null ? hours.length - 1 : -1];
    for (let i = first; i <= last; i++) {
      if (!all && rows.length > MOST_ROWS) break;
      rows.push([values.rows === 1 ? data.all : labels[row], hours[i], data.utc[i], (values.codes[row * values.columns + i] / values.scale).toFixed(layer.digits)]);
    }
  }
  return { heads: [data.dim || "row", "hour", "hour UTC", `${layer.name || chart.title}${layer.part ? `, ${layer.part}` : ""}, ${layer.unit}`], rows };
}

function fillFigures(holder) {
  const details = holder.querySelector("details.figures");
  if (!details || !details.open) return;
  const { heads, rows } = figuresOf(holder, false);
  const parts = [tableOf(heads, rows.slice(0, MOST_ROWS))];
  if (rows.length > MOST_ROWS) parts.push(make("p", { class: "note" }, `The first ${MOST_ROWS}; choose fewer, or download all.`));
  details.querySelector("div").replaceChildren(...parts);
}

// A text that a spreadsheet would take for a formula stays a text.
function quoted(cell) {
  const text = /^[=+@\t\r-]/.test(cell) && Number.isNaN(Number(cell)) ? `'${cell}` : cell;
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function download(holder) {
  const { heads, rows } = figuresOf(holder, true);
  save(heads, rows, holder.dataset.key);
}

function save(heads, rows, name) {
  const text = [heads, ...rows].map((row) => row.map((cell) => quoted(String(cell))).join(",")).join("\r\n");
  const address = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  const link = make("a", { href: address, download: `${document.title.split(":")[0]}-${name}.csv` });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}

function listenToFigures(holder) {
  holder.querySelector("details.figures").addEventListener("toggle", () => fillFigures(holder));
  holder.querySelector(".csv").addEventListener("click", () => download(holder));
}
