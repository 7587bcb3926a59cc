// A pad of 28 by 28 pixels to draw on, with the pointer or the keys; each row of it is a step.

import { askJson } from "/page/wire.js";
import { showAnswer, showInside } from "/page/text.js";

const find = (id) => document.getElementById(id);
const SIDE = 28;

export function showPad(model, tell) {
  const pad = find("pad");
  const pen = pad.getContext("2d", { willReadFrequently: true });
  const at = { x: 14, y: 6 };
  let [down, turn] = [false, 0];
  find("draw-input").hidden = false;

  async function update() {
    const mine = ++turn;
    const { data } = pen.getImageData(0, 0, SIDE, SIDE);
    const rows = Array.from({ length: SIDE }, (_, y) => Array.from({ length: SIDE }, (_, x) => data[4 * (SIDE * y + x)] / 255));
    try {
      const asked = { model: model.name, sequences: [rows] };
      const [{ answers }, seen] = await Promise.all([askJson("/v1/predict", asked), askJson("/v1/look", asked)]);
      if (mine !== turn) return;
      showAnswer(find("answer"), "", answers[0]);
      showInside(seen);
    } catch (error) {
      tell(error.message, error.status);
    }
  }

  function dot() {
    const glow = pen.createRadialGradient(at.x, at.y, 0.4, at.x, at.y, 1.8);
    glow.addColorStop(0, "#fff");
    glow.addColorStop(1, "#fff0");
    pen.fillStyle = glow;
    pen.fillRect(at.x - 2, at.y - 2, 4, 4);
    update();
  }

  function wipe() {
    pen.fillStyle = "#000";
    pen.fillRect(0, 0, SIDE, SIDE);
    update();
  }

  function follow(event) {
    const box = pad.getBoundingClientRect();
    at.x = ((event.clientX - box.left) / box.width) * SIDE;
    at.y = ((event.clientY - box.top) / box.height) * SIDE;
    if (down) dot();
  }

  pad.onpointerdown = (event) => {
    down = true;
    pad.setPointerCapture(event.pointerId);
    follow(event);
  };
  pad.onpointermove = follow;
  pad.onpointerup = () => (down = false);
  pad.onkeydown = (event) => {
    const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (move) [at.x, at.y] = [Math.min(27, Math.max(0, at.x + move[0])), Math.min(27, Math.max(0, at.y + move[1]))];
    if (event.key === " ") down = !down;
    if (move || event.key === " ") event.preventDefault();
    if (down) dot();
  };
  pad.onblur = () => (down = false);
  find("wipe").onclick = wipe;
  wipe();
}
