// One selection drives everything: some rows (none: all) and some hours by the clock that is shown.
const choice = { rows: [], from: null, to: null };
const hover = { hour: null };
const listeners = [];

// The first and last of the chosen hours among labels; null where all are, or none is.
const spans = { from: null, to: null, found: new Map() };
function spanAmong(hours) {
  if (choice.from === null) return null;
  if (spans.from !== choice.from || spans.to !== choice.to) Object.assign(spans, { from: choice.from, to: choice.to, found: new Map() });
  if (!spans.found.has(hours)) {
    const first = hours.findIndex((label) => label >= choice.from);
    let last = hours.length - 1;
    while (last >= 0 && hours[last] > choice.to) last--;
    spans.found.set(hours, first >= 0 && last >= first ? [first, last] : null);
  }
  return spans.found.get(hours);
}

// The instants that are chosen, first and last: several clocks make them a longer span.
function spanShown() {
  const rows = choice.rows.length ? choice.rows : data.rows.map((_, row) => row);
  if (choice.from === null || rows.length === 1 || inUtc() || data.clocks.length < 2) {
    return spanAmong(hoursOf(rows.length === 1 ? rows[0] : choice.rows.length && data.clock.length ? choice.rows[0] : -1));
  }
  const found = [...new Set(rows.map((row) => data.clock[row]))].map((clock) => spanAmong(data.clocks[clock])).filter(Boolean);
  return found.length ? [Math.min(...found.map(([first]) => first)), Math.max(...found.map(([, last]) => last))] : null;
}

function choose({ rows, from, to }) {
  choice.rows = [...new Set(rows)].filter((row) => row >= 0 && row < data.rows.length).sort((a, b) => a - b);
  if (choice.rows.length === data.rows.length) choice.rows = [];
  choice.from = from;
  choice.to = to;
  write();
  refresh();
}

function refresh() {
  const started = performance.now();
  // A change of the selection changes nothing that nobody sees: those are drawn when they are seen.
  for (const holder of charts) holder.stale = true;
  for (const holder of charts) if (holder.seen) redraw(holder);
  for (const listener of listeners) listener();
  data.spent = performance.now() - started;
}

function hoverAt(hour) {
  if (hover.hour === hour) return;
  hover.hour = hour;
  for (const holder of charts) if (holder.seen && holder.drawn) showHour(holder);
  for (const holder of maps) if (holder.seen && holder.view) crossAt(holder);
}

let saying = 0;
function say(text) {
  clearTimeout(saying);
  // Whoever holds an arrow key down hears where it ends.
  saying = setTimeout(() => { byId("said").textContent = text; }, 120);
}

// In words, such as "EWR and NYC, Mon 9 Mar 18:00 to 21:00".
function choiceWords() {
  const many = choice.rows.length, dim = data.dim || "row";
  const named = choice.rows.slice(0, 3).map((row) => data.rows[row]).join(", ");
  const rows = many === 0 ? data.all : many > 3 ? `${named} and ${many - 3} more ${dim}s` : named;
  if (choice.from === null) return `${rows}, all hours`;
  if (choice.from === choice.to) return `${rows}, ${momentOf(choice.from)}`;
  return `${rows}, ${momentOf(choice.from)} to ${momentOf(choice.to)}`;
}

// The address holds the selection, so that a link shows what its sender saw.
const shown = { layer: null, part: null };
function write() {
  const parts = [];
  if (choice.rows.length) parts.push(`rows=${choice.rows.map((row) => encodeURIComponent(data.rows[row])).join(",")}`);
  if (choice.from !== null) parts.push(`hours=${choice.from}..${choice.to}`);
  if (shown.layer) parts.push(`show=${encodeURIComponent(shown.layer)}`);
  if (shown.part) parts.push(`part=${encodeURIComponent(shown.part)}`);
  if (inUtc()) parts.push("clock=utc");
  history.replaceState(null, "", `#${parts.join("&")}`);
}

function decoded(text) {
  try { return decodeURIComponent(text); } catch { return text; }
}

// Whatever the address says that the page does not know is left out.
function read() {
  const said = new Map(location.hash.slice(1).split("&").filter((part) => part.includes("=")).map((part) => [part.slice(0, part.indexOf("=")), part.slice(part.indexOf("=") + 1)]));
  if (!said.size) return false;
  const place = new Map(data.rows.map((label, row) => [label, row]));
  choice.rows = (said.get("rows") || "").split(",").map(decoded).filter((label) => place.has(label)).map((label) => place.get(label));
  const hours = /^(\d{4}-\d\d-\d\dT\d\d:\d\d)\.\.(\d{4}-\d\d-\d\dT\d\d:\d\d)$/.exec(said.get("hours") || "");
  [choice.from, choice.to] = hours ? [hours[1], hours[2]] : [null, null];
  if (said.has("show")) shown.layer = decoded(said.get("show"));
  shown.part = said.has("part") ? decoded(said.get("part")) : shown.part;
  if (clockChoice) clockChoice.value = said.get("clock") === "utc" ? "utc" : "local";
  return true;
}
