"""Reads the frames of signals: each by its most probable symbol, or by a search over texts. Knows no signals."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.decoding import Scorer, prefix_beam
from tidegate.decoding.hypothesis import Hypothesis
from tidegate.errors import InputError
from tidegate.kernels import ctc
from tidegate.ragged import Ragged
from tidegate.tasks.transcribing.measuring import tempered
from tidegate.tasks.transcribing.reading import Reading
from tidegate.tasks.transcribing.transcripts import Places, Symbol, Transcript

Array: TypeAlias = npt.NDArray[Any]
Rank: TypeAlias = tuple[ctc.Found, list[float | None]]
"""Where the symbols of one text of each of B signals lie, and how the text scores; None where a signal has no more."""


def path_score(logs: Array, before: float = 0.0) -> float:
    """Add the logarithms of a path's frames, one after the other: in whatever chunks they come, to the same bits.

    >>> path_score(np.array([-0.1, -0.2]), before=-0.3) == path_score(np.array([-0.3, -0.1, -0.2]))
    True
    """
    return float(np.cumsum([before, *logs])[-1])


@dataclass(frozen=True)
class Search:
    """Say how the frames of signals are read.

    beam: texts that are kept from frame to frame; 0 takes the most probable symbol of each frame.
    n_best: texts of each signal, at most.
    scorer: what is known of texts beside.

    Raises InputError where numbers are out of range, or a beam is asked for what only a beam can do.
    """

    beam: int = 0
    n_best: int = 1
    scorer: Scorer | None = None

    def __post_init__(self) -> None:
        if type(self.beam) is not int or self.beam < 0 or type(self.n_best) is not int or self.n_best < 1:
            raise InputError(f"beam={self.beam!r:.40}, n_best={self.n_best!r:.40}; wanted at least 0, and at least 1.")
        if not self.beam and (self.n_best > 1 or self.scorer is not None):
            raise InputError(
                "other texts and a scorer want a search. Pass beam=16, or another number of texts to keep."
            )

    def read(self, frames: ctc.Frames, symbols: tuple[str, ...]) -> list[Rank]:
        """Find the texts of B signals, the best first.

        Symbols lie where the most probable alignment of the text has them.
        """
        if not self.beam:
            found, best = ctc.greedy(frames), frames.logs.max(axis=1)
            return [(found, [path_score(best[begin:end]) for begin, end in pairwise(frames.offsets.tolist())])]
        rows = Ragged(frames.logs, frames.offsets)
        told = prefix_beam(
            rows, symbols, width=self.beam, n_best=self.n_best, scorer=self.scorer, num_threads=frames.threads
        )
        return self.placed(frames, told)

    def placed(self, frames: ctc.Frames, told: list[list[Hypothesis]]) -> list[Rank]:
        """Say where the symbols of texts lie that were found in the frames of B signals."""
        ranks = list[Rank]()
        for rank in range(max(map(len, told), default=0)):
            own = [texts[rank] if rank < len(texts) else None for texts in told]
            found, _ = ctc.align(frames, ctc.Labels.of([() if one is None else one.symbols + 1 for one in own]))
            ranks.append((found, [None if one is None else one.score for one in own]))
        return ranks


def transcript(
    reading: Reading, found: ctc.Found, row: int, frames: ctc.Frames, places: Places, score: float
) -> Transcript:
    """Make a transcript of the symbols that were found in a signal, one of those that the frames are of."""
    own = slice(found.begins[row], found.begins[row + 1])
    peaks = frames.logs[frames.offsets[row] + found.peak[own]]
    sure = tempered(peaks, found.symbols[own], reading.temperature)
    parts = (found.symbols[own], found.first[own], found.last[own], sure)
    told = [
        Symbol(reading.symbols[symbol - 1], *places.span(first, last), sure)
        for symbol, first, last, sure in zip(*(part.tolist() for part in parts), strict=True)
    ]
    return Transcript.of(told, reads=reading.reads, score=score)


def best_transcript(reading: Reading, ranks: list[Rank], row: int, frames: ctc.Frames, places: Places) -> Transcript:
    """Make a transcript of the best text that was found in a signal, with the others beside it."""
    told = [
        transcript(reading, found, row, frames, places, score)
        for found, scores in ranks
        if (score := scores[row]) is not None
    ]
    return told[0].beside(told[1:]) if told else Transcript("", 0.0)
