"""What both classifiers pass beside the battery of all tasks: labels, probabilities, patience, what is learned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone, is_classifier
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

import tidegate as tg
from classifiers import KINDS, PLAIN, SMALL, Kind
from samples import texts, waves
from tidegate.documents import Documents
from tidegate.errors import InputError, TidegateError
from tidegate.network import Dense, Dropout, Embed, Pool, Recurrent
from tidegate.tasks import presets
from tidegate.tasks.classifying.labelled import learn_classes
from tidegate.tasks.classifying.sequences import Scaling, as_sequences


@pytest.fixture(scope="module", params=sorted(KINDS))
def fitted(request: pytest.FixtureRequest) -> tuple[Any, list[Any], list[str]]:
    kind = KINDS[request.param]
    X, y = kind.data(60, classes=3)
    return kind.task(**SMALL).fit(X, y), X, y


def test_it_learns_what_can_be_learned(fitted: tuple[Any, list[Any], list[str]]) -> None:
    task, X, y = fitted
    assert task.score(X, y) > 0.9
    assert task.score(X, [y[-1], *y[:-1]]) < 0.2
    assert task.classes_.tolist() == ["sea", "sky", "wood"]


def test_probabilities_are_over_the_classes_in_their_order(fitted: tuple[Any, list[Any], list[str]]) -> None:
    task, X, _ = fitted
    proba = task.predict_proba(X)
    assert proba.shape == (60, 3)
    assert proba.dtype == np.float32
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-5)
    assert task.predict(X).tolist() == task.classes_[proba.argmax(axis=1)].tolist()


@pytest.mark.parametrize("labels", [["b", "a"], [7, 3], [True, False], np.array([2, 1], np.int8), np.array(["x", "y"])])
def test_labels_come_back_as_they_were(kind: Kind, labels: Any, tmp_path: Path) -> None:
    X, _ = kind.data(12)
    y = [labels[index % 2] for index in range(12)]
    task = kind.task(**SMALL | {"epochs": 2}).fit(X, y)
    assert task.classes_.tolist() == sorted({label.item() if isinstance(label, np.generic) else label for label in y})
    task.save(tmp_path / "model")
    assert tg.load(tmp_path / "model").classes_.dtype == task.classes_.dtype
    assert set(task.predict(X).tolist()) <= set(task.classes_.tolist())


# --- scikit-learn ----------------------------------------------------------------------------------------------------


def test_clone_takes_the_parameters_and_nothing_learned(fitted: tuple[Any, list[Any], list[str]]) -> None:
    task, _, _ = fitted
    twin = clone(task)
    assert twin.get_params() == task.get_params()
    assert not hasattr(twin, "classes_")
    check_is_fitted(task)
    with pytest.raises(ValueError, match="not fitted"):
        check_is_fitted(twin)


def test_it_works_in_cross_validation_a_search_and_a_pipeline(kind: Kind) -> None:
    X, y = kind.data(40)
    task = kind.task(**SMALL)
    assert is_classifier(task)
    assert cross_val_score(task, X, y, cv=2).mean() > 0.8
    search = GridSearchCV(task, {"hidden_size": np.array([2, 4])}, cv=2).fit(X, y)
    assert search.best_params_["hidden_size"] in (2, 4)
    pipeline = Pipeline([("same", _Same()), ("task", task)]).set_params(task__epochs=3).fit(X, y)
    assert pipeline.predict(X).shape == (40,)
    assert pipeline.named_steps["task"].epochs == 3


class _Same:
    def fit(self, X: Any, y: Any = None) -> _Same:
        return self

    def transform(self, X: Any) -> Any:
        return X


def test_parameters_are_stored_untouched_and_shown_when_changed(kind: Kind) -> None:
    pooling = ["max", "last"]
    task = kind.task(pooling=pooling, hidden_size=np.int64(3))
    assert task.get_params()["pooling"] is pooling
    assert task.set_params(seed=4) is task
    assert repr(task) == f"{kind.task.__name__}(seed=4, hidden_size={np.int64(3)!r}, pooling=['max', 'last'])"


# --- what is learned -------------------------------------------------------------------------------------------------


def test_the_best_weights_are_restored_and_patience_ends_the_run(kind: Kind) -> None:
    X, y = kind.data(30)
    task = kind.task(**SMALL | {"epochs": 60, "learning_rate": 0.2, "patience": 3})
    steps = list(task.fit_steps(X, y, valid=kind.data(30, seed=9)))
    losses = [record["valid_loss"] for record in task.history_]
    best = losses.index(min(losses))
    assert len(losses) == min(best + 1 + 3, 60)
    assert losses == [step.valid["loss"] for step in steps if step.valid]
    proba = task.predict_proba(kind.data(30, seed=9)[0])
    truth = [task.classes_.tolist().index(label) for label in kind.data(30, seed=9)[1]]
    assert -np.log(proba[np.arange(30), truth]).mean() == pytest.approx(losses[best], rel=1e-4, abs=1e-6)


def test_without_patience_the_last_weights_are_kept(kind: Kind) -> None:
    X, y = kind.data(30)
    held = kind.data(30, seed=9)
    task = kind.task(**SMALL | {"learning_rate": 0.2})
    list(task.fit_steps(X, y, valid=held))
    assert len(task.history_) == SMALL["epochs"]
    assert task.score(*held) == pytest.approx(task.history_[-1]["valid_accuracy"])


def test_without_validation_nothing_is_measured_and_all_is_learned_from(kind: Kind) -> None:
    X, y = kind.data(9)
    task = kind.task(**SMALL | {"epochs": 2, "validation_fraction": 0, "patience": 3})
    if "word_dropout" in task.get_params():
        task.set_params(word_dropout=0)
    steps = list(task.fit_steps(X, y))
    assert {step.valid for step in steps} == {None}
    assert sum(step.tokens for step in steps) == 2 * sum(
        len(x) if kind is KINDS["sequence"] else x.count(" ") + 1 for x in X
    )
    assert "valid_loss" not in task.history_[0]


def test_a_failing_run_keeps_the_last_good_weights(kind: Kind) -> None:
    X, y = kind.data(16)
    task = kind.task(**SMALL | {"cell": "rnn_relu", "learning_rate": 1e30, "max_grad_norm": 0})
    with pytest.raises(TidegateError, match=r"at step \d+"):
        task.fit(X, y)
    assert np.isfinite(np.concatenate([array.ravel() for array in task.weights_.values()])).all()


@pytest.mark.parametrize(
    ("examples", "epochs", "wanted"), [(9, "auto", 25), (41, "auto", 12), (200, "auto", 8), (9, 3, 3)]
)
def test_few_examples_get_more_epochs_unless_told(examples: int, epochs: int | str, wanted: int) -> None:
    task = tg.TextClassifier(**SMALL | {"epochs": epochs, "validation_fraction": 0})
    assert next(task.fit_steps(*texts(examples))).epochs == wanted


def test_parameters_become_the_network_they_name() -> None:
    X, y = texts(12)
    task = tg.TextClassifier(
        cell="rnn",
        hidden_size=3,
        num_layers=2,
        merge="sum",
        pooling=("last", "max"),
        dense_size=5,
        dropout=0.25,
        recurrent_dropout=0.1,
        embedding_size=6,
        epochs=1,
        **PLAIN,
    ).fit(X, y)
    vocabulary = len({word for text in X for word in text.split()}) + 1
    layer = Recurrent(
        cell="rnn_tanh",
        input_size=6,
        hidden_size=3,
        num_layers=2,
        bidirectional=True,
        merge="sum",
        dropout=0.25,
        recurrent_dropout=0.1,
    )
    assert task.network_.nodes == (
        Embed(vocabulary_size=vocabulary, size=6),
        layer,
        Pool(modes=("last", "max")),
        Dense(in_features=6, out_features=5, activation="relu"),
        Dropout(p=0.25),
        Dense(in_features=5, out_features=2),
    )


SMALL_TUTORIAL: dict[str, Any] = {
    "vocabulary_size": 10_000,
    "max_tokens": 500,
    "keep": "last",
    "embedding_size": 32,
    "hidden_size": 32,
    "dense_size": 256,
    "dropout": 0.2,
    "optimizer": "adam",
    "batch_size": 128,
    "epochs": 5,
    "validation_fraction": 0.2,
    "pooling": ("last",),
    "word_dropout": 0.0,
    "patience": 5,
}


@pytest.mark.parametrize(
    ("preset", "wanted"),
    [
        ("tutorial-simplernn", SMALL_TUTORIAL | {"cell": "rnn", "bidirectional": False, "optimizer": "rmsprop"}),
        ("tutorial-lstm", SMALL_TUTORIAL | {"cell": "lstm", "bidirectional": False}),
        ("tutorial-bilstm", SMALL_TUTORIAL | {"cell": "lstm", "bidirectional": True}),
        (
            "tutorial-bilstm-sum",
            SMALL_TUTORIAL
            | {"cell": "lstm", "bidirectional": True, "merge": "sum", "batch_size": 1, "optimizer": "sgd"}
            | {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True, "schedule": "inverse", "decay": 1e-5},
        ),
        (
            "tutorial-bilstm64",
            SMALL_TUTORIAL
            | {"cell": "lstm", "bidirectional": True, "max_tokens": 200, "embedding_size": 128, "hidden_size": 64}
            | {"dense_size": 0, "dropout": 0.5, "epochs": 4, "patience": 4},
        ),
    ],
)
def test_presets_are_the_set_ups_that_tutorials_teach(preset: str, wanted: dict[str, Any]) -> None:
    params = tg.TextClassifier.from_preset(preset).get_params()
    assert params.keys() - presets.get(preset, task="text-classifier").keys() == {"seed"}
    assert {name: params[name] for name in wanted} == wanted
    assert tg.TextClassifier.from_preset(preset, seed=3).seed == 3


def test_word_dropout_leaves_words_out_and_keeps_the_rest_in_their_order() -> None:
    X, y = texts(400)
    examples, _ = learn_classes(X, y)

    def disturbed(share: float | str) -> tuple[Documents, Documents]:
        task = tg.TextClassifier().set_params(word_dropout=share)
        read = task._classifying.reader.learn(examples, 2, None, seed=0)
        left = read.disturb(read.x, np.random.default_rng(0))
        assert isinstance(read.x, Documents)
        assert isinstance(left, Documents)
        return read.x, left

    x, left = disturbed(0.25)
    assert (left.tokens.values.dtype, len(left)) == (np.int32, 400)
    assert 0.7 < len(left.beside) / len(x.beside) < 0.8
    beside = iter(x.beside.tolist())
    assert all(row in beside for row in left.beside.tolist())  # with what stood beside each
    for before, after in zip(x.tokens, left.tokens, strict=True):
        rest = iter(before.tolist())
        assert all(word in rest for word in after.tolist())  # a subsequence of what it was
    x, left = disturbed("auto")  # of texts as short as these
    assert 0.65 < len(left.beside) / len(x.beside) < 0.75
    x, left = disturbed(0)
    assert left is x


def test_chrono_starts_the_gates_to_keep_things_that_long() -> None:
    X, y = waves(8)
    still: dict[str, Any] = SMALL | {"epochs": 1, "learning_rate": 1e-12, "weight_decay": 0, "hidden_size": 64}
    for chrono in (0, 1000):
        weights = tg.SequenceClassifier(**still, chrono=chrono).fit(X, y).weights_
        i, f, _, _ = weights["0.bias_ih_l0"].reshape(4, 64)
        memory = np.exp(f) + 1  # of a gate that keeps the share sigmoid(f) at each step
        if chrono:
            assert 2 <= memory.min() < 100 < 900 < memory.max() <= 1000
            np.testing.assert_allclose(i, -f, rtol=1e-6)
        else:
            np.testing.assert_allclose(memory, np.e + 1, rtol=1e-6)
    with pytest.raises(InputError, match="chrono=9 sets gates, and cell='rnn' has none"):
        tg.SequenceClassifier(cell="rnn", chrono=9).fit(X, y)


def test_features_are_scaled_by_the_training_part_alone() -> None:
    X, y = waves(20)
    task = tg.SequenceClassifier(**SMALL | {"epochs": 1, "validation_fraction": 0}).fit(X, y)
    rows = np.concatenate(X)
    assert isinstance(task.preparation_, Scaling)
    np.testing.assert_allclose(task.preparation_.mean, rows.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(task.preparation_.deviation, rows.std(axis=0), rtol=1e-12)
    scaled = task.preparation_.encode(as_sequences(X)).values
    np.testing.assert_allclose(scaled, (rows - rows.mean(axis=0)) / rows.std(axis=0), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("scale", [True, False])
def test_a_feature_that_never_changes_does_no_harm(scale: bool) -> None:
    X = [np.full((4, 2), [3.0, index % 2]) for index in range(12)]
    y = [index % 2 for index in range(12)]
    assert tg.SequenceClassifier(**SMALL, scale=scale).fit(X, y).score(X, y) == 1.0


def test_sequences_come_as_lists_as_one_array_or_as_ragged() -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((10, 4, 2)).astype(np.float32)
    y = [index % 2 for index in range(10)]
    task = tg.SequenceClassifier(**SMALL | {"epochs": 1})
    forms = [X, list(X), [x.tolist() for x in X], tg.Ragged.from_list(list(X)), X.astype(np.float64)]
    results = [task.fit(form, y).predict_proba(form).tobytes() for form in forms]
    assert len(set(results)) == 1


def test_sequences_without_a_step_get_a_prediction() -> None:
    task = tg.SequenceClassifier(**SMALL | {"epochs": 1}).fit(*waves(8))
    [row] = task.predict_proba([np.zeros((0, 2))])  # pooled to zeros, so that the bias alone speaks
    bias = np.asarray(task.weights_["3.bias"], np.float64)
    np.testing.assert_allclose(row, np.exp(bias) / np.exp(bias).sum(), rtol=1e-6)
    assert task.predict_proba([]).shape == (0, 2)
    text = tg.TextClassifier(**SMALL | {"epochs": 1}).fit(*texts(8))
    assert text.predict_proba([]).shape == (0, 2)
