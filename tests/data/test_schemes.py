"""Schemes of tags: which sequences are valid, what spans they spell out, and that conversion loses nothing."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.data import schemes
from tidegate.data.schemes import Scheme, Span

SPANS = [Span(0, 2, "a"), Span(3, 3, "a"), Span(5, 6, "b"), Span(7, 7, "a")]
WRITTEN: dict[Scheme, str] = {
    "bio": "B-a I-a I-a B-a O B-b I-b B-a",
    "iob1": "I-a I-a I-a B-a O I-b I-b I-a",
    "bioes": "B-a I-a E-a S-a O B-b E-b S-a",
    "bmes": "B-a M-a E-a S-a O B-b E-b S-a",
    "bilou": "B-a I-a L-a U-a O B-b L-b U-a",
}


@pytest.mark.parametrize("scheme", schemes.SCHEMES)
def test_spans_are_written_and_read(scheme: Scheme) -> None:
    tags = WRITTEN[scheme].split()
    assert schemes.write_tags(reversed(SPANS), 8, scheme) == tags
    assert schemes.find_spans(tags) == SPANS
    assert schemes.find_invalid([tags], scheme) is None
    assert schemes.detect([tags, ["O"]]) == scheme


@pytest.mark.parametrize("source", schemes.SCHEMES)
@pytest.mark.parametrize("target", schemes.SCHEMES)
def test_every_scheme_becomes_every_other(source: Scheme, target: Scheme) -> None:
    assert schemes.convert(WRITTEN[source].split(), target) == WRITTEN[target].split()


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 3), st.sampled_from("ab")), max_size=6))
def test_any_spans_survive_any_scheme(parts: list[tuple[int, int, str]]) -> None:
    spans, at = [], 0
    for gap, width, label in parts:
        spans.append(Span(at + gap, at + gap + width - 1, label))
        at += gap + width
    for scheme in schemes.SCHEMES:
        tags = schemes.write_tags(spans, at + 1, scheme)
        assert schemes.find_invalid([tags], scheme) is None
        assert schemes.find_spans(tags) == spans


@pytest.mark.parametrize("scheme", schemes.SCHEMES)
def test_a_sequence_is_valid_exactly_when_some_spans_are_written_so(scheme: Scheme) -> None:
    """All sequences of up to three tags, against all ways of placing spans."""
    tags = schemes.all_tags(["a", "b"], scheme)
    for length in (1, 2, 3):
        possible = {tuple(schemes.write_tags(spans, length, scheme)) for spans in every_spans(0, length)}
        valid = {row for row in product(tags, repeat=length) if schemes.find_invalid([row], scheme) is None}
        assert valid == possible


def every_spans(start: int, length: int) -> list[list[Span]]:
    if start >= length:
        return [[]]
    found = every_spans(start + 1, length)  # this word outside
    for last, label in product(range(start, length), "ab"):
        found = found + [[Span(start, last, label), *rest] for rest in every_spans(last + 1, length)]
    return found


@pytest.mark.parametrize("scheme", schemes.SCHEMES)
def test_what_is_forbidden_is_exactly_what_is_invalid(scheme: Scheme) -> None:
    tags = schemes.all_tags(["a", "b"], scheme)
    moves, first, last = schemes.forbidden(tags, scheme)
    for i, j in product(range(len(tags)), repeat=2):
        allowed = not (first[i] or moves[i, j] or last[j])
        assert allowed == (schemes.find_invalid([[tags[i], tags[j]]], scheme) is None)
    assert not any(array.any() for array in schemes.forbidden(["NOUN", "VERB"], None))


@pytest.mark.parametrize(
    ("sentences", "wanted"),
    [
        ([["NOUN", "X"]], None),
        ([["O", "O"]], None),
        ([["B", "I"], ["O"]], "bio"),
        ([["B", "M", "E", "S"]], "bmes"),
        ([["B", "E", "S"]], "bioes"),
        ([["I-a", "I-a"], ["O"]], "iob1"),
        ([["B-a"]], "bio"),
        ([["I-a", "O", "B-b"]], "bio"),
        ([["B-a", "M-a", "I-a"]], "bmes"),
        ([["B", "I", "L", "U"]], "bilou"),
        ([["O", "U-a"], ["B-a", "L-a"]], "bilou"),
        ([["I-a", "O", "I-b"]] * 40 + [["O", "B-a"]], "iob1"),
        ([["B-a", "I-a", "O"]] * 40 + [["I-b"], ["B-a", "I-b"], ["0"]], "bio"),
        ([["B-a", "M-a", "E-a", "S-b"]] * 9 + [["B-a", "I-a", "E-a"], ["B-b", "O"]], "bmes"),
        ([["B-a", "I-a", "E-a", "S-b"]] * 9 + [["B-a", "M-a", "E-a"], ["E-b", "O"]], "bioes"),
        ([["NN", "VB", "B-a"]] * 9, None),
        ([["B-a", "B"]], None),
        ([["-LRB-", "B-a"]], None),
        ([], None),
    ],
)
def test_the_scheme_is_found(sentences: list[list[str]], wanted: Scheme | None) -> None:
    assert schemes.detect(sentences) == wanted


@pytest.mark.parametrize(
    ("scheme", "tags", "word"),
    [
        ("bio", "O I-a", 1),
        ("bio", "B-a I-b", 1),
        ("bio", "S-a", 0),
        ("iob1", "B-a", 0),
        ("bioes", "O B-a", 1),
        ("bmes", "B-a S-a", 1),
    ],
)
def test_the_first_invalid_tag_is_found(scheme: Scheme, tags: str, word: int) -> None:
    assert schemes.find_invalid([["O"], tags.split()], scheme) == (1, word)


@pytest.mark.parametrize(
    ("tags", "wanted"),
    [
        ("O I-a I-a", [Span(1, 2, "a")]),
        ("B-a I-b", [Span(0, 0, "a"), Span(1, 1, "b")]),
        ("B-a E-a I-a", [Span(0, 1, "a"), Span(2, 2, "a")]),
        ("B M E S", [Span(0, 2, ""), Span(3, 3, "")]),
    ],
)
def test_what_is_not_valid_is_made_the_best_of(tags: str, wanted: list[Span]) -> None:
    assert schemes.find_spans(tags.split()) == wanted
    assert schemes.find_invalid([schemes.convert(tags.split(), "bio")], "bio") is None


@pytest.mark.parametrize(
    ("scheme", "tags", "odd", "repaired"),
    [
        ("bio", "O I-a I-a O", [1], "O B-a I-a O"),
        ("bio", "B-a I-b I-b", [1], "B-a B-b I-b"),
        ("bio", "B-a 0 I-a b o", [1, 2, 3, 4], "B-a O B-a O O"),
        ("bio", "B-a a O", [1], "B-a I-a O"),
        ("bio", "B-a E-a O", [1], "B-a I-a O"),
        ("iob1", "O B-a I-a", [1], "O I-a I-a"),
        ("bioes", "B-a O S-b I-b", [1, 3], "S-a O S-b S-b"),
        ("bmes", "B-a M-a", [1], "B-a E-a"),
        ("bilou", "U-a I-a O", [1, 2], "U-a U-a O"),
        ("bio", "B I O M", [3], "B I O B"),
    ],
)
def test_odd_tags_are_found_and_the_best_is_made_of_them(
    scheme: Scheme, tags: str, odd: list[int], repaired: str
) -> None:
    known = ["B"] if "-" not in tags else [f"{letter}-a" for letter in ("U" if scheme == "bilou" else "B")]
    whole = [known, tags.split()] if scheme in ("bio", "bilou") else [["O"], tags.split()]
    assert schemes.find_odd(whole, scheme) == [(1, at) for at in odd]
    assert schemes.repair(whole, scheme) == [whole[0], repaired.split()]
    assert schemes.find_odd(schemes.repair(whole, scheme), scheme) == []


def test_what_is_valid_is_repaired_to_itself() -> None:
    for scheme, written in WRITTEN.items():
        assert schemes.repair([written.split(), ["O"]], scheme) == [written.split(), ["O"]]
