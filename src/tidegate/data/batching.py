"""The order in which examples are met in training: shuffled, with even work per batch, resumable. Knows lengths only.

Padding costs nothing here, so there is no reason to gather examples of like length, which would hide long texts from
most updates. Instead every batch is a sample across all lengths: examples are sorted by length, the sorted list is
cut into strata of one example per batch, and each stratum is dealt out in random order. Two batches of an epoch then
differ by less than one longest sequence in their number of tokens, and a step takes the same time all epoch long.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from tidegate.errors import InputError, ShapeError

Indices = npt.NDArray[np.int64]


def batch_count(examples: int, batch_size: int) -> int:
    """Say how many batches an epoch has: ``ceil(examples / batch_size)``.

    >>> batch_count(25_000, 128)
    196
    """
    return -(-examples // batch_size)


def batches(
    lengths: Sequence[int] | npt.NDArray[np.integer], batch_size: int, *, seed: int, epoch: int, start: int = 0
) -> Iterator[Indices]:
    """Yield the batches of one epoch as arrays of indices.

    A pure function of its arguments: the same call gives the same batches, so that a run resumes with no state of a
    random generator. Every example occurs exactly once in an epoch. Sizes differ by at most one and never exceed
    ``batch_size``: there is no small rest at the end. The longest examples of a batch come first. No examples, no
    batches.

    Args:
        lengths: [B], the number of steps of every example.
        batch_size: the most examples of a batch.
        seed: another seed gives other batches.
        epoch: from 0; another epoch gives other batches.
        start: how many batches of the epoch to leave out at its beginning.

    Raises:
        ShapeError: lengths have more or less than one axis.
        InputError: the batch size is below 1, a number is negative, or start lies past the end.

    >>> [batch.tolist() for batch in batches([5, 1, 4, 2, 3], 2, seed=0, epoch=0, start=1)]
    [[2], [4, 1]]
    """
    steps = np.asarray(lengths, dtype=np.int64)
    if steps.ndim != 1:
        raise ShapeError(f"lengths is {list(steps.shape)}; batches wants [B], one length for every example.")
    if batch_size < 1:
        raise InputError(f"batch_size is {batch_size}; it must be at least 1.")
    if min(seed, epoch, start, int(steps.min(initial=0))) < 0:
        raise InputError("seed, epoch, start and lengths must not be negative.")
    count = batch_count(len(steps), batch_size)
    if start > count:
        raise InputError(f"start is {start}, but an epoch of {len(steps)} examples has {count} batches.")
    return _deal(steps, count, seed=seed, epoch=epoch, start=start)


def _deal(steps: Indices, count: int, *, seed: int, epoch: int, start: int) -> Iterator[Indices]:
    random = np.random.default_rng([seed, epoch])
    longest_first = np.lexsort((random.random(len(steps)), -steps))
    strata = range(0, len(steps), max(count, 1))
    places = np.concatenate([random.permutation(count) for _ in strata]) if strata else longest_first
    rows = np.repeat(np.arange(len(strata)), count)[: len(steps)]
    by_batch = np.lexsort((rows, places[: len(steps)]))
    edges = np.concatenate([[0], np.cumsum(np.bincount(places[: len(steps)], minlength=count))])
    for batch in range(start, count):
        yield longest_first[by_batch[edges[batch] : edges[batch + 1]]]
