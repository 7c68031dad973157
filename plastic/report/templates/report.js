/* The table, what it shows, and the page of one run or of several side by side. The state is in the address. */

const data = JSON.parse(document.getElementById("data").textContent);
for (const series of data.items.flatMap((item) => item.series)) {
  for (const [, , , curve] of series.metrics) if (curve) curve.x ??= series.x;
}
const byId = (id) => document.getElementById(id);
const FIELDS = ["q", "view", "family", "experiment", "status", "metric"];
const DEFAULTS = { view: "runs", sort: "started", down: "1" };
const MOST_ROWS = Number(byId("table").dataset.most); // unless all are asked for
const MOST_CURVES = 24, MOST_LINES = 1000; // told apart by their looks, and drawn at all
const MOST_COLUMNS = 8; // runs that are columns of a table
const rows = [...document.querySelectorAll("#table tbody tr")];
const words = data.items.map((item) => [item.name, item.path, item.family, item.experiment, item.status, item.note,
  ...item.options.map(([name, value]) => `${name}=${value}`)].join(" ").toLowerCase());
let listed = []; // the rows that are shown, in their order
let state, chosen, open, differ; // the last: the options in which the open runs differ

function restore() {
  const kept = new URLSearchParams(location.hash.slice(1));
  state = new Map([...Object.entries(DEFAULTS), ...kept]);
  const indexes = (name) => kept.getAll(name).map((key) => data.items.findIndex((item) => item.key === key));
  chosen = new Set(indexes("chosen").filter((index) => index >= 0));
  open = indexes("open").filter((index) => index >= 0);
  state.delete("chosen");
  state.delete("open");
}

function address() {
  const kept = new URLSearchParams();
  for (const [name, value] of state) if (value && value !== DEFAULTS[name]) kept.set(name, value);
  for (const index of chosen) kept.append("chosen", data.items[index].key);
  for (const index of open) kept.append("open", data.items[index].key);
  return `#${kept}`;
}

function set(name, value) {
  state.set(name, value);
  history.replaceState(null, "", address());
  render();
}

function show(indexes) {
  open = indexes;
  for (const name of [...state.keys()]) if (name.startsWith("by ")) state.delete(name);
  history.pushState(null, "", address());
  render();
  (open.length ? byId("title") : byId("table")).focus();
}

/* ---- the table ---- */

function summary(item) {
  const name = state.get("metric") || item.main;
  return item.summary.find(([metric]) => data.metrics[metric] === name) ?? [null, null, "", null, ""];
}

function value(index) {
  const item = data.items[index];
  switch (state.get("sort")) {
    case "best": return summary(item)[1];
    case "final": return summary(item)[3];
    case "seeds": return item.seeds;
    case "name": return item.name;
    case "experiment": return `${item.family} ${item.experiment}`;
    case "status": return item.status;
    case "options": return item.options.filter(([, , differs]) => differs).map(([name, text]) => `${name}=${text}`).join(" ");
    default: return item.started;
  }
}

const compareText = new Intl.Collator("en", { numeric: true }).compare;

function compared(a, b) {
  if (a === b) return 0;
  if (a === null || a === "") return 1; // what is not there comes last, in either direction
  if (b === null || b === "") return -1;
  const order = typeof a === "number" ? a - b : compareText(a, b);
  return state.get("down") ? -order : order;
}

function isListed(index) {
  const item = data.items[index];
  if (state.get("view") === "groups" ? item.grouped : item.group) return false;
  if (["family", "experiment", "status"].some((name) => state.get(name) && state.get(name) !== item[name])) return false;
  return (state.get("q") ?? "").toLowerCase().split(/\s+/).every((word) => words[index].includes(word));
}

function renderTable() {
  for (const name of FIELDS) byId(name).value = state.get(name) ?? "";
  for (const head of document.querySelectorAll("#table thead th[data-key]")) {
    const sorted = head.dataset.key === state.get("sort");
    if (sorted) head.setAttribute("aria-sort", state.get("down") ? "descending" : "ascending");
    else head.removeAttribute("aria-sort");
  }
  listed = rows.map((_, index) => index).filter(isListed);
  const keys = new Map(listed.map((index) => [index, value(index)]));
  listed.sort((a, b) => compared(keys.get(a), keys.get(b)) || a - b);
  const visible = state.get("all") ? listed : listed.slice(0, MOST_ROWS);
  for (const row of rows) row.hidden = true;
  for (const index of visible) {
    const row = rows[index], item = data.items[index], [metric, , best, , final] = summary(item);
    const named = () => (state.get("metric") ? "" : element("span", { class: "path" }, data.metrics[metric]));
    row.querySelector(".best").replaceChildren(...(best ? [best, named()] : []));
    row.querySelector(".final").replaceChildren(...(final ? [final, named()] : []));
    row.querySelector("input").checked = chosen.has(index);
    row.classList.toggle("chosen", chosen.has(index));
    row.hidden = false;
  }
  document.querySelector("#table tbody").prepend(...visible.map((index) => rows[index]));
  byId("count").textContent = `${listed.length} of ${rows.filter((_, k) => !data.items[k].group).length} runs`;
  if (state.get("view") === "groups") byId("count").textContent = `${listed.length} groups and single runs`;
  const hidden = listed.length - visible.length;
  if (hidden) byId("count").textContent += `, of which the first ${visible.length} are shown`;
  byId("more").hidden = !hidden;
  byId("more").textContent = `Show the other ${hidden}`;
  byId("compare").textContent = chosen.size ? `Compare the ${chosen.size} chosen` : "Compare";
  byId("compare").disabled = chosen.size < 2;
  byId("all").disabled = listed.every((index) => chosen.has(index));
  byId("clear").disabled = !chosen.size;
}

/* ---- one run, or several side by side ---- */

const several = () => open.length > 1;

/* The options in which the open runs differ, but for the seeds. */
function differing() {
  const values = open.map((index) => new Map(data.items[index].options.map(([option, text]) => [option, text])));
  const names = new Set(values.flatMap((each) => [...each.keys()]));
  return new Set([...names].filter((name) => !["seed", "seeds"].includes(name) && values.some((each) => each.get(name) !== values[0].get(name))));
}

/* The name of a run; beside others, also the options in which they differ, where these are few. */
function labelOf(item) {
  const name = item.group ? `${item.name} (${item.members} runs)` : item.name;
  const own = item.options.filter(([option]) => differ.has(option));
  return own.length > 0 && own.length <= 3 ? `${name}: ${own.map(([option, text]) => `${option}=${text}`).join(", ")}` : name;
}

const cell = (tag, text, kind = "") => element(tag, { ...(tag === "th" && { scope: "row" }), class: kind }, text);
const head = (...titles) => element("thead", {}, element("tr", {}, ...titles.map((each) => element("th", { scope: "col" }, each))));
const table = (label, heads, body) => element("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": label },
  element("table", {}, head(...heads), element("tbody", {}, ...body)));

function select(title, name, options, current) {
  const made = element("select", { id: `select ${name}`, onchange: (event) => set(name, event.target.value) });
  for (const [key, text] of options) made.append(element("option", { value: key }, text));
  made.value = current;
  return element("label", {}, title, made);
}

/* The series of the open runs that have the metric and are not filtered away: [{item, series, numbers}]. */
function seriesOf(metric) {
  const every = open.flatMap((index) => data.items[index].series.map((series) => ({ item: data.items[index], series })));
  return every.map((each) => ({ ...each, numbers: each.series.metrics.find(([m]) => m === metric) }))
    .filter(({ series, numbers }) => numbers && series.where.every(([key, text]) => [undefined, "", text].includes(state.get(`by ${key}`))));
}

function renderCurves() {
  const all = open.flatMap((index) => data.items[index].series);
  const metrics = [...new Set(all.flatMap((series) => series.metrics.map(([metric]) => metric)))];
  if (!metrics.length) return element("p", { class: "note" }, "No metrics yet.");
  const wanted = [state.get("curve"), data.items[open[0]].main, state.get("metric")];
  const metric = wanted.map((name) => data.metrics.indexOf(name)).find((m) => metrics.includes(m)) ?? metrics[0];
  const controls = element("div", { class: "controls" },
    select("Metric", "curve", metrics.map((m) => [data.metrics[m], data.metrics[m]]), data.metrics[metric]));
  for (const key of new Set(all.flatMap((series) => series.where.map(([name]) => name)))) {
    const texts = [...new Set(all.flatMap((series) => series.where.filter(([name]) => name === key).map(([, text]) => text)))];
    if (texts.length > 1) controls.append(select(key, `by ${key}`, [["", "all"], ...texts.map((t) => [t, t])], state.get(`by ${key}`) ?? ""));
  }
  controls.append(element("label", { class: "check" },
    element("input", { id: "log", type: "checkbox", checked: Boolean(state.get("log")), onchange: (event) => set("log", event.target.checked ? "1" : "") }),
    "logarithmic"));
  const found = seriesOf(metric);
  const curves = found.filter(({ numbers }) => numbers[3]);
  const plotted = curves.slice(0, MOST_CURVES);
  const box = element("div", {}, element("h3", {}, "Curves and values"), controls);
  const readings = new Map(found.map((each) => [each, cell("td", "", "number")]));
  if (plotted.length) box.append(...chartOf(plotted, curves, metric, readings));
  const heads = ["", "Run", "Seeds", "Best", "Final", ...(plotted.length ? ["At the mark"] : [])];
  box.append(table("Values of the curves", heads, found.map((each) => {
    const index = plotted.indexOf(each), { item, series, numbers } = each;
    const where = series.where.map(([key, text]) => `${key} ${text}`).join(", ");
    const name = several() || !where ? [labelOf(item), where].filter(Boolean).join(": ") : where;
    return element("tr", {}, element("td", {}, index < 0 ? "" : swatch(index)), cell("th", name), cell("td", String(series.seeds)),
      cell("td", numbers[1], "number"), cell("td", numbers[2], "number"), ...(plotted.length ? [readings.get(each)] : []));
  })));
  return box;
}

function chartOf(plotted, curves, metric, readings) {
  const percents = plotted.map(({ item }) => item.percent.includes(metric)), percent = percents.every(Boolean);
  const clocks = [...new Set(plotted.map(({ item }) => item.clock))].join(" or ");
  const lines = plotted.map(({ numbers }, index) => ({ index, curve: numbers[3] }));
  const log = Boolean(state.get("log")) && lines.some(({ curve }) => curve.y.some((value) => value > 0));
  const width = Math.max(300, Math.min(1100, byId("detail").clientWidth || 800));
  const others = curves.slice(MOST_CURVES, MOST_LINES).map(({ numbers }) => ({ curve: numbers[3] }));
  const { svg, cursor } = chart(lines, others, { width, clock: clocks, label: data.metrics[metric], percent, log });
  const times = [...new Set(lines.flatMap(({ curve }) => curve.x))].sort((a, b) => a - b);
  const said = element("output", { for: "mark" });
  const read = (place) => {
    cursor(times[place]);
    said.textContent = ` ${clocks} ${shown(times[place], false)}`;
    plotted.forEach((each, k) => {
      const { x, y } = each.numbers[3], before = x.findLastIndex((time) => time <= times[place]);
      const text = before < 0 ? "" : shown(y[before], percents[k]);
      readings.get(each).textContent = text && percents[k] ? `${text} %` : text;
    });
  };
  const slider = element("input", { id: "mark", type: "range", min: 0, max: times.length - 1, value: times.length - 1,
    oninput: (event) => read(Number(event.target.value)) });
  read(times.length - 1);
  const notes = [];
  if (lines.some(({ curve }) => curve.low)) notes.push("Curves are means over the seeds, shaded from the least seed to the largest.");
  if (others.length) notes.push(`The first ${MOST_CURVES} of ${curves.length} curves have looks of their own, the others are grey: choose above.`);
  if (curves.length > MOST_LINES) notes.push(`Those from the ${MOST_LINES + 1}th on are not drawn.`);
  if (clocks.includes(" or ")) notes.push("Times of these runs are not measured in the same unit.");
  if (!percent && percents.some(Boolean)) notes.push("Some of these runs have this metric as a fraction, others not.");
  return [svg, element("label", { class: "wide" }, element("span", {}, "Mark at", said), slider), element("p", { class: "note" }, notes.join(" "))];
}

function renderOptions() {
  const items = open.map((index) => data.items[index]);
  const names = [...new Set(items.flatMap((item) => item.options.map(([name]) => name)))];
  const found = names.map((name) => {
    const options = items.map((item) => item.options.find(([each]) => each === name));
    const texts = options.map((option) => (option ? option[1] : "\u2013"));
    return { name, texts, first: several() ? new Set(texts).size > 1 : options[0][2] !== false };
  });
  const heads = ["Option", ...items.map(several() ? labelOf : () => "Value")];
  const row = ({ name, texts }) => element("tr", {}, cell("th", name), ...texts.map((text) => cell("td", text)));
  const first = found.filter((each) => each.first), same = found.filter((each) => !each.first);
  const what = several() ? "Options that differ" : "Options that differ from the defaults";
  const box = element("div", {}, element("h3", {}, what)), many = items.length > MOST_COLUMNS;
  if (!first.length) box.append(element("p", { class: "note" }, "None."));
  else if (!many) box.append(table(what, heads, first.map(row)));
  else box.append(table(what, ["Run", ...first.map(({ name }) => name)], items.map((item, k) =>
    element("tr", {}, cell("th", item.name), ...first.map(({ texts }) => cell("td", texts[k]))))));
  const others = many ? table("Other options", ["Option", "Value"], same.map(({ name, texts }) => row({ name, texts: texts.slice(0, 1) })))
    : table("Other options", heads, same.map(row));
  if (same.length) box.append(element("details", {}, element("summary", {}, `${same.length} other options`), others));
  return box;
}

function renderMetrics() {
  const columns = open.flatMap((index) => data.items[index].series.map((series) => ({ item: data.items[index], series })));
  if (!columns.length || columns.length > 8) return "";
  const metrics = [...new Set(columns.flatMap(({ series }) => series.metrics.map(([metric]) => metric)))];
  const heads = ["Metric", ...columns.map(({ item, series }) =>
    [several() && labelOf(item), ...series.where.map(([, text]) => text)].filter(Boolean).join(", ") || "Value")];
  const body = metrics.map((metric) => element("tr", {}, cell("th", data.metrics[metric]), ...columns.map(({ series }) => {
    const [, best, final] = series.metrics.find(([m]) => m === metric) ?? [0, "", ""];
    return cell("td", best && best !== final ? `${final}; best ${best}` : final, "number");
  })));
  return element("div", {}, element("h3", {}, "Final and best values"), table("Final and best values", heads, body));
}

let figures;

function renderFigures(item) {
  if (!item.figures.length) return "";
  const box = element("div", { class: "figures" });
  const details = element("details", {}, element("summary", {}, `Figures of ${item.name}: ${item.figures.map(([name]) => name).join(", ")}`), box);
  details.addEventListener("toggle", () => {
    if (!details.open || box.childElementCount) return;
    figures ??= JSON.parse(byId("figures").textContent);
    for (const [name, place, note] of item.figures) {
      const image = place === null ? element("p", { class: "note" }, note)
        : element("img", { src: `data:image/png;base64,${figures[place]}`, alt: `Figure ${name} of ${item.name}`, loading: "lazy" });
      box.append(element("figure", {}, image, element("figcaption", {}, name)));
    }
  });
  return details;
}

function renderDetail() {
  const items = open.map((index) => data.items[index]);
  differ = differing();
  const title = several() ? `${items.length} runs side by side` : labelOf(items[0]);
  const about = items.map((item) => element("p", {}, ...(several() ? [`${labelOf(item)}: `] : []),
    element("span", { class: item.status }, item.status), item.note ? ` ${item.note}` : "", element("span", { class: "path" }, item.group ? "" : item.path)));
  const facts = items.filter((item) => item.facts.length).map((item) => element("details", {},
    element("summary", {}, several() ? `About ${item.name}` : "About this run"),
    element("dl", {}, ...item.facts.flatMap(([name, text]) => [element("dt", {}, name), element("dd", {}, text)]))));
  const pictures = items.map(renderFigures).filter(Boolean);
  const folded = (text, parts) => (items.length > MOST_COLUMNS ? [element("details", {}, element("summary", {}, text), ...parts)] : parts);
  byId("detail").replaceChildren(
    element("p", { class: "bar" }, element("button", { id: "back", type: "button", onclick: () => show([]) }, "Back to the table (Esc)")),
    element("h2", { id: "title", tabindex: "-1" }, title), ...folded("Status of all runs", about),
    ...(items.some((item) => item.series.length) ? [renderCurves()] : []), renderMetrics(), renderOptions(),
    ...(pictures.length ? [element("h3", {}, "Figures"), ...folded("Figures of all runs", pictures)] : []), ...folded("About all runs", facts));
}

/* ---- all of it ---- */

function render() {
  const focused = document.activeElement?.id;
  byId("list").hidden = open.length > 0;
  byId("detail").hidden = !open.length;
  if (open.length) renderDetail();
  else renderTable();
  if (focused && document.activeElement?.id !== focused) byId(focused)?.focus();
}

for (const name of FIELDS) byId(name).addEventListener("input", (event) => set(name, event.target.value));
byId("filters").addEventListener("submit", (event) => event.preventDefault());
for (const button of document.querySelectorAll(".sort")) {
  button.addEventListener("click", () => {
    const { key } = button.parentElement.dataset;
    state.set("down", state.get("sort") === key && !state.get("down") ? "1" : "");
    set("sort", key);
  });
}
rows.forEach((row, index) => {
  row.querySelector("input").addEventListener("change", (event) => {
    if (event.target.checked) chosen.add(index);
    else chosen.delete(index);
    set("sort", state.get("sort"));
  });
  row.querySelector(".open").addEventListener("click", () => show([index]));
});
byId("compare").addEventListener("click", () => show([...chosen]));
byId("more").addEventListener("click", () => { set("all", "1"); byId("table").focus(); });
byId("all").addEventListener("click", () => { for (const index of listed) chosen.add(index); set("sort", state.get("sort")); });
byId("clear").addEventListener("click", () => { chosen.clear(); set("sort", state.get("sort")); });
addEventListener("keydown", (event) => { if (event.key === "Escape" && open.length) show([]); });
addEventListener("popstate", () => { restore(); render(); });
let width = innerWidth;
addEventListener("resize", () => { if (innerWidth !== width && open.length) renderDetail(); width = innerWidth; });

restore();
render();
for (const row of rows) row.classList.remove("later"); // from here on it is hidden or not

/* ---- a page that is served asks whether there is news ---- */

const version = document.documentElement.dataset.version;
if (version) {
  const pause = element("input", { type: "checkbox", checked: true, id: "follow" });
  const said = element("span");
  byId("live").append(element("label", { class: "check" }, pause, "follow the runs"), said);
  const busy = () => document.hidden || !pause.checked || !getSelection().isCollapsed || document.activeElement?.matches("select, input:not([type=checkbox])");
  setInterval(async () => {
    if (document.hidden) return;
    try {
      const news = (await (await fetch("/version", { cache: "no-store" })).text()) !== version;
      said.textContent = news ? " There is news." : "";
      if (news && !busy()) location.reload();
    } catch {
      said.textContent = " The server has ended: this is what it showed last.";
    }
  }, 3000);
}
