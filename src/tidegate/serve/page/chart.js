// Bars and curves, as elements and SVG. Knows nothing of models.

const SVG = "http://www.w3.org/2000/svg";

export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function shape(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

export const short = (value) => (Math.abs(value) >= 1000 ? value.toFixed(0) : Number(value.toPrecision(3)).toString());

// Shares by name, the largest in bold.
export function bars(place, shares) {
  const most = Math.max(...shares.map(([, share]) => share));
  const grid = element("div", { className: "bars" });
  for (const [name, share] of shares) {
    grid.append(
      element("span", { className: share === most ? "best" : "", textContent: name === "" ? "(end)" : name }),
      element("progress", { max: 1, value: share, ariaLabel: name }),
      element("span", { className: "number", textContent: `${(100 * share).toFixed(1)} %` }),
    );
  }
  place.replaceChildren(grid);
}

// Bars up and down from a line, one for each step, named below where there is room: level, or upright between more of them.
export function updown(place, names, values, caption) {
  const [width, height] = [400, 90];
  const most = Math.max(1e-9, ...values.map(Math.abs));
  const each = width / Math.max(values.length, 1);
  const level = each > 44;
  const below = level ? 16 : each > 9 ? 60 : 0;
  const picture = shape("svg", { viewBox: `0 0 ${width} ${height + below}`, role: "img", "aria-label": caption });
  picture.append(shape("line", { class: "axis", x1: 0, x2: width, y1: height / 2, y2: height / 2 }));
  values.forEach((value, at) => {
    const tall = (Math.abs(value) / most) * (height / 2);
    const y = value > 0 ? height / 2 - tall : height / 2;
    const bar = shape("rect", { class: value > 0 ? "up" : "down", x: at * each + 1, width: Math.max(each - 2, 1), y, height: tall });
    bar.append(shape("title", {}, `${names[at]}: ${short(value)}`));
    picture.append(bar);
    const x = (at + 0.5) * each;
    const upright = { x: x + 3, y: height + 4, "text-anchor": "end", transform: `rotate(-90 ${x + 3} ${height + 4})` };
    const place = level ? { x, y: height + 12, "text-anchor": "middle" } : upright;
    if (below) picture.append(shape("text", place, names[at].slice(0, level ? each / 6 : 10)));
  });
  place.replaceChildren(element("figure", {}, picture, element("figcaption", { textContent: caption })));
}

// Curves over the same steps, with a band between two more where these are given.
export function curves(place, lines, caption, { band = null, low = null, high = null } = {}) {
  const [width, height] = [400, 120];
  const all = [...lines.flatMap((line) => line.values), ...(band ? band.flat() : [])].filter(Number.isFinite);
  const [bottom, top] = [low ?? Math.min(...all), high ?? Math.max(...all)];
  const count = Math.max(2, ...lines.map((line) => (line.from ?? 0) + line.values.length));
  const x = (at) => 34 + ((width - 38) * at) / (count - 1);
  const y = (value) => 4 + (height - 8) * (1 - (value - bottom) / (top - bottom || 1));
  const path = (values, from) => values.map((value, at) => `${at ? "L" : "M"}${x(from + at).toFixed(1)},${y(value).toFixed(1)}`).join("");
  const picture = shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": caption });
  for (const value of all.length ? [bottom, top] : []) {
    picture.append(shape("line", { class: "axis", x1: 34, x2: width - 4, y1: y(value), y2: y(value) }));
    picture.append(shape("text", { x: 30, y: y(value) + 3, "text-anchor": "end" }, short(value)));
  }
  if (band) {
    const from = lines.at(-1).from ?? 0;
    const back = [...band[1]].reverse().map((value, at) => `L${x(from + band[1].length - 1 - at)},${y(value)}`).join("");
    picture.append(shape("path", { class: "band", d: `${path(band[0], from)}${back}Z` }));
  }
  lines.forEach((line, at) => picture.append(shape("path", { class: at ? "curve second" : "curve", d: path(line.values, line.from ?? 0) })));
  place.replaceChildren(element("figure", {}, picture, element("figcaption", { textContent: caption })));
}
