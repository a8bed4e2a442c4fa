"use strict";
// Edits of the cells that are chosen on the map: answered at once by the local model of the plan,
// which is approximate, and then exactly by the server.
(() => {
  const at = (id) => document.getElementById(id);
  const panel = at("edit-form");
  if (!panel) return;
  const address = panel.action.replace(/\/edit$/, "/try");
  const edits = [];
  let local = null, asked = 0, waiting = 0;
  const money = (value, unit) => `${value < 0 ? "−" : "+"}${unit === "USD" ? "$" : ""}${Math.abs(value).toLocaleString("en-US", { maximumFractionDigits: 0 })}${unit === "USD" ? "" : ` ${unit}`}`;

  async function post(fields) {
    const body = new URLSearchParams({ form: panel.elements.form.value, ...fields });
    const answer = await fetch(address, { method: "POST", body, headers: { accept: "application/json" } });
    const found = await answer.json();
    if (!answer.ok) throw new Error(found.error);
    return found;
  }

  // What the local model knows: cells by lever, with what the plan decides there.
  async function learn() {
    local = await post({});
    for (const [name, lever] of Object.entries(local.levers)) {
      at("lever").append(make("option", { value: name }, lever.title));
      lever.index = lever.labels.map((labels) => new Map(labels.map((label, k) => [label, k])));
    }
    showChosen();
  }

  // The chosen hours as instants, first and last; all of them where none are chosen.
  function hoursChosen(lever) {
    const span = choice.from === null ? [0, lever.hours.length - 1] : spanShown();
    return span ? [lever.hours[span[0]], lever.hours[span[1]]] : null;
  }

  function change() {
    const name = at("lever").value, lever = local.levers[name], hours = hoursChosen(lever);
    const value = Number(at("value").value);
    if (!hours || at("value").value === "" || !(value >= 0)) return null;
    const where = {};
    if (choice.rows.length && lever.dims.includes(data.dim)) where[data.dim] = choice.rows.map((row) => data.rows[row]);
    return { lever: name, where, start: hours[0], end: hours[1], how: at("how").value, value };
  }

  // Numbers of the cells that a change is about.
  function* cellsOf(lever, { where, start, end }) {
    const wanted = lever.dims.map((dim) => (where[dim] ? new Set(where[dim]) : null));
    const first = lever.hours.indexOf(start), last = lever.hours.indexOf(end), many = lever.hours.length;
    const series = lever.labels.reduce((count, labels) => count * labels.length, 1);
    for (let s = 0; s < series; s++) {
      let rest = s, inside = true;
      for (let d = lever.dims.length - 1; d >= 0; d--) {
        const label = lever.labels[d][rest % lever.labels[d].length];
        rest = Math.floor(rest / lever.labels[d].length);
        if (wanted[d] && !wanted[d].has(label)) inside = false;
      }
      if (inside) for (let h = first; h <= last; h++) yield s * many + h;
    }
  }

  // The plan after all changes, by lever, and what the local model says of the difference.
  function approximate() {
    let gain = 0, spends = 0;
    for (const [name, lever] of Object.entries(local.levers)) {
      const values = Float64Array.from(lever.plan);
      for (const edit of edits.filter((one) => one.lever === name)) {
        const cells = [...cellsOf(lever, edit)];
        const total = cells.reduce((sum, cell) => sum + values[cell], 0);
        for (const cell of cells) {
          const now = values[cell];
          if (edit.how === "set") values[cell] = edit.value;
          else if (edit.how === "scale") values[cell] = now * edit.value;
          else if (edit.how === "most") values[cell] = Math.min(now, edit.value);
          else if (total > edit.value) values[cell] = (now * edit.value) / total;
        }
      }
      for (let cell = 0; cell < values.length; cell++) {
        const moved = values[cell] - lever.plan[cell];
        if (moved === 0) continue;
        gain += lever.gradient[cell] * moved + 0.5 * lever.curvature[cell] * moved * moved;
        if (lever.adds) spends += moved;
      }
    }
    return { gain, spends };
  }

  function showChosen() {
    at("edit-chosen").textContent = `Chosen: ${choiceWords()}.`;
  }

  function showEdits() {
    const words = { scale: "times", set: "set to", most: "at most", total: "together at most" };
    at("changes").replaceChildren(...edits.map((edit, k) => {
      const gone = make("button", { type: "button" }, "Remove");
      gone.addEventListener("click", () => { edits.splice(k, 1); evaluate(); });
      const rows = Object.values(edit.where).flat().join(", ") || "everywhere";
      const title = local.levers[edit.lever].title;
      return make("li", {}, `${title}, ${rows}, ${edit.start.slice(0, 16)} to ${edit.end.slice(0, 16)} UTC: ${words[edit.how]} ${edit.value} `, gone);
    }));
    panel.elements.changes.value = JSON.stringify(edits);
  }

  function evaluate() {
    const began = performance.now(), number = ++asked;
    showEdits();
    at("exact").replaceChildren();
    at("exact").className = "";
    if (!edits.length) { at("approximate").textContent = ""; at("approximate").className = ""; return; }
    const { gain, spends } = approximate();
    at("approximate").className = "approximate";
    at("approximate").textContent = `${money(gain, local.objective)} of ${local.maximises} against this plan; spends ${money(spends, local.spend)}.`;
    window.editSpent = performance.now() - began;
    clearTimeout(waiting);
    // Whoever adds several changes at once waits for one answer.
    waiting = setTimeout(async () => {
      try {
        const found = await post({ changes: JSON.stringify(edits) });
        if (number === asked) showExact(found);
      } catch (error) {
        if (number === asked) { at("exact").className = "against"; at("exact").textContent = error.message; }
      }
    }, 250);
  }

  function showExact(found) {
    const broken = found.broken.length
      ? make("ul", {}, ...found.broken.map((text) => make("li", {}, text)))
      : "No limit is broken.";
    at("exact").className = "exact";
    at("exact").replaceChildren(
      `${money(found.change, local.objective)} of ${local.maximises} against this plan; ${found.objective}; spends ${found.spends.join(" and ")}. `, broken,
      tableOf(["", "Edited", "Against the current plan"], found.rows.map((row) => row.map((cell) => [cell]))),
    );
    window.exactSeconds = found.seconds;
  }

  at("add").addEventListener("click", () => {
    const made = local && change();
    if (!made) { at("approximate").textContent = "Choose a lever and a value of 0 or more."; return; }
    edits.push(made);
    evaluate();
  });
  panel.addEventListener("submit", (event) => { if (!edits.length) { event.preventDefault(); at("approximate").textContent = "Add a change first."; } });
  listeners.push(showChosen);
  learn().catch((error) => { at("approximate").textContent = error.message; });
})();
