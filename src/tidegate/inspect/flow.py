"""Measures how the gradient changes on its way back through time: does it vanish, hold or explode? Draws nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.cells import CELLS
from tidegate.errors import InputError
from tidegate.inspect.directions import layers_of, named
from tidegate.inspect.subject import find_subject
from tidegate.kernels import Direction, DirectionGradients, Forward, backward
from tidegate.runtime import Executor, LayerRun, cut

Array: TypeAlias = npt.NDArray[Any]

_TOKENS = 2**15  # of one batch


@dataclass(frozen=True, eq=False)
class Flow:
    """Hold the norm of the gradient against the distance, of one direction of one layer.

    Args:
        name: as in a trace, `layer 0 forward`.
        cell: one of `cells.CELLS`.
        distance: [K] 0, 1, ...: steps between a state and the loss, which is read at the last step visited.
        h: [K] root mean square, over sequences and probes, of the norm of the derivative by the hidden state. The loss
            is a projection of the final state on a random unit vector, so `h[0]` is 1.
        c: [K] the same by the cell state, of a cell that carries one.
        sequences: [K] how many sequences have a state at this distance.
    """

    name: str
    cell: str
    distance: Array
    h: Array
    c: Array | None
    sequences: Array


@dataclass(frozen=True)
class Clipping:
    """Hold what clipping does to the gradient of the parameters.

    Args:
        norm: of the gradient that the losses, each the mean over the sequences, give to the parameters of their own
            direction, all directions together; root mean square over the probes.
        max_grad_norm: the length that longer gradients are clipped to; None for no clipping.
        scale: what every gradient is multiplied by, at every distance alike: 1 where `norm` is not above
            `max_grad_norm`.
    """

    norm: float
    max_grad_norm: float | None
    scale: float


@dataclass(frozen=True, eq=False)
class GradientFlow:
    """Hold the flow of every direction of every layer, and what clipping does."""

    flows: tuple[Flow, ...]
    clipping: Clipping

    def flow(self, name: str) -> Flow:
        """Return one direction by its name; raises OptionError that lists the names there are."""
        return named(name, self.flows)


def gradient_flow(
    model: Any,
    inputs: Any,
    *,
    max_grad_norm: float | None = None,
    probes: int = 4,
    seed: int = 0,
    num_threads: int | None = None,
) -> GradientFlow:
    """Measure the norm of the gradient against the distance in steps, for every direction of every layer.

    Each direction gets losses of its own, projections of its final state on random unit vectors, whose gradient then
    goes back through this direction alone: what is measured is the memory of the cell, not the layers around it.
    Computed in float64, so that what vanishes is seen down to 1e-150. A sequence contributes to the distances that it
    has.

    Args:
        model: as `trace` takes it.
        inputs: as `trace` takes them.
        max_grad_norm: the length that training would clip the gradient to, 0 for none; by default the task's own.
        probes: unit vectors per direction, at right angles to each other, so that there are at most H; with H of them
            the means are exact.
        seed: of the unit vectors.
        num_threads: for the kernels; None takes their own setting.

    Raises:
        InputError: as `trace`; or `probes` is below 1, or `max_grad_norm` below 0.

    >>> from tidegate.network import Network, Recurrent
    >>> half = {"0.weight_ih_l0": np.ones((1, 1)), "0.weight_hh_l0": np.full((1, 1), 0.5)}
    >>> network = Network.of(Recurrent(cell="rnn_relu", input_size=1, hidden_size=1, bias=False))
    >>> gradient_flow((network, half), [np.ones((5, 1))]).flow("layer 0 forward").h.tolist()
    [1.0, 0.5, 0.25, 0.125, 0.0625]
    """
    subject = find_subject(model, inputs).in_float64()
    limit = subject.max_grad_norm if max_grad_norm is None else max_grad_norm
    if probes < 1 or (limit is not None and limit < 0):
        raise InputError(f"probes is {probes} and max_grad_norm {limit}; at least 1 and 0 were wanted.")
    executor = Executor(subject.network, subject.weights, num_threads=num_threads)
    lengths = np.asarray(subject.x.lengths)
    rng, found = np.random.default_rng(seed), dict[str, _Sums]()
    for indices in cut(subject.x, tokens=_TOKENS):
        batch = subject.x.select(indices)
        for name, layer in _directions(executor, batch):
            if name not in found:
                found[name] = _Sums(layer.cell, _draw_probes(rng, probes, layer.out.h.shape[1]), lengths.max())
            found[name].add(layer, np.asarray(batch.offsets), num_threads)
    square = sum(sums.mean_square_of_parameters(int(np.count_nonzero(lengths))) for sums in found.values())
    flows = tuple(sums.flow(name, lengths) for name, sums in found.items())
    return GradientFlow(flows, _clip(float(np.sqrt(square)), limit or None))


def _directions(executor: Executor, batch: Any) -> Iterator[tuple[str, LayerRun]]:
    """Run a batch and yield each direction of each layer, by its name."""
    for layer, names in layers_of(executor.record(batch).nodes):
        for d, name in enumerate(names):
            yield name, _alone(layer, d)


def _alone(layer: LayerRun, d: int) -> LayerRun:
    """Take one direction of a layer as a layer of its own, as `kernels.backward` takes it."""
    out, part = layer.out, slice(d, d + 1)
    h = np.ascontiguousarray(np.split(out.h, len(layer.directions), axis=1)[d])
    cn, gates, memo = (None if array is None else array[part] for array in (out.cn, out.gates, out.memo))
    return replace(layer, directions=layer.directions[part], out=Forward(h, out.hn[part], cn, gates, memo))


@dataclass
class _Sums:
    """Add up the squares of one direction over batches and probes."""

    cell: str
    probes: Array  # [probes, H]
    steps: int  # of the longest sequence
    h: Array = field(init=False)  # [K]
    c: Array = field(init=False)
    parameters: list[list[Array]] = field(init=False)  # of each probe

    def __post_init__(self) -> None:
        self.h, self.c = np.zeros(self.steps), np.zeros(self.steps)
        self.parameters = [[] for _ in self.probes]

    def add(self, layer: LayerRun, offsets: Array, num_threads: int | None) -> None:
        """Take the gradient of every probe back through the steps."""
        lengths = np.diff(offsets)
        (direction,) = layer.directions
        step = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
        distance = step if direction.reverse else np.repeat(lengths, lengths) - 1 - step  # [N]
        for number, probe in enumerate(self.probes):
            dhn = np.broadcast_to(probe, layer.out.hn.shape)  # [1, B, H]
            found = backward(
                layer.cell, layer.x, offsets, layer.directions, layer.out, np.zeros_like(layer.out.h),
                dhn=dhn, table=layer.table, need_dx=False, steps=True, num_threads=num_threads,
            )  # fmt: skip
            self.h += self._by_distance(distance, found.dh_steps)
            self.c += self._by_distance(distance, found.dc_steps)
            self._add_parameters(number, direction, found.directions[0])

    def _by_distance(self, distance: Array, gradients: Array | None) -> Array | float:
        return 0.0 if gradients is None else np.bincount(distance, (gradients[0] ** 2).sum(axis=1), self.steps)

    def _add_parameters(self, number: int, direction: Direction, found: DirectionGradients) -> None:
        names = [name for name in ("w_ih", "w_hh", "b_ih", "b_hh") if getattr(direction, name) is not None]
        new = [getattr(found, name) for name in names]
        before = self.parameters[number]
        self.parameters[number] = [a + b for a, b in zip(before, new, strict=True)] if before else new

    def mean_square_of_parameters(self, sequences: int) -> float:
        """Return the mean over probes of the squared norm of the gradient that the mean over the sequences gives."""
        squares = [np.sum((gradient / sequences) ** 2) for gradients in self.parameters for gradient in gradients]
        return float(np.sum(squares)) / len(self.probes)

    def flow(self, name: str, lengths: Array) -> Flow:
        """Take the means and their roots."""
        distance = np.arange(self.steps)
        sequences = np.array([np.count_nonzero(lengths > k) for k in distance])
        h, c = (np.sqrt(sums / (sequences * len(self.probes))) for sums in (self.h, self.c))
        return Flow(name, self.cell, distance, h, c if CELLS[self.cell].carries_c else None, sequences)


def _draw_probes(rng: np.random.Generator, probes: int, H: int) -> Array:
    """Draw unit vectors at right angles to each other, `[min(probes, H), H]`."""
    return np.ascontiguousarray(np.linalg.qr(rng.standard_normal((H, min(probes, H))))[0].T)


def _clip(norm: float, limit: float | None) -> Clipping:
    return Clipping(norm, limit, 1.0 if limit is None or norm <= limit else limit / norm)
