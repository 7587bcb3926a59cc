"""What does it cost to record every state and gate, and the gradients of every step, beside a plain forward run?

A bidirectional layer of 64 units between embedding and classifier, over batches of 128 reviews at their real lengths.
Trace and forward run in turn and must give the same bits; a trace dies before the next one, so its memory is warm.

    python -m benchmarks.look_inside [--rounds 10]
"""

from __future__ import annotations

import statistics

from benchmarks import command, reviews
from benchmarks.race import Rival, race, ratios
from benchmarks.record import OURS, machine, save
from benchmarks.tables import milliseconds, rows, times
from benchmarks.work import BATCH, LAST, WORDS, draw_weights

BATCHES, HIDDEN = 6, 64
CELLS = ("lstm", "gru", "rnn")
FORWARD, TRACE, TARGET = "forward", "trace", "trace with a target"


def run(rounds: int, threads: int) -> None:
    """Time every cell, print a Markdown table and keep the samples."""
    where, chosen, by_layer = machine(threads), reviews.few(BATCHES), {}
    for cell in CELLS:
        arrays = {**draw_weights(cell, HIDDEN, HIDDEN, 2), **chosen}
        with command.prepared(cell, HIDDEN, HIDDEN, 2, threads, arrays) as job:
            rivals = [Rival(OURS, "tidegate", "look_inside", job.to_json())]
            outcome = race(rivals, threads=threads, rounds=rounds, tolerance=0)
        by_layer[command.layer_name(cell, HIDDEN, 2)] = outcome.parts[OURS]
    figures = {
        f"{what} / {FORWARD}, {name}": cost(by_layer[name], what)[0] for what in (TRACE, TARGET) for name in by_layer
    }
    setting = {"hidden": HIDDEN, "directions": 2, "words": WORDS, "last_tokens": LAST, "batch": BATCH}
    tokens = len(chosen["values"])
    save(
        "look-inside", __doc__, where,
        setting=setting, figures=figures, tokens=tokens, batches=BATCHES, parts_by_layer=by_layer,
    )  # fmt: skip
    print(table(by_layer) + "\n")


def cost(parts: dict[str, list[float]], what: str) -> tuple[float, float, float]:
    """Return the median, least and largest of how often a forward run fits into ``what``, round by round."""
    return ratios(parts[what], parts[FORWARD])


def table(by_layer: dict[str, dict[str, list[float]]]) -> str:
    """Write a row per layer."""
    body = []
    for name, parts in by_layer.items():
        spent = [milliseconds(statistics.median(parts[what]) / BATCHES) for what in (FORWARD, TRACE, TARGET)]
        median, least, most = cost(parts, TRACE)
        body.append([name, *spent, f"{times(median)} ({times(least)} - {times(most)})"])
    return rows(["layer", *[f"ms per batch, {what}" for what in (FORWARD, TRACE, TARGET)], "trace / forward"], body)


def main() -> None:
    """Answer the question."""
    args = command.parser(__doc__).parse_args()
    run(args.rounds, args.threads)


if __name__ == "__main__":
    main()
