"""How much memory does a training step over long sequences take at its peak, beside PyTorch?

An LSTM with 64 units over 32 sequences of 4,096 steps, its maximum over time, a linear layer and the loss, forward and
backward, each in a process of its own: the most resident memory, less what was resident after the imports. Then the
layers alone, as `tidegate.nn` has them for PyTorch, with their input, output and both gradients.

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
LAYER, RECOMPUTED, TORCH_LAYER = "layer of tidegate.nn", "layer of tidegate.nn, recompute=True", "layer of torch"
ENGINES = (
    (OURS, "tidegate", "memory"),
    ("torch", "pytorch", "memory"),
    (LAYER, "tidegate", "memory_of_layer"),
    (RECOMPUTED, "tidegate", "memory_recomputed"),
    (TORCH_LAYER, "pytorch", "memory_of_layer"),
)


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
        "peak memory of a layer / torch's": middle[LAYER] / middle[TORCH_LAYER],
        "peak memory of a layer with recompute=True / torch's": middle[RECOMPUTED] / middle[TORCH_LAYER],
    }
    save("memory", __doc__, where, setting=setting, mebibytes=mebibytes, figures=figures)
    print(table(mebibytes) + "\n")


def table(mebibytes: dict[str, list[float]]) -> str:
    """Write the median of each engine."""
    body = [[name, f"{statistics.median(values):,.0f}"] for name, values in mebibytes.items()]
    return rows(["engine", "MiB at the peak"], body)


def main() -> None:
    """Answer the question."""
    args = command.parser(__doc__).parse_args()
    run(args.rounds, args.threads)


if __name__ == "__main__":
    main()
