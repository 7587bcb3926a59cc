"""What `TextClassifier` and `SequenceClassifier` share: one label for each sequence, from input to probabilities.

Knows classes and networks. Knows neither texts nor features: a task learns a `Preparation` from its input, which turns
that input into sequences.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import Field

from tidegate import kernels
from tidegate.data.checks import check_same_length
from tidegate.errors import InputError
from tidegate.export import SequenceInterface
from tidegate.health import Background, entropy, padding
from tidegate.network import Dense, Dropout, Merge, Network, Node, Pool, PoolModes, Recurrent, Size
from tidegate.ragged import Ragged
from tidegate.runtime import Executor, Prepared, run_sorted
from tidegate.tasks._fitting import Plan, fingerprint
from tidegate.tasks._labelled import Inputs, Labelled, as_labels, hold_out, learn_classes, number_labels, read_classes
from tidegate.tasks._parameters import CELLS
from tidegate.tasks._task import Array, Json, Share, Task

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module


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
    """Hold sequences, and for each the number of its class."""

    x: Ragged
    y: npt.NDArray[np.int64]  # [B]


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
        validation_fraction: share of each class held out to measure on, unless `valid` is passed; 0 holds out none.
        others: see `Task`.
    """

    chief: ClassVar[str] = "accuracy"
    begins: ClassVar[tuple[type[Node], ...]]
    """What its network may begin with."""

    cell: Literal["rnn", "rnn_relu", "lstm", "gru"] = "lstm"
    hidden_size: Size = 64
    num_layers: Annotated[int, Field(ge=1, le=64)] = 1
    bidirectional: bool = True
    merge: Merge = "concat"
    pooling: PoolModes = ("max", "mean")
    dense_size: Annotated[int, Field(ge=0, le=2**16)] = 0
    dropout: Share = 0.5
    recurrent_dropout: Share = 0.0
    chrono: Annotated[int, Field(ge=0)] = 0
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
        return kernels.softmax(self._logits(X))

    def prepare_stream(self, *, lookahead: int | None = None) -> Prepared:
        """Pack the weights for streams, which answer each step with the probability of each class so far, `[K]`."""
        fitted = self._require_fitted()
        executor = Executor(fitted.network, fitted.weights)
        return Prepared(executor, lookahead, read=fitted.learned.preparation.read, say=kernels.softmax)

    def score(self, X: Any, y: Any) -> float:
        """Compute the accuracy, the share of inputs whose predicted class is their label."""
        labels, predicted = as_labels(y), self.predict(X)
        check_same_length(len(predicted), len(labels))
        return float(np.mean([label == named for label, named in zip(labels, predicted, strict=True)]))

    @property
    def classes_(self) -> Array:
        """The labels `[K]`, sorted."""
        return self._learned().learned.classes

    @property
    def preparation_(self) -> Preparation:
        """How input becomes sequences: what was learned from the training input."""
        return self._learned().learned.preparation

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags

        return Tags(
            estimator_type="classifier",
            target_tags=TargetTags(required=True),
            classifier_tags=ClassifierTags(),
            input_tags=InputTags(two_d_array=False, string=True),
        )

    def _plan(self, X: Any, y: Any, *, valid: tuple[Any, Any] | None, about: Json | None) -> tuple[Plan, Classes]:
        if self.chrono and self.cell not in ("lstm", "gru"):
            raise InputError(f"chrono={self.chrono} sets gates, and cell={self.cell!r} has none. Leave chrono out.")
        examples, classes = learn_classes(self._check_examples(X), y)
        if valid is None:
            learn, measured = hold_out(examples, self.validation_fraction, seed=self.seed)
        else:
            learn, measured = examples, number_labels(self._check_examples(valid[0], name="valid X"), valid[1], classes)
        stored = None if about is None else about["preparation"]
        preparation = self._learn_preparation(learn.x) if stored is None else self._read_preparation(stored)
        learned = Classes(classes, preparation)
        network = self._network(preparation, len(classes))
        part, held = _encoded(learn, preparation), None if measured is None else _encoded(measured, preparation)

        def loss(module: Module, indices: npt.NDArray[np.int64], rng: np.random.Generator) -> tuple[Tensor, int]:
            batch = self._augment(part.x.select(indices), rng)
            return cross_entropy(module, batch, part.y[indices]), len(batch.values)

        plan = self._planned(
            network=network,
            lengths=np.asarray(part.x.lengths),
            loss=loss,
            measure=None if held is None else lambda weights: measure(Executor(network, weights), held),
            learned=learned,
            chrono=self.chrono or None,
            data=fingerprint(*(None if p is None else (p.x.values, p.x.offsets, p.y) for p in (part, held))),
            background=Background(learn.rows, guess=entropy(learn.y), warnings=padding(learn.x)),
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
        return run_sorted(Executor(fitted.network, fitted.weights), x)


def cross_entropy(module: Module, x: Ragged, y: npt.NDArray[np.int64]) -> Tensor:
    """Return the mean cross-entropy, in nats, of a module's logits `[B, K]` for the classes `y` `[B]`."""
    import torch

    from tidegate.nn import to_torch

    loss: Tensor = torch.nn.functional.cross_entropy(module(to_torch(x)), torch.from_numpy(y))
    return loss


def measure(executor: Executor, part: Part) -> dict[str, float]:
    """Measure the mean cross-entropy, in nats, and the accuracy."""
    logits = run_sorted(executor, part.x).astype(np.float64)  # [B, K]
    logits -= logits.max(axis=1, keepdims=True)
    right = np.take_along_axis(logits, part.y[:, None], axis=1)[:, 0]
    losses = np.log(np.exp(logits).sum(axis=1)) - right
    return {"loss": float(losses.mean()), "accuracy": float((logits.argmax(axis=1) == part.y).mean())}


def _encoded(examples: Labelled, preparation: Preparation) -> Part:
    return Part(preparation.encode(examples.x), examples.y)
