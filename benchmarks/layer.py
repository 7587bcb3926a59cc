"""How near to the machine's peak is one layer on sequences of equal length, beside PyTorch's fused oneDNN layer?

An LSTM with as many inputs as units, 100 steps, nothing padded, forward and backward apart, gradients of the input and
of all weights. The share of the peak counts the matrix products alone: ``2 G H (C + H)`` operations per token forward,
of G gates, C inputs and H units, and twice as many backward. Sizes that are no multiple of a vector are compared with
the next one that is.

    python -m benchmarks.layer [--hidden 128 --batch 128] [--rounds 10]
"""

from __future__ import annotations

import statistics

import numpy as np

from benchmarks import command, floor, peak
from benchmarks.race import Outcome, Rival, race
from benchmarks.record import OURS, load, machine, save
from benchmarks.tables import race_table
from benchmarks.work import draw_weights, products

STEPS = 100
SIZES = ((64, 128), (128, 128), (256, 64), (512, 64))  # units, sequences
ODD = ((50, 64), (100, 112))
RIVAL = "torch"


def draw_input(batch: int, inputs: int) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    rng = np.random.default_rng(1)
    return {"x": rng.standard_normal((STEPS, batch, inputs)).astype(np.float32)}


def shares(outcome: Outcome, operations: float, peak_rate: float) -> dict[str, float]:
    """Return which share of the peak each engine reached in the matrix products, forward and backward."""
    found = {}
    for name, parts in outcome.parts.items():
        for part, factor in (("forward", 1), ("backward", 2)):
            rate = factor * operations / statistics.median(parts[part]) / 1e9
            found[f"{name} {part}, share of FMA peak"] = rate / peak_rate
    return found


def compare(hidden: int, batch: int, rounds: int, threads: int) -> None:
    """Race the two, print a Markdown table and keep the samples."""
    where, before, repeats = machine(threads), peak.measure(threads), 3 if hidden < 256 else 1
    arrays = {**draw_weights("lstm", hidden, hidden, 1), **draw_input(batch, hidden), "repeats": np.array(repeats)}
    with command.prepared("lstm", hidden, hidden, 1, threads, arrays) as job:
        rivals = [Rival(OURS, "tidegate", "layer", job.to_json()), Rival(RIVAL, "pytorch", "layer", job.to_json())]
        outcome = race(rivals, threads=threads, rounds=rounds, tolerance=1e-3)
    limits = {name: max(value, before[name]) for name, value in peak.measure(threads).items()}
    operations = products("lstm", hidden, hidden, 1) * batch * STEPS
    figures = shares(outcome, operations, limits["FMA in registers, GFLOP/s"])
    setting = {"cell": "lstm", "hidden": hidden, "directions": 1, "batch": batch, "steps": STEPS}
    name = f"layer-lstm-{hidden}"
    tokens = batch * STEPS
    rows = 4 * 4 * hidden * tokens  # bytes of input and output, and of their gradients
    least = floor.training(floor.forward("lstm", hidden, hidden, 1, tokens=tokens, projected=tokens), moved=rows)
    more = floor.told(least, threads) | {"tokens": tokens, "peak": limits, "figures": figures}
    path = save(name, __doc__, where, setting=setting, outcome=outcome, **more)
    print(f"{name}, {threads} threads\n\n{race_table(load(path)[name])}\n")
    print("\n".join(f"{what}: {value:.0%}" for what, value in figures.items()) + "\n")


def compare_odd(rounds: int, threads: int) -> None:
    """Time our own layers of odd sizes beside the next full ones."""
    where, largest = machine(threads), max(full for _, full in ODD)
    arrays = {**draw_input(128, largest), "sizes": np.array(ODD).ravel(), "repeats": np.array(3)}
    with command.prepared("lstm", largest, largest, 1, threads, arrays) as job:
        outcome = race(
            [Rival(OURS, "tidegate", "odd_sizes", job.to_json())], threads=threads, rounds=rounds, tolerance=0
        )
    parts = outcome.parts[OURS]
    figures = {
        f"time of {odd} units / {full}": statistics.median(
            a / b for a, b in zip(parts[str(odd)], parts[str(full)], strict=True)
        )
        for odd, full in ODD
    }
    setting = {"cell": "lstm", "directions": 1, "batch": 128, "steps": STEPS, "sizes": ODD}
    save("layer-odd-sizes", __doc__, where, setting=setting, outcome=outcome, figures=figures)
    print("\n".join(f"{what}: {value:.2f}" for what, value in figures.items()) + "\n")


def run(rounds: int, threads: int) -> None:
    """Answer the question for every size."""
    for hidden, batch in SIZES:
        compare(hidden, batch, rounds, threads)
    compare_odd(rounds, threads)


def main() -> None:
    """Answer for one size, or for all where none is named."""
    parser = command.parser(__doc__)
    parser.add_argument("--hidden", type=int)
    parser.add_argument("--batch", type=int, default=128)
    args = parser.parse_args()
    if args.hidden:
        compare(args.hidden, args.batch, args.rounds, args.threads)
    else:
        run(args.rounds, args.threads)


if __name__ == "__main__":
    main()
