"""Trains a module by yielding one `Step` after each update: logging, progress and early stopping are loops over it.

Knows a module, a loss and a recipe, not what is learned. All randomness is a function of (seed, step), so a run that is
stopped and resumed needs no generator state, and the caller's own torch generator is left as it was.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from tidegate import kernels
from tidegate.cells import CELLS
from tidegate.data import batch_count, batches
from tidegate.data.streams import Chunk, Streams
from tidegate.errors import InputError, TrainingError
from tidegate.health import EVERY, Background, ClassHealth, Health, HealthWarning, Watch
from tidegate.network import Decode, Dense, Embed, Network, Recurrent, parameter_owner, parameter_shapes
from tidegate.nn.health import Gauge, blame
from tidegate.nn.options import check_chrono

Array: TypeAlias = npt.NDArray[Any]
Loss: TypeAlias = Callable[[npt.NDArray[np.int64], np.random.Generator], tuple[Tensor, int]]
"""Takes the indices of a batch and a generator of its own; returns the mean loss and the number of tokens read."""
Carried: TypeAlias = dict[str, Tensor]
"""The states that streams carry from one update to the next, by name, each [L * D, streams, H]."""
StreamLoss: TypeAlias = Callable[[Chunk, Carried, np.random.Generator], tuple[Tensor, int, Carried]]
"""Takes a chunk, the states that its streams go on from and a generator; returns what a `Loss` does, and new states."""
Measure: TypeAlias = Callable[[], Mapping[str, Any]]
"""Returns what the weights reach: numbers under their names, and under `classes` a `ClassHealth` if there are any."""


@dataclass(frozen=True)
class Recipe:
    """Say how to train.

    `learning_rate` rises in a line over the first `warmup` (a share of all steps) and then follows `schedule`.
    `weight_decay` is decoupled with adamw, and leaves biases alone. Gradients longer than `max_grad_norm` are clipped.
    `average` is the share of the past in a moving average of the weights (Polyak & Juditsky 1992), which `weights`
    returns; the past counts less in the first steps, (1 + step) / (10 + step) at most. With 0 there is none.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    optimizer: Literal["adam", "adamw"] = "adamw"
    weight_decay: float = 0.0
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    warmup: float = 0.0
    max_grad_norm: float = math.inf
    average: float = 0.0
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
    health: Health
    valid: Mapping[str, float] | None = None  # measured at the end of an epoch, where there is something to measure on
    warnings: tuple[HealthWarning, ...] = ()  # new ones; a run gives each kind once
    classes: ClassHealth | None = None  # where `valid` was measured over classes


@dataclass
class State:
    """Hold a run between two updates: `fit` moves it forward, `pack` and `unpack` carry it through a file."""

    module: nn.Module
    optimizer: torch.optim.Optimizer
    step: int = 0
    seconds: float = 0.0
    loss_sum: float = 0.0  # over the sequences of the running epoch, or the tokens of streams
    sequences: int = 0
    watch: Watch = field(default_factory=Watch)
    carried: Carried = field(default_factory=dict)  # by the streams, within an epoch
    average: dict[str, Tensor] = field(default_factory=dict)  # of the weights by name, where the recipe wants one


_PACKED = ("step", "seconds", "loss_sum", "sequences")


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
    state: State,
    recipe: Recipe,
    *,
    lengths: npt.NDArray[np.int64] | None = None,
    streams: Streams | None = None,
    loss: Callable[..., Any],
    measure: Measure | None = None,
    background: Background | None = None,
) -> Iterator[Step]:
    """Train to the end of the recipe from where `state` stands, yielding a record after each update.

    Between two records `state` is whole: it may be packed, or the iterator dropped and another one begun on it.

    Args:
        state: from `start`, or what `unpack` read from a file.
        recipe: the same one that the run was started with.
        lengths: [B] length of each training sequence, for batches of whole sequences in random order.
        streams: instead of `lengths`, a corpus whose chunks are read in order: back-propagation is truncated at the
            borders of chunks, but the state is carried on. It is part of what `pack` copies.
        loss: a `Loss`, or with streams a `StreamLoss`; called once per update, and after a loss or gradient that is not
            finite once per sequence of the batch, or per stream.
        measure: called at the end of each epoch; what it returns are `Step.valid` and `Step.classes`.
        background: what is known of the training data, for warnings and for the row that an error names.

    Raises:
        TrainingError: the loss or the gradient is not finite, and the weights are those of the step before, or where
            those are not finite, of up to 50 steps before; or what `measure` returned is not finite. The batch and the
            row are named.
        InputError: lengths and streams came, or neither.
    """
    work: Work
    if lengths is not None and streams is None:
        work = _Sequences(lengths, recipe, loss)
    elif streams is not None and lengths is None:
        work = _Corpus(streams, recipe, loss, state)
    else:
        raise InputError("wanted either lengths, to train on whole sequences, or streams, to train on a corpus.")
    good = [parameter.detach().clone() for parameter in state.module.parameters()]
    return _updates(_Run(state, recipe, work, measure, Gauge(state.module), background or Background(), good))


def _updates(run: _Run) -> Iterator[Step]:
    while run.state.step < run.total:
        epoch, begin = divmod(run.state.step, run.work.per_epoch)
        for batch in run.work.batches(epoch, begin):
            yield run.update(batch)


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


def initial_weights(
    network: Network,
    *,
    seed: int,
    embedding_scale: float = 0.05,
    forget_bias: float = 1.0,
    chrono: int | None = None,
) -> dict[str, Array]:
    """Draw the float32 weights that training starts from, a function of the arguments alone.

    Tables are uniform within `embedding_scale`, matrices Glorot uniform, recurrent matrices orthogonal, biases zero but
    the forget gate's, which is one (Jozefowicz et al. 2015): the choices of Keras, which the tutorials build on.

    Args:
        network: what the weights are for.
        seed: another seed gives other weights.
        embedding_scale: the largest number in a table.
        forget_bias: of the gate that keeps the cell state, in a cell that carries one.
        chrono: the longest memory T, in steps, that the task asks for. The biases of the gates that keep the state (the
            forget gate; z of a gru) are then log U(1, T - 1), drawn per unit, in place of `forget_bias`, and those of
            the input gate their negative (Tallec, Ollivier 2018, section 2).

    Raises:
        InputError: `chrono` is below 2.

    >>> layer = Recurrent(cell="lstm", input_size=1, hidden_size=3)
    >>> bias = initial_weights(Network.of(layer), seed=0, chrono=100)["0.bias_ih_l0"].reshape(4, 3)
    >>> i, f, g, o = bias.round(1).astype(float).round(1).tolist()
    >>> i, f
    ([-2.2, -4.4, -4.4], [2.2, 4.4, 4.4])
    """
    check_chrono(chrono)
    rng = np.random.default_rng([seed, 0])
    weights: dict[str, Array] = {}
    for name, shape in parameter_shapes(network).items():
        node, parameter = parameter_owner(network, name)
        array = _draw(rng, node, parameter, shape, embedding_scale)
        if isinstance(node, Recurrent) and parameter.startswith("bias_ih"):
            _start_gates(array, rng, node, forget_bias, chrono)
        weights[name] = array.astype(np.float32)
    return weights


def pack(state: State) -> tuple[dict[str, Array], dict[str, Any]]:
    """Copy a state into arrays by name and a JSON object, for `checkpoint.save_training`."""
    arrays = {f"weight.{name}": p.detach().numpy().copy() for name, p in state.module.named_parameters()}
    for name, parameter in state.module.named_parameters():
        for key, value in state.optimizer.state.get(parameter, {}).items():
            arrays[f"optimizer.{key}.{name}"] = value.numpy().copy()
    for prefix, tensors in (("carried", state.carried), ("average", state.average)):
        arrays |= {f"{prefix}.{name}": tensor.numpy().copy() for name, tensor in tensors.items()}
    info = {key: getattr(state, key) for key in _PACKED}
    return arrays, info | {"watch": asdict(state.watch)}


def unpack(state: State, arrays: Mapping[str, Array], info: Mapping[str, Any]) -> None:
    """Bring a state that was just begun to where the packed one stood."""
    with torch.no_grad():
        for name, parameter in state.module.named_parameters():
            parameter.copy_(torch.from_numpy(arrays[f"weight.{name}"].copy()))
            kept = {key.split(".")[1] for key in arrays if key.startswith("optimizer.") and key.endswith(f".{name}")}
            for key in kept:
                state.optimizer.state[parameter][key] = torch.from_numpy(arrays[f"optimizer.{key}.{name}"].copy())
    state.carried, state.average = (_unpacked(arrays, prefix) for prefix in ("carried.", "average."))
    for key in _PACKED:
        setattr(state, key, info[key])
    state.watch = Watch(**info.get("watch", {}))  # a state of version 0.1 has none


def weights(state: State) -> dict[str, Array]:
    """Return the weights to measure and to keep, by name: the average where the recipe wants one; they may be views."""
    return {
        name: (state.average[name] if state.average else parameter.detach()).numpy()
        for name, parameter in state.module.named_parameters()
    }


class Work(Protocol):
    """Say what the updates of an epoch read, and what of it is one example."""

    per_epoch: int  # updates

    def batches(self, epoch: int, start: int) -> Iterator[Any]:
        """Yield what the updates of an epoch read, without the `start` first ones."""

    def lose(self, batch: Any, rng: np.random.Generator) -> tuple[Tensor, int]:
        """Return the mean loss and the number of tokens read."""

    def weigh(self, batch: Any) -> int:
        """Say how much the mean loss of a batch counts in that of the epoch."""

    def examples(self, batch: Any) -> list[Any]:
        """Cut a batch into those that hold one example each."""

    def row(self, batch: Any) -> int:
        """Number the first example of a batch, as the training data has it."""

    def move_on(self, *, end: bool) -> None:
        """Take note that an update has been made, and whether it was the last of its epoch."""


class _Sequences:
    """Whole sequences in random order."""

    def __init__(self, lengths: npt.NDArray[np.int64], recipe: Recipe, loss: Loss) -> None:
        self.lengths, self.recipe, self.lose = lengths, recipe, loss
        self.per_epoch = batch_count(len(lengths), recipe.batch_size)

    def batches(self, epoch: int, start: int) -> Iterator[npt.NDArray[np.int64]]:
        return batches(self.lengths, self.recipe.batch_size, seed=self.recipe.seed, epoch=epoch, start=start)

    def weigh(self, batch: npt.NDArray[np.int64]) -> int:
        return len(batch)

    def examples(self, batch: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
        return [batch[index : index + 1] for index in range(len(batch))]

    def row(self, batch: npt.NDArray[np.int64]) -> int:
        return int(batch[0])

    def move_on(self, *, end: bool) -> None:
        """Carry nothing."""


class _Corpus:
    """Streams that carry their state from one chunk to the next; a batch is a chunk and what it goes on from."""

    def __init__(self, streams: Streams, recipe: Recipe, loss: StreamLoss, state: State) -> None:
        self.streams, self.recipe, self.loss, self.state = streams, recipe, loss, state
        self.per_epoch = streams.chunks_per_epoch
        self.after: Carried = {}

    def batches(self, epoch: int, start: int) -> Iterator[tuple[Chunk, Carried]]:
        return ((chunk, self.state.carried) for chunk in self.streams.chunks(self.recipe.seed, epoch, start))

    def lose(self, batch: tuple[Chunk, Carried], rng: np.random.Generator) -> tuple[Tensor, int]:
        value, tokens, self.after = self.loss(*batch, rng)
        return value, tokens

    def weigh(self, batch: tuple[Chunk, Carried]) -> int:
        return len(batch[0])

    def examples(self, batch: tuple[Chunk, Carried]) -> list[tuple[Chunk, Carried]]:
        chunk, carried = batch
        alone = [chunk.alone(stream) for stream in range(len(chunk.first))]
        parts = ({name: c[:, index : index + 1] for name, c in carried.items()} for index in range(len(alone)))
        return [(one, part) for one, part in zip(alone, parts, strict=True) if len(one)]

    def row(self, batch: tuple[Chunk, Carried]) -> int:
        return int(np.searchsorted(np.cumsum(self.streams.lengths), batch[0].tokens[0], side="right"))

    def move_on(self, *, end: bool) -> None:
        self.state.carried = {} if end else self.after


@dataclass(frozen=True)
class _Run:
    """Make the updates of a run: what stays the same from one to the next."""

    state: State
    recipe: Recipe
    work: Work
    measure: Measure | None
    gauge: Gauge
    background: Background
    good: list[Tensor]  # weights that gave a finite loss, some steps ago

    @property
    def total(self) -> int:
        """Count the updates of all epochs."""
        return self.work.per_epoch * self.recipe.epochs

    def update(self, batch: Any) -> Step:
        """Make one update and report it."""
        begun, state = time.perf_counter(), self.state
        epoch, done = divmod(state.step, self.work.per_epoch)
        rate, end = learning_rate(self.recipe, state.step, total=self.total), done + 1 == self.work.per_epoch
        look = end or state.step % EVERY == 0
        with _threads_for_kernels(), self.gauge.looking(look):
            lost, tokens, grad_norm, norms = self._move(batch, rate, look=look)
        mean_loss = self._count(lost, self.work.weigh(batch), end=end)
        self.work.move_on(end=end)
        valid, classes = self._measured(rate) if end and self.measure is not None else (None, None)
        health = state.watch.record(
            norms,
            grad_norm=grad_norm,
            max_grad_norm=self.recipe.max_grad_norm,
            saturated=self.gauge.saturated if look else None,
            reach=self.gauge.reach if look else None,
        )
        warnings = state.watch.judge(
            health, grad_norm=grad_norm, mean_loss=mean_loss, end_of_epoch=end, background=self.background
        )
        state.seconds += time.perf_counter() - begun
        return Step(
            epoch=epoch + 1,
            epochs=self.recipe.epochs,
            step=state.step,
            steps=self.total,
            loss=lost,
            mean_loss=mean_loss,
            learning_rate=rate,
            grad_norm=grad_norm,
            tokens=tokens,
            seconds=state.seconds,
            end_of_epoch=end,
            health=health,
            valid=valid,
            warnings=warnings,
            classes=classes,
        )

    def _measured(self, rate: float) -> tuple[dict[str, float], ClassHealth | None]:
        assert self.measure is not None, "there is something to measure on"
        valid = dict(self.measure())
        classes = valid.pop("classes", None)
        for name, number in valid.items():
            if not math.isfinite(number):
                raise self._failure(f"validation {name}", number, rate)
        return valid, classes

    def _move(self, batch: Any, rate: float, *, look: bool) -> tuple[float, int, float, dict[str, float]]:
        """Change the weights; return loss, tokens, the length of the gradient, and that of each layer's part of it."""
        state = self.state
        for group in state.optimizer.param_groups:
            group["lr"] = rate
        state.module.train()
        with _own_randomness(self.recipe.seed, state.step) as rng:
            value, tokens = self.work.lose(batch, rng)
            lost = value.item()
            self._require_finite("loss", lost, batch, rate)
            state.optimizer.zero_grad()
            value.backward()  # type: ignore[no-untyped-call]
            length, norms = self.gauge.grad_norms()
            grad_norm = length.item()
            self._require_finite("gradient norm", grad_norm, batch, rate)
        if look:
            _copy(state.module.parameters(), self.good)
        if grad_norm > self.recipe.max_grad_norm:
            nn.utils.clip_grads_with_norm_(state.module.parameters(), self.recipe.max_grad_norm, length)
        state.optimizer.step()
        if self.recipe.average:
            _move_average(state, self.recipe.average)
        return lost, tokens, grad_norm, norms

    def _count(self, lost: float, weight: int, *, end: bool) -> float:
        """Count an update in and return the mean loss of the epoch so far."""
        state = self.state
        state.step += 1
        state.loss_sum += lost * weight
        state.sequences += weight
        mean_loss = state.loss_sum / state.sequences
        if end:
            state.loss_sum, state.sequences = 0.0, 0
        return mean_loss

    def _require_finite(self, what: str, value: float, batch: Any, rate: float) -> None:
        if math.isfinite(value):
            return
        module, examples = self.state.module, self.work.examples(batch)
        with _own_randomness(self.recipe.seed, self.state.step) as rng:
            found = blame(module, lambda index: self.work.lose(examples[index], rng)[0], len(examples))
        row = self.work.row(examples[found.first])
        raise self._failure(what, value, rate, found.tell(self.background.row(row)))

    def _failure(self, what: str, value: float, rate: float, whence: str = "") -> TrainingError:
        """Put back finite weights and say what went wrong where."""
        parameters = list(self.state.module.parameters())
        if not all(parameter.isfinite().all() for parameter in parameters):
            _copy(self.good, parameters)
        step = self.state.step + bool(whence)  # an update that failed has not been counted
        epoch, done = divmod(step - 1, self.work.per_epoch)
        place = f"epoch {epoch + 1}, batch {done + 1} of {self.work.per_epoch}, learning rate {rate:.3g}"
        said = (f"the {what} is {value} at step {step} ({place}).", whence, _REMEDY)
        return TrainingError(" ".join(filter(None, said)))


_REMEDY = "The last good weights are kept. Lower the learning rate, set max_grad_norm, or look for very large features."


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


def _move_average(state: State, share: float) -> None:
    """Let the weights of this step into their average, which begins with those of the first step."""
    past = min(share, (1 + state.step) / (10 + state.step))
    with torch.no_grad():
        for name, parameter in state.module.named_parameters():
            if name in state.average:
                state.average[name].lerp_(parameter, 1 - past)
            else:
                state.average[name] = parameter.detach().clone()


def _unpacked(arrays: Mapping[str, Array], prefix: str) -> dict[str, Tensor]:
    named = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
    return {name: torch.from_numpy(array.copy()) for name, array in named.items()}


def _copy(sources: Iterable[Tensor], targets: Iterable[Tensor]) -> None:
    with torch.no_grad():
        for source, target in zip(sources, targets, strict=True):
            target.copy_(source)


def _draw(
    rng: np.random.Generator, node: object, parameter: str, shape: tuple[int, ...], embedding_scale: float
) -> Array:
    match node:
        case Embed():
            return rng.uniform(-embedding_scale, embedding_scale, shape)
        case Decode():
            return rng.standard_normal(shape)  # as published
        case Recurrent() if parameter.startswith("weight_hh"):
            q, r = np.linalg.qr(rng.standard_normal(shape))  # [G*H, H]
            return q * np.sign(np.diag(r))  # uniform over the orthogonal matrices (Mezzadri 2007)
        case Recurrent() | Dense() if len(shape) > 1:
            limit = math.sqrt(6 / sum(shape))
            return rng.uniform(-limit, limit, shape)
    return np.zeros(shape)


def _start_gates(
    bias: Array, rng: np.random.Generator, node: Recurrent, forget_bias: float, chrono: int | None
) -> None:
    """Set the biases [G * H] of the gates that keep and let in, in place; those of other cells stay."""
    gates, cell = bias.reshape(-1, node.hidden_size), CELLS[node.cell]  # [G, H]
    keep: float | Array = forget_bias if cell.carries_c else 0.0
    if chrono is not None:
        keep = np.log(rng.uniform(1, chrono - 1, node.hidden_size))
    if cell.keeps is not None:
        gates[cell.keeps] = keep
    if cell.lets_in is not None and chrono is not None:
        gates[cell.lets_in] = -keep
