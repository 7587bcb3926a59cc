"""Logistic regression over sparse features: what a linear model makes of the same texts.

Knows features and classes, not what they stand for. The sums that make up the result are taken in a fixed order, so
the same data give the same weights, whatever the number of threads.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

import tidegate.kernels as kernels
from tidegate.documents import Sparse
from tidegate.ragged import Ragged

Floats: TypeAlias = NDArray[np.float32]

_REMEMBERED = 6  # moves that say how the slope bends
_LEAST = 1e-4  # of the drop that the slope promises, for a move to be taken
_RARE = 1e-4  # of all rows, the least share of a class to begin with
_CONVERGED = 1e-5  # of the loss, over the last move


@dataclass(frozen=True, eq=False)
class Linear:
    """Hold the weights `[F, K]` of F features for K classes, and a bias `[K]`."""

    weight: Floats
    bias: Floats

    def __call__(self, features: Sparse) -> Floats:
        """Score the classes, `[B, K]`."""
        columns = features.columns
        return kernels.sparse_product(columns.values, features.values, columns.offsets, self.weight, self.bias)


def fit_linear(
    features: Sparse,
    truth: Floats,
    *,
    ratios: Floats,
    weights: Floats | None = None,
    C: float = 10.0,
    steps: int = 60,
    apart: bool = False,
) -> Linear:
    """Fit a multinomial logistic regression with weights `W = ratios * V`, where V is penalised rather than W.

    With ratios of one it is the plain model. With the log-ratios of naive Bayes, or their roots, features weigh from
    the start as much as they tell classes apart (after Wang & Manning 2012).

    Args:
        features: B rows.
        truth: `[B, K]`, how likely each class is of each row; each row adds up to one.
        ratios: `[F, K]`.
        weights: `[B]`, how much each row counts; None counts all the same.
        C: how little large numbers in V cost: the penalty is |V|^2 / (2 C B), beside the mean cross-entropy in nats.
            The bias goes free.
        steps: moves of the search (L-BFGS, Nocedal & Wright 2006, chapter 7), at most.
        apart: fit K independent models of yes and no; rows of `truth` may then add up to anything.

    >>> rows = Sparse(Ragged.from_list([[0], [1], [0]], dtype=np.int32), np.ones(3, np.float32))
    >>> truth = np.array([[1, 0], [0, 1], [1, 0]], np.float32)
    >>> fit_linear(rows, truth, ratios=np.ones((2, 2), np.float32))(rows).argmax(axis=1).tolist()
    [0, 1, 0]
    """
    problem = _Problem.of(features, truth, ratios, weights, 1 / (C * max(len(features), 1)), apart)
    found = minimise(problem.loss, problem.start(), steps)
    V, bias = problem.parts(found)
    return Linear(ratios * V, bias)


@dataclass(frozen=True, eq=False)
class _Problem:
    """Hold what does not change from one look at the loss to the next."""

    features: Sparse
    by_feature: Sparse  # the same numbers, feature by feature
    truth: Floats
    ratios: Floats
    share: NDArray[np.float64]  # [B] of each row in the mean
    penalty: float
    apart: bool

    @classmethod
    def of(
        cls, features: Sparse, truth: Floats, ratios: Floats, weights: Floats | None, penalty: float, apart: bool
    ) -> _Problem:
        columns = np.asarray(features.columns.values)
        order = np.argsort(columns, kind="stable")
        row = np.repeat(np.arange(len(features), dtype=np.int32), features.columns.lengths)
        begins = np.concatenate([[0], np.cumsum(np.bincount(columns, minlength=len(ratios)))])
        turned = Sparse(Ragged(row[order], begins), features.values[order])
        own = np.ones(len(truth)) if weights is None else weights.astype(np.float64)
        return cls(features, turned, truth, ratios, own / max(own.sum(), 1e-30), penalty, apart)

    def start(self) -> Floats:
        """Begin with zeros; where models are apart, with the bias of the best answer that ignores the features.

        That of a rare class is a long way from zero, which all of them would have to go before they learn.
        """
        start = np.zeros(self.ratios.size + self.ratios.shape[1], np.float32)
        if self.apart:
            start[self.ratios.size :] = log_odds((self.share[:, None] * self.truth).sum(axis=0))
        return start

    def parts(self, flat: Floats) -> tuple[Floats, Floats]:
        size = self.ratios.size
        return flat[:size].reshape(self.ratios.shape), flat[size:]

    def loss(self, flat: Floats) -> tuple[float, Floats]:
        """Return the loss at a point, and its slope there."""
        V, bias = self.parts(flat)
        scores = Linear(self.ratios * V, bias)(self.features)
        likely, each = self._lost(scores)
        lost = float((self.share * each).sum())
        wrong = ((likely - self.truth) * self.share[:, None]).astype(np.float32)
        columns = self.by_feature.columns
        slope = kernels.sparse_product(columns.values, self.by_feature.values, columns.offsets, wrong)
        slope = slope * self.ratios + np.float32(self.penalty) * V
        return lost + self.penalty / 2 * _dot(V, V), np.concatenate([slope.ravel(), wrong.sum(axis=0)])

    def _lost(self, scores: Floats) -> tuple[Floats, NDArray[np.float64]]:
        """Return how likely each class is of each row, `[B, K]`, and what is lost of each row, in nats."""
        if self.apart:
            lost = np.logaddexp(0, scores, dtype=np.float64) - self.truth * scores
            return kernels.sigmoid(scores), lost.sum(axis=1)
        logs = scores - scores.max(axis=1, keepdims=True)
        logs = logs - np.log(np.exp(logs.astype(np.float64)).sum(axis=1, keepdims=True))
        return kernels.softmax(scores), -(self.truth * logs).sum(axis=1)


def log_odds(shares: NDArray[np.float64]) -> Floats:
    """Compute the scores that say yes with these probabilities, as far as those are likely at all.

    >>> log_odds(np.array([0.5, 0.0])).round(2).tolist()
    [0.0, -9.210000038146973]
    """
    likely = np.clip(shares, _RARE, 1 - _RARE)
    return np.asarray(np.log(likely / (1 - likely)), np.float32)


def minimise(loss: Callable[[Floats], tuple[float, Floats]], start: Floats, steps: int) -> Floats:
    """Find where a smooth function is small by L-BFGS; `loss` returns its value and its slope at a point."""
    at, (value, slope) = start, loss(start)
    moves: deque[tuple[Floats, Floats, float]] = deque(maxlen=_REMEMBERED)
    for _ in range(steps):
        way = _direction(slope, moves)
        promised = _dot(way, slope)
        if promised >= 0:
            break
        size = 1.0 if moves else min(1.0, 1.0 / max(float(np.abs(slope).sum()), 1e-12))
        for _ in range(20):
            there = at + np.float32(size) * way
            then, slope_there = loss(there)
            if then <= value + _LEAST * size * promised:
                break
            size /= 2
        else:
            break
        move, bend = there - at, slope_there - slope
        if (curve := _dot(move, bend)) > 0:
            moves.append((move, bend, curve))
        done = value - then <= _CONVERGED * abs(then)
        at, value, slope = there, then, slope_there
        if done:
            break
    return at


def _direction(slope: Floats, moves: deque[tuple[Floats, Floats, float]]) -> Floats:
    """Turn the slope into a way down, by what the last moves told of how it bends."""
    way, shares = -slope, []
    for move, bend, curve in reversed(moves):
        share = _dot(move, way) / curve
        way = way - np.float32(share) * bend
        shares.append(share)
    if moves:
        move, bend, curve = moves[-1]
        way = way * np.float32(curve / _dot(bend, bend))
    for (move, bend, curve), share in zip(moves, reversed(shares), strict=True):
        way = way + np.float32(share - _dot(bend, way) / curve) * move
    return way


def _dot(a: Floats, b: Floats) -> float:
    """Add up products in one fixed order, which BLAS does not."""
    return float(np.multiply(a, b, dtype=np.float64).sum())
