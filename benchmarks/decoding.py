"""What does a beam cost beside the best symbol of each frame, and how many n-grams are looked up in a second?

Rows as a trained network gives them: 28 symbols, a quarter of the frames not blank, 100 sequences of 400 frames; and
rows in which nothing is clear. On one thread. The language is of characters, 5-grams of the pydocs. Where texts are
clear, the beam must find what the best symbols spell.

    python -m benchmarks.decoding [--rounds 10]
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from itertools import groupby
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

import tidegate.kernels.decoding as core
from benchmarks import command
from benchmarks.record import machine, save
from benchmarks.tables import rows as table_rows
from tidegate import data
from tidegate.decoding import NgramModel, Scorer, prefix_beam
from tidegate.ragged import Ragged

Array = NDArray[Any]
SYMBOLS = (" ", "'", *"abcdefghijklmnopqrstuvwxyz")
SEQUENCES, FRAMES = 100, 400
GREEDY = "best of each frame (NumPy)"


def draw(clear: bool) -> Ragged:
    """Draw log-probabilities, float32, the blank first."""
    rng = np.random.default_rng(1)
    scores = rng.normal(size=(SEQUENCES * FRAMES, 1 + len(SYMBOLS)))
    if clear:
        scores[:, 0] += 12
        said = rng.random(len(scores)) < 0.25
        scores[said, 1 + rng.integers(0, len(SYMBOLS), said.sum())] += 20
    scores -= np.logaddexp.reduce(scores, axis=1, keepdims=True)
    return Ragged(scores.astype(np.float32), np.arange(SEQUENCES + 1, dtype=np.int64) * FRAMES)


def greedy(batch: Ragged) -> list[str]:
    """Spell the best symbol of each frame, repeats as one and without blanks."""
    best = np.asarray(batch.values).argmax(axis=1)
    changed = np.ones(len(best), bool)
    changed[1:] = best[1:] != best[:-1]
    changed[np.asarray(batch.offsets[:-1])] = True
    kept = batch.with_values(best).where(changed & (best > 0))
    return ["".join(SYMBOLS[symbol - 1] for symbol in text.tolist()) for text in kept]


def plain_greedy(batch: Ragged) -> list[str]:
    """Do what `greedy` does, as one would write it down."""
    each = ([key for key, _ in groupby(rows.argmax(axis=1).tolist()) if key] for rows in batch)
    return ["".join(SYMBOLS[symbol - 1] for symbol in text) for text in each]


def contestants(scorers: dict[str, Scorer]) -> dict[str, Callable[[Ragged], Any]]:
    """List what is compared."""

    def beam(width: int, scorer: Scorer | None = None) -> Callable[[Ragged], list[str]]:
        def run(batch: Ragged) -> list[str]:
            return [found[0].text for found in prefix_beam(batch, SYMBOLS, width=width, scorer=scorer, num_threads=1)]

        return run

    plain = {GREEDY: greedy, "beam 4": beam(4), "beam 16": beam(16), "beam 64": beam(64)}
    return plain | {f"beam 16, {name}": beam(16, scorer) for name, scorer in scorers.items()}


def queries(model: NgramModel, texts: list[str], rounds: int) -> list[float]:
    """Measure how many tokens of texts, as ids, are scored in a second."""
    ids = Ragged.from_list([model.ids(list(text)) for text in texts], dtype=np.int32)
    found = []
    for _ in range(rounds):
        began = time.perf_counter()
        core.ngram_scores(model.core, np.asarray(ids.values), np.asarray(ids.offsets), 1)
        found.append(len(ids.values) / (time.perf_counter() - began))
    return found


def run(rounds: int, threads: int) -> None:
    """Race all, print a Markdown table and keep the samples; `threads` is not asked: each takes one."""
    where = machine(1)
    documents = [text.lower() for text in cast(list[str], data.load("pydocs").train.x)]
    lines = [" ".join(line.split()) for text in documents for line in text.splitlines() if line.strip()]
    characters = NgramModel.from_texts(lines, order=5)
    lexicon = sorted({word for line in lines for word in line.split() if set(word) <= set(SYMBOLS)})
    race = contestants(
        {
            "5-grams": Scorer(language_model=characters),
            "lexicon and hotwords": Scorer(lexicon=lexicon, unknown=-5.0, hotwords={"statement": 3.0, "for loop": 3.0}),
        }
    )
    samples: dict[str, dict[str, list[float]]] = {}
    for name, clear in (("clear", True), ("unclear", False)):
        batch = draw(clear)
        assert greedy(batch) == plain_greedy(batch), "the vectorised one spells something else"
        assert not clear or race["beam 16"](batch) == greedy(batch), "a clear text was not found"
        found = samples.setdefault(name, {contestant: [] for contestant in race})
        for _ in range(rounds):
            for contestant, decode in race.items():
                began = time.perf_counter()
                decode(batch)
                found[contestant].append((time.perf_counter() - began) / len(batch.values) * 1e6)
    asked = queries(characters, lines, rounds)
    setting = {"symbols": len(SYMBOLS), "sequences": SEQUENCES, "frames": FRAMES, "unit": "microseconds for each frame"}
    setting |= {"ngrams": len(characters.tokens), "lexicon": len(lexicon)}
    save("decoding", __doc__, where, setting=setting, parts=samples, ngrams_per_second=asked)
    print(table(samples) + f"\n\n{statistics.median(asked) / 1e6:.1f} million n-grams a second")


def table(samples: dict[str, dict[str, list[float]]]) -> str:
    """Write the medians, and what they are of the best of each frame."""
    body = []
    for contestant in next(iter(samples.values())):
        row = [contestant]
        for found in samples.values():
            median, first = statistics.median(found[contestant]), statistics.median(found[GREEDY])
            row += [f"{median:.2f}", f"{median / first:.1f}"]
        body.append(row)
    return table_rows(["", *(f"{name}{unit}" for name in samples for unit in (", µs a frame", ", times"))], body)


def main() -> None:
    """Answer the question."""
    args = command.parser(__doc__).parse_args()
    run(args.rounds, args.threads)


if __name__ == "__main__":
    main()
