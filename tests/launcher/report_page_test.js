// Operates a report page as a user does and writes what came of it into the element #result.
// Appended to a copy of the page by report_in_browser.sh. SPDX-License-Identifier: BSD-3-Clause
"use strict";
const failures = [];
const expect = (what, condition) => { if (!condition) failures.push(what); };
const near = (a, b) => Math.abs(a - b) < 1e-6 * Math.max(1, Math.abs(b));
const by = id => document.getElementById(id);
const set = (element, value, event) => { element.value = value; element.dispatchEvent(new Event(event, {bubbles: true})); };
const sets = name => charts[name].data.datasets;
const of = (name, run) => sets(name).find(s => s.label === run);
const rows = () => [...document.querySelectorAll("tbody tr")].map(r => r.cells[1].textContent);
const cell = (run, column) => [...document.querySelectorAll("tbody tr")].find(r => r.cells[1].textContent === run)
  .cells[[...document.querySelectorAll("th")].findIndex(h => h.dataset.column === column)].textContent;
const sortBy = column => document.querySelector(`th[data-column="${column}"]`).click();

async function until(condition) {
  for (let i = 0; i < 100 && !condition(); ++i) await new Promise(done => setTimeout(done, 20));
}

async function test() {
  await until(() => Object.values(charts).every(c => Math.abs(c.width - c.canvas.parentElement.clientWidth) < 2));
  for (const name of ["loss", "error", "learning_rate", "images_per_second", "step_time", "cardinality", "parameters", "parallel"]) {
    expect(`chart ${name} is there`, charts[name] && by(name));
  }
  // Ranked by the last error; the best is another.
  expect("ranked", rows().join() === "large,large2,small,torn");
  expect("best and last", cell("small", "error") === "40.00" && cell("small", "best") === "35.00");
  expect("differing settings", cell("large", "model.cardinality") === "32" && !document.querySelector('th[data-column="model.depth"]'));
  sortBy("model.cardinality");
  expect("sorted by a setting", rows()[0] === "torn" && rows().at(-1).startsWith("large"));
  sortBy("model.cardinality");
  expect("sorted the other way", rows()[0].startsWith("large"));
  sortBy("rank");

  // Axes: 32 images a step at 100 images/s, 10 steps an epoch.
  expect("steps", of("error", "small").data.map(p => p.x).join() === "10,20,30,40");
  set(by("x"), "epoch", "change");
  expect("epochs", of("error", "small").data.at(-1).x === 4);
  set(by("x"), "hours", "change");
  expect("hours", near(of("error", "small").data.at(-1).x, 40 * 32 / 100 / 3600));
  set(by("x"), "step", "change");
  by("loss").querySelector("input").click();
  expect("log axis", charts.loss.options.scales.y.type === "logarithmic" && charts.loss.scales.y.type === "logarithmic");
  by("loss").querySelector("input").click();
  expect("linear axis", charts.loss.scales.y.type === "linear");

  // Smoothing: none is the values; with weight w the second is (w(1-w) a + (1-w) b) / (1 - w w).
  set(by("smoothing"), "0", "input");
  expect("not smoothed", of("loss", "small").data.map(p => p.y).join() === "50,40,30,20");
  set(by("smoothing"), "0.5", "input");
  expect("smoothed", near(of("loss", "small").data[1].y, (0.25 * 50 + 0.5 * 40) / 0.75));

  // Hover.
  const chart = charts.error, point = chart.getDatasetMeta(sets("error").indexOf(of("error", "small"))).data[1];
  const box = chart.canvas.getBoundingClientRect();
  chart.canvas.dispatchEvent(new MouseEvent("mousemove", {clientX: box.left + point.x, clientY: box.top + point.y, bubbles: true}));
  await until(() => chart.tooltip.opacity);
  const hover = `${chart.tooltip.opacity} ${chart.tooltip.title} ${chart.tooltip.body?.[0]?.lines}`;
  expect(`hover shows name and value, not ${hover}`, chart.tooltip.opacity > 0 && chart.tooltip.title[0] === "small" && chart.tooltip.body[0].lines[0].includes("35"));

  // Zoom by dragging; double click for the whole.
  const at = x => box.left + chart.scales.x.getPixelForValue(x), y = box.top + 50;
  const pointer = (type, x, target) => target.dispatchEvent(new PointerEvent(type, {clientX: x, clientY: y, pointerType: "mouse", bubbles: true}));
  pointer("pointerdown", at(15), chart.canvas);
  pointer("pointermove", at(30), chart.canvas);
  pointer("pointerup", at(30), window);
  expect("zoomed", Math.abs(charts.loss.scales.x.min - 15) < 1 && Math.abs(charts.loss.scales.x.max - 30) < 1);
  chart.canvas.dispatchEvent(new MouseEvent("dblclick", {bubbles: true}));
  expect("whole again", charts.loss.scales.x.max === 40);

  // Hide, show, filter.
  document.querySelector("tbody input").click();
  expect("hidden", !of("error", "large") && of("error", "small") && rows().length === 4);
  by("all").click();
  expect("shown", of("error", "large"));
  set(by("filter"), "cardinality=2 small", "input");
  expect("filtered", rows().join() === "small" && sets("error").length === 1);
  set(by("filter"), "", "input");

  // Two seeds are one point with a spread; a restart and a stop are marked.
  const seeds = sets("cardinality")[0].data.find(p => p.x === 32);
  expect("seeds are grouped", seeds.runs.length === 2 && near(seeds.y, 30.5) && near(seeds.spread, Math.SQRT1_2));
  const marks = sets("loss").filter(s => s.type === "scatter" && s.label === "torn").flatMap(s => s.data.map(p => p.mark));
  expect("marks", marks.join() === "ended with 75 at step 20,started again after step 20");
  expect("phases leave the first line out", charts.step_time.data.datasets[1].data[0] === 20);

  // Dark and light.
  const paper = () => getComputedStyle(document.body).backgroundColor;
  set(by("theme"), "dark", "change");
  const dark = paper(), ticks = charts.loss.options.scales.x.ticks.color;
  set(by("theme"), "light", "change");
  expect("dark mode", dark === "rgb(20, 23, 26)" && paper() === "rgb(255, 255, 255)" && ticks !== charts.loss.options.scales.x.ticks.color);
  // On paper, which a window of its width stands in for: nothing is cut off, and no controls are left.
  set(by("theme"), "dark", "change");
  set(by("filter"), "seed", "input");
  dispatchEvent(new Event("beforeprint"));
  const rules = [...document.styleSheets].flatMap(s => [...s.cssRules]).filter(r => r.media?.mediaText === "print");
  for (const rule of rules) rule.media.mediaText = "all";
  document.body.style.width = "980px";
  const shows = element => getComputedStyle(element).display !== "none";
  const narrow = element => element.getBoundingClientRect().right <= document.body.getBoundingClientRect().right + 1;
  expect("paper is white", paper() === "rgb(255, 255, 255)" && rules.length === 1);
  expect("no controls on paper", !shows(document.querySelector(".controls")) && !shows(document.querySelector("td")) && !shows(document.querySelector("figure label")));
  expect("the view is told on paper", shows(by("view")) && by("view").textContent.startsWith('Over step, smoothing 0.5, runs with "seed"; '));
  expect("all of the table is on paper", narrow(document.querySelector("table")) && document.querySelector(".tables").scrollHeight <= document.querySelector(".tables").clientHeight + 1);
  for (const canvas of document.querySelectorAll("canvas")) {
    const frame = canvas.closest("figure").getBoundingClientRect();
    expect(`chart ${canvas.closest("figure").id} is inside its frame on paper`, canvas.getBoundingClientRect().right <= frame.right && canvas.getBoundingClientRect().bottom <= frame.bottom);
  }
  for (const rule of rules) rule.media.mediaText = "print";
  document.body.style.width = "";
  dispatchEvent(new Event("afterprint"));
  expect("dark again behind paper", paper() === "rgb(20, 23, 26)" && !shows(by("view")));
  set(by("filter"), "", "input");
  set(by("theme"), "light", "change");

  // Lines that lie on each other have one label.
  const labels = sets("learning_rate").filter(s => s.labelled && !s.joined).map(labelOf);
  expect(`rates share a label, not ${labels}`, labels.length < 4 && labels.some(l => / \+[1-9]$/.test(l)));
  expect("fits the window", document.documentElement.scrollWidth <= innerWidth);
  expect("title and versions", document.title === "runs" && by("about").textContent.includes("libtorch 2.11.0"));
}
addEventListener("load", async () => {
  try { await test(); } catch (error) { failures.push(`${error.stack ?? error}`); }
  document.body.append(Object.assign(document.createElement("pre"), {id: "result", textContent: failures.length ? failures.join("; ") : "all held"}));
});
