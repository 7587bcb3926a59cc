"""How fast is one training step at real review lengths, beside PyTorch and Keras in their best modes?

Embedding, recurrent layer, maximum over time, linear, cross-entropy, clipping and Adam over batches of 128 reviews:
10,000 words, the last 500 tokens. All see the same reviews, and the time is per valid token. PyTorch runs padded to the
longest of the batch, padded in batches of like length (buckets), compiled in buckets, and packed; Keras in buckets, on
two backends. Padding and sorting happen before the clock starts. Padded, a second direction begins inside the padding
and so computes something else; where no sequence is padded all must give the same losses over three steps, and do.

    python -m benchmarks.training_step [--cell lstm --hidden 32 --directions 2] [--rounds 10]
"""

from __future__ import annotations

import statistics
from dataclasses import replace

import numpy as np

from benchmarks import command, floor, reviews, work
from benchmarks.race import Outcome, Rival, race, ratios
from benchmarks.record import OURS, load, machine, save
from benchmarks.tables import race_table
from benchmarks.work import BATCH, LAST, WORDS, Array, Job, draw_weights

BATCHES = 6
LAYERS = (("lstm", 32, 2), ("lstm", 64, 2), ("lstm", 32, 1), ("lstm", 64, 1), ("gru", 32, 2), ("rnn", 32, 2))
ONE_THREAD = f"{OURS}, one thread"
PACKED_ROUNDS = 1  # it is so slow that more would take longer than all the others together
PADDED_ROUNDS = 3  # buckets do the same work without half of the padding, so this mode is never the best


def entries(job: Job) -> list[Rival]:
    def entry(name: str, engine: str, mode: str = "", *, peers: bool = False, rounds: int | None = None) -> Rival:
        return Rival(name, engine, "training_step", replace(job, mode=mode).to_json(), peers, rounds)

    return [
        entry(OURS, "tidegate"),
        entry(ONE_THREAD, "tidegate", "one thread", rounds=PADDED_ROUNDS),
        entry("torch in buckets", "pytorch", "buckets"),
        entry("torch compiled, in buckets", "pytorch", "compiled"),
        entry("torch padded to longest", "pytorch", "padded", rounds=PADDED_ROUNDS),
        entry("torch packed", "pytorch", "packed", rounds=PACKED_ROUNDS),
        entry("keras on tensorflow, in buckets", "keras", "tensorflow", peers=True),
        entry("keras on jax, in buckets", "keras", "jax", peers=True),
    ]


def distinct(chosen: dict[str, Array]) -> int:
    """Count the distinct tokens of each batch, as they come."""
    batches = work.cut(work.sequences(chosen), buckets=False)
    return sum(len(np.unique(np.concatenate(batch))) for batch in batches)


def figures(outcome: Outcome, steps: int, threads: int) -> dict[str, float]:
    """Return what a token costs in each direction, and what more threads are good for."""
    ours, alone = outcome.seconds[OURS], outcome.seconds[ONE_THREAD]
    return {
        "ns of one core per token and direction": statistics.median(ours) * threads / steps * 1e9,
        f"{threads} threads / one": ratios(alone, ours)[0],
    }


def compare(cell: str, hidden: int, directions: int, rounds: int, threads: int) -> None:
    """Race the engines, print a Markdown table and keep the samples."""
    where, chosen = machine(threads), reviews.few(BATCHES)
    weights = draw_weights(cell, hidden, hidden, directions)
    with command.prepared(cell, hidden, hidden, directions, threads, {**weights, **chosen}) as job:
        outcome = race(entries(job), threads=threads, rounds=rounds, tolerance=1e-3)
    name = f"training-step-{command.layer_name(cell, hidden, directions)}"
    setting = {"cell": cell, "hidden": hidden, "directions": directions}
    setting |= {"words": WORDS, "last_tokens": LAST, "batch": BATCH}
    tokens = len(chosen["values"])
    least = floor.forward(cell, hidden, hidden, directions, tokens=tokens, projected=distinct(chosen))
    parameters = sum(array.size for array in weights.values()) * BATCHES
    more = floor.told(floor.training(least, parameters=parameters), threads)
    more |= {"figures": figures(outcome, tokens * directions, threads)}
    path = save(name, __doc__, where, setting=setting, outcome=outcome, tokens=tokens, batches=BATCHES, **more)
    print(f"{name}, {threads} threads\n\n{race_table(load(path)[name])}\n")


def run(rounds: int, threads: int) -> None:
    """Answer the question for every layer."""
    for layer in LAYERS:
        compare(*layer, rounds=rounds, threads=threads)


def main() -> None:
    """Answer for one layer, or for all where none is named."""
    parser = command.parser(__doc__)
    parser.add_argument("--cell", choices=("rnn", "lstm", "gru"))
    parser.add_argument("--hidden", type=int, default=32)
    parser.add_argument("--directions", type=int, choices=(1, 2), default=2)
    args = parser.parse_args()
    if args.cell:
        compare(args.cell, args.hidden, args.directions, args.rounds, args.threads)
    else:
        run(args.rounds, args.threads)


if __name__ == "__main__":
    main()
