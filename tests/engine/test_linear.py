"""The linear model against scikit-learn's: the same optimum; and the same bits on any number of threads."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.linear_model import LogisticRegression

from tidegate import kernels
from tidegate.documents import Sparse
from tidegate.engine.linear import fit_linear, minimise
from tidegate.ragged import Ragged

Array = npt.NDArray[Any]
ROWS, FEATURES = 300, 24


def problem(classes: int, seed: int = 0) -> tuple[Sparse, Array, Array]:
    """Draw rows, some of them empty, and labels that they tell something of; the rows also as a full matrix."""
    rng = np.random.default_rng(seed)
    full = np.where(rng.random((ROWS, FEATURES)) < 0.15, rng.normal(size=(ROWS, FEATURES)), 0).astype(np.float32)
    noise = rng.gumbel(size=(ROWS, classes))
    labels = (2 * full @ rng.normal(size=(FEATURES, classes)) + noise).argmax(axis=1)
    row, column = np.nonzero(full)
    columns = Ragged(column.astype(np.int32), np.searchsorted(row, np.arange(ROWS + 1)))
    return Sparse(columns, full[row, column]), full, labels


def loss(full: Array, labels: Array, weight: Array, bias: Array, ratios: Array, C: float, each: Array) -> float:
    """Compute what is to be small, in float64: the mean cross-entropy, and the penalty on V."""
    scores = full.astype(np.float64) @ weight + bias
    logs = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    lost = -(each * logs[np.arange(len(labels)), labels]).sum() / each.sum()
    return float(lost + ((weight / ratios) ** 2).sum() / (2 * C * len(labels)))


@pytest.mark.parametrize("weighed", [False, True])
def test_models_that_are_fitted_apart_are_those_of_each_class_alone(weighed: bool) -> None:
    features, full, _ = problem(3)
    rng = np.random.default_rng(5)
    truth = (full @ rng.normal(size=(FEATURES, 3)) + rng.logistic(size=(ROWS, 3)) > 0.5).astype(np.float32)
    each = rng.uniform(0.5, 2.0, ROWS).astype(np.float32) if weighed else np.ones(ROWS, np.float32)
    ratios = np.ones((FEATURES, 3), np.float32)
    found = fit_linear(features, truth, ratios=ratios, weights=each if weighed else None, steps=400, apart=True)
    for k in range(3):
        theirs = LogisticRegression(C=10 * ROWS / each.sum(), tol=1e-8, max_iter=5000)
        theirs.fit(full, truth[:, k], sample_weight=each)
        wanted = theirs.decision_function(full)
        np.testing.assert_allclose(found(features)[:, k], wanted, atol=0.05 * np.abs(wanted).max())


def test_models_that_are_fitted_apart_begin_with_how_frequent_each_class_is() -> None:
    features, _, _ = problem(2)
    truth = np.zeros((ROWS, 2), np.float32)
    truth[:30, 0] = 1  # a tenth; and of the other class there is nobody
    begun = fit_linear(features, truth, ratios=np.ones((FEATURES, 2), np.float32), steps=0, apart=True)
    np.testing.assert_allclose(begun.bias, [np.log(0.1 / 0.9), np.log(1e-4 / (1 - 1e-4))], rtol=1e-5)
    assert not begun.weight.any()


@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize("C", [0.3, 10.0])
@pytest.mark.parametrize("weighed", [False, True])
@pytest.mark.parametrize("scaled", [False, True])
def test_it_finds_the_optimum_that_scikit_learn_finds(classes: int, C: float, weighed: bool, scaled: bool) -> None:
    """With ratios, W = R * V of one class is V over columns that are scaled by R."""
    features, full, labels = problem(classes)
    rng = np.random.default_rng(1)
    each = rng.uniform(0.5, 2.0, ROWS).astype(np.float32) if weighed else np.ones(ROWS, np.float32)
    column = (rng.uniform(0.3, 2.0, FEATURES) if scaled else np.ones(FEATURES)).astype(np.float32)
    ratios = np.repeat(column[:, None], classes, axis=1)
    found = fit_linear(
        features,
        np.eye(classes, dtype=np.float32)[labels],
        ratios=ratios,
        weights=each if weighed else None,
        C=C,
        steps=400,
    )
    # Of two classes theirs has one column, the difference of our two; each has half of it, and a penalty of its own.
    theirs = LogisticRegression(C=(2 if classes == 2 else 1) * C * ROWS / each.sum(), tol=1e-8, max_iter=5000)
    theirs.fit(full.astype(np.float64) * column, labels, sample_weight=each)
    V, bias = theirs.coef_.T, theirs.intercept_
    if classes == 2:
        V, bias = np.concatenate([-V, V], axis=1) / 2, np.concatenate([-bias, bias]) / 2
    best = loss(full, labels, V * ratios, bias, ratios, C, each)
    ours = loss(full, labels, found.weight.astype(np.float64), found.bias.astype(np.float64), ratios, C, each)
    assert ours == pytest.approx(best, rel=2e-3)
    scores = full @ (V * ratios) + bias
    away = kernels.softmax(found(features)) - kernels.softmax(scores.astype(np.float32))
    assert np.abs(away).max() < 0.06
    assert np.abs(away).mean() < 0.01


def test_threads_change_no_bit() -> None:
    features, _, labels = problem(3, seed=4)
    many = features.select(np.tile(np.arange(ROWS), 40))
    truth = np.tile(np.eye(3, dtype=np.float32)[labels], (40, 1))
    before, bits = kernels.explicit_num_threads(), set()
    for threads in (1, 2, 3, 4):
        kernels.set_num_threads(threads)
        found = fit_linear(many, truth, ratios=np.ones((FEATURES, 3), np.float32))
        bits.add(found.weight.tobytes() + found.bias.tobytes() + found(many).tobytes())
    kernels.set_num_threads(before)
    assert len(bits) == 1


def test_a_row_scores_the_same_alone_and_as_by_hand() -> None:
    features, full, labels = problem(3)
    found = fit_linear(features, np.eye(3, dtype=np.float32)[labels], ratios=np.ones((FEATURES, 3), np.float32))
    together = found(features)
    np.testing.assert_allclose(together, full @ found.weight + found.bias, atol=1e-5)
    for row in range(0, ROWS, 17):
        assert found(features.select([row])).tobytes() == together[row].tobytes()


def test_a_feature_whose_ratio_is_zero_is_not_used() -> None:
    features, _, labels = problem(2)
    ratios = np.ones((FEATURES, 2), np.float32)
    ratios[5] = 0
    found = fit_linear(features, np.eye(2, dtype=np.float32)[labels], ratios=ratios)
    assert not found.weight[5].any()
    assert found.weight[6].all()


@pytest.mark.parametrize("rows", [0, 1])
def test_next_to_nothing_is_fitted(rows: int) -> None:
    features = Sparse(Ragged(np.zeros(0, np.int32), np.zeros(rows + 1, np.int64)), np.zeros(0, np.float32))
    found = fit_linear(features, np.eye(2, dtype=np.float32)[:rows], ratios=np.ones((3, 2), np.float32))
    assert not found.weight.any()
    assert np.isfinite(found.bias).all()


def test_the_search_finds_the_bottom_of_a_valley() -> None:
    """A long, bent one: Rosenbrock 1960, whose bottom is at (1, 1)."""

    def valley(at: npt.NDArray[np.float32]) -> tuple[float, npt.NDArray[np.float32]]:
        x, y = map(float, at)
        slope = (-2 * (1 - x) - 40 * x * (y - x * x), 20 * (y - x * x))
        return (1 - x) ** 2 + 10 * (y - x * x) ** 2 + 1.0, np.array(slope, np.float32)

    found = minimise(valley, np.array([-1.2, 1.0], np.float32), 200)
    np.testing.assert_allclose(found, [1, 1], atol=0.05)
