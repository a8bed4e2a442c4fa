// Numbers, ticks, colours and SVG.
const MINUS = "\u2212", DASH = "\u2013";
const numbers = new Map();
function plain(value, digits) {
  if (value === null || !Number.isFinite(value)) return DASH;
  if (!numbers.has(digits)) {
    numbers.set(digits, new Intl.NumberFormat("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits }));
  }
  const text = numbers.get(digits).format(Math.abs(value));
  // What rounds to nothing has no sign.
  return value < 0 && /[1-9]/.test(text) ? MINUS + text : text;
}

// A figure as people read it: `form` says what stands before and behind it, and its decimals.
function figure(value, form, signed) {
  if (value === null || !Number.isFinite(value)) return DASH;
  const text = plain(value, form.digits);
  const below = text.startsWith(MINUS);
  const sign = below ? MINUS : signed && value > 0 && /[1-9]/.test(text) ? "+" : "";
  const suffix = signed && form.suffix === " %" ? " pts" : form.suffix;
  return sign + form.prefix + text.slice(below ? 1 : 0) + suffix;
}

function ticksOf(low, high, count) {
  if (!(high > low)) return [low];
  const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((factor) => factor * power >= rough) * power;
  const ticks = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k++) ticks.push(k * step);
  return ticks;
}

function short(value) {
  const size = Math.abs(value);
  if (size >= 1e6) return `${plain(value / 1e6, size >= 1e7 ? 0 : 1)}M`;
  if (size >= 1e4) return `${plain(value / 1e3, 0)}k`;
  return String(Number(value.toPrecision(3))).replace("-", MINUS);
}

const SVG = "http://www.w3.org/2000/svg";
function shape(tag, attributes, text) {
  const element = document.createElementNS(SVG, tag);
  for (const name in attributes) element.setAttribute(name, attributes[name]);
  if (text !== undefined) element.textContent = text;
  return element;
}

const WEEKDAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const weekdays = new Map();
function weekday(label) {
  const day = label.slice(0, 10);
  if (!weekdays.has(day)) weekdays.set(day, WEEKDAYS[new Date(`${day}T00:00Z`).getUTCDay()]);
  return weekdays.get(day);
}
const dayOf = (label) => `${weekday(label)} ${Number(label.slice(8, 10))}`;
const momentOf = (label) => `${dayOf(label)} ${MONTHS[Number(label.slice(5, 7)) - 1]} ${label.slice(11)}`;

const narrow = () => window.innerWidth < 620;
// Where days begin among hour labels, with their names.
function daysAmong(hours) {
  const found = [];
  hours.forEach((label, place) => { if (label.endsWith("T00:00")) found.push([place, narrow() ? weekday(label) : dayOf(label)]); });
  return found;
}

const STOPS = {
  light: ["#f3f6f6", "#bfdedd", "#76b8b9", "#2a868d", "#094a52"],
  dark: ["#171f27", "#1b474d", "#26787d", "#58c0c3", "#d2f3f1"],
  lightBoth: ["#8a4400", "#d08a45", "#f6f7f7", "#57a3a8", "#0b6a73"],
  darkBoth: ["#f0b06b", "#8d6136", "#171f27", "#2f7377", "#58c0c3"],
};

// 256 colours of a scale, as they lie in memory of a canvas.
function paletteOf(both) {
  const stops = STOPS[(root.dataset.theme === "dark" ? "dark" : "light") + (both ? "Both" : "")];
  const palette = new Uint32Array(256);
  for (let i = 0; i < 256; i++) {
    const at = (i / 255) * (stops.length - 1), left = Math.min(Math.floor(at), stops.length - 2), part = at - left;
    const [from, to] = [stops[left], stops[left + 1]].map((hex) => parseInt(hex.slice(1), 16));
    const mix = (shift) => Math.round(((from >> shift) & 255) * (1 - part) + ((to >> shift) & 255) * part);
    palette[i] = (255 << 24) | (mix(0) << 16) | (mix(8) << 8) | mix(16);
  }
  return palette;
}
const cssOf = (color) => `rgb(${color & 255}, ${(color >> 8) & 255}, ${(color >> 16) & 255})`;
