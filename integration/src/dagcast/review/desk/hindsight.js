// The panel beside the map where reality is drawn in: what was planned, what happened, and what
// would have been best of whatever is chosen, and what made the regret there.
const lookingBack = () => data.desk.kind === "hindsight";

function hindsightSpend() {
  const [plan, done, best] = ["plan", "done", "best"].map(spentOf);
  if (plan === null) return null;
  const form = { ...data.desk.spend, digits: Math.max(Math.abs(plan), Math.abs(done)) < 1000 ? 2 : 0 };
  return [[data.desk.lever], ...[plan, done, best].map((value) => [figure(value, form)])];
}

function hindsightLine(item) {
  const chart = data.charts[item.chart];
  if (!chart) return null;
  const known = ["plan", "actual", "expost"].map((role) => roleOf(chart, role));
  let [plan, happened, best] = known.map((line) => (line ? outcomeOf(chart, line) : null));
  if (plan === null && happened === null) return null;
  const small = chart.how === "sum" && Math.max(Math.abs(plan), Math.abs(happened)) < 100;
  const form = { ...item.form, digits: Math.max(item.form.digits, small ? chart.digits : 0) };
  let ends = "", place = choice.rows.length ? choice.rows[0] + 1 : 0, held = "";
  if (wholeWeek() && item.values !== undefined && place < array(item.values).rows) {
    // What is known exactly is not added up.
    const [mid, low, high, got] = rowOf(item.values, place);
    plan = mid;
    if (Number.isFinite(got)) happened = got;
    ends = endsOf(low, high, form);
    held = happened >= low - 1e-9 && happened <= high + 1e-9 ? "inside" : "OUTSIDE";
  }
  return [[item.title], [figure(plan, form), ends], [figure(happened, form), held], [figure(best, form)]];
}

// The cells of the regret that are chosen, by what made it.
function regretHere() {
  const parts = data.charts.map.layers.filter((layer) => layer.role === "regret" && layer.part !== data.desk.all);
  const bars = parts.map((layer) => {
    const { codes, columns, scale } = array(layer.values);
    let sum = 0;
    for (const row of chosenRows()) {
      const span = spanOf(row);
      if (span) for (let i = row * columns + span[0]; i <= row * columns + span[1]; i++) sum += codes[i];
    }
    return [layer.part, sum / scale];
  });
  return bars.filter(([, size]) => Math.abs(size) >= 0.005);
}

function showHindsight() {
  const rows = [hindsightSpend(), ...data.desk.outcomes.map(hindsightLine)].filter((row) => row !== null);
  const heads = ["", "Planned", "Happened", "Best in hindsight"], bars = regretHere();
  const note = wholeWeek() ? "" : "Added up from the hours. Intervals are known of a row's whole week, and of all.";
  const regret = bars.length ? [make("h4", {}, "What made the regret here"), drawParts(bars, "regret here", data.desk.worth), make("p", { class: "note" }, `${data.desk.objective} that the best plan in hindsight would have had more of in these cells; the price of broken limits is of no cell.`)] : [make("p", { class: "note" }, "No regret here.")];
  byId("panel").replaceChildren(
    make("h3", { class: "chosen" }, choiceWords(), choice.rows.length || choice.from !== null ? clearButton() : ""),
    make("div", { class: "sides" },
      make("div", {}, tableOf(heads, rows.slice(0, SHOWN)), note ? make("p", { class: "note" }, note) : ""),
      make("div", {}, ...regret)),
  );
}
