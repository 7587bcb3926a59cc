"""A program over live sequences: weights packed once, states kept, every step in one call.

NumPy in and NumPy out. Knows arrays and nothing of models; results are equal, to the bit, to those of the whole
sequence on every instruction set, number of threads and neighbours.

Shape letters: ``C K`` = features of a row that comes in and goes out; ``n`` = sequences that step together; others as
in `layers`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tidegate._core as _core
from tidegate.errors import InputError, ShapeError
from tidegate.kernels.checks import check_offsets, expect, token_ids
from tidegate.kernels.threads import thread_count

Array = NDArray[Any]

_NOT_FINITE, _NO_ROW, _BUSY, _SLOTS = -1, -2, -3, -4


class LiveProgram:
    """A program whose weights are packed, not for training, for any number of streams.

    Args:
        program: of the core. Its weights must not be packed anew once streams stand on it.
        ahead: how many rows must follow before a layer that runs from the end gives one, layer after layer. It starts
            anew for each row, so many rows after it or where the sequence ends before.
        held: what the program reads where it is, and is to be kept alive.

    Raises ValueError where a node reads whole sequences alone, or `ahead` is not one number for each such layer.
    """

    def __init__(self, program: _core.Program, ahead: Sequence[int] = (), *, held: object = None) -> None:
        self._program, self._ahead, self._held = program, list(ahead), held
        self.kind = np.dtype(np.float32 if isinstance(program, _core.Program32) else np.float64)
        none = self.begin(0)
        self.width, self.out = none.width, none.out
        """Features of a row that comes in, and that goes out."""
        self.tokens = none.vocabulary or None
        """How many token ids there are, where those come in."""
        self.pooled = none.pooled
        """Whether each step is answered by one row about the whole sequence so far."""
        self.lookahead = none.lookahead
        """Rows that must follow, over all layers that follow each other, before a row is given."""
        self.at_once = none.at_once
        """Whether each row that comes in is answered by one."""

    def begin(self, capacity: int) -> _core._Streams:
        """Make room for so many sequences. Raises MemoryError."""
        made = _core.Streams32 if self.kind == np.float32 else _core.Streams64
        return made(self._program, capacity, self._ahead)


class Streams:
    """The states of some sequences, by slot, and the steps that take them on.

    One thread at a time may step; others may meanwhile step others. After warm-up nothing is allocated but the arrays
    that are returned, and those only where no ``out`` is passed.

    >>> from tidegate.engine import Runner
    >>> from tidegate.network import Network, Recurrent, parameter_shapes
    >>> network = Network.of(Recurrent(cell="rnn_relu", input_size=1, hidden_size=1, bias=False))
    >>> runner = Runner(network, {name: np.ones(shape) for name, shape in parameter_shapes(network).items()})
    >>> streams = Streams(runner.live(), 2)
    >>> [streams.step(np.ones(1), slot).item() for slot in (0, 0, 1)]
    [1.0, 2.0, 1.0]
    """

    __slots__ = ("_core", "_kind", "_out", "_pooled", "_threads", "_waits", "capacity", "network")

    def __init__(self, network: LiveProgram, capacity: int = 1, *, num_threads: int | None = None) -> None:
        """Make room for ``capacity`` sequences, each at its beginning. Raises MemoryError."""
        self.network, self.capacity = network, capacity
        self._pooled, self._waits = network.pooled, not network.at_once
        self._core = network.begin(capacity)
        self._kind, self._out, self._threads = network.kind, network.out, thread_count(num_threads)

    def step(self, x: Any, slot: int = 0, out: Array | None = None) -> Array | None:
        """Take one sequence on by a row ``[C]``; return the row of output ``[K]``, None where none is due yet.

        Raises ShapeError for another shape, InputError for a number that is not finite; the state is then as before.
        """
        if out is None:
            out = np.empty(self._out, self._kind)
        try:
            rows = self._core.step(slot, x, out, self._threads)
        except (BufferError, TypeError, ValueError):  # checked there, since it is quicker, and told here
            x, out = self._row(x), expect("out", out, (self._out,), self._kind)
            rows = self._core.step(slot, x, out, self._threads)
        if rows > 0:
            return out
        self._refuse(rows, x)
        return None

    def step_token(self, token: int, slot: int = 0, out: Array | None = None) -> Array | None:
        """Take one sequence on by a row of the table; otherwise as `step`. Raises InputError for an id it lacks."""
        if out is None:
            out = np.empty(self._out, self._kind)
        try:
            rows = self._core.step_token(slot, token, out, self._threads)
        except (BufferError, ValueError):
            expect("out", out, (self._out,), self._kind)
            raise
        except TypeError:
            raise InputError(f"{token!r:.40} came where one token id is wanted, a whole number.") from None
        if rows > 0:
            return out
        self._refuse(rows, token)
        return None

    def run(
        self, slots: Array, values: Array, offsets: Array, *, ending: bool = False, out: Array | None = None
    ) -> tuple[Array, Array]:
        """Take sequences in different slots on by any number of rows each, all in one call.

        Args:
            slots: [n] int64.
            values: [N, C] rows, or [N] token ids (int32, int64), of all sequences end to end.
            offsets: [n + 1] int64, which rows are whose.
            ending: the sequences end with these rows: what waits for rows to come is given, too.
            out: [M, K] to write to.

        Returns:
            The rows of output ``[M, K]`` and their offsets ``[n + 1]``. A pooled network gives one row per sequence.

        Raises:
            ShapeError, InputError: as `step`; nothing has changed then.
        """
        offsets = check_offsets(offsets, len(values))
        slots = expect("slots", slots, (len(offsets) - 1,), np.dtype(np.int64))
        given = self._given(slots, offsets, ending)
        shape = (int(given[-1]), self._out)
        out = np.empty(shape, self._kind) if out is None else expect("out", out, shape, self._kind)
        x = ids = None
        if self.network.tokens is None:
            x = expect("x", values, (len(values), self.network.width), self._kind)
        else:
            ids = token_ids("values", values)
        rows = self._core.run(slots, offsets, x, ids, ending, out, self._threads)
        if rows < 0:
            self._refuse(rows, values)
        return out, given

    def steps(self, slot: int = 0) -> int:
        """Count the steps that a sequence has taken."""
        steps = int(self._core.steps(slot))
        self._refuse(steps, None)
        return steps

    def clear(self, slot: int = 0) -> None:
        """Bring a sequence back to its beginning."""
        self._refuse(self._core.clear(slot), None)

    def copy(self, source: int, target: int) -> None:
        """Make one sequence what another is."""
        self._refuse(self._core.copy(source, target), None)

    def read(self, slot: int = 0) -> tuple[Array, int]:
        """Copy a state: its numbers ``[numbers]`` and how many steps were taken, which is all of it."""
        numbers = np.empty(self.numbers, self._kind)
        steps = self._core.read(slot, numbers)
        self._refuse(steps, None)
        return numbers, steps

    def write(self, numbers: Array, steps: int, slot: int = 0) -> None:
        """Go on from a state that `read` gave. Raises ShapeError where it is not one of this network."""
        state = expect("numbers", numbers, (self.numbers,), self._kind)
        if steps < 0:
            raise ShapeError(f"a state after {steps} steps came; 0 or more were wanted.")
        self._refuse(self._core.write(slot, state, steps), None)

    @property
    def numbers(self) -> int:
        """Count the numbers of one state."""
        return int(self._core.numbers)

    def _given(self, slots: Array, offsets: Array, ending: bool) -> Array:
        """Say where the rows of output of each sequence will begin, [n + 1]."""
        if self._pooled:
            return np.arange(len(slots) + 1)
        if not self._waits:
            return offsets
        counts = [self._core.rows_after(s, int(k), ending) for s, k in zip(slots, np.diff(offsets), strict=True)]
        self._refuse(min(counts, default=0), None)
        return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

    def _row(self, x: Any) -> Array:
        row = as_rows(x, self._kind)
        if row.shape not in ((self.network.width,), (1, self.network.width)) or self.network.tokens is not None:
            wanted = "a token id" if self.network.tokens is not None else f"[{self.network.width}]"
            raise ShapeError(f"a step is {list(row.shape)} but {wanted} is wanted here.")
        return row

    def _refuse(self, why: int, came: Any) -> None:
        """Raise what a refusal stands for; zero and more are none."""
        if why == _BUSY:
            raise InputError("another thread is stepping this stream. Give each thread streams of its own, or a lock.")
        if why == _SLOTS:
            raise InputError(f"the slots must differ and lie between 0 and {self.capacity - 1}.")
        if why == _NO_ROW:
            raise InputError(_no_row(np.atleast_1d(came), self.network.tokens))
        if why == _NOT_FINITE:
            raise InputError(_not_finite(np.atleast_2d(came)))


def as_rows(x: Any, kind: Any) -> Array:
    """Bring numbers into the type of the weights. Raises ShapeError where they are no numbers of one shape."""
    try:
        rows = np.asarray(x)
    except ValueError:
        raise ShapeError("the rows of a chunk have different lengths. Pass the same features at each step.") from None
    if rows.dtype.kind not in "fiub":
        raise ShapeError(f"a step holds {rows.dtype} where numbers are wanted.")
    with np.errstate(over="ignore"):  # what the type cannot hold becomes infinite, and is refused as such
        return np.ascontiguousarray(rows, kind)


def _not_finite(rows: Array) -> str:
    row, feature = np.argwhere(~np.isfinite(rows))[0]
    where = f"row {row} of the chunk" if len(rows) > 1 else "the step"
    return (
        f"{where} has {rows[row, feature]} as feature {feature}; only finite numbers can be read. Leave the step out "
        "or fill the value in: the stream is as it was before."
    )


def _no_row(ids: Array, size: int | None) -> str:
    if size is None:
        return "the network reads rows of features, not token ids."
    at = np.flatnonzero((ids < 0) | (ids >= size))[0]
    return (
        f"token id {ids[at]} is out of range; the vocabulary has {size} ids. Use the tokenizer of the model; the "
        "stream is as it was before."
    )
