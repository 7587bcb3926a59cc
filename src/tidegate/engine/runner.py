"""A network whose weights are packed once, run from any thread: NumPy in, NumPy out. Knows neither files nor tasks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.engine.compiled import Batch, Compiled, States
from tidegate.engine.recording import Recording
from tidegate.errors import ShapeError
from tidegate.kernels import programs
from tidegate.kernels.decoders import LiveDecoder
from tidegate.kernels.streams import LiveProgram
from tidegate.kernels.threads import thread_count
from tidegate.network import Dense, Network, Spell, Tied, check_shapes
from tidegate.ragged import Ragged
from tidegate.words import Words

Array: TypeAlias = npt.NDArray[Any]


class Runner:
    """Run a network with given weights; arguments and errors are those of `runtime.Executor`."""

    def __init__(self, network: Network, weights: Mapping[str, Array], *, num_threads: int | None = None) -> None:
        check_shapes(network, {name: array.shape for name, array in weights.items()})
        self.network = network
        self.num_threads = num_threads
        self.weights = {name: np.ascontiguousarray(array) for name, array in weights.items()}
        self.dtype = np.result_type(*self.weights.values()) if self.weights else np.dtype(np.float32)
        if {array.dtype for array in self.weights.values()} - {self.dtype} or self.dtype not in (
            np.float32,
            np.float64,
        ):
            raise ShapeError("weights must all be float32, or all float64.")
        self._packed: dict[int, Compiled] = {}
        self._idle: list[Compiled] = []

    def __call__(self, x: Batch) -> Array:
        """Compute the output of the last node: `[B, output_size]` once pooled, else `[N, output_size]`.

        Args:
            x: token ids `[N]` (int32 or int64) for a network that begins with `Embed`, else features `[N, C]` of the
                type of the weights, or `Words` where it begins with `Spell`. Sequences may have length zero, and the
                batch may be empty.

        Raises:
            ShapeError: the values are not of the shape or type that the first node reads.
            InputError: a token id is out of range; position, id and the size of the vocabulary are named.
        """
        with self._borrowed() as compiled:
            return compiled.run(x, self._threads)[0]

    def record(self, x: Batch) -> Recording:
        """Compute what a call does, to the bit, and keep what every node read and gave, gates included.

        Raises as a call does.
        """
        return Recording(self._borrower(programs.RECORD), self.weights, x, self._threads)

    def run(self, x: Batch, states: States) -> tuple[Array, dict[str, Array]]:
        """Compute the output of the last node, as a call does, from `states`, and those after the last steps.

        A sequence that is cut into pieces, each of which begins with the states that the one before left, gives the
        bits of the whole one.

        Args:
            x: as for a call.
            states: what the sequences begin with, as `run` returned it; zeros for what is not in it.

        Raises:
            ShapeError, InputError: as a call does.
        """
        with self._borrowed() as compiled:
            return compiled.run(x, self._threads, states=states)

    def advance(self, x: Ragged, states: States) -> tuple[Array, dict[str, Array]]:
        """Compute what enters the last node, `[N, F]`, and the states after the last step of each sequence.

        `head` is left to the caller, who may want it of some rows alone. Arguments and errors are those of `run`.
        """
        width = self._last.in_features if isinstance(self._last, Dense) else self._last.size
        with self._borrowed() as compiled:
            return compiled.run(x, self._threads, states=states, stop=(len(self.network.nodes) - 1, width))

    def head(self, rows: Array) -> Array:
        """Compute the output of the last node, `[., output_size]`, from what enters it."""
        with self._borrowed() as compiled:
            return compiled.run_last(rows, self._threads)

    def spell(self, x: Words) -> Ragged:
        """Put the row of each word beside what its characters say: what the first node hands on, `[N, output_size]`."""
        node = self.network.nodes[0]
        assert isinstance(node, Spell), "the caller knows that the network begins with it"
        with self._borrowed() as compiled:
            return Ragged(compiled.run(x, self._threads, stop=(1, node.output_size))[0], x.offsets)

    @property
    def _last(self) -> Dense | Tied:
        last = self.network.nodes[-1]
        assert isinstance(last, Dense | Tied), "the caller knows the network"
        return last

    @property
    def _threads(self) -> int:
        return thread_count(self.num_threads)

    def live(self, ahead: Sequence[int] = ()) -> LiveProgram:
        """Make what streams stand on, of the weights that are packed to run.

        `ahead` says of each layer that runs from the end how many steps it looks ahead. Raises ValueError where a node
        reads whole sequences alone.
        """
        lender = self._lender(programs.RUN)
        return LiveProgram(lender.program, ahead, held=lender)

    def decoder(self, capacity: int) -> tuple[LiveDecoder, Compiled]:
        """Make what takes targets of pairs step by step, and what brings their sources into the form of the core.

        Raises ValueError where the network answers no targets of pairs, or reads them as wholes alone.
        """
        compiled = self._borrower(programs.RUN)
        return LiveDecoder(compiled.program, capacity, self._threads, held=(compiled, self)), compiled

    def _lender(self, use: int) -> Compiled:
        """Give the program that packed the weights, once for each use."""
        if use not in self._packed:
            lender = Compiled(self.network, self.dtype)
            lender.pack(self.weights, use)
            self._packed[use] = lender
        return self._packed[use]

    def _borrower(self, use: int) -> Compiled:
        """Make a program of weights that are packed already."""
        compiled = Compiled(self.network, self.dtype)
        compiled.program.borrow(self._lender(use).program)
        return compiled

    @contextmanager
    def _borrowed(self) -> Iterator[Compiled]:
        """Give one thread a program of its own while the block lasts."""
        try:
            compiled = self._idle.pop()
        except IndexError:
            compiled = self._borrower(programs.RUN)
        yield compiled
        self._idle.append(compiled)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is packed, which whoever needs it packs again."""
        return self.__dict__ | {"_packed": {}, "_idle": []}
