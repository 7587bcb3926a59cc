"""Does a token cost the same in a small batch and in a huge one, in short and in long sequences, on 1, 2 and 4 threads?

Forward and backward of an LSTM with 32 units over token ids, from 10^4 to 10^7 tokens, and from 10 to 10^5 steps per
sequence. With fewer sequences than threads some cores have nothing to do, so long sequences come in fours.

    python -m benchmarks.scaling [--rounds 5]
"""

from __future__ import annotations

import statistics

import numpy as np

from benchmarks import command
from benchmarks.race import Outcome, Rival, race
from benchmarks.record import OURS, machine, save
from benchmarks.tables import rows
from benchmarks.work import draw_weights

HIDDEN, MOST_ROUNDS = 32, 5
TOKENS = ((100, 100), (100, 1_000), (100, 10_000), (100, 100_000))  # steps, sequences
STEPS = ((10, 40_000), (100, 4_000), (1_000, 400), (10_000, 40), (100_000, 4))
LARGEST_FOR_ALL_THREADS = 10**6  # more tokens than these only run on all threads


def shapes(threads: int, most: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """List what a number of threads runs: the largest batches, which take long, only when it is the most."""
    every = [*TOKENS, *STEPS]
    return np.array([(t, b) for t, b in every if threads == most or t * b <= LARGEST_FOR_ALL_THREADS])


def spread(parts: dict[str, list[float]], rows_of: tuple[tuple[int, int], ...]) -> float:
    """Return the dearest token divided by the cheapest, of medians."""
    medians = [statistics.median(parts[f"{t} x {b}"]) for t, b in rows_of]
    return max(medians) / min(medians)


def table(by_threads: dict[str, dict[str, list[float]]]) -> str:
    """Write nanoseconds per token, a row per shape and a column per number of threads."""
    body = []
    for steps, count in (*TOKENS, *STEPS):
        cells = [by_threads[threads].get(f"{steps} x {count}") for threads in by_threads]
        numbers = [f"{statistics.median(cell) * 1e9:,.0f}" if cell else "-" for cell in cells]
        body.append([f"{steps * count:,}", f"{steps:,}", f"{count:,}", *numbers])
    head = ["tokens", "steps each", "sequences", *[f"ns per token, {threads} thread(s)" for threads in by_threads]]
    return rows(head, body)


def run(rounds: int, threads: int) -> None:
    """Time all shapes on each number of threads, print a Markdown table and keep the samples."""
    where, by_threads = machine(threads), {}
    outcome = Outcome()
    for some in sorted({1, min(2, threads), threads}):
        arrays = {**draw_weights("lstm", HIDDEN, HIDDEN, 1), "shapes": shapes(some, threads)}
        with command.prepared("lstm", HIDDEN, HIDDEN, 1, some, arrays) as job:
            rivals = [Rival(OURS, "tidegate", "scaling", job.to_json())]
            outcome = race(rivals, threads=some, rounds=min(rounds, MOST_ROUNDS), tolerance=0)
        by_threads[str(some)] = outcome.parts[OURS]
    parts = outcome.parts[OURS]
    figures = {
        "dearest / cheapest token, 10^4 to 10^7 tokens": spread(parts, TOKENS),
        "dearest / cheapest token, 10 to 10^5 steps": spread(parts, STEPS),
    }
    setting = {"cell": "lstm", "hidden": HIDDEN, "directions": 1}
    save("scaling", __doc__, where, setting=setting, figures=figures, parts_by_threads=by_threads)
    print(table(by_threads) + "\n")
    print("\n".join(f"{what}: {value:.2f}" for what, value in figures.items()) + "\n")


def main() -> None:
    """Answer the question."""
    args = command.parser(__doc__).parse_args()
    run(args.rounds, args.threads)


if __name__ == "__main__":
    main()
