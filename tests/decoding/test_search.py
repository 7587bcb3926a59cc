"""The beam against all alignments of small cases, and its laws: chunks, batches, threads, instruction sets, copies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alignments import best_spans, draw, every_text, peaky, ranked
from tidegate import kernels
from tidegate.decoding import Hypothesis, NgramModel, PrefixBeam, Scorer, prefix_beam
from tidegate.errors import InputError, ShapeError, StateError
from tidegate.ragged import Ragged

WIDE = 4096
TEXTS = ["ab ab ba", "abba ab", "baa ab", "a b ab", "ab ba ab"] * 3
SYMBOLS = ("a", "b", " ")


@pytest.fixture(autouse=True)
def _same_isa_afterwards() -> Iterator[None]:
    before = kernels.active_isa()
    yield
    kernels.use_isa(before)


def bits(found: list[Hypothesis]) -> list[tuple[Any, ...]]:
    """All that a list of texts says, to the bit."""
    return [
        (
            one.text,
            one.symbols.tobytes(),
            one.spans.tobytes(),
            one.score.hex(),
            one.log_probability.hex(),
            one.language.hex(),
        )
        for one in found
    ]


def scorers() -> dict[str, Scorer | None]:
    characters = NgramModel.from_texts(TEXTS, order=3)
    words = NgramModel.from_texts(TEXTS, order=2, units="words")
    return {
        "none": None,
        "characters": Scorer(language_model=characters, beta=0.3, hotwords={"abba": 2.0, "ab ba": 1.0}),
        "words": Scorer(language_model=words, beta=0.5, lexicon=["ab", "ba", "abba"], hotwords={"ba": 1.5}),
        "nested hotwords": Scorer(hotwords={"ab": 1.0, "ba": 1.5, "ab ba": 0.5, "ab ba ab a": 2.0}),
        "open lexicon": Scorer(language_model=words, lexicon=["ab", "ba"], unknown=-2.0),
    }


@pytest.mark.parametrize("symbols", [1, 2, 3])
@pytest.mark.parametrize("frames", [0, 1, 2, 5])
def test_a_beam_that_keeps_all_finds_what_all_alignments_say(frames: int, symbols: int) -> None:
    rows = draw(frames, symbols)
    found = prefix_beam(rows, "abc"[:symbols], width=WIDE, n_best=WIDE, least_probability=0)
    wanted = ranked(rows)
    assert [tuple(one.symbols.tolist()) for one in found] == [text for text, _ in wanted]
    np.testing.assert_allclose([one.score for one in found], np.log([p for _, p in wanted]), rtol=1e-12, atol=1e-13)
    assert sum(np.exp(one.score) for one in found) == pytest.approx(1, rel=1e-12)


def test_spans_are_those_of_the_best_alignment() -> None:
    for seed in range(8):
        rows = draw(6, 2, seed)
        for one in prefix_beam(rows, "ab", width=WIDE, n_best=6, least_probability=0):
            assert one.spans.tolist() == best_spans(rows, tuple(one.symbols.tolist())), (seed, one)


def test_a_narrow_beam_never_says_more_than_there_is() -> None:
    for seed in range(6):
        rows = draw(6, 3, seed)
        truth = every_text(rows)
        for one in prefix_beam(rows, "abc", width=2, n_best=2, least_probability=0):
            assert one.score <= np.log(truth[tuple(one.symbols.tolist())]) + 1e-12


def test_of_equal_scores_the_smaller_symbols_come_first() -> None:
    rows = np.log(np.full((2, 4), 0.25))
    found = prefix_beam(rows, "abc", width=WIDE, n_best=WIDE)
    assert [one.text for one in found] == ["a", "b", "c", "", "ab", "ac", "ba", "bc", "ca", "cb"]
    assert [one.text for one in prefix_beam(rows, "abc", width=3, n_best=9)] == ["a", "b", ""]


def test_what_is_too_improbable_is_not_read_but_for_the_most_probable() -> None:
    rows = np.log([[0.9, 0.0995, 0.0005], [0.9, 0.0995, 0.0005]])
    assert {one.text for one in prefix_beam(rows, "ab", n_best=9)} == {"", "a"}
    assert any("b" in one.text for one in prefix_beam(rows, "ab", n_best=9, least_probability=1e-4))
    flat = np.full((1, 5001), -np.log(5001))
    flat[0, 7] += 1e-6
    assert prefix_beam(flat, [f"<{k}>" for k in range(5000)], n_best=2)[0].text == "<6>"


@pytest.mark.parametrize("name", ["none", "characters", "words", "open lexicon"])
def test_chunks_batches_threads_and_instruction_sets_give_the_same_bits(name: str) -> None:
    scorer = scorers()[name]
    sequences = [draw(length, 3, length) for length in (9, 0, 40, 1, 23)] + [peaky(300, 3).astype(np.float64)]
    wanted = [bits(prefix_beam(rows, SYMBOLS, width=6, n_best=6, scorer=scorer)) for rows in sequences]
    assert len({text for found in wanted for text, *_ in found}) > 8
    batch = Ragged.from_list(sequences)
    for isa in kernels.available_isas():
        kernels.use_isa(isa)
        for threads in (1, 3):
            found = prefix_beam(batch, SYMBOLS, width=6, n_best=6, scorer=scorer, num_threads=threads)
            assert [bits(each) for each in found] == wanted, (isa, threads)
    rng = np.random.default_rng(0)
    for rows, want in zip(sequences, wanted, strict=True):
        beam = PrefixBeam(SYMBOLS, width=6, scorer=scorer)
        for part in np.split(rows, np.sort(rng.integers(0, len(rows) + 1, 4))):
            beam.push(part)
            beam = PrefixBeam(SYMBOLS, width=6, scorer=scorer, state=beam.state)
        assert (bits(beam.best(6)), beam.frames) == (want, len(rows))


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.integers(0, 30), st.lists(st.integers(0, 30), max_size=5), st.integers(1, 9))
def test_any_chunks_are_the_whole(seed: int, frames: int, cuts: list[int], width: int) -> None:
    rows = draw(frames, 2, seed, kind=np.float32)
    beam = PrefixBeam("ab", width=width)
    for part in np.split(rows, sorted(min(cut, frames) for cut in cuts)):
        beam.push(part)
    assert bits(beam.best(width)) == bits(prefix_beam(rows, "ab", width=width, n_best=width))


def test_float32_rows_are_read_as_their_float64() -> None:
    rows = draw(30, 3, kind=np.float32)
    assert bits(prefix_beam(rows, "abc", n_best=9)) == bits(prefix_beam(rows.astype(np.float64), "abc", n_best=9))


def test_a_copy_goes_its_own_way() -> None:
    first, second = draw(20, 2, 1), draw(20, 2, 2)
    beam = PrefixBeam("ab")
    beam.push(first)
    twin = beam.copy()
    twin.push(second)
    assert bits(beam.best(5)) == bits(prefix_beam(first, "ab", n_best=5))
    assert bits(twin.best(5)) == bits(prefix_beam(np.concatenate([first, second]), "ab", n_best=5))


def test_what_is_stable_stays() -> None:
    rows, beam = peaky(400, 3, 2), PrefixBeam("abc")
    told = [""]
    for part in np.split(rows, 40):
        beam.push(part)
        assert beam.stable.startswith(told[-1])
        told.append(beam.stable)
    assert len(told[-1]) > 10 and beam.best()[0].text.startswith(told[-1])


def test_a_hundred_thousand_frames_keep_their_sums_and_spans() -> None:
    rows = np.tile(np.log([[0.5, 0.5], [0.8, 0.2]]), (50_000, 1))
    (found,) = prefix_beam(rows, "a", width=4)
    assert np.isfinite(found.score) and len(found.spans) == len(found.symbols) > 100
    assert (found.spans[1:, 0] > found.spans[:-1, 1] + 1).all(), "between equal symbols stands a blank"
    beam = PrefixBeam("a", width=4)
    beam.push(rows)
    assert bits(beam.best()) == bits([found])
    assert PrefixBeam("a", width=4, state=beam.state).state == beam.state


def test_symbols_of_several_characters_and_right_to_left_come_in_the_order_of_the_frames() -> None:
    symbols = ["sch", "\u05e9\u05dc", "a\u0364"]
    rows = np.full((5, 4), -20.0)
    rows[np.arange(5), [2, 0, 1, 0, 3]] = 0
    (found,) = prefix_beam(rows, symbols)
    assert found.text == "\u05e9\u05dcscha\u0364"
    assert found.spans.tolist() == [[0, 0], [2, 2], [4, 4]]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ([np.nan, 0.0, -1.0], "frame 1 has NaN as column 0"),
        ([-1.0, 2.5, -1.0], "frame 1 has 2.5 as column 1, which no logarithm"),
        ([-np.inf] * 3, "frame 1 has minus infinity everywhere"),
        ([np.inf, 0.0, 0.0], "frame 1 has inf"),
    ],
)
def test_a_row_that_is_none_is_named_and_changes_nothing(row: list[float], said: str) -> None:
    rows = np.array([[-0.1, -3.0, -4.0], row])
    with pytest.raises(InputError, match=said):
        prefix_beam(rows, "ab")
    with pytest.raises(InputError, match=said):
        prefix_beam(Ragged(rows, np.array([0, 0, 2])), "ab")
    beam = PrefixBeam("ab")
    beam.push(rows[:1])
    before = beam.state
    with pytest.raises(InputError, match=said):
        beam.push(rows)
    assert beam.state == before


def test_what_is_impossible_is_minus_infinity_and_fine() -> None:
    rows = np.array([[-np.inf, 0.0, -np.inf], [0.0, -np.inf, -np.inf], [-np.inf, 0.0, -np.inf]])
    (found,) = prefix_beam(rows, "ab", n_best=5)
    assert (found.text, found.score) == ("aa", 0.0)
    assert prefix_beam(rows, "ab", scorer=Scorer(lexicon=["b"])) == []


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"width": 0}, InputError, "width=0"),
        ({"width": True}, InputError, "width=True"),
        ({"width": 2**17}, InputError, "from 1 to 65,536"),
        ({"n_best": 0}, InputError, "n_best=0"),
        ({"least_probability": 1.0}, InputError, "least_probability=1.0"),
        ({"least_probability": float("nan")}, InputError, "least_probability=nan"),
        ({"symbols": "aa"}, InputError, "'a' comes twice"),
        ({"symbols": ["a", "\udc00"]}, InputError, "half of a surrogate pair"),
        ({"symbols": ["a", ""]}, InputError, "none empty"),
        ({"symbols": []}, InputError, "at least one"),
        ({"symbols": "abc"}, ShapeError, "3 symbols and the blank"),
        ({"log_probs": np.zeros((2, 3), np.int64)}, ShapeError, "int64"),
        ({"log_probs": np.zeros(3)}, ShapeError, "want"),
    ],
)
def test_what_cannot_be_searched_is_refused(change: dict[str, Any], error: type[Exception], said: str) -> None:
    given: dict[str, Any] = {"log_probs": draw(2, 2), "symbols": "ab"} | change
    with pytest.raises(error, match=said):
        prefix_beam(given.pop("log_probs"), given.pop("symbols"), **given)


def test_a_state_of_another_search_or_an_altered_one_is_refused() -> None:
    beam = PrefixBeam("ab")
    beam.push(draw(12, 2))
    state = beam.state
    others: list[dict[str, Any]] = [{"width": 4}, {"scorer": Scorer(hotwords={"a": 1.0})}, {"symbols": "ba"}]
    for other in others:
        with pytest.raises(StateError, match="another"):
            PrefixBeam(other.pop("symbols", "ab"), **other, state=state)
    for wrong in (state[:-1], state[:40], b"", state[:200] + bytes([state[200] ^ 1]) + state[201:]):
        with pytest.raises(StateError):
            PrefixBeam("ab", state=wrong)
