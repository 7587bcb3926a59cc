"""A network over live sequences, compiled: weights packed once, states kept, every step in one call.

NumPy in and NumPy out. Knows arrays in torch's layout and nothing of models; results are equal, to the bit, to those of
the whole sequence on every instruction set, number of threads and neighbours.

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
from tidegate.kernels.checks import check_offsets, choose, expect, token_ids
from tidegate.kernels.layers import Call, Direction
from tidegate.kernels.rows import ACTIVATIONS, mode_numbers
from tidegate.kernels.threads import thread_count

Array = NDArray[Any]

MERGES = ("concat", "sum", "mul", "ave")
_NOT_FINITE, _NO_ROW, _BUSY, _SLOTS = -1, -2, -3, -4


class StreamNetwork:
    """Weights, packed once, for any number of streams; nodes are added in the order in which rows pass them.

    >>> one = np.ones((1, 1), np.float32)
    >>> network = StreamNetwork(1, np.float32)
    >>> network.add_layer("rnn_relu", [Direction(one, one)])
    >>> network.out, network.lookahead, network.pooled
    (1, 0, False)
    """

    def __init__(self, width: int, kind: Any, *, table: Array | None = None) -> None:
        """Begin with rows ``[C]`` of float32 or float64, or with ids of the rows of ``table [V, C]``, which is kept."""
        self.kind = np.dtype(kind)
        self.width, self.tokens = width, None if table is None else len(table)
        rows = None if table is None else expect("table", table, (len(table), width), self.kind)
        self.core = (_core.StreamNetwork32 if self.kind == np.float32 else _core.StreamNetwork64)(width, rows)

    def add_matrix(self, w: Array, b: Array | None = None, *, activation: str | None = None) -> None:
        """Multiply each row by ``w [M, C]``, add ``b [M]`` and apply an activation, as `kernels.linear` does."""
        w = expect("w", w, (len(w), self.out), self.kind)
        bias = None if b is None else expect("b", b, (len(w),), self.kind)
        self.core.add_matrix(w, bias, choose("activation", activation, ACTIVATIONS))

    def add_layer(
        self, cell: str, directions: Sequence[Direction], *, merge: str = "concat", lookahead: int = 0
    ) -> None:
        """Run a recurrent layer; its directions begin with zeros.

        A direction that runs from the end starts anew for each row, ``lookahead`` rows after it, or at the last row
        where the sequence ends before; others need none. Raises as `kernels.forward` does.
        """
        empty = np.empty((0, self.out), self.kind)
        call = Call(cell, empty, np.zeros(1, np.int64), directions, None, None)
        self.core.add_layer(call.cell, call.H, call.directions, choose("merge", merge, MERGES), max(0, int(lookahead)))

    def add_pool(self, modes: Sequence[str]) -> None:
        """Make one row of all that came so far, mode after mode, as `kernels.pool` does.

        Right after a layer, ``last`` is the final state of both directions.
        """
        self.core.add_pool(mode_numbers(modes))

    @property
    def out(self) -> int:
        """Features of a row that goes out."""
        return int(self.core.out)

    @property
    def lookahead(self) -> int:
        """Rows that must follow, over all layers, before a row is given."""
        return int(self.core.lookahead)

    @property
    def pooled(self) -> bool:
        """Whether each step is answered by one row about the whole sequence so far."""
        return bool(self.core.pooled)


class Streams:
    """The states of some sequences, by slot, and the steps that take them on.

    One thread at a time may step; others may meanwhile step others. After warm-up nothing is allocated but the arrays
    that are returned, and those only where no ``out`` is passed.

    >>> one = np.ones((1, 1), np.float32)
    >>> network = StreamNetwork(1, np.float32)
    >>> network.add_layer("rnn_relu", [Direction(one, one)])
    >>> streams = Streams(network, 2)
    >>> [streams.step(one[0], slot).item() for slot in (0, 0, 1)]
    [1.0, 2.0, 1.0]
    """

    __slots__ = ("_core", "_kind", "_out", "_pooled", "_threads", "_waits", "capacity", "network")

    def __init__(self, network: StreamNetwork, capacity: int = 1, *, num_threads: int | None = None) -> None:
        """Make room for ``capacity`` sequences, each at its beginning. Raises MemoryError."""
        self.network, self.capacity = network, capacity
        self._pooled, self._waits = network.pooled, network.lookahead > 0
        core = _core.Streams32 if network.kind == np.float32 else _core.Streams64
        self._core = core(network.core, capacity)
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
        return int(self._core.steps(slot))

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
