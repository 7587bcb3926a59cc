"""A text that was found in frames, and what symbols and frames must be. Knows neither beams nor scorers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.errors import InputError, ShapeError
from tidegate.kernels.decoding import Told

Array: TypeAlias = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """Hold a text that was found.

    text: the symbols, joined.
    symbols: [L], which they are, counted from 0 without the blank.
    spans: [L, 2], the first and the last frame of each symbol in the best single alignment.
    score: what it was ranked by: `log_probability`, and what the scorer adds.
    log_probability: the logarithm of the summed probabilities of all alignments that were kept.
    language: the log-probability of the text in the language model, not weighted; 0 without one.
    whole: False where a lexicon does not have the word that the text ends in the middle of.
    """

    text: str
    symbols: Array
    spans: Array
    score: float
    log_probability: float
    language: float
    whole: bool

    def __repr__(self) -> str:
        return f"Hypothesis({self.text!r}, score {self.score:.4g})"


def hypotheses(found: Iterable[Told], symbols: Sequence[str]) -> list[Hypothesis]:
    """Spell what the core found."""
    return [
        Hypothesis(
            "".join(map(symbols.__getitem__, told.symbols.tolist())), told.symbols, told.spans.reshape(-1, 2), *told[2:]
        )
        for told in found
    ]


def check_symbols(symbols: Sequence[str]) -> tuple[str, ...]:
    """Return the V symbols; raise InputError unless they are different texts, none empty, and at least one."""
    came: tuple[object, ...] = tuple(symbols)
    made = tuple(symbol for symbol in came if isinstance(symbol, str) and symbol)
    if not made or len(made) < len(came):
        raise InputError("the symbols must be texts, at least one, and none empty; the blank is not among them.")
    if len(set(made)) < len(made):
        twice = next(symbol for symbol in made if made.count(symbol) > 1)
        raise InputError(f"the symbol {twice!r} comes twice. Name each once; the blank is not among them.")
    check_signs(made)
    return made


def check_signs(texts: Iterable[str]) -> None:
    """Raise InputError for a text that holds half of a surrogate pair."""
    for text in texts:
        if any("\ud800" <= sign <= "\udfff" for sign in text):
            raise InputError(f"{text!r:.40} holds half of a surrogate pair, which is no character.")


def check_rows(rows: Any, symbols: int) -> Array:
    """Return log-probabilities [n, 1 + V] as the core reads them; raise ShapeError for another shape or type."""
    made = np.asarray(rows)
    if made.ndim != 2 or made.shape[1] != 1 + symbols:
        raise ShapeError(
            f"the log-probabilities are {list(made.shape)}, but {symbols} symbols and the blank, which comes first, "
            f"want [frames, {1 + symbols}]."
        )
    if made.dtype not in (np.float32, np.float64):
        raise ShapeError(f"the log-probabilities are {made.dtype}; wanted float32 or float64.")
    return np.ascontiguousarray(made)


def check_width(width: int) -> int:
    """Return how many texts a beam keeps; raise InputError for none, and for more than any machine could."""
    if type(width) is not int or not 1 <= width <= 2**16:
        raise InputError(f"width={width!r:.40}; a beam keeps from 1 to {2**16:,} texts.")
    return width
