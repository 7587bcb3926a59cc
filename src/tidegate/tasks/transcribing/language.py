"""What a transcriber learns of texts alone: n-grams and a lexicon, weighed on what is held out. Knows no signals.

Several are counted in the training texts, of words and of symbols, and the weights of each tried on the frames of a
validation part (`decoding.tune`); the one that leaves the fewest errors is kept, or none, where a search without it
leaves as few.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.decoding import NgramModel, Scorer, prefix_beam, tune
from tidegate.errors import DataError, InputError
from tidegate.kernels import ctc
from tidegate.ragged import Ragged
from tidegate.runtime import Executor
from tidegate.tasks.edits import error_rate
from tidegate.tasks.transcribing.fronts import run
from tidegate.tasks.transcribing.measuring import Part
from tidegate.tasks.transcribing.reading import Reading

Array: TypeAlias = npt.NDArray[Any]

WIDTH = 16  # of the search that weights are found for
_MOST_FRAMES = 2**14  # to find weights on: seconds, whatever the part
_ALPHAS = (0.125, 0.25, 0.5, 0.75, 1.0, 1.5)
_BETAS = (0.0, 1.0, 2.0, 4.0, 6.0)
_UNKNOWN = -10.0  # nats that a word costs which training never saw


@dataclass(frozen=True)
class _Kind:
    """Say how texts are counted: of what, how many at a time, and whether other words than theirs cost something."""

    units: Any
    order: int
    listed: bool

    def count(self, texts: Sequence[str], space: str | None) -> Scorer:
        model = NgramModel.from_texts(texts, order=self.order, units=self.units)
        words = sorted({word for text in texts for word in text.split(" ") if word}) if self.listed else None
        return Scorer(language_model=model, space=space, lexicon=words, unknown=_UNKNOWN if self.listed else None)


_WORDS = (_Kind("words", 2, True), _Kind("words", 3, True), _Kind("characters", 6, True))
_SYMBOLS = (_Kind("characters", 4, False), _Kind("characters", 6, False))


def learn_language(texts: Sequence[str], part: Part, executor: Executor, reading: Reading) -> Scorer | None:
    """Learn from the texts of a training part what does best on a part held out; None where nothing helps.

    Words are counted where some text has several.
    """
    shown = [reading.as_shown(text) for text in texts if text]
    parted = any(" " in text for text in shown)
    frames, wanted = _held_out(part, executor, reading)
    plain = prefix_beam(frames, reading.symbols, width=WIDTH)
    best, least = None, _wrong(wanted, [texts[0].text for texts in plain])
    for kind in (*_WORDS, *_SYMBOLS) if parted else _SYMBOLS:
        try:
            counted = kind.count(shown, " " if parted else None)
        except (DataError, InputError) as error:  # a text that spells a mark, or half of a surrogate pair
            warnings.warn(f"no n-grams of {kind.order} {kind.units} are learned: {error}", stacklevel=2)
            continue
        found = tune(
            frames,
            wanted,
            reading.symbols,
            _wrong,
            scorer=counted,
            alphas=_ALPHAS,
            betas=_BETAS if parted else (0.0, 0.5, 1.0),
            width=WIDTH,
        )
        if found.error < least:
            best, least = counted.with_weights(found.alpha, found.beta), found.error
    return best


def _held_out(part: Part, executor: Executor, reading: Reading) -> tuple[Ragged, list[str]]:
    """Give the frames of a part, or of as many of its signals as are enough, and their texts as they are shown."""
    steps = np.asarray(executor.network.steps(np.asarray(part.x.lengths)))
    chosen = draw_signals(steps)
    rows: list[Array] = [np.empty((0, len(reading.symbols) + 1))] * len(chosen)
    for indices, found in run(executor, part.x.select(chosen)):
        frames = ctc.Frames(found, np.cumsum([0, *steps[chosen[indices]]]).astype(np.int64))
        for row, index in enumerate(indices.tolist()):
            rows[index] = frames.logs[frames.offsets[row] : frames.offsets[row + 1]]
    return Ragged.from_list(rows, dtype=np.float64), [reading.as_shown(part.texts[index]) for index in chosen]


def draw_signals(steps: Array) -> Array:
    """Draw some signals, always the same, where all have more frames than are wanted; `steps` [B] are those of each.

    Not every second or third: where speakers take turns, those would be of the same few.

    >>> len(draw_signals(np.full(100, 2**10))), len(draw_signals(np.full(3, 2**10)))
    (15, 3)
    """
    every = max(1, -(-int(steps.sum()) // _MOST_FRAMES))
    drawn = np.random.default_rng(0).permutation(len(steps))[: -(-len(steps) // every)]
    return np.asarray(np.sort(drawn))


def _wrong(right: list[str], found: list[str]) -> float:
    """Divide wrong words by words; of texts of one word each, wrong symbols by symbols."""
    if not any(" " in text for text in right):
        return error_rate(found, right)
    return error_rate([text.split() for text in found], [text.split() for text in right])
