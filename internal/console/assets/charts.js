"use strict";
// Charts of live series. A drag on one sets the time of all.

(() => {
  const plots = document.getElementById("plots");
  if (!plots || !window.uPlot) return;
  const spans = document.getElementById("spans");
  for (const id of ["plots", "spans", "plots-help"]) document.getElementById(id).hidden = false;
  document.getElementById("plots-table").open = false;

  // Colours are the style sheet's: a canvas cannot read them from there by itself.
  const probe = document.createElement("span");
  probe.hidden = true;
  plots.append(probe);
  const colour = (name) => {
    probe.style.color = "var(" + name + ")";
    return getComputedStyle(probe).color;
  };

  let length = 3600, zoom = null, at = [], values = {}, charts = [];
  const span = () => (length > 3600 ? "day" : "hour");
  const points = () => (span() === "day" ? 1440 : 1800);
  const shown = () => zoom ?? { min: Math.floor(Date.now() / 1000) - length, max: Math.floor(Date.now() / 1000) };
  const number = (v) => (v == null ? "–" : Math.abs(v) >= 100 || Number.isInteger(v) ? v.toFixed(0) : v.toPrecision(3));

  const clock = (v, seconds) => new Date(v * 1000).toISOString().slice(11, seconds ? 19 : 16);
  // A value between two moments of which nothing is known is no line: it is drawn as a point.
  const alone = (u, line) => {
    const v = u.data[line], found = [];
    for (let i = 0; i < v.length; i++) if (v[i] != null && v[i - 1] == null && v[i + 1] == null) found.push(i);
    return found;
  };

  function show() {
    const window = shown();
    for (const c of charts) {
      c.plot.setData([at, ...c.keys.map((k) => values[k] ?? [])], false);
      c.plot.setScale("x", window);
    }
  }

  function pick(u) {
    if (u.select.width < 4) return;
    zoom = { min: u.posToVal(u.select.left, "x"), max: u.posToVal(u.select.left + u.select.width, "x") };
    u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    mark();
    show();
  }

  function draw() {
    for (const c of charts) c.plot.destroy();
    const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line"), width: 1 } };
    charts = [...plots.querySelectorAll("figure")].map((figure) => {
      const lines = [...figure.querySelectorAll(".line-of")], area = figure.querySelector(".plot-area");
      const plot = new uPlot({
        width: Math.max(area.clientWidth, 200), height: 170,
        tzDate: (ts) => uPlot.tzDate(new Date(ts * 1000), "Etc/UTC"), // where the axis is divided
        cursor: { sync: { key: "live" }, drag: { x: true, y: false, setScale: false }, points: { size: 6 }, bind: { dblclick: () => () => { zoom = null; mark(); show(); return null; } } },
        scales: { x: { time: true }, y: { range: (u, min, max) => [0, Math.max(max ?? 0, 1e-3) * 1.1] } },
        axes: [{ ...axis, space: 64, values: (u, all) => all.map((v) => clock(v, u.scales.x.max - u.scales.x.min < 600)) }, { ...axis, size: 54, values: (u, all) => all.map(number) }],
        series: [{ label: "UTC", value: (u, v) => (v == null ? "–" : clock(v, true)) }, ...lines.map((line) => ({
          label: line.textContent, stroke: colour("--c" + line.dataset.colour), width: 1.5, value: (u, v) => number(v), points: { show: true, size: 4, filter: alone },
        }))],
        hooks: { setSelect: [pick] },
      }, [[], ...lines.map(() => [])], area);
      return { plot, area, keys: lines.map((line) => line.value) };
    });
    show();
  }

  async function load() {
    if (document.visibilityState !== "visible") return;
    const asked = span();
    let answer;
    try {
      const response = await fetch(plots.dataset.url + "&span=" + asked + "&after=" + (at.at(-1) ?? 0));
      if (!response.ok) return;
      answer = await response.json();
    } catch {
      return; // the server is away: the charts stay as they are
    }
    if (asked !== span() || (at.length && answer.at[0] <= at.at(-1))) return;
    const before = at.length, over = Math.max(before + answer.at.length - points(), 0);
    at = at.concat(answer.at).slice(over);
    for (const key of new Set([...Object.keys(values), ...Object.keys(answer.values)])) {
      const old = values[key] ?? new Array(before).fill(null);
      values[key] = old.concat(answer.values[key] ?? new Array(answer.at.length).fill(null)).slice(over);
    }
    show();
  }

  function mark() {
    for (const b of spans.querySelectorAll("button")) b.setAttribute("aria-pressed", String(!zoom && Number(b.dataset.span) === length));
  }

  spans.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    const before = span();
    length = Number(button.dataset.span);
    zoom = null;
    if (span() !== before) {
      at = [];
      values = {};
      load();
    }
    mark();
    show();
  });
  new ResizeObserver(() => {
    for (const c of charts) {
      const width = Math.max(c.area.clientWidth, 200);
      if (width !== c.plot.width) c.plot.setSize({ width, height: 170 });
    }
  }).observe(plots);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  document.addEventListener("visibilitychange", load);
  draw();
  load();
  setInterval(load, 4000);
  window.livePlots = { shown: () => charts.map((c) => ({ min: c.plot.scales.x.min, max: c.plot.scales.x.max, points: c.plot.data[0].length })) };
})();
