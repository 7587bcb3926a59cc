"""Reads JSON that anyone may have written: bounded before it is parsed, finite, and never more than plain values.

A short text can unfold to objects of thirty times its size, and a deep one overflows a stack; both are refused unread.
"""

from __future__ import annotations

import json
import math
from typing import Any, Final

MAX_BYTES: Final = 8 * 2**20
MAX_VALUES: Final = 200_000


def read(text: str) -> Any:
    """Parse a text of at most `MAX_BYTES` characters and `MAX_VALUES` values.

    Raises ValueError for a larger one, for text that is not JSON, that is nested too deeply, or that holds a number
    which is not finite.

    >>> read('{"classes": ["neg", "pos"]}')
    {'classes': ['neg', 'pos']}
    >>> read("[" * 100_000)
    Traceback (most recent call last):
    ValueError: it is nested too deeply
    """
    check(text)
    try:
        return json.loads(text, parse_float=_finite, parse_constant=_finite)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def check(text: str) -> None:
    """Raise ValueError for a text that is too large to be parsed; nothing is parsed for that.

    Values are counted by the marks that begin or part them; those inside of words are counted with them.
    """
    values = 1 + sum(map(text.count, ",[{"))
    if len(text) > MAX_BYTES or values > MAX_VALUES:
        raise ValueError(
            f"it has {len(text):,} characters and about {values:,} values; "
            f"at most {MAX_BYTES:,} and {MAX_VALUES:,} are read"
        )


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text} is not a finite number")
    return value
