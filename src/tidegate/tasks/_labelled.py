"""Turns inputs and labels into the parts that a classifier learns from and is measured on. Knows no networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.data.checks import (
    check_classes,
    check_known_classes,
    check_labels,
    check_same_length,
    check_writable,
    in_argument,
)
from tidegate.data.split import stratified_split
from tidegate.errors import Argument, DataError, InputError
from tidegate.ragged import Ragged

Array: TypeAlias = npt.NDArray[Any]
Inputs: TypeAlias = list[str] | Ragged
"""What a task makes of the X it was given, once checked: texts, or features `[N, C]`."""

_MOST_LETTERS = 2**22  # of an array of labels, in which each takes as much as the longest


@dataclass(frozen=True)
class Labelled:
    """Hold inputs, and for each the number of its class, and its row in the user's data where that is another one."""

    x: Inputs
    y: npt.NDArray[np.int64]  # [B]
    rows: npt.NDArray[np.int64] | None = None  # [B]

    def select(self, indices: npt.NDArray[np.int64]) -> Labelled:
        """Take the examples at `indices`, in that order."""
        x = self.x.select(indices) if isinstance(self.x, Ragged) else [self.x[i] for i in indices]
        return Labelled(x, self.y[indices], indices if self.rows is None else self.rows[indices])


def as_labels(y: Any, *, name: str = "y") -> Array:
    """Read labels as an array `[B]` of strings, whole numbers or booleans.

    Raises InputError for no labels; DataError, naming the row, for a missing label or one of another kind; and where
    kinds are mixed.
    """
    if y is None:
        raise InputError(f"{name} is missing: a classifier learns from inputs and their labels. Pass fit(X, y).")
    items = y.tolist() if hasattr(y, "tolist") else list(y)
    items = [item.item() if isinstance(item, np.generic) else item for item in items]
    where = in_argument(name)
    check_labels(items, where=where)
    for index, item in enumerate(items):
        if not isinstance(item, str | int):
            raise DataError(f"{where(index)} is {item!r:.40}; a label must be a string or a whole number.")
    if len(kinds := {type(item).__name__ for item in items}) > 1:
        raise DataError(f"labels mix {' and '.join(sorted(kinds))}; pass one kind.")
    return np.asarray(items) if items else np.zeros(0, np.int64)


def learn_classes(x: Inputs, y: Any) -> tuple[Labelled, Array]:
    """Pair inputs with labels; return them with the classes `[K]`, sorted, that the labels are numbered by.

    Raises ShapeError for lengths that disagree, DataError for labels that are missing or all the same.
    """
    labels = as_labels(y)
    check_same_length(len(x), len(labels))
    check_classes(labels)
    classes, codes = np.unique(labels, return_inverse=True)
    read_classes(classes.tolist())
    return Labelled(x, codes.astype(np.int64)), classes


def read_classes(stored: Any) -> Array:
    """Read the classes `[K]` of a model file.

    Raises InputError, TypeError or ValueError for what is no sorted list of distinct labels of one kind, for labels
    that are no Unicode, and for labels so long that an array of them would fill the memory.
    """
    if not isinstance(stored, list) or sorted(set(stored)) != stored:
        raise ValueError("its classes are no sorted list of distinct labels")
    longest = max((len(label) for label in stored if isinstance(label, str)), default=0)
    if longest * len(stored) > _MOST_LETTERS:
        raise InputError(f"{len(stored):,} classes have names of up to {longest:,} characters; shorten them.")
    check_writable(stored, "label")
    return as_labels(stored)


def number_labels(x: Inputs, y: Any, classes: Array) -> Labelled:
    """Pair inputs to be measured on with labels, numbered by known classes; raises as `learn_classes` does."""
    labels = as_labels(y, name="valid y")
    check_same_length(len(x), len(labels))
    check_known_classes(labels.tolist(), classes.tolist(), where=in_argument("valid y"))
    return Labelled(x, np.searchsorted(classes, labels).astype(np.int64))


def hold_out(examples: Labelled, fraction: float, *, seed: int) -> tuple[Labelled, Labelled | None]:
    """Split off a share of each class to measure on; None where the share is zero.

    Raises DataError when there are too few examples to hold out any.
    """
    if not fraction:
        return examples, None
    try:
        kept, held = stratified_split(examples.y, fraction, seed=seed)
    except DataError as error:
        advice = ("Pass more, or ", Argument("validation_fraction", 0), " to measure on nothing.")
        raise DataError(*error.args, " ", *advice) from None
    return examples.select(kept), examples.select(held)
