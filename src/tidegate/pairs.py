"""Pairs of sequences, such as a sentence and its translation: what a network that takes sides of pairs reads.

Knows ids, not what they stand for.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegate.errors import ShapeError
from tidegate.ragged import Ragged

Array = NDArray[Any]


@dataclass(frozen=True, eq=False, repr=False)
class Pairs:
    """Hold B sources, and the target of each.

    Args:
        source: the ids of each source, int32 or int64, in B sequences; any may be empty.
        target: the ids of each target, of the same vocabulary, in B sequences; any may be empty.

    Raises:
        ShapeError: there is not one target for each source, or one of them holds no ids.

    >>> pairs = Pairs(Ragged.from_list([[5, 6], [7]]), Ragged.from_list([[1], [2, 3]]))
    >>> pairs
    Pairs(2 pairs, 3 source and 3 target tokens)
    >>> pairs.tokens.to_list(), pairs.cut
    ([array([5, 6, 1]), array([7, 2, 3])], array([2, 1]))
    """

    source: Ragged
    target: Ragged

    def __post_init__(self) -> None:
        for name, side in (("source", self.source), ("target", self.target)):
            values = np.asarray(side.values)
            if values.ndim != 1 or values.dtype not in (np.int32, np.int64):
                raise ShapeError(
                    f"{name} holds {values.dtype} {list(values.shape)}; ids [N], int32 or int64, are wanted."
                )
        if len(self.source) != len(self.target):
            raise ShapeError(
                f"there are {len(self.source)} sources and {len(self.target)} targets; pairs want as many."
            )

    @cached_property
    def tokens(self) -> Ragged:
        """The ids of each pair, those of its target behind those of its source."""
        source, target = (np.asarray(side.offsets, np.int64) for side in (self.source, self.target))
        kind = np.result_type(np.asarray(self.source.values), np.asarray(self.target.values))
        joined = np.empty(source[-1] + target[-1], kind)
        joined[np.arange(source[-1]) + np.repeat(target[:-1], np.diff(source))] = self.source.values
        joined[np.arange(target[-1]) + np.repeat(source[1:], np.diff(target))] = self.target.values
        return Ragged(joined, source + target)

    @property
    def cut(self) -> Array:
        """The number of ids of each source, [B] int64."""
        return np.diff(np.asarray(self.source.offsets, np.int64))

    @property
    def offsets(self) -> Array:
        """Where each pair begins among the ids of all, [B + 1]."""
        return np.asarray(self.tokens.offsets)

    @property
    def lengths(self) -> Array:
        """The number of ids of each pair, both sides together, [B]."""
        return np.diff(self.offsets)

    def select(self, indices: Any) -> Pairs:
        """Take the pairs at `indices`, in that order."""
        return Pairs(self.source.select(indices), self.target.select(indices))

    def __len__(self) -> int:
        """Return the number of pairs B."""
        return len(self.source)

    def __repr__(self) -> str:
        sides = f"{len(self.source.values)} source and {len(self.target.values)} target tokens"
        return f"Pairs({len(self)} pairs, {sides})"
