"""Measure what the health record costs: its share of the time of training on IMDB with the defaults.

python -m benchmarks.health

Every function that makes the record is timed while one epoch trains into a run folder. The length of the gradient is
taken off again, as clipping needs it anyway. The writing of whole lines is counted, not what the record adds to them.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

import tidegate as tg
from tidegate import health, train
from tidegate.nn.health import Gauge
from tidegate.tasks.run import RunFolder

PARTS: tuple[tuple[str, Any, str], ...] = (
    ("gates and reach", Gauge, "_look"),
    ("good weights", train, "_copy"),
    ("counting", health.Watch, "record"),
    ("judging", health.Watch, "judge"),
    ("writing", RunFolder, "log"),
)
NEEDED = "clipping needs"


def main() -> None:
    """Train for one epoch and print the seconds and the share of each part."""
    spent: defaultdict[str, float] = defaultdict(float)
    for name, home, function in PARTS:
        setattr(home, function, timed(getattr(home, function), spent, name))
    Gauge.grad_norms = beside_clipping(Gauge.grad_norms, spent)  # type: ignore[assignment, method-assign]
    reviews = tg.data.load("imdb").train
    timed(health.padding, spent, "padding")(reviews.x)
    with TemporaryDirectory() as folder:
        model = tg.TextClassifier(epochs=1)
        *_, last = model.fit_steps(reviews.x, reviews.y, run_dir=Path(folder) / "run")
    spent[NEEDED] *= -1
    whole, total = last.seconds + spent[NEEDED], sum(spent.values())
    for name, seconds in spent.items():
        print(f"{name:15} {seconds:6.3f} s  {seconds / whole:6.2%}")
    print(f"{'all':15} {total:6.3f} s  {total / whole:6.2%} of {whole:.1f} s of training")


def timed(function: Callable[..., Any], spent: defaultdict[str, float], name: str) -> Callable[..., Any]:
    """Wrap a function so that its seconds are added up under a name."""

    def run(*args: Any, **options: Any) -> Any:
        begun = time.perf_counter()
        try:
            return function(*args, **options)
        finally:
            spent[name] += time.perf_counter() - begun

    return run


def beside_clipping(grad_norms: Callable[[Gauge], Any], spent: defaultdict[str, float]) -> Callable[[Gauge], Any]:
    """Time the norms of the record and those of torch's clipping, each before the other in every second step."""
    calls = count()

    def run(gauge: Gauge) -> Any:
        grads = [parameter.grad for parameter in gauge.parameters if parameter.grad is not None]
        ours = timed(partial(grad_norms, gauge), spent, "gradient norms")
        torchs = timed(lambda: torch.nn.utils.get_total_norm(grads).item(), spent, NEEDED)
        if next(calls) % 2:
            torchs()
            return ours()
        found = ours()
        torchs()
        return found

    return run


if __name__ == "__main__":
    main()
