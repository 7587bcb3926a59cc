"""Turns inputs and labels into the parts that a classifier learns from and is measured on. Knows no networks."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.data.checks import check_classes, check_same_length, check_writable, in_argument
from tidegate.data.labels import (
    count_labels,
    list_labels,
    number_labels,
    read_label_sets,
    read_labels,
    warn_of_twins,
)
from tidegate.data.split import stratified_split
from tidegate.engine.linear import log_odds
from tidegate.errors import DataError, InputError
from tidegate.ragged import Ragged
from tidegate.tasks.weights import Weights, read_sample_weight

Array: TypeAlias = npt.NDArray[Any]
Inputs: TypeAlias = list[str] | Ragged
"""What a task makes of the X it was given, once checked: texts, or features `[N, C]`."""

MANY_CLASSES = 16
_RARE = 1e-9  # the least share of a class
_MOST_LETTERS = 2**22  # of an array of labels, in which each takes as much as the longest


@dataclass(frozen=True)
class Labelled:
    """Hold inputs, and for each the number of its class `[B]`, or where it may have several which it has, `[B, K]`.

    rows: [B] its row in the user's data, where that is another one.
    weights: [B] how much it counts, where not all count the same.
    soft: [B, K] how likely each class is, where that is not certain of all; y is then the likeliest.
    """

    x: Inputs
    y: Array  # [B] int64, or [B, K] float32 of 0 and 1
    rows: npt.NDArray[np.int64] | None = None
    weights: Weights | None = None
    soft: npt.NDArray[np.float32] | None = None

    @property
    def several(self) -> bool:
        """Tell whether an input may have several labels, or none."""
        return self.y.ndim == 2

    def truth(self, classes: int) -> npt.NDArray[np.float32]:
        """Say which of K classes each input has, `[B, K]`, 1 or 0, or how likely."""
        if self.soft is not None:
            return self.soft
        return self.y if self.several else np.eye(classes, dtype=np.float32)[self.y]

    def shares(self, classes: int) -> npt.NDArray[np.float32]:
        """Part each input among what can be said of it, in rows that add up to one.

        That is its class, `[B, K]`; or, where it may have several, those that it has, and in the last of `[B, K + 1]`
        that it has none.
        """
        if not self.several:
            return self.truth(classes)
        whole = np.concatenate([self.y, self.y.sum(axis=1, keepdims=True) == 0], axis=1, dtype=np.float32)
        return np.asarray(whole / whole.sum(axis=1, keepdims=True))

    def select(self, indices: npt.NDArray[np.int64]) -> Labelled:
        """Take the examples at `indices`, in that order."""
        x = self.x.select(indices) if isinstance(self.x, Ragged) else [self.x[i] for i in indices]
        rows = indices if self.rows is None else self.rows[indices]
        weights = None if self.weights is None else self.weights[indices]
        soft = None if self.soft is None else self.soft[indices]
        return Labelled(x, self.y[indices], rows, weights, soft)


def join(first: Labelled, second: Labelled) -> Labelled:
    """Put examples of two parts after each other; those of the second are counted on from the rows of the first."""
    x: Inputs
    if isinstance(first.x, Ragged):
        assert isinstance(second.x, Ragged), "both parts were checked by one reader"
        x = first.x.followed_by(second.x)
    else:
        assert isinstance(second.x, list), "both parts were checked by one reader"
        x = [*first.x, *second.x]
    rows = np.arange(len(first.y)) if first.rows is None else first.rows
    after = int(rows.max(initial=-1)) + 1 + np.arange(len(second.y))
    weights = None
    if first.weights is not None:
        weights = np.concatenate([first.weights, np.ones(len(second.y))])
    return Labelled(x, np.concatenate([first.y, second.y]), np.concatenate([rows, after]), weights)


def begin_scores(
    examples: Labelled, classes: int, weights: npt.NDArray[np.float32] | None
) -> npt.NDArray[np.float32] | None:
    """Compute the scores `[K]` of the best answer that ignores the input; None where zeros are as good to begin with.

    Those of rare labels, and of many classes, are far from zero, and a network would spend its updates on the way.
    """
    if not examples.several and classes <= MANY_CLASSES:
        return None
    shares = np.average(examples.truth(classes).astype(np.float64), axis=0, weights=weights)
    return log_odds(shares) if examples.several else np.log(np.maximum(shares, _RARE)).astype(np.float32)


def learn_classes(x: Inputs, y: Any, sample_weight: Any = None) -> tuple[Labelled, Array]:
    """Pair inputs with labels; return them with the classes `[K]`, sorted, that the labels are numbered by.

    Examples of weight zero are left out, as if they had not been passed.

    Raises ShapeError for lengths that disagree, DataError for labels that are missing or all the same, and for weights
    that cannot be used. Labels that look alike are warned of.
    """
    labels = read_labels(y)
    check_same_length(len(x), len(labels))
    weights = read_sample_weight(sample_weight, len(labels))
    examples = Labelled(x, np.zeros(len(labels), np.int64), weights=weights)
    if weights is not None and not weights.all():
        kept = np.flatnonzero(weights)
        examples, labels = examples.select(kept), labels[kept]
    check_classes(labels)
    classes, codes = np.unique(labels, return_inverse=True)
    read_classes(classes.tolist())
    if classes.dtype.kind == "U":
        warn_of_twins(count_labels(labels))
    return replace(examples, y=codes.astype(np.int64)), classes


def learn_label_sets(x: Inputs, items: list[Any], sample_weight: Any = None) -> tuple[Labelled, Array]:
    """Pair inputs with the labels that each has, as `learn_classes` does with one each.

    Raises DataError where none has any.
    """
    check_same_length(len(x), len(items))
    weights = read_sample_weight(sample_weight, len(items))
    examples = Labelled(x, np.zeros(len(items), np.int64), weights=weights)
    if weights is not None and not weights.all():
        kept = np.flatnonzero(weights)
        examples, items = examples.select(kept), [items[index] for index in kept]
    labels, row = read_label_sets(items)
    if not len(labels):
        raise DataError(f"none of the {len(items)} examples has a label; at least one label is wanted.")
    classes, codes = np.unique(labels, return_inverse=True)
    read_classes(classes.tolist())
    if classes.dtype.kind == "U":
        warn_of_twins(count_labels(labels))
    return replace(examples, y=_which(row, codes, len(items), len(classes))), classes


def _which(row: npt.NDArray[np.int64], codes: Array, examples: int, classes: int) -> npt.NDArray[np.float32]:
    truth = np.zeros((examples, classes), np.float32)
    truth[row, codes] = 1
    return truth


def number_label_sets(items: list[Any], classes: Array, *, name: str) -> npt.NDArray[np.float32]:
    """Say which of the known classes each input has, `[B, K]`; raises DataError for a label that is none."""
    labels, row = read_label_sets(items, name=name)
    where = in_argument(name)
    codes = number_labels(labels, classes, where=lambda index: where(int(row[index])))
    return _which(row, codes, len(items), len(classes))


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
    return read_labels(stored)


def pair_known(x: Inputs, y: Any, classes: Array, *, name: str, several: bool = False) -> Labelled:
    """Pair inputs to be measured on with labels, numbered by known classes; raises as `learn_classes` does."""
    if several:
        items = list_labels(y, name=name)
        check_same_length(len(x), len(items))
        return Labelled(x, number_label_sets(items, classes, name=name))
    labels = read_labels(y, name=name)
    check_same_length(len(x), len(labels))
    return Labelled(x, number_labels(labels, classes, where=in_argument(name)))


def hold_out(examples: Labelled, fraction: float, *, seed: int) -> tuple[Labelled, Labelled | None]:
    """Split off a share of each class to measure on; of several labels, of each set of them that is not rare.

    None where the share is zero; and, with a warning, where there are too few examples for a share of any class.
    """
    if not fraction:
        return examples, None
    try:
        kept, held = stratified_split(_kinds(examples, fraction), fraction, seed=seed)
    except DataError as error:
        warnings.warn(
            f"{error} All are trained on, and nothing is measured meanwhile. Pass more or valid=(X, y), or say that "
            "this is meant: validation_fraction=0.",
            stacklevel=3,
        )
        return examples, None
    return examples.select(kept), examples.select(held)


def _kinds(examples: Labelled, fraction: float) -> Array:
    """Number the classes of examples, or their sets of labels: those too rare to be held out a part of are one kind."""
    if not examples.several:
        return examples.y
    _, codes, counts = np.unique(examples.y, axis=0, return_inverse=True, return_counts=True)
    return np.where(counts[codes] * fraction < 1, -1, codes)
