// A map of rows by hour on a canvas: one pixel for a cell, scaled up without smoothing.
const LABELS = 76, AXIS = 22, TALLEST = 22, WHOLE = 620;

function layerOf(holder) {
  const { layers } = holder.chart;
  const named = layers.filter((layer) => layer.name === holder.pick.layer);
  return named.find((layer) => layer.part === holder.pick.part) || named[0] || layers[0];
}

// The rows of a layer; where its first row is all of them together, those after it.
function cellsOf(layer) {
  const found = array(layer.values);
  if (!layer.total) return found;
  return { ...found, rows: found.rows - 1, codes: found.codes.subarray(found.columns) };
}

const ownRows = (chart) => chart.rows.length > 0;
const rowLabels = (chart) => (ownRows(chart) ? chart.rows : data.rows);

// Rows with clocks of their own stand side by side at the same local hour.
function columnsOf(chart, rows) {
  if (inUtc() || !data.clock.length || ownRows(chart) || rows === 1) return { columns: hoursOf(-1), places: null };
  const columns = [...new Set(data.clocks.flat())].sort();
  const place = new Map(columns.map((label, position) => [label, position]));
  return { columns, places: data.clocks.map((labels) => Int32Array.from(labels, (label) => place.get(label))) };
}

function totalsOf({ rows, columns, codes }) {
  const totals = new Float64Array(rows);
  for (let row = 0; row < rows; row++) {
    for (let i = row * columns; i < (row + 1) * columns; i++) if (codes[i] === codes[i]) totals[row] += codes[i];
  }
  return totals;
}

// Which rows are shown, in which order.
function orderOf(holder, values) {
  const labels = rowLabels(holder.chart), count = values.rows;
  const search = holder.querySelector(".search"), ranked = holder.querySelector(".rank");
  let rows = Array.from({ length: count }, (_, row) => row);
  const wanted = search && search.value.trim().toLowerCase();
  if (wanted) rows = rows.filter((row) => labels[row].toLowerCase().includes(wanted));
  const by = ranked && ranked.value;
  const ranking = by === "change" && holder.chart.change !== undefined ? array(holder.chart.change) : values;
  if (by && by !== "listed" && ranking.rows === count) {
    const totals = totalsOf(ranking);
    rows.sort((a, b) => Math.abs(totals[b]) - Math.abs(totals[a]) || a - b);
  }
  return rows;
}

// The range of the colours. Among many rows a few large ones would leave all others pale: what is
// beyond 98 % of the cells has the last colour, and the scale says so.
const MANY = 40;
function scaleOf({ codes, rows }) {
  const known = Float64Array.from(codes.filter((code) => code === code)).sort();
  if (!known.length) return { low: 0, high: 1, both: false, cut: false };
  const at = (share) => known[Math.round(share * (known.length - 1))];
  const cut = rows > MANY && (at(0.98) < 0.7 * at(1) || at(0.02) > 0.7 * at(0));
  let [low, high] = cut ? [at(0.02), at(0.98)] : [at(0), at(1)];
  if (cut && at(0) >= 0) low = at(0);
  if (low < 0 && high > 0) return { low: -Math.max(-low, high), high: Math.max(-low, high), both: true, cut };
  if (!high) high = at(1);
  return { low: Math.min(low, 0), high: Math.max(high, 0), both: false, cut };
}

function drawMap(holder) {
  const { chart } = holder, layer = layerOf(holder), values = cellsOf(layer);
  const rows = orderOf(holder, values), { columns, places } = columnsOf(chart, values.rows);
  const plot = holder.querySelector(".plot"), canvas = plot.querySelector("canvas");
  const width = Math.max(260, plot.clientWidth - 2);
  const tall = Math.min(TALLEST, Math.max(2, Math.floor(WHOLE / Math.max(rows.length, 1))));
  const height = Math.max(tall * rows.length, 1) + AXIS, dense = window.devicePixelRatio || 1;
  holder.view = { rows, columns, places, tall, layer, values, width, height, cell: (width - LABELS) / columns.length, labels: values.rows === 1 && !ownRows(chart) ? [data.all] : rowLabels(chart) };
  canvas.width = Math.round(width * dense);
  canvas.height = Math.round(height * dense);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  context.scale(dense, dense);
  paintCells(context, holder.view);
  paintLabels(context, holder.view);
  showScale(holder);
  markChoice(holder);
  crossAt(holder);
}

function paintCells(context, view) {
  const { rows, columns, places, values, tall } = view;
  if (!rows.length) return;
  const { low, high, both, cut } = scaleOf(values), palette = paletteOf(both), span = high - low || 1;
  const image = new ImageData(columns.length, rows.length), pixels = new Uint32Array(image.data.buffer);
  // Amounts below 0 alone are the stronger the lower they are.
  const turned = !both && low < 0;
  rows.forEach((row, line) => {
    const at = row * values.columns, place = places && places[data.clock[row]];
    for (let hour = 0; hour < values.columns; hour++) {
      const value = values.codes[at + hour];
      if (value !== value) continue;
      const level = Math.max(0, Math.min(255, Math.round((255 * (value - low)) / span)));
      pixels[line * columns.length + (place ? place[hour] : hour)] = palette[turned ? 255 - level : level];
    }
  });
  view.range = [low / values.scale, high / values.scale];
  view.both = both;
  view.cut = cut;
  view.turned = turned;
  const small = document.createElement("canvas");
  [small.width, small.height] = [image.width, image.height];
  small.getContext("2d").putImageData(image, 0, 0);
  context.imageSmoothingEnabled = false;
  context.drawImage(small, LABELS, 0, view.width - LABELS, tall * rows.length);
}

function paintLabels(context, view) {
  const { rows, columns, tall, labels, cell, height } = view;
  const style = getComputedStyle(root);
  context.font = `12px ${getComputedStyle(document.body).fontFamily}`;
  context.fillStyle = style.getPropertyValue("--muted");
  const every = Math.ceil(14 / tall);
  context.textBaseline = "middle";
  context.textAlign = "right";
  rows.forEach((row, line) => {
    if (line % every) return;
    const text = labels[row].length > 10 ? `${labels[row].slice(0, 9)}\u2026` : labels[row];
    context.fillText(text, LABELS - 8, tall * (line + 0.5) + (every > 1 ? 5 : 0));
  });
  context.textAlign = "left";
  for (const [place, name] of daysAmong(columns)) {
    const at = LABELS + cell * place;
    if (at < view.width - 30) context.fillText(name, at, height - AXIS / 2);
    if (!place) continue;
    context.fillStyle = style.getPropertyValue("--paper");
    context.fillRect(at - 1, 0, 2, height - AXIS);
    if (tall > 6) for (let line = 1; line < rows.length; line++) context.fillRect(LABELS, tall * line - 1, 1, 1);
    context.fillStyle = style.getPropertyValue("--muted");
  }
  if (tall > 6) {
    context.fillStyle = style.getPropertyValue("--paper");
    for (let line = 1; line < rows.length; line++) context.fillRect(LABELS, tall * line - 1, view.width - LABELS, 2);
  }
}

function showScale(holder) {
  const { view } = holder, bar = holder.querySelector(".scale");
  if (!view.range) return;
  const palette = paletteOf(view.both), { layer } = view;
  const at = (share) => cssOf(palette[Math.round(255 * (view.turned ? 1 - share : share))]);
  bar.querySelector("i").style.background = `linear-gradient(90deg, ${[0, 0.25, 0.5, 0.75, 1].map(at).join(", ")})`;
  bar.querySelector("b").textContent = figure(view.range[0], layer) + (view.cut && view.range[0] < 0 ? " or less" : "");
  bar.querySelector("em").textContent = figure(view.range[1], layer) + (view.cut && view.range[1] > 0 ? " or more" : "");
  holder.querySelector(".unit").textContent = layer.unit;
}

// Frames around the rows and hours that are chosen, as few as their neighbourhood allows.
function markChoice(holder) {
  const { view } = holder, marks = holder.querySelector(".marks");
  const span = spanAmong(view.columns), boxes = [];
  if (!choice.rows.length && !span) { marks.replaceChildren(); return; }
  const [first, last] = span || [0, view.columns.length - 1];
  const chosen = new Set(choice.rows), all = !chosen.size || ownRows(holder.chart) || view.values.rows === 1;
  let begun = -1;
  for (let line = 0; line <= view.rows.length; line++) {
    const inside = line < view.rows.length && (all || chosen.has(view.rows[line]));
    if (inside && begun < 0) begun = line;
    if (!inside && begun >= 0) { boxes.push([begun, line]); begun = -1; }
  }
  marks.replaceChildren(...boxes.slice(0, 200).map(([top, bottom]) => {
    const mark = make("span");
    mark.style.left = `${LABELS + view.cell * first}px`;
    mark.style.width = `${view.cell * (last - first + 1)}px`;
    mark.style.top = `${view.tall * top}px`;
    mark.style.height = `${view.tall * (bottom - top)}px`;
    return mark;
  }));
}

function crossAt(holder) {
  const { view } = holder, cross = holder.querySelector(".cross");
  const known = hover.hour !== null && view.columns.length;
  cross.hidden = !known;
  if (!known) return;
  // An instant is another local hour for each row: the one that is chosen counts, or the hovered.
  const row = holder.at ? view.rows[holder.at.line] : choice.rows.length === 1 ? choice.rows[0] : -1;
  const place = view.places && row >= 0 ? view.places[data.clock[row]][hover.hour] : columnOfShared(view);
  cross.style.left = `${LABELS + view.cell * place}px`;
  cross.style.width = `${Math.max(2, view.cell)}px`;
}

function columnOfShared(view) {
  return view.places ? Math.max(0, view.columns.indexOf(hoursOf(-1)[hover.hour])) : hover.hour;
}

// The instant of a cell; several of a repeated local hour are the last of them.
function instantOf(view, line, column) {
  if (!view.places) return column;
  const place = view.places[data.clock[view.rows[line]]].lastIndexOf(column);
  return place >= 0 ? place : null;
}

function cellWords(holder, line, column) {
  const { view } = holder, { layer, labels, rows, columns } = view, hour = instantOf(view, line, column);
  const value = hour === null ? DASH : figure(view.values.codes[rows[line] * view.values.columns + hour] / view.values.scale, layer);
  const part = layer.part && holder.chart.parts.length > 1 ? `, ${layer.part}` : "";
  return `${labels[rows[line]]}, ${momentOf(columns[column])}: ${layer.name || holder.chart.title}${part} ${value}`;
}
