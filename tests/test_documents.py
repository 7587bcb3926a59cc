"""Documents: what is chosen of them goes together, and what does not fit together is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.documents import Documents, Sparse
from tidegate.errors import ShapeError
from tidegate.ragged import Ragged

LENGTHS = st.lists(st.integers(0, 4), min_size=0, max_size=6)


def drawn(lengths: list[int], features: list[int]) -> Documents:
    """Number all that is in documents, so that each number tells where it came from."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    tokens = Ragged(np.arange(offsets[-1], dtype=np.int32), offsets)
    ends = np.concatenate([[0], np.cumsum(features)]).astype(np.int64)
    columns = Ragged(np.arange(ends[-1], dtype=np.int32), ends)
    beside = np.stack([tokens.values + 0.25, tokens.values + 0.5], axis=1).astype(np.float32)
    return Documents(tokens, beside, Sparse(columns, (columns.values + 0.75).astype(np.float32)))


def listed(documents: Documents) -> list[Any]:
    """Write documents as lists: the tokens, what stands beside each, and the features of each text."""
    assert documents.features is not None
    columns = documents.features.columns
    values = columns.with_values(documents.features.values)
    beside = documents.tokens.with_values(documents.beside)
    parts = zip(documents.tokens, beside, columns, values, strict=True)
    return [[part.tolist() for part in text] for text in parts]


@given(st.data(), LENGTHS)
def test_what_is_selected_is_what_lists_would_give(data: st.DataObject, lengths: list[int]) -> None:
    features = [(3 * length + 1) % 4 for length in lengths]
    documents = drawn(lengths, features)
    every = listed(documents)
    chosen = data.draw(st.lists(st.integers(0, len(lengths) - 1), max_size=8)) if lengths else []
    assert listed(documents.select(np.array(chosen, np.int64))) == [every[index] for index in chosen]


@given(st.data(), LENGTHS)
def test_tokens_that_are_left_out_take_what_stands_beside_them_along(data: st.DataObject, lengths: list[int]) -> None:
    documents = drawn(lengths, [1] * len(lengths))
    kept = np.array(data.draw(st.lists(st.booleans(), min_size=sum(lengths), max_size=sum(lengths))), bool)
    found = documents.where(kept)
    before, begin, want = listed(documents), 0, []
    for tokens, beside, columns, values in before:
        mine = kept[begin : begin + len(tokens)]
        begin += len(tokens)
        of_text = [[part for part, keep in zip(parts, mine, strict=True) if keep] for parts in (tokens, beside)]
        want.append([*of_text, columns, values])
    assert listed(found) == want
    assert found.lengths.tolist() == [len(text[0]) for text in want]


def test_numbers_are_brought_to_another_type_and_ids_are_not() -> None:
    found = drawn([2, 0, 1], [1, 2, 0]).astype(np.float64)
    assert found.features is not None
    kinds = [found.beside.dtype, found.features.values.dtype, found.tokens.values.dtype]
    assert [str(kind) for kind in kinds] == ["float64", "float64", "int32"]
    assert listed(found) == listed(drawn([2, 0, 1], [1, 2, 0]))


TOKENS = Ragged.from_list([[1, 2], [3]], dtype=np.int32)
ONE = np.ones(1, np.float32)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Documents(TOKENS, np.zeros(3, np.float32)), r"beside is \[3\]; \[3, D\] is wanted"),
        (lambda: Documents(TOKENS, np.zeros((2, 4), np.float32)), r"beside is \[2, 4\]; \[3, D\] is wanted"),
        (
            lambda: Documents(
                TOKENS, np.zeros((3, 1), np.float32), Sparse(Ragged.from_list([[0]], dtype=np.int32), ONE)
            ),
            "features of 1 texts, and 2 texts",
        ),
        (lambda: Sparse(Ragged.from_list([[0, 1]], dtype=np.int32), ONE), r"values are \[1\] and columns int32 \[2\]"),
        (lambda: Sparse(Ragged.from_list([[0]], dtype=np.int64), ONE), r"columns int64 \[1\]"),
    ],
)
def test_what_does_not_belong_together_is_refused(make: Any, told: str) -> None:
    with pytest.raises(ShapeError, match=told):
        make()
