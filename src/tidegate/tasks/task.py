"""What all tasks share: parameters with scikit-learn's manners, training into a run folder, saving and loading.

Knows neither inputs nor losses: a task plans what is trained on what, and says what it learned besides the weights.
Needs no torch.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, fields
from importlib.util import find_spec
from math import ceil
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Generic, Literal, Self, TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import Field, ValidationError

from tidegate.checkpoint import About, Metrics, Model, check_task, save_model
from tidegate.data.batching import batch_count
from tidegate.data.kinds import Kind
from tidegate.data.streams import Streams
from tidegate.errors import InputError, ModelFileError
from tidegate.health import Background
from tidegate.network import Network
from tidegate.tasks import presets
from tidegate.tasks.card import Card
from tidegate.tasks.chosen import Choice
from tidegate.tasks.fitted import Fitted, L, Learned
from tidegate.tasks.fitting import Plan, check_same, follow, released, resumed_from, versions
from tidegate.tasks.live import Live
from tidegate.tasks.metrics import kept_epoch, valid_parts
from tidegate.tasks.parameters import checked, parameter_names, require_known
from tidegate.tasks.run import Folder, as_stored, hold, hold_new

if TYPE_CHECKING:
    from tidegate.export import Interface
    from tidegate.train import Crew, Step

Array: TypeAlias = npt.NDArray[Any]
Json: TypeAlias = dict[str, Any]

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0.0, lt=1.0)]
Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]


@dataclass(kw_only=True, eq=False, repr=False)
class Task(ABC, Generic[L]):
    """Train a recurrent network with scikit-learn's manners; abstract, see the tasks.

    Arguments are stored untouched and checked by `fit`. For `max_grad_norm` and `patience`, 0 means none.

    Args:
        epochs: passes over the data, at most; "auto" takes 4, or more where that would be fewer than 100 updates.
        batch_size: sequences per update; "auto" takes 64, or what the task says of few rows.
        optimizer: `adamw`, `adam`, `sgd` or `rmsprop`.
        learning_rate: its peak.
        weight_decay: for weights that are no biases.
        schedule: `constant`, `linear` or `cosine` down to zero, or `inverse`: divided by 1 + `decay` * updates.
        warmup: share of all updates over which the learning rate rises.
        momentum: of sgd, the share of the last move that is kept.
        nesterov: whether sgd looks ahead along its momentum.
        decay: of the schedule `inverse`.
        max_grad_norm: length to which longer gradients are clipped.
        patience: end after so many epochs without a better validation loss and take the best weights; with 0 all
            epochs run and the last weights are taken.
        seed: all randomness follows from it.
    """

    card: ClassVar[Card]
    """What everybody else may know of the task; the next three stand in it."""
    name: ClassVar[str]
    kind: ClassVar[Kind]
    """The kind of data set that the task is for."""
    later: ClassVar[Json] = {}
    """Parameters that came later, and what a file means that does not name them."""
    chief: ClassVar[str]
    """The measure that tells how good a model is."""

    epochs: Count | Literal["auto"] = "auto"
    batch_size: Count | Literal["auto"] = 64
    optimizer: Literal["adam", "adamw", "sgd", "rmsprop"] = "adamw"
    learning_rate: Positive = 6e-3
    weight_decay: NotNegative = 0.01
    schedule: Literal["constant", "linear", "cosine", "inverse"] = "cosine"
    warmup: Share = 0.1
    momentum: Share = 0.0
    nesterov: bool = False
    decay: NotNegative = 0.0
    max_grad_norm: NotNegative = 1.0
    patience: Annotated[int, Field(ge=0)] = 5
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0

    _fitted: Fitted[L] | None = field(default=None, init=False)

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "card" in vars(cls):
            cls.name, cls.kind, cls.chief = cls.card.name, cls.card.reads, cls.card.chief

    @abstractmethod
    def _plan(
        self, X: Any, y: Any, *, valid: tuple[Any, Any] | None, about: Json | None, sample_weight: Any = None
    ) -> tuple[Plan, L]:
        """Check what was passed, learn what is needed before the first step, and plan the training with `_planned`.

        Called on a copy whose parameters have been checked. `about` is what the plan of an interrupted run said, from
        which to read what was learned then; None for a new run. A task that cannot weigh its examples refuses weights.
        """

    @abstractmethod
    def _read_learned(self, stored: Json, network: Network) -> L:
        """Read what `Learned.to_json` wrote, and check that it fits the network.

        Raises InputError, KeyError, TypeError or ValueError for anything else.
        """

    def _arrays(self) -> dict[str, Array]:
        """List the arrays of what was learned, which the model file holds beside the weights: `stored["arrays"]`."""
        return {}

    @abstractmethod
    def predict(self, X: Any) -> Any:
        """Answer B inputs."""

    @abstractmethod
    def interface(self) -> Interface:
        """Say what surrounds the network in an exported graph; for `export`. Raises InputError before `fit`."""

    @classmethod
    def from_preset(cls, preset: str, **changes: Any) -> Self:
        """Make a task with the parameters of a preset, some of them changed.

        Raises OptionError, with the nearest known name, for an unknown preset or parameter.
        """
        return cls().set_params(**presets.get(preset, task=cls.name) | changes)

    @classmethod
    def params_for(cls, X: Any) -> Json:
        """Say which parameters suit some inputs, where a run names neither them nor a preset; here none."""
        return {}

    @classmethod
    def params_of(cls, taken: Mapping[str, str]) -> Json:
        """Say which parameters tell what data are of, given what a reader took for what; here none."""
        return {}

    def check_taken(self, taken: Mapping[str, str]) -> None:
        """Raise InputError for data that are of something else than those that the model was trained on."""
        for name, value in self.params_of(taken).items():
            if (own := getattr(self, name)) and own != value:
                raise InputError(f"the model was trained with {name}={own!r}, but these data have {value!r}.")

    def get_params(self, deep: bool = True) -> Json:
        """Return the parameters by name, as they were passed; `deep` has no effect."""
        return {name: getattr(self, name) for name in parameter_names(type(self))}

    def set_params(self, **params: Any) -> Self:
        """Change parameters; raises OptionError, with the nearest known name, for one that does not exist."""
        require_known(type(self), params)
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Train on B inputs and, where the task has any, their labels.

        Args:
            X: the inputs, as the task describes them.
            y: what is to be learned of each; None for a task that learns from the inputs alone.
            sample_weight: how much each counts, `[B]`, zero or more: one of weight 2 counts as if it came twice, one of
                weight 0 as if it did not come. Classifiers and taggers take it; None weighs all the same.

        Raises:
            InputError: a parameter or the data cannot be used; the parameter or the row is named.
            TrainingError: the loss is not finite; the last good weights are kept.
        """
        for _ in self.fit_steps(X, y, sample_weight=sample_weight):
            pass
        return self

    def fit_steps(
        self,
        X: Any,
        y: Any = None,
        *,
        sample_weight: Any = None,
        valid: tuple[Any, Any] | None = None,
        run_dir: Folder | None = None,
        resume: Folder | None = None,
        crew: Crew | None = None,
    ) -> Generator[Step, None, None]:
        """Train as `fit` does, yielding a `train.Step` after each update: the loop over them is the caller's.

        Everything is checked at the call; training goes on as the iterator is read. Stop by closing it: the task is
        then fitted with the best weights so far, and the state of that very step is saved in the run folder.

        Args:
            X: the inputs.
            y: what is to be learned of each.
            sample_weight: how much each counts, as `fit` takes it.
            valid: inputs and labels to measure on after each epoch, instead of a held-out share of the training data.
            run_dir: a folder for the model, the metrics and the recipe, and the state after each epoch.
            resume: the folder of an interrupted run, to go on in as if it had never stopped. Data and parameters must
                be the same.
            crew: others who find gradients with us, to the same bits, such as `tidegate.scale.Workers`.

        Raises:
            InputError: a parameter or the data cannot be used.
            RunFolderError: `run_dir` holds a run already, or `resume` holds none that could go on, or another process
                trains there.
        """
        with ExitStack() as on_failure:
            folder = None if resume is None else hold(resume, on_failure)
            resumed = None if folder is None else resumed_from(folder)
            before = None if resumed is None else resumed.info["about"]
            try:
                plan, learned = self._checked()._plan(X, y, valid=valid, about=before, sample_weight=sample_weight)
            except ValidationError as error:  # of the network, whose sizes the data say, such as the number of classes
                raise _no_network(error) from None
            if before is not None:
                check_same(plan.about, before)
            check_task({"params": plan.about["params"], **learned.to_json()})
            if run_dir is not None:
                folder = hold_new(run_dir, on_failure)
            if folder is not None and resumed is None:
                params = {name: value for name, value in plan.about["params"].items() if value is not None}
                begin = plan.about.get("begin", {})
                folder.write_recipe(task=self.name, params=params, versions=versions(), begin=begin, chosen=plan.chosen)
            release = on_failure.pop_all()

        def keep(trained: Plan, weights: dict[str, Array], history: list[Json], /, *, ended: bool = False) -> None:
            kept = kept_epoch(history, patience=plan.patience)
            metrics = valid_parts(history, patience=plan.patience)
            about = About().also(metrics=metrics | {"embeddings": trained.about.get("begin", {}).get("found", {})})
            settled = learned if trained.settle is None else trained.settle(kept)
            if ended and trained.finish is not None:
                settled = trained.finish(weights, settled)
            network = trained.network
            if trained.whole is not None:
                network, weights = trained.whole(network, weights, kept)
            self._fitted = Fitted(plan.about["params"], network, weights, settled, history, about)
            if folder is not None:
                self.save(folder.model, licence=folder.licence)
                folder.publish()

        return released(follow(plan, folder=folder, resumed=resumed, keep=keep, crew=crew), release)

    def save(
        self,
        path: str | os.PathLike[str],
        *,
        licence: str | None = None,
        data: str | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        """Write the model file: weights, network and what was learned besides. `tidegate.load` reads it.

        The last three are for people alone, to be read in `about_` and by `tidegate info`. What is None, and metrics of
        other parts, stay as they were when the model was trained or loaded.

        Args:
            path: where to; a file that is there already is replaced.
            licence: under which the model is given away, such as "CC-BY-4.0".
            data: the name of the data set that it was trained on.
            metrics: what it reached, such as {"test": {"accuracy": 0.88}}; training notes those of `validation`.

        Raises:
            InputError: nothing was learned yet, or one of the three is empty, too long or of another type.
            OSError: the file cannot be written; one that was there before is then still there, whole.
        """
        fitted = self._require_fitted()
        task = {"name": self.name, "params": fitted.params, **fitted.learned.to_json()}
        about = fitted.about.also(licence=licence, data=data, metrics=metrics)
        save_model(path, fitted.network, weights=fitted.weights, arrays=self._arrays(), task=task, about=about)

    @abstractmethod
    def stream(self, *, lookahead: int | None = None, state: bytes | None = None) -> Live:
        """Begin a live sequence, which is fed step by step and answered at each.

        Args:
            lookahead: steps that must follow before one is answered; needed where the network also reads from the end.
            state: where to go on, as the `state` of another stream of this model gave it, on any machine.

        Raises:
            InputError: the model is not fitted, or cannot be streamed without `lookahead`.
            StateError: the state is truncated, altered or of another model.
        """

    @classmethod
    def from_model(cls, model: Model) -> Self:
        """Make a fitted task of a model file that was read; raises ModelFileError when it does not fit."""
        try:
            task = cls().set_params(**cls.later | model.task["params"])._checked()
            learned = task._read_learned(model.task | {"arrays": model.arrays}, model.network)
        except (InputError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise ModelFileError(f"the model file describes no {cls.__name__}: {error!s:.400}") from None
        task._fitted = Fitted(task._plain_params(), model.network, model.weights, learned, [], model.about)
        return task

    @property
    def network_(self) -> Network:
        """The network that was trained."""
        return self._learned().network

    @property
    def weights_(self) -> dict[str, Array]:
        """The weights by name, as in the model file. Each is read once: replace an array, do not write into it."""
        return self._learned().weights

    @property
    def about_(self) -> About:
        """What is known of the model besides: its licence, the data it was trained on, what it reached there."""
        return self._learned().about

    @property
    def baselines_(self) -> dict[str, float]:
        """What guesses that need no model reach on the part held out, under the names of their measures."""
        return {}

    @property
    def history_(self) -> list[Json]:
        """One record for each epoch of training; empty for a model that was loaded."""
        return self._learned().history

    @property
    def chief_measure(self) -> str:
        """The measure that tells how good this model is; the same as `chief` unless that depends on the data."""
        return self.chief

    def __repr__(self) -> str:
        changed = (f for f in fields(self) if f.init and getattr(self, f.name) != f.default)
        return f"{type(self).__name__}({', '.join(f'{f.name}={getattr(self, f.name)!r}' for f in changed)})"

    def _repr_html_(self) -> str | None:
        """Draw the task in a notebook as scikit-learn draws its own; None, which shows the text, without it."""
        if find_spec("sklearn") is None:
            return None
        from sklearn.utils import estimator_html_repr

        return str(estimator_html_repr(self))

    def __sklearn_is_fitted__(self) -> bool:
        return self._fitted is not None

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import InputTags, Tags, TargetTags

        tags = TargetTags(required=False)
        return Tags(estimator_type=None, target_tags=tags, input_tags=InputTags(two_d_array=False))

    def _described(self) -> Json:
        """Say what the model is, for the metadata of a file in another format: task, licence, data, metrics."""
        return {"task": self.name, **self._learned().about.model_dump(exclude_none=True)}

    def _checked(self) -> Self:
        """Copy the parameters into a task in which each has its type and lies within its range."""
        return type(self)(**checked(type(self), self.get_params()))

    def _plain_params(self) -> Json:
        """Give the parameters as a file holds them."""
        return as_stored(self.get_params())

    def epochs_on(self, rows: int) -> int:
        """Say how many epochs so many training sequences are trained on."""
        return self._epochs_for(rows, batch_count(rows, self._batch_for(rows)))

    def _planned(
        self,
        *,
        lengths: npt.NDArray[np.int64] | None = None,
        streams: Streams | None = None,
        learned: Learned,
        data: str,
        background: Background | None = None,
        **known: Any,
    ) -> Plan:
        """Make a plan of what a task knows; the parameters say the rest. `data` is the fingerprint of the parts.

        What else is known are arguments of `Plan` by name. Training goes over batches of whole sequences with these
        `lengths`, or over the chunks of `streams`.
        """
        if streams is not None:
            rows, updates = len(streams.lengths), streams.chunks_per_epoch
            batch = self._batch_for(rows)
        else:
            assert lengths is not None, "one of the two says what an epoch is"
            rows, batch = len(lengths), self._batch_for(len(lengths))
            updates = batch_count(rows, batch)
        arguments = ("learning_rate", "optimizer", "weight_decay", "schedule", "warmup", "seed")
        sizes = {"epochs": self._epochs_for(rows, updates), "batch_size": batch}
        recipe = {name: getattr(self, name) for name in (*arguments, "momentum", "nesterov", "decay")} | sizes
        recipe["max_grad_norm"] = self.max_grad_norm or np.inf
        chosen = tuple(Choice(n, size, self._rules()[n]) for n, size in sizes.items() if getattr(self, n) == "auto")
        about = {"params": self._plain_params(), **learned.to_json(), "data": data}
        return Plan(
            recipe=recipe,
            patience=self.patience,
            about=about,
            background=background or Background(),
            lengths=lengths,
            streams=streams,
            chosen=chosen,
            **known,
        )

    def _batch_for(self, rows: int) -> int:
        """Say how many of so many training sequences make an update."""
        return 64 if self.batch_size == "auto" else self.batch_size

    def _epochs_for(self, rows: int, updates: int) -> int:
        """Say how many epochs, of so many updates over so many training sequences, to train."""
        return max(4, ceil(100 / updates)) if self.epochs == "auto" else self.epochs

    def _rules(self) -> dict[str, str]:
        """Say by which rules `_batch_for` and `_epochs_for` choose."""
        return {"batch_size": "always", "epochs": "100 updates, in 4 epochs at least"}

    def _learned(self) -> Fitted[L]:
        if self._fitted is None:
            raise AttributeError(f"this {type(self).__name__} has learned nothing yet; call fit first")
        return self._fitted

    def _require_fitted(self) -> Fitted[L]:
        if self._fitted is None:
            raise InputError(f"this {type(self).__name__} is not fitted; call fit first, or load a model file")
        return self._fitted


def _no_network(error: ValidationError) -> InputError:
    """Say what is wrong with the first thing that is."""
    found = error.errors(include_url=False, include_context=False)[0]
    of = f"{found['loc'][-1]} is {found['input']!r:.40}, but: " if found["loc"] else ""
    return InputError(f"no network can be made for these data: {of}{found['msg'].removeprefix('Value error, ')}.")


AnyTask: TypeAlias = Task[Any]
