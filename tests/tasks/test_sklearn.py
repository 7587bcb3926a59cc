"""Scikit-learn's own checks of estimators, and its tools, run over our tasks.

Its checks know tables alone. Two adapters make inputs of them: a row is a sequence of its values, or a text that spells
them out. All else that is checked is the task's own.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import estimator_html_repr
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import check_is_fitted, validate_data

import tidegate as tg

# Of what is expected to fail, why. Everything else must pass.
EXPECTED = {
    "check_estimators_unfitted": "our own InputError says so: scikit-learn's class for it is not there without it",
    "check_supervised_y_2d": "one column of labels is taken for what it is, without a warning",
    "check_sample_weight_equivalence_on_dense_data": (
        "rows that come twice are shuffled into batches as two; test_weights.py has the law"
    ),
}


class _Rows:
    """Turn tables into the inputs of a task, and leave the rest to the task."""

    make: Callable[[Any], Any]

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        rows = validate_data(self, X, dtype=np.float64, ensure_min_samples=1)
        return super().fit(self.make(rows), y, sample_weight)  # type: ignore[misc,no-any-return]

    def predict(self, X: Any) -> Any:
        return super().predict(self._rows(X))  # type: ignore[misc]

    def predict_proba(self, X: Any) -> Any:
        return super().predict_proba(self._rows(X))  # type: ignore[misc]

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        return super().score(self._rows(X), y, sample_weight)  # type: ignore[misc]

    def _rows(self, X: Any) -> Any:
        self._require_fitted()  # type: ignore[attr-defined]
        return self.make(validate_data(self, X, dtype=np.float64, reset=False))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.input_tags.two_d_array, tags.input_tags.string = True, False
        return tags


@dataclass(kw_only=True, eq=False, repr=False)
class RowsAsSequences(_Rows, tg.SequenceClassifier):
    @staticmethod
    def make(rows: Any) -> Any:
        return rows[:, :, None]  # [B, T, 1]


@dataclass(kw_only=True, eq=False, repr=False)
class RowsAsTexts(_Rows, tg.TextClassifier):
    @staticmethod
    def make(rows: Any) -> Any:
        return [" ".join(f"x{at}is{np.clip(value, -99, 99):.0f}" for at, value in enumerate(row)) for row in rows]


SMALL: dict[str, Any] = {"hidden_size": 8, "learning_rate": 0.05, "dropout": 0.0, "batch_size": 16, "epochs": 15}
ADAPTED = [
    RowsAsSequences(**SMALL, validation_fraction=0),
    RowsAsTexts(**SMALL, validation_fraction=0, word_dropout=0.0, embedding_size=8),
]


with warnings.catch_warnings():
    # Our tasks do not inherit from scikit-learn, which is there in an extra alone; that they act alike is checked here.
    warnings.filterwarnings("ignore", ".*does not inherit from `sklearn.base.BaseEstimator`")
    each_check = parametrize_with_checks(ADAPTED, expected_failed_checks=lambda task: EXPECTED)


@each_check  # type: ignore[untyped-decorator]
def test_scikit_learns_checks_pass(estimator: Any, check: Callable[[Any], None]) -> None:
    check(estimator)


TEXTS = ["sea salt wave", "oak fern moss", "sea tide", "oak pine"] * 6
KINDS = ["sea", "wood"] * 12
TAGS = [["B" if "oak" in text else "A"] * len(text.split()) for text in TEXTS]
TASKS: list[tuple[Any, Any, Any]] = [
    (tg.TextClassifier(), TEXTS, KINDS),
    (tg.SequenceClassifier(), [np.full((3, 2), float(index % 2)) for index in range(24)], KINDS),
    (tg.TokenTagger(), [text.split() for text in TEXTS], TAGS),
    (tg.LanguageModel(), TEXTS, None),
    (tg.Forecaster(lookback=8, horizon=2), [np.sin(np.arange(60) / (3 + index)) for index in range(4)], None),
]


@pytest.mark.parametrize(("task", "X", "y"), TASKS, ids=lambda value: getattr(value, "name", ""))
def test_its_tools_take_every_task(task: Any, X: Any, y: Any) -> None:
    small = clone(task).set_params(hidden_size=4, epochs=1)
    twin = clone(small)
    assert twin.get_params() == small.get_params()
    scores = cross_val_score(small, X, y, cv=2)
    assert scores.shape == (2,) and np.isfinite(scores).all()
    search = GridSearchCV(small, {"hidden_size": [2, 3]}, cv=2).fit(X, y)
    assert search.best_params_["hidden_size"] in (2, 3)
    pipeline = Pipeline([("same", FunctionTransformer()), ("task", small)]).fit(X, y)
    check_is_fitted(pipeline)
    assert pipeline.score(X, y) == small.score(X, y)
    name = type(task).__name__
    assert all(name in html for html in (estimator_html_repr(pipeline), task._repr_html_()))


def test_the_score_of_a_forecaster_is_minus_its_mean_squared_error() -> None:
    from tidegate import runs
    from tidegate.data import Examples
    from tidegate.data.series_tables import as_series

    wave = np.sin(np.arange(120) / 5) * 7
    model = tg.Forecaster(lookback=8, horizon=3, hidden_size=4, epochs=1).fit(wave)
    found = runs.evaluate(model, Examples(as_series(wave), None))
    assert model.score(wave) == pytest.approx(-found.measures()["mse"], rel=1e-6)
    with pytest.raises(tg.TidegateError, match="nothing to score: no series holds 8 steps and 3 more"):
        model.score(wave[:9])
