"""The choice of the next token of a text, or of each of many."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

import tidegate._core as _core
from tidegate.errors import ShapeError
from tidegate.kernels.checks import expect, float_kind
from tidegate.kernels.threads import thread_count

Array = NDArray[Any]


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
            temperature: scores are divided by it; 0, or next to nothing, takes the most probable token.
            top_k: choose among so many of the most probable tokens; 0 among all.
            top_p: choose among the fewest of the most probable ones that have this share (Holtzman et al. 2020).

        Raises ShapeError for another shape or type.
        """
        try:
            return self._core.choose(x, temperature, top_k, top_p, u, self._threads)
        except (BufferError, TypeError, ValueError):  # checked there, since it is quicker, and told here
            x = expect("x", np.asarray(x), self._shape, self._kind)
            return self._core.choose(x, temperature, top_k, top_p, u, self._threads)


def sample(scores: Array, u: Array, *, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0) -> Array:
    """Choose a token by each row of ``scores [n, V]``, as a `Sampler` does by the scores that it finds; ``[n]`` int64.

    Minus infinity bars a token; one at least must be left in each row. ``u [n]`` are random float64, 0 <= u < 1; for
    the others see `Sampler.choose`. Raises ShapeError for another shape or type.

    >>> scores = np.array([[0.0, -np.inf, 1.0], [0.0, 9.0, 1.0]])
    >>> sample(scores, np.array([0.2, 0.5])).tolist(), sample(scores, np.zeros(2), temperature=0.0).tolist()
    ([0, 1], [2, 1])
    """
    kind = float_kind("scores", scores)
    if scores.ndim != 2 or not scores.shape[1]:
        raise ShapeError(f"scores are {list(scores.shape)} but [n, V] with a token at least is wanted.")
    chosen = np.empty(len(scores), np.int64)
    own = np.array(expect("scores", scores, scores.shape, kind))
    _core.sample(own, expect("u", u, (len(scores),), np.dtype(np.float64)), temperature, top_k, top_p, chosen)
    return chosen
