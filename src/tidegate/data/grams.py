"""The n-grams of sequences of ids: which there are, and which of them ends at each step. Knows ids alone.

An n-gram is known by the (n-1)-gram that it goes on from and by its last id, so that no two ever share a number, all
can be read back, and what is stored is one sorted array for each length.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegate.ragged import Ragged

Numbers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Grams:
    """Hold the n-grams of 1 up to `longest` ids, numbered length by length; make them with `learn_grams`.

    size: ids lie in [0, size); id 0 stands for whatever is unknown, and is in no n-gram.
    keys: of each length, sorted: `before * size + id`, where `before` numbers the n-gram one shorter that it goes on
        from among those of its length; 0 for single ids.
    """

    size: int
    keys: tuple[Numbers, ...]

    @property
    def longest(self) -> int:
        """The number of ids of the longest."""
        return len(self.keys)

    @cached_property
    def begins(self) -> Numbers:
        """Where the numbers of each length begin, [longest + 1]."""
        return np.cumsum([0, *map(len, self.keys)], dtype=np.int64)

    def __len__(self) -> int:
        """Count the n-grams."""
        return int(self.begins[-1])

    def find(self, sequences: Ragged) -> NDArray[np.int32]:
        """Say which n-gram of each length ends at each step: [N, longest], -1 where none of them does.

        >>> grams, _ = learn_grams(Ragged.from_list([[1, 2], [1, 2]]), size=3, longest=2)
        >>> grams.find(Ragged.from_list([[2, 1, 2]])).tolist()
        [[1, -1], [0, -1], [1, 2]]
        """
        found = np.full((len(sequences.values), self.longest), -1, np.int32)
        for order, key in enumerate(_keys(self.size, sequences, found)):
            _place(self.keys[order], key, found[:, order])
        return self.numbered(found)

    def numbered(self, found: NDArray[np.int32]) -> NDArray[np.int32]:
        """Turn numbers among the n-grams of a length, [N, longest], into those among all."""
        return found + np.where(found >= 0, self.begins[:-1].astype(np.int32), np.int32(0))

    def spell(self, number: int) -> list[int]:
        """List the ids of an n-gram.

        >>> learn_grams(Ragged.from_list([[1, 2], [1, 2]]), size=3, longest=2)[0].spell(2)
        [1, 2]
        """
        order = int(np.searchsorted(self.begins, number, side="right")) - 1
        at, ids = number - int(self.begins[order]), []
        while order >= 0:
            at, last = divmod(int(self.keys[order][at]), self.size)
            ids.append(last)
            order -= 1
        return ids[::-1]


def learn_grams(
    sequences: Ragged, *, size: int, longest: int, least: int = 1, most: int = 2**20
) -> tuple[Grams, NDArray[np.int32]]:
    """Find the n-grams of ids from 1 on that stand in at least `least` sequences; return them and what `find` says.

    Args:
        sequences: ids, [N].
        size: ids lie in [0, size).
        longest: the most ids of one.
        least: in how many sequences one must stand. Parts of an n-gram stand wherever it does.
        most: of each length, at most so many are kept, those that stand in the most sequences.
    """
    row = np.repeat(np.arange(len(sequences)), sequences.lengths)
    found = np.full((len(sequences.values), longest), -1, np.int32)
    keys: list[Numbers] = []
    for order, key in enumerate(_keys(size, sequences, found)):
        at = np.flatnonzero(key >= 0)
        known, rows = _rows_of(key[at], row[at], len(sequences))
        known = known[rows >= least]
        if len(known) > most:
            known = np.sort(known[np.argsort(-rows[rows >= least], kind="stable")[:most]])
        keys.append(known)
        _place(known, key, found[:, order])
    grams = Grams(size, tuple(keys))
    return grams, grams.numbered(found)


def restore_grams(name: str, size: int, arrays: Mapping[str, NDArray[Any]]) -> Grams:
    """Make n-grams of ids below `size` of their keys in a file: `name.1`, `name.2` and so on.

    Raises KeyError or ValueError where those are none.

    >>> restore_grams("grams", 3, {"grams.1": np.array([1, 2])}).find(Ragged.from_list([[2, 1]])).tolist()
    [[1], [0]]
    """
    longest = sum(key.startswith(f"{name}.") and key.rpartition(".")[2].isdecimal() for key in arrays)
    orders = range(1, longest + 1)
    keys = tuple(checked_array(f"{name}.{order}", arrays[f"{name}.{order}"], np.int64, 1) for order in orders)
    before = 1
    for order, known in enumerate(keys, 1):
        if len(known) and not (known[0] > 0 and known[-1] < before * size and (np.diff(known) > 0).all()):
            raise ValueError(f"its {name}.{order} are no sorted n-grams of {size} ids")
        before = len(known)
    if not keys:
        raise ValueError(f"it has no {name}")
    return Grams(size, keys)


def checked_array(name: str, array: NDArray[Any], kind: type[np.generic], axes: int) -> NDArray[Any]:
    """Return an array of a file; raises ValueError for one of another type or shape, or with numbers not finite."""
    if array.dtype != kind or array.ndim != axes:
        raise ValueError(f"its {name} is {array.dtype} {list(array.shape)}; {kind.__name__} of {axes} axes is wanted")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"its {name} holds numbers that are not finite")
    return array


def _rows_of(key: Numbers, row: Numbers, rows: int) -> tuple[Numbers, Numbers]:
    """List the distinct keys, sorted, and in how many rows each stands."""
    if len(key) and int(key.max()) >= 2**62 // max(rows, 1):  # too large to stand in one number with a row
        back, key = np.unique(key, return_inverse=True)
        known, counts = _rows_of(key, row, rows)
        return back[known], counts
    return _distinct(_distinct(key * max(rows, 1) + row)[0] // max(rows, 1))


def _distinct(numbers: Numbers) -> tuple[Numbers, Numbers]:
    """List distinct numbers, sorted, and how often each comes; several times as fast as `numpy.unique`."""
    ordered = np.sort(numbers)
    first = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])[: len(ordered)])
    return ordered[first], np.diff(first, append=len(ordered))


def _place(known: Numbers, key: Numbers, found: NDArray[np.int32]) -> None:
    """Write into `found` where each key stands among the known ones; what is not among them is left alone."""
    if not len(known):
        return
    order = np.argsort(key)  # looked up in order, neighbours lie in the cache
    wanted = key[order]
    place = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    found[order] = np.where(known[place] == wanted, place, -1)


def _keys(size: int, sequences: Ragged, found: NDArray[np.int32]) -> Iterator[Numbers]:
    """Yield the keys of each length at each step, -1 where there can be none.

    The caller writes into `found` [N, longest] which n-gram of its length each is, before the next are made.
    """
    ids = np.asarray(sequences.values).astype(np.int64)
    if found.shape[1]:
        yield np.where(ids > 0, ids, -1)
    begins = np.asarray(sequences.offsets)[:-1][np.asarray(sequences.lengths) > 0]
    for order in range(1, found.shape[1]):
        before = np.full(len(ids), -1, np.int64)
        before[1:] = found[:-1, order - 1]
        before[begins] = -1
        known = (before >= 0) & (found[:, order - 1] >= 0)  # whose two parts are both known
        yield np.where(known, before * size + ids, -1)


@dataclass(frozen=True, eq=False)
class Counted:
    """Hold which of F features stand in which sequences, and how often, sorted by sequence and then by feature.

    row, feature, times: [M] of each.
    """

    row: Numbers
    feature: Numbers
    times: Numbers


def count_features(row: Numbers, feature: NDArray[np.integer], features: int) -> Counted:
    """Count how often each of F features stands in each row, from one entry for each time; -1 is none.

    >>> counted = count_features(np.array([1, 0, 1, 1]), np.array([4, 2, 4, -1]), 5)
    >>> counted.row.tolist(), counted.feature.tolist(), counted.times.tolist()
    ([0, 1], [2, 4], [1, 2])
    """
    there = feature >= 0
    code, times = _distinct(row[there] * features + feature[there])
    return Counted(*np.divmod(code, max(features, 1)), times)
