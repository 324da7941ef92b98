/* What a chart shows: its view, its marks, its cursor. Every chart is complete without this. */
const HELP = "Drag to zoom, double-click for the whole range; keys: arrows, +, \u2212, Escape.";
const MARK_PX = 95, FLAG_PX = 34;

function setUp(element) {
  const plot = element.querySelector(".plot"), svg = plot.querySelector("svg");
  const { start, unitNs, low, high, scale, link, unit } = element.dataset;
  const width = Number(svg.getAttribute("viewBox").split(" ")[2]);
  const full = { left: 0, right: width, top: 0, bottom: HEIGHT };
  const chart = {
    plot, svg, link, full, view: full, start: BigInt(start), unitNs: Number(unitNs),
    low: Number(low), high: Number(high), score: scale === "score", unit: unit || "",
    cursor: make("i", "cursor"), reading: make("div", "reading"), at: null, ticked: false,
    reset: make("button", "reset", "Whole range"), flags: [...plot.querySelectorAll(".flag")],
  };
  chart.cursor.hidden = chart.reading.hidden = chart.reset.hidden = true;
  chart.reading.setAttribute("role", "status");
  chart.reset.type = "button";
  chart.reset.onclick = () => zoom(chart, 0, width);
  plot.append(chart.cursor, chart.reading);
  element.append(chart.reset);
  plot.classList.add("live");
  plot.tabIndex = 0;
  plot.setAttribute("role", "group");
  plot.setAttribute("aria-label", `Chart. ${HELP}`);
  listen(chart);
  return chart;
}

const peers = (chart) => (chart.link ? charts.filter((c) => c.link === chart.link) : [chart]);

function lines(chart) {
  chart.lines ??= [...chart.svg.querySelectorAll("path[data-name]")].reverse().map(points);
  return chart.lines.filter((line) => line.x.length);
}

function bands(chart) {
  chart.bands ??= [...chart.svg.querySelectorAll("path[data-band]")].flatMap(spans);
  return chart.bands;
}

function value(chart, y) {
  const scaled = chart.high - (y / HEIGHT) * (chart.high - chart.low);
  const size = Math.abs(scaled);
  return chart.score && size > 1 ? Math.sign(scaled) * 10 ** (size - 1) : scaled;
}

function written(chart, y) {
  const shown = value(chart, y), { top, bottom } = chart.view;
  if (chart.score) return resolved(shown, Math.max(Math.abs(shown), 0.1) / 100);
  return resolved(shown, (value(chart, top) - value(chart, bottom)) / 500);
}

/* left, right: units of the given chart; its peers follow by time. */
function zoom(chart, left, right) {
  for (const peer of peers(chart)) {
    const ratio = chart.unitNs / peer.unitNs, most = peer.full.right;
    const from = clamp(left * ratio, 0, most), to = clamp(right * ratio, 0, most);
    if (to - from < most / 1e5) return;
    const whole = from <= 0 && to >= most;
    peer.view = whole ? peer.full : { ...peer.full, left: from, right: to };
    if (!whole && !peer.score) fit(peer);
    draw(peer);
  }
}

function fit(chart) {
  let top = Infinity, bottom = -Infinity;
  for (const { x, y } of lines(chart)) {
    for (let i = 0; i < x.length; i++) {
      if (x[i] < chart.view.left || x[i] > chart.view.right) continue;
      top = Math.min(top, y[i]);
      bottom = Math.max(bottom, y[i]);
    }
  }
  if (bottom < top) return;
  const room = Math.max(0.08 * (bottom - top), HEIGHT / 1000);
  Object.assign(chart.view, { top: top - room, bottom: bottom + room });
}

function draw(chart) {
  const { left, right, top, bottom } = chart.view;
  chart.svg.setAttribute("viewBox", `${left} ${top} ${right - left} ${bottom - top}`);
  chart.reset.hidden = chart.view === chart.full;
  chart.ticked = true;
  chart.plot.classList.add("ticked");
  chart.plot.querySelectorAll(chart.score ? ".tx" : ".tx, .ty").forEach((tick) => tick.remove());
  chart.svg.before(...timeTicks(chart), ...(chart.score ? [] : valueTicks(chart)));
  placeFlags(chart);
}

function tick(style, side, share, text, more) {
  const element = make("i", style), label = make("b", "", text);
  if (more) label.append(make("small", "", more));
  element.style[side] = `${100 * share}%`;
  element.append(label);
  return element;
}

function timeTicks(chart) {
  const { left, right } = chart.view, span = (right - left) * chart.unitNs;
  const most = Math.max(2, chart.plot.clientWidth / MARK_PX);
  const step = STEPS.find((s) => span / s < most) ?? STEPS.at(-1), size = BigInt(step);
  const start = chart.start + BigInt(Math.round(left * chart.unitNs));
  const marks = [];
  let last = "";
  for (let ns = (start / size) * size - size; ns <= start + BigInt(Math.ceil(span)); ns += size) {
    if (ns < start) continue;
    const [text, more] = mark(ns, step);
    marks.push(tick("tx", "left", Number(ns - start) / span, text, more === last ? "" : more));
    last = more;
  }
  return marks;
}

function valueTicks(chart) {
  const { top, bottom } = chart.view, high = value(chart, top), low = value(chart, bottom);
  const rough = (high - low) / 5, size = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * size).find((s) => s >= rough);
  const marks = [];
  for (let i = Math.ceil(low / step); i * step <= high; i++) {
    marks.push(tick("ty", "top", (high - i * step) / (high - low), resolved(i * step, step)));
  }
  return marks;
}

function placeFlags(chart) {
  const { left, right } = chart.view, pixels = chart.plot.clientWidth, placed = [];
  for (const flag of chart.flags) {
    const from = Math.max(Number(flag.dataset.from), left);
    const to = Math.min(Number(flag.dataset.to), right);
    const at = (((from + to) / 2 - left) / (right - left)) * pixels;
    flag.hidden = from > to || placed.some((other) => Math.abs(other - at) < FLAG_PX);
    if (!flag.hidden) placed.push(at);
    flag.style.left = `${at}px`;
  }
}

const share = (chart, x) => (x - chart.view.left) / (chart.view.right - chart.view.left);
const hide = (chart) => {
  for (const peer of peers(chart)) peer.cursor.hidden = peer.reading.hidden = true;
};

function show(chart, x) {
  for (const peer of peers(chart)) {
    const [first, ...others] = lines(peer).sort((a, b) => b.x.length - a.x.length);
    if (!first) continue;
    const at = first.x[nearest(first.x, (x * chart.unitNs) / peer.unitNs)];
    const texts = [first, ...others].map((line) => {
      const i = nearest(line.x, at);
      return `${line.name} ${written(peer, line.y[i])} ${peer.unit}`.trim();
    });
    const within = bands(peer).filter((band) => band.from <= at && at <= band.to);
    const time = clock(peer.start + BigInt(Math.round(at * peer.unitNs)));
    peer.reading.textContent = [time, ...texts, ...new Set(within.map((b) => b.name))].join("\n");
    peer.at = at;
    place(peer, share(peer, at), peer === chart || !peer.score);
  }
}

function place(chart, share, spoken) {
  const outside = share < 0 || share > 1;
  chart.cursor.hidden = outside;
  chart.reading.hidden = outside || !spoken; // one reading is enough where machines are compared
  chart.cursor.style.left = `${100 * share}%`;
  chart.reading.style.left = share < 0.5 ? `${100 * share}%` : "auto";
  chart.reading.style.right = share < 0.5 ? "auto" : `${100 * (1 - share)}%`;
}

function flagAt(chart, x) {
  const slack = (4 * (chart.view.right - chart.view.left)) / chart.plot.clientWidth;
  return chart.flags.find((f) => f.dataset.from - slack <= x && x <= Number(f.dataset.to) + slack);
}

