"""How far a text is from the right one. Knows sequences of anything."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T", bound=Hashable)


def distance(found: Sequence[Hashable], right: Sequence[Hashable]) -> int:
    """Count the fewest symbols to put in, take out and replace that make one of the other (Levenshtein 1966).

    >>> distance("sitting", "kitten"), distance("", "abc")
    (3, 3)
    """
    numbers = {symbol: number for number, symbol in enumerate({*found, *right})}
    aim, places = np.array([numbers[symbol] for symbol in right], np.int64), np.arange(len(right) + 1)
    row = places.copy()
    for symbol in found:
        best = row + 1
        best[1:] = np.minimum(best[1:], row[:-1] + (aim != numbers[symbol]))
        row = np.minimum.accumulate(best - places) + places
    return int(row[-1])


def paired(found: Sequence[T], right: Sequence[T]) -> list[tuple[T | None, T | None]]:
    """Set what was found beside what is right, in the fewest changes; None stands beside what is too much or missing.

    >>> paired("cat", "at"), paired("b", "d")
    ([('c', None), ('a', 'a'), ('t', 't')], [('b', 'd')])
    """
    table = np.zeros((len(found) + 1, len(right) + 1), np.int64)
    table[:, 0], table[0] = np.arange(len(found) + 1), np.arange(len(right) + 1)
    for i, symbol in enumerate(found, 1):
        for j, other in enumerate(right, 1):
            table[i, j] = min(table[i - 1, j] + 1, table[i, j - 1] + 1, table[i - 1, j - 1] + (symbol != other))
    pairs, i, j = list[tuple[T | None, T | None]](), len(found), len(right)
    while i or j:
        if i and j and table[i, j] == table[i - 1, j - 1] + (found[i - 1] != right[j - 1]):
            i, j = i - 1, j - 1
            pairs.append((found[i], right[j]))
        elif i and table[i, j] == table[i - 1, j] + 1:
            i -= 1
            pairs.append((found[i], None))
        else:
            j -= 1
            pairs.append((None, right[j]))
    return pairs[::-1]


def matches(found: Sequence[Hashable], right: Sequence[Hashable]) -> list[bool]:
    """Tell of each symbol that was found whether one of the right ones stands there, in the fewest changes."""
    return [one == other for one, other in paired(found, right) if one is not None]


def error_rate(found: Sequence[Sequence[Hashable]], right: Sequence[Sequence[Hashable]]) -> float:
    """Divide the changes of all texts together by the symbols of all right ones: words where texts are lists of those.

    >>> error_rate(["ab", ""], ["ab", "cd"])
    0.5
    """
    changes = sum(map(distance, found, right))
    return changes / max(sum(map(len, right)), 1)
