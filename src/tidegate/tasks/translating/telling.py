"""Tells ids as a translation, and copies from the source what the model has no token for. Knows no search."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.inspect.attention import Attention
from tidegate.tasks.translating.reading import Reading
from tidegate.tasks.translating.searching import Hypothesis
from tidegate.tasks.translating.translations import Translation

Array: TypeAlias = npt.NDArray[Any]


def tell(reading: Reading, text: str, source: Array, found: Hypothesis, *, attention: bool) -> Translation:
    """Make a translation of what was found for a text.

    Args:
        reading: the tokens.
        text: what was translated.
        source: its ids `[S]`, the end behind them.
        found: with what was read, where a token may be unknown.
        attention: whether to hand out what was read.
    """
    subwords, inner = reading.subwords, source[:-1]
    pieces = subwords.tokenize(text)
    copied = _copied(found, reading, len(inner))
    tokens = [subwords.vocabulary[token] for token in found.ids.tolist()]
    for place, of in copied:
        tokens[place] = pieces[of]
    return Translation(
        text=subwords.join(tokens) if copied else subwords.decode(found.ids),
        tokens=tuple(subwords.show(token) for token in tokens),
        source=tuple(piece.strip(" ") or piece for piece in pieces),
        score=found.score,
        log_probability=found.log_probability,
        cut=found.cut,
        unknown=bool(len(inner)) and bool((inner == subwords.unknown).all()),
        attention=found.attention if attention else (),
        words=_by_words(reading, text, found, tokens if copied else None) if attention else None,
        copied=copied,
    )


def _by_words(reading: Reading, text: str, found: Hypothesis, copied: list[str] | None) -> Attention:
    """Say what was read of each word for each word; tokens some of which were copied spell themselves."""
    source = reading.subwords.words(text)
    target = reading.subwords.words_of(found.ids) if copied is None else reading.subwords.words_in(copied)
    return Attention.of_tokens(
        (source.words, source.owners), (target.words, target.owners), found.attention, gates=found.gates
    )


def _copied(found: Hypothesis, reading: Reading, length: int) -> tuple[tuple[int, int], ...]:
    """Say which unknown tokens are copied from where: of the last hop the token that was read most, its end aside."""
    places = np.flatnonzero(found.ids == reading.subwords.unknown)
    if not len(places) or not length:
        return ()
    return tuple((int(place), found.most_read[place]) for place in places)
