"use strict";
/* Numbers, times and points, read from the drawing and written for a person.
   x counts units of time from the left, y from 0 (top) to HEIGHT. */
const HEIGHT = 100000, SECOND = 1e9, DAY = 86400e9;
const STEPS = [];
for (let e = 1; e < SECOND; e *= 10) STEPS.push(e, 2 * e, 5 * e);
for (const u of [SECOND, 60 * SECOND]) STEPS.push(...[1, 2, 5, 10, 15, 30].map((m) => m * u));
STEPS.push(...[1, 2, 3, 6, 12].map((h) => h * 3600 * SECOND));
for (let d = DAY; d < 1e6 * DAY; d *= 10) STEPS.push(d, 2 * d, 5 * d);

const clamp = (v, low, high) => Math.min(Math.max(v, low), high);
const make = (name, style, text = "") => {
  const element = document.createElement(name);
  element.className = style;
  element.textContent = text;
  return element;
};
const numbers = (text) => (text.match(/-?\d+/g) || []).map(Number);

function points(path) {
  const x = [], y = [];
  for (const piece of path.getAttribute("d").split("M").slice(1)) {
    const [start, steps = ""] = piece.split("l");
    let [px, py] = numbers(start);
    x.push(px), y.push(py);
    const moves = numbers(steps);
    for (let i = 0; i + 1 < moves.length; i += 2) {
      x.push((px += moves[i])), y.push((py += moves[i + 1]));
    }
  }
  return { name: path.dataset.name, x, y };
}

function spans(path) {
  const found = path.getAttribute("d").split("M").slice(1).map(numbers);
  return found.map((n) => ({ name: path.dataset.band, from: n[0], to: n[2] }));
}

function nearest(xs, x) {
  let low = 0, high = xs.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (xs[middle] < x) low = middle;
    else high = middle;
  }
  return x - xs[low] <= xs[high] - x ? low : high;
}

const spelled = (text) => text.replace("e+", "e").replaceAll("-", "\u2212");

/* As many decimals as it takes to see a difference of `step`. */
function resolved(value, step) {
  const size = Math.abs(value);
  if (size < 1e7 && step >= 1e-5) {
    return spelled(value.toFixed(Math.max(0, -Math.floor(Math.log10(step)))));
  }
  const digits = Math.ceil(Math.log10(Math.max(size, step) / step)) + 1;
  return spelled(String(Number(value.toPrecision(clamp(digits, 4, 15)))));
}

/* Times are nanoseconds beyond what a number holds exactly, hence BigInt. */
function iso(ns) {
  const second = ns / 1000000000n - (ns % 1000000000n < 0n ? 1n : 0n);
  const rest = String(ns - second * 1000000000n).padStart(9, "0");
  const whole = new Date(Number(second) * 1000).toISOString();
  return { day: whole.slice(0, 10), time: whole.slice(11, 19), rest };
}

function clock(ns) {
  const { day, time, rest } = iso(ns);
  return `${day} ${time}.${rest}`.replace(/\.0*$|(\.\d*[1-9])0+$/, "$1") + " UTC";
}

function mark(ns, step) {
  const { day, time, rest } = iso(ns);
  if (step >= DAY) return [day.slice(5), day.slice(0, 4)];
  if (step < SECOND) {
    const decimals = 9 - Math.floor(Math.log10(step));
    return [`${time.slice(6)}.${rest}`.slice(0, 3 + decimals), `${day} ${time.slice(0, 5)}`];
  }
  return [step < 60 * SECOND ? time : time.slice(0, 5), day];
}

