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
