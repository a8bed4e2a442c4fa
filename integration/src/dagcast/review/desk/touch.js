// Pointing at a map, dragging over it, and walking on it with the arrow keys.
function placeAt(holder, event) {
  const { view } = holder, box = holder.querySelector("canvas").getBoundingClientRect();
  const x = event.clientX - box.left - LABELS, y = event.clientY - box.top;
  return {
    line: Math.min(view.rows.length - 1, Math.max(0, Math.floor(y / view.tall))),
    column: Math.min(view.columns.length - 1, Math.max(0, Math.floor(x / view.cell))),
    label: x < 0, axis: y > view.tall * view.rows.length,
  };
}

function pointAt(holder, place) {
  const out = holder.querySelector("output");
  holder.at = place;
  if (place === null || !holder.view.rows.length) { out.textContent = ""; hoverAt(null); return; }
  out.textContent = cellWords(holder, place.line, place.column);
  hoverAt(instantOf(holder.view, place.line, place.column));
}

// All cells between two, as rows and hours of the selection.
function block(holder, one, other) {
  const { view } = holder;
  const [top, bottom] = [one.line, other.line].sort((a, b) => a - b);
  const [first, last] = [one.column, other.column].sort((a, b) => a - b);
  const linked = !ownRows(holder.chart) && view.values.rows === data.rows.length;
  const wholeRows = one.label, wholeHours = one.axis;
  let [from, to] = wholeRows ? [null, null] : [view.columns[first], view.columns[last]];
  // A day's name below the map stands for the day.
  if (wholeHours) [from, to] = [`${from.slice(0, 10)}T00:00`, `${to.slice(0, 10)}T23:59`];
  choose({ rows: linked && !wholeHours ? view.rows.slice(top, bottom + 1) : choice.rows, from, to });
}

function listenToMap(holder) {
  const plot = holder.querySelector(".plot"), canvas = plot.querySelector("canvas");
  let begun = null;
  canvas.addEventListener("pointerdown", (event) => {
    if (!holder.view || !holder.view.rows.length || event.button) return;
    begun = placeAt(holder, event);
    if (event.pointerType === "mouse") canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!holder.view || !holder.view.rows.length) return;
    const place = placeAt(holder, event);
    pointAt(holder, place);
    if (begun && event.pointerType === "mouse" && (place.line !== begun.line || place.column !== begun.column)) block(holder, begun, place);
  });
  canvas.addEventListener("pointerup", (event) => {
    if (begun) block(holder, begun, placeAt(holder, event));
    begun = null;
  });
  canvas.addEventListener("pointercancel", () => { begun = null; });
  canvas.addEventListener("pointerleave", () => pointAt(holder, null));
  plot.addEventListener("focus", () => { if (!holder.view) redraw(holder); if (!holder.at && holder.view && holder.view.rows.length) walk(holder, 0, 0, false); });
  plot.addEventListener("blur", () => { holder.anchor = null; });
  plot.addEventListener("keydown", (event) => {
    const moves = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0], PageDown: [10, 0], PageUp: [-10, 0], Home: [0, -1e9], End: [0, 1e9] };
    if (!holder.view) redraw(holder);
    if (!holder.view.rows.length) return;
    if (moves[event.key]) {
      event.preventDefault();
      walk(holder, ...moves[event.key], event.shiftKey);
    } else if (event.key === "Enter" && holder.at) {
      event.preventDefault();
      block(holder, { ...holder.at, label: true }, holder.at);
    } else if (event.key === " " && holder.at) {
      event.preventDefault();
      const label = holder.view.columns[holder.at.column];
      choose({ rows: [], from: label, to: label });
    } else if (event.key === "Escape") {
      holder.anchor = null;
      choose({ rows: [], from: null, to: null });
      say(choiceWords());
    }
  });
}

function walk(holder, down, right, extend) {
  const { view } = holder, at = holder.at || { line: 0, column: 0 };
  const place = {
    line: Math.min(view.rows.length - 1, Math.max(0, at.line + down)),
    column: Math.min(view.columns.length - 1, Math.max(0, at.column + right)),
  };
  holder.anchor = extend ? holder.anchor || at : null;
  pointAt(holder, place);
  if (down || right) block(holder, holder.anchor || place, place);
  say(extend ? choiceWords() : cellWords(holder, place.line, place.column));
  const plot = holder.querySelector(".plot"), y = view.tall * place.line;
  if (y < plot.scrollTop || y > plot.scrollTop + plot.clientHeight - 40) plot.scrollTop = y - 60;
}
