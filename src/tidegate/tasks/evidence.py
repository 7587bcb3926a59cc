"""Evidence: beside each token, how much more often the n-grams that stand there come with each class than with others.

A network that reads such numbers need not learn from a few thousand texts what each word means. It has to learn how far
to trust them, though, and so what it reads in training is counted without the text's own tenth of the training part:
as unreliable as what it will read of texts that were not counted at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tidegate.data.grams import checked_array

Floats: TypeAlias = NDArray[np.float32]
Numbers: TypeAlias = NDArray[np.int64]

FOLDS = 10
MOST_COLUMNS = 16  # numbers of an n-gram; where there are more classes, these are mixed
_PRIOR = 1.0  # texts that are imagined to hold each n-gram, in the classes' own shares


@dataclass(frozen=True, eq=False)
class Evidence:
    """Hold what each of G n-grams tells of the classes: `table [G, D]`, in half precision.

    In place of a number for each class there are mixtures of them where there are many classes.
    """

    table: NDArray[np.float16]

    def beside(self, found: NDArray[np.int32]) -> Floats:
        """Look up the n-grams that end at each token, `[N, lengths]`, to `[N, lengths * D]`; zeros for -1."""
        return _look_up(self.table, found)

    @classmethod
    def restore(cls, table: NDArray[Any], grams: int) -> Self:
        """Read the table of a file; raises ValueError where it is none, or not of so many n-grams."""
        if len(checked_array("evidence", table, np.float16, 2)) != grams:
            raise ValueError(f"it has evidence of {len(table)} n-grams, and {grams} n-grams")
        return cls(table)


def learn_evidence(
    found: NDArray[np.int32],
    row: Numbers,
    truth: Floats,
    grams: int,
    *,
    seed: int,
    group: Numbers | None = None,
    columns: int = MOST_COLUMNS,
) -> tuple[Evidence, Floats]:
    """Count n-grams by class; return what they tell, and what stands beside the tokens they were counted in.

    Args:
        found: `[N, lengths]`, the number of the n-gram of each length that ends at each token, or -1.
        row: `[N]`, the text of each token.
        truth: `[B, K]`, how likely each class is of each text, times how much the text counts.
        grams: how many n-grams there are.
        seed: of the folds, and of the mixtures where there are many classes.
        group: `[B]`, ascending from 0: those of one group lie in one tenth; None where each text is its own.
        columns: numbers of an n-gram, at most.
    """
    rng = np.random.default_rng([seed, 2])
    groups = np.arange(len(truth)) if group is None else group
    fold = (rng.permutation(int(groups.max(initial=-1)) + 1) % FOLDS)[groups]
    counts = _Counts.of(found, row, truth, grams, fold, _mixture(truth.shape[1], columns, rng))
    beside = np.zeros((len(found), found.shape[1] * counts.mixture.shape[1]), np.float32)
    of_token = fold[row]
    for number in range(FOLDS):
        at = np.flatnonzero(of_token == number)
        beside[at] = _look_up(counts.table(without=number), found[at])
    return Evidence(counts.table()), beside


@dataclass(frozen=True, eq=False)
class _Counts:
    """Hold E pairs of an n-gram and a class, sorted, and how many texts of each fold have both."""

    gram: Numbers  # [E]
    label: Numbers  # [E]
    texts: NDArray[np.float64]  # [FOLDS, E]
    grams: int
    share: NDArray[np.float64]  # [K] of each class among the texts
    mixture: NDArray[np.float64]  # [K, D]

    @classmethod
    def of(
        cls,
        found: NDArray[np.int32],
        row: Numbers,
        truth: Floats,
        grams: int,
        fold: Numbers,
        mixture: NDArray[np.float64],
    ) -> _Counts:
        K = truth.shape[1]
        there, order = np.nonzero(found >= 0)
        pairs = np.sort(found[there, order].astype(np.int64) * len(truth) + row[there])
        pairs = pairs[np.flatnonzero(np.concatenate([[True], pairs[1:] != pairs[:-1]])[: len(pairs)])]
        gram, text = np.divmod(pairs, max(len(truth), 1))
        told, label = np.nonzero(truth)  # the classes of each text, sorted by text
        begins = np.searchsorted(told, np.arange(len(truth) + 1))
        each = np.diff(begins)[text]
        at = np.repeat(begins[text] - np.concatenate([[0], np.cumsum(each)[:-1]]), each) + np.arange(each.sum())
        code = np.repeat(gram, each) * K + label[at]
        known, which = np.unique(code, return_inverse=True)
        weight, of_fold = truth[told[at], label[at]], fold[told[at]]
        texts = np.bincount(of_fold * len(known) + which, weights=weight, minlength=FOLDS * len(known)).astype(
            np.float64
        )
        share = truth.sum(axis=0, dtype=np.float64)
        share /= max(share.sum(), 1e-30)
        gram, label = np.divmod(known, np.int64(K))
        return cls(gram, label, texts.reshape(FOLDS, len(known)), grams, share, mixture)

    def table(self, *, without: int | None = None) -> NDArray[np.float16]:
        """Say what each n-gram tells, `[grams, D]`: log((c_k + s_k) / (c + 1) / s_k), mixed.

        c_k are its texts of class k, c all of them, and s_k the share of the class.
        """
        texts = self.texts.sum(axis=0) - (0 if without is None else self.texts[without])
        texts = np.maximum(texts, 0)  # soft counts leave crumbs
        all_texts = np.bincount(self.gram, weights=texts, minlength=self.grams)
        # What logarithms of NumPy differ in from one instruction set to another, half precision rounds away.
        more = np.log1p(texts / (_PRIOR * self.share[self.label]))
        table = -np.log1p(all_texts / _PRIOR)[:, None] * self.mixture.sum(axis=0)
        for column in range(self.mixture.shape[1]):
            told = more * self.mixture[self.label, column]
            table[:, column] += np.bincount(self.gram, weights=told, minlength=self.grams)
        return np.asarray(table, np.float16)


def _mixture(classes: int, columns: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Choose signs for the classes in each column, after Achlioptas 2003; a column for each where there are few."""
    if classes <= columns:
        return np.eye(classes)
    return np.asarray(rng.choice([-1.0, 1.0], (classes, columns)) / np.sqrt(columns))


def _look_up(table: NDArray[np.float16], found: NDArray[np.int32]) -> Floats:
    """Rows of a table, side by side; zeros for -1."""
    if not len(table):
        return np.zeros((len(found), found.shape[1] * table.shape[1]), np.float32)
    rows = table[np.maximum(found, 0)]
    rows[found < 0] = 0
    return rows.reshape(len(found), found.shape[1] * table.shape[1]).astype(np.float32)
