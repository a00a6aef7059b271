// The report page: draws what the element #data holds, with Chart.js.
// SPDX-License-Identifier: BSD-3-Clause
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
// Okabe and Ito's colours, which people with any colour vision tell apart; black is the ink.
const kColours = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];
const kLabelled = kColours.length;  // runs that get a colour and a label; the others stay grey
const kPhases = [["data_wait_ms", "data"], ["forward_ms", "forward"], ["backward_ms", "backward"],
  ["exposed_comm_ms", "exposed communication"], ["optimizer_ms", "optimizer"]];
const state = {x: "step", smoothing: 0.5, filter: "", sort: "rank", descending: false, range: null,
  hidden: new Set(), pinned: new Set(), log: {}};
const charts = {};

// ---- runs ------------------------------------------------------------------------------------
const byError = (a, b) => (a.error ?? Infinity) - (b.error ?? Infinity);
for (const run of data.runs) {
  run.error = run.last.top1 === undefined ? null : 100 - run.last.top1;
  run.bestError = run.best ? 100 - run.best[0] : null;
}
[...data.runs].sort(byError).forEach((run, i) => { run.rank = run.error === null ? null : i + 1; run.order = i; });

const visible = run => !state.hidden.has(run) && matches(run);
const matches = run => state.filter.toLowerCase().split(/\s+/).every(word =>
  [run.name, run.state, ...Object.entries(run.keys).map(([k, v]) => `${k}=${v}`)].some(t => t.toLowerCase().includes(word)));

// Which runs get a colour: those that are pinned, then the best of the visible ones.
function colourRuns() {
  const shown = data.runs.filter(visible).sort((a, b) => a.order - b.order);
  const chosen = [...shown.filter(r => state.pinned.has(r)), ...shown.filter(r => !state.pinned.has(r))].slice(0, kLabelled);
  const taken = new Set(chosen.map(r => r.colour).filter(c => kColours.includes(c)));
  for (const run of data.runs) if (!chosen.includes(run)) run.colour = null;
  const used = new Set();
  for (const run of chosen) {
    if (!run.colour || used.has(run.colour)) run.colour = kColours.find(c => !taken.has(c) && !used.has(c)) ?? kColours.find(c => !used.has(c));
    used.add(run.colour);
  }
}

// ---- figures over the course of a run ----------------------------------------------------------
// Hours are those of training, from the logged images a second.
function positions(run, curve) {
  if (state.x === "step") return curve.step;
  if (state.x === "epoch") return curve.step.map(s => s / (run.steps_per_epoch || 1));
  let hours = 0, at = 0, i = 0;
  const train = run.train;
  return curve.step.map(step => {
    for (; i < train.step.length && train.step[i] <= step; ++i) {
      hours += (train.step[i] - at) * run.global_batch / (train.images_per_second[i] || Infinity) / 3600;
      at = train.step[i];
    }
    return hours;
  });
}

// An exponential mean that does not lag at its beginning.
function smooth(values, weight) {
  let sum = 0, weights = 0;
  return values.map(v => {
    if (v === null) return null;
    sum = sum * weight + v * (1 - weight);
    weights = weights * weight + 1 - weight;
    return sum / weights;
  });
}

function points(run, curve, values, smoothed) {
  const xs = positions(run, curve);
  const ys = smoothed ? smooth(values, state.smoothing) : values;
  return xs.map((x, i) => ({x, y: ys[i], step: curve.step[i]})).filter(p => p.y !== null && p.y !== undefined);
}

const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
// The more lines there are, the fainter is each.
const grey = () => {
  const alpha = Math.max(.07, .4 / Math.sqrt(1 + data.runs.length / 20));
  return isDark() ? `rgba(170,180,190,${alpha})` : `rgba(80,90,100,${alpha})`;
};
const isDark = () => document.documentElement.dataset.theme === "dark";
const colourOf = run => run.colour ?? grey();

function line(run, curve, values, options = {}) {
  const shown = points(run, curve, values, options.smoothed);
  return {label: run.name, run, data: shown, borderColor: colourOf(run), backgroundColor: colourOf(run),
    borderWidth: run.colour ? 2 : 1, borderDash: options.dash, pointRadius: options.dots && (run.colour || shown.length < 3) ? 2.5 : shown.length === 1 ? 3 : 0,
    pointHoverRadius: 5, tension: 0, order: run.colour ? run.order : 1000 + run.order, labelled: options.labelled !== false && !!run.colour};
}

// Starts after the first, and ends that were not the last word, at the height of the curve.
function markers(run, curve, values) {
  const drawn = points(run, curve, values, true);
  if (!drawn.length || !run.colour) return [];
  const marks = run.marks.slice(1).filter(m => m[1] !== 0);
  if (!marks.length) return [];
  const near = step => drawn.reduce((a, b) => Math.abs(b.step - step) < Math.abs(a.step - step) ? b : a);
  return [{label: run.name, run, type: "scatter", data: marks.map(([step, code]) => ({...near(step), mark: code === null ? `started again after step ${step}` : `ended with ${code} at step ${step}`})),
    pointStyle: marks.map(m => m[1] === null ? "triangle" : "crossRot"), pointRadius: 7, borderWidth: 2.5, borderColor: run.colour, backgroundColor: css("--paper"), order: -1, showLine: false}];
}

const errorsOf = top1 => top1.map(v => v === null ? null : 100 - v);
const seriesOf = {
  loss: runs => runs.flatMap(r => [line(r, r.train, r.train.loss, {smoothed: true}),
    ...(r.colour && r.validation.loss ? [line(r, r.validation, r.validation.loss, {dash: [5, 4], labelled: false})] : []), ...markers(r, r.train, r.train.loss)]),
  error: runs => runs.filter(r => r.validation.top1).flatMap(r => [line(r, r.validation, errorsOf(r.validation.top1), {dots: r.validation.step.length < 40}),
    ...(r.colour && r.validation.ema_top1 ? [line(r, r.validation, errorsOf(r.validation.ema_top1), {dash: [5, 4], labelled: false})] : [])]),
  learning_rate: runs => runs.map(r => line(r, r.train, r.train.lr)),
  images_per_second: runs => runs.map(r => line(r, r.train, r.train.images_per_second, {smoothed: true})),
};

// ---- drawing -----------------------------------------------------------------------------------
// Names at the ends of the lines, moved apart.
const directLabels = {
  id: "directLabels",
  afterDatasetsDraw(chart) {
    const {ctx, chartArea} = chart, labels = [];
    chart.data.datasets.forEach((set, i) => {
      if (!set.labelled) return;
      if (set.joined) return;
      const inside = chart.getDatasetMeta(i).data.filter(p => p.x <= chartArea.right + 1 && p.x >= chartArea.left - 1);
      if (inside.length) labels.push({text: labelOf(set), x: inside.at(-1).x, y: Math.min(Math.max(inside.at(-1).y, chartArea.top), chartArea.bottom), colour: set.borderColor});
    });
    labels.sort((a, b) => a.y - b.y);
    const step = 14, overflow = () => labels.length && labels.at(-1).y - (chartArea.bottom + 4);
    labels.forEach((l, i) => { if (i && l.y < labels[i - 1].y + step) l.y = labels[i - 1].y + step; });
    if (overflow() > 0) for (let i = labels.length - 1, y = chartArea.bottom + 4; i >= 0; --i, y -= step) labels[i].y = Math.min(labels[i].y, y);
    ctx.save();
    ctx.font = kLabelFont;
    ctx.textBaseline = "middle";
    for (const l of labels) { ctx.fillStyle = l.colour; ctx.fillText(l.text, chartArea.right + 6, l.y); }
    ctx.restore();
  }
};
const kLabelFont = "600 12px system-ui, sans-serif";
const labelOf = set => shorten(set.label, innerWidth < 640 ? 11 : 18) + (set.more ? ` +${set.more}` : "");
// Lines that lie on each other, as rates do, share the label of the first.
function joinLabels(sets) {
  const first = new Map();
  for (const set of sets.filter(s => s.labelled)) {
    const curve = set.data.map(p => `${p.x},${p.y}`).join(" ");
    if (first.has(curve)) { set.joined = true; first.get(curve).more++; } else { set.more = 0; first.set(curve, set); }
  }
}
const shorten = (text, n) => text.length <= n ? text : text.slice(0, Math.ceil(n / 2) - 1) + "…" + text.slice(-(Math.floor(n / 2)));

const spreadBars = {
  id: "spreadBars",
  afterDatasetsDraw(chart) {
    const ctx = chart.ctx;
    chart.data.datasets.forEach((set, i) => set.data.forEach((p, k) => {
      if (!p.spread) return;
      const at = chart.getDatasetMeta(i).data[k], top = chart.scales.y.getPixelForValue(p.y + p.spread), bottom = chart.scales.y.getPixelForValue(p.y - p.spread);
      ctx.save();
      ctx.strokeStyle = set.borderColor;
      ctx.lineWidth = 1.5;
      ctx.beginPath();
      ctx.moveTo(at.x, top); ctx.lineTo(at.x, bottom);
      for (const y of [top, bottom]) { ctx.moveTo(at.x - 4, y); ctx.lineTo(at.x + 4, y); }
      ctx.stroke();
      ctx.restore();
    }));
  }
};

const number = v => v === null || v === undefined ? "" : Math.abs(v) >= 1e5 || (v !== 0 && Math.abs(v) < 1e-3) ? v.toExponential(2) : String(+v.toPrecision(4));

// For ticks: 250k, 1.5M.
const brief = v => Math.abs(v) >= 1e6 ? +(v / 1e6).toPrecision(4) + "M" : Math.abs(v) >= 1e4 ? +(v / 1e3).toPrecision(4) + "k" : number(v);

function axis(title, log) {
  const small = innerWidth < 640;
  return {type: log ? "logarithmic" : "linear", title: {display: true, text: title, color: css("--soft")}, grid: {color: css("--line"), drawBorder: false},
    ticks: {color: css("--soft"), maxTicksLimit: small ? 5 : 8, maxRotation: 0, includeBounds: false, callback: brief}};
}

function figure(name, title, options = {}) {
  const element = document.createElement("figure");
  element.id = name;
  const head = document.createElement("div");
  head.className = "head";
  head.append(Object.assign(document.createElement("h2"), {textContent: title}));
  if (options.log) {
    const label = document.createElement("label"), box = Object.assign(document.createElement("input"), {type: "checkbox"});
    box.addEventListener("change", () => { state.log[name] = box.checked; draw(); });
    label.append(box, " log axis");
    head.append(label);
  }
  const plot = document.createElement("div"), canvas = document.createElement("canvas");
  plot.className = "plot";
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", title);
  plot.append(canvas);
  element.append(head, plot);
  for (const [text, where] of [[options.note, ""], [options.hint, " screen"]]) {
    if (text) element.append(Object.assign(document.createElement("p"), {className: `soft${where}`, textContent: text}));
  }
  document.querySelector(".charts").append(element);
  return canvas;
}

function tooltip(lines) {
  return {callbacks: {title: items => items.length ? items[0].dataset.run?.name ?? items[0].dataset.label : "", label: lines}};
}

function addLineChart(name, title, y, options = {}) {
  if (!data.runs.some(r => seriesOf[name]([r]).some(s => s.data.length))) return;
  const canvas = figure(name, title, {log: true, ...options});
  const chart = charts[name] = new Chart(canvas, {type: "line", data: {datasets: []}, plugins: [directLabels], options: {
    animation: false, parsing: false, normalized: true, maintainAspectRatio: false, layout: {padding: {right: 0}},
    interaction: {mode: "nearest", axis: "xy", intersect: false},
    plugins: {legend: {display: false}, tooltip: tooltip(item => item.raw.mark ?? `${y} ${number(item.parsed.y)} at ${state.x} ${number(item.parsed.x)}`)}}});
  chart.y = y;
  addZoom(chart, canvas);
}

// Drag along x to zoom all curves, double click for the whole.
function addZoom(chart, canvas) {
  let from = null;
  const box = Object.assign(document.createElement("div"), {style: "position:absolute;top:0;bottom:24px;background:rgba(120,140,160,.25);display:none;pointer-events:none"});
  canvas.parentElement.append(box);
  const at = event => event.clientX - canvas.getBoundingClientRect().left;
  canvas.addEventListener("pointerdown", event => { if (event.pointerType !== "touch") from = at(event); });
  canvas.addEventListener("pointermove", event => {
    if (from === null) return;
    Object.assign(box.style, {display: "block", left: Math.min(from, at(event)) + "px", width: Math.abs(at(event) - from) + "px"});
  });
  addEventListener("pointerup", event => {
    if (from === null) return;
    const ends = [from, at(event)].sort((a, b) => a - b).map(x => chart.scales.x.getValueForPixel(x));
    const wide = Math.abs(at(event) - from) > 8;
    from = null;
    box.style.display = "none";
    if (wide) { state.range = ends; draw(); }
  });
  canvas.addEventListener("dblclick", () => { state.range = null; draw(); });
}

// The error's axis ends where the curves have left their beginning: it shows twice the part of it in
// which the better half of all points lies.
function errorLimit(sets) {
  const inside = p => !state.range || (p.x >= state.range[0] && p.x <= state.range[1]);
  const all = sets.flatMap(s => s.data.filter(inside).map(p => p.y)).sort((a, b) => a - b);
  if (all.length < 8) return undefined;
  const low = all[0], middle = all[Math.floor(all.length / 2)];
  return Math.min(Math.ceil(all.at(-1)), Math.ceil(low + 2 * Math.max(middle - low, .5)));
}

function drawLines() {
  const runs = data.runs.filter(visible);
  for (const [name, of] of Object.entries(seriesOf)) {
    const chart = charts[name];
    if (!chart) continue;
    const sets = chart.data.datasets = of(runs);
    chart.options.scales = {x: axis(state.x === "hours" ? "hours of training" : state.x, false), y: axis(chart.y, state.log[name])};
    if (state.range) Object.assign(chart.options.scales.x, {min: state.range[0], max: state.range[1]});
    else if (sets.length) chart.options.scales.x.min = 0, chart.options.scales.x.max = Math.max(...sets.flatMap(s => s.data.slice(-1).map(p => p.x)));
    joinLabels(sets);
    if (name === "error" && !state.log.error) chart.options.scales.y.max = errorLimit(sets);
    if (name === "images_per_second" && !state.log[name]) chart.options.scales.y.beginAtZero = true;
    chart.ctx.font = kLabelFont;
    const widest = Math.max(0, ...sets.filter(s => s.labelled && !s.joined).map(s => chart.ctx.measureText(labelOf(s)).width));
    chart.options.layout.padding.right = widest ? 10 + widest : 8;
    chart.update();
  }
}

// ---- groups of seeds, phases, parallel coordinates ---------------------------------------------
// Runs that differ in their seed only stand as one point with the spread of its seeds.
function groups(of) {
  const all = new Map();
  for (const run of data.runs.filter(visible)) {
    if (run.error === null || of(run) === null || of(run) === undefined) continue;
    if (!all.has(run.group)) all.set(run.group, []);
    all.get(run.group).push(run);
  }
  return [...all.values()].map(runs => {
    const mean = runs.reduce((sum, r) => sum + r.error, 0) / runs.length;
    const squares = runs.reduce((sum, r) => sum + (r.error - mean) ** 2, 0);
    return {runs, x: of(runs[0]), y: mean, spread: runs.length > 1 ? Math.sqrt(squares / (runs.length - 1)) : 0};
  });
}

function addScatter(name, title, x, of, logX) {
  const known = new Set(data.runs.filter(r => r.error !== null).map(of).filter(v => v !== null && v !== undefined));
  if (known.size < 2) return;
  const canvas = figure(name, title, {note: "Last validation; bars are the standard deviation over seeds."});
  const chart = charts[name] = new Chart(canvas, {type: "scatter", data: {datasets: []}, plugins: [spreadBars], options: {animation: false, maintainAspectRatio: false, interaction: {mode: "nearest", intersect: false},
    plugins: {legend: {display: false}, tooltip: {callbacks: {label: item => {
      const p = item.raw;
      return `${p.runs[0].name}${p.runs.length > 1 ? ` and ${p.runs.length - 1} more seeds` : ""}: ${number(p.y)} %${p.spread ? ` ± ${number(p.spread)}` : ""} at ${number(p.x)}`;
    }}}}}});
  chart.redraw = () => {
    const shown = groups(of);
    chart.data.datasets = [{data: shown, borderColor: css("--accent"), backgroundColor: css("--accent"), pointRadius: 5, pointHoverRadius: 7}];
    chart.options.scales = {x: axis(x, logX), y: axis("top-1 error, %", false)};
    const ends = shown.flatMap(p => [p.y - p.spread, p.y + p.spread]), room = .06 * (Math.max(...ends) - Math.min(...ends)) + .05;
    Object.assign(chart.options.scales.y, {suggestedMin: Math.min(...ends) - room, suggestedMax: Math.max(...ends) + room});
    chart.options.scales.x.ticks.callback = logX ? v => known.has(v) ? v : "" : number;
    if (logX) Object.assign(chart.options.scales.x, {min: Math.min(...known) / 1.3, max: Math.max(...known) * 1.3,
      afterBuildTicks: scale => { scale.ticks = [...known].sort((a, b) => a - b).map(value => ({value})); }});
    chart.update();
  };
}

const kMostBars = 24;
function addPhases() {
  if (!data.runs.some(r => r.phases)) return;
  const many = data.runs.filter(r => r.phases).length > kMostBars;
  const canvas = figure("step_time", "Time of a step", many ? {note: `The first ${kMostBars} of the visible runs, as ranked.`} : {});
  const chart = charts.step_time = new Chart(canvas, {type: "bar", data: {labels: [], datasets: []}, options: {indexAxis: "y", animation: false, maintainAspectRatio: false,
    plugins: {legend: {position: "bottom", labels: {boxWidth: 12, boxHeight: 12}}, tooltip: {callbacks: {label: item => `${item.dataset.label}: ${number(item.parsed.x)} ms`}}}}});
  chart.redraw = () => {
    const runs = data.runs.filter(r => r.phases && visible(r)).sort((a, b) => a.order - b.order).slice(0, kMostBars);
    chart.data.labels = runs.map(r => shorten(r.name, innerWidth < 640 ? 12 : 22));
    chart.data.datasets = kPhases.map(([key, label], i) => ({label, data: runs.map(r => r.phases[key] ?? 0), backgroundColor: kColours[i], maxBarThickness: 26}));
    chart.options.plugins.legend.labels.color = css("--ink");
    chart.options.scales = {x: {...axis("ms, mean over the logged steps", false), stacked: true}, y: {...axis("", false), type: "category", stacked: true, title: {display: false},
      ticks: {color: css("--ink"), autoSkip: false, font: {size: runs.length > 16 ? 10 : 12}}, grid: {display: false}}};
    chart.update();
  };
}

// Each axis from 0 to 1: numbers by value, words by their order.
function addParallel() {
  const keys = data.keys.filter(k => k !== "run.seed");
  if (keys.length < 2 || data.runs.filter(r => r.error !== null).length < 3) return;
  const ranges = Object.fromEntries(keys.map(k => {
    const values = [...new Set(data.runs.map(r => r.keys[k]).filter(v => v !== undefined))];
    const numeric = values.every(v => v !== "" && isFinite(v));
    values.sort(numeric ? (a, b) => a - b : undefined);
    const log = numeric && values[0] > 0 && values.at(-1) / values[0] > 20;
    const f = v => !numeric ? values.indexOf(v) : log ? Math.log(v) : +v;
    return [k, {f, low: f(values[0]), high: f(values.at(-1)), first: values[0], last: values.at(-1)}];
  }));
  const leaf = k => k.split(".").at(-1);
  const canvas = figure("parallel", "Settings and error", {note: "A line is a run; blue is the best, grey the worst."});
  const chart = charts.parallel = new Chart(canvas, {type: "line", data: {datasets: []}, options: {animation: false, maintainAspectRatio: false, interaction: {mode: "nearest", intersect: false},
    plugins: {legend: {display: false}, tooltip: {callbacks: {title: items => items[0]?.dataset.run.name ?? "", label: item => item.dataIndex < keys.length ? `${keys[item.dataIndex]} = ${item.dataset.run.keys[keys[item.dataIndex]]}` : `error ${number(item.dataset.run.error)} %`}}}}});
  chart.redraw = () => {
    const runs = data.runs.filter(r => visible(r) && r.error !== null).sort((a, b) => b.order - a.order);
    const errors = runs.map(r => r.error), low = Math.min(...errors), high = Math.max(...errors);
    const part = (v, a, b) => b > a ? (v - a) / (b - a) : .5;
    chart.data.labels = [...keys.map(k => [leaf(k), `${ranges[k].first} … ${ranges[k].last}`]), ["error, %", `${number(low)} … ${number(high)}`]];
    chart.data.datasets = runs.map(run => {
      const good = 1 - (run.order / Math.max(1, data.runs.length - 1));
      const c = good > .9 || state.pinned.has(run) ? css("--accent") : `hsla(205, ${Math.round(70 * good)}%, ${isDark() ? 60 : 45}%, ${.25 + .5 * good})`;
      return {run, label: run.name, borderColor: c, backgroundColor: c, borderWidth: good > .9 ? 2.2 : 1.1, pointRadius: 2, tension: .15,
        data: [...keys.map(k => run.keys[k] === undefined ? null : part(ranges[k].f(run.keys[k]), ranges[k].low, ranges[k].high)), part(run.error, low, high)]};
    });
    chart.options.scales = {x: {ticks: {color: css("--ink"), maxRotation: 0, autoSkip: false}, grid: {color: css("--line")}}, y: {display: false, min: -.04, max: 1.04}};
    chart.update();
  };
}

// ---- table -------------------------------------------------------------------------------------
const columns = [
  {id: "rank", name: "#", of: r => r.rank}, {id: "error", name: "top-1 error, %", of: r => r.error, text: v => v.toFixed(2)},
  {id: "best", name: "best", of: r => r.bestError, text: v => v.toFixed(2)},
  {id: "top5", name: "top-5 error, %", of: r => r.last.top5 === undefined ? null : 100 - r.last.top5, text: v => v.toFixed(2)},
  {id: "loss", name: "training loss", of: r => r.last.train_loss ?? null}, {id: "state", name: "state", of: r => r.state},
  ...data.keys.map(k => ({id: k, name: k.split(".").at(-1), title: k, of: r => r.keys[k] ?? null, text: v => v})),
  {id: "step", name: "step", of: r => r.last.step ?? null, text: v => String(v)}, {id: "ips", name: "images/s", of: r => r.last.images_per_second ?? null},
  {id: "ranks", name: "ranks", of: r => r.world_size ?? null}, {id: "parameters", name: "parameters, M", of: r => r.parameters === undefined ? null : r.parameters / 1e6},
  {id: "gmac", name: "GMAC", of: r => r.gmac ?? null}].filter(c => c.id === "state" || data.runs.some(r => c.of(r) !== null));

function compare(a, b) {
  if (a === null || b === null) return (a === null) - (b === null);
  const [x, y] = [Number(a), Number(b)];
  return isNaN(x) || isNaN(y) ? String(a).localeCompare(String(b)) : x - y;
}

function drawTable() {
  const table = document.querySelector("table"), column = columns.find(c => c.id === state.sort) ?? {of: r => r.name};
  const head = document.createElement("tr"), body = document.createElement("tbody");
  const cell = (row, text, tag = "td") => row.appendChild(Object.assign(document.createElement(tag), {textContent: text}));
  cell(head, "", "th");
  for (const c of [{id: "name", name: "run"}, ...columns]) {
    const th = cell(head, c.name, "th");
    th.title = c.title ?? c.name;
    th.dataset.column = c.id;
    if (state.sort === c.id) th.ariaSort = state.descending ? "descending" : "ascending";
    th.addEventListener("click", () => { state.descending = state.sort === c.id && !state.descending; state.sort = c.id; drawTable(); });
  }
  const runs = data.runs.filter(matches).sort((a, b) => {
    const [x, y] = [column.of(a), column.of(b)];
    return x === null || y === null ? compare(x, y) : (state.descending ? -1 : 1) * compare(x, y);
  });
  for (const run of runs) {
    const row = document.createElement("tr"), box = Object.assign(document.createElement("input"), {type: "checkbox", checked: !state.hidden.has(run), title: "show"});
    box.addEventListener("click", event => event.stopPropagation());
    box.addEventListener("change", () => { state.hidden[box.checked ? "delete" : "add"](run); draw(); });
    row.className = state.hidden.has(run) ? "hidden" : "";
    cell(row, "").append(box);
    const name = cell(row, "");
    name.title = run.folder;
    const swatch = Object.assign(document.createElement("span"), {className: "swatch"});
    swatch.style.background = visible(run) ? colourOf(run) : "transparent";
    name.append(swatch, run.name);
    for (const c of columns) { const v = c.of(run); cell(row, v === null ? "" : c.text ? c.text(v) : typeof v === "number" ? number(v) : v); }
    row.addEventListener("click", () => { state.pinned[state.pinned.has(run) ? "delete" : "add"](run); draw(); });
    body.append(row);
  }
  table.replaceChildren(Object.assign(document.createElement("thead")), body);
  table.tHead.append(head);
}

// ---- page --------------------------------------------------------------------------------------
function draw() {
  colourRuns();
  drawLines();
  for (const chart of Object.values(charts)) chart.redraw?.();
  drawTable();
  document.getElementById("shown").textContent = `${data.runs.filter(visible).length} of ${data.runs.length} runs shown`;
}

function setTheme(theme) {
  const dark = theme === "dark" || (theme === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  draw();
}

// On paper the theme is light, and a chart as wide as half a page across.
const kPaperChart = [480, 270];
function toPaper() {
  setTheme("light");
  const filter = state.filter ? `, runs with "${state.filter}"` : "", zoom = state.range ? ", zoomed" : "";
  document.getElementById("view").textContent = `Over ${state.x}, smoothing ${state.smoothing}${zoom}${filter}; ${document.getElementById("shown").textContent}.`;
  for (const chart of Object.values(charts)) chart.resize(...kPaperChart);
}
function fromPaper() {
  for (const chart of Object.values(charts)) chart.resize();
  setTheme(document.getElementById("theme").value);
}

function connect() {
  const on = (id, event, act) => document.getElementById(id).addEventListener(event, e => { act(e.target); draw(); });
  on("x", "change", e => { state.x = e.value; state.range = null; });
  on("smoothing", "input", e => { state.smoothing = +e.value; });
  on("filter", "input", e => { state.filter = e.value.trim(); });
  on("all", "click", () => state.hidden.clear());
  on("none", "click", () => data.runs.filter(matches).forEach(r => state.hidden.add(r)));
  on("whole", "click", () => { state.range = null; });
  document.getElementById("theme").addEventListener("change", e => setTheme(e.target.value));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => setTheme(document.getElementById("theme").value));
  addEventListener("beforeprint", toPaper);
  addEventListener("afterprint", fromPaper);
}

document.title = data.title;
document.querySelector("h1").textContent = data.title;
document.getElementById("about").textContent = data.about;
Chart.defaults.font.family = "system-ui, sans-serif";
addLineChart("error", "Validation error", "top-1 error, %", {note: "Dashed: the moving average of the weights. The axis is cut where the curves have left their beginning.", hint: "Drag to zoom, double click for the whole."});
addLineChart("loss", "Loss", "cross-entropy", {note: "Dashed: validation. Triangle: started again; cross: stopped or failed."});
addScatter("cardinality", "Error against cardinality", "cardinality", r => r.cardinality, true);
addScatter("parameters", "Error against parameters", "parameters, millions", r => r.parameters === undefined ? null : r.parameters / 1e6, false);
addParallel();
addLineChart("learning_rate", "Learning rate", "learning rate");
addLineChart("images_per_second", "Throughput", "images/s, all ranks");
addPhases();
connect();
setTheme("auto");
