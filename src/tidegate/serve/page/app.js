// The page: one model is chosen, and what it takes is shown; below, how busy the server is.

import { askJson, useToken } from "/page/wire.js";
import { curves } from "/page/chart.js";
import { showText } from "/page/text.js";
import { showLive, stop } from "/page/live.js";
import { showPad } from "/page/draw.js";

const find = (id) => document.getElementById(id);
const EXAMPLES = {
  "text-classifier": "I laughed, I cried, and I would see it again.",
  "token-tagger": "Ada Lovelace lived in London",
  "language-model": "The value of",
};

function tell(problem, status = 0) {
  find("problem").textContent = problem;
  find("problem").hidden = !problem;
  if (status === 401) find("token-label").hidden = false;
}

async function begin() {
  try {
    const { models } = await askJson("/v1/models");
    find("model").replaceChildren(...models.map((model) => new Option(`${model.name} (${model.task})`, model.name)));
    find("model").onchange = () => choose(models.find((model) => model.name === find("model").value));
    tell("");
    choose(models[0]);
    watch();
  } catch (error) {
    tell(error.message, error.status);
  }
}

async function choose(model) {
  stop();
  for (const id of ["text-input", "draw-input", "inside", "live", "ask"]) find(id).hidden = true;
  find("answer").replaceChildren();
  const about = await askJson(`/v1/models/${model.name}`);
  if (find("model").value !== model.name) return;
  tell("");
  find("text").value = EXAMPLES[model.task] ?? "";
  find("ask").hidden = model.inputs === "series" || (model.inputs === "sequences" && about.columns !== 28);
  if (model.inputs === "texts") showText(model, tell);
  else if (model.inputs === "sequences" && about.columns === 28) showPad(model, tell);
  if (about.streams) showLive(model, about);
}

const [latency, queue] = [[], []];

async function watch() {
  const begun = performance.now();
  try {
    const load = await askJson("/v1/load");
    latency.push(performance.now() - begun);
    queue.push(load.waiting_tokens);
    for (const line of [latency, queue]) line.splice(0, line.length - 60);
    curves(find("latency"), [{ values: latency }], "milliseconds of an answer", { low: 0 });
    curves(find("queue"), [{ values: queue }], `tokens that wait; live sessions: ${load.sessions}`, { low: 0 });
  } catch (error) {
    tell(error.message, error.status);
  }
  setTimeout(watch, 1000);
}

find("token-label").onsubmit = (event) => {
  event.preventDefault();
  useToken(find("token").value);
  begin();
};
begin();
