// Draws bytes, and where the page has a place for it how long backups took, from the data in the page.
(() => {
  "use strict";
  const data = JSON.parse(document.getElementById("plots-data").textContent);
  const colour = (name) => {
    const probe = document.createElement("span");
    probe.style.color = `var(--${name})`;
    document.body.append(probe);
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found;
  };
  const size = (value) => {
    const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let unit = 0;
    while (value >= 1000 && unit < units.length - 1) { value /= 1024; unit += 1; }
    return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
  };
  const seconds = (value) => `${Number(value.toFixed(value < 10 ? 1 : 0))} s`;
  const line = (label, name, shown) => ({
    label, stroke: colour(name), width: 2, value: (_, value) => (value == null ? "–" : shown(value)),
    points: {show: true, size: 5, fill: colour(name)},
  });
  const day = uPlot.fmtDate("{MM}-{DD}"), minute = uPlot.fmtDate("{HH}:{mm}");
  const moments = (_, ticks, __, ___, step) => ticks.map((tick) => (step >= 86400 ? day : minute)(new Date(tick * 1000)));
  const binary = Array.from({length: 50}, (_, power) => 2 ** power);
  const plots = [];
  const draw = (id, series, values, shown, steps) => {
    const place = document.getElementById(id);
    const text = colour("dim"), grid = {stroke: colour("line"), width: 1};
    const axis = {stroke: text, grid, ticks: grid};
    const plot = new uPlot({
      width: place.clientWidth, height: 240, legend: {live: true}, cursor: {drag: {x: true, y: false}},
      scales: {y: {range: (_, __, most) => [0, most > 0 ? most * 1.1 : 1]}},
      axes: [{...axis, values: moments}, {...axis, ...steps, size: 76, values: (_, ticks) => ticks.map(shown)}],
      series: [{label: place.dataset.time, value: "{YYYY}-{MM}-{DD} {HH}:{mm}"}, ...series],
    }, [data.at, ...values], place);
    plots.push([plot, place]);
  };
  const redraw = () => {
    for (const [plot, place] of plots.splice(0)) { plot.destroy(); place.textContent = ""; }
    const bytes = document.getElementById("plot-bytes").dataset, took = document.getElementById("plot-took")?.dataset;
    draw("plot-bytes", [line(bytes.raw, "busy", size), line(bytes.stored, "good", size)], [data.raw, data.stored], size, {incrs: binary});
    if (!took) return;
    const failed = {...line(took.failed, "bad", seconds), width: 0, points: {show: true, size: 8, fill: colour("bad")}};
    draw("plot-took", [line(took.took, "busy", seconds), failed],
      [data.took, data.took.map((value, at) => (data.failed[at] ? value : null))], seconds, {});
  };
  redraw();
  addEventListener("resize", () => { for (const [plot, place] of plots) plot.setSize({width: place.clientWidth, height: 240}); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
})();
