// Parts that add up to a whole: each bar begins where the one before it ended.
function drawParts(bars, whole, form) {
  let low = 0, high = 0, at = 0;
  for (const [, size] of bars) { at += size; low = Math.min(low, at); high = Math.max(high, at); }
  const span = high - low || 1, total = at;
  const list = make("ol", { class: "parts" });
  const line = (name, from, to, role, text) => {
    const bar = make("i", { class: role }), track = make("span", { class: "track", "aria-hidden": "true" }, bar);
    bar.style.left = `${(100 * (Math.min(from, to) - low)) / span}%`;
    bar.style.width = `max(2px, ${(100 * Math.abs(to - from)) / span}%)`;
    return make("li", {}, make("span", { class: "name" }, name), track, make("b", {}, text));
  };
  at = 0;
  for (const [name, size] of bars) {
    list.append(line(name, at, at + size, size < 0 ? "helps" : "costs", figure(size, form, true)));
    at += size;
  }
  list.append(line(whole, 0, total, "whole", figure(total, form)));
  return list;
}

const partWords = (chart, place) => {
  const all = chart.bars.reduce((sum, [, size]) => sum + size, 0);
  const [name, size] = place < chart.bars.length ? chart.bars[place] : [chart.whole, all];
  return `${name}: ${figure(size, chart.form, place < chart.bars.length)}`;
};

function listenToParts(holder) {
  const plot = holder.querySelector(".plot");
  plot.addEventListener("keydown", (event) => {
    const last = holder.chart.bars.length, at = holder.at === undefined ? -1 : holder.at;
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: last }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    holder.at = Math.min(last, Math.max(0, to));
    holder.querySelector("output").textContent = partWords(holder.chart, holder.at);
    say(partWords(holder.chart, holder.at));
  });
}
