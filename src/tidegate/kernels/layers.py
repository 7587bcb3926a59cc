"""Recurrent layers of one or two directions over ragged batches, forward and back, NumPy in and NumPy out.

Knows arrays in torch's layout and nothing of models. Results are equal to the bit over instruction sets, threads, batch
neighbours and order of the batch.

Shape letters: ``N B T C H V`` = tokens, sequences, steps, inputs, hidden units, vocabulary; ``D`` = directions (1 or
2); ``G`` = gates of the cell. Gates stand in torch's order, ``i f g o`` and ``r z n``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tidegate._core as _core
import tidegate.cells as cells
from tidegate.errors import InputError, ShapeError
from tidegate.kernels.checks import check_offsets, choose, empty, expect, float_kind, token_ids
from tidegate.kernels.threads import thread_count

Array = NDArray[Any]

CELLS = tuple(cells.CELLS)


@dataclass(frozen=True)
class Direction:
    """One direction of one layer: weights in torch's layout, the initial state, and the dropout mask of the state.

    ``mask`` scales ``h`` of the step before where it enters ``w_hh``, one row per sequence (variational dropout, Gal &
    Ghahramani 2016). None stands for zeros (biases, states) or ones (mask).
    """

    w_ih: Array  # [G*H, C]
    w_hh: Array  # [G*H, H]
    b_ih: Array | None = None  # [G*H]
    b_hh: Array | None = None  # [G*H]
    reverse: bool = False
    h0: Array | None = None  # [B, H]
    c0: Array | None = None  # [B, H], of a cell that carries c
    mask: Array | None = None  # [B, H]


@dataclass(frozen=True)
class Forward:
    """What a layer computed; ``gates`` and ``memo`` only where they were asked for.

    ``memo`` is the cell state of every step, or the recurrent part, such as ``w_hn h + b_hn``, of a gate that keeps it
    apart (`cells.Cell`).
    """

    h: Array  # [N, D*H]
    hn: Array  # [D, B, H]
    cn: Array | None  # [D, B, H], of a cell that carries c
    gates: Array | None  # [D, N, G*H], of a cell that has gates
    memo: Array | None  # [D, N, H], of a cell that has gates


@dataclass(frozen=True)
class DirectionGradients:
    """Gradients of one direction, each in the shape of what it is the gradient of."""

    w_ih: Array
    w_hh: Array
    b_ih: Array
    b_hh: Array
    h0: Array
    c0: Array | None


@dataclass(frozen=True)
class Gradients:
    """Gradients of a layer: of its input (``[N, C]``, or ``[V, C]`` for a table), of each direction, and of each step.

    Those of the steps, only where they were asked for, are total derivatives by the state that leaves a step: through
    the output of that step and through all that follow.
    """

    dx: Array | None
    directions: tuple[DirectionGradients, ...]
    dh_steps: Array | None = None  # [D, N, H]
    dc_steps: Array | None = None  # [D, N, H], of a cell that carries c


def forward(
    cell: str,
    x: Array,
    offsets: Array,
    directions: Sequence[Direction],
    *,
    table: Array | None = None,
    keep: bool = False,
    num_threads: int | None = None,
) -> Forward:
    """Run a recurrent layer of one or two directions over a ragged batch.

    ``x`` is ``[N, C]``, or ``[N]`` token ids (int32, int64) into ``table`` ``[V, C]``; ``offsets`` is ``[B+1]`` int64.
    ``keep`` stores gates and memo, for `backward` or to look at. A sequence of length zero leaves its initial state.
    float32 and float64; all arrays of one call have one type. Raises ShapeError, OptionError for an unknown cell, and
    InputError for a token id outside the table.

    >>> one = np.ones((1, 1), np.float32)
    >>> run = forward("rnn_relu", np.ones((3, 1), np.float32), np.array([0, 2, 3]), [Direction(one, one)])
    >>> run.h.ravel().tolist(), run.hn.ravel().tolist()
    ([1.0, 2.0, 1.0], [2.0, 1.0])
    """
    call = Call(cell, x, offsets, directions, table, num_threads)
    N, B, H, D, kind, card = call.N, call.B, call.H, len(directions), call.kind, call.card
    h = empty((N, D * H), kind)
    hn = np.empty((D, B, H), kind)
    cn = np.empty((D, B, H), kind) if card.carries_c else None
    gates = empty((D, N, card.gates * H), kind) if keep and card.gated else None
    memo = empty((D, N, H), kind) if keep and card.gated else None
    state = [(hn[d], None if cn is None else cn[d]) for d in range(D)]
    try:
        _core.forward(
            call.cell, call.x, call.ids, call.offsets, call.directions, h, state, _kept(gates, memo, D), call.threads
        )
    except IndexError as error:
        raise call.bad_token(int(str(error))) from None
    return Forward(h, hn, cn, gates, memo)


def backward(
    cell: str,
    x: Array,
    offsets: Array,
    directions: Sequence[Direction],
    forward: Forward,
    dh: Array,
    *,
    dhn: Array | None = None,
    dcn: Array | None = None,
    table: Array | None = None,
    need_dx: bool = True,
    steps: bool = False,
    overwrite: bool = False,
    num_threads: int | None = None,
) -> Gradients:
    """Return the gradients of a layer, given those of its outputs ``dh [N, D*H]``, ``dhn`` and ``dcn [D, B, H]``.

    The other arguments are those of the forward call, which must have been made with ``keep=True``. The gradient of
    the input is left out unless ``need_dx``; with ``steps`` those of every step are kept, too. ``overwrite`` saves
    memory by computing in that of the gates and memo, which are lost. Raises as `forward` does.
    """
    call = Call(cell, x, offsets, directions, table, num_threads)
    N, B, H, D, kind, card = call.N, call.B, call.H, len(directions), call.kind, call.card
    if card.gated and (forward.gates is None or forward.memo is None):
        raise InputError("backward needs the gates of the forward call. Call forward(..., keep=True) first.")
    expect("forward.h", forward.h, (N, D * H), kind)
    dh = expect("dh", dh, (N, D * H), kind)
    dstate = [(_part("dhn", dhn, d, (D, B, H), kind), _part("dcn", dcn, d, (D, B, H), kind)) for d in range(D)]
    dx = (np.empty if table is None else np.zeros)(call.x.shape, kind) if need_dx else None
    GH, C = card.gates * H, call.C
    gradients = tuple(
        DirectionGradients(
            empty((GH, C), kind),
            empty((GH, H), kind),
            np.empty(GH, kind),
            np.empty(GH, kind),
            np.empty((B, H), kind),
            np.empty((B, H), kind) if card.carries_c else None,
        )
        for _ in range(D)
    )
    outputs = [(g.w_ih, g.w_hh, g.b_ih, g.b_hh, g.h0, g.c0) for g in gradients]
    kept = _kept(forward.gates, forward.memo, D)
    dh_steps = empty((D, N, H), kind) if steps else None
    dc_steps = empty((D, N, H), kind) if steps and card.carries_c else None
    try:
        _core.backward(
            call.cell, call.x, call.ids, call.offsets, call.directions, forward.h, kept, overwrite, dh, dstate, dx,
            outputs, _kept(dh_steps, dc_steps, D), call.threads,
        )  # fmt: skip
    except IndexError as error:
        raise call.bad_token(int(str(error))) from None
    return Gradients(dx, gradients, dh_steps, dc_steps)


def step(cell: str, x: Array, direction: Direction, *, num_threads: int | None = None) -> tuple[Array, Array | None]:
    """Run one step of ``B`` sequences at once: ``x [B, C]``, the state in ``direction.h0`` and ``direction.c0``.

    Return the new ``h [B, H]`` and, of a cell that carries it, ``c [B, H]``; the same bits as in a whole sequence.
    """
    run = forward(cell, x, np.arange(len(x) + 1), [direction], num_threads=num_threads)
    return run.hn[0], None if run.cn is None else run.cn[0]


class Call:
    """The checked arguments that forward and backward have in common."""

    def __init__(
        self,
        cell: str,
        x: Array,
        offsets: Array,
        directions: Sequence[Direction],
        table: Array | None,
        num_threads: int | None,
    ) -> None:
        self.cell = choose("cell", cell, CELLS)
        self.card = cells.CELLS[cell]
        self.threads = thread_count(num_threads)
        if len(directions) not in (1, 2):
            raise ShapeError(f"a layer has 1 or 2 directions, not {len(directions)}.")
        self.kind = float_kind("x" if table is None else "table", x if table is None else table)
        w_hh = directions[0].w_hh
        self.N, self.H, G = len(x), w_hh.shape[-1], self.card.gates
        self.C = directions[0].w_ih.shape[-1]
        if table is None:
            self.x, self.ids = expect("x", x, (self.N, self.C), self.kind), None
        else:
            self.x = expect("table", table, (len(table), self.C), self.kind)
            self.ids, self.given = token_ids("x", x), x
        self.offsets = check_offsets(offsets, self.N)
        self.B = len(self.offsets) - 1
        self.directions = [self._direction(d, G * self.H) for d in directions]

    def _direction(self, d: Direction, GH: int) -> tuple[object, ...]:
        state = (self.B, self.H)
        return (
            expect("w_ih", d.w_ih, (GH, self.C), self.kind),
            expect("w_hh", d.w_hh, (GH, self.H), self.kind),
            d.b_ih if d.b_ih is None else expect("b_ih", d.b_ih, (GH,), self.kind),
            d.b_hh if d.b_hh is None else expect("b_hh", d.b_hh, (GH,), self.kind),
            d.reverse,
            d.h0 if d.h0 is None else expect("h0", d.h0, state, self.kind),
            d.c0 if d.c0 is None else expect("c0", d.c0, state, self.kind),
            d.mask if d.mask is None else expect("mask", d.mask, state, self.kind),
        )

    def bad_token(self, position: int) -> InputError:
        """Say which token has an id outside of the table."""
        sequence = int(np.searchsorted(self.offsets, position, side="right")) - 1
        return InputError(
            f"token {position} (sequence {sequence}, step {position - int(self.offsets[sequence])}) has id "
            f"{self.given[position]}, but the table holds ids 0 to {len(self.x) - 1}. "
            "Use the tokenizer that the table was made for."
        )


def _kept(gates: Array | None, memo: Array | None, D: int) -> list[tuple[Array | None, Array | None]]:
    return [(None if gates is None else gates[d], None if memo is None else memo[d]) for d in range(D)]


def _part(name: str, array: Array | None, d: int, shape: tuple[int, ...], kind: np.dtype[Any]) -> Array | None:
    part: Array | None = None if array is None else expect(name, array, shape, kind)[d]
    return part
