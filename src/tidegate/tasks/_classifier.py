"""What `TextClassifier` and `SequenceClassifier` share: parameters, scikit-learn's manners, predicting and saving.

Knows classes and networks. Knows neither texts nor features: a task learns a `Preparation` from its input, which turns
that input into sequences. Needs torch inside `fit` alone.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Generator
from dataclasses import dataclass, field, fields
from importlib.metadata import version
from importlib.util import find_spec
from math import ceil
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Protocol, Self, TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import Field

from tidegate import kernels
from tidegate.checkpoint import Model, library_version, load_training, save_model
from tidegate.data.batching import batch_count
from tidegate.data.checks import check_same_length
from tidegate.errors import InputError, MissingPackageError, ModelFileError, RunFolderError
from tidegate.network import Cell, Dense, Dropout, Merge, Network, Node, Pool, PoolModes, Recurrent, Size
from tidegate.ragged import Ragged
from tidegate.runtime import Executor, run_sorted
from tidegate.tasks import presets
from tidegate.tasks._fitting import Part, Plan, Resumed, check_same, fingerprint, follow
from tidegate.tasks._labelled import Inputs, Labelled, as_labels, hold_out, learn_classes, number_labels
from tidegate.tasks._parameters import checked, parameter_names, require_known
from tidegate.tasks.run import RunFolder

if TYPE_CHECKING:
    from tidegate.train import Step

Array: TypeAlias = npt.NDArray[Any]
Json: TypeAlias = dict[str, Any]
Folder: TypeAlias = str | os.PathLike[str] | RunFolder

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0.0, lt=1.0)]
Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]

_CELLS: dict[str, Cell] = {"rnn": "rnn_tanh", "rnn_relu": "rnn_relu", "lstm": "lstm", "gru": "gru"}


class Preparation(Protocol):
    """Turn checked inputs into sequences, as was learned from the training part."""

    @property
    def input_size(self) -> int:
        """Count the ids of a vocabulary, or the features of a step."""

    def encode(self, inputs: Inputs) -> Ragged:
        """Turn B inputs into B sequences."""

    def spell(self, inputs: Inputs) -> list[str] | None:
        """List the N steps of those sequences as text; None where they are no text."""

    def to_json(self) -> Json:
        """Write what was learned, for the model file."""


@dataclass(frozen=True)
class Fitted:
    """Hold what `fit` learned, and the parameters that it learned it with."""

    params: Json
    network: Network
    weights: dict[str, Array]
    classes: Array
    preparation: Preparation
    history: list[Json]


@dataclass(kw_only=True, eq=False, repr=False)
class Classifier(ABC):
    """Train a recurrent classifier with scikit-learn's manners; abstract, see the tasks.

    Arguments are stored untouched and checked by `fit`. For `dense_size`, `max_grad_norm` and `patience`, 0 means none.

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
        epochs: passes over the data, at most; "auto" takes 4, or more where that would be fewer than 100 updates.
        batch_size: sequences per update.
        optimizer: `adamw` or `adam`.
        learning_rate: its peak.
        weight_decay: for weights that are no biases.
        schedule: `constant`, or `linear` or `cosine` down to zero.
        warmup: share of all updates over which the learning rate rises.
        max_grad_norm: length to which longer gradients are clipped.
        validation_fraction: share of each class held out to measure on, unless `valid` is passed; 0 holds out none.
        patience: end after so many epochs without a better validation loss and take the best weights; with 0 all
            epochs run and the last weights are taken.
        seed: all randomness follows from it.
    """

    name: ClassVar[str]

    cell: Literal["rnn", "rnn_relu", "lstm", "gru"] = "lstm"
    hidden_size: Size = 64
    num_layers: Annotated[int, Field(ge=1, le=64)] = 1
    bidirectional: bool = True
    merge: Merge = "concat"
    pooling: PoolModes = ("max", "mean")
    dense_size: Annotated[int, Field(ge=0, le=2**16)] = 0
    dropout: Share = 0.5
    recurrent_dropout: Share = 0.0
    epochs: Count | Literal["auto"] = "auto"
    batch_size: Count = 64
    optimizer: Literal["adam", "adamw"] = "adamw"
    learning_rate: Positive = 6e-3
    weight_decay: NotNegative = 0.01
    schedule: Literal["constant", "linear", "cosine"] = "cosine"
    warmup: Share = 0.1
    max_grad_norm: NotNegative = 1.0
    validation_fraction: Share = 0.1
    patience: Annotated[int, Field(ge=0)] = 5
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0

    _fitted: Fitted | None = field(default=None, init=False)

    @staticmethod
    @abstractmethod
    def _check_inputs(X: Any, *, name: str = "X") -> Inputs:
        """Check what a user passed, and bring it into the one form that the task works with."""

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

    @classmethod
    def from_preset(cls, preset: str, **changes: Any) -> Self:
        """Make a classifier with the parameters of a preset, some of them changed.

        Raises OptionError, with the nearest known name, for an unknown preset or parameter.
        """
        return cls().set_params(**presets.get(preset) | changes)

    def get_params(self, deep: bool = True) -> Json:
        """Return the parameters by name, as they were passed; `deep` has no effect."""
        return {name: getattr(self, name) for name in parameter_names(type(self))}

    def set_params(self, **params: Any) -> Self:
        """Change parameters; raises OptionError, with the nearest known name, for one that does not exist."""
        require_known(type(self), params)
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def fit(self, X: Any, y: Any) -> Self:
        """Train on B inputs and their B labels.

        Args:
            X: the inputs, as the task describes them.
            y: one label for each, strings or whole numbers, at least two classes.

        Raises:
            InputError: a parameter or the data cannot be used; the parameter or the row is named.
            TrainingError: the loss is not finite; the last good weights are kept.
        """
        for _ in self.fit_steps(X, y):
            pass
        return self

    def fit_steps(
        self,
        X: Any,
        y: Any,
        *,
        valid: tuple[Any, Any] | None = None,
        run_dir: Folder | None = None,
        resume: Folder | None = None,
    ) -> Generator[Step, None, None]:
        """Train as `fit` does, yielding a `train.Step` after each update: the loop over them is the caller's.

        Everything is checked at the call; training goes on as the iterator is read. Stop by closing it: the classifier
        is then fitted with the best weights so far, and the state of that very step is saved in the run folder.

        Args:
            X: the inputs.
            y: their labels.
            valid: inputs and labels to measure on after each epoch, instead of a held-out share of the training data.
            run_dir: a folder for the model, the metrics and the recipe, and the state after each epoch.
            resume: the folder of an interrupted run, to go on in as if it had never stopped. Data and parameters must
                be the same.

        Raises:
            InputError: a parameter or the data cannot be used.
            MissingPackageError: torch is not installed.
            RunFolderError: `run_dir` holds a run already, or `resume` holds none that could go on.
        """
        if find_spec("torch") is None:
            raise MissingPackageError.of("torch", "train", "training")
        task = self._checked()
        examples, classes = learn_classes(self._check_inputs(X), y)
        if valid is None:
            learn, measured = hold_out(examples, task.validation_fraction, seed=task.seed)
        else:
            learn, measured = examples, number_labels(self._check_inputs(valid[0], name="valid X"), valid[1], classes)
        resumed = None if resume is None else _resumed(resume)
        plan, preparation = task._plan(learn, measured, classes, resumed)
        folder = _folder(run_dir, resume)
        if folder is not None and resumed is None:
            folder.write_recipe(task=self.name, params=plan.about["params"], versions=_versions())

        def keep(weights: dict[str, Array], history: list[Json]) -> None:
            self._fitted = Fitted(plan.about["params"], plan.network, weights, classes, preparation, history)
            if folder is not None:
                self.save(folder.model)

        return follow(plan, folder=folder, resumed=resumed, keep=keep)

    def prepare(self, X: Any) -> tuple[Ragged, list[str] | None]:
        """Return inputs as the network reads them, and its N steps as text where they are text; for a look inside.

        Raises InputError before `fit`, and as `predict` does.
        """
        preparation, inputs = self._require_fitted().preparation, self._check_inputs(X)
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

    def score(self, X: Any, y: Any) -> float:
        """Compute the accuracy, the share of inputs whose predicted class is their label."""
        labels, predicted = as_labels(y), self.predict(X)
        check_same_length(len(predicted), len(labels))
        return float(np.mean([label == named for label, named in zip(labels, predicted, strict=True)]))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model file: weights, network, labels and preparation. `tidegate.load` reads it, without torch.

        Raises OSError when it cannot be written; a file that was there before is then still there, whole.
        """
        fitted = self._require_fitted()
        task = {
            "name": self.name,
            "params": fitted.params,
            "classes": fitted.classes.tolist(),
            "preparation": fitted.preparation.to_json(),
        }
        save_model(path, fitted.network, weights=fitted.weights, task=task)

    @classmethod
    def from_model(cls, model: Model) -> Self:
        """Make a fitted classifier of a model file that was read; raises ModelFileError when it does not fit."""
        try:
            task = cls().set_params(**model.task["params"])._checked()
            classes = as_labels(model.task["classes"])
            preparation = task._read_preparation(model.task["preparation"])
        except (InputError, KeyError, TypeError, ValueError) as error:
            raise ModelFileError(f"the model file describes no {cls.__name__}: {error}") from None
        if preparation.input_size != model.network.input_size:
            raise ModelFileError(
                f"the model file prepares {preparation.input_size} inputs, its network reads {model.network.input_size}"
            )
        if len(classes) != model.network.output_size:
            raise ModelFileError(
                f"the model file names {len(classes)} classes, but its network tells {model.network.output_size} apart"
            )
        task._fitted = Fitted(task._plain_params(), model.network, model.weights, classes, preparation, [])
        return task

    @property
    def classes_(self) -> Array:
        """The labels `[K]`, sorted."""
        return self._learned().classes

    @property
    def network_(self) -> Network:
        """The network that was trained."""
        return self._learned().network

    @property
    def weights_(self) -> dict[str, Array]:
        """The weights by name, as in the model file."""
        return self._learned().weights

    @property
    def preparation_(self) -> Preparation:
        """How input becomes sequences: what was learned from the training input."""
        return self._learned().preparation

    @property
    def history_(self) -> list[Json]:
        """One record for each epoch of training; empty for a model that was loaded."""
        return self._learned().history

    def __repr__(self) -> str:
        changed = (f for f in fields(self) if f.init and getattr(self, f.name) != f.default)
        return f"{type(self).__name__}({', '.join(f'{f.name}={getattr(self, f.name)!r}' for f in changed)})"

    def __sklearn_is_fitted__(self) -> bool:
        return self._fitted is not None

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags

        return Tags(
            estimator_type="classifier",
            target_tags=TargetTags(required=True),
            classifier_tags=ClassifierTags(),
            input_tags=InputTags(two_d_array=False, string=True),
        )

    def _checked(self) -> Self:
        """Copy the parameters into a classifier in which each has its type and lies within its range."""
        return type(self)(**checked(type(self), self.get_params()))

    def _plain_params(self) -> Json:
        return {name: list(v) if isinstance(v, tuple) else v for name, v in self.get_params().items()}

    def _plan(
        self, learn: Labelled, measured: Labelled | None, classes: Array, resumed: Resumed | None
    ) -> tuple[Plan, Preparation]:
        """Prepare the parts, with the preparation of the run that is resumed if any, and choose the network."""
        if resumed is None:
            preparation = self._learn_preparation(learn.x)
        else:
            preparation = self._read_preparation(resumed.info["about"]["preparation"])
        parts = [None if part is None else Part(preparation.encode(part.x), part.y) for part in (learn, measured)]
        assert parts[0] is not None
        about = {
            "params": self._plain_params(),
            "classes": classes.tolist(),
            "preparation": preparation.to_json(),
            "data": fingerprint(*parts),
        }
        if resumed is not None:
            check_same(about, resumed.info["about"])
        arguments = ("batch_size", "learning_rate", "optimizer", "weight_decay", "schedule", "warmup", "seed")
        plan = Plan(
            network=self._network(preparation, len(classes)),
            recipe={name: getattr(self, name) for name in arguments}
            | {"epochs": self._epochs_for(len(learn.y)), "max_grad_norm": self.max_grad_norm or np.inf},
            patience=self.patience,
            learn=parts[0],
            valid=parts[1],
            augment=self._augment,
            about=about,
        )
        return plan, preparation

    def _epochs_for(self, examples: int) -> int:
        updates = batch_count(examples, self.batch_size)  # of one epoch
        return max(4, ceil(100 / updates)) if self.epochs == "auto" else self.epochs

    def _network(self, preparation: Preparation, num_classes: int) -> Network:
        first, features = self._first_nodes(preparation)
        recurrent = Recurrent(
            cell=_CELLS[self.cell],
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

    def _logits(self, X: Any) -> Array:
        fitted = self._require_fitted()
        return run_sorted(Executor(fitted.network, fitted.weights), fitted.preparation.encode(self._check_inputs(X)))

    def _learned(self) -> Fitted:
        if self._fitted is None:
            raise AttributeError(f"this {type(self).__name__} has learned nothing yet; call fit first")
        return self._fitted

    def _require_fitted(self) -> Fitted:
        if self._fitted is None:
            raise InputError(f"this {type(self).__name__} is not fitted; call fit first, or load a model file")
        return self._fitted


def _folder(run_dir: Folder | None, resume: Folder | None) -> RunFolder | None:
    if resume is not None:
        return _opened(resume)
    if run_dir is None or isinstance(run_dir, RunFolder):
        return run_dir
    return RunFolder.create(run_dir)


def _opened(folder: Folder) -> RunFolder:
    return folder if isinstance(folder, RunFolder) else RunFolder.open(folder)


def _resumed(folder: Folder) -> Resumed:
    run = _opened(folder)
    if not run.state.exists():
        why = "it came to its end" if run.finished else "nothing was saved yet; begin it anew"
        raise RunFolderError(f"the run in {run.path} cannot be resumed: {why}.")
    return Resumed(*load_training(run.state))


def _versions() -> Json:
    packages = ("numpy", "torch", "tokenizers")
    return {"tidegate": library_version()} | {package: version(package) for package in packages}
