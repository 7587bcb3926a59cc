"""Is an accelerated layer ever slower than torch's own, and on which shapes are the kernels ahead?

Every cell over a grid of steps, sequences and hidden units, for inference and for a whole training step (forward, sum,
backward), on one thread and on two. Both layers run in one process on the same weights, call by call in turn. A figure
is torch's time over ours, the best of each, as others may use the machine, too; where it comes out below one it is
measured once more, and the better counts. First the kernels alone (`exact=True`), which is where the rule of
`tidegate.nn.sooner` comes from; then every call that the rule hands over, as it runs.

    python -m benchmarks.accelerate [--threads 2]
"""

from __future__ import annotations

import copy
import gc
import itertools
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch

import tidegate as tg
from benchmarks import command
from benchmarks.record import Record, load, machine, save
from benchmarks.tables import rows, times
from tidegate import cells, kernels
from tidegate.nn import sooner

CELLS = {"rnn_tanh": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}
STEPS, SEQUENCES, UNITS = (1, 5, 20, 100, 500), (1, 8, 32, 128), (16, 64, 128, 256, 512)
MODES = {False: "inference", True: "training"}
MOST_WORK = 3e9  # multiply-adds of a call; what is more is like the longest that is less
SECONDS, MOST_ROUNDS = 0.1, 100  # of a point
Point = tuple[int, str, bool, int, int, int]  # threads, cell, training, H, B, T


def points(threads: int) -> Iterator[Point]:
    """Go through the grid, but for what takes too long."""
    counts = range(1, min(threads, 2) + 1)
    for count, cell, training, H, B, T in itertools.product(counts, CELLS, MODES, UNITS, SEQUENCES, STEPS):
        if cells.CELLS[cell].gates * 2 * H * H * B * T * (3 if training else 1) <= MOST_WORK:
            yield count, cell, training, H, B, T


def measure(point: Point, *, exact: bool) -> float:
    """Return torch's time over ours."""
    threads, cell, training, H, B, T = point
    torch.set_num_threads(threads)
    theirs: Any = CELLS[cell](H, H)
    ours = copy.deepcopy(theirs)
    tg.accelerate(ours, exact=exact)
    x = torch.randn(T, B, H)
    torch.testing.assert_close(ours(x)[0], theirs(x)[0], rtol=1e-3, atol=1e-4)
    run = train if training else infer
    best = ratio(run, theirs, ours, x)
    if best < 1:
        best = max(best, ratio(run, theirs, ours, x))
    print(*point, f"{best:.2f}", file=sys.stderr, flush=True)
    return best


def ratio(run: Callable[[Any, torch.Tensor], None], theirs: Any, ours: Any, x: torch.Tensor) -> float:
    """Return torch's best time over our best, the two in turn."""
    found: list[tuple[float, float]] = []
    for layer in (theirs, ours) * 2:
        run(layer, x)
    gc.disable()
    begin = time.perf_counter()
    while len(found) < 3 or (len(found) < MOST_ROUNDS and time.perf_counter() - begin < SECONDS):
        start = time.perf_counter()
        run(theirs, x)
        half = time.perf_counter()
        run(ours, x)
        found.append((half - start, time.perf_counter() - half))
    gc.enable()
    return min(theirs for theirs, _ in found) / min(ours for _, ours in found)


def infer(layer: Any, x: torch.Tensor) -> None:
    with torch.no_grad():
        layer(x)


def train(layer: Any, x: torch.Tensor) -> None:
    layer.zero_grad()
    layer(x)[0].sum().backward()


def run(threads: int) -> None:
    """Answer the question, and keep every ratio."""
    where = machine(threads)
    alone = {point: measure(point, exact=True) for point in points(threads)}
    handed = {point: measure(point, exact=False) for point in alone if is_handed_over(point)}
    setting = {"steps": STEPS, "sequences": SEQUENCES, "units": UNITS}
    path = save("accelerate", __doc__, where, setting=setting, isa=kernels.active_isa(), kernels_alone=_listed(alone),
                handed_over=_listed(handed))  # fmt: skip
    print(table(load(path)["accelerate"]))


def _listed(found: dict[Point, float]) -> list[list[Any]]:
    return [[*point, round(each, 3)] for point, each in found.items()]


def is_handed_over(point: Point) -> bool:
    """Ask the rule."""
    _, cell, training, H, B, T = point
    return not sooner.never(cell, torch.float32) and sooner.is_short(cell, H, T, B * T, training=training)


def table(record: Record) -> str:
    """Write the least and the median over all sequences, on one thread, as calls run: kernels, or in brackets torch."""
    alone, handed = ({tuple(point): each for *point, each in record[key]} for key in ("kernels_alone", "handed_over"))
    body = []
    for cell, training, H in itertools.product(CELLS, MODES, UNITS):
        line = [cell, MODES[training], str(H)]
        for T in STEPS:
            here = [(1, cell, training, H, B, T) for B in SEQUENCES if (1, cell, training, H, B, T) in alone]
            found = [handed.get(point, alone[point]) for point in here]
            shown = f"{times(min(found))} {times(statistics.median(found))}" if found else ""
            line.append(f"({shown})" if here and all(point in handed for point in here) else shown)
        body.append(line)
    return rows(["cell", "", "H", *(f"T = {T}" for T in STEPS)], body)


def main() -> None:
    """Read the options and answer."""
    run(command.parser(__doc__).parse_args().threads)


if __name__ == "__main__":
    main()
