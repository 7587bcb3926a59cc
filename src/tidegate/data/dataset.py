"""What every loader returns: `Examples` with labels, gathered into a `Dataset`. Knows no file and no model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.data.checks import check_same_length
from tidegate.data.kinds import KINDS, Kind
from tidegate.data.transcribed.recordings import Recordings
from tidegate.ragged import Ragged

Indices = npt.NDArray[np.int64]

_SHOWN = 80  # characters of the names of columns


@dataclass(frozen=True, eq=False)
class Examples:
    """Hold examples and what is to be learned of each.

    Args:
        x: a list, such as of texts, a Ragged of float32 features [N, C], or Recordings.
        y: one answer for each: a list, such as of labels, or integers [B]; None where the examples hold all there is
            to learn.
        groups: [B] the number of the recording that each example was cut from, which no split may tear apart; None
            where each stands for itself.

    Raises:
        ShapeError: there is not one answer for each example.

    >>> Examples(["good", "bad", "fine"], ["pos", "neg", "pos"]).select([2, 0]).x
    ['fine', 'good']
    """

    x: list[Any] | Ragged | Recordings
    y: Any
    groups: Indices | None = None

    def __post_init__(self) -> None:
        if self.y is not None:
            check_same_length(len(self.x), len(self.y))

    def __len__(self) -> int:
        return len(self.x)

    def select(self, indices: Sequence[int] | Indices) -> Examples:
        """Take the examples at ``indices``, in that order."""
        rows = np.asarray(indices, dtype=np.int64)
        x = self.x.select(rows) if isinstance(self.x, Ragged | Recordings) else [self.x[i] for i in rows]
        y = [self.y[i] for i in rows] if isinstance(self.y, list) else None if self.y is None else self.y[rows]
        return Examples(x, y, None if self.groups is None else self.groups[rows])


@dataclass(frozen=True, eq=False)
class Dataset:
    """Hold a data set: its parts, its classes, and what its makers ask of those who use it.

    Args:
        name: of the data set, the file or the folder.
        kind: what the examples are.
        classes: the distinct labels of ``train``, sorted; none where the answers are no labels.
        train: what to learn from.
        valid: what to tune on; None where the source has no such part.
        test: what to measure on; None where the source has no such part.
        unlabelled: texts without labels; None unless they were asked for.
        licence: what the makers allow, in a few words.
        citation: the publication to cite.
        taken: what was taken for what, such as {"text": "body", "label": "category"}.
    """

    name: str
    kind: Kind
    classes: tuple[str, ...] | tuple[int, ...]
    train: Examples
    valid: Examples | None = None
    test: Examples | None = None
    unlabelled: list[str] | None = None
    licence: str = "unknown"
    citation: str = ""
    taken: Mapping[str, str] = field(default_factory=dict)

    def summary(self) -> str:
        """Say in a line what was read: columns, examples of each part, and classes or series.

        >>> Dataset("t.csv", "text", ("a", "b"), Examples(["x", "y"], ["a", "b"]), taken={"text": "body"}).summary()
        'text: body; 2 examples, 2 classes'
        """
        parts = [part for part in (self.train, self.valid, self.test) if part is not None]
        named = ", ".join(f"{what}: {_shortened(column)}" for what, column in self.taken.items())
        classes = f", {len(self.classes):,} classes" if self.classes else ""
        return "; ".join(filter(None, (named, KINDS[self.kind].count(parts) + classes)))


def _shortened(names: str) -> str:
    return names if len(names) <= _SHOWN else names[: _SHOWN - 1] + "…"
