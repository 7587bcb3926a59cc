"""How long is one whole IMDB epoch of a BiLSTM with 32 units, beside PyTorch in batches of like length?

25,000 reviews, tokenised beforehand: 10,000 words, the last 500 tokens, batches of 128. Tidegate trains through
``train.fit``, PyTorch in a plain loop over buckets in random order. Padding and selecting is inside the time. Both must
give the same numbers before. An epoch is 196 steps, so a few rounds are enough.

    python -m benchmarks.epoch [--rounds 3]
"""

from __future__ import annotations

from benchmarks import command, floor, reviews
from benchmarks.race import Rival, race
from benchmarks.record import OURS, load, machine, save
from benchmarks.tables import race_table
from benchmarks.training_step import distinct
from benchmarks.work import BATCH, LAST, WORDS, draw_weights

HIDDEN, MOST_ROUNDS = 32, 3


def run(rounds: int, threads: int) -> None:
    """Race the two, print a Markdown table and keep the samples."""
    where = machine(threads)
    tokens, labels = reviews.training_set()
    arrays = {"values": tokens.values, "offsets": tokens.offsets, "labels": labels}
    weights = draw_weights("lstm", HIDDEN, HIDDEN, 2)
    with command.prepared("lstm", HIDDEN, HIDDEN, 2, threads, {**weights, **arrays}) as job:
        rivals = [
            Rival(OURS, "whole", "ours", job.to_json()),
            Rival("torch in buckets", "whole", "theirs", job.to_json()),
        ]
        outcome = race(rivals, threads=threads, rounds=min(rounds, MOST_ROUNDS), tolerance=1e-3)
    setting = {"cell": "lstm", "hidden": HIDDEN, "directions": 2, "words": WORDS, "last_tokens": LAST, "batch": BATCH}
    name = f"epoch-{command.layer_name('lstm', HIDDEN, 2)}"
    least = floor.forward("lstm", HIDDEN, HIDDEN, 2, tokens=len(tokens.values), projected=distinct(arrays))
    parameters = sum(array.size for array in weights.values()) * -(-len(labels) // BATCH)
    more = floor.told(floor.training(least, parameters=parameters), threads)
    path = save(name, __doc__, where, setting=setting, outcome=outcome, tokens=len(tokens.values), **more)
    print(f"{name}, {threads} threads\n\n{race_table(load(path)[name], 'epoch')}\n")


def main() -> None:
    """Answer the question."""
    args = command.parser(__doc__).parse_args()
    run(args.rounds, args.threads)


if __name__ == "__main__":
    main()
