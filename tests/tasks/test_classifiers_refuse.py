"""What classifiers make of data and parameters that cannot be used: refused by name, or answered all the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tidegate as tg
from classifiers import SMALL, Kind
from samples import texts, waves
from tidegate.errors import DataError, InputError, ModelFileError, OptionError, ShapeError


def test_a_classifier_asks_for_labels(kind: Kind) -> None:
    X, _ = kind.data(12)
    with pytest.raises(InputError, match=r"y is missing: .* Pass fit\(X, y\)"):
        kind.task(**SMALL).fit(X)


def test_names_that_are_not_known_are_refused_with_the_nearest(kind: Kind) -> None:
    with pytest.raises(OptionError, match="Did you mean 'hidden_size'"):
        kind.task().set_params(hiden_size=3)
    with pytest.raises(OptionError, match="Did you mean 'tutorial-lstm'"):
        tg.TextClassifier.from_preset("tutorial-lstn")
    with pytest.raises(OptionError, match="Did you mean 'epochs'"):
        tg.TextClassifier.from_preset("tutorial-lstm", epoch=3)


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"cell": "lstn"}, "unknown cell 'lstn'. Did you mean 'lstm'"),
        ({"merge": "con cat"}, "unknown merge 'con cat'. Did you mean 'concat'"),
        ({"optimizer": "Adam"}, "unknown optimizer 'Adam'. Did you mean 'adam'"),
        ({"pooling": ("max", "men")}, "unknown pooling 'men'. Did you mean 'mean'"),
        ({"pooling": ()}, "at least 1 item"),
        ({"pooling": ("max", "max")}, "max, max name one mode twice"),
        ({"hidden_size": 0}, "hidden_size=0 cannot be used: input should be greater"),
        ({"hidden_size": 10**9}, "hidden_size=1000000000 cannot be used"),
        ({"epochs": 2.5}, "epochs=2.5 cannot be used"),
        ({"dropout": 1.0}, "dropout=1.0 cannot be used"),
        ({"learning_rate": float("nan")}, "learning_rate=nan cannot be used"),
        ({"patience": -1}, "patience=-1 cannot be used"),
        ({"seed": None}, "seed=None cannot be used"),
    ],
)
def test_parameters_out_of_range_are_named(kind: Kind, params: dict[str, Any], reason: str) -> None:
    X, y = kind.data(20)
    with pytest.raises(InputError, match=reason):
        kind.task(**params).fit_steps(X, y)


@pytest.mark.parametrize(
    ("y", "error", "reason"),
    [
        (["a", "b", "a"], ShapeError, "4 examples came with 3 labels"),
        (["a"] * 4, DataError, "all 4 labels are 'a'"),
        (["a", "b", None, "a"], DataError, r"y\[2\] has no label"),
        (["a", "b", "", "a"], DataError, r"y\[2\] has no label"),
        ([0.0, 1.0, float("nan"), 0.0], DataError, r"y\[2\] has no label"),
        ([0.5, 1, 0, 1], DataError, r"y\[0\] is 0.5; a label must be"),
        ([{"a": 1}, "b", "a", "b"], DataError, r"y\[0\] is \{'a': 1\}; a label must be"),
        (["a", "b", 1, "a"], DataError, "labels mix int and str"),
    ],
)
def test_labels_that_cannot_be_used_are_refused(kind: Kind, y: Any, error: type[Exception], reason: str) -> None:
    X, _ = kind.data(4)
    with pytest.raises(error, match=reason):
        kind.task().fit_steps(X, y)


@pytest.mark.parametrize("method", ["fit_steps", "predict", "score"])
def test_what_is_no_text_is_named(method: str) -> None:
    task = tg.TextClassifier(**SMALL | {"epochs": 1}).fit(*texts(8))
    X = ["good", None, "bad"]
    arguments = [X] if method == "predict" else [X, ["a", "b", "a"]]
    with pytest.raises(DataError, match=r"X\[1\] is missing, not a text"):
        getattr(task, method)(*arguments)


def test_empty_texts_are_not_learned_from() -> None:
    X, y = texts(8)
    spoiled = [X[0], " ", *X[2:]]
    with pytest.raises(DataError, match=r"X\[1\] has an empty text"):
        tg.TextClassifier(**SMALL).fit_steps(spoiled, y)
    with pytest.raises(DataError, match=r"valid X\[1\] has an empty text"):
        tg.TextClassifier(**SMALL).fit_steps(X, y, valid=(spoiled, y))


def test_inputs_of_length_zero_are_answered_in_their_place(kind: Kind) -> None:
    X, y = kind.data(24)
    task = kind.task(epochs=1).fit(X, y)
    nothing: list[Any] = ["", " \n\t"] if isinstance(X[0], str) else [np.zeros((0, X[0].shape[1]))] * 2
    found, alone = task.predict_proba([X[0], *nothing, X[1]]), task.predict_proba(nothing[:1])
    assert (found[[0, 3]] == task.predict_proba(X[:2])).all()
    assert (found[1:3] == alone).all()
    assert task.predict([X[0], *nothing, X[1]]).tolist() == task.classes_[found.argmax(axis=1)].tolist()
    assert task.score(nothing, task.predict(nothing)) == 1.0


@pytest.mark.parametrize("method", ["fit_steps", "predict", "score"])
@pytest.mark.parametrize(
    ("value", "error", "reason"),
    [
        ([[1, 2], [np.nan, 3]], DataError, r"X\[1\], step 1, feature 0 is nan"),
        ([[1, 2], [3, -np.inf]], DataError, r"X\[1\], step 1, feature 1 is -inf"),
        ([[1, 2, 3]], ShapeError, "tokens of sequence 1 are"),
        ([["a", "b"]], ShapeError, "of numbers"),
    ],
)
def test_features_that_cannot_be_used_are_named(method: str, value: Any, error: type[Exception], reason: str) -> None:
    task = tg.SequenceClassifier(**SMALL | {"epochs": 1}).fit(*waves(8))
    X = [np.ones((3, 2)), np.array(value), np.ones((2, 2))]
    arguments = [X] if method == "predict" else [X, ["a", "b", "a"]]
    with pytest.raises(error, match=reason):
        getattr(task, method)(*arguments)


def test_features_are_refused_that_were_not_trained_on_or_do_not_fit_float32() -> None:
    task = tg.SequenceClassifier(**SMALL | {"epochs": 1}).fit(*waves(8))
    with pytest.raises(ShapeError, match="X has 3 features per step; 2 were trained on"):
        task.predict([np.ones((4, 3))])
    with pytest.raises(ShapeError, match=r"pass \[T, 1\]"):
        task.predict([np.ones(4), np.ones(3)])
    with pytest.raises(DataError, match=r"X\[0\], step 3, feature 1 is 1e\+300; .*up to 1e\+30"):
        task.predict([np.array([[0, 0]] * 3 + [[0, 1e300]])])


def test_too_few_examples_to_hold_out_any_are_all_trained_on_with_a_warning(kind: Kind) -> None:
    X, y = kind.data(6)
    small = SMALL | {"epochs": 2, "patience": 2, "validation_fraction": 0.1}
    with pytest.warns(UserWarning, match=r"6 examples are too few to hold out 10% .* validation_fraction=0"):
        told = kind.task(**small).fit(X, y)
    meant = kind.task(**small | {"validation_fraction": 0}).fit(X, y)
    assert {name: array.tobytes() for name, array in told.weights_.items()} == {
        name: array.tobytes() for name, array in meant.weights_.items()
    }


def test_validation_data_are_checked_like_the_rest(kind: Kind) -> None:
    X, y = kind.data(8)
    with pytest.raises(DataError, match=r"valid y\[1\] has the label 'lake', which no training example has"):
        kind.task().fit_steps(X, y, valid=(X[:2], [y[0], "lake"]))
    with pytest.raises(ShapeError, match="2 examples came with 8 labels"):
        kind.task().fit_steps(X, y, valid=(X[:2], y))


def test_a_model_of_no_task_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="no such file"):
        tg.load(tmp_path)
