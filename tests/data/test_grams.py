"""N-grams, found and counted, against dictionaries of tuples."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tidegate.data.grams import count_features, learn_grams
from tidegate.ragged import Ragged

Texts = list[list[int]]
SIZE = 5
TEXTS = st.lists(st.lists(st.integers(0, SIZE - 1), max_size=9), max_size=7)


def ragged(texts: Texts) -> Ragged:
    return Ragged(np.array([word for text in texts for word in text], np.int64), np.cumsum([0, *map(len, texts)]))


def counted(texts: Texts, longest: int) -> Counter[tuple[int, ...]]:
    """Count in how many texts each n-gram without an unknown word stands."""
    found: Counter[tuple[int, ...]] = Counter()
    for text in texts:
        found.update(
            {
                tuple(text[end - order : end])
                for end in range(1, len(text) + 1)
                for order in range(1, min(longest, end) + 1)
                if 0 not in text[end - order : end]
            }
        )
    return found


@given(TEXTS, st.integers(0, 4), st.integers(1, 3))
def test_the_n_grams_of_enough_texts_are_learned_and_no_others(texts: Texts, longest: int, least: int) -> None:
    grams, _ = learn_grams(ragged(texts), size=SIZE, longest=longest, least=least)
    spelled = [tuple(grams.spell(number)) for number in range(len(grams))]
    assert len(set(spelled)) == len(spelled)
    assert set(spelled) == {gram for gram, rows in counted(texts, longest).items() if rows >= least}
    assert sorted(spelled, key=len) == spelled, "numbered length by length"
    assert grams.begins.tolist() == [0, *np.cumsum([sum(len(s) == n + 1 for s in spelled) for n in range(longest)])]


@given(TEXTS, TEXTS, st.integers(1, 4))
def test_what_ends_at_a_step_is_what_a_dictionary_says(texts: Texts, others: Texts, longest: int) -> None:
    grams, own = learn_grams(ragged(texts), size=SIZE, longest=longest)
    number = {tuple(grams.spell(index)): index for index in range(len(grams))}
    for read, found in ((texts, own), (others, grams.find(ragged(others)))):
        want = [
            [number.get(tuple(text[end - order : end]), -1) if order <= end else -1 for order in range(1, longest + 1)]
            for text in read
            for end in range(1, len(text) + 1)
        ]
        assert found.tolist() == want


@given(TEXTS, st.integers(1, 4))
def test_of_too_many_those_of_the_most_texts_are_kept(texts: Texts, most: int) -> None:
    grams, _ = learn_grams(ragged(texts), size=SIZE, longest=1, most=most)
    rows = counted(texts, 1)
    kept = [rows[tuple(grams.spell(number))] for number in range(len(grams))]
    assert sorted(kept, reverse=True) == sorted(rows.values(), reverse=True)[:most]


def test_numbers_beyond_sixty_four_bits_are_still_told_apart() -> None:
    """Where a key and a row do not fit into one number, they are counted another way."""
    texts = [[2**31 - 2, 2**31 - 3, 5], [2**31 - 2, 2**31 - 3], [7, 2**31 - 3]] * 3
    grams, found = learn_grams(ragged(texts), size=2**61, longest=1, least=3)
    assert [grams.spell(number) for number in range(len(grams))] == [[5], [7], [2**31 - 3], [2**31 - 2]]
    assert found[:3, 0].tolist() == [3, 2, 0]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-1, 6)), max_size=30))
def test_features_are_counted_as_a_counter_does(entries: list[tuple[int, int]]) -> None:
    rows = np.array([row for row, _ in entries], np.int64)
    found = count_features(rows, np.array([feature for _, feature in entries], np.int32), 7)
    want = sorted(Counter(entry for entry in entries if entry[1] >= 0).items())
    assert list(zip(found.row.tolist(), found.feature.tolist(), strict=True)) == [entry for entry, _ in want]
    assert found.times.tolist() == [times for _, times in want]
