"""Labels: what counts as one, in every form in which people hold them, and when two of them are the same."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from tidegate.data.checks import in_argument
from tidegate.data.labels import count_labels, number_labels, read_labels, warn_of_twins
from tidegate.errors import DataError, InputError, ShapeError

ONES: list[Callable[[list[int]], Any]] = [
    list,
    tuple,
    iter,
    np.array,
    lambda y: np.array(y)[:, None],
    lambda y: np.array(y, np.float32),
    lambda y: np.array(y, object),
    lambda y: [np.array(label) for label in y],
    lambda y: [np.uint8(label) for label in y],
    torch.tensor,
    lambda y: list(torch.tensor(y)),
    pa.array,
]


@pytest.mark.parametrize("make", ONES)
def test_whole_numbers_are_whole_numbers_however_they_are_held(make: Callable[[list[int]], Any]) -> None:
    read = read_labels(make([3, 0, 1]))
    assert (read.dtype.kind, read.tolist()) == ("i", [3, 0, 1])


@pytest.mark.parametrize(
    ("y", "kind"),
    [
        ([True, False], "b"),
        ([np.True_, False], "b"),
        (["a", "b"], "U"),
        (np.array(["a", "b"], object), "U"),
    ],
)
def test_texts_and_truth_values_keep_their_kind(y: Any, kind: str) -> None:
    read = read_labels(y)
    assert (read.dtype.kind, read.tolist()) == (kind, [True, False] if kind == "b" else ["a", "b"])


@pytest.mark.parametrize(
    ("y", "error", "reason"),
    [
        (None, InputError, "y is missing"),
        (np.zeros((3, 2)), ShapeError, r"y has 2 columns \(0, 1\)"),
        ("spam", InputError, "y is a str; wanted one label for each input"),
        ([1, None], DataError, r"y\[1\] has no label"),
        ([1.0, float("nan")], DataError, r"y\[1\] has no label"),
        ([1, 0.5], DataError, r"y\[1\] is 0.5; .* Unknown label type: continuous"),
        ([float("inf"), 1.0], DataError, r"y\[0\] is inf"),
        ([b"a", b"b"], DataError, r"y\[0\] is b'a'; .* Decode it"),
        ([1, "1"], DataError, "labels mix int and str"),
        ([1, True], DataError, "labels mix bool and int"),
        ([2**63, -1], DataError, "numbers beyond 64 bits"),
        ([1e300, 1.0], DataError, "numbers beyond 64 bits"),
        (["a\0", "a"], DataError, "end in NUL"),
    ],
)
def test_what_is_no_label_is_refused_with_its_row(y: Any, error: type[Exception], reason: str) -> None:
    with pytest.raises(error, match=reason):
        read_labels(y)


@pytest.mark.parametrize(
    ("classes", "same"),
    [
        ([0, 1], [[0, 1], ["0", "1"], [0.0, 1.0], ["0.0", "1.0"], [False, True], [" 0", "1 "]]),
        (["0", "1"], [["0", "1"], [0, 1], [0.0, 1.0]]),
        (["0.0", "1.0"], [["0.0", "1.0"], [0, 1], [0.0, 1.0]]),
        ([False, True], [[False, True], [0, 1], ["false", "true"], ["False", "True"], ["0", "1"], [0.0, 1.0]]),
        (["false", "true"], [["false", "true"], [False, True]]),
        (["False", "True"], [["False", "True"], [False, True]]),
        (["a", "b"], [["a", "b"]]),
    ],
)
def test_labels_are_read_in_the_kind_of_the_classes(classes: list[Any], same: list[Any]) -> None:
    for y in same:
        found = number_labels(read_labels(y), np.array(classes), where=in_argument("y"))
        assert found.tolist() == [0, 1], y


@pytest.mark.parametrize(
    ("classes", "y", "reason"),
    [
        ([0, 1], [1, 7], r"y\[1\] has the label 7, which no training example has. Known: 0, 1."),
        ([0, 1], ["1", "yes"], r"y\[1\] has the label 'yes', .* It is a text, the classes are whole numbers: 0, 1."),
        (["a", "b"], [1, 0], r"y\[0\] has the label 1, .* It is a whole number, the classes are texts: 'a', 'b'."),
        (["a", "b"], [True, False], r"y\[0\] has the label True, .* It is a truth value, the classes are texts"),
        ([False, True], [0, 2], r"y\[1\] has the label 2, .* It is a whole number, the classes are truth values"),
        (["neg", "pos"], ["pos", "Neg "], r"y\[1\] has the label 'Neg ', .* Is 'neg' meant\?"),
        (["1.0", "2.0"], ["1.0", "2"], r"y\[1\] has the label '2', .* Is '2.0' meant\?"),
    ],
)
def test_a_label_that_no_class_has_is_refused_in_the_words_that_help(classes: Any, y: Any, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        number_labels(read_labels(y), np.array(classes), where=in_argument("y"))


@pytest.mark.parametrize(
    "twins", [("pos", "Pos"), ("pos", " pos"), ("1", "1.0"), ("caf\u00e9", "cafe\u0301"), ("a b", "a  b")]
)
def test_labels_that_look_alike_are_warned_of_with_their_counts(twins: tuple[str, str]) -> None:
    counts = count_labels([twins[0]] * 40 + [twins[1]] * 3 + ["other"] * 2)
    first, second = (f"{label!r} ({count})" for label, count in sorted(zip(twins, (40, 3), strict=True)))
    with pytest.warns(UserWarning, match=re.escape(f"{first} and {second}")):
        warn_of_twins(counts)


def test_labels_that_differ_in_earnest_are_not_warned_of() -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        warn_of_twins(count_labels(["1", "10", "1.5", "a", "b", "a.0"]))
    assert told == []


def test_frames_and_series_of_pandas_hold_labels_too() -> None:
    pd: Any = pytest.importorskip("pandas")
    ones = [
        pd.Series([3, 0, 1]),
        pd.Series([3, 0, 1], dtype="Int64"),
        pd.Series([3, 0, 1], dtype="category"),
        pd.Series([3, 0, 1, None])[:3],  # floats, by a gap that was dropped
        pd.DataFrame({"label": [3, 0, 1]}),
    ]
    for y in ones:
        assert (read_labels(y).dtype.kind, read_labels(y).tolist()) == ("i", [3, 0, 1])
    assert read_labels(pd.Series([True, False], dtype="boolean")).dtype.kind == "b"
    assert read_labels(pd.Series(["a", "b"], dtype="string")).tolist() == ["a", "b"]
    for y in (pd.Series([1, None], dtype="Int64"), pd.Categorical(["a", None]), ["a", pd.NaT], ["a", pd.NA]):
        with pytest.raises(DataError, match=r"y\[1\] has no label"):
            read_labels(y)
    with pytest.raises(ShapeError, match=r"y has 2 columns \(a, b\)"):
        read_labels(pd.DataFrame({"a": [1, 2], "b": [3, 4]}))


def test_series_and_columns_of_polars_hold_labels_too() -> None:
    pl: Any = pytest.importorskip("polars")
    for y in (pl.Series([3, 0, 1]), pl.DataFrame({"label": [3, 0, 1]})):
        assert read_labels(y).tolist() == [3, 0, 1]
