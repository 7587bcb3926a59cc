"""What does the first call cost, and the first call with each new shape, beside PyTorch?

A training step of one LSTM layer with 64 units, each engine in a new process in each round: the very first, the same
again, then eight shapes it has not seen, and these again.

    python -m benchmarks.first_call [--rounds 5]
"""

from __future__ import annotations

import statistics

import numpy as np

from benchmarks import command
from benchmarks.race import Process, Rival
from benchmarks.record import OURS, machine, save
from benchmarks.tables import milliseconds, rows
from benchmarks.work import draw_weights

HIDDEN, MOST_ROUNDS = 64, 5
SHAPES = [(100, 128), (90, 120), (80, 64), (70, 100), (60, 33), (50, 128), (95, 77), (85, 128), (75, 50)]


def run(rounds: int, threads: int) -> None:
    """Start each engine anew in every round, print a Markdown table and keep the samples."""
    where, parts = machine(threads), dict[str, dict[str, list[float]]]()
    x = np.random.default_rng(1).standard_normal((*SHAPES[0], HIDDEN)).astype(np.float32)
    arrays = {**draw_weights("lstm", HIDDEN, HIDDEN, 1), "x": x, "shapes": np.array(SHAPES)}
    with command.prepared("lstm", HIDDEN, HIDDEN, 1, threads, arrays) as job:
        for _ in range(min(rounds, MOST_ROUNDS)):
            for name, engine in ((OURS, "tidegate"), ("torch", "pytorch")):
                process = Process(Rival(name, engine, "first_call", job.to_json()), threads)
                process.greet()
                for part, seconds in process.ask("run").items():
                    parts.setdefault(name, {}).setdefault(part, []).append(seconds)
                process.close()
    setting = {"cell": "lstm", "hidden": HIDDEN, "directions": 1, "shapes": SHAPES}
    save("first-call", __doc__, where, setting=setting, parts=parts)
    print(table(parts) + "\n")


def table(parts: dict[str, dict[str, list[float]]]) -> str:
    """Write the median milliseconds of each part."""
    names = list(parts[OURS])
    body = [[name, *[milliseconds(statistics.median(have[part])) for part in names]] for name, have in parts.items()]
    return rows(["engine, ms", *names], body)


def main() -> None:
    """Answer the question."""
    args = command.parser(__doc__).parse_args()
    run(args.rounds, args.threads)


if __name__ == "__main__":
    main()
