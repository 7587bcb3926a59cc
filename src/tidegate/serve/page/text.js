// Texts: the answer, the gates and the contributions move with each key; a language model writes on.

import { ask, askJson, events } from "/page/wire.js";
import { bars, curves, element, updown } from "/page/chart.js";

const find = (id) => document.getElementById(id);
let turn = 0;

export function showText(model, tell) {
  const area = find("text");
  const write = find("write");
  find("text-input").hidden = false;
  write.hidden = model.task !== "language-model";
  area.oninput = () => update(model, area.value, tell);
  write.onclick = () => writeOn(model, area, tell);
  update(model, area.value, tell);
}

async function update(model, text, tell) {
  const mine = ++turn;
  try {
    const asked = { model: model.name, texts: [text] };
    const [{ answers }, seen] = await Promise.all([askJson("/v1/predict", asked), askJson("/v1/look", asked)]);
    if (mine !== turn) return; // a later key was quicker
    showAnswer(find("answer"), text, answers[0]);
    showInside(seen);
    tell("");
  } catch (error) {
    if (mine === turn) tell(error.message, error.status);
  }
}

export function showAnswer(place, text, answer) {
  if (answer.probabilities && (answer.label ?? answer.labels) !== undefined) bars(place, Object.entries(answer.probabilities));
  else if (answer.next) bars(place, answer.next.map((each) => [each.token, each.probability]));
  else if (answer.words) place.replaceChildren(spans(text, answer));
}

// The text with its spans underlined; where tags name no spans, each word is one.
function spans(text, answer) {
  const line = element("p", { className: "text" });
  const signs = Array.from(text); // places count characters, of which JavaScript may need two units for one
  let at = 0;
  for (const span of answer.spans) {
    line.append(signs.slice(at, span.start).join(""));
    line.append(element("mark", {}, signs.slice(span.start, span.end).join(""), element("small", { textContent: span.label })));
    at = span.end;
  }
  line.append(signs.slice(at).join(""));
  return line;
}

export function showInside(seen) {
  find("inside").hidden = false;
  if (seen.contributions) updown(find("contributions"), seen.steps, seen.contributions, "what each step adds to the answer, or takes from it");
  else find("contributions").replaceChildren();
  const places = seen.directions.map((direction) => {
    const place = element("div");
    const lines = Object.entries(direction.gates).filter(([name]) => name !== "g" && name !== "n");
    const parts = lines.map(([name, values]) => {
      const part = element("div");
      curves(part, [{ values }], `${direction.name}, gate ${name}`, { low: 0, high: 1 });
      return part;
    });
    place.append(element("div", { className: "pair" }, ...parts));
    return place;
  });
  find("gates").replaceChildren(...places);
}

async function writeOn(model, area, tell) {
  try {
    const seed = Math.floor(Math.random() * 2 ** 31);
    const asked = { model: model.name, prompt: area.value, max_tokens: 40, temperature: 0.8, seed, stream: true };
    for await (const data of events("/v1/completions", asked)) {
      if (data === "[DONE]") break;
      area.value += JSON.parse(data).choices[0].text;
    }
    update(model, area.value, tell);
  } catch (error) {
    tell(error.message, error.status);
  }
}
