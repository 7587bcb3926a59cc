"""Trains the simple models that a result should be read against, without a network. Knows no task by name."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from tidegate.errors import InputError, MissingPackageError
from tidegate.ragged import Ragged
from tidegate.tasks import for_kind
from tidegate.tasks.baselines import Baseline
from tidegate.tasks.cards import CARDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from tidegate.data import Dataset, Examples


def train_baselines(dataset: Dataset) -> Iterator[Baseline]:
    """Train simple models on the training part and measure them on the test part: the majority class, then linear ones.

    Those of texts are the two that `Training.baselines` fits; a sequence is described by its values laid side by side,
    filled with zeros or cut to the longest training sequence. All see all training examples, also those that a network
    sets aside.

    Raises:
        InputError: the data set has no test part.
        MissingPackageError: scikit-learn is not installed, and the data are sequences.

    >>> from tidegate import data
    >>> [baseline.name for baseline in train_baselines(data.load("digits"))]
    ['majority class', 'logistic regression on flattened values']
    """
    if dataset.test is None:
        raise InputError(f"{dataset.name} has no test part to measure a baseline on.")
    start = time.perf_counter()
    counts = Counter(np.asarray(dataset.train.y).tolist())
    majority = min(counts, key=lambda label: (-counts[label], label))
    reached = float(np.mean(np.asarray(dataset.test.y) == majority))
    yield Baseline("majority class", "accuracy", reached, time.perf_counter() - start)
    task = for_kind(dataset.kind)()
    if (fit := CARDS[task.name].baselines()) is not None:
        yield from fit(task, dataset.train, dataset.test)
    elif isinstance(dataset.train.x, Ragged):
        yield _fit_flattened(dataset.train, dataset.test)


def _fit_flattened(train: Examples, test: Examples) -> Baseline:
    try:
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import MaxAbsScaler
    except ImportError as error:
        raise MissingPackageError.of("scikit-learn", "train", "a baseline") from error
    assert isinstance(train.x, Ragged) and isinstance(test.x, Ragged), "what is flattened are sequences"
    start, steps = time.perf_counter(), int(train.x.lengths.max())
    model = make_pipeline(MaxAbsScaler(), LogisticRegression(max_iter=1000))
    reached = model.fit(_rows(train.x, steps), train.y).score(_rows(test.x, steps), test.y)
    name = "logistic regression on flattened values"
    return Baseline(name, "accuracy", float(reached), time.perf_counter() - start)


def _rows(x: Ragged, steps: int) -> npt.NDArray[np.float32]:
    """Lay each sequence [T, C] side by side into one row [steps * C]."""
    padded, _ = x.to_padded()  # [B, T, C]
    fitted = np.zeros((len(x), steps, padded.shape[2]), np.float32)
    fitted[:, : padded.shape[1]] = padded[:, :steps]
    return fitted.reshape(len(x), -1)
