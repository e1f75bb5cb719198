// Logs: the search goes on by itself until it is stopped, new lines are counted, and the plot narrows the time.
(() => {
  "use strict";
  const leave = (step, kind) => {
    const text = document.getElementById(kind), rest = document.createElement("li");
    rest.className = "step";
    rest.append(text.content.cloneNode(true));
    const link = rest.querySelector("a");
    link.href = step.dataset.stopped;
    link.addEventListener("click", (event) => { // in place, below what is shown
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      const again = document.createElement("li");
      again.className = "step";
      for (const name of ["hx-get", "hx-trigger", "hx-swap", "data-stopped"]) again.setAttribute(name, step.getAttribute(name));
      again.append(...step.cloneNode(true).childNodes);
      rest.replaceWith(again);
      htmx.process(again);
    });
    step.dispatchEvent(new CustomEvent("htmx:abort"));
    step.replaceWith(rest);
    return rest;
  };
  document.querySelector("form.search")?.addEventListener("formdata", (event) => { // a short address
    for (const [name, value] of [...event.formData]) if (!value) event.formData.delete(name);
  });
  document.addEventListener("click", (event) => {
    const stop = event.target.closest?.("[data-stop]"), hide = event.target.closest?.("[data-hide]");
    if (stop) leave(stop.closest(".step"), "stopped").querySelector("a").focus();
    if (hide) {
      const hit = hide.closest(".hit");
      hide.closest(".around").replaceChildren();
      hit.querySelector(".acts a").focus();
    }
  });
  const failed = (event) => {
    const step = event.detail?.ctx?.sourceElement?.closest?.(".step[data-stopped]");
    if (step?.isConnected && (event.type === "htmx:error" || !event.detail.ctx.text)) leave(step, "failed");
  };
  for (const name of ["htmx:error", "htmx:response:error"]) document.addEventListener(name, failed);

  // What is newer than the newest line that is shown is counted as soon as there is one, or no line at all.
  const watch = () => {
    const part = document.getElementById("new");
    if (!part?.dataset.of) return;
    const shown = document.querySelector(".hit[data-place]:not([data-place=''])"), ended = document.querySelector(".step.end");
    if (!shown && (!ended || document.querySelector(".hit"))) return;
    part.dataset.from = part.dataset.of + (part.dataset.of.includes("?") ? "&" : "?") + "newest=" + encodeURIComponent(shown?.dataset.place || "");
    part.dataset.poll = "10";
    delete part.dataset.of;
  };

  const colour = (place, name) => {
    const probe = document.createElement("span");
    probe.className = "key " + name;
    place.append(probe);
    const found = getComputedStyle(probe, "::before").backgroundColor;
    probe.remove();
    return found;
  };
  const minutes = [1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720], days = [1, 2, 3, 5, 7, 10, 15, 30, 60, 90, 180, 365, 730, 3650];
  const steps = [...minutes.map((one) => one * 60), ...days.map((one) => one * 86400)]; // between times on the axis
  let drawn = null;
  const draw = (place) => {
    const data = JSON.parse(document.getElementById(place.dataset.plot).textContent);
    const [bad, warn, other] = data.counts;
    const stacked = [
      data.times,
      data.times.map((_, at) => bad[at] + warn[at] + other[at]),
      data.times.map((_, at) => bad[at] + warn[at]),
      bad,
    ];
    const dim = getComputedStyle(place).color, line = colour(place, "rule");
    const bars = uPlot.paths.bars({size: [0.9, 60], align: 1});
    const series = (name) => ({fill: colour(place, name), stroke: colour(place, name), width: 0, paths: bars, points: {show: false}});
    const axis = {stroke: dim, grid: {stroke: line, width: 1}, ticks: {stroke: line, width: 1}, font: "12px system-ui, sans-serif"};
    const narrow = (plot) => {
      const {left, width} = plot.select;
      if (width < 3) return;
      const floor = (second) => second - (second % data.seconds);
      const since = floor(plot.posToVal(left, "x")), until = floor(plot.posToVal(left + width, "x")) + data.seconds;
      const write = (second) => new Date(second * 1000).toISOString().slice(0, 19) + "Z";
      const to = new URL(data.link, location.href);
      to.searchParams.set("since", write(since));
      to.searchParams.set("until", write(until));
      location.assign(to);
    };
    const name = (_, splits) => splits.map((second, at) => {
      const [day, clock] = new Date(second * 1000).toISOString().split("T");
      const before = at && new Date(splits[at - 1] * 1000).toISOString().split("T")[0];
      if (data.seconds >= 86400) return day;
      return day === before ? clock.slice(0, 5) : clock.slice(0, 5) + "\n" + day;
    });
    const end = data.times[data.times.length - 1] + data.seconds;
    drawn = new uPlot({
      width: place.clientWidth,
      height: 150,
      padding: [8, 36, 0, 0],
      legend: {show: false},
      tzDate: (second) => uPlot.tzDate(new Date(second * 1000), "Etc/UTC"),
      scales: {x: {range: () => [data.times[0], end]}, y: {range: (_, low, high) => [0, Math.max(1, high * 1.08)]}},
      axes: [{...axis, values: name, space: 90, incrs: steps.filter((step) => step >= data.seconds)}, {...axis, size: 56}],
      series: [{}, series("calm"), series("warning"), series("grave")],
      cursor: {y: false, drag: {x: true, y: false, setScale: false}},
      hooks: {setSelect: [narrow]},
    }, stacked, place);
  };
  const redraw = () => {
    const place = document.querySelector("[data-plot]");
    if (!place || !place.clientWidth) return;
    drawn?.destroy();
    draw(place);
  };
  const prepare = () => {
    for (const button of document.querySelectorAll(".step [hidden]")) button.hidden = false;
    watch();
    const place = document.querySelector("[data-plot]");
    if (place && !place.firstChild) draw(place);
  };
  let waiting = 0, last = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth === last) return;
    last = innerWidth;
    clearTimeout(waiting);
    waiting = setTimeout(redraw, 150);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  document.addEventListener("htmx:after:swap", prepare);
  prepare();
})();
