"""How much memory does a training step over long sequences take at its peak, beside PyTorch?

An LSTM with 64 units over 32 sequences of 4,096 steps, forward and backward, each in a process of its own: the most
resident memory, less what was resident after the imports. Input and output count, as they are there for both.

    python -m benchmarks.memory [--rounds 3]
"""

from __future__ import annotations

import statistics

import numpy as np

from benchmarks import command
from benchmarks.race import Process, Rival
from benchmarks.record import OURS, machine, save
from benchmarks.tables import rows
from benchmarks.work import draw_weights

STEPS, BATCH, HIDDEN, MOST_ROUNDS = 4096, 32, 64, 3
RECOMPUTED = f"{OURS}, recompute=True"
ENGINES = ((OURS, "tidegate", "memory"), (RECOMPUTED, "tidegate", "memory_recomputed"), ("torch", "pytorch", "memory"))


def run(rounds: int, threads: int) -> None:
    """Start each engine anew in every round, print a Markdown table and keep the samples."""
    where, mebibytes = machine(threads), dict[str, list[float]]()
    x = np.random.default_rng(1).standard_normal((STEPS, BATCH, HIDDEN)).astype(np.float32)
    arrays = {**draw_weights("lstm", HIDDEN, HIDDEN, 1), "x": x, "repeats": np.array(1)}
    with command.prepared("lstm", HIDDEN, HIDDEN, 1, threads, arrays) as job:
        for _ in range(min(rounds, MOST_ROUNDS)):
            for name, engine, question in ENGINES:
                process = Process(Rival(name, engine, question, job.to_json()), threads)
                process.greet()
                mebibytes.setdefault(name, []).append(process.ask("run"))
                process.close()
    middle = {name: statistics.median(values) for name, values in mebibytes.items()}
    setting = {"cell": "lstm", "hidden": HIDDEN, "directions": 1, "batch": BATCH, "steps": STEPS}
    figures = {
        "peak memory / torch's": middle[OURS] / middle["torch"],
        "peak memory with recompute=True / torch's": middle[RECOMPUTED] / middle["torch"],
    }
    save("memory", __doc__, where, setting=setting, mebibytes=mebibytes, figures=figures)
    print(table(mebibytes) + "\n")


def table(mebibytes: dict[str, list[float]]) -> str:
    """Write the median of each engine."""
    ours = statistics.median(mebibytes[OURS])
    middle = {name: statistics.median(values) for name, values in mebibytes.items()}
    body = [[name, f"{value:,.0f}", f"{ours / value:.2f}"] for name, value in middle.items()]
    return rows(["engine", "MiB at the peak", "Tidegate's / this"], body)


def main() -> None:
    """Answer the question."""
    args = command.parser(__doc__).parse_args()
    run(args.rounds, args.threads)


if __name__ == "__main__":
    main()
