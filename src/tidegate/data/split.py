"""Splits of labelled examples that keep the share of every class. Knows labels only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tidegate.errors import DataError, InputError

Indices = npt.NDArray[np.int64]


def stratified_split(
    labels: Sequence[object] | npt.NDArray[np.generic], fraction: float, *, seed: int = 0
) -> tuple[Indices, Indices]:
    """Hold out a part of every class: return (kept, held), two ascending arrays of indices.

    A pure function of its arguments. Each class gives ``round(count * fraction)`` examples, never all of them, so a
    class of one example stays in the kept part.

    Args:
        labels: [B], of any type that sorts.
        fraction: how much of every class to hold out, between 0 and 1.
        seed: another seed holds out other examples.

    Raises:
        InputError: the fraction is not between 0 and 1.
        DataError: there are too few examples to hold any out.

    >>> kept, held = stratified_split(["a"] * 4 + ["b"] * 8, 0.25)
    >>> len(kept), [int(sum(held < 4)), int(sum(held >= 4))]
    (9, [1, 2])
    """
    if not 0.0 < fraction < 1.0:
        raise InputError(f"the fraction to hold out is {fraction}; it must lie between 0 and 1, such as 0.2.")
    classes, codes = np.unique(np.asarray(labels), return_inverse=True)
    random = np.random.default_rng([seed, 0x5B117])
    held: list[Indices] = []
    for code in range(len(classes)):
        members = np.flatnonzero(codes == code)
        count = min(round(len(members) * fraction), len(members) - 1)
        held.append(random.permutation(members)[:count])
    chosen = np.sort(np.concatenate(held)) if held else np.empty(0, dtype=np.int64)
    if not len(chosen):
        raise DataError(f"{len(codes)} examples are too few to hold out {fraction:.0%} of every class.")
    return np.setdiff1d(np.arange(len(codes)), chosen), chosen


def group_split(
    labels: Sequence[object] | npt.NDArray[np.generic], groups: Indices, fraction: float, *, seed: int = 0
) -> tuple[Indices, Indices]:
    """Hold out whole groups, so that nothing of one group stands on both sides: return (kept, held) as above.

    Groups are split as `stratified_split` splits examples, each under the label that most of its examples have; where
    that gives none, one group is held out.

    Args:
        labels: [B], of any type that sorts.
        groups: [B], the number of the group of every example.
        fraction: how much to hold out, between 0 and 1.
        seed: another seed holds out other groups.

    Raises:
        InputError: the fraction is not between 0 and 1.
        DataError: there are fewer than two groups.

    >>> kept, held = group_split(["a"] * 6, np.array([0, 0, 1, 1, 2, 2]), 0.34)
    >>> len(kept), len(set(held // 2))
    (4, 1)
    """
    numbers, members = np.unique(groups, return_inverse=True)
    if len(numbers) < 2:
        raise DataError("there is one group alone, and it cannot stand on both sides of a split. Record a second one.")
    classes, codes = np.unique(np.asarray(labels), return_inverse=True)
    counts = np.zeros((len(numbers), len(classes)), np.int64)
    np.add.at(counts, (members, codes), 1)
    try:
        _, held = stratified_split(counts.argmax(axis=1), fraction, seed=seed)
    except DataError:
        held = np.random.default_rng([seed, 0x5B117]).integers(len(numbers), size=1)
    chosen = np.isin(members, held)
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)
