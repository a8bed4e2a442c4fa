// The table of rows: sortable, those that lose marked; a row's name chooses it.
const table = { by: 1, down: true, all: false };

function rowColumns() {
  if (data.desk.columns.length) return data.desk.columns;
  const { outcomes, spend } = data.desk, columns = [];
  const layers = (role) => deskLayers(role).filter((layer) => layer.part !== data.desk.all || deskLayers(role).length === 1);
  const sums = (role) => {
    const found = layers(role);
    if (!found.length) return null;
    return data.rows.map((_, row) => found.reduce((sum, layer) => sum + rowOf(layer.values, row).reduce((a, b) => a + b, 0), 0));
  };
  const plan = sums("plan"), current = sums("current");
  if (plan) columns.push({ head: data.desk.lever, form: spend, values: plan });
  if (plan && current) columns.push({ head: "change", form: spend, signed: true, values: plan.map((value, row) => value - current[row]) });
  const column = (number, place) => data.rows.map((_, row) => rowOf(number, row + 1)[place]);
  for (const item of outcomes.slice(0, 5)) {
    if (item.values !== undefined && array(item.values).rows > 1) columns.push({ head: item.title, form: item.form, values: column(item.values, 0) });
    if (item.gains === undefined || array(item.gains).rows === 1) continue;
    columns.push({ head: item.values === undefined ? item.title : "change", form: item.form, signed: true, values: column(item.gains, 0) });
    if (item.values === undefined) columns.push({ head: "better in draws", form: { prefix: "", suffix: " %", digits: 0 }, values: column(item.chance, 0), chance: true });
  }
  return columns;
}

function showRows() {
  const holder = byId("rows-table");
  if (!holder) return;
  const columns = (table.columns = table.columns || rowColumns());
  const chance = columns.find((column) => column.chance), gain = columns.find((column) => column.signed && column.head === data.desk.objective);
  const order = data.rows.map((_, row) => row);
  const by = columns[table.by - 1];
  if (by) order.sort((a, b) => (table.down ? -1 : 1) * (by.values[a] - by.values[b]) || a - b);
  else order.sort((a, b) => (table.down ? -1 : 1) * (data.rows[a] < data.rows[b] ? -1 : 1));
  const heads = [data.dim || "row", ...columns.map((column) => column.head)].map((head, k) => {
    const button = make("button", { type: "button" }, head);
    button.addEventListener("click", () => { table.down = table.by === k ? !table.down : k > 0; table.by = k; showRows(); holder.querySelectorAll("th button")[k].focus(); });
    return make("th", { scope: "col", "aria-sort": table.by === k ? (table.down ? "descending" : "ascending") : "none", ...(k ? {} : { class: "text" }) }, button);
  });
  const visible = table.all ? order : order.slice(0, 40);
  const body = visible.map((row) => {
    const loses = lookingBack() ? data.desk.marked.includes(row) : gain ? gain.values[row] < 0 : false;
    const button = make("button", { type: "button" }, data.rows[row]);
    button.addEventListener("click", () => { choose({ rows: [row], from: choice.from, to: choice.to }); byId("desk").scrollIntoView(); });
    const cells = columns.map((column) => make("td", {}, figure(column.values[row], column.form, column.signed)));
    return make("tr", { class: `${loses ? "loses" : ""}${choice.rows.includes(row) ? " chosen" : ""}` }, make("th", { scope: "row", class: "text" }, button, loses ? make("span", { class: "loss" }, ` ${data.desk.mark || "loses"}`) : ""), ...cells);
  });
  const losers = gain ? gain.values.filter((value) => value < 0).length : 0;
  const unsure = chance ? chance.values.filter((value) => value < 90).length : 0;
  const said = gain ? `${losers} of ${data.rows.length} lose against the current plan; ${unsure} gain in fewer than 90 % of draws.` : data.desk.said;
  holder.replaceChildren(make("p", { class: "note" }, said),
    make("div", { class: "scroll" }, make("table", { class: "data rows" }, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...body))));
  if (order.length > visible.length) {
    const more = make("button", { type: "button" }, `Show all ${order.length}`);
    more.addEventListener("click", () => { table.all = true; showRows(); });
    holder.append(more);
  }
}

function setUpDesk() {
  showRows();
  listeners.push(showPanel, markRows);
}

// The rows that are chosen, without building the table again.
function markRows() {
  const chosen = new Set(choice.rows.map((row) => data.rows[row]));
  for (const row of document.querySelectorAll("#rows-table tbody tr")) row.classList.toggle("chosen", chosen.has(row.querySelector("button").textContent));
}
