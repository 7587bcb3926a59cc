"""Classifies sequences of features, such as readings of sensors or rows of pixels. Knows no files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from tidegate.data.checks import check_features, in_argument
from tidegate.data.frames import as_list
from tidegate.errors import ShapeError
from tidegate.export import SequenceInterface
from tidegate.kernels.streams import as_rows
from tidegate.network import Dense, Node, Recurrent
from tidegate.ragged import Ragged
from tidegate.tasks.card import Card
from tidegate.tasks.classifying.card import SEQUENCES
from tidegate.tasks.classifying.classifier import Classifier, Preparation
from tidegate.tasks.classifying.labelled import Inputs
from tidegate.tasks.task import Count, Json, Positive, Share


@dataclass(frozen=True)
class Scaling:
    """Shift and scale each feature, to mean 0 and deviation 1 over the steps it was learned from."""

    mean: npt.NDArray[np.float64]  # [C]
    deviation: npt.NDArray[np.float64]  # [C], 1 for a feature that never changed

    @property
    def input_size(self) -> int:
        """Count the features."""
        return len(self.mean)

    def encode(self, inputs: Inputs) -> Ragged:
        """Scale B sequences to float32.

        Raises ShapeError when they have another number of features, DataError where float32 cannot hold one.
        """
        assert isinstance(inputs, Ragged)
        scaled = inputs.with_values(self._scale(inputs.values))
        check_features(scaled, where=in_argument("scaled X"))
        return scaled

    def read(self, chunk: Any) -> npt.NDArray[np.float32]:
        """Scale steps `[n, C]` of a live sequence; the stream refuses what is not finite."""
        return self._scale(as_rows(chunk, np.float64))

    def _scale(self, rows: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        if len(rows) and rows.shape[1:] != self.mean.shape:
            raise ShapeError(
                f"X has {' x '.join(map(str, rows.shape[1:]))} features per step; {len(self.mean)} were trained on"
            )
        with np.errstate(over="ignore", invalid="ignore"):  # [N, C]; without steps, C may be anything
            return ((rows.reshape(-1, len(self.mean)) - self.mean) / self.deviation).astype(np.float32)

    def spell(self, inputs: Inputs) -> None:
        """Return nothing: readings are no text."""

    def to_json(self) -> Json:
        """Write both as lists."""
        return {"mean": self.mean.tolist(), "deviation": self.deviation.tolist()}


@dataclass(kw_only=True, eq=False, repr=False)
class SequenceClassifier(Classifier):
    """Classify sequences of features in the manner of scikit-learn.

    `X` is a list of B arrays or frames `[T, C]`, one array `[B, T, C]`, or a `Ragged` with values `[N, C]`; T may
    differ from sequence to sequence and be zero. `y` are their B labels.

    >>> rng = np.random.default_rng(0)
    >>> X = [rng.standard_normal((length, 2)) + length % 2 * 3 for length in range(4, 36)]
    >>> y = [len(x) % 2 for x in X]
    >>> classifier = SequenceClassifier(hidden_size=4, epochs=8, batch_size=4, learning_rate=0.05)
    >>> classifier.fit(X, y).score(X, y)
    1.0

    Args:
        scale: bring each feature to mean 0 and deviation 1 over the training part.
        others: see `Classifier`.
    """

    card: ClassVar[Card] = SEQUENCES
    begins: ClassVar = (Recurrent, Dense)

    scale: bool = True

    # Features lend themselves less to being learned by heart than rare words do: more epochs of smaller batches, and
    # less dropout.
    dropout: Share = 0.2
    epochs: Count | Literal["auto"] = 30
    batch_size: Count = 32
    learning_rate: Positive = 5e-3

    def interface(self) -> SequenceInterface:
        """Say what surrounds the network in an exported graph; for `export`. Raises InputError before `fit`."""
        preparation = self._require_fitted().learned.preparation
        assert isinstance(preparation, Scaling)
        return self._interface({}, scaling=(preparation.mean, preparation.deviation))

    @staticmethod
    def _check_inputs(X: Any, *, name: str = "X") -> Inputs:
        if isinstance(X, Ragged):
            sequences = X
        else:
            items = as_list(X, name, "sequences [T, C]")
            frames = [np.asarray(item) if hasattr(item, "columns") else item for item in items]
            sequences = Ragged.from_list(frames)
        values = np.asarray(sequences.values)
        if not len(values):
            values = values.reshape(0, values.shape[1] if values.ndim == 2 else 1)
        if values.ndim != 2 or values.dtype.kind not in "fiub":
            raise ShapeError(
                f"{name} has steps of shape {list(values.shape[1:])}, type {values.dtype}; wanted sequences [T, C] of "
                "numbers. For one feature per step, pass [T, 1]."
            )
        checked = Ragged(values, np.asarray(sequences.offsets))
        check_features(checked, where=in_argument(name))
        return checked

    def _learn_preparation(self, inputs: Inputs) -> Scaling:
        assert isinstance(inputs, Ragged)
        values = inputs.values.astype(np.float64)
        if not self.scale or not len(values):
            return Scaling(np.zeros(values.shape[1]), np.ones(values.shape[1]))
        deviation = values.std(axis=0)
        return Scaling(values.mean(axis=0), np.where(deviation > 0, deviation, 1.0))

    def _read_preparation(self, stored: Json) -> Scaling:
        mean, deviation = np.asarray(stored["mean"], np.float64), np.asarray(stored["deviation"], np.float64)
        if mean.ndim != 1 or mean.shape != deviation.shape or not (deviation > 0).all():
            raise ValueError("its scaling is not one mean and one deviation above zero per feature")
        return Scaling(mean, deviation)

    def _first_nodes(self, preparation: Preparation) -> tuple[tuple[Node, ...], int]:
        return (), preparation.input_size
