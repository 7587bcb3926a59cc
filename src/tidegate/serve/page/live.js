// Live streams: rows, words or a series are fed step by step; the wire can be cut, and the stream goes on by its token.

import { Stream } from "/page/wire.js";
import { curves } from "/page/chart.js";
import { showAnswer } from "/page/text.js";

const find = (id) => document.getElementById(id);
const PACE = 60; // milliseconds from step to step
const SHOWN = 160; // steps of a curve
let timer = 0;
let stream = null;

export function showLive(model, about) {
  stop();
  find("live").hidden = false;
  find("wire").textContent = "not begun";
  find("cut").disabled = true;
  find("cut").textContent = "Cut the wire";
  delete find("live-answer").dataset.heard;
  const texts = model.inputs === "texts";
  find("rows-label").textContent = texts ? "Words to feed" : "Rows to feed, one a line, numbers with commas between them";
  find("rows").value = texts ? "The tide comes in , and the tide goes out ." : example(about);
  find("live-answer").replaceChildren();
  find("curve").replaceChildren();
  find("feed").onclick = () => feed(model, about, texts);
  find("cut").onclick = cutOrGoOn;
}

export function stop() {
  clearInterval(timer);
  stream?.cut();
  stream = null;
}

function example(about) {
  const wave = (at, column) => Math.sin(at / 4 + column) * (1 + column) + 5;
  const rows = Array.from({ length: 240 }, (_, at) => Array.from({ length: about.columns }, (_, k) => wave(at, k).toFixed(3)));
  return rows.map((row) => row.join(",")).join("\n");
}

function feed(model, about, texts) {
  stop();
  const given = find("rows").value.trim();
  const steps = texts ? given.split(/\s+/) : given.split("\n").map((line) => line.split(/[,\t]/).map(Number));
  const seen = [];
  const options = {};
  delete find("live-answer").dataset.heard;
  if (about.stream_options.includes("lookahead")) options.lookahead = about.both_ways || about.task === "token-tagger" ? 2 : undefined;
  if (about.stream_options.includes("start") && about.timed) options.start = "2026-01-01T00:00";
  stream = new Stream(model.name, options, (answer) => hear(answer, seen, steps), (told) => (find("wire").textContent = told));
  stream.connect();
  find("cut").disabled = false;
  find("cut").textContent = "Cut the wire";
  let at = 0;
  timer = setInterval(() => {
    if (at >= steps.length) return clearInterval(timer);
    stream.push(steps[at++]);
  }, PACE);
}

function hear(answer, seen, steps) {
  const { heard = "" } = find("live-answer").dataset;
  find("live-answer").dataset.heard = `${heard}${answer.step} `; // each step once, whatever became of the wire
  if (answer.mean) return showForecast(answer, steps);
  if (answer.tag) {
    seen.push(answer);
    const text = seen.map((word) => word.word).join(" ");
    const spans = seen.filter((word) => word.tag !== "O").map((word) => ({ ...word, label: word.tag }));
    return showAnswer(find("live-answer"), text, { words: seen, spans });
  }
  showAnswer(find("live-answer"), "", answer);
  if ((answer.label ?? answer.labels) === undefined) return;
  const names = Object.keys(answer.probabilities);
  seen.push(answer.probabilities[names.at(-1)]);
  curves(find("curve"), [{ values: seen.slice(-SHOWN) }], `probability of ${names.at(-1)}, step ${answer.step}`, { low: 0, high: 1 });
}

function showForecast(answer, steps) {
  const [name] = Object.keys(answer.mean);
  const known = steps.slice(Math.max(0, answer.step - SHOWN), answer.step).map((row) => row[0]);
  const levels = Object.values(answer.quantiles);
  const onward = (values) => [known.at(-1), ...values];
  const band = levels.length > 1 ? [onward(levels[0][name]), onward(levels.at(-1)[name])] : null;
  const lines = [{ values: known }, { values: onward(answer.mean[name]), from: known.length - 1 }];
  curves(find("curve"), lines, `${name}, and what is to come after step ${answer.step}`, { band });
}

function cutOrGoOn() {
  if (stream.open) {
    stream.cut();
    find("cut").textContent = "Go on";
  } else {
    stream.connect();
    find("cut").textContent = "Cut the wire";
  }
}
