"""Trains the two baselines that every result should be read against. Uses scikit-learn, and of ours the data alone."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tidegate.errors import InputError, MissingPackageError
from tidegate.ragged import Ragged

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from tidegate.data import Dataset


@dataclass(frozen=True)
class Baseline:
    """Hold what one baseline reached: its accuracy on the test part, and the seconds that training and testing took."""

    name: str
    accuracy: float
    seconds: float


def train_baselines(dataset: Dataset) -> Iterator[Baseline]:
    """Train on the training part and measure on the test part: the majority class, then a logistic regression.

    Text is described by the TF-IDF weights of its words; a sequence by its values laid side by side, filled with zeros
    or cut to the longest training sequence. Both see all training examples, also those that a network sets aside.

    Raises:
        InputError: the data set has no test part.
        MissingPackageError: scikit-learn is not installed.

    >>> from tidegate import data
    >>> [baseline.name for baseline in train_baselines(data.load("digits"))]
    ['majority class', 'logistic regression on flattened values']
    """
    if dataset.test is None:
        raise InputError(f"{dataset.name} has no test part to measure a baseline on.")
    steps = int(dataset.train.x.lengths.max()) if isinstance(dataset.train.x, Ragged) else 0
    train, test = _rows(dataset.train.x, steps), _rows(dataset.test.x, steps)
    for name, model in _models(texts=not isinstance(dataset.train.x, Ragged)).items():
        start = time.perf_counter()
        accuracy = model.fit(train, dataset.train.y).score(test, dataset.test.y)
        yield Baseline(name, float(accuracy), time.perf_counter() - start)


def _rows(x: list[str] | Ragged, steps: int) -> list[str] | npt.NDArray[np.float32]:
    """Leave texts as they are; lay each sequence [T, C] side by side into one row [steps * C]."""
    if isinstance(x, list):
        return x
    padded, _ = x.to_padded()  # [B, T, C]
    fitted = np.zeros((len(x), steps, padded.shape[2]), np.float32)
    fitted[:, : padded.shape[1]] = padded[:, :steps]
    return fitted.reshape(len(x), -1)


def _models(*, texts: bool) -> dict[str, Any]:
    try:
        from sklearn.dummy import DummyClassifier
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import MaxAbsScaler
    except ImportError as error:
        raise MissingPackageError.of("scikit-learn", "train", "a baseline") from error
    linear = LogisticRegression(max_iter=1000)
    models = {"majority class": DummyClassifier(strategy="most_frequent")}
    if texts:
        models["TF-IDF + logistic regression"] = make_pipeline(TfidfVectorizer(sublinear_tf=True), linear)
    else:
        models["logistic regression on flattened values"] = make_pipeline(MaxAbsScaler(), linear)
    return models
