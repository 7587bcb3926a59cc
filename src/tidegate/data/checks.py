"""Checks of examples that files, data sets and tasks share: one place, one wording. Knows nothing of models.

Every check takes `where`, which turns the index of an example into the words that name it: `X[16]` for arrays that
a caller passed, `reviews.csv, row 17` for a file. Every check is silent when all is well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tidegate.errors import DataError, InputError, ShapeError
from tidegate.grid import Grid
from tidegate.ragged import Ragged

LARGEST = 1e30
"""The largest number that is computed with: far within float32, the squares of which float64 holds."""

Where = Callable[[int], str]


def in_argument(name: str) -> Where:
    """Name an example by its place in an argument.

    >>> in_argument("X")(16)
    'X[16]'
    """
    return lambda index: f"{name}[{index}]"


def check_same_length(examples: int, labels: int) -> None:
    """Refuse examples and labels that do not pair up (ShapeError)."""
    if examples != labels:
        raise ShapeError(f"{examples} examples came with {labels} labels. Pass exactly one label for every example.")


def check_texts(texts: Sequence[object], *, where: Where | None = None, allow_empty: bool = False) -> None:
    """Refuse anything that is not a text, and unless `allow_empty` empty texts, naming the first offender (DataError).

    A text of nothing but white space counts as empty. A bare string in place of a list is refused with InputError.
    """
    where = where or in_argument("X")
    if isinstance(texts, str):
        raise InputError("a single string came where a list of texts is wanted. Put it into a list: [text].")
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise DataError(f"{where(index)} is {_describe(text)}, not a text.")
        if not text.isascii() and _has_surrogate(text):
            raise DataError(f"{where(index)} holds half of a surrogate pair, which is no character. Repair the text.")
    empty = [] if allow_empty else [index for index, text in enumerate(texts) if not str(text).strip()]
    if empty:
        raise DataError(f"{where(empty[0])} has an empty text{_more(empty)}. Remove or fill what is empty.")


def check_labels(labels: Sequence[object] | np.ndarray, *, where: Where | None = None) -> None:
    """Refuse missing labels: None, NaN and blank strings, naming the first one (DataError)."""
    where = where or in_argument("y")
    missing = [index for index, label in enumerate(labels) if is_missing(label)]
    if missing:
        raise DataError(f"{where(missing[0])} has no label{_more(missing)}. Remove such rows or label them.")


def check_classes(labels: Sequence[object] | np.ndarray) -> None:
    """Refuse labels from which nothing can be learned: none at all, or one class only (DataError).

    >>> check_classes(["pos", "pos"])
    Traceback (most recent call last):
    tidegate.errors.DataError: all 2 labels are 'pos', which is one class; a classifier needs at least two classes.
    """
    distinct = set(labels.tolist() if isinstance(labels, np.ndarray) else labels)
    if not distinct:
        raise DataError("there are no examples; a classifier needs at least two classes.")
    if len(distinct) == 1:
        only = next(iter(distinct))
        raise DataError(
            f"all {len(labels)} labels are {only!r}, which is one class; a classifier needs at least two classes."
        )


def check_writable(names: Sequence[object], what: str) -> None:
    r"""Refuse a name that cannot be printed or written, since it holds half of a pair of code units (DataError).

    >>> check_writable(["pos", chr(0xD800)], "label")
    Traceback (most recent call last):
    tidegate.errors.DataError: the label '\ud800' is no valid Unicode; correct it.
    """
    for name in names:
        if isinstance(name, str) and any("\ud800" <= character <= "\udfff" for character in name):
            raise DataError(f"the {what} {name!r:.40} is no valid Unicode; correct it.")


def check_known_classes(
    labels: Sequence[object] | np.ndarray, classes: Sequence[object], *, where: Where | None = None
) -> None:
    """Refuse a label that is not among `classes`, naming the first one (DataError)."""
    where = where or in_argument("y")
    known = set(classes)
    for index, label in enumerate(labels):
        if label not in known:
            raise DataError(f"{where(index)} has the label {label!r}, which no training example has.")


def check_features(sequences: Ragged, *, where: Where | None = None) -> None:
    """Refuse features `[N, C]` that are NaN, infinite or beyond `LARGEST`, naming sequence, step and feature.

    Of an image the row and the column are named.
    """
    where = where or in_argument("X")
    values = np.asarray(sequences.values)
    if (fit := np.abs(values) <= LARGEST).all():
        return
    token, feature = (int(i) for i in np.argwhere(~fit)[0][:2])
    offsets = np.asarray(sequences.offsets)
    row = int(np.searchsorted(offsets, token, side="right")) - 1
    within = token - int(offsets[row])
    place = f"step {within}"
    if isinstance(sequences, Grid):
        place = "row {}, column {}".format(*divmod(within, int(sequences.widths[row])))
    raise DataError(
        f"{where(row)}, {place}, feature {feature} is {values[token, feature]}; "
        + (
            f"networks compute with numbers up to {LARGEST:g}. Rescale the feature."
            if np.isfinite(values[token, feature])
            else "features must be finite. Drop the sequence or fill the gap."
        )
    )


def is_missing(label: object) -> bool:
    """Tell whether what stands for a label says that there is none: None, NaN, pandas's NA or a blank string."""
    if label is None or (isinstance(label, str) and not label.strip()):
        return True
    if type(label).__name__ in ("NAType", "NaTType"):  # of pandas, which nothing here imports
        return True
    return isinstance(label, float | np.floating) and bool(np.isnan(label))


def _has_surrogate(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _more(indices: list[int]) -> str:
    return f" (and {len(indices) - 1} more)" if len(indices) > 1 else ""


def _describe(value: object) -> str:
    return "missing" if value is None else f"{type(value).__name__} {value!r:.40}"
