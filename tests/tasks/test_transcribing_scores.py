"""Measures of transcribers: as jiwer counts them, with intervals over speakers, and known texts set apart."""

from __future__ import annotations

import jiwer
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.data import Examples, Recordings
from tidegate.tasks.edits import matches, paired
from tidegate.tasks.transcribing.scores import Transcribing, apart_from, count_errors, rates

TEXTS = st.lists(st.tuples(st.text("ab ", max_size=8), st.text("ab ", min_size=1, max_size=8)), min_size=1, max_size=5)


@settings(max_examples=60, deadline=None)
@given(TEXTS)
def test_rates_of_all_texts_together_are_those_of_jiwer(pairs: list[tuple[str, str]]) -> None:
    pairs = [(" ".join(found.split()), " ".join(right.split())) for found, right in pairs if right.strip()]
    if not pairs:
        return
    cer, wer = rates(np.array([count_errors(*pair) for pair in pairs], np.int64))
    found, right = (list(side) for side in zip(*pairs, strict=True))
    assert cer == pytest.approx(jiwer.cer(right, found))
    assert wer == pytest.approx(jiwer.wer(right, found))


def test_what_is_too_much_or_missing_stands_beside_nothing() -> None:
    assert paired("abx", "bxc") == [("a", None), ("b", "b"), ("x", "x"), (None, "c")]
    assert paired("", "a") == [(None, "a")]
    assert matches("abx", "bxc") == [False, True, True]


def measured(groups: list[str] | None) -> Transcribing:
    counts = np.array([[0, 10, 0, 2], [5, 10, 1, 2], [0, 10, 0, 2], [1, 10, 1, 2]], np.int64)
    return Transcribing(counts, groups, counts[:, 0] > 0, ["a", "b", "a", "c"], [], [])


def test_rates_are_of_all_symbols_together() -> None:
    assert measured(None).measures() == {"cer": 6 / 40, "wer": 2 / 8, "ser": 0.5}


def test_speakers_are_drawn_whole() -> None:
    """Two speakers of 50 % and 0 to 10 %: any draw holds two of them, so that there are three rates and no others."""
    alike = measured(["ann", "bob", "ann", "bob"])
    low, high = alike.intervals()["cer"]
    assert (low, high) == (0.0, 0.3)  # ann twice has no error, bob twice 12 of 40
    assert [row["group"] for row in alike.by_group()] == ["bob", "ann"]
    single = measured(None).intervals()["cer"]
    assert 0.0 <= single[0] < 6 / 40 < single[1] <= 0.5


def test_texts_that_stand_in_training_are_set_apart() -> None:
    learned = Examples(Recordings([np.zeros((1, 1), np.float32)] * 2, ["a", "x"]), None)
    found = apart_from(measured(None), learned)
    assert found.unseen == {"cer": 6 / 20, "wer": 2 / 4, "ser": 1.0, "examples": 2}
    assert found.measures() == measured(None).measures()
    assert apart_from(measured(None), Examples(Recordings([np.zeros((1, 1), np.float32)], ["x"]), None)).unseen == {
        "cer": 6 / 40, "wer": 2 / 8, "ser": 0.5, "examples": 4
    }  # fmt: skip
