/* What moves a chart: pointer, wheel and keys. */
const CLICK_PX = 4;

function listen(chart) {
  const { plot } = chart, chosen = make("i", "chosen");
  let from = null;
  const pixel = (event) => {
    const box = plot.getBoundingClientRect();
    return clamp(event.clientX - box.left, 0, box.width);
  };
  const unit = (px) =>
    chart.view.left + (px / plot.clientWidth) * (chart.view.right - chart.view.left);
  const stop = () => ((from = null), chosen.remove());

  plot.addEventListener("pointerdown", (event) => {
    if (event.button === 0 && !event.target.closest(".flag")) from = pixel(event);
  });
  plot.addEventListener("pointermove", (event) => {
    const now = pixel(event);
    show(chart, unit(now));
    plot.style.cursor = flagAt(chart, unit(now)) ? "pointer" : "";
    if (from === null || Math.abs(now - from) <= CLICK_PX) return;
    plot.setPointerCapture(event.pointerId);
    plot.append(chosen);
    chosen.style.left = `${Math.min(from, now)}px`;
    chosen.style.width = `${Math.abs(now - from)}px`;
  });
  plot.addEventListener("pointerup", (event) => {
    if (from === null) return;
    const now = pixel(event), ends = [from, now].sort((a, b) => a - b).map(unit);
    const dragged = Math.abs(now - from) > CLICK_PX;
    stop();
    if (dragged) return zoom(chart, ...ends);
    flagAt(chart, ends[0])?.click();
  });
  plot.addEventListener("pointercancel", stop);
  plot.addEventListener("pointerleave", () => hide(chart));
  plot.addEventListener("blur", () => hide(chart));
  plot.addEventListener("dblclick", () => zoom(chart, 0, chart.full.right));
  plot.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return; // the wheel alone scrolls the page
    event.preventDefault();
    around(chart, unit(pixel(event)), event.deltaY < 0 ? 0.7 : 1 / 0.7);
  }, { passive: false });
  plot.addEventListener("keydown", (event) => press(chart, event));
}

function around(chart, x, factor) {
  const { left, right } = chart.view;
  zoom(chart, x - (x - left) * factor, x + (right - x) * factor);
}

function press(chart, event) {
  const { left, right } = chart.view, longest = lines(chart).sort((a, b) => b.x.length - a.x.length);
  if (!longest.length || event.ctrlKey || event.metaKey || event.altKey) return;
  const xs = longest[0].x, at = chart.at ?? (left + right) / 2;
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (step) show(chart, xs[clamp(nearest(xs, at) + step, 0, xs.length - 1)]);
  else if (event.key === "+" || event.key === "=") around(chart, at, 0.5);
  else if (event.key === "-") around(chart, at, 2);
  else if (event.key === "Escape") zoom(chart, 0, chart.full.right);
  else return;
  event.preventDefault();
}

const charts = [...document.querySelectorAll(".chart")].map(setUp);
charts.filter((chart) => chart.flags.length).forEach(draw); // as many flags as there is room for
document.querySelector("#timelines .hint").append(` ${HELP}`);
addEventListener("resize", () => charts.filter((c) => c.ticked).forEach(draw));
addEventListener("beforeprint", () => {
  document.querySelectorAll("details").forEach((element) => (element.open = true));
});
