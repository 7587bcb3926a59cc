"""The compiled kernels, NumPy in and NumPy out; which instruction set and how many threads run them.

Imports the compiled core, as only `cells`, `crf` and `stepping` do besides. Knows arrays in torch's layout and nothing
of models. Results are equal to the bit over instruction sets, threads, batch neighbours and order of the batch.

Shape letters: ``N B T C H V`` = tokens, sequences, steps, inputs, hidden units, vocabulary; ``D`` = directions (1 or
2); ``G`` = gates of the cell. Gates stand in torch's order, ``i f g o`` and ``r z n``.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegate import _core, cells
from tidegate.errors import InputError, OptionError, ShapeError

Array = NDArray[Any]

CELLS = tuple(cells.CELLS)
GATES = {name: cell.gates for name, cell in cells.CELLS.items()}
ACTIVATIONS = (None, "relu", "tanh", "sigmoid")
_LARGE = 1 << 18  # bytes; about where a new array would come from fresh pages
POOL_MODES = ("last", "first", "max", "mean")


# --- instruction sets and threads ------------------------------------------------------------------------------------


def available_isas() -> tuple[str, ...]:
    """Name the instruction sets that this machine can run, slowest first.

    >>> "scalar" in available_isas()
    True
    """
    return tuple(_core.available_isas())


def active_isa() -> str:
    """Name the instruction set that the kernels use now."""
    return str(_core.active_isa())


def use_isa(name: str) -> None:
    """Make the kernels use one instruction set. The bits of every result stay the same.

    Raises OptionError for a name that is unknown or that this machine cannot run.
    """
    if not _core.use_isa(name):
        raise OptionError.unknown("or unsupported ISA", name, available_isas())


def set_num_threads(threads: int | None) -> None:
    """Use at most this many threads in every kernel, the caller's among them; None goes back to the default.

    Raises InputError unless ``threads`` is at least 1.
    """
    global _explicit_threads
    if threads is not None and threads < 1:
        raise InputError(f"set_num_threads({threads}): the number of threads must be at least 1.")
    _explicit_threads = threads


def get_num_threads() -> int:
    """Return the number of threads that kernels use unless a call says otherwise."""
    return _explicit_threads or _default_threads


def explicit_num_threads() -> int | None:
    """Return the number that TIDEGATE_NUM_THREADS or set_num_threads asked for, or None where neither did."""
    return _explicit_threads


def _usable_cores() -> int:
    """Count the cores that this process may use: its affinity, and the quota of its control group."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, min(cores, -(-int(quota) // int(period))))
    except (OSError, ValueError):  # no control group, or no quota ("max")
        return cores


def _threads_from_environment() -> int | None:
    value = os.environ.get("TIDEGATE_NUM_THREADS", "")
    if value and not (value.isdigit() and int(value) > 0):
        raise InputError(f"TIDEGATE_NUM_THREADS={value!r}: wanted a whole number of at least 1. Set it, or unset it.")
    return int(value) if value else None


_explicit_threads = _threads_from_environment()
_default_threads = _usable_cores()
if "TIDEGATE_ISA" in os.environ:
    use_isa(os.environ["TIDEGATE_ISA"])


# --- recurrent layers ------------------------------------------------------------------------------------------------


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
    h = _empty((N, D * H), kind)
    hn = np.empty((D, B, H), kind)
    cn = np.empty((D, B, H), kind) if card.carries_c else None
    gates = _empty((D, N, card.gates * H), kind) if keep and card.gated else None
    memo = _empty((D, N, H), kind) if keep and card.gated else None
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
            np.empty((GH, C), kind),
            np.empty((GH, H), kind),
            np.empty(GH, kind),
            np.empty(GH, kind),
            np.empty((B, H), kind),
            np.empty((B, H), kind) if card.carries_c else None,
        )
        for _ in range(D)
    )
    outputs = [(g.w_ih, g.w_hh, g.b_ih, g.b_hh, g.h0, g.c0) for g in gradients]
    kept = _kept(forward.gates, forward.memo, D)
    dh_steps = _empty((D, N, H), kind) if steps else None
    dc_steps = _empty((D, N, H), kind) if steps and card.carries_c else None
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


class Sampler:
    """Chooses the next token of a text: scores ``x @ w.T + b``, their softmax, and a draw from it, in one call.

    The weights are packed once. One thread may use a sampler at a time.

    >>> sampler = Sampler(np.eye(3), np.array([0.0, -np.inf, 0.0]))
    >>> x = np.array([[0.0, 9.0, 1.0]])
    >>> [sampler.choose(x, u) for u in (0.2, 0.3)], sampler.choose(x, 0.0, temperature=0.0)
    ([0, 2], 2)
    """

    __slots__ = ("_core", "_kind", "_shape", "_threads")

    def __init__(self, w: Array, b: Array | None = None, *, num_threads: int | None = None) -> None:
        """Take ``w [V, K]`` and ``b [V]``, in which minus infinity bars a token. Raises ShapeError."""
        self._kind = float_kind("w", w)
        if w.ndim != 2 or not w.size:
            raise ShapeError(f"w is {list(w.shape)} but a sampler wants [V, K], both at least 1.")
        bias = None if b is None else expect("b", b, (len(w),), self._kind)
        core = _core.Sampler32 if self._kind == np.float32 else _core.Sampler64
        self._core = core(expect("w", w, w.shape, self._kind), bias)
        self._shape, self._threads = (1, w.shape[1]), thread_count(num_threads)

    def choose(self, x: Array, u: float, *, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0) -> int:
        """Choose the token on which ``u``, 0 <= u < 1, falls where the probabilities of ``x [K]`` lie side by side.

        Args:
            x: what enters the output, [K] or [1, K].
            u: a random number; the same one gives the same token, to the bit, on every instruction set.
            temperature: scores are divided by it; 0 takes the most probable token.
            top_k: choose among so many of the most probable tokens; 0 among all.
            top_p: choose among the fewest of the most probable ones that have this share (Holtzman et al. 2020).

        Raises ShapeError for another shape or type.
        """
        try:
            return self._core.choose(x, temperature, top_k, top_p, u, self._threads)
        except (BufferError, TypeError, ValueError):  # checked there, since it is quicker, and told here
            x = expect("x", np.asarray(x), self._shape, self._kind)
            return self._core.choose(x, temperature, top_k, top_p, u, self._threads)


# --- what stands around a recurrent layer ----------------------------------------------------------------------------


def linear(
    x: Array, w: Array, b: Array | None = None, *, activation: str | None = None, num_threads: int | None = None
) -> Array:
    """Return ``activation(x [N, K] @ w.T + b)`` for ``w [M, K]`` and ``b [M]``, each sum in one fixed order.

    >>> linear(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]]), np.array([-20.0]), activation="relu").tolist()
    [[0.0]]
    """
    kind = float_kind("x", x)
    if w.ndim != 2:
        raise ShapeError(f"w is {list(w.shape)} but linear wants [M, K].")
    M, K = w.shape
    y = np.empty((len(x), M), kind)
    bias = None if b is None else expect("b", b, (M,), kind)
    which = choose("activation", activation, ACTIVATIONS)
    x, w = expect("x", x, (len(x), K), kind), expect("w", w, (M, K), kind)
    _core.linear(x, w, False, bias, y, which, thread_count(num_threads))
    return y


def product(x: Array, w: Array, *, num_threads: int | None = None) -> Array:
    """Return ``x [N, K] @ w [K, M]``, each sum in one fixed order: `linear` with the matrix as it stands.

    >>> product(np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]])).tolist()
    [[11.0]]
    """
    kind = float_kind("x", x)
    if x.ndim != 2 or w.ndim != 2:
        raise ShapeError(f"x is {list(x.shape)} and w {list(w.shape)}, but product wants [N, K] and [K, M].")
    y = _empty((len(x), w.shape[1]), kind)
    x, w = expect("x", x, x.shape, kind), expect("w", w, (x.shape[1], w.shape[1]), kind)
    _core.linear(x, w, True, None, y, 0, thread_count(num_threads))
    return y


def activate(x: Array, activation: str, *, num_threads: int | None = None) -> Array:
    """Return ``relu``, ``tanh`` or ``sigmoid`` of every entry of ``x``, within 2 ULP.

    Results below the smallest normal number are zero.
    """
    kind = float_kind("x", x)
    x = np.ascontiguousarray(x)
    y = np.empty_like(x)
    which = choose("activation", activation, ACTIVATIONS)
    _core.activate(which, x.reshape(-1), y.reshape(-1), thread_count(num_threads))
    return y.astype(kind, copy=False)


def pool(h: Array, offsets: Array, modes: Sequence[str], *, num_threads: int | None = None) -> Array:
    """Pool ``h [N, H]`` over the tokens of each sequence: ``[B, len(modes) * H]``, one mode after the other.

    Modes are ``last``, ``first``, ``max`` and ``mean``; a sequence of length zero gives zeros.

    >>> pool(np.array([[1.0], [3.0], [5.0]]), np.array([0, 2, 3]), ["max", "mean"]).tolist()
    [[3.0, 2.0], [5.0, 5.0]]
    """
    kind = float_kind("h", h)
    offsets = check_offsets(offsets, len(h))
    pooled = np.empty((len(offsets) - 1, len(modes) * h.shape[1]), kind)
    h = expect("h", h, (len(h), h.shape[1]), kind)
    _core.pool(h, offsets, mode_numbers(modes), pooled, None, thread_count(num_threads))
    return pooled


def pool_backward(
    dpooled: Array, h: Array, offsets: Array, modes: Sequence[str], *, num_threads: int | None = None
) -> Array:
    """Return the gradient ``[N, H]`` of what `pool` read. The first of several equal maxima takes the gradient."""
    kind = float_kind("h", h)
    offsets = check_offsets(offsets, len(h))
    h = expect("h", h, (len(h), h.shape[1]), kind)
    dpooled = expect("dpooled", dpooled, (len(offsets) - 1, len(modes) * h.shape[1]), kind)
    dh = _empty(h.shape, kind)
    _core.pool(h, offsets, mode_numbers(modes), dpooled, dh, thread_count(num_threads))
    return dh


def softmax(x: Array, *, num_threads: int | None = None) -> Array:
    """Return the softmax of every row of ``x [N, K]``, each in one fixed order of sums."""
    kind = float_kind("x", x)
    if x.ndim != 2 or x.shape[1] == 0:
        raise ShapeError(f"x is {list(x.shape)} but softmax wants [N, K] with K of at least 1.")
    y = np.empty(x.shape, kind)
    _core.softmax(expect("x", x, x.shape, kind), y, thread_count(num_threads))
    return y


# --- checks at the surface -------------------------------------------------------------------------------------------


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
            if x.dtype not in (np.int32, np.int64):
                raise ShapeError(f"x holds {x.dtype} but token ids must be int32 or int64. Convert them first.")
            self.x = expect("table", table, (len(table), self.C), self.kind)
            self.ids = expect("x", x, (self.N,), x.dtype)
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
        assert self.ids is not None
        sequence = int(np.searchsorted(self.offsets, position, side="right")) - 1
        return InputError(
            f"token {position} (sequence {sequence}, step {position - int(self.offsets[sequence])}) has id "
            f"{self.ids[position]}, but the table holds ids 0 to {len(self.x) - 1}. "
            "Use the tokenizer that the table was made for."
        )


def _empty(shape: tuple[int, ...], kind: np.dtype[Any]) -> Array:
    """Make an uninitialised array; the memory of a large one is used again when it dies."""
    size = prod(shape) * kind.itemsize
    return np.empty(shape, kind) if size < _LARGE else _core.empty(size).view(kind).reshape(shape)


def _kept(gates: Array | None, memo: Array | None, D: int) -> list[tuple[Array | None, Array | None]]:
    return [(None if gates is None else gates[d], None if memo is None else memo[d]) for d in range(D)]


def _part(name: str, array: Array | None, d: int, shape: tuple[int, ...], kind: np.dtype[Any]) -> Array | None:
    part: Array | None = None if array is None else expect(name, array, shape, kind)[d]
    return part


def thread_count(num_threads: int | None) -> int:
    """Count the threads of a call, None standing for those of every kernel."""
    return num_threads or get_num_threads()


def choose(what: str, name: str | None, known: Sequence[str | None]) -> int:
    """Find the number of a name; raises OptionError for one that is not known."""
    if name not in known:
        raise OptionError.unknown(what, str(name), [k for k in known if k is not None])
    return known.index(name)


def mode_numbers(modes: Sequence[str]) -> list[int]:
    """Find the numbers of pooling modes; raises OptionError for none, one twice, or one that is not known."""
    if not modes or len(set(modes)) < len(modes):
        raise OptionError(f"pooling modes {list(modes)}: wanted one or more of {', '.join(POOL_MODES)}, each once.")
    return [choose("pooling mode", mode, POOL_MODES) for mode in modes]


def float_kind(name: str, array: Array) -> np.dtype[Any]:
    """Return the type of an array; raises ShapeError unless it is float32 or float64."""
    if array.dtype not in (np.float32, np.float64):
        raise ShapeError(f"{name} holds {array.dtype} but the kernels want float32 or float64. Convert it first.")
    return array.dtype


def expect(name: str, array: Array, shape: tuple[int, ...], kind: np.dtype[Any]) -> Array:
    """Check an array's shape and type, and copy it where it is not contiguous."""
    if array.shape != shape:
        raise ShapeError(f"{name} is {list(array.shape)} but {list(shape)} is wanted here.")
    if array.dtype != kind:
        raise ShapeError(f"{name} holds {array.dtype} but the other arrays hold {kind}. Convert one of them.")
    return array if array.flags.c_contiguous else np.ascontiguousarray(array)


def check_offsets(offsets: Array, N: int) -> Array:
    """Return offsets as int64 [B + 1]; raise ShapeError unless they ascend from 0 to N."""
    offsets = np.ascontiguousarray(offsets, np.int64)
    if offsets.ndim != 1 or not len(offsets) or offsets[0] != 0 or offsets[-1] != N or (np.diff(offsets) < 0).any():
        raise ShapeError(f"offsets must ascend from 0 to the number of tokens, {N}; came {offsets.tolist()[:8]}...")
    if N >= 2**31:
        raise ShapeError(f"{N} tokens in one batch; at most 2147483647 fit. Split the batch.")
    return offsets
