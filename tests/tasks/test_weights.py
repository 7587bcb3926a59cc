"""What examples and classes weigh: by the laws that weights obey, whichever task takes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

import tidegate as tg
from tidegate import kernels, train
from tidegate.engine import Program
from tidegate.errors import DataError, InputError, OptionError, RunFolderError, ShapeError
from tidegate.tasks.weights import weigh_classes

SMALL: dict[str, Any] = {"hidden_size": 4, "epochs": 3, "batch_size": 8, "seed": 5, "learning_rate": 0.02}
RNG = np.random.default_rng(3)
WAVES = [RNG.normal(index % 3 == 0, 1.0, (index % 5 + 1, 2)) for index in range(40)]
KINDS = ["rare" if index % 3 == 0 else "often" for index in range(40)]
TEXTS = [f"{'salt' if index % 3 == 0 else 'oak'} word{index % 7} word{index % 4}" for index in range(40)]
SENTENCES = [text.split() for text in TEXTS]
TAGS = [["A" if word in ("salt", "oak") else word[-1] for word in words] for words in SENTENCES]
WEIGHTS = RNG.uniform(0.5, 3.0, 40)

TASKS: dict[str, tuple[Any, Any, Any]] = {
    "sequence": (tg.SequenceClassifier, WAVES, KINDS),
    "text": (tg.TextClassifier, TEXTS, KINDS),
    "tagger": (tg.TokenTagger, SENTENCES, TAGS),
}
each_task = pytest.mark.parametrize("kind", sorted(TASKS))


def bits(model: Any) -> list[bytes]:
    return [array.tobytes() for array in model.weights_.values()]


def trained(kind: str, rows: Any = slice(None), weights: Any = None, **changes: Any) -> list[bytes]:
    task, X, y = TASKS[kind]
    model = task(**SMALL | {"validation_fraction": 0.2} | changes).fit(X[rows], y[rows], sample_weight=weights)
    return bits(model)


@each_task
def test_weights_that_are_all_alike_are_no_weights(kind: str) -> None:
    plain = trained(kind)
    assert trained(kind, weights=np.ones(40)) == trained(kind, weights=[2] * 40) == plain
    assert trained(kind, weights=WEIGHTS) != plain


@each_task
def test_an_example_of_weight_zero_is_as_if_it_had_not_come(kind: str) -> None:
    weights = np.r_[WEIGHTS[:30], np.zeros(10)]
    assert trained(kind, weights=weights) == trained(kind, slice(30), WEIGHTS[:30])
    assert trained(kind, weights=np.r_[np.ones(30), np.zeros(10)]) == trained(kind, slice(30))


def test_an_example_of_weight_two_is_as_if_it_came_twice() -> None:
    """The loss over all examples and its gradient, from the same weights."""
    own: dict[str, Any] = {"scale": False, "dropout": 0.0, "validation_fraction": 0}
    twice = [0, 3, 4, 11]
    weights = np.ones(40)
    weights[twice] = 2
    rows = np.r_[np.arange(40), twice]
    found = []
    for index, sample_weight in ((np.arange(40), weights), (rows, None)):
        task = tg.SequenceClassifier(**SMALL | own)
        X, y = [WAVES[i] for i in index], [KINDS[i] for i in index]
        plan, _ = task._checked()._plan(X, y, valid=None, about=None, sample_weight=sample_weight)
        state = train.start(plan.network, train.initial_weights(plan.network, seed=0), train.Recipe(**plan.recipe))
        asked: Any = plan.loss(cast(Any, np.arange(len(X))), np.random.default_rng(0))
        lost = state.program.gradient(asked.batch, asked.loss)
        found.append([lost.total, *state.program.gradients.values()])
    for weighed, doubled in zip(*found, strict=True):
        np.testing.assert_allclose(weighed, doubled, rtol=2e-5, atol=1e-7)


def test_the_loss_of_weighted_sentences_is_the_weighted_mean_over_their_words() -> None:
    own: dict[str, Any] = {"validation_fraction": 0, "word_dropout": 0.0, "dropout": 0.0}
    weights = np.array([1.0, 2.5, 0.5])
    X, y = [["a", "b", "c"], ["b"], ["c", "a"]], [["P", "Q", "Q"], ["Q"], ["Q", "P"]]
    plan, _ = tg.TokenTagger(**SMALL | own)._checked()._plan(X, y, valid=None, about=None, sample_weight=weights)
    plain, _ = tg.TokenTagger(**SMALL | own)._checked()._plan(X, y, valid=None, about=None)
    program = Program(plan.network, train.initial_weights(plan.network, seed=0))

    def loss(which: Any, rows: list[int]) -> float:
        asked = which.loss(np.array(rows), np.random.default_rng(0))
        return program.gradient(asked.batch, asked.loss).total

    words = np.array([3, 1, 2])
    alone = np.array([loss(plain, [row]) for row in range(3)])
    assert loss(plan, [0, 1, 2]) == pytest.approx(np.average(alone, weights=weights * words), rel=1e-5)


@pytest.mark.parametrize("counts", [(3, 1), (5, 5), (100, 7, 1)])
def test_balanced_is_what_scikit_learn_calls_so(counts: tuple[int, ...]) -> None:
    codes = np.repeat(np.arange(len(counts)), counts)
    classes = np.array(list("abc"))[: len(counts)]
    ours = weigh_classes("balanced", codes, classes, None)
    np.testing.assert_allclose(ours, compute_class_weight("balanced", classes=classes, y=classes[codes]), rtol=1e-12)


def test_class_weights_are_sample_weights_by_another_name() -> None:
    as_samples = np.where(np.array(KINDS) == "rare", 5.0, 1.0)
    by_class = trained("sequence", class_weight={"rare": 5.0})
    assert by_class == trained("sequence", weights=as_samples)
    assert by_class != trained("sequence")
    assert by_class == trained("sequence", class_weight={"rare": np.float32(10), "often": 2})
    both = trained("sequence", weights=WEIGHTS, class_weight={"rare": 5})
    assert both == trained("sequence", weights=WEIGHTS * as_samples)


@pytest.mark.parametrize("labels", [(0, 1), ("0", "1"), (False, True), (0.0, 1.0)])
@pytest.mark.parametrize("names", [(0, 1), ("0", "1"), (np.int64(0), np.int64(1))])
def test_class_weights_name_classes_by_the_rule_of_labels(labels: Any, names: Any, tmp_path: Path) -> None:
    y = [labels[kind == "rare"] for kind in KINDS]
    given = {names[0]: 1, names[1]: 3.0}
    model = tg.SequenceClassifier(**SMALL, class_weight=given).fit(WAVES, y)
    assert model.get_params()["class_weight"] is given
    model.save(tmp_path / "model")
    loaded = tg.load(tmp_path / "model")
    assert loaded.get_params()["class_weight"] == {str(name): weight for name, weight in given.items()}
    again = tg.SequenceClassifier(**loaded.get_params()).fit(WAVES, y)
    assert bits(again) == bits(model) != bits(tg.SequenceClassifier(**SMALL).fit(WAVES, y))


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("balancd", "class_weight='balancd' cannot be used: wanted 'balanced', or a weight for each label"),
        (5, "class_weight=5 cannot be used"),
        ([1, 2], "cannot be used"),
        ({"rare": -1}, "the weight of 'rare' is -1; wanted 0 or more"),
        ({"rare": "much"}, "the weight of 'rare' is 'much'"),
        ({"rare": float("nan")}, "the weight of 'rare' is nan"),
        ({"Rare": 2}, "class_weight has the label 'Rare', .* Is 'rare' meant"),
        ({7: 2}, "class_weight has the label 7, .* the classes are texts: 'often', 'rare'"),
        ({"rare": 0, "often": 0}, "class_weight is zero for every class"),
    ],
)
def test_class_weights_that_cannot_be_used_are_named(given: Any, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        tg.SequenceClassifier(class_weight=given).fit_steps(WAVES, KINDS)


@each_task
@pytest.mark.parametrize(
    ("weights", "error", "reason"),
    [
        ([1.0] * 39, ShapeError, r"sample_weight is 39, but 40 \w+ came. Pass one number for each"),
        (np.ones((40, 1)), ShapeError, "sample_weight is 40 x 1"),
        (2.0, ShapeError, "a single number"),
        ([1.0] * 39 + [-1], DataError, r"sample_weight\[39\] is -1, below zero. Pass 0 to leave"),
        ([1.0, float("nan")] * 20, DataError, r"sample_weight\[1\] is nan"),
        ([float("inf")] * 40, DataError, r"sample_weight\[0\] is inf"),
        (np.zeros(40), DataError, r"zero for all 40"),
        (["a"] * 40, InputError, "no number"),
    ],
)
def test_sample_weights_that_cannot_be_used_are_named(
    kind: str, weights: Any, error: type[Exception], reason: str
) -> None:
    task, X, y = TASKS[kind]
    with pytest.raises(error, match=reason):
        task(**SMALL).fit_steps(X, y, sample_weight=weights)


def test_tasks_that_weigh_nothing_say_so() -> None:
    with pytest.raises(InputError, match="a forecaster weighs all windows the same"):
        tg.Forecaster(lookback=4, horizon=1).fit(np.sin(np.arange(40.0)), sample_weight=[1.0])
    with pytest.raises(InputError, match="a language model weighs all tokens the same"):
        tg.LanguageModel().fit(TEXTS, sample_weight=WEIGHTS)
    with pytest.raises(OptionError, match="TokenTagger has no class_weight: classifiers alone"):
        tg.TokenTagger().set_params(class_weight="balanced")


def test_a_score_is_the_weighted_share_that_is_right() -> None:
    model = tg.SequenceClassifier(**SMALL).fit(WAVES, KINDS)
    right = model.predict(WAVES) == np.array(KINDS)
    assert model.score(WAVES, KINDS, sample_weight=WEIGHTS) == pytest.approx(WEIGHTS[right].sum() / WEIGHTS.sum())
    assert model.score(WAVES, KINDS) == model.score(WAVES, KINDS, sample_weight=np.ones(40))


@each_task
def test_a_weighted_run_goes_on_where_it_stopped_with_the_same_weights_alone(kind: str, tmp_path: Path) -> None:
    task, X, y = TASKS[kind]
    model = task(**SMALL)
    steps = model.fit_steps(X, y, sample_weight=WEIGHTS, run_dir=tmp_path / "run")
    for _ in range(4):
        next(steps)
    steps.close()
    with pytest.raises(RunFolderError, match="begun on other data"):
        task(**SMALL).fit_steps(X, y, sample_weight=WEIGHTS + np.arange(40), resume=tmp_path / "run")
    for _ in model.fit_steps(X, y, sample_weight=WEIGHTS, resume=tmp_path / "run"):
        pass
    assert bits(model) == bits(task(**SMALL).fit(X, y, sample_weight=WEIGHTS))


def test_a_run_is_resumed_with_its_own_class_weights_alone(tmp_path: Path) -> None:
    model = tg.SequenceClassifier(**SMALL, class_weight={"rare": 3})
    steps = model.fit_steps(WAVES, KINDS, run_dir=tmp_path / "run")
    next(steps)
    steps.close()
    with pytest.raises(RunFolderError, match=r"class_weight={'rare': 3.0}, not None"):
        tg.SequenceClassifier(**SMALL).fit_steps(WAVES, KINDS, resume=tmp_path / "run")
    for _ in model.fit_steps(WAVES, KINDS, resume=tmp_path / "run"):
        pass
    assert bits(model) == trained("sequence", class_weight={"rare": 3}, validation_fraction=0.1)


def test_weighted_training_gives_the_same_bits_on_any_number_of_threads() -> None:
    before = kernels.explicit_num_threads()
    try:
        found = []
        for threads in (1, 3):
            kernels.set_num_threads(threads)
            found.append(trained("text", weights=WEIGHTS, class_weight="balanced"))
    finally:
        kernels.set_num_threads(before)
    assert found[0] == found[1]


def test_a_rare_class_that_is_weighed_up_is_found() -> None:
    rng = np.random.default_rng(0)
    y = np.array([1] * 12 + [0] * 228)
    X = rng.normal(y[:, None, None] * 1.2, 1.0, (240, 4, 1))
    own: dict[str, Any] = {"hidden_size": 8, "epochs": 10, "validation_fraction": 0}
    recalls = {}
    for weight in (None, "balanced"):
        model = tg.SequenceClassifier(**own, class_weight=weight).fit(X, y)
        recalls[weight] = (model.predict(X)[y == 1] == 1).mean()
    assert recalls["balanced"] > 0.9 > recalls[None]
