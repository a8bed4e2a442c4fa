// Puts the parts together: themes, controls, and what is drawn when.
const charts = [], maps = [];

function redraw(holder) {
  holder.stale = false;
  if (holder.chart.kind === "lines") drawLines(holder, holder.chart);
  else if (holder.chart.kind === "parts") holder.querySelector(".plot").replaceChildren(drawParts(holder.chart.bars, holder.chart.whole, holder.chart.form));
  else if (holder.view) markChoice(holder);
  else drawMap(holder);
  fillFigures(holder);
}

function redrawAll() {
  for (const holder of maps) holder.view = null;
  refresh();
}

function setUp(holder) {
  holder.chart = data.charts[holder.dataset.key];
  charts.push(holder);
  listenToFigures(holder);
  if (holder.chart.kind === "lines") { listenToLines(holder); return; }
  if (holder.chart.kind === "parts") { listenToParts(holder); return; }
  maps.push(holder);
  holder.pick = { layer: holder.chart.layers[0].name, part: holder.chart.parts[0] };
  // Hundreds of rows are read from the largest change on.
  if (holder.chart.change !== undefined && data.rows.length > 60) holder.querySelector(".rank").value = "change";
  listenToMap(holder);
  const again = () => { holder.view = null; redraw(holder); };
  for (const control of holder.querySelectorAll(".search, .rank")) control.addEventListener("input", again);
  for (const kind of ["layer", "part"]) {
    const control = holder.querySelector(`select.${kind}`);
    if (!control) continue;
    control.addEventListener("change", () => {
      holder.pick[kind] = control.value;
      if (holder.dataset.main !== undefined) { shown[kind] = control.value; write(); }
      again();
    });
  }
}

// What the address asks to be shown on the main map.
function followAddress() {
  const holder = maps.find((map) => map.dataset.main !== undefined);
  if (!holder) return;
  for (const kind of ["layer", "part"]) {
    const known = holder.chart.layers.some((layer) => layer[kind === "layer" ? "name" : "part"] === shown[kind]);
    const control = holder.querySelector(`select.${kind}`);
    if (!known) { shown[kind] = null; continue; }
    holder.pick[kind] = shown[kind];
    if (control) control.value = shown[kind];
  }
}

function showTheme(theme) {
  root.dataset.theme = theme;
  redrawAll();
}

async function start() {
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  root.dataset.theme = location.hash === "#dark" || dark.matches ? "dark" : "light";
  if (typeof DecompressionStream === "undefined") {
    document.querySelector(".hero").append(make("p", {}, "This browser is too old to draw the charts of this page."));
    return;
  }
  await unpack();
  const began = performance.now();
  document.querySelectorAll("figure.chart").forEach(setUp);
  read();
  followAddress();
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      entry.target.seen = entry.isIntersecting;
      if (entry.isIntersecting && entry.target.stale !== false) redraw(entry.target);
    }
  }, { rootMargin: "200px" });
  for (const holder of charts) seen.observe(holder);
  if (data.desk) setUpDesk();
  const rowChoice = byId("row");
  if (rowChoice) {
    rowChoice.addEventListener("change", () => {
      const row = Number(rowChoice.value);
      if (row >= -1) choose({ rows: row < 0 ? [] : [row], from: choice.from, to: choice.to });
    });
    listeners.push(() => { rowChoice.value = String(choice.rows.length === 1 ? choice.rows[0] : choice.rows.length ? -2 : -1); });
  }
  if (clockChoice) clockChoice.addEventListener("change", () => { write(); redrawAll(); });
  byId("theme").addEventListener("click", () => showTheme(root.dataset.theme === "dark" ? "light" : "dark"));
  dark.addEventListener("change", (event) => showTheme(event.matches ? "dark" : "light"));
  window.addEventListener("hashchange", () => {
    if (!read()) return;
    followAddress();
    redrawAll();
    say(choiceWords());
    if (byId("desk")) byId("desk").scrollIntoView();
  });
  // A section of the navigation is no selection, and leaves the one in the address alone.
  document.querySelector("nav").addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (!link) return;
    event.preventDefault();
    byId(link.hash.slice(1)).scrollIntoView();
  });
  let resizing = 0;
  window.addEventListener("resize", () => { clearTimeout(resizing); resizing = setTimeout(redrawAll, 120); });
  window.addEventListener("beforeprint", () => { for (const holder of charts) { holder.view = null; redraw(holder); } });
  window.addEventListener("afterprint", redrawAll);
  refresh();
  data.ready = performance.now() - began;
  root.dataset.ready = "yes";
  unfoldAll();
}

// While nobody asks for anything, so that the first selection does not wait.
function unfoldAll() {
  const later = window.requestIdleCallback || ((work) => setTimeout(work, 50));
  let number = 0;
  later(function next() {
    const until = performance.now() + 8;
    while (number < data.heads.length && performance.now() < until) array(number++);
    if (number < data.heads.length) later(next);
  });
}

start();
