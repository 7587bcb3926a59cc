"""A network with its weights, run and run back by the core.

All parameters lie in one flat array, and so do their gradients; what is known by name are views of those.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.engine.compiled import Batch, Compiled, States
from tidegate.engine.losses import Loss
from tidegate.errors import ShapeError
from tidegate.health import Blame
from tidegate.kernels import lanes, programs
from tidegate.kernels.threads import thread_count
from tidegate.network import Network, check_shapes, parameter_shapes

Array: TypeAlias = npt.NDArray[Any]


@dataclass(frozen=True)
class Lost:
    """Say what a batch lost.

    losses: [B] float64, of each sequence, before they are weighted.
    total: the weighted sum.
    ends: the states after the last step of each sequence, where the caller gave those before the first one.
    """

    losses: Array
    total: float
    ends: dict[str, Array] = field(default_factory=dict)


class Program:
    """Hold a network and its weights, ready to run and to be trained.

    Args:
        network: what to run.
        weights: by name, all float32 or all float64; they are copied.
        num_threads: at most so many; None takes those of every kernel.

    Raises:
        ShapeError: a weight is missing, is not the network's, or has another shape or type.

    >>> from tidegate.network import Dense, Pool, Recurrent
    >>> from tidegate.ragged import Ragged
    >>> layer = Recurrent(cell="gru", input_size=1, hidden_size=2)
    >>> network = Network.of(layer, Pool(modes=("last",)), Dense(in_features=2, out_features=2))
    >>> weights = {name: np.zeros(shape) for name, shape in parameter_shapes(network).items()}
    >>> program = Program(network, weights)
    >>> batch = Ragged(np.ones((3, 1)), np.array([0, 2, 3]))
    >>> from tidegate.engine.losses import CrossEntropy
    >>> lost = program.gradient(batch, CrossEntropy(np.array([0, 1]), weight=np.array([0.5, 0.5])))
    >>> round(lost.total, 4), program.gradients["2.bias"].tolist()
    (0.6931, [0.0, 0.0])
    """

    def __init__(self, network: Network, weights: Mapping[str, Array], *, num_threads: int | None = None) -> None:
        check_shapes(network, {name: np.shape(array) for name, array in weights.items()})
        kinds = {np.asarray(array).dtype for array in weights.values()} or {np.dtype(np.float32)}
        self.dtype = kinds.pop()
        if kinds or self.dtype not in (np.float32, np.float64):
            raise ShapeError("weights must all be float32, or all float64.")
        self.network, self.num_threads = network, num_threads
        shapes = parameter_shapes(network)
        self.parameters = np.concatenate([np.ravel(weights[name]) for name in shapes] or [np.empty(0, self.dtype)])
        self.gradient_array = np.zeros_like(self.parameters)
        self.begins = np.cumsum([0, *(prod(shape) for shape in shapes.values())], dtype=np.int64)
        self.weights, self.gradients = self.by_name(self.parameters), self.by_name(self.gradient_array)
        self.compiled = Compiled(network, self.dtype)
        size = self.compiled.program.table_size
        self._table, self._dense = self.parameters[:size], self.parameters[size:]

    def __call__(self, batch: Batch) -> Array:
        """Return what the last node gives, `[rows, output_size]`, in the order of the sequences.

        Raises ShapeError or InputError for a batch that does not fit the network.
        """
        self._pack(programs.RUN, 0, 0)
        return self.compiled.run(batch, self.threads)[0]

    def gradient(self, batch: Batch, loss: Loss, *, seed: int = 0, step: int = 0, states: States | None = None) -> Lost:
        """Find the gradient of the loss of a batch, which is in `gradients` then.

        The same call gives the same bits, whatever the number of threads and the instruction set.

        Args:
            batch: what the network reads.
            loss: what is to become small.
            seed: what dropout draws depends on it, and on the step, the node and the sequence alone.
            step: another step draws anew.
            states: what the sequences begin with; the gradient stops there. None begins with zeros, and gives no ends.

        Raises:
            ShapeError, InputError: the batch or the loss does not fit the network.
        """
        values, offsets, wanted = self._enter(batch, loss)
        losses = np.empty(len(offsets) - 1)
        self.gradient_array[: len(self._table)] = 0
        self._pack(programs.TRAIN, seed, step)
        with self.compiled.carrying(states, len(losses)) as ends, self.compiled.naming(batch):
            core = self.compiled.program
            core.gradient(values, offsets, wanted, self.gradient_array, losses, self.threads)
        return Lost(losses, total(losses * loss.weight), ends)

    def deal(self, batch: Batch) -> tuple[Array, int]:
        """Say of each sequence of a batch in which lane it is, [B], and how many lanes there are.

        It depends on the lengths of the sequences and the sizes of the network alone.
        """
        return lanes.deal(self.compiled.program, np.ascontiguousarray(batch.offsets, np.int64))

    def run_lanes(
        self, batch: Batch, loss: Loss, some: range, *, seed: int = 0, step: int = 0, states: States | None = None
    ) -> Lost:
        """Do of what `gradient` does the part of some neighbouring lanes, but for the gradient: see `add_up`.

        Losses and ends of sequences in other lanes are zero. Arguments and errors are those of `gradient`.
        """
        values, offsets, wanted = self._enter(batch, loss)
        losses = np.zeros(len(offsets) - 1)
        self._pack(programs.TRAIN, seed, step)
        with self.compiled.carrying(states, len(losses)) as ends, self.compiled.naming(batch):
            for array in ends.values():
                array[...] = 0
            lanes.run(self.compiled.program, values, offsets, wanted, some, losses, threads=self.threads)
        return Lost(losses, total(losses * loss.weight), ends)

    @property
    def summed(self) -> int:
        """Count the numbers that `add_up` gives of the batch that ran: of tables only rows that the batch reads."""
        return lanes.summed(self.compiled.program)

    def add_up(self, some: range) -> Array:
        """Add up what neighbouring lanes found that ran: a subtree of all lanes, each lane once."""
        return lanes.add_up(self.compiled.program, some, self.dtype)

    def settle(self, found: Array) -> None:
        """Make the gradient of what all lanes found, here and elsewhere, added as a tree: the bits of `gradient`."""
        self.gradient_array[: len(self._table)] = 0
        lanes.settle(self.compiled.program, found, self.gradient_array, threads=self.threads)

    def blame(self, batch: Batch, loss: Loss, *, seed: int = 0, step: int = 0) -> Blame:
        """Run each sequence of a batch alone, and find those whose loss or gradient is not finite.

        Leaves the weights as they are. Arguments and errors are those of `gradient`.
        """
        values, offsets = self.compiled.enter(batch)
        begin = self.compiled.rows(values, offsets)
        lengths = np.empty(len(offsets) - 1)  # of gradients
        for index in range(len(lengths)):
            own = loss.alone(index, slice(int(begin[index]), int(begin[index + 1])))
            lost = self.gradient(batch.select(np.array([index])), own, seed=seed, step=step)
            squares = programs.sums_of_squares(self.gradient_array, self.begins, self.threads)
            lengths[index] = math.sqrt(squares.sum()) if math.isfinite(lost.total) else math.nan
        bad = np.flatnonzero(~np.isfinite(lengths))
        return Blame(int(bad[0] if len(bad) else lengths.argmax()), len(bad), len(lengths))

    def by_name(self, flat: Array) -> dict[str, Array]:
        """Cut an array as long as the parameters into views by name."""
        shapes = parameter_shapes(self.network)
        parts = np.split(flat, self.begins[1:-1]) if shapes else []
        return {name: part.reshape(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}

    @property
    def threads(self) -> int:
        """Count the threads that the core may use."""
        return thread_count(self.num_threads)

    def _enter(self, batch: Batch, loss: Loss) -> tuple[Any, Array, programs.Loss]:
        values, offsets = self.compiled.enter(batch)
        core, begin = self.compiled.program, self.compiled.rows(values, offsets)
        return values, offsets, loss.compiled(core, self.network.output_size, self.dtype, begin)

    def _pack(self, use: int, seed: int, step: int) -> None:
        self.compiled.program.pack(self._table, self._dense, use, seed, step)


def total(parts: Array) -> float:
    """Add up exactly, whatever the order."""
    return math.fsum(parts.tolist()) if np.isfinite(parts).all() else float(parts.sum())
