"""Sources and their targets, side by side and as one batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tidegate.errors import ShapeError
from tidegate.pairs import Pairs
from tidegate.ragged import Ragged

EMPTY = Ragged(np.empty(0, np.int64), np.array([0]))


def test_the_target_of_a_pair_follows_its_source() -> None:
    pairs = Pairs(Ragged.from_list([[1, 2], [], [3]]), Ragged.from_list([[4], [5, 6], []]))
    assert [list(tokens) for tokens in pairs.tokens] == [[1, 2, 4], [5, 6], [3]]
    assert pairs.cut.tolist() == [2, 0, 1]
    assert pairs.lengths.tolist() == [3, 2, 1]
    assert len(pairs) == 3


def test_pairs_are_chosen_with_both_sides() -> None:
    pairs = Pairs(Ragged.from_list([[1, 2], [], [3]]), Ragged.from_list([[4], [5, 6], []])).select([2, 0, 2])
    assert [list(tokens) for tokens in pairs.tokens] == [[3], [1, 2, 4], [3]]
    assert repr(pairs) == "Pairs(3 pairs, 4 source and 1 target tokens)"


def test_no_pairs_are_a_batch_too() -> None:
    assert Pairs(EMPTY, EMPTY).offsets.tolist() == [0]
    assert Pairs(EMPTY, EMPTY).cut.tolist() == []


@pytest.mark.parametrize(
    ("source", "target", "told"),
    [
        (Ragged.from_list([[1], [2]]), Ragged.from_list([[1]]), "2 sources and 1 targets"),
        (Ragged.from_list([[1.5]]), Ragged.from_list([[1]]), r"source holds float64 \[1\]; ids \[N\]"),
        (Ragged.from_list([[1]]), Ragged(np.zeros((2, 3), np.int64), np.array([0, 2])), r"target holds int64 \[2, 3\]"),
    ],
)
def test_what_is_no_pair_is_refused(source: Any, target: Any, told: str) -> None:
    with pytest.raises(ShapeError, match=told):
        Pairs(source, target)
