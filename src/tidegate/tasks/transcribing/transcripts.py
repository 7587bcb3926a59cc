"""Transcripts: a text with the places of its symbols and words in the original, and how sure they are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import exp, fsum, log

import numpy as np
import numpy.typing as npt

from tidegate.data.transcribed.recordings import Reads
from tidegate.tasks.transcribing.ordering import as_read, reading_order

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Symbol:
    """Hold a symbol of a text: where it begins and ends, and from 0 to 1 how probable it is there."""

    text: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True)
class Transcript:
    """Hold what was read.

    text: the whole, in the order in which it is read.
    confidence: from 0 to 1, the geometric mean of its symbols' confidences; 1 for no symbols.
    symbols: as they follow each other in the signal, of a line from left to right, each with its span, in the units of
        the original: seconds, or pixels from its left edge; steps of the signal where nothing is known of an original.
    words: what stands between blanks of the text, in the order in which they are read, with their spans; a word is as
        probable as all its symbols together.
    alternatives: other texts, the next best first, where they were asked for.
    score: the logarithm of the probability of the path, or what a search scored.
    """

    text: str
    confidence: float
    symbols: tuple[Symbol, ...] = ()
    words: tuple[Symbol, ...] = ()
    alternatives: tuple[Transcript, ...] = ()
    score: float = 0.0

    @classmethod
    def of(cls, symbols: Sequence[Symbol], *, reads: Reads = "line", score: float = 0.0) -> Transcript:
        """Put symbols together, as they follow each other in a signal of a kind.

        >>> told = Transcript.of([Symbol("a", 0, 1, 0.5), Symbol(" ", 1, 2, 1.0), Symbol("b", 3, 4, 0.5)])
        >>> told.text, [word.text for word in told.words], round(told.confidence, 3)
        ('a b', ['a', 'b'], 0.63)
        """
        mean = fsum(log(max(one.confidence, 1e-300)) for one in symbols) / max(len(symbols), 1)
        shown = "".join(one.text for one in symbols)
        text, order = as_read(shown, reads), reading_order(shown, reads)
        return cls(text, exp(mean), tuple(symbols), _words(text, order, symbols), score=score)

    def beside(self, others: Sequence[Transcript]) -> Transcript:
        """Add other readings of the same signal."""
        return replace(self, alternatives=tuple(others))


def _words(text: str, order: Sequence[int], symbols: Sequence[Symbol]) -> tuple[Symbol, ...]:
    """Part a text whose characters stand, as they are read, at these places of the symbols' text."""
    owners = [number for number, one in enumerate(symbols) for _ in one.text]
    words = list[Symbol]()
    for found in re.finditer(r"\S+", text):
        parts = [symbols[number] for number in {owners[order[at]] for at in range(*found.span())}]
        sure = exp(fsum(log(max(part.confidence, 1e-300)) for part in parts))
        begin, end = min(part.start for part in parts), max(part.end for part in parts)
        words.append(Symbol(found[0], begin, end, sure))
    return tuple(words)


@dataclass(frozen=True)
class Places:
    """Say where the frames of a signal lie in the original: frame f is the middle part of the steps that it sees.

    stride: steps from one frame to the next.
    width: steps that a frame sees.
    steps: of the signal.
    scale: units of the original that a step is long, and where the first begins.

    >>> Places(stride=4, width=8, steps=100, scale=(0.5, 10.0)).span(0, 1)
    (11.0, 15.0)
    """

    stride: int
    width: int
    steps: int
    scale: tuple[float, float] = (1.0, 0.0)

    def span(self, first: int, last: int) -> tuple[float, float]:
        """Give where frames first to last begin and end."""
        shift = (self.width - self.stride) / 2
        begin, end = (min(max(frame * self.stride + shift, 0), self.steps) for frame in (first, last + 1))
        unit, origin = self.scale
        return begin * unit + origin, end * unit + origin
