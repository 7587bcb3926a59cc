"""Texts read in the core: cut into tokens by a rule, and the tokens looked up. Knows no tokenizer and no model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

import tidegate._core as _core
from tidegate.kernels.threads import thread_count

Rule = Literal["words", "characters", "whole", "signs", "graphemes"]
"""How a text is cut; `core/text/cut.h` has the rules."""

_RULES: tuple[Rule, ...] = ("words", "characters", "whole", "signs", "graphemes")
_NO_LIMIT = 1 << 62


class Lexicon:
    r"""Turns texts into ids of a vocabulary, or learns one; what its rules do not know comes back as it is.

    Any number of threads may use one at a time, but for one that learns.

    Args:
        rule: how texts are cut.
        lower: whether in lower case.
        words: the tokens in the order of their ids, the first of which stands for any other; None to learn them.

    >>> lexicon = Lexicon("words", True, ["<unk>", "the", "film"])
    >>> ids, offsets, left = lexicon.read(["The film!", "A cafe\u0301 in the film"])
    >>> ids.tolist(), offsets.tolist()
    ([1, 2, 0, 0, -1, 1, 2], [0, 3, 7])
    >>> ascii(left)
    "[' cafe\\u0301 in']"
    """

    __slots__ = ("_core",)

    def __init__(self, rule: Rule, lower: bool, words: Iterable[str] | None = None) -> None:
        self._core = _core.Lexicon(_RULES.index(rule), lower, words)

    def read(
        self, texts: Sequence[str], *, most: int | None = None, last: bool = False, num_threads: int | None = None
    ) -> tuple[NDArray[np.int32], NDArray[np.int64], list[str]]:
        """Read B texts, in which no half of a surrogate pair may stand.

        Args:
            texts: B texts.
            most: cut longer ones to so many tokens, but for texts of which a piece is left; None for no limit.
            last: keep the last tokens of what is cut, not the first.
            num_threads: which read; the ids do not depend on it.

        Returns:
            ids [N], offsets [B + 1], and the pieces of text that are left to others to read, in their order. -1 stands
            among the ids where the tokens of a piece belong, however many these are.
        """
        ids, offsets, left = self._core.read(tuple(texts), most or _NO_LIMIT, last, thread_count(num_threads))
        return ids, offsets, left

    @property
    def tokens(self) -> list[str]:
        """The tokens in the order of their ids."""
        return self._core.tokens


__all__ = ["Lexicon", "Rule"]
