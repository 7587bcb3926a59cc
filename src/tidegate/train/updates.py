"""Makes the updates of a run, one `Step` after each: what is lost, its gradient, and what the optimiser makes of it.

Knows a program, a recipe and what to read, not what is learned. All randomness is a function of (seed, step), so a run
that is stopped and resumed needs no generator state.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.data.streams import Streams
from tidegate.engine import Lost
from tidegate.engine.gauge import Gauge, layer_names
from tidegate.errors import InputError, TrainingError
from tidegate.health import EVERY, Background, Blame, ClassHealth, Health, HealthWarning
from tidegate.train.crew import Crew
from tidegate.train.recipe import Recipe, learning_rate
from tidegate.train.state import State
from tidegate.train.work import Asked, Corpus, Loss, Sequences, StreamLoss, Work

Array: TypeAlias = npt.NDArray[Any]
Measure: TypeAlias = Callable[[], Mapping[str, Any]]
"""Returns what the weights reach: numbers under their names; under `classes` a `ClassHealth`, and under `beside` plain
values for the record of the epoch, if there are any."""


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
    beside: Mapping[str, Any] | None = None  # plain values that were found with it, such as lists
    refit: bool = False  # whether it is of the second training of a run, on all rows


def fit(
    state: State,
    recipe: Recipe,
    *,
    lengths: npt.NDArray[np.int64] | None = None,
    streams: Streams | None = None,
    loss: Loss | StreamLoss,
    measure: Measure | None = None,
    background: Background | None = None,
    crew: Crew | None = None,
) -> Iterator[Step]:
    """Train to the end of the recipe from where `state` stands, yielding a record after each update.

    Between two records `state` is whole: it may be packed, or the iterator dropped and another one begun on it.

    Args:
        state: from `start`, or what `unpack` read from a file.
        recipe: the same one that the run was started with.
        lengths: [B] length of each training sequence, for batches of whole sequences in random order.
        streams: instead of `lengths`, a corpus whose chunks are read in order: back-propagation is truncated at the
            borders of chunks, but the state is carried on. It is part of what `pack` copies.
        loss: a `Loss`, or with streams a `StreamLoss`; called once per update.
        measure: called at the end of each epoch; what it returns are `Step.valid` and `Step.classes`.
        background: what is known of the training data, for warnings and for the row that an error names.
        crew: others who find gradients with us, to the same bits; None finds them here alone.

    Raises:
        TrainingError: the loss or the gradient is not finite, and the weights are those of the step before, or where
            those are not finite, of up to 50 steps before; or what `measure` returned is not finite. The batch and the
            row are named.
        InputError: lengths and streams came, or neither.
    """
    work: Work
    if lengths is not None and streams is None:
        work = Sequences(lengths, recipe, loss)  # type: ignore[arg-type]
    elif streams is not None and lengths is None:
        work = Corpus(streams, recipe, loss, state)  # type: ignore[arg-type]
    else:
        raise InputError("wanted either lengths, to train on whole sequences, or streams, to train on a corpus.")
    return _updates(_Run(state, recipe, work, measure, background or Background(), crew))


def _updates(run: _Run) -> Iterator[Step]:
    while run.state.step < run.total:
        epoch, begin = divmod(run.state.step, run.work.per_epoch)
        for batch in run.work.batches(epoch, begin):
            yield run.update(batch)


class _Run:
    """Make the updates of a run: what stays the same from one to the next."""

    def __init__(
        self,
        state: State,
        recipe: Recipe,
        work: Work,
        measure: Measure | None,
        background: Background,
        crew: Crew | None,
    ) -> None:
        self.state, self.recipe, self.work = state, recipe, work
        self.measure, self.background, self.crew = measure, background, crew
        self.gauge = Gauge(state.program)
        self.layers = layer_names(state.program.network)
        self.good = state.program.parameters.copy()  # weights that gave a finite loss, some steps ago

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
        asked = self.work.ask(batch, np.random.default_rng([self.recipe.seed, 1, state.step]))
        with self.gauge.looking(look, lambda: self.crew.seen if self.crew else ()):
            lost = self._gradient(asked, batch, rate, look=look)
        grad_norm, norms = self._lengths(asked, batch, rate)
        if look:
            self.good[...] = state.program.parameters
        self._apply(rate, grad_norm)
        mean_loss = self._count(lost.total, self.work.weigh(batch), end=end)
        self.work.move_on(batch, lost.ends, end=end)
        valid, classes, beside = self._measured(rate) if end and self.measure is not None else (None, None, None)
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
            loss=lost.total,
            mean_loss=mean_loss,
            learning_rate=rate,
            grad_norm=grad_norm,
            tokens=int(asked.batch.offsets[-1]),
            seconds=state.seconds,
            end_of_epoch=end,
            health=health,
            valid=valid,
            warnings=warnings,
            classes=classes,
            beside=beside,
        )

    def _gradient(self, asked: Asked, batch: Any, rate: float, *, look: bool) -> Lost:
        """Find the gradient, the first half of an update."""
        state, seed, states = self.state, self.recipe.seed, self.work.states(batch)
        if self.crew is not None:
            lost = self.crew.gradient(state, asked, seed=seed, states=states, look=look)
        else:
            lost = state.program.gradient(asked.batch, asked.loss, seed=seed, step=state.step, states=states)
        if not math.isfinite(lost.total):
            bad = np.flatnonzero(~np.isfinite(lost.losses))
            blame = Blame(int(bad[0]), len(bad), len(lost.losses)) if len(bad) else self._blame(asked)
            raise self._not_finite("loss", lost.total, batch, rate, blame)
        return lost

    def _lengths(self, asked: Asked, batch: Any, rate: float) -> tuple[float, dict[str, float]]:
        """Measure the length of the gradient, and that of each layer's part of it."""
        parts = defaultdict(list)
        for name, length in self.state.optimiser.lengths().items():
            parts[self.layers[name]].append(length)
        norms = {layer: math.hypot(*lengths) for layer, lengths in parts.items()}
        length = math.hypot(*norms.values())
        if not math.isfinite(length):
            raise self._not_finite("gradient norm", length, batch, rate, self._blame(asked))
        return length, norms

    def _apply(self, rate: float, grad_norm: float) -> None:
        """Move the weights, the second half of an update, and their average."""
        state, most = self.state, self.recipe.max_grad_norm
        scale = most / (grad_norm + 1e-6) if grad_norm > most else 1.0
        if self.crew is not None:
            self.crew.apply(state, rate, scale)
        state.optimiser.apply(rate, scale=scale)
        if self.recipe.average:
            _move_average(state, self.recipe.average)

    def _measured(self, rate: float) -> tuple[dict[str, float], ClassHealth | None, dict[str, Any] | None]:
        assert self.measure is not None, "there is something to measure on"
        valid = dict(self.measure())
        classes, beside = valid.pop("classes", None), valid.pop("beside", None)
        for name, number in valid.items():
            if not math.isfinite(number):
                raise self._failure(f"validation {name}", number, rate)
        return valid, classes, beside

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

    def _blame(self, asked: Asked) -> Blame:
        return self.state.program.blame(asked.batch, asked.loss, seed=self.recipe.seed, step=self.state.step)

    def _not_finite(self, what: str, value: float, batch: Any, rate: float, blame: Blame) -> TrainingError:
        row = self.background.row(self.work.row(batch, blame.first))
        return self._failure(what, value, rate, blame.tell(row))

    def _failure(self, what: str, value: float, rate: float, whence: str = "") -> TrainingError:
        """Put back finite weights and say what went wrong where."""
        parameters = self.state.program.parameters
        if not np.isfinite(parameters).all():
            parameters[...] = self.good
        step = self.state.step + bool(whence)  # an update that failed has not been counted
        epoch, done = divmod(step - 1, self.work.per_epoch)
        place = f"epoch {epoch + 1}, batch {done + 1} of {self.work.per_epoch}, learning rate {rate:.3g}"
        said = (f"the {what} is {value} at step {step} ({place}).", whence, _REMEDY)
        return TrainingError(" ".join(filter(None, said)))


_REMEDY = "The last good weights are kept. Lower the learning rate, set max_grad_norm, or look for very large features."


def _move_average(state: State, share: float) -> None:
    """Let the weights of this step into their average, which begins with those of the first step."""
    past = min(share, (1 + state.step) / (10 + state.step))
    for name, array in state.program.weights.items():
        if name in state.average:
            state.average[name] += (array - state.average[name]) * array.dtype.type(1 - past)
        else:
            state.average[name] = array.copy()
