// What is chosen, in figures: levers, outcomes, the response, why so much is spent here, limits.
const deskLayers = (role, part) => data.charts.map.layers.filter((layer) => layer.role === role && (part === undefined || layer.part === part));

// Hours of one row that are chosen, first and last.
function spanOf(row) {
  if (choice.from === null) return [0, data.hours.length - 1];
  return spanAmong(hoursOf(row));
}

const chosenRows = () => (choice.rows.length ? choice.rows : data.rows.map((_, row) => row));

// The sum of a lever over what is chosen; null where there is no such layer.
function spentOf(role) {
  const layers = deskLayers(role).filter((layer) => layer.part !== data.desk.all || deskLayers(role).length === 1);
  if (!layers.length) return null;
  let total = 0;
  for (const layer of layers) {
    const { codes, columns, scale } = array(layer.values);
    let sum = 0;
    for (const row of chosenRows()) {
      const span = spanOf(row);
      if (span) for (let i = row * columns + span[0]; i <= row * columns + span[1]; i++) sum += codes[i];
    }
    total += sum / scale;
  }
  return total;
}

// Rows whose hours make up what is chosen. All of them together are row -1, unless hours are chosen
// by clocks that differ: then each row has its own.
function summedRows(rows) {
  if (choice.rows.length) return choice.rows;
  const own = choice.from !== null && data.clocks.length > 1 && !inUtc();
  return own && rows > 1 ? chosenRows() : [-1];
}

// An outcome over what is chosen, under one arm: a sum, or a mean by what weighs it.
function outcomeOf(chart, line) {
  const values = array(line.values), weighing = chart.how === "weighted" && line.weight !== undefined ? array(line.weight) : null;
  if (choice.rows.length && values.rows === 1) return null;
  let total = 0, weights = 0;
  for (const row of summedRows(values.rows)) {
    const span = spanOf(row);
    if (!span) continue;
    const at = values.rows === 1 ? 0 : (row + 1) * values.columns;
    for (let i = at + span[0]; i <= at + span[1]; i++) {
      const share = weighing ? weighing.codes[weighing.rows === 1 ? i - at : i] / weighing.scale : 1;
      total += (share * values.codes[i]) / values.scale;
      weights += share;
    }
  }
  if (chart.how === "sum") return total;
  return weights > 0 ? total / weights : null;
}

const roleOf = (chart, role) => chart.lines.find((line) => line.role === role);
const wholeWeek = () => choice.from === null && choice.rows.length < 2;

// An outcome in figures: under the plan, and against the current plan, each with what is known of
// its interval, and in how many draws it is better. What is known exactly is not added up.
function outcomeLine(item) {
  const chart = data.charts[item.chart], place = choice.rows.length ? choice.rows[0] + 1 : 0;
  if (wholeWeek() && item.gains !== undefined && place < array(item.gains).rows) {
    const [change, least, most] = rowOf(item.gains, place), chance = rowOf(item.chance, place)[0];
    let plan = ["", ""];
    if (item.values !== undefined) {
      const [mid, low, high] = rowOf(item.values, place);
      plan = [figure(mid, item.form), endsOf(low, high, item.form)];
    }
    const better = change === 0 || !item.better ? "" : `${plain(item.better === "lower" ? 100 - chance : chance, 0)} %`;
    return [[item.title], plan, [figure(change, item.form, true), endsOf(least, most, item.form, true)], [better]];
  }
  if (!chart) return null;
  const line = roleOf(chart, "plan"), plan = outcomeOf(chart, line), current = roleOf(chart, "current");
  if (plan === null) return null;
  const small = chart.how === "sum" && Math.abs(plan) < 100;
  const fine = { ...item.form, digits: Math.max(item.form.digits, small ? chart.digits : 0) };
  const span = choice.rows.length === 1 ? spanOf(choice.rows[0]) : null;
  const single = span && span[0] === span[1] && line.low !== undefined;
  const ends = single ? endsOf(rowOf(line.low, place)[span[0]], rowOf(line.high, place)[span[0]], fine) : "";
  return [[item.title], [figure(plan, fine), ends], [current ? figure(plan - outcomeOf(chart, current), fine, true) : "", ""], [""]];
}

const endsOf = (low, high, form, signed) => `${figure(low, form, signed)} to ${figure(high, form, signed)}`;

function spendLine() {
  const plan = spentOf("plan"), current = spentOf("current");
  if (plan === null) return null;
  const form = { ...data.desk.spend, digits: Math.abs(plan) < 1000 ? 2 : 0 };
  return [[data.desk.lever], [figure(plan, form)], [current === null ? "" : figure(plan - current, form, true)], [""]];
}

// Cells are texts, or pairs of a figure and what stands smaller below it.
function tableOf(heads, rows) {
  const cell = (content, k) => {
    const [first, below] = [].concat(content);
    const parts = below ? [first, make("small", {}, below)] : [first];
    return k ? make("td", {}, ...parts) : make("th", { scope: "row", class: "text" }, ...parts);
  };
  return make("div", { class: "scroll" }, make("table", { class: "data" },
    make("thead", {}, make("tr", {}, ...heads.map((head, k) => make("th", k ? { scope: "col" } : { scope: "col", class: "text" }, head)))),
    make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map(cell))))));
}

const SHOWN = 8;
function showPanel() {
  if (lookingBack()) { showHindsight(); return; }
  const rows = [spendLine(), ...data.desk.outcomes.map(outcomeLine)].filter((row) => row !== null);
  const chances = rows.some((row) => row[3][0] !== "");
  const heads = ["", "This plan", "Against the current plan", ...(chances ? ["Better in"] : [])];
  const cut = (found) => found.map((row) => row.slice(0, heads.length));
  const note = wholeWeek() ? "" : "Added up from the hours. Intervals are known of one hour, of a row's whole week, and of all.";
  const rest = rows.slice(SHOWN);
  const open = byId("panel").querySelector("details.rest");
  const more = rest.length ? make("details", open && open.open ? { class: "rest", open: "" } : { class: "rest" }, make("summary", {}, `${rest.length} more outcome${rest.length > 1 ? "s" : ""}`), tableOf(heads, cut(rest))) : "";
  byId("panel").replaceChildren(
    make("h3", { class: "chosen" }, choiceWords(), choice.rows.length || choice.from !== null ? clearButton() : ""),
    make("div", { class: "sides" },
      make("div", {}, tableOf(heads, cut(rows.slice(0, SHOWN))), more, note ? make("p", { class: "note" }, note) : ""),
      make("div", {}, ...whyHere(), curveOf())),
    ...limitsHere(),
  );
}

function clearButton() {
  const button = make("button", { type: "button", class: "clear" }, "Choose all");
  button.addEventListener("click", () => { choose({ rows: [], from: null, to: null }); document.querySelector(".plot.map").focus(); });
  return button;
}

// Limits whose label is one of the chosen rows, or that hold for all.
function limitsHere() {
  const chosen = new Set(choice.rows.map((row) => data.rows[row]));
  const rows = data.desk.limits.filter(([, label]) => !label || chosen.has(label) || (!chosen.size && data.desk.limits.length <= 8));
  if (!rows.length) return [];
  const shown = rows.slice(0, 12).map(([title, label, used, limit, standing]) => [`${title} ${label || ""}`.trim(), used, limit, standing]);
  const more = rows.length > 12 ? [make("p", { class: "note" }, `and ${rows.length - 12} more under Limits`)] : [];
  return [tableOf(["Limits that it feeds", "Expected", "Limit", ""], shown), ...more];
}

// Why as much is spent as is: what one more unit is worth here, beside the price of the budgets.
function whyHere() {
  const said = [];
  const chosen = new Set(choice.rows.map((row) => data.rows[row]));
  const prices = data.desk.limits.filter((line) => line[6] && line[5] && (!line[1] || chosen.has(line[1])));
  const price = prices.reduce((sum, line) => sum + line[5], 0);
  const step = data.desk.step, worth = (value) => figure(value, data.desk.worth);
  for (const layer of deskLayers("worth").filter((one) => one.part !== data.desk.all)) {
    const found = meanAt(layer);
    if (!found) continue;
    const { value, decided, most } = found, name = layer.part ? `${layer.part}: ` : "";
    let text = `${name}one more ${step} is worth ${worth(value)}`;
    if (prices.length && chosenRows().length > 1) text += ` on average, and ${worth(price)} is what the budget allows anywhere`;
    else if (prices.length) {
      const near = Math.abs(value - price) <= 0.02 * Math.abs(price);
      if (decided <= 1e-9 && value < price) text += `, less than the ${worth(price)} that it brings where it goes: nothing is spent`;
      else if (near) text += `, as much as the budget allows anywhere (${worth(price)})`;
      else if (value > price) text += `, more than the ${worth(price)} of the budget: ${most ? "its upper bound" : "a bound, a ramp or another limit"} holds it`;
      else text += `, less than the ${worth(price)} of the budget: a ramp or another limit asks for it`;
    }
    said.push(make("li", {}, `${text}.`));
  }
  if (!said.length) return [];
  const many = chosenRows().length > 1 || choice.from === null || choice.from !== choice.to;
  return [make("h4", {}, many ? "Why so much here, on average" : "Why here"), make("ul", { class: "why" }, ...said)];
}

// The mean worth over what is chosen, by what is decided there, and whether all is at its bound.
function meanAt(layer) {
  const plan = deskLayers("plan", layer.part)[0];
  if (!plan) return null;
  const worths = array(layer.values), decided = array(plan.values);
  let total = 0, weights = 0, even = 0, cells = 0, most = true;
  for (const row of chosenRows()) {
    const span = spanOf(row);
    if (!span) continue;
    for (let i = span[0]; i <= span[1]; i++) {
      const at = row * worths.columns + i, value = worths.codes[at] / worths.scale, own = decided.codes[at] / decided.scale;
      total += own * value;
      weights += own;
      even += value;
      cells++;
      if (data.desk.upper === null || own < data.desk.upper - 1e-6) most = false;
    }
  }
  if (!cells) return null;
  return { value: weights > 0 ? total / weights : even / cells, decided: weights / cells, most };
}
