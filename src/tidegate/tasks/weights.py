"""How much each example counts in the loss: weights of examples and of classes. Knows no networks.

A row of weight 2 counts as if it stood there twice, a row of weight 0 as if it did not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.data.checks import in_argument
from tidegate.data.labels import number_labels, read_labels
from tidegate.errors import DataError, InputError, ShapeError

Array: TypeAlias = npt.NDArray[Any]
Weights: TypeAlias = npt.NDArray[np.float64]
ClassWeight: TypeAlias = Literal["balanced"] | dict[str | int | bool, float] | None


def read_class_weight(value: Any) -> ClassWeight:
    """Check the parameter `class_weight`; whether its labels are classes is known once there are labels.

    Raises ValueError for anything but None, "balanced" and a mapping of labels to weights that are not negative.
    """
    if value is None or (isinstance(value, str) and value == "balanced"):
        return value  # type: ignore[return-value]
    if not isinstance(value, Mapping):
        raise ValueError(f"wanted 'balanced', or a weight for each label such as {_EXAMPLE}")
    read: dict[str | int | bool, float] = {}
    for label, weight in value.items():
        plain = label.item() if isinstance(label, np.generic) else label
        if isinstance(weight, bool) or not isinstance(weight, int | float | np.number) or not np.isfinite(weight):
            raise ValueError(f"the weight of {plain!r:.40} is {weight!r:.40}; wanted a number, such as {_EXAMPLE}")
        if weight < 0:
            raise ValueError(f"the weight of {plain!r:.40} is {weight}; wanted 0 or more")
        read[plain] = float(weight)
    return read


_EXAMPLE = "{'rare': 5.0}"


def read_sample_weight(value: Any, count: int, *, of: str = "examples") -> Weights | None:
    """Check the weights of so many examples, `[B]`; None where none were passed.

    Raises ShapeError where there is not one for each; DataError, naming the first, for one that is negative or not
    finite, and where all are zero; InputError for what are no numbers.
    """
    if value is None:
        return None
    try:
        weights = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        raise InputError(f"sample_weight holds what is no number. Pass one number for each of the {of}.") from None
    if weights.shape != (count,):
        shape = " x ".join(map(str, weights.shape)) or "a single number"
        raise ShapeError(
            f"sample_weight is {shape}, but {count} {of} came. Pass one number for each: an array [{count}]."
        )
    where = in_argument("sample_weight")
    if len(bad := np.flatnonzero(~np.isfinite(weights))):
        raise DataError(f"{where(int(bad[0]))} is {weights[bad[0]]}. Pass 0 to leave an example out.")
    if len(bad := np.flatnonzero(weights < 0)):
        raise DataError(f"{where(int(bad[0]))} is {weights[bad[0]]:g}, below zero. Pass 0 to leave an example out.")
    if count and not weights.any():
        raise DataError(f"sample_weight is zero for all {count} {of}, which leaves nothing. Pass some above zero.")
    return weights


def weigh_classes(given: ClassWeight, codes: npt.NDArray[np.int64], classes: Array, weights: Weights | None) -> Weights:
    """Say how much an example of each class counts, `[K]`.

    "balanced" gives n / (K * count), so that all classes count the same in sum; n and counts are sums of `weights`
    where there are any. A class that a mapping does not name has 1.

    Raises DataError for a label in the mapping that is no class, or that names one twice; and where all weights are 0.

    >>> weigh_classes("balanced", np.array([0, 0, 0, 1]), np.array(["a", "b"]), None).round(3).tolist()
    [0.667, 2.0]
    """
    if given == "balanced":
        counts = np.bincount(codes, weights, minlength=len(classes))
        return np.asarray(counts.sum() / (len(classes) * np.maximum(counts, np.finfo(np.float64).tiny)))
    found = np.ones(len(classes))
    if not given:
        return found
    labels = [read_labels([label], name="class_weight") for label in given]
    numbers = [int(number_labels(label, classes, where=lambda _: "class_weight")[0]) for label in labels]
    if len(set(numbers)) < len(numbers):
        raise DataError(f"class_weight names a class twice: {', '.join(map(repr, given))}. Name each once.")
    found[numbers] = list(given.values())
    if not found[np.unique(codes)].any():
        raise DataError("class_weight is zero for every class, which leaves nothing to learn. Pass some above zero.")
    return found


def relative(weights: Weights, counts: npt.NDArray[np.int64] | None = None) -> npt.NDArray[np.float32] | None:
    """Scale weights to a mean of one; None where all are alike, which is no weighing at all.

    Args:
        weights: [B].
        counts: [B] the parts that each example has in the mean, such as its words; None for one.
    """
    if not len(weights) or (weights == weights[0]).all():
        return None
    shares = np.ones(len(weights)) if counts is None else counts
    return np.asarray(weights * (shares.sum() / (weights * shares).sum()), np.float32)
