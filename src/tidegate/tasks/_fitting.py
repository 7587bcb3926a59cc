"""Trains a classifier's network: early stopping, the run folder and resuming, as one loop over steps.

Knows a plan and where to write. Knows no texts and no labels: a plan holds sequences and the numbers of classes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.checkpoint import save_training
from tidegate.errors import RunFolderError, TrainingError
from tidegate.health import Background
from tidegate.network import Network
from tidegate.ragged import Ragged
from tidegate.runtime import Executor, run_sorted

if TYPE_CHECKING:
    from torch import Tensor

    from tidegate.tasks.run import RunFolder
    from tidegate.train import State, Step

Array: TypeAlias = npt.NDArray[Any]
Weights: TypeAlias = dict[str, Array]
Json: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Part:
    """Hold sequences, and for each the number of its class."""

    x: Ragged
    y: npt.NDArray[np.int64]  # [B]


@dataclass(frozen=True)
class Plan:
    """Say what is trained on what; `about` goes into the state, and a resumed run must agree with it."""

    network: Network
    recipe: Json  # the arguments of train.Recipe
    patience: int  # epochs without a better validation loss before the run ends; 0 never ends it early
    learn: Part
    valid: Part | None
    augment: Callable[[Ragged, np.random.Generator], Ragged]
    about: Json
    background: Background = field(default_factory=Background)


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
        valid = {f"valid_{name}": value for name, value in (step.valid or {}).items()}
        kept = ("epoch", "step", "learning_rate", "seconds")
        self.history.append({key: getattr(step, key) for key in kept} | {"loss": step.mean_loss} | valid)
        loss = None if step.valid is None or not patience else step.valid["loss"]
        if loss is not None and self.loss is not None and loss >= self.loss:
            self.epochs_since += 1
            return False
        self.weights, self.loss, self.epochs_since = weights, loss, 0
        return True


def follow(
    plan: Plan, *, folder: RunFolder | None, resumed: Resumed | None, keep: Callable[[Weights, list[Json]], None]
) -> Generator[Step, None, None]:
    """Train as planned, yielding each step.

    Args:
        plan: what to train on what.
        folder: where metrics and state are written, or None. The state is saved before the first step, at the end of
            each epoch, and when the iterator is closed between two steps; it is deleted when the run has ended.
        resumed: the state to go on from, or None to begin.
        keep: is handed the weights to use and the history, whenever they change for the better and at the end.

    Raises:
        TrainingError: the loss is not finite; `keep` was handed the last good weights before.
    """
    from tidegate import nn, train

    module = nn.build(plan.network)
    recipe = train.Recipe(**plan.recipe)
    _load(module, train.initial_weights(plan.network, seed=recipe.seed))
    state, best = train.start(module, recipe), Best()
    if resumed is not None:
        train.unpack(state, resumed.arrays, resumed.info["train"])
        best = Best(_named(resumed.arrays, "best."), **resumed.info["best"])
    if folder is not None:
        _save(folder, plan, state, best)
        folder.rewind(state.step)

    def loss(indices: npt.NDArray[np.int64], rng: np.random.Generator) -> tuple[Tensor, int]:
        return _loss(module, plan, indices, rng)

    def measure() -> dict[str, float]:
        assert plan.valid is not None
        return evaluate(Executor(plan.network, _weights(module)), plan.valid)

    lengths = np.asarray(plan.learn.x.lengths)
    measured = measure if plan.valid else None
    steps = train.fit(state, recipe, lengths=lengths, loss=loss, measure=measured, background=plan.background)
    try:
        while not (plan.patience and best.epochs_since >= plan.patience):
            if (step := next(steps, None)) is None:
                break
            improved = step.end_of_epoch and best.note(step, _copy(_weights(module)), patience=plan.patience)
            if improved:
                keep(best.weights, best.history)
            if folder is not None:
                folder.log(asdict(step))
                if step.end_of_epoch:
                    _save(folder, plan, state, best)
            yield step
    except (GeneratorExit, TrainingError) as stop:
        keep(best.weights or _copy(_weights(module)), best.history)
        if folder is not None and isinstance(stop, GeneratorExit):
            _save(folder, plan, state, best)
        raise
    keep(best.weights, best.history)
    if folder is not None:
        folder.state.unlink()


def check_same(about: Json, stored: Json) -> None:
    """Raise RunFolderError unless a run is resumed with the parameters and the data that it was begun with."""
    for name, value in stored["params"].items():
        if about["params"].get(name) != value:
            raise RunFolderError(
                f"the run was begun with {name}={value!r}, not {about['params'].get(name)!r}. "
                "Resume it with the same parameters, or begin a new run."
            )
    if about["data"] != stored["data"]:
        raise RunFolderError("the run was begun on other data. Resume it with the same data, or begin a new run.")


def fingerprint(*parts: Part | None) -> str:
    """Hash the sequences and classes of a training and a validation part."""
    digest = hashlib.sha256()
    for part in parts:
        for array in () if part is None else (part.x.values, part.x.offsets, part.y):
            digest.update(np.ascontiguousarray(array).data)
        digest.update(b"|")
    return digest.hexdigest()


def evaluate(executor: Executor, part: Part) -> dict[str, float]:
    """Measure the mean cross-entropy, in nats, and the accuracy."""
    logits = run_sorted(executor, part.x).astype(np.float64)  # [B, K]
    logits -= logits.max(axis=1, keepdims=True)
    right = np.take_along_axis(logits, part.y[:, None], axis=1)[:, 0]
    losses = np.log(np.exp(logits).sum(axis=1)) - right
    return {"loss": float(losses.mean()), "accuracy": float((logits.argmax(axis=1) == part.y).mean())}


def _loss(module: Any, plan: Plan, indices: npt.NDArray[np.int64], rng: np.random.Generator) -> tuple[Tensor, int]:
    import torch

    from tidegate.nn import to_torch

    batch = plan.augment(plan.learn.x.select(indices), rng)
    logits = module(to_torch(batch))  # [B, K]
    return torch.nn.functional.cross_entropy(logits, torch.from_numpy(plan.learn.y[indices])), len(batch.values)


def _save(folder: RunFolder, plan: Plan, state: State, best: Best) -> None:
    from tidegate import train

    arrays, info = train.pack(state)
    arrays |= {f"best.{name}": array for name, array in best.weights.items()}
    memory = {"loss": best.loss, "epochs_since": best.epochs_since, "history": best.history}
    save_training(folder.state, arrays, {"train": info, "best": memory, "about": plan.about})


def _load(module: Any, weights: Weights) -> None:
    import torch

    module.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})


def _weights(module: Any) -> Weights:
    return {name: parameter.detach().numpy() for name, parameter in module.named_parameters()}


def _copy(weights: Weights) -> Weights:
    return {name: array.copy() for name, array in weights.items()}


def _named(arrays: Mapping[str, Array], prefix: str) -> Weights:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
