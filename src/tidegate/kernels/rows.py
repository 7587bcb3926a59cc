"""What stands around a recurrent layer: matrices, activations, pooling over steps, softmax. NumPy in and NumPy out.

Shape letters are those of `layers`; ``K M`` = features of a row that comes in and goes out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tidegate._core as _core
from tidegate.errors import OptionError, ShapeError
from tidegate.kernels.checks import check_offsets, choose, empty, expect, float_kind
from tidegate.kernels.threads import thread_count

Array = NDArray[Any]

ACTIVATIONS = (None, "relu", "tanh", "sigmoid")
POOL_MODES = ("last", "first", "max", "mean")


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
    y = empty((len(x), w.shape[1]), kind)
    x, w = expect("x", x, x.shape, kind), expect("w", w, (x.shape[1], w.shape[1]), kind)
    _core.linear(x, w, True, None, y, 0, thread_count(num_threads))
    return y


def sparse_product(
    columns: Array, values: Array, offsets: Array, w: Array, b: Array | None = None, *, num_threads: int | None = None
) -> Array:
    """Return ``b [M] + x [B, K] @ w [K, M]`` of rows x of which nearly all numbers are zero, each sum in their order.

    Row i of x holds ``values[j]`` in column ``columns[j]``, int32, for j from ``offsets[i]`` to ``offsets[i + 1] - 1``.

    >>> ones = np.ones(3)
    >>> columns, offsets = np.array([0, 1, 1], np.int32), np.array([0, 2, 3])
    >>> sparse_product(columns, ones, offsets, np.array([[1.0], [2.0]])).tolist()
    [[3.0], [2.0]]
    """
    kind = float_kind("values", values)
    if w.ndim != 2:
        raise ShapeError(f"w is {list(w.shape)} but sparse_product wants [K, M].")
    columns = np.ascontiguousarray(columns, np.int32)
    if columns.size and not 0 <= columns.min() <= columns.max() < len(w):
        raise ShapeError(f"columns run from {columns.min()} to {columns.max()}, but w has {len(w)} rows.")
    values, offsets = expect("values", values, columns.shape, kind), check_offsets(offsets, len(columns))
    bias = np.zeros(w.shape[1], kind) if b is None else expect("b", b, w.shape[1:], kind)
    y = empty((len(offsets) - 1, w.shape[1]), kind)
    _core.sparse(columns, values, offsets, expect("w", w, w.shape, kind), bias, y, thread_count(num_threads))
    return y


def log(x: Array, *, num_threads: int | None = None) -> Array:
    """Return the natural logarithm of each number, within 2 units in its last place.

    Of zero, and of what lies below the smallest normal number, it is minus infinity; of less, NaN.

    >>> log(np.array([1.0, 0.0, 4.0])).round(4).tolist()
    [0.0, -inf, 1.3863]
    """
    float_kind("x", x)
    x = np.ascontiguousarray(x)
    y = np.empty_like(x)
    _core.log(x.reshape(-1), y.reshape(-1), thread_count(num_threads))
    return y


def exp(x: Array, *, num_threads: int | None = None) -> Array:
    """Return the exponential of float64 numbers that are at most zero, such as logarithms of probabilities.

    Within 2 units in its last place, and to the same bits on every instruction set, as the losses take it. What lies
    below -300 counts as -300.

    Raises ShapeError where the numbers are not float64.

    >>> exp(np.array([0.0, -1.0, -np.inf])).round(4).tolist()
    [1.0, 0.3679, 0.0]
    """
    if x.dtype != np.float64:
        raise ShapeError(f"x is {x.dtype}; float64 is wanted.")
    x = np.ascontiguousarray(x)
    y = np.empty_like(x)
    _core.exp(x.reshape(-1), y.reshape(-1), thread_count(num_threads))
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
    dh = empty(h.shape, kind)
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


def sigmoid(x: Array, *, num_threads: int | None = None) -> Array:
    """Return 1 / (1 + exp(-x)) of every number of ``x [N, K]``, as the softmax of it beside zero."""
    kind = float_kind("x", x)
    pairs = np.stack([x.ravel(), np.zeros(x.size, kind)], axis=1)
    return softmax(pairs, num_threads=num_threads)[:, 0].reshape(x.shape)


def mode_numbers(modes: Sequence[str]) -> list[int]:
    """Find the numbers of pooling modes; raises OptionError for none, one twice, or one that is not known."""
    if not modes or len(set(modes)) < len(modes):
        raise OptionError(f"pooling modes {list(modes)}: wanted one or more of {', '.join(POOL_MODES)}, each once.")
    return [choose("pooling mode", mode, POOL_MODES) for mode in modes]
