"""Does it pay to see a line as an image? Lines of MNIST digits by four fronts of equal numbers of parameters.

Three to eight digits stand side by side, each of a size of its own, higher or lower, and overlapping or apart; lines to
learn from are made of the first 55,000 digits of the training part, those to choose by of the other 5,000, those to
measure on of the test part. A `Transcriber` with each front learns from the same lines; its learning rate is the one
that leaves fewer errors on validation lines after a short run. Intervals (95 %) draw test lines anew.

    python -m benchmarks.digit_lines [--lines 4000] [--epochs 12] [--fronts window,columns,renet,mdlstm]
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

import tidegate as tg
from benchmarks.record import machine, save
from tidegate.data import Recordings
from tidegate.data.transcribed.scaling import scale, width_at
from tidegate.kernels import get_num_threads
from tidegate.tasks.transcribing.scores import measure_transcriber

HEIGHT = 40
SIZES = (18, 30)  # pixels that a digit is high
GAPS = (-5, 4)  # pixels between two; where they overlap the darker counts
LENGTHS = (3, 8)
TUNED = 5000  # digits at the end of the training part, for validation lines
COUNTS = {"valid": 400, "test": 2000}
RATES = (0.003, 0.01)
# Sizes of a front and of the two recurrent layers behind it, so that all have about 117,000 parameters.
FRONTS = {"window": (1, 32), "columns": (48, 50), "renet": (24, 48), "mdlstm": (16, 48)}
SETTING: dict[str, Any] = {"num_layers": 2, "dropout": 0.1, "speed": 0.1, "noise": 0.05, "time_masks": 0}
DRAWS = 1000

Grey: TypeAlias = npt.NDArray[np.uint8]
Digits: TypeAlias = tuple[list[Grey], npt.NDArray[np.int64]]


def digits() -> dict[str, Digits]:
    """Part MNIST by what lines are made for; each digit is cut to its ink."""
    data = tg.data.load("mnist")
    assert data.test is not None, "MNIST has a test part"
    train, test = (([cut(image) for image in part.x], np.asarray(part.y)) for part in (data.train, data.test))
    return {
        "train": (train[0][:-TUNED], train[1][:-TUNED]),
        "valid": (train[0][-TUNED:], train[1][-TUNED:]),
        "test": test,
    }


def cut(image: Any) -> Grey:
    """Cut the margins off rows [28, 28] of ink from 0 to 1."""
    ink: Grey = np.rint(np.asarray(image) * 255).astype(np.uint8)
    rows, columns = (np.flatnonzero(ink.any(axis=axis)) for axis in (1, 0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def compose(pool: Digits, count: int, rng: np.random.Generator) -> Recordings:
    """Draw lines of digits, and where each stands."""
    pictures, labels = pool
    signals, texts = [], []
    for _ in range(count):
        chosen = rng.integers(len(labels), size=rng.integers(LENGTHS[0], LENGTHS[1] + 1)).tolist()
        signals.append(line([pictures[index] for index in chosen], rng))
        texts.append("".join(str(labels[index]) for index in chosen))
    return Recordings(signals, texts, reads="line")


def line(pictures: list[Grey], rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Set digits side by side on paper [width, HEIGHT]."""
    paper = np.zeros((HEIGHT, len(pictures) * (SIZES[1] + GAPS[1]) + 8), np.uint8)
    begin, end = 0, 4
    for picture in pictures:
        height = int(rng.integers(SIZES[0], SIZES[1] + 1))
        drawn = scale(picture, height, min(width_at(height, picture.shape), SIZES[1]))
        top = int(rng.integers(HEIGHT - height + 1))
        begin = max((begin + end) // 2, end + int(rng.integers(GAPS[0], GAPS[1] + 1)))  # half of it stays free
        end = max(end, begin + drawn.shape[1])
        place = paper[top : top + height, begin : begin + drawn.shape[1]]
        np.maximum(place, drawn, out=place)
    return np.ascontiguousarray(paper[:, : end + 4].T).astype(np.float32) / np.float32(255)


def train(front: str, lines: dict[str, Recordings], *, epochs: int, rate: float, seed: int) -> tg.Transcriber:
    """Train a transcriber; its last weights are averages, as it hands them out."""
    front_size, hidden_size = FRONTS[front]
    model = tg.Transcriber(
        reads="line",
        front=front,  # type: ignore[arg-type]
        front_size=front_size,
        hidden_size=hidden_size,
        language=False,  # digits are drawn at random
        epochs=epochs,
        learning_rate=rate,
        average=0.99,
        seed=seed,
        **SETTING,
    )
    for step in model.fit_steps(lines["train"], valid=(lines["valid"], None)):
        if step.valid is not None:
            told = f"epoch {step.epoch} of {step.epochs}: validation CER {step.valid['cer']:.4f}"
            print(f"{front} at {rate}: {told}, {step.seconds:.0f} s", flush=True)
    return model


def measured(model: tg.Transcriber, lines: Recordings) -> dict[str, Any]:
    """Measure on lines that were drawn to test on: shares of wrong symbols and lines, with intervals."""
    found = measure_transcriber(model, tg.data.Examples(lines, np.array(lines.texts)))
    wrong = found.wrong.astype(float)
    drawn = np.random.default_rng(0).integers(len(wrong), size=(DRAWS, len(wrong)))
    span = np.quantile(wrong[drawn].mean(axis=1), [0.025, 0.975]).tolist()
    return {"cer": found.measures()["cer"], "cer 95 %": found.intervals()["cer"], "ser": wrong.mean(), "ser 95 %": span}


def answer(front: str, lines: dict[str, Recordings], args: argparse.Namespace) -> dict[str, Any]:
    """Choose a learning rate on validation lines, train, and measure on test lines."""
    short = lines | {"train": lines["train"].select(range(min(args.tried, len(lines["train"]))))}
    tried = {}
    for rate in RATES:
        model = train(front, short, epochs=args.tries, rate=rate, seed=args.seed)
        tried[rate] = 1 - model.score(lines["valid"])
    rate = min(tried, key=lambda one: tried[one])
    begun, worked = time.perf_counter(), time.process_time()
    model = train(front, lines, epochs=args.epochs, rate=rate, seed=args.seed)
    seconds = {"seconds": time.perf_counter() - begun, "processor seconds": time.process_time() - worked}
    parameters = sum(array.size for array in model.inside().weights.values())
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        model.save(args.out / f"{front}.safetensors")
    rates = {"rate": rate, "validation CER of rates": tried}
    return {"parameters": parameters, **rates, **seconds, **measured(model, lines["test"])}


def main() -> None:
    """Answer the question, front by front; what is found is kept after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fronts", default=",".join(FRONTS))
    parser.add_argument("--lines", type=int, default=4000, help="lines to learn from")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--tried", type=int, default=2000, help="lines to learn from where a rate is tried")
    parser.add_argument("--tries", type=int, default=4, help="epochs of them")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="a folder for the models")
    args = parser.parse_args()
    where, pools = machine(get_num_threads()), digits()
    counts = {"train": args.lines, **COUNTS}
    lines = {
        part: compose(pools[part], count, np.random.default_rng([args.seed, number]))
        for number, (part, count) in enumerate(counts.items())
    }
    found: dict[str, Any] = {}
    setting = SETTING | {name: value for name, value in vars(args).items() if name != "out"} | {"counts": counts}
    for front in args.fronts.split(","):
        found[front] = answer(front, lines, args)
        told = found[front]
        low, high = told["ser 95 %"]
        wrong = f"CER {told['cer']:.2%}, lines with an error {told['ser']:.2%} ({low:.2%} to {high:.2%})"
        print(f"{front}: {told['parameters']:,} parameters, {wrong}, {told['processor seconds']:.0f} s", flush=True)
        save("digit-lines", __doc__, where, setting=setting, fronts=found)


if __name__ == "__main__":
    main()
