"""Classifies sequences of features, such as readings of sensors or rows of pixels. Knows no files."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, PlainValidator

from tidegate.cells import USUAL, CellOption
from tidegate.data.checks import check_features, in_argument
from tidegate.data.frames import as_list
from tidegate.documents import Documents
from tidegate.errors import InputError, ShapeError
from tidegate.export import Interface
from tidegate.grid import Grid
from tidegate.health import far_from_training
from tidegate.kernels.streams import as_rows
from tidegate.network import Dense, Fold, Merge, Network, Node, PoolModes, Recurrent, Size
from tidegate.offers import Inside
from tidegate.ragged import Ragged
from tidegate.runtime import Prepared, Stream
from tidegate.tasks.card import Card
from tidegate.tasks.classifying.answering import (
    accuracy,
    answers,
    interface,
    looked_into,
    prepared,
    probabilities,
    tagged,
)
from tidegate.tasks.classifying.card import SEQUENCES
from tidegate.tasks.classifying.choosing import Aim, Thresholds
from tidegate.tasks.classifying.classifier import (
    LATER,
    Classes,
    Classifying,
    Multilabel,
    Preparation,
    Read,
    Weights32,
)
from tidegate.tasks.classifying.labelled import Inputs, Labelled
from tidegate.tasks.fitting import Plan
from tidegate.tasks.images import Scan, as_images, scanning
from tidegate.tasks.parameters import CELLS
from tidegate.tasks.task import Array, Count, Json, Positive, Share, Task
from tidegate.tasks.weights import ClassWeight, read_class_weight


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

        Warns where they are far from what was learned from, as what is in another unit is. Raises ShapeError when they
        have another number of features, DataError where float32 cannot hold one.
        """
        assert isinstance(inputs, Ragged)
        scaled = inputs.with_values(self._scale(inputs.values, "cell" if isinstance(inputs, Grid) else "step"))
        check_features(scaled, where=in_argument("scaled X"))
        if (self.mean != 0).any() or (self.deviation != 1).any():  # of features that are scaled at all
            for warning in far_from_training(np.asarray(scaled.values)):
                warnings.warn(str(warning), stacklevel=2)
        return scaled

    def read(self, chunk: Any) -> npt.NDArray[np.float32]:
        """Scale steps `[n, C]` of a live sequence; the stream refuses what is not finite."""
        return self._scale(as_rows(chunk, np.float64))

    def _scale(self, rows: npt.NDArray[Any], each: str = "step") -> npt.NDArray[np.float32]:
        if len(rows) and rows.shape[1:] != self.mean.shape:
            raise ShapeError(
                f"X has {' x '.join(map(str, rows.shape[1:]))} features per {each}; {len(self.mean)} were trained on. "
                "Pass as many."
            )
        with np.errstate(over="ignore", invalid="ignore"):  # [N, C]; without steps, C may be anything
            return ((rows.reshape(len(rows), len(self.mean)) - self.mean) / self.deviation).astype(np.float32)

    def spell(self, inputs: Inputs) -> None:
        """Return nothing: readings are no text."""

    def to_json(self) -> Json:
        """Write both as lists."""
        return {"mean": self.mean.tolist(), "deviation": self.deviation.tolist()}


@dataclass(frozen=True)
class FeatureReader:
    """Learn how features are scaled, where that is asked for.

    scans: makes the nodes that read images of so many features a cell; None where sequences are read.
    shift: by how many cells images are moved in training, at most.
    """

    scale: bool
    scans: Callable[[int], tuple[tuple[Node, ...], int]] | None = None
    shift: int = 0

    begins: ClassVar[tuple[type[Node], ...]] = (Recurrent, Dense, Fold)

    @property
    def recurs(self) -> bool:
        """Tell whether sequences are read."""
        return self.scans is None

    def check(self, X: Any, *, name: str = "X") -> Inputs:
        """Check sequences of features, or images."""
        return as_sequences(X, name=name) if self.recurs else as_images(X, name=name)

    def learn(
        self, examples: Labelled, classes: int, weights: Weights32 | None, *, seed: int, stored: Json | None = None
    ) -> Read:
        """Measure mean and deviation of each feature."""
        assert isinstance(examples.x, Ragged)
        values = examples.x.values.astype(np.float64)
        mean, deviation = np.zeros(values.shape[1]), np.ones(values.shape[1])
        if self.scale and len(values):
            mean, deviation = values.mean(axis=0), values.std(axis=0)
        scaling = Scaling(mean, np.where(deviation > 0, deviation, 1.0))
        return Read(scaling, scaling.encode(examples.x), disturb=self._moved)

    def _moved(self, x: Any, rng: np.random.Generator) -> Any:
        """Move each image of a training batch by a few cells, drawn anew in each epoch."""
        if not self.shift or not isinstance(x, Grid):
            return x
        down, across = rng.integers(-self.shift, self.shift + 1, (2, len(x)))
        return x.with_values(x.values[x.shifted(down, across)])

    def restore(self, stored: Json, arrays: Mapping[str, Array]) -> Scaling:
        """Read both."""
        mean, deviation = np.asarray(stored["mean"], np.float64), np.asarray(stored["deviation"], np.float64)
        if mean.ndim != 1 or mean.shape != deviation.shape or not (deviation > 0).all():
            raise ValueError("its scaling is not one mean and one deviation above zero per feature")
        return Scaling(mean, deviation)

    def first_nodes(self, preparation: Preparation) -> tuple[tuple[Node, ...], int]:
        """Let the recurrent node read the features themselves; of images, scan them."""
        size = preparation.input_size
        return ((), size) if self.scans is None else self.scans(size)

    def begin(self, plan: Plan, _preparation: Preparation, _x: Ragged | Documents) -> Plan:
        """Draw everything."""
        return plan

    def with_unlabelled(self, _inputs: Inputs) -> FeatureReader:
        """Learn nothing of such."""
        return self


@dataclass(kw_only=True, eq=False, repr=False)
class SequenceClassifier(Task[Classes]):
    """Classify sequences of features in the manner of scikit-learn.

    `X` is a list of B arrays or frames `[T, C]`, one array `[B, T, C]`, or a `Ragged` with values `[N, C]`; T may
    differ from sequence to sequence and be zero. `y` are their B labels. Images are a `Grid`, or with `scan` also
    sequences of rows `[H, W]`, a pixel a feature.

    >>> rng = np.random.default_rng(0)
    >>> X = [rng.standard_normal((length, 2)) + length % 2 * 3 for length in range(4, 36)]
    >>> y = [len(x) % 2 for x in X]
    >>> classifier = SequenceClassifier(hidden_size=4, epochs=8, batch_size=4, learning_rate=0.05)
    >>> classifier.fit(X, y).score(X, y)
    1.0

    For `dense_size` and `chrono`, 0 means none.

    Args:
        scan: `renet` reads images: each of `num_layers` layers puts `block` by `block` cells side by side and runs
            along their rows, then along their columns, both ways where `bidirectional` (Visin et al. 2015). `stable`
            (after Leifert et al. 2016) and `mdlstm` (Graves & Schmidhuber 2008) are LSTMs of two dimensions, which go
            along the diagonals instead, from all corners or, not `bidirectional`, from the top left; they take the
            place of `cell`. None does as `renet` with a `Grid`, and reads all else as sequences.
        block: cells that become one, along each side, in every layer of a scan.
        shift: images are moved up or down and left or right in training, by so many cells at most.
        scale: bring each feature to mean 0 and deviation 1 over the training part.
        cell: `rnn` (tanh), `rnn_relu`, `lstm` or `gru`.
        hidden_size: units of each direction.
        num_layers: stacked layers.
        bidirectional: read from both ends.
        merge: how the two directions are put together: `concat`, `sum`, `mul` or `ave`.
        pooling: what is kept of the steps of a sequence: any of `last`, `first`, `max`, `mean`.
        dense_size: units of a hidden dense layer with relu before the output.
        dropout: share of features dropped before the output, and between stacked layers.
        recurrent_dropout: share of hidden units cut off from the next step, the same ones over a whole sequence.
        chrono: the longest memory, in steps, that the task asks for: gates start out to keep things that long (see
            `train.initial_weights`), where an LSTM otherwise starts with a forget bias of one.
        class_weight: how much the examples of each class count in the loss: a weight for each label, 1 for those that
            are not named; or "balanced", n / (K * count), so that all classes count the same in sum. None weighs all
            examples the same. It multiplies `sample_weight`.
        validation_fraction: share of each class held out to measure on, unless `valid` is passed; 0 holds out none.
        calibrate: divide the scores by the temperature with which the loss of the part held out is least, so that
            probabilities come true as often as they say (Guo et al. 2017); which class is likeliest stays the same.
            Nothing is done where nothing is held out.
        multilabel: whether an input may have several labels, or none: `y` then holds a list, tuple or set of them for
            each. "auto" takes that for what is meant where any label of `y` is one.
        thresholds: "f1" chooses, on the part held out, from which probability on each of several labels is named, or
            the rarer one of two classes, so that its F1 is largest; None names what is more likely than not.
        refit: train anew on all rows, the part held out among them, for as many epochs as that part was best after; the
            temperature is that of the first training. What was measured is of the model before.
        others: see `Task`.
    """

    card: ClassVar[Card] = SEQUENCES
    later: ClassVar[Json] = LATER | {"scan": None, "block": 2, "shift": 0}

    # Features lend themselves less to being learned by heart than rare words do: more epochs of smaller batches, and
    # less dropout.
    cell: CellOption = USUAL
    hidden_size: Size = 64
    num_layers: Annotated[int, Field(ge=1, le=64)] = 1
    bidirectional: bool = True
    merge: Merge = "concat"
    pooling: PoolModes = ("max", "mean")
    dense_size: Annotated[int, Field(ge=0, le=2**16)] = 0
    dropout: Share = 0.2
    recurrent_dropout: Share = 0.0
    chrono: Annotated[int, Field(ge=0)] = 0
    class_weight: Annotated[ClassWeight, PlainValidator(read_class_weight)] = None
    validation_fraction: Share = 0.1
    calibrate: bool = True
    refit: bool = False
    multilabel: Multilabel = "auto"
    thresholds: Aim = None
    epochs: Count | Literal["auto"] = 30
    batch_size: Count = 32
    learning_rate: Positive = 5e-3

    scale: bool = True
    scan: Scan | None = None
    block: Annotated[int, Field(ge=1, le=64)] = 2
    shift: Annotated[int, Field(ge=0, le=64)] = 0

    def predict(self, X: Any) -> Array:
        """Name the most probable class of each input, `[B]`, in the type of the labels that were trained on.

        Of a model of several labels each is a list, of those that are more likely than not.
        """
        return answers(self._require_fitted(), self._inputs(X))

    def predict_proba(self, X: Any) -> Array:
        """Compute the probability of each class, `[B, K]` float32, in the order of `classes_`.

        Of a model of several labels each has a probability of its own, and they do not add up to one. The numbers of
        one input depend, to the bit, neither on the other inputs nor on threads.
        """
        return probabilities(self._require_fitted(), self._inputs(X))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Compute the accuracy, the share of inputs whose class, or whole set of labels, is predicted.

        Labels are read in the kind of `classes_`: "1", 1 and 1.0 are one label. With weights, `[B]`, it is their share.

        Raises DataError, naming the row, for a label that no training example has.
        """
        return accuracy(self._require_fitted(), self._inputs(X), y, sample_weight)

    def stream(self, *, lookahead: int | None = None, state: bytes | None = None) -> Any:
        """Begin a live sequence; see `Task.stream`. What steps and answers are, `prepare_stream` says."""
        return Stream.of(self.prepare_stream(lookahead=lookahead), state=state)

    def prepare_stream(self, *, lookahead: int | None = None) -> Prepared:
        """Pack the weights for streams, which answer each step with the probability of each class so far, `[K]`."""
        return prepared(self._require_fitted(), lookahead)

    def prepare(self, X: Any) -> tuple[Ragged | Documents, list[str] | None]:
        """Return inputs as the network reads them, and its N steps as text where they are text; for a look inside.

        Raises InputError before `fit`, and as `predict` does.
        """
        return looked_into(self._require_fitted(), self._inputs(X))

    def inside(self) -> Inside:
        """Say what can be looked into; for `inspect`. Raises InputError before `fit`."""
        fitted = self._require_fitted()
        classes, several = self.classes_.tolist(), self.multilabel_
        return Inside(fitted.network, fitted.weights, self.prepare, classes, self.max_grad_norm, several=several)

    def interface(self) -> Interface:
        """Say what surrounds the network in an exported graph; for `export`. Raises InputError before `fit`."""
        fitted, preparation = self._require_fitted(), self.preparation_
        return interface(fitted, self._described(), {}, scaling=(preparation.mean, preparation.deviation))

    @property
    def classes_(self) -> Array:
        """The labels `[K]`, sorted."""
        return self._learned().learned.classes

    @property
    def multilabel_(self) -> bool:
        """Whether inputs may have several labels, or none."""
        return self._learned().learned.several

    @property
    def chief_measure(self) -> str:
        """The measure that tells how good the model is: `micro_f1` of one of several labels, else `accuracy`."""
        return "micro_f1" if self._fitted is not None and self.multilabel_ else self.chief

    def choose(self, probabilities: Array) -> Array:
        """Name the class of each row of probabilities `[B, K]`, or list its labels, as `predict` does of inputs."""
        return self._require_fitted().learned.choose(probabilities)

    @property
    def thresholds_(self) -> Thresholds | None:
        """From which probability on each class is named, None for one without; None where nothing was chosen."""
        return self._learned().learned.thresholds

    @property
    def temperature_(self) -> float | None:
        """What the scores were divided by so that probabilities come true; None where nothing was held out for that."""
        return self._learned().learned.temperature

    @property
    def preparation_(self) -> Scaling:
        """How input becomes sequences: what was learned from the training input."""
        preparation = self._learned().learned.preparation
        assert isinstance(preparation, Scaling)
        return preparation

    def __sklearn_tags__(self) -> Any:
        return tagged(super().__sklearn_tags__())

    def _classifying(self, scans: bool) -> Classifying:
        return Classifying(self, FeatureReader(self.scale, self._scans if scans else None, self.shift))

    def _inputs(self, X: Any) -> Ragged:
        return as_images(X) if self._require_fitted().network.reads_images else as_sequences(X)

    def _scans(self, features: int) -> tuple[tuple[Node, ...], int]:
        if "last" in self.pooling or self.recurrent_dropout:
            raise InputError(
                "images are scanned: they have no last step, and recurrent_dropout is of sequences. Pass "
                "pooling=('max', 'mean') and recurrent_dropout=0."
            )
        return scanning(
            features,
            cell=CELLS[self.cell] if self.scan is None or self.scan == "renet" else self.scan,
            hidden_size=self.hidden_size,
            num_layers=self.num_layers,
            block=self.block,
            bidirectional=self.bidirectional,
            merge=self.merge,
            dropout=self.dropout,
        )

    def _plan(
        self, X: Any, y: Any, *, valid: tuple[Any, Any] | None, about: Json | None, sample_weight: Any = None
    ) -> tuple[Plan, Classes]:
        scans = self.scan is not None or isinstance(X, Grid)
        for name in () if scans else ("block", "shift"):
            if getattr(self, name) != getattr(type(self), name):
                raise InputError(f"{name} is of images, and sequences are read. Leave it out, or pass a Grid or scan=.")
        classifying = self._classifying(scans)
        return classifying.plan(X, y, self._planned, valid=valid, about=about, sample_weight=sample_weight)

    def _read_learned(self, stored: Json, network: Network) -> Classes:
        return self._classifying(network.reads_images).restore(stored, network)


def as_sequences(X: Any, *, name: str = "X") -> Ragged:
    """Check sequences of features in any form, and bring them into one with values [N, C]."""
    if isinstance(X, Grid):
        raise ShapeError(
            f"{name} is a Grid of images, and sequences are read here. Fit a model to a Grid, or pass scan=."
        )
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
