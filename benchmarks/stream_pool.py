"""How many steps of how many streams a second, when all of them have input, beside ONNX Runtime, OpenVINO and PyTorch?

An LSTM with as many inputs as units. Tidegate keeps the states in a `StreamPool`; the others take all streams as one
batch, which is their best mode, and hand the states out and in. After all steps the states must be equal.

    python -m benchmarks.stream_pool [--streams 16] [--hidden 64] [--rounds 10]
"""

from __future__ import annotations

import numpy as np

from benchmarks import command, floor
from benchmarks.race import race
from benchmarks.record import load, machine, save
from benchmarks.stream_step import entries
from benchmarks.tables import race_table
from benchmarks.work import draw_weights

STEPS = 200
HIDDEN = 64
STREAMS = (1, 16, 256)


def compare(streams: int, hidden: int, rounds: int, threads: int) -> None:
    """Race the engines, print a Markdown table and keep the samples."""
    where = machine(threads)
    steps = np.random.default_rng(1).standard_normal((STEPS, streams, hidden)).astype(np.float32)
    weights = draw_weights("lstm", hidden, hidden, 1)
    with command.prepared("lstm", hidden, hidden, 1, threads, {**weights, "steps": steps}) as job:
        outcome = race(entries(job), threads=threads, rounds=rounds, tolerance=1e-4)
    name, setting = f"stream-pool-lstm-{hidden}-{streams}", {"cell": "lstm", "hidden": hidden, "streams": streams}
    tokens = STEPS * streams
    more = floor.told(floor.forward("lstm", hidden, hidden, 1, tokens=tokens, projected=tokens), threads)
    more |= {"batches": STEPS, "tokens": tokens}
    path = save(name, __doc__, where, setting=setting, outcome=outcome, **more)
    print(f"{name}, {threads} threads\n\n{race_table(load(path)[name], 'step of all')}\n")


def run(rounds: int, threads: int) -> None:
    """Answer the question for every number of streams."""
    for streams in STREAMS:
        compare(streams, HIDDEN, rounds, threads)


def main() -> None:
    """Answer for one number of streams, or for all where none is named."""
    parser = command.parser(__doc__)
    parser.add_argument("--streams", type=int)
    parser.add_argument("--hidden", type=int, default=HIDDEN)
    args = parser.parse_args()
    for streams in [args.streams] if args.streams else STREAMS:
        compare(streams, args.hidden, args.rounds, args.threads)


if __name__ == "__main__":
    main()
