"""What a label is: one rule for `fit`, `score` and `evaluate`, for arrays, frames and files. Knows no model.

A label is a text, a whole number or a truth value. NumPy's and pandas's scalars are what they hold, and a float without
a fraction is a whole number. Labels to be compared with known classes are read in the kind of those.
"""

from __future__ import annotations

import re
import unicodedata
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.data.checks import Where, check_labels, in_argument, is_missing
from tidegate.errors import DataError, InputError, ShapeError

Array: TypeAlias = npt.NDArray[Any]
Label: TypeAlias = str | int | bool

_KINDS = {"U": "texts", "i": "whole numbers", "u": "whole numbers", "b": "truth values"}
_ONE_KIND = {str: "text", int: "whole number", bool: "truth value"}
_WHOLE = re.compile(r"[+-]?\d+(\.0*)?")
_SEVERAL = (list, tuple, set, frozenset, np.ndarray)
_LISTED = 10  # classes that a message names


def read_labels(y: Any, *, name: str = "y") -> Array:
    """Read labels as an array `[B]` of texts, whole numbers or truth values.

    Raises InputError for no labels; ShapeError for a frame of several columns; DataError, naming the row, for a missing
    label or one of another kind, and where kinds are mixed.

    >>> read_labels([1.0, np.int8(0), 1]).tolist()
    [1, 0, 1]
    """
    items = list_labels(y, name=name)
    where = in_argument(name)
    check_labels(items, where=where)
    labels = [_checked(item, where(index)) for index, item in enumerate(items)]
    if len(kinds := {type(label).__name__ for label in labels}) > 1:
        raise DataError(f"labels mix {' and '.join(sorted(kinds))}; pass one kind.")
    read: Array = np.asarray(labels) if labels else np.zeros(0, np.int64)
    if read.dtype.kind not in _KINDS or read.tolist() != labels:  # numbers beyond 64 bits; texts that end in a NUL
        raise DataError(f"{name} has labels that no array can hold: numbers beyond 64 bits or texts that end in NUL.")
    return read


def find_missing(y: Any, *, name: str = "y") -> tuple[list[Any], npt.NDArray[np.bool_]]:
    """List what stands for labels, `[B]`, and say which of them are missing.

    Raises InputError and ShapeError as `read_labels` does.

    >>> find_missing(["pos", None, "neg"])[1].tolist()
    [False, True, False]
    """
    items = list_labels(y, name=name)
    return items, np.array([is_missing(item) for item in items], bool)


def list_labels(y: Any, *, name: str = "y") -> list[Any]:
    """List the answers that came, one for each input, as they are; raises as `read_labels` does for none."""
    if y is None:
        raise InputError(f"{name} is missing: it requires y to be passed, but the target y is None. Pass fit(X, y).")
    return [_plain(item) for item in _listed(y, name)]


def hold_several(items: Sequence[Any]) -> bool:
    """Tell whether inputs have several labels, or none: whether any has a list, a tuple, a set or an array of them.

    >>> hold_several([["a", "b"], []]), hold_several(["a", "b"])
    (True, False)
    """
    return any(isinstance(item, _SEVERAL) for item in items)


def read_label_sets(items: Sequence[Any], *, name: str = "y") -> tuple[Array, npt.NDArray[np.int64]]:
    """Read the labels of inputs that have several each, or none; one that stands there twice counts once.

    Returns:
        The labels `[M]` of all inputs, one after the other, and to which input each belongs, `[M]`.

    Raises DataError, naming the row, for what is no list, tuple, set or array, and as `read_labels` does.

    >>> labels, row = read_label_sets([["b", "a"], [], {"b"}])
    >>> labels.tolist(), row.tolist()
    (['b', 'a', 'b'], [0, 0, 2])
    """
    where, found, row = in_argument(name), list[Any](), list[int]()
    for index, item in enumerate(items):
        if not isinstance(item, _SEVERAL):
            raise DataError(f"{where(index)} is {item!r:.40}; wanted a list of labels, such as ['a', 'b'], or [].")
        own = sorted(item, key=str) if isinstance(item, set | frozenset) else list(item)
        own = [_plain(label) for label in own]
        check_labels(own, where=lambda _, at=index: where(at))  # type: ignore[misc]
        own = list(dict.fromkeys(_checked(label, where(index)) for label in own))
        found += own
        row += [index] * len(own)
    return read_labels(found, name=name), np.array(row, np.int64)


def number_labels(labels: Array, classes: Array, *, where: Where) -> npt.NDArray[np.int64]:
    """Find the number of the class of each label, `[B]`, once it is read in the kind that the classes have.

    Raises DataError, naming the first one, for a label that is none of the classes.

    >>> number_labels(np.array(["1", "0", "1.0"]), np.array([0, 1]), where=in_argument("y")).tolist()
    [1, 0, 1]
    >>> number_labels(np.array([1, 0]), np.array(["0", "1"]), where=in_argument("y")).tolist()
    [1, 0]
    """
    known: dict[Any, int] = {label: number for number, label in enumerate(classes.tolist())}
    distinct, places = np.unique(labels, return_inverse=True)
    found = [_find(label, known, classes.dtype.kind) for label in distinct.tolist()]
    numbers = np.array([-1 if number is None else number for number in found], np.int64)[places]
    if len(unknown := np.flatnonzero(numbers < 0)):
        first = int(unknown[0])
        raise DataError(f"{where(first)} has {_tell_unknown(labels.tolist()[first], classes)}")
    return numbers


def warn_of_twins(counts: Mapping[str, int], what: str = "label") -> None:
    """Warn of labels that differ by what is easily overlooked: case, white space, how a letter is encoded, or `.0`.

    Args:
        counts: how often each label occurs.
        what: the word for one of them.
    """
    alike: defaultdict[str, list[str]] = defaultdict(list)
    for label in counts:
        alike[_folded(label)].append(label)
    for twins in alike.values():
        if len(twins) > 1:
            named = " and ".join(f"{label!r} ({counts[label]:,})" for label in sorted(twins)[:_LISTED])
            warnings.warn(
                f"the {what}s {named} differ by case, white space or spelling of a number alone, and are learned as "
                f"different ones. If they mean the same, write them alike.",
                stacklevel=3,
            )


def _listed(y: Any, name: str) -> list[Any]:
    """List the items of an array, a series, one column of a frame, or anything else that can be gone through."""
    if isinstance(y, str | bytes | Mapping):
        raise InputError(f"{name} is a {type(y).__name__}; wanted one label for each input, such as a list.")
    shape: tuple[int, ...] = getattr(y, "shape", ())
    if len(shape) == 2 and hasattr(y, "__array__"):
        if shape[1] != 1:
            columns = ", ".join(map(str, getattr(y, "columns", range(shape[1]))))
            raise ShapeError(f"{name} has {shape[1]} columns ({columns:.80}), but an input has one label. Pass one.")
        y = np.asarray(y)[:, 0]
    if hasattr(y, "__array__") and not hasattr(y, "__iter__"):
        y = np.asarray(y)
    for method in ("tolist", "to_pylist"):
        if hasattr(y, method):
            found = getattr(y, method)()
            return found if isinstance(found, list) else [found]
    return list(y)


def _plain(item: Any) -> Any:
    """Take the value out of a scalar of NumPy or torch."""
    scalar = getattr(item, "shape", None) == () and hasattr(item, "item")
    return item.item() if scalar else item


def _checked(item: Any, where: str) -> Label:
    if isinstance(item, str | int):
        return item
    if isinstance(item, float) and item.is_integer():
        return int(item)
    wanted = f"{where} is {item!r:.40}; a label must be a text, a whole number or a truth value"
    if isinstance(item, float):
        raise DataError(f"{wanted}. Unknown label type: continuous. Round or cut such numbers into classes first.")
    raise DataError(f"{wanted}." + (" Decode it to a text." if isinstance(item, bytes) else ""))


def _find(label: Label, known: Mapping[Any, int], kind: str) -> int | None:
    return next((known[spelled] for spelled in _spelled(label, kind) if spelled in known), None)


def _spelled(label: Label, kind: str) -> Iterator[Label]:
    """Give what a label may be called where the classes are of this kind; True and 1 are equal to Python."""
    yield label
    if kind == "U" and isinstance(label, bool):
        yield from (str(label).lower(), str(label))  # as JSON has it, and as Python
    elif kind == "U" and isinstance(label, int):
        yield from (str(label), f"{label}.0")
    elif kind != "U" and isinstance(label, str):
        bare = label.strip().lower()
        if _WHOLE.fullmatch(bare):
            yield int(bare.partition(".")[0])
        elif kind == "b" and bare in ("true", "false"):
            yield bare == "true"


def _tell_unknown(label: Label, classes: Array) -> str:
    said = f"the label {label!r}, which no training example has."
    names = classes.tolist()
    if near := [name for name in names if _folded(str(name)) == _folded(str(label))]:
        return f"{said} Is {near[0]!r} meant?"
    listed = ", ".join(map(repr, names[:_LISTED])) + (", ..." if len(names) > _LISTED else "")
    kinds = _KINDS[classes.dtype.kind]
    if kinds == f"{_ONE_KIND[type(label)]}s":
        return f"{said} Known: {listed}."
    return f"{said} It is a {_ONE_KIND[type(label)]}, the classes are {kinds}: {listed}."


def _folded(label: str) -> str:
    """Bring what looks alike into one form."""
    folded = " ".join(unicodedata.normalize("NFKC", label).casefold().split())
    return folded.partition(".")[0] if _WHOLE.fullmatch(folded) else folded


def count_labels(labels: Sequence[Any] | Array) -> dict[str, int]:
    """Count how often each label occurs, by how it is written.

    >>> count_labels(np.array(["a", "b", "a"]))
    {'a': 2, 'b': 1}
    """
    distinct, counts = np.unique(np.asarray(labels), return_counts=True)
    return dict(zip(map(str, distinct.tolist()), counts.tolist(), strict=True))
