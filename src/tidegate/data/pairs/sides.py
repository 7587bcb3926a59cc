"""The two sides of a pair: as texts that can be learned, which pairs share one, and which are of no use to learn from.

Knows no file.
"""

from __future__ import annotations

import re
import unicodedata
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tidegate.errors import DataError, DataWarning, InputError

LONGEST = 200
"""Tokens of a side, beyond which a pair is left out of training."""
RATIO = 9.0
"""How many times as long as the other a side may be, beyond which a pair is left out of training."""

_BREAKS = re.compile(r"\s*[\t\n\v\f\r\x1c-\x1f\x85\u2028\u2029]\s*")

Lengths = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Sides:
    """Hold the sources and targets of a part, one for one, and what each was read as.

    taken: what stood for which side, such as {"from": "de", "to": "en"}.
    """

    sources: list[str]
    targets: list[str]
    taken: dict[str, str]


def clean_side(text: str, where: str) -> str:
    r"""Compose a text (NFC), make tabs and line ends a space, and drop white space around it; all else stays.

    Raises DataError, naming `where`, for other control characters and for halves of a surrogate pair.

    >>> clean_side(" Ein\tHund\u00a0! ", "a.de, line 1")
    'Ein Hund\xa0!'
    """
    text = _BREAKS.sub(" ", text).strip()
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    if not text.isprintable():
        for character in text:
            if unicodedata.category(character) in ("Cc", "Cs"):
                raise DataError(
                    f"{where} holds the control character U+{ord(character):04X}, as text in another encoding does. "
                    "Remove it, or name the encoding."
                )
    return text


def clean_sides(texts: Sequence[str], where: Callable[[int], str], name: str) -> list[str]:
    """Clean the texts of one side; a warning (DataWarning) tells how many were not composed. Raises as `clean_side`."""
    changed = sum(not text.isascii() and not unicodedata.is_normalized("NFC", text) for text in texts)
    if changed:
        warnings.warn(f"{name}: {changed:,} texts were not composed (NFC), and are now.", DataWarning, stacklevel=2)
    return [clean_side(text, where(index)) for index, text in enumerate(texts)]


def sharing(sources: Sequence[str], targets: Sequence[str]) -> npt.NDArray[np.int64]:
    """Number pairs so that two which share a side, or are joined by others that do, have one number: [B].

    No split may tear such pairs apart, or what is measured on would have been seen. Empty sides are not shared.

    >>> sharing(["Hi.", "Hi.", "Run!", "Hello."], ["Hallo!", "Tag!", "Lauf!", "Hallo!"]).tolist()
    [0, 0, 2, 0]
    """
    first: dict[tuple[int, str], int] = {}  # where a side was seen first
    above = list(range(len(sources)))  # a tree of pairs, whose root is the first of them

    def root(pair: int) -> int:
        while above[pair] != pair:
            above[pair] = above[above[pair]]
            pair = above[pair]
        return pair

    for pair, sides in enumerate(zip(sources, targets, strict=True)):
        for side in enumerate(sides):
            if side[1]:
                one, other = root(pair), root(first.setdefault(side, pair))
                above[max(one, other)] = min(one, other)
    return np.array([root(pair) for pair in range(len(above))], np.int64)


def choose_pairs(
    sources: Lengths, targets: Lengths, *, longest: int = LONGEST, ratio: float = RATIO
) -> tuple[Lengths, dict[str, int]]:
    """Choose the pairs that a model can learn from: return their indices, and how many others there are by the reason.

    To be asked before training alone: whoever translates wants an answer to each text.

    Args:
        sources: [B] tokens of each source.
        targets: [B] tokens of each target.
        longest: tokens of a side, at most.
        ratio: how many times as long as the other a side may be.

    Raises InputError where `longest` or `ratio` is below 1.

    >>> kept, dropped = choose_pairs(np.array([3, 0, 500, 1]), np.array([4, 2, 400, 12]))
    >>> kept.tolist(), dropped
    ([0], {'with an empty side': 1, 'with a side of more than 200 tokens': 1, 'with a side 9 times as long': 1})
    """
    if longest < 1 or ratio < 1:
        raise InputError(f"longest is {longest} and ratio {ratio:g}; both are at least 1.")
    short, long = np.minimum(sources, targets), np.maximum(sources, targets)
    reasons = np.select([short < 1, long > longest, long > ratio * short], [1, 2, 3], 0)  # [B], the first that holds
    names = (
        "with an empty side", f"with a side of more than {longest} tokens", f"with a side {ratio:g} times as long"
    )  # fmt: skip
    counts = {name: int((reasons == reason).sum()) for reason, name in enumerate(names, 1)}
    return np.flatnonzero(reasons == 0), {name: count for name, count in counts.items() if count}
