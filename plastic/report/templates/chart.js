"use strict";
/* Elements, and a chart of curves as SVG. All text goes in as text: nothing of a run is ever markup. */

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== false && value !== null) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

function drawn(name, attributes, text = "") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}

const COLOURS = 8;
const DASHES = ["", "7 4", "2 3", "9 3 2 3", "12 3"]; // no common factor with the colours: a ninth curve differs, too

function look(index) {
  const dash = DASHES[index % DASHES.length];
  return { class: `curve c${index % COLOURS}`, ...(dash && { "stroke-dasharray": dash }) };
}

function swatch(index) {
  const svg = drawn("svg", { class: "swatch", viewBox: "0 0 42 12", "aria-hidden": "true" });
  svg.append(drawn("line", { ...look(index), x1: 1, x2: 41, y1: 6, y2: 6 }));
  return svg;
}

/* A number with four digits, in per cent without the sign. */
function shown(value, percent) {
  if (value === null || !Number.isFinite(value)) return "";
  const number = percent ? 100 * value : value;
  const size = Math.abs(number);
  return size && (size < 1e-3 || size >= 1e6) ? number.toExponential(3) : String(Number(number.toPrecision(4)));
}

/* Round numbers between two, some five of them; powers of ten on a logarithmic axis. */
function ticks(low, high, log) {
  if (log) {
    const first = Math.ceil(Math.log10(low)), last = Math.floor(Math.log10(high));
    const step = Math.max(1, Math.ceil((last - first) / 6));
    const powers = [];
    for (let power = first; power <= last; power += step) powers.push(10 ** power);
    if (powers.length > 1) return powers;
  }
  const rough = (high - low) / 5, size = 10 ** Math.floor(Math.log10(rough));
  const step = size * [1, 2, 5, 10].find((each) => size * each >= rough * 0.999);
  const found = [];
  for (let k = Math.ceil(low / step); k * step <= high + step * 1e-9 && found.length < 12; k++) found.push(k * step);
  return found;
}

function extent(numbers) {
  let low = Infinity, high = -Infinity;
  for (const each of numbers) {
    if (each < low) low = each;
    if (each > high) high = each;
  }
  return [low, high];
}

/* Where a value lies between two ends, linearly or by its logarithm. */
function scale([low, high], [start, end], log) {
  const by = log ? Math.log10 : (value) => value;
  const from = by(low), span = by(high) - from || 1;
  return (value) => start + ((by(value) - from) / span) * (end - start);
}

/* lines: [{index, curve: {x, y, low, high}}]; others: likewise, without an index, and all look alike. Returns the SVG, and cursor(x), which marks a time. */
function chart(lines, others, { width, clock, label, percent, log }) {
  const height = Math.round(Math.min(420, Math.max(240, width * 0.5)));
  const box = { left: 62, right: width - 12, top: 12, bottom: height - 44 };
  const positive = (value) => value !== null && (!log || value > 0);
  const all = [...lines, ...others];
  let [xl, xh] = extent(all.flatMap(({ curve }) => curve.x));
  let [yl, yh] = extent(all.flatMap(({ curve }) => [...curve.y, ...(curve.low ?? []), ...(curve.high ?? [])].filter(positive)));
  if (xl === xh) [xl, xh] = [xl - 0.5, xh + 0.5];
  if (!(yl < yh)) [yl, yh] = log ? [yl / 2, yh * 2] : [yl - Math.abs(yl || 1) / 10, yh + Math.abs(yh || 1) / 10];
  if (!log) [yl, yh] = [yl - (yh - yl) * 0.03, yh + (yh - yl) * 0.03];
  const x = scale([xl, xh], [box.left, box.right], false), y = scale([yl, yh], [box.bottom, box.top], log);
  const svg = drawn("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${label} over ${clock}, ${all.length} curves` });

  for (const value of ticks(yl, yh, log)) {
    svg.append(drawn("line", { class: "grid", x1: box.left, x2: box.right, y1: y(value), y2: y(value) }));
    svg.append(drawn("text", { x: box.left - 6, y: y(value) + 4, "text-anchor": "end" }, shown(value, percent)));
  }
  for (const value of ticks(xl, xh, false)) {
    svg.append(drawn("line", { class: "axis", x1: x(value), x2: x(value), y1: box.bottom, y2: box.bottom + 5 }));
    svg.append(drawn("text", { x: x(value), y: box.bottom + 19, "text-anchor": "middle" }, shown(value, false)));
  }
  svg.append(drawn("line", { class: "axis", x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom }));
  svg.append(drawn("text", { x: (box.left + box.right) / 2, y: height - 6, "text-anchor": "middle" }, clock));
  const title = percent ? `${label} (%)` : label;
  svg.append(drawn("text", { transform: `translate(13 ${(box.top + box.bottom) / 2}) rotate(-90)`, "text-anchor": "middle" }, title));

  const path = (xs, ys) => xs.map((each, k) => [each, ys[k]]).filter(([, value]) => positive(value))
    .map(([each, value]) => `${x(each).toFixed(1)} ${y(value).toFixed(1)}`);
  for (const { curve } of others) {
    const points = path(curve.x, curve.y);
    svg.append(drawn("path", { class: "other", d: points.length ? `M${points.join("L")}` : "" }));
  }
  for (const { index, curve } of lines) {
    if (!curve.low) continue;
    const around = [...path(curve.x, curve.high), ...path(curve.x, curve.low).reverse()];
    svg.append(drawn("path", { class: `band f${index % COLOURS}`, d: `M${around.join("L")}Z` }));
  }
  for (const { index, curve } of lines) {
    const points = path(curve.x, curve.y);
    svg.append(drawn("path", { ...look(index), d: points.length ? `M${points.join("L")}` : "" }));
    if (points.length > 30) continue;
    for (const point of points) {
      const [cx, cy] = point.split(" ");
      svg.append(drawn("circle", { class: `dot f${index % COLOURS}`, cx, cy, r: 3 }));
    }
  }
  const mark = drawn("line", { class: "cursor", y1: box.top, y2: box.bottom });
  svg.append(mark);
  const cursor = (time) => { mark.setAttribute("x1", x(time)); mark.setAttribute("x2", x(time)); };
  return { svg, cursor };
}
