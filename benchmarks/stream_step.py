"""How long does one step of one stream take, called from Python, beside ONNX Runtime, OpenVINO and PyTorch?

An LSTM with as many inputs as units. Tidegate keeps the state in its stream; the others, which have no other way, hand
it out to Python and get it back at each step. Each engine gets all threads and may use as many as it likes; ONNX
Runtime and PyTorch also run on a single one. After all steps the states must be equal. Percentiles are those of the 500
steps of a round, medians over the rounds.

    python -m benchmarks.stream_step [--hidden 64] [--rounds 10]
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from benchmarks import command, floor
from benchmarks.race import Rival, race
from benchmarks.record import OURS, load, machine, save
from benchmarks.tables import race_table
from benchmarks.work import Job, draw_weights

STEPS = 500
SIZES = (64, 256)


def entries(job: Job) -> list[Rival]:
    def entry(name: str, engine: str, mode: str = "", *, peers: bool = False, threads: int = job.threads) -> Rival:
        return Rival(name, engine, "stream_step", replace(job, mode=mode, threads=threads).to_json(), peers)

    return [
        entry(OURS, "tidegate"),
        entry("torch LSTMCell", "pytorch"),
        entry("torch LSTMCell, one thread", "pytorch", threads=1),
        entry("torch LSTM", "pytorch", "layer"),
        entry("onnxruntime", "onnxruntime", peers=True),
        entry("onnxruntime, one thread", "onnxruntime", peers=True, threads=1),
        entry("openvino", "openvino", peers=True),
    ]


def compare(hidden: int, rounds: int, threads: int) -> None:
    """Race the engines on one stream, print a Markdown table and keep the percentiles of every round."""
    where = machine(threads)
    steps = np.random.default_rng(1).standard_normal((STEPS, 1, hidden)).astype(np.float32)
    weights = draw_weights("lstm", hidden, hidden, 1)
    with command.prepared("lstm", hidden, hidden, 1, threads, {**weights, "steps": steps}) as job:
        outcome = race(entries(job), threads=threads, rounds=rounds, tolerance=1e-4)
    name, setting = f"stream-step-lstm-{hidden}", {"cell": "lstm", "hidden": hidden, "directions": 1, "batch": 1}
    more = floor.told(floor.forward("lstm", hidden, hidden, 1, tokens=STEPS, projected=STEPS), 1)
    path = save(name, __doc__, where, setting=setting, outcome=outcome, batches=STEPS, **more)
    print(f"{name}, {threads} threads\n\n{race_table(load(path)[name])}\n")


def run(rounds: int, threads: int) -> None:
    """Answer the question for every size."""
    for hidden in SIZES:
        compare(hidden, rounds, threads)


def main() -> None:
    """Answer for one size, or for all where none is named."""
    parser = command.parser(__doc__)
    parser.add_argument("--hidden", type=int)
    args = parser.parse_args()
    if args.hidden:
        compare(args.hidden, args.rounds, args.threads)
    else:
        run(args.rounds, args.threads)


if __name__ == "__main__":
    main()
