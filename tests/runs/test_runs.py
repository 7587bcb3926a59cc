"""Runs: metrics by hand, baselines, the data of a recipe. What the command line prints is tested in tests/cli."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tidegate import data, runs
from tidegate.data import Dataset, Examples
from tidegate.errors import DataError, InputError, RunFolderError
from tidegate.ragged import Ragged
from tidegate.runs.source import fingerprint, source_of
from tidegate.tasks.classifying.scores import Classification


def model_that_says(probabilities: list[list[float]], classes: list[str]) -> Any:
    rows = np.array(probabilities, np.float32)
    names = np.array(classes)
    return SimpleNamespace(
        classes_=names, predict_proba=lambda x: rows[: len(x)], temperature_=None, multilabel_=False, thresholds_=None
    )


def test_evaluate_gives_the_numbers_worked_out_by_hand() -> None:
    model = model_that_says([[0.5, 0.5, 0.0], [0.25, 0.5, 0.25], [0.1, 0.1, 0.8], [0.25, 0.5, 0.25]], ["a", "b", "c"])
    found = runs.measure_classifier(model, Examples(["w", "x", "y", "z"], ["a", "b", "c", "c"]))
    assert found.accuracy == 0.75  # a tie goes to the class that comes first
    assert found.loss == pytest.approx((2 * math.log(2) - math.log(0.8) + math.log(4)) / 4)
    assert isinstance(found, Classification)
    assert found.confusion == [[1, 0, 0], [0, 1, 0], [0, 1, 1]]
    assert found.classes["b"] == runs.ClassScore(precision=0.5, recall=1.0, f1=2 / 3, examples=1)
    assert found.classes["c"] == runs.ClassScore(precision=1.0, recall=0.5, f1=2 / 3, examples=2)


def test_evaluate_copes_with_a_class_that_no_example_has() -> None:
    model = model_that_says([[0.5, 0.25, 0.25]], ["a", "b", "c"])
    found = runs.measure_classifier(model, Examples(["w"], ["a"]))
    assert (found.accuracy, found.classes["c"].examples) == (1.0, 0)
    assert found.loss == pytest.approx(math.log(2))


def test_evaluate_refuses_no_examples_and_labels_that_are_not_known() -> None:
    model = model_that_says([[0.5, 0.5]], ["a", "b"])
    with pytest.raises(DataError, match="no examples"):
        runs.measure_classifier(model, Examples([], []))
    with pytest.raises(DataError, match="'c'"):
        runs.measure_classifier(model, Examples(["x"], ["c"]))


def test_baselines_on_digits_reach_what_is_known_of_them() -> None:
    majority, linear = runs.train_baselines(data.load("digits"))
    assert majority.value == pytest.approx(36 / 355)
    assert (
        linear.value is not None and 0.94 < linear.value < 0.98
    )  # scikit-learn's own example of a linear model on digits: about 0.96


def test_baselines_take_texts_and_sequences_of_unequal_length() -> None:
    train = Examples(["so good", "so bad", "good film", "bad film"], ["pos", "neg", "pos", "neg"])
    texts = Dataset("texts", "text", ("neg", "pos"), train, test=Examples(["good", "bad"], ["pos", "neg"]))
    assert [found.value for found in runs.train_baselines(texts)] == [0.5, 1.0, 1.0]

    short, long = np.zeros((1, 2), np.float32), np.ones((3, 2), np.float32)
    train = Examples(Ragged.from_list([short, long[:2]] * 4), np.array([0, 1] * 4))
    test = Examples(Ragged.from_list([short, long]), np.array([0, 1]))
    sequences = Dataset("sequences", "sequence", (0, 1), train, test=test)
    assert [found.value for found in runs.train_baselines(sequences)] == [0.5, 1.0]


def test_baselines_need_a_test_part() -> None:
    texts = Dataset("texts", "text", ("a", "b"), Examples(["x", "y"], ["a", "b"]))
    with pytest.raises(InputError, match="no test part"):
        next(runs.train_baselines(texts))


@pytest.mark.parametrize(
    "changed",
    [
        Examples(["x", "z"], ["a", "b"]),
        Examples(["x", "y"], ["b", "b"]),
        Examples(["y", "x"], ["a", "b"]),
        Examples(["xy", ""], ["a", "b"]),
    ],
)
def test_a_fingerprint_changes_with_any_example(changed: Examples) -> None:
    def dataset(train: Examples, test: Examples | None = None) -> Dataset:
        return Dataset("texts", "text", ("a", "b"), train, test=test)

    first = Examples(["x", "y"], ["a", "b"])
    assert fingerprint(dataset(first)) == fingerprint(dataset(Examples(["x", "y"], ["a", "b"])))
    assert fingerprint(dataset(first)) != fingerprint(dataset(changed))
    assert fingerprint(dataset(first)) != fingerprint(dataset(first, changed))


def test_a_recipe_without_data_is_refused() -> None:
    with pytest.raises(RunFolderError, match="does not name its data"):
        source_of({"task": "text-classifier", "params": {}})
