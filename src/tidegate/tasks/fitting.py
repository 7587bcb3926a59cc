"""Trains the network of a task: early stopping, the run folder and resuming, as one loop over steps.

Knows a plan and where to write. Knows nothing of what is learned: a plan says how a batch is lost and measured.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

import tidegate.train as train
from tidegate.checkpoint import load_training, save_training
from tidegate.data.streams import Streams
from tidegate.errors import RunFolderError, TrainingError, WorkerError
from tidegate.health import Background
from tidegate.network import Network
from tidegate.tasks.chosen import Choice
from tidegate.tasks.metrics import kept_epoch, measured, told_of_epoch
from tidegate.train import State, Step
from tidegate.version import __version__

if TYPE_CHECKING:
    from tidegate.tasks.run import RunFolder

Array: TypeAlias = npt.NDArray[Any]
Weights: TypeAlias = dict[str, Array]
Json: TypeAlias = dict[str, Any]

OTHER_DATA = "the run was begun on other data. Resume it with the same data, or begin a new run."


@dataclass(frozen=True)
class Plan:
    """Say what is trained on what; `about` goes into the state, and a resumed run must agree with it.

    Args:
        network: what is trained.
        recipe: the arguments of `train.Recipe`.
        patience: epochs without a better validation loss before the run ends; 0 never ends it early.
        loss: a `train.Loss`, or with `streams` a `train.StreamLoss`.
        measure: takes weights and returns what they reach on the validation part as a `train.Measure` does, `loss`
            among it; None where there is no such part.
        lengths: [B], the steps of every training example, for batches of whole sequences.
        streams: instead of `lengths`, a corpus that is read in order.
        chrono: the longest memory in steps that the weights start out for.
        embedding_scale: the largest number in a table that training starts from.
        whole: makes the network and the weights to hand out of those that are trained, given the record of the epoch
            that they are of, empty in the middle of the first one; None where they are the same.
        settle: makes of what the task learned before the first step, and of that record, what it has learned; None
            where that is the same.
        finish: makes of that, once training has come to its end, what has been learned of the weights that are handed
            out, before `whole`; None where that is the same.
        refit: plans the second training, on all rows, given the history of the first one; None where there is none.
        begin: parameters, by name, that begin with given numbers instead of drawn ones.
        frozen: the names of parameters that stay as they begin: the first ones of the network.
        chosen: what followed from the data where nobody said otherwise.
        about: `params` and `data` (a fingerprint), and what the task learned before the first step.
        background: what is known of the training data, for warnings and errors.
    """

    network: Network
    recipe: Json
    patience: int
    loss: train.Loss | train.StreamLoss
    measure: Callable[[Weights], dict[str, Any]] | None
    about: Json
    background: Background
    lengths: npt.NDArray[np.int64] | None = None
    streams: Streams | None = None
    chrono: int | None = None
    embedding_scale: float = 0.05
    whole: Callable[[Network, Weights, Json], tuple[Network, Weights]] | None = None
    settle: Callable[[Json], Any] | None = None
    finish: Callable[[Weights, Any], Any] | None = None
    refit: Callable[[list[Json]], Plan] | None = None
    begin: Mapping[str, Array] = field(default_factory=dict)
    frozen: frozenset[str] = frozenset()
    chosen: tuple[Choice, ...] = ()


@dataclass(frozen=True)
class Resumed:
    """Hold what the state file of an interrupted run said."""

    arrays: Mapping[str, Array]
    info: Json


@dataclass
class Best:
    """Remember the weights to hand out, why these, and what every epoch gave."""

    weights: Weights = field(default_factory=dict)
    loss: float | None = None
    epochs_since: int = 0
    history: list[Json] = field(default_factory=list)

    def note(self, step: Step, weights: Weights, *, patience: int) -> bool:
        """Write an epoch into the history; take its weights when they are better, or when nothing compares them."""
        self.history.append(told(step))
        loss = None if step.valid is None or not patience else step.valid["loss"]
        if loss is not None and self.loss is not None and loss >= self.loss:
            self.epochs_since += 1
            return False
        self.weights, self.loss, self.epochs_since = weights, loss, 0
        return True


def told(step: Step) -> Json:
    """Say for the history what an epoch gave, by its last step."""
    kept = ("epoch", "step", "learning_rate", "seconds")
    return {key: getattr(step, key) for key in kept} | {"loss": step.mean_loss} | measured(asdict(step))


class Keep(Protocol):
    """Takes a plan, the weights to use of what it trains, the history, and whether training has come to its end."""

    def __call__(self, plan: Plan, weights: Weights, history: list[Json], /, *, ended: bool = False) -> None:
        """Take them."""


def follow(
    plan: Plan,
    *,
    folder: RunFolder | None,
    resumed: Resumed | None,
    keep: Keep,
    crew: train.Crew | None = None,
) -> Generator[Step, None, None]:
    """Train as planned, yielding each step; where that is planned, too, train anew on all rows after that.

    Args:
        plan: what to train on what.
        folder: where metrics and state are written, or None. The state is saved before the first step, at the end of
            each epoch, and when the iterator is closed between two steps; it is deleted when the run has ended.
        resumed: the state to go on from, or None to begin.
        keep: is handed the weights to use and the history, whenever they change for the better and at the end.
        crew: others who find gradients with us.

    Raises:
        TrainingError: the loss is not finite; `keep` was handed the last good weights before.
        WorkerError: the crew cannot go on; the state was saved as when the iterator is closed.
    """
    best = Best()
    if resumed is not None:
        best = Best(_named(resumed.arrays, "best."), **resumed.info["best"])
    if resumed is None or not resumed.info.get("refit"):
        yield from _train(plan, best, folder, resumed, keep, crew)
        resumed = None
    if plan.refit is not None:
        yield from _train_again(plan, best, folder, resumed, keep, crew)
    if folder is not None:
        folder.state.unlink()


def _train(
    plan: Plan,
    best: Best,
    folder: RunFolder | None,
    resumed: Resumed | None,
    keep: Keep,
    crew: train.Crew | None,
) -> Generator[Step, None, None]:
    """Train until the recipe or the patience ends."""
    state, recipe = _begin(plan, resumed)
    if folder is not None:
        _save(folder, plan, state, best)
        folder.rewind(state.step, epochs=[told_of_epoch(record, recipe.epochs) for record in best.history])

    measure = plan.measure
    steps = _steps(plan, state, recipe, None if measure is None else lambda: measure(train.weights(state)), crew)
    try:
        while not (plan.patience and best.epochs_since >= plan.patience):
            if (step := next(steps, None)) is None:
                break
            improved = step.end_of_epoch and best.note(step, _copy(train.weights(state)), patience=plan.patience)
            if improved:
                keep(plan, best.weights, best.history)
            if folder is not None:
                folder.log(asdict(step))
                if step.end_of_epoch:
                    _save(folder, plan, state, best)
            yield step
    except (GeneratorExit, TrainingError, WorkerError) as stop:
        keep(plan, best.weights or _copy(train.weights(state)), best.history)
        if folder is not None and not isinstance(stop, TrainingError):
            _save(folder, plan, state, best)
        raise
    keep(plan, best.weights, best.history, ended=True)


def _train_again(
    first: Plan,
    best: Best,
    folder: RunFolder | None,
    resumed: Resumed | None,
    keep: Keep,
    crew: train.Crew | None,
) -> Generator[Step, None, None]:
    """Train on all rows for as many epochs as the part held out was best after, under the schedule of before.

    Until that has ended, what was trained first is what is kept.
    """
    assert first.refit is not None, "it is planned"
    before = [record for record in best.history if not record.get("refit")]
    chosen = kept_epoch(before, patience=first.patience)["epoch"]
    plan = first.refit(before)
    state, recipe = _begin(plan, resumed)
    if resumed is None:
        state.seconds = before[-1]["seconds"]
    epochs, done = len(before) + chosen, before[-1]["step"]
    if folder is not None:
        _save(folder, first, state, best, refit=True)
        folder.rewind(done + state.step, epochs=[told_of_epoch(record, epochs) for record in best.history])
    steps = _steps(plan, state, recipe, None, crew)
    try:
        while len(best.history) < epochs and (one := next(steps, None)) is not None:
            numbers = {"epoch": len(before) + one.epoch, "epochs": epochs, "step": done + one.step, "refit": True}
            step = replace(one, **numbers, steps=done + one.steps // recipe.epochs * chosen)
            if step.end_of_epoch:
                best.history.append(told(step) | {"refit": True})
            if folder is not None:
                folder.log(asdict(step))
                if step.end_of_epoch:
                    _save(folder, first, state, best, refit=True)
            yield step
    except (GeneratorExit, TrainingError, WorkerError) as stop:
        keep(first, best.weights, before)
        if folder is not None and not isinstance(stop, TrainingError):
            _save(folder, first, state, best, refit=True)
        raise
    keep(plan, _copy(train.weights(state)), best.history, ended=True)


def _begin(plan: Plan, resumed: Resumed | None) -> tuple[State, train.Recipe]:
    """Make the state that a training starts from, or goes on from."""
    recipe = train.Recipe(**plan.recipe)
    drawn = train.initial_weights(
        plan.network, seed=recipe.seed, chrono=plan.chrono, embedding_scale=plan.embedding_scale
    )
    state = train.start(plan.network, drawn | dict(plan.begin), recipe, frozen=plan.frozen)
    if resumed is not None:
        train.unpack(state, resumed.arrays, resumed.info["train"])
    return state, recipe


def _steps(
    plan: Plan,
    state: State,
    recipe: train.Recipe,
    measure: Callable[[], dict[str, Any]] | None,
    crew: train.Crew | None,
) -> Iterator[Step]:
    return train.fit(
        state,
        recipe,
        lengths=plan.lengths,
        streams=plan.streams,
        loss=plan.loss,
        measure=measure,
        background=plan.background,
        crew=crew,
    )


def check_same(about: Json, stored: Json) -> None:
    """Raise RunFolderError unless a run is resumed with the parameters and the data that it was begun with."""
    for name, value in stored["params"].items():
        if about["params"].get(name) != value:
            raise RunFolderError(
                f"the run was begun with {name}={value!r}, not {about['params'].get(name)!r}. "
                "Resume it with the same parameters, or begin a new run."
            )
    if about["data"] != stored["data"]:
        raise RunFolderError(OTHER_DATA)
    if about.get("begin") != stored.get("begin"):
        raise RunFolderError(
            "the run was begun with other numbers: the file that they came from is another one by now. "
            "Resume it with the same file, or begin a new run."
        )


def begin_with(
    plan: Plan, begin: Mapping[str, Array], *, frozen: frozenset[str] = frozenset(), told: Json | None = None
) -> Plan:
    """Let parameters begin with given numbers; a run that is resumed must be given the same ones.

    Args:
        plan: what is trained.
        begin: parameters of its network by name.
        frozen: which of them stay as they are: the first ones of the network.
        told: what the recipe shall say about where they came from; under `found`, shares that the model file says, too.
    """
    given = dict(plan.begin) | dict(begin)
    numbers = fingerprint(given[name] for name in sorted(given))
    about = plan.about | {"begin": plan.about.get("begin", {}) | (told or {}) | {"numbers": numbers}}
    return replace(plan, begin=given, frozen=plan.frozen | frozen, about=about)


def resumed_from(run: RunFolder) -> Resumed | None:
    """Read the state to go on from; None where the run was killed before there was any, and begins."""
    if run.finished:
        raise RunFolderError(f"the run in {run.path} cannot be resumed: it came to its end.")
    return Resumed(*load_training(run.state)) if run.state.exists() else None


def released(steps: Generator[Step, None, None], release: ExitStack) -> Generator[Step, None, None]:
    """Yield steps, and let go of what was held for them after the last one."""
    with release:
        yield from steps


def versions() -> Json:
    """List the packages that a recipe names, with their versions."""
    from importlib.metadata import version

    packages = ("numpy", "tokenizers")
    return {"tidegate": __version__} | {package: version(package) for package in packages}


def fingerprint(*parts: Iterable[Array] | None) -> str:
    """Hash the arrays that a training and a validation part consist of."""
    digest = hashlib.sha256()
    for part in parts:
        for array in part or ():
            digest.update(np.ascontiguousarray(array).data)
        digest.update(b"|")
    return digest.hexdigest()


def _save(folder: RunFolder, plan: Plan, state: State, best: Best, *, refit: bool = False) -> None:
    arrays, info = train.pack(state)
    arrays |= {f"best.{name}": array for name, array in best.weights.items()}
    folder.flush_metrics()
    memory = {"loss": best.loss, "epochs_since": best.epochs_since, "history": best.history}
    save_training(folder.state, arrays, {"train": info, "best": memory, "about": plan.about, "refit": refit})


def _copy(weights: Weights) -> Weights:
    return {name: array.copy() for name, array in weights.items()}


def _named(arrays: Mapping[str, Array], prefix: str) -> Weights:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
