"""Measure what the health record costs: its share of the time of training a BiLSTM on IMDB.

python -m benchmarks.health

Functions that make the record are timed while one epoch trains into a run folder. Looking into gates happens inside the
core: batches of that epoch are run with and without it, one after the other, and the difference counts as often as
training looks. The writing of whole lines is counted, not what the record adds to them.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

import tidegate as tg
from tidegate import health, train
from tidegate.engine import CrossEntropy
from tidegate.engine.gauge import Gauge
from tidegate.tasks.run import RunFolder

PARTS: tuple[tuple[str, Any, str], ...] = (
    ("counting", health.Watch, "record"),
    ("judging", health.Watch, "judge"),
    ("writing", RunFolder, "log"),
)
ROUNDS = 20
BATCH = 64  # texts of an update


def main() -> None:
    """Train for one epoch and print the seconds and the share of each part."""
    spent: defaultdict[str, float] = defaultdict(float)
    for name, home, function in PARTS:
        setattr(home, function, timed(getattr(home, function), spent, name))
    reviews = tg.data.load("imdb").train
    timed(health.padding, spent, "padding")(reviews.x)
    with TemporaryDirectory() as folder:
        model = tg.TextClassifier.from_preset("plain-bilstm", epochs=1)
        *_, last = model.fit_steps(reviews.x, reviews.y, run_dir=Path(folder) / "run")
    spent["gates and reach"] = looking(model, reviews.x) * (last.steps // health.EVERY + 2)
    total = sum(spent.values())
    for name, seconds in spent.items():
        print(f"{name:15} {seconds:6.3f} s  {seconds / last.seconds:6.2%}")
    print(f"{'all':15} {total:6.3f} s  {total / last.seconds:6.2%} of {last.seconds:.1f} s of training")


def looking(model: tg.TextClassifier, texts: Any) -> float:
    """Measure how many seconds longer an update takes that looks into gates and gradients."""
    recipe = train.Recipe(epochs=1, batch_size=BATCH, learning_rate=0.0)
    program = train.start(model.network_, model.weights_, recipe).program
    gauge, loss = Gauge(program), CrossEntropy(np.zeros(BATCH, np.int64), np.ones(BATCH))
    batch = model._learned().learned.preparation.encode(list(texts[:BATCH]))
    longer = []
    for _ in range(ROUNDS):
        seconds = []
        for look in (False, True):
            begun = time.perf_counter()
            with gauge.looking(look):
                program.gradient(batch, loss)
            seconds.append(time.perf_counter() - begun)
        longer.append(seconds[1] - seconds[0])
    return median(longer)


def timed(function: Callable[..., Any], spent: defaultdict[str, float], name: str) -> Callable[..., Any]:
    """Wrap a function so that its seconds are added up under a name."""

    def run(*args: Any, **options: Any) -> Any:
        begun = time.perf_counter()
        try:
            return function(*args, **options)
        finally:
            spent[name] += time.perf_counter() - begun

    return run


if __name__ == "__main__":
    main()
