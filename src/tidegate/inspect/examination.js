// Shows one examination: the answer, coloured tokens, a heat map of units by steps, and the strips of one unit.
// What it shows is only ever put in as text. `state` says what is picked; every `show...` draws one part of it anew.

const { inputs } = JSON.parse(document.getElementById("data").textContent);
const at = (id) => document.getElementById(id);
const state = { input: 0, direction: 0, quantity: 0, colour: "all", units: "all", unit: 0, step: null };

// Blue to yellow, ever brighter: made after the anchors of cividis (Nuñez, Anderton, Renslow 2018).
const BRIGHT = [[0, 32, 77], [65, 77, 107], [124, 123, 120], [188, 175, 111], [255, 234, 70]];
const MUCH = 0.25; // of the largest contribution: what also gets a line below
const STRIP = 36; // pixels

const input = () => inputs[state.input];
const direction = () => input().insides[state.direction];
const quantity = () => direction().quantities[state.quantity];
const stepName = (step) => input().texts ? `“${input().steps[step]}”, step ${step + input().begin}` : `step ${step + input().begin}`;

// --- numbers ------------------------------------------------------------------------------------------------------

const decoded = new WeakMap();

function values(of) { // [steps, units], row after row
  if (!decoded.has(of)) {
    const bytes = Uint8Array.from(atob(of.values), (char) => char.charCodeAt(0));
    decoded.set(of, Float32Array.from(new Int16Array(bytes.buffer), (whole) => whole * of.scale));
  }
  return decoded.get(of);
}

const value = (of, step, unit) => values(of)[step * direction().units + unit];
const text = (number) => (number === 0 || Math.abs(number) >= 0.001 ? number.toFixed(3) : number.toExponential(1)).replaceAll("-", "−");
const signed = (number) => (number > 0 ? "+" : "") + text(number);

function parseUnits(typed) { // "3, 8-15" -> [3, 8, ..., 15]
  const last = direction().units - 1;
  if (typed.trim() === "all" || !typed.trim()) return [...Array(last + 1).keys()];
  const chosen = typed.split(",").flatMap((part) => {
    const [, from, to = from] = /^\s*(\d+)\s*(?:-\s*(\d+)\s*)?$/.exec(part) ?? [];
    if (from === undefined || +to > last || +from > +to) {
      throw new RangeError(`Unknown unit “${part.trim()}”. ${direction().name} has the units 0 to ${last}.`);
    }
    return Array.from({ length: to - from + 1 }, (_, i) => +from + i);
  });
  return [...new Set(chosen)];
}

// --- colours ------------------------------------------------------------------------------------------------------

const variable = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const mix = (a, b, part) => a.map((from, i) => from + (b[i] - from) * part);

function palette(of) { // a function from a value to [red, green, blue]
  if (of.low === 0) return (v) => ramp(BRIGHT, v / of.high);
  const paper = variable("--paper").slice(1).match(variable("--paper").length > 4 ? /../g : /./g)
    .map((hex) => parseInt(hex.length > 1 ? hex : hex + hex, 16));
  const side = (name) => variable(name).split(" ").map(Number);
  return (v) => mix(paper, side(v > 0 ? "--more" : "--less"), Math.min(1, Math.abs(v) / of.high));
}

function ramp(anchors, part) {
  const place = Math.min(Math.max(part, 0), 1) * (anchors.length - 1), index = Math.min(Math.floor(place), anchors.length - 2);
  return mix(anchors[index], anchors[index + 1], place - index);
}

function paint(canvas, width, height, colour) { // one pixel per cell; the style sheet stretches it
  canvas.width = width;
  canvas.height = height;
  const image = new ImageData(width, height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) image.data.set([...colour(x, y), 255], 4 * (y * width + x));
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}

// --- small pieces of the page -------------------------------------------------------------------------------------

function element(name, { parent, text, style, ...attributes } = {}) {
  const made = name.startsWith("svg:") ? document.createElementNS("http://www.w3.org/2000/svg", name.slice(4)) : document.createElement(name);
  for (const [key, content] of Object.entries(attributes)) made.setAttribute(key, content);
  for (const [key, content] of Object.entries(style ?? {})) made.style.setProperty(key, content);
  if (text !== undefined) made.textContent = text;
  parent?.append(made);
  return made;
}

function fill(select, names, chosen) {
  select.replaceChildren(...names.map(([key, name]) => element("option", { value: key, text: name })));
  select.value = chosen;
}

function tell(event, lines) {
  const tip = at("tip");
  tip.textContent = lines.join("\n");
  tip.hidden = false;
  const box = event.target.getBoundingClientRect(), x = event.clientX ?? box.left, y = event.clientY ?? box.bottom;
  tip.style.left = `${Math.min(x + 14, innerWidth - tip.offsetWidth - 8)}px`;
  tip.style.top = `${y + 18 + tip.offsetHeight > innerHeight ? y - tip.offsetHeight - 10 : y + 18}px`;
}

function forget() {
  at("tip").hidden = true;
  state.step = null;
  showStep();
}

// --- the answer and the tokens ------------------------------------------------------------------------------------

function showAnswer() {
  const ranked = Object.entries(input().probabilities).sort((a, b) => b[1] - a[1]), shown = ranked.slice(0, 12);
  at("classes").replaceChildren();
  shown.forEach(([name, part], rank) => {
    const parent = at("classes"), first = rank ? "" : "first";
    element("span", { parent, text: name, class: first });
    element("span", { parent, class: "bar", style: { width: `${100 * part}%` } });
    element("span", { parent, text: `${(100 * part).toFixed(2)} %`, class: first });
  });
  if (ranked.length > shown.length) element("span", { parent: at("classes"), class: "muted", text: `${ranked.length - shown.length} more` });
}

function showTokens() {
  const { contributions, explained } = input(), byUnit = state.colour === "unit";
  const chosen = byUnit ? quantity() : null;
  const numbers = byUnit ? input().steps.map((_, step) => value(chosen, step, state.unit)) : contributions[state.colour];
  const reach = Math.max(...numbers.map(Math.abs)) || 1;
  const name = byUnit ? `${chosen.name} of unit ${state.unit}` : `for “${explained}”`;
  at("least").textContent = byUnit ? `${name}: ${text(-reach)}` : `${text(-reach)}: against “${explained}”`;
  at("most").textContent = byUnit ? `+${text(reach)}` : `+${text(reach)}: ${name}`;
  at("tokens").replaceChildren(...numbers.map((number, step) => {
    const part = Math.abs(number) / reach, kind = number < 0 ? "less" : "more", much = part >= MUCH ? " much" : "";
    const token = element("span", { class: `token ${kind}${much}`, text: input().steps[step], "data-step": step, style: { "--part": 0.75 * part } });
    token.addEventListener("pointerenter", (event) => {
      state.step = step;
      showStep();
      tell(event, [stepName(step), ...tokenLines(step, byUnit && chosen)]);
    });
    token.addEventListener("pointerleave", forget);
    return token;
  }));
  at("steps-left-out").textContent = input().left_out && `Shown are ${input().left_out}.`;
}

function tokenLines(step, chosen) {
  const { all, ...directions } = input().contributions;
  const lines = [`contribution ${signed(all[step])}`, ...Object.entries(directions).map(([name, of]) => `${name} ${signed(of[step])}`)];
  for (const { text: ngram, tells } of input().evidence?.[step] ?? []) {
    lines.push(`“${ngram}” ends here${tells === null ? "" : ` and tells ${signed(tells)}`}`);
  }
  return chosen ? [`${chosen.name} of unit ${state.unit}: ${text(value(chosen, step, state.unit))}`, ...lines] : lines;
}

function showSum() {
  const { logit, baseline, directions, explained } = input();
  const parts = Object.entries(directions ?? {}).map(([name, added]) => `${name} ${signed(added)}`);
  at("sum").textContent = `Contributions are to the logit of “${explained}”: together they lead from ${text(baseline)}, where the `
    + `${input().parts ? "network is shown" : "input tells"} nothing, to ${text(logit)}. ${parts.length ? `By direction: ${parts.join(", ")}.` : ""}`;
}

// --- the parts of a classifier that counts n-grams -----------------------------------------------------------------

function showParts() {
  const { parts, ngrams, explained } = input();
  at("parts").hidden = !parts;
  if (!parts) return;
  const shown = Object.keys(parts.network).sort((a, b) => input().probabilities[b] - input().probabilities[a]).slice(0, 12);
  const head = element("tr"), rows = shown.map((name) => {
    const row = element("tr"), [network, linear] = [parts.network[name], parts.linear[name]];
    for (const content of [name, signed(network), signed(linear), signed(network + linear)]) element("td", { parent: row, text: content });
    return row;
  });
  for (const name of ["class", "network", "n-grams of the whole text", "together"]) element("th", { parent: head, text: name });
  at("shares").replaceChildren(head, ...rows);
  at("parts-help").textContent = ngrams.length
    ? `The n-grams that count most for or against “${explained}” in the linear part. A token above says, when pointed at, `
      + "which n-grams end there, and how much more often (as a logarithm) they stand in texts of that class."
    : "Nothing of this text is known to the linear part.";
  const reach = Math.max(...ngrams.map((ngram) => Math.abs(ngram.contribution))) || 1;
  at("ngrams").replaceChildren();
  for (const { of, text: ngram, contribution } of ngrams) {
    const parent = at("ngrams"), name = of === "characters" ? `${ngram.replaceAll(" ", "␣")} (characters)` : ngram;
    element("span", { parent, text: name });
    element("span", { parent, class: contribution < 0 ? "bar less" : "bar", style: { width: `${100 * Math.abs(contribution) / reach}%` } });
    element("span", { parent, text: signed(contribution) });
  }
}

// --- the heat map -------------------------------------------------------------------------------------------------

let cells = {}; // what stands in the grid: { units, wide, high, mark, labels, strips }

function showInside() {
  const grid = at("grid"), full = direction().quantities.length === 0;
  at("units-left-out").textContent = direction().left_out && `${full ? "This direction is" : "Shown are"} ${direction().left_out}.`;
  for (const id of ["quantity", "units", "unit", "colour"]) at(id).disabled = full;
  grid.replaceChildren();
  cells = {};
  if (full) return;
  try {
    cells.units = parseUnits(state.units);
    at("problem").textContent = "";
  } catch (error) {
    at("problem").textContent = error.message;
    return;
  }
  const steps = input().steps.length, room = grid.clientWidth - 170;
  cells.wide = Math.max(14, Math.min(48, Math.floor(room / steps)));
  cells.high = Math.max(6, Math.min(22, Math.floor(360 / cells.units.length)));
  drawHeat(grid, steps);
  drawNames(grid);
  drawStrips(grid, steps);
  showLegend();
}

function drawHeat(grid, steps) {
  const { units, wide, high } = cells, of = quantity(), colour = palette(of);
  const row = element("div", { parent: grid, class: "row" }), names = element("div", { parent: row, class: "name units" });
  const every = Math.ceil(12 / high);
  units.forEach((unit, place) => place % every || element("span", { parent: names, text: place ? unit : `unit ${unit}`, style: { top: `${(place + 0.5) * high}px` } }));
  const box = element("div", { parent: row, class: "cells" });
  const label = `${of.name}, ${direction().name}: ${units.length} units by ${steps} steps`;
  const canvas = element("canvas", { parent: box, class: "heat", id: "heat", tabindex: 0, role: "img", "aria-label": label, "aria-describedby": "help" });
  paint(canvas, steps, units.length, (x, y) => colour(value(of, x, units[y])));
  Object.assign(canvas.style, { width: `${steps * wide}px`, height: `${units.length * high}px` });
  cells.pinned = element("div", { parent: box, class: "pinned", style: { height: `${high}px` } });
  cells.mark = element("div", { parent: box, class: "mark", style: { width: `${wide}px`, height: `${high}px` } });
  canvas.addEventListener("pointermove", (event) => point(event, Math.floor(event.offsetX / wide), Math.floor(event.offsetY / high)));
  canvas.addEventListener("pointerleave", forget);
  canvas.addEventListener("blur", forget);
  canvas.addEventListener("click", () => pin(units[cells.place]));
  canvas.addEventListener("keydown", walk);
}

function point(event, step, place) { // a cell of the heat map is pointed at
  const within = (number, count) => Math.min(Math.max(number, 0), count - 1);
  state.step = within(step, input().steps.length);
  cells.place = within(place, cells.units.length);
  const unit = cells.units[cells.place];
  showStep();
  tell(event, [`${quantity().name} of unit ${unit}: ${text(value(quantity(), state.step, unit))}`, stepName(state.step)]);
}

function walk(event) {
  const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }, move = moves[event.key];
  if (event.key === "Enter" && cells.place !== undefined) pin(cells.units[cells.place]);
  if (!move) return;
  event.preventDefault();
  const box = event.target.getBoundingClientRect(), step = (state.step ?? -1) + move[0], place = (cells.place ?? 0) + move[1];
  point({ target: event.target, clientX: box.left + (step + 1) * cells.wide, clientY: box.top + (place + 1) * cells.high }, step, place);
}

function drawNames(grid) {
  const row = element("div", { parent: grid, class: "row" }), below = input().texts ? "token" : "step";
  element("div", { parent: row, class: "name muted", text: below });
  const box = element("div", { parent: row, class: "cells below" }), every = input().texts ? 1 : Math.ceil(24 / cells.wide);
  input().steps.forEach((name, step) => element("span", { parent: box, text: step % every ? "" : name, style: { width: `${cells.wide}px` } }));
}

function showLegend() {
  const of = quantity(), colour = palette(of);
  at("meaning").textContent = `${of.name[0].toUpperCase()}${of.name.slice(1)}: ${of.meaning}.`;
  at("low").textContent = text(of.low);
  at("high").textContent = text(of.high);
  paint(at("ramp"), 128, 1, (x) => colour(of.low + (of.high - of.low) * x / 127));
}

// --- the strips of one unit, and the step that is pointed at ------------------------------------------------------

function drawStrips(grid, steps) {
  const head = element("div", { parent: grid, class: "row" });
  cells.title = element("div", { parent: head, class: "name" });
  cells.strips = direction().quantities.map((of) => {
    const row = element("div", { parent: grid, class: "row strip" }), name = element("div", { parent: row, class: "name" });
    element("b", { parent: name, text: of.name });
    const output = element("output", { parent: name });
    const svg = element("svg:svg", { parent: row, width: steps * cells.wide, height: STRIP, role: "img", "aria-label": of.name });
    const [column, up, down] = ["column", "up", "down"].map((kind) => element(kind === "column" ? "svg:rect" : "svg:path", { parent: svg, class: kind }));
    const zero = element("svg:line", { parent: svg, class: "zero", x2: steps * cells.wide });
    svg.addEventListener("pointermove", (event) => { state.step = Math.min(steps - 1, Math.floor(event.offsetX / cells.wide)); showStep(); });
    svg.addEventListener("pointerleave", forget);
    return { of, output, column, up, down, zero };
  });
  showUnit();
}

function showUnit() {
  const { wide, high, units } = cells;
  at("unit").value = state.unit;
  at("unit").max = direction().units - 1;
  cells.title.textContent = `unit ${state.unit}`;
  const place = units.indexOf(state.unit);
  cells.pinned.hidden = place < 0;
  cells.pinned.style.top = `${place * high}px`;
  for (const { of, up, down, zero } of cells.strips) {
    const height = (v) => STRIP * (of.high - v) / (of.high - of.low), line = height(0);
    const bars = (wanted) => input().steps.map((_, step) => value(of, step, state.unit))
      .map((v, step) => wanted(v) ? `M${step * wide + 1} ${line}V${height(v)}h${wide - 2}V${line}z` : "").join("");
    up.setAttribute("d", bars((v) => v > 0));
    down.setAttribute("d", bars((v) => v < 0));
    for (const end of ["y1", "y2"]) zero.setAttribute(end, Math.min(line, STRIP - 0.5));
  }
  if (state.colour === "unit") showTokens();
  showStep();
}

function showStep() {
  const { step } = state;
  for (const token of at("tokens").children) token.classList.toggle("at", token.dataset.step === String(step));
  if (!cells.strips) return;
  cells.mark.hidden = step === null || cells.place === undefined;
  cells.mark.style.left = `${step * cells.wide}px`;
  cells.mark.style.top = `${cells.place * cells.high}px`;
  for (const { of, output, column } of cells.strips) {
    output.textContent = step === null ? `${text(of.low)} to ${text(of.high)}` : text(value(of, step, state.unit));
    const here = { x: step * cells.wide, y: 0, width: step === null ? 0 : cells.wide, height: STRIP };
    for (const [name, number] of Object.entries(here)) column.setAttribute(name, number);
  }
}

// --- choices ------------------------------------------------------------------------------------------------------

function pin(unit) {
  state.unit = unit;
  showUnit();
}

function showChoices() {
  const by = Object.keys(input().contributions).filter((name) => name !== "all"), kinds = direction().quantities;
  const insides = input().insides.map((one, index) => [index, `${one.name} (${one.cell})`]);
  state.quantity = Math.max(0, Math.min(state.quantity, kinds.length - 1));
  if (state.colour === "unit" && !kinds.length) state.colour = "all";
  fill(at("direction"), insides, state.direction);
  fill(at("quantity"), kinds.map((of, index) => [index, of.name]), state.quantity);
  fill(at("colour"), [["all", "contribution"], ...by.map((name) => [name, `contribution, ${name} only`]), ["unit", "the unit that is drawn below"]], state.colour);
}

function show() {
  showChoices();
  showAnswer();
  showSum();
  showTokens();
  showParts();
  showInside();
}

at("inputs").hidden = inputs.length < 2;
const short = (steps) => steps.slice(0, 12).join(" ") + (steps.length > 12 ? " …" : "");
fill(at("input"), inputs.map((one, index) => [index, one.texts ? `${index}: ${short(one.steps)}` : `${index}: ${one.steps.length} steps`]), 0);
for (const id of ["input", "direction", "quantity"]) {
  at(id).addEventListener("change", (event) => {
    state[id] = Number(event.target.value);
    if (id !== "quantity") state.unit = direction().liveliest;
    show();
  });
}
at("colour").addEventListener("change", (event) => { state.colour = event.target.value; showTokens(); });
at("units").addEventListener("change", (event) => { state.units = event.target.value; showInside(); });
at("unit").addEventListener("change", (event) => {
  const unit = Number(event.target.value), last = direction().units - 1, known = Number.isInteger(unit) && unit >= 0 && unit <= last;
  at("problem").textContent = known ? "" : `Unknown unit “${event.target.value}”. ${direction().name} has the units 0 to ${last}.`;
  if (known && cells.strips) pin(unit);
});
state.unit = direction().liveliest;
addEventListener("resize", showInside);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showInside);
show();
