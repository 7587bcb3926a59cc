"""The two sides of pairs: which can be learned from, which belong together, and how they are written."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.data.pairs.sides import choose_pairs, sharing
from tidegate.errors import InputError


def test_pairs_are_left_out_by_the_first_reason_that_holds() -> None:
    sources = np.array([1, 0, 0, 200, 201, 1, 1, 9, 10])
    targets = np.array([1, 5, 0, 200, 2, 9, 10, 1, 1])
    kept, dropped = choose_pairs(sources, targets)
    assert kept.tolist() == [0, 3, 5, 7]
    assert dropped == {
        "with an empty side": 2,
        "with a side of more than 200 tokens": 1,
        "with a side 9 times as long": 2,
    }


def test_bounds_can_be_chosen_but_not_below_one() -> None:
    lengths = np.array([1, 4])
    kept, dropped = choose_pairs(lengths, lengths[::-1], longest=4, ratio=4.0)
    assert (kept.tolist(), dropped) == ([0, 1], {})
    assert choose_pairs(lengths, lengths[::-1], ratio=1.5)[1] == {"with a side 1.5 times as long": 2}
    assert choose_pairs(np.array([], np.int64), np.array([], np.int64))[0].tolist() == []
    with pytest.raises(InputError, match="longest is 0"):
        choose_pairs(lengths, lengths, longest=0)
    with pytest.raises(InputError, match=r"ratio 0\.5"):
        choose_pairs(lengths, lengths, ratio=0.5)


@given(st.lists(st.tuples(st.sampled_from(["", *"abcdef"]), st.sampled_from(["", *"uvwxyz"])), max_size=12))
def test_pairs_belong_together_exactly_where_a_chain_of_shared_sides_joins_them(pairs: list[tuple[str, str]]) -> None:
    groups = sharing([one for one, _ in pairs], [other for _, other in pairs]).tolist()
    joined = np.array([[any(a and a == b for a, b in zip(p, q, strict=True)) or p is q for q in pairs] for p in pairs])
    np.fill_diagonal(joined, True) if pairs else None
    for _ in pairs:  # the closure, step by step
        joined = joined @ joined if pairs else joined
    assert [[a == b for b in groups] for a in groups] == (joined.tolist() if pairs else [])


def test_the_same_text_on_both_sides_joins_nothing() -> None:
    assert sharing(["a", "b"], ["b", "c"]).tolist() == [0, 1]
