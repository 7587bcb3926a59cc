"""What `TextClassifier` and `SequenceClassifier` share: one label for each sequence, from input to probabilities.

Knows classes and networks. Knows neither texts nor features: a task learns a `Preparation` from its input, which turns
that input into sequences.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import Field, PlainValidator

import tidegate.cells as cells
from tidegate.cells import USUAL, CellOption
from tidegate.data.checks import check_same_length, in_argument
from tidegate.data.labels import number_labels, read_labels
from tidegate.engine import CrossEntropy
from tidegate.errors import InputError
from tidegate.export import SequenceInterface
from tidegate.health import Background, entropy, measure_classes, padding
from tidegate.kernels import softmax
from tidegate.network import Dense, Dropout, Merge, Network, Node, Pool, PoolModes, Recurrent, Size
from tidegate.ragged import Ragged
from tidegate.runtime import Executor, Prepared, Stream, run_sorted
from tidegate.tasks.classifying.labelled import Inputs, Labelled, hold_out, learn_classes, pair_known, read_classes
from tidegate.tasks.fitting import Plan, fingerprint
from tidegate.tasks.parameters import CELLS
from tidegate.tasks.task import Array, Json, Share, Task
from tidegate.tasks.weights import ClassWeight, Weights, read_class_weight, read_sample_weight, relative, weigh_classes
from tidegate.train import Asked


class Preparation(Protocol):
    """Turn checked inputs into sequences, as was learned from the training part."""

    @property
    def input_size(self) -> int:
        """Count the ids of a vocabulary, or the features of a step."""

    def encode(self, inputs: Inputs) -> Ragged:
        """Turn B inputs into B sequences."""

    def read(self, chunk: Any) -> Array:
        """Turn steps of a live sequence, as they come, into what the network reads: `[n, C]` or `[n]` ids."""

    def spell(self, inputs: Inputs) -> list[str] | None:
        """List the N steps of those sequences as text; None where they are no text."""

    def to_json(self) -> Json:
        """Write what was learned, for the model file."""


@dataclass(frozen=True)
class Classes:
    """Hold what a classifier learns besides its weights: the labels `[K]`, sorted, and how input becomes sequences."""

    classes: Array
    preparation: Preparation

    def to_json(self) -> Json:
        """Write both."""
        return {"classes": self.classes.tolist(), "preparation": self.preparation.to_json()}


@dataclass(frozen=True)
class Part:
    """Hold sequences, and for each the number of its class and, where not all weigh the same, its weight."""

    x: Ragged
    y: npt.NDArray[np.int64]  # [B]
    weights: npt.NDArray[np.float32] | None = None  # [B], with a mean of one

    def arrays(self) -> tuple[Array, ...]:
        """List what makes the part what it is, for a fingerprint."""
        whole = (self.x.values, self.x.offsets, self.y)
        return whole if self.weights is None else (*whole, self.weights)


@dataclass(kw_only=True, eq=False, repr=False)
class Classifier(Task[Classes]):
    """Train a recurrent classifier with scikit-learn's manners; abstract, see the tasks.

    For `dense_size` and `chrono`, 0 means none.

    Args:
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
        others: see `Task`.
    """

    begins: ClassVar[tuple[type[Node], ...]]
    """What its network may begin with."""

    cell: CellOption = USUAL
    hidden_size: Size = 64
    num_layers: Annotated[int, Field(ge=1, le=64)] = 1
    bidirectional: bool = True
    merge: Merge = "concat"
    pooling: PoolModes = ("max", "mean")
    dense_size: Annotated[int, Field(ge=0, le=2**16)] = 0
    dropout: Share = 0.5
    recurrent_dropout: Share = 0.0
    chrono: Annotated[int, Field(ge=0)] = 0
    class_weight: Annotated[ClassWeight, PlainValidator(read_class_weight)] = None
    validation_fraction: Share = 0.1

    @staticmethod
    @abstractmethod
    def _check_inputs(X: Any, *, name: str = "X") -> Inputs:
        """Check what a user passed, and bring it into the one form that the task works with."""

    @classmethod
    def _check_examples(cls, X: Any, *, name: str = "X") -> Inputs:
        """Check what is to be learned from or measured on; by default all that can be answered."""
        return cls._check_inputs(X, name=name)

    @abstractmethod
    def _learn_preparation(self, inputs: Inputs) -> Preparation:
        """Learn from the training part how inputs become sequences."""

    @abstractmethod
    def _read_preparation(self, stored: Json) -> Preparation:
        """Read what `Preparation.to_json` wrote; raises InputError, KeyError, TypeError or ValueError for all else."""

    @abstractmethod
    def _first_nodes(self, preparation: Preparation) -> tuple[tuple[Node, ...], int]:
        """Choose the nodes before the recurrent one, and say how many features reach it."""

    def _augment(self, x: Ragged, rng: np.random.Generator) -> Ragged:
        """Disturb a training batch; by default leave it."""
        return x

    def prepare(self, X: Any) -> tuple[Ragged, list[str] | None]:
        """Return inputs as the network reads them, and its N steps as text where they are text; for a look inside.

        Raises InputError before `fit`, and as `predict` does.
        """
        preparation, inputs = self._require_fitted().learned.preparation, self._check_inputs(X)
        return preparation.encode(inputs), preparation.spell(inputs)

    def predict(self, X: Any) -> Array:
        """Name the most probable class of each input, `[B]`, in the type of the labels that were trained on."""
        best = self._logits(X).argmax(axis=1)
        return np.asarray(self.classes_[best])

    def predict_proba(self, X: Any) -> Array:
        """Compute the probability of each class, `[B, K]` float32, in the order of `classes_`.

        The numbers of one input depend, to the bit, neither on the other inputs nor on threads.
        """
        return softmax(self._logits(X))

    def stream(self, *, lookahead: int | None = None, state: bytes | None = None) -> Any:
        """Begin a live sequence; see `Task.stream`. What steps and answers are, `prepare_stream` says."""
        return Stream.of(self.prepare_stream(lookahead=lookahead), state=state)

    def prepare_stream(self, *, lookahead: int | None = None) -> Prepared:
        """Pack the weights for streams, which answer each step with the probability of each class so far, `[K]`."""
        fitted = self._require_fitted()
        return Prepared(fitted.executor, lookahead, read=fitted.learned.preparation.read, say=softmax)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Compute the accuracy, the share of inputs whose predicted class is their label.

        Labels are read in the kind of `classes_`: "1", 1 and 1.0 are one label. With weights, `[B]`, it is their share.

        Raises DataError, naming the row, for a label that no training example has.
        """
        labels, predicted = read_labels(y), self._logits(X).argmax(axis=1)
        check_same_length(len(predicted), len(labels))
        right = number_labels(labels, self.classes_, where=in_argument("y")) == predicted
        return float(np.average(right, weights=read_sample_weight(sample_weight, len(right))))

    @property
    def classes_(self) -> Array:
        """The labels `[K]`, sorted."""
        return self._learned().learned.classes

    @property
    def preparation_(self) -> Preparation:
        """How input becomes sequences: what was learned from the training input."""
        return self._learned().learned.preparation

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import ClassifierTags

        tags = super().__sklearn_tags__()
        tags.estimator_type, tags.classifier_tags = "classifier", ClassifierTags()
        tags.target_tags.required, tags.input_tags.string = True, True
        return tags

    def _plan(
        self, X: Any, y: Any, *, valid: tuple[Any, Any] | None, about: Json | None, sample_weight: Any = None
    ) -> tuple[Plan, Classes]:
        if self.chrono and cells.CELLS[CELLS[self.cell]].keeps is None:
            raise InputError(f"chrono={self.chrono} sets gates, and cell={self.cell!r} has none. Leave chrono out.")
        examples, classes = learn_classes(self._check_examples(X), y, sample_weight)
        if valid is None:
            learn, measured = hold_out(examples, self.validation_fraction, seed=self.seed)
        else:
            held_x = self._check_examples(valid[0], name="valid X")
            learn, measured = examples, pair_known(held_x, valid[1], classes, name="valid y")
        stored = None if about is None else about["preparation"]
        preparation = self._learn_preparation(learn.x) if stored is None else self._read_preparation(stored)
        learned = Classes(classes, preparation)
        network = self._network(preparation, len(classes))
        each = weigh_classes(self.class_weight, learn.y, classes, learn.weights)
        part = _encoded(learn, preparation, each)
        held = None if measured is None else _encoded(measured, preparation, each)

        def loss(indices: npt.NDArray[np.int64], rng: np.random.Generator) -> Asked:
            batch = self._augment(part.x.select(indices), rng)
            weights = None if part.weights is None else part.weights[indices]
            return Asked(batch, cross_entropy(part.y[indices], weights))

        plan = self._planned(
            network=network,
            lengths=np.asarray(part.x.lengths),
            loss=loss,
            measure=None if held is None else lambda weights: measure(Executor(network, weights), held, classes),
            learned=learned,
            chrono=self.chrono or None,
            data=fingerprint(*(None if p is None else p.arrays() for p in (part, held))),
            background=Background(learn.rows, guess=entropy(part.y, part.weights), warnings=padding(learn.x)),
        )
        return plan, learned

    def _read_learned(self, stored: Json, network: Network) -> Classes:
        if not (network.pools and isinstance(network.nodes[0], self.begins)):
            raise ValueError(f"its network begins with {network.nodes[0].kind!r}; wanted one that pools what it reads")
        classes = read_classes(stored["classes"])
        preparation = self._read_preparation(stored["preparation"])
        if preparation.input_size != network.input_size:
            raise ValueError(f"it prepares {preparation.input_size} inputs, its network reads {network.input_size}")
        if len(classes) != network.output_size:
            raise ValueError(f"it names {len(classes)} classes, but its network tells {network.output_size} apart")
        return Classes(classes, preparation)

    def _network(self, preparation: Preparation, num_classes: int) -> Network:
        first, features = self._first_nodes(preparation)
        recurrent = Recurrent(
            cell=CELLS[self.cell],
            input_size=features,
            hidden_size=self.hidden_size,
            num_layers=self.num_layers,
            bidirectional=self.bidirectional,
            merge=self.merge,
            dropout=self.dropout if self.num_layers > 1 else 0.0,
            recurrent_dropout=self.recurrent_dropout,
        )
        width = recurrent.output_size * len(self.pooling)
        nodes: list[Node] = [*first, recurrent, Pool(modes=self.pooling)]
        if self.dense_size:
            nodes.append(Dense(in_features=width, out_features=self.dense_size, activation="relu"))
            width = self.dense_size
        if self.dropout:
            nodes.append(Dropout(p=self.dropout))
        return Network.of(*nodes, Dense(in_features=width, out_features=num_classes))

    def _interface(self, about: Json, *, scaling: tuple[Array, Array] | None = None) -> SequenceInterface:
        """Name the classes, and say how input is prepared."""
        fitted = self._require_fitted()
        said = {**self._described(), "labels": fitted.learned.classes.tolist(), **about}
        return SequenceInterface(fitted.network, fitted.weights, said, ending="classes", scaling=scaling)

    def _logits(self, X: Any) -> Array:
        fitted = self._require_fitted()
        x = fitted.learned.preparation.encode(self._check_inputs(X))
        return run_sorted(fitted.executor, x)


def cross_entropy(y: npt.NDArray[np.int64], weights: npt.NDArray[np.float32] | None = None) -> CrossEntropy:
    """Make the mean cross-entropy, in nats, of a batch of the classes `y` `[B]`.

    Weights `[B]` have a mean of one over the training part, not over a batch, so that an example counts the same
    whichever others it meets.
    """
    own = np.ones(len(y)) if weights is None else weights.astype(np.float64)
    return CrossEntropy(y, own / max(len(y), 1))


def measure(executor: Executor, part: Part, classes: Array) -> dict[str, Any]:
    """Measure the mean cross-entropy, in nats, which is weighed as in training; the accuracy; and class by class."""
    logits = run_sorted(executor, part.x).astype(np.float64)  # [B, K]
    logits -= logits.max(axis=1, keepdims=True)
    right = np.take_along_axis(logits, part.y[:, None], axis=1)[:, 0]
    losses = np.log(np.exp(logits).sum(axis=1)) - right
    loss = float(losses.mean() if part.weights is None else (losses * part.weights).mean())
    predicted = logits.argmax(axis=1)
    found, health = measure_classes(part.y, predicted, classes.tolist())
    return {"loss": loss, "accuracy": float((predicted == part.y).mean()), **found, "classes": health}


def _encoded(examples: Labelled, preparation: Preparation, each: Weights) -> Part:
    """Turn inputs into sequences; what an example weighs is its own weight and that of its class."""
    own = np.ones(len(examples.y)) if examples.weights is None else examples.weights
    return Part(preparation.encode(examples.x), examples.y, relative(own * each[examples.y]))
