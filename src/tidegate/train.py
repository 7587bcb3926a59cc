"""Trains a module by yielding one `Step` after each update: logging, progress and early stopping are loops over it.

Knows a module, a loss and a recipe, not what is learned. All randomness is a function of (seed, step), so a run that is
stopped and resumed needs no generator state, and the caller's own torch generator is left as it was.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from tidegate import kernels
from tidegate.data import batch_count, batches
from tidegate.errors import TrainingError
from tidegate.network import Dense, Embed, Network, Recurrent, parameter_owner, parameter_shapes

Array: TypeAlias = npt.NDArray[Any]
Loss: TypeAlias = Callable[[npt.NDArray[np.int64], np.random.Generator], tuple[Tensor, int]]
"""Takes the indices of a batch and a generator of its own; returns the mean loss and the number of tokens read."""
Measure: TypeAlias = Callable[[], Mapping[str, float]]


@dataclass(frozen=True)
class Recipe:
    """Say how to train.

    `learning_rate` rises in a line over the first `warmup` (a share of all steps) and then follows `schedule`.
    `weight_decay` is decoupled with adamw, and leaves biases alone. Gradients longer than `max_grad_norm` are clipped.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    optimizer: Literal["adam", "adamw"] = "adamw"
    weight_decay: float = 0.0
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    warmup: float = 0.0
    max_grad_norm: float = math.inf
    seed: int = 0


@dataclass(frozen=True)
class Step:
    """Report one update; `epoch` and `step` count from 1, `step` over the whole run."""

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    mean_loss: float  # of the epoch so far, every sequence weighing the same
    learning_rate: float
    grad_norm: float  # before clipping
    tokens: int  # in this batch
    seconds: float  # of training since the start, what was spent before a resume included
    end_of_epoch: bool
    valid: Mapping[str, float] | None = None  # measured at the end of an epoch, where there is something to measure on


@dataclass
class State:
    """Hold a run between two updates: `fit` moves it forward, `pack` and `unpack` carry it through a file."""

    module: nn.Module
    optimizer: torch.optim.Optimizer
    step: int = 0
    seconds: float = 0.0
    loss_sum: float = 0.0  # over the sequences of the running epoch
    sequences: int = 0


def start(module: nn.Module, recipe: Recipe) -> State:
    """Begin a run: a module with the weights it starts from, and the optimiser of the recipe."""
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[recipe.optimizer]
    matrices = [p for p in module.parameters() if p.ndim > 1]
    vectors = [p for p in module.parameters() if p.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": recipe.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return State(module, kind([g for g in groups if g["params"]], lr=recipe.learning_rate, fused=True))


def fit(
    state: State, recipe: Recipe, *, lengths: npt.NDArray[np.int64], loss: Loss, measure: Measure | None = None
) -> Iterator[Step]:
    """Train to the end of the recipe from where `state` stands, yielding a record after each update.

    Between two records `state` is whole: it may be packed, or the iterator dropped and another one begun on it.

    Args:
        state: from `start`, or `unpack`ed from a file.
        recipe: the same one that the run was started with.
        lengths: [B] length of each training sequence, for batches of like lengths.
        loss: called once per update.
        measure: called at the end of each epoch; what it returns is `Step.valid`.

    Raises:
        TrainingError: the loss or the gradient is not finite, and the weights are those of the step before; or what
            `measure` returned is not.
    """
    per_epoch = batch_count(len(lengths), recipe.batch_size)
    total = per_epoch * recipe.epochs
    while state.step < total:
        epoch, begin = divmod(state.step, per_epoch)
        for indices in batches(lengths, recipe.batch_size, seed=recipe.seed, epoch=epoch, start=begin):
            yield _update(state, recipe, total=total, indices=indices, loss=loss, measure=measure)


def learning_rate(recipe: Recipe, step: int, *, total: int) -> float:
    """Compute the learning rate of a step (from 0) of `total`, from nothing else.

    >>> recipe = Recipe(epochs=1, batch_size=1, learning_rate=1.0, schedule="linear", warmup=0.5)
    >>> [learning_rate(recipe, step, total=8) for step in range(8)]
    [0.25, 0.5, 0.75, 1.0, 1.0, 0.75, 0.5, 0.25]
    """
    warm = round(recipe.warmup * total)
    if step < warm:
        return recipe.learning_rate * (step + 1) / warm
    done = (step - warm) / (total - warm)
    match recipe.schedule:
        case "constant":
            return recipe.learning_rate
        case "linear":
            return recipe.learning_rate * (1 - done)
        case "cosine":
            return recipe.learning_rate * (1 + math.cos(math.pi * done)) / 2


def initial_weights(network: Network, *, seed: int, embedding_scale: float = 0.05) -> dict[str, Array]:
    """Draw the float32 weights that training starts from, a function of the network and the seed alone.

    Tables are uniform within `embedding_scale`, matrices Glorot uniform, recurrent matrices orthogonal, biases zero but
    the forget gate's, which is one (Jozefowicz et al. 2015): the choices of Keras, which the tutorials build on.
    """
    rng = np.random.default_rng([seed, 0])
    weights: dict[str, Array] = {}
    for name, shape in parameter_shapes(network).items():
        node, parameter = parameter_owner(network, name)
        weights[name] = _draw(rng, node, parameter, shape, embedding_scale).astype(np.float32)
    return weights


def pack(state: State) -> tuple[dict[str, Array], dict[str, Any]]:
    """Copy a state into arrays by name and a JSON object, for `checkpoint.save_training`."""
    arrays = {f"weight.{name}": p.detach().numpy().copy() for name, p in state.module.named_parameters()}
    for name, parameter in state.module.named_parameters():
        for key, value in state.optimizer.state.get(parameter, {}).items():
            arrays[f"optimizer.{key}.{name}"] = value.numpy().copy()
    info = {key: getattr(state, key) for key in ("step", "seconds", "loss_sum", "sequences")}
    return arrays, info


def unpack(state: State, arrays: Mapping[str, Array], info: Mapping[str, Any]) -> None:
    """Bring a state that was just begun to where the packed one stood."""
    with torch.no_grad():
        for name, parameter in state.module.named_parameters():
            parameter.copy_(torch.from_numpy(arrays[f"weight.{name}"].copy()))
            kept = {key.split(".")[1] for key in arrays if key.startswith("optimizer.") and key.endswith(f".{name}")}
            for key in kept:
                state.optimizer.state[parameter][key] = torch.from_numpy(arrays[f"optimizer.{key}.{name}"].copy())
    for key in ("step", "seconds", "loss_sum", "sequences"):
        setattr(state, key, info[key])


def _update(
    state: State,
    recipe: Recipe,
    *,
    total: int,
    indices: npt.NDArray[np.int64],
    loss: Loss,
    measure: Measure | None,
) -> Step:
    begun = time.perf_counter()
    rate = learning_rate(recipe, state.step, total=total)
    for group in state.optimizer.param_groups:
        group["lr"] = rate
    state.module.train()
    with _threads_for_kernels():
        with _own_randomness(recipe.seed, state.step) as rng:
            value, tokens = loss(indices, rng)
            lost = value.item()
            _require_finite("loss", lost, state.step + 1, rate)
            state.optimizer.zero_grad()
            value.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(state.module.parameters(), recipe.max_grad_norm).item()
        _require_finite("gradient norm", norm, state.step + 1, rate)
        state.optimizer.step()
    state.step += 1
    state.loss_sum += lost * len(indices)
    state.sequences += len(indices)
    mean_loss, end = state.loss_sum / state.sequences, state.step % (total // recipe.epochs) == 0
    if end:
        state.loss_sum, state.sequences = 0.0, 0
    valid = measure() if end and measure is not None else None
    for name, number in (valid or {}).items():
        _require_finite(f"validation {name}", number, state.step, rate)
    state.seconds += time.perf_counter() - begun
    return Step(
        epoch=-(-state.step * recipe.epochs // total),
        epochs=recipe.epochs,
        step=state.step,
        steps=total,
        loss=lost,
        mean_loss=mean_loss,
        learning_rate=rate,
        grad_norm=norm,
        tokens=tokens,
        seconds=state.seconds,
        end_of_epoch=end,
        valid=valid,
    )


@contextmanager
def _threads_for_kernels() -> Iterator[None]:
    """Leave the cores to the kernels for one update.

    What torch does beside them is small, and its own threads would wait in a loop for more of it on the cores that the
    kernels need (2.5 times slower on a busy machine, 2026-11-21).
    """
    of_torch, explicit = torch.get_num_threads(), kernels.explicit_num_threads()
    kernels.set_num_threads(explicit or of_torch)
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(of_torch)
        kernels.set_num_threads(explicit)


@contextmanager
def _own_randomness(seed: int, step: int) -> Iterator[np.random.Generator]:
    """Seed NumPy's and torch's randomness for one update, and put the caller's torch generator back after it."""
    rng = np.random.default_rng([seed, 1, step])
    before = torch.get_rng_state()
    torch.default_generator.manual_seed(int(rng.integers(2**63)))
    try:
        yield rng
    finally:
        torch.set_rng_state(before)


def _require_finite(what: str, value: float, step: int, rate: float) -> None:
    if not math.isfinite(value):
        raise TrainingError(
            f"the {what} is {value} at step {step} (learning rate {rate:.3g}). The last good weights are "
            "kept. Lower the learning rate, set max_grad_norm, or look for very large features."
        )


def _draw(
    rng: np.random.Generator, node: object, parameter: str, shape: tuple[int, ...], embedding_scale: float
) -> Array:
    match node:
        case Embed():
            return rng.uniform(-embedding_scale, embedding_scale, shape)
        case Recurrent(hidden_size=hidden) if parameter.startswith("weight_hh"):
            q, r = np.linalg.qr(rng.standard_normal(shape))  # [G*H, H]
            return q * np.sign(np.diag(r))  # uniform over the orthogonal matrices (Mezzadri 2007)
        case Recurrent(cell="lstm", hidden_size=hidden) if parameter.startswith("bias_ih"):
            return np.repeat([0.0, 1.0, 0.0, 0.0], hidden)  # i f g o
        case Recurrent() | Dense() if len(shape) > 1:
            limit = math.sqrt(6 / sum(shape))
            return rng.uniform(-limit, limit, shape)
    return np.zeros(shape)
