"use strict";
// What the page holds: arrays by number, rows, and the clocks of its hours.
const data = JSON.parse(document.getElementById("data").textContent);
const root = document.documentElement;
const byId = (id) => document.getElementById(id);

function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) element.setAttribute(name, value);
  // Text is always text: a label that looks like markup stays a label.
  element.append(...children);
  return element;
}

let stream = null;
const starts = [];
const unfolded = new Map();

async function unpack() {
  const text = byId("packed").textContent.trim();
  const letters = atob(text);
  const packed = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) packed[i] = letters.charCodeAt(i);
  const inflated = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  stream = new Uint8Array(await new Response(inflated).arrayBuffer());
  let start = 0;
  for (const [rows, columns, , width] of data.heads) {
    starts.push(start);
    start += rows * columns * width;
  }
}

// An array by its number: codes, and by what they are divided. `_packing.py` wrote it.
function array(number) {
  if (unfolded.has(number)) return unfolded.get(number);
  const [rows, columns, digits, width, way, near] = data.heads[number];
  const count = rows * columns, start = starts[number];
  const found = { rows, columns, digits, scale: 10 ** digits, codes: null };
  unfolded.set(number, found);
  if (way === 2) {
    found.scale = 1;
    found.codes = new Float32Array(stream.slice(start, start + 4 * count).buffer);
    return found;
  }
  const codes = found.codes = new Int32Array(count);
  for (let place = width - 1; place >= 0; place--) {
    const plane = start + place * count;
    for (let i = 0; i < count; i++) codes[i] = (codes[i] << 8) | stream[plane + i];
  }
  for (let i = 0; i < count; i++) codes[i] = (codes[i] >>> 1) ^ -(codes[i] & 1);
  if (way === 1) {
    for (let i = 0; i < count; i++) if (i % columns) codes[i] += codes[i - 1];
  }
  for (const [other, sign] of near) {
    const beside = array(other).codes;
    for (let i = 0; i < count; i++) codes[i] += sign * beside[i];
  }
  return found;
}

// One row of an array; an array of one row is that of every row.
function rowOf(number, row) {
  const { rows, columns, scale, codes } = array(number);
  const at = (rows === 1 ? 0 : row) * columns;
  const values = new Float64Array(columns);
  for (let i = 0; i < columns; i++) values[i] = codes[at + i] / scale;
  return values;
}

// Several rows as one: their sum, or their mean by what weighs them.
function rowsOf(number, chosen, how, weight) {
  const total = new Float64Array(array(number).columns);
  const weights = new Float64Array(total.length);
  for (const row of chosen) {
    const own = rowOf(number, row);
    const weighing = how === "weighted" && weight !== undefined ? rowOf(weight, row) : null;
    for (let i = 0; i < own.length; i++) {
      const share = weighing ? weighing[i] : 1;
      total[i] += share * own[i];
      weights[i] += share;
    }
  }
  if (how !== "sum") {
    for (let i = 0; i < total.length; i++) total[i] = weights[i] > 0 ? total[i] / weights[i] : NaN;
  }
  return total;
}

// Hours are shown by the clock of whatever is chosen, or in UTC. Row -1 is all rows together.
const clockChoice = byId("clock");
const inUtc = () => clockChoice !== null && clockChoice.value === "utc";
function hoursOf(row) {
  if (inUtc()) return data.utc;
  return row >= 0 && data.clock.length ? data.clocks[data.clock[row]] : data.hours;
}
