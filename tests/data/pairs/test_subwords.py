"""Tokens of both sides: texts come back as they were, whatever the script, and pieces know their words."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.data.pairs.subwords import Subwords, Units, auto_size, train_subwords
from tidegate.errors import DataError, InputError, OptionError

TEXTS = ["Der Hund läuft im Park.", "The dog runs in the park.", "Ein Mann und ein Hund.", "A man and a dog."] * 3
HARD = [
    "שלום עולם, ١٢ مرحبا",
    "他们在打篮球。",
    "ภาษาไทย ไม่เว้นวรรค",
    "नमस्ते दुनिया",
    "  two  spaces\u00a0and \u2028 more ",
    " ",
    "",
    "don't “quote” 3,5 % … 👍🏽🇩🇪",
    "<unk> <s> </s> ▁ Ġ",
]
ALL: list[Units] = ["subwords", "characters", "words"]
SMALL = train_subwords(TEXTS, 300)


@pytest.mark.parametrize("text", HARD)
@pytest.mark.parametrize("units", ALL)
def test_a_text_comes_back_as_it_was(units: Units, text: str) -> None:
    known = [text] if text.strip() else []
    subwords = train_subwords([*TEXTS, *known], units=units)
    assert subwords.decode(subwords.encode([text])[0]) == text or not known
    assert subwords.join(subwords.tokenize(text)) == text or units == "subwords"


@given(st.text())
def test_any_text_comes_back_from_subwords_composed(text: str) -> None:
    assert SMALL.decode(SMALL.encode([text])[0]) == unicodedata.normalize("NFC", text)
    assert SMALL.unknown not in SMALL.encode([text])[0]


def test_a_word_is_the_same_token_wherever_it_stands() -> None:
    subwords = train_subwords(TEXTS, units="words")
    first, second = subwords.encode(["Hund Mann", "Mann Hund"]).to_list()
    assert first.tolist() == second.tolist()[::-1]


def test_ids_can_be_spelled_one_at_a_time() -> None:
    ids = SMALL.encode(["läuft 他"])[0].tolist()
    decoder = SMALL.decoder()
    pieces = [decoder.feed(token) for token in ids]
    assert "".join(pieces) + decoder.finish() == "läuft 他"
    assert "" in pieces  # a byte alone is held back until it makes a character
    decoder = SMALL.decoder()
    assert "".join(map(decoder.feed, ids[:-1])) + decoder.finish() == "läuft \ufffd"


def test_the_same_texts_give_the_same_tokens_and_new_ones_change_nothing_that_was_learned() -> None:
    assert train_subwords(TEXTS, 300) == SMALL
    assert train_subwords([*TEXTS], 300).to_json() == SMALL.to_json()
    assert train_subwords([*TEXTS, "Zug " * 9], 300) != SMALL


def test_a_pair_of_pieces_that_stands_there_once_is_no_token() -> None:
    assert train_subwords(["abc"]).size == 257
    assert {"Ġab", "ab"} & set(train_subwords(["ab ab"]).vocabulary)


@pytest.mark.parametrize("units", ALL)
def test_they_are_stored_and_read_back(units: Units) -> None:
    subwords = train_subwords(TEXTS, units=units)
    assert Subwords.from_json(subwords.to_json()) == subwords


@pytest.mark.parametrize(
    "changed",
    [{"units": "letters"}, {"units": "words"}, {"tokenizer": "{}"}, {"tokenizer": 3}, {"units": ["subwords"]}],
)
def test_what_they_were_not_stored_as_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises((DataError, KeyError, TypeError)):
        Subwords.from_json(SMALL.to_json() | changed)


def test_the_size_goes_by_the_words_there_are() -> None:
    assert auto_size(["a b"] * 50_000) == 2800  # 9 times the root of 100,000
    assert auto_size(["a"]) == 1000
    assert auto_size(["a b"] * 5_000_000) == 16_000
    assert train_subwords(TEXTS, 280).size == 280


def test_pieces_know_the_words_that_they_belong_to() -> None:
    subwords = train_subwords(["la läu ft Hund"] * 2, 262)
    found = subwords.words("läuft, Hunde")
    assert found.words == ["läuft", ",", "Hunde"]
    text = subwords.tokenize("läuft, Hunde")
    assert len(found.owners) == len(text)
    by_word = ["".join(piece for piece, own in zip(text, found.owners, strict=True) if own == at) for at in range(3)]
    assert by_word[1:] == [",", " Hunde"]
    assert by_word[0].startswith(" l") and by_word[0].endswith("t")


def test_words_and_characters_belong_to_words_too() -> None:
    words = train_subwords(["ein Hund."], units="words").words("ein Pudel.")
    assert (words.words, words.owners.tolist()) == (["ein", "Pudel", "."], [0, 1, 2])
    letters = train_subwords(["ab c"], units="characters").words("ab cd")
    assert (letters.words, letters.owners.tolist()) == (["ab", "cd"], [0, 0, 1, 1, 1])
    nothing = SMALL.words("")
    assert (nothing.words, nothing.owners.tolist()) == ([], [])


def test_pieces_of_a_broken_character_still_have_a_word() -> None:
    ids = SMALL.encode(["a 他b"])[0].tolist()
    found = SMALL.words_of(ids[:3])  # ends within the bytes of a character
    assert found.owners.tolist() == [0, *[1] * (len(found.owners) - 1)]


def test_tokens_are_shown_without_the_space_before_them() -> None:
    assert SMALL.show("ĠHund") == "Hund"
    assert SMALL.show("ä".encode().decode("latin-1")) == "ä"
    assert train_subwords(TEXTS, units="words").show(" Hund") == "Hund"
    assert train_subwords(TEXTS, units="characters").show(" ") == " "


def test_what_cannot_be_learned_from_is_refused() -> None:
    with pytest.raises(OptionError, match="characters, subwords, words"):
        train_subwords(TEXTS, units="letters")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="no texts"):
        train_subwords([])
    with pytest.raises(DataError, match="empty"):
        train_subwords(["a", " "])
    with pytest.raises(InputError, match="single string"):
        train_subwords("abc")
    with pytest.raises(InputError, match="258"):
        train_subwords(TEXTS, 100)
    with pytest.raises(DataError, match="not a text"):
        SMALL.encode([3])  # type: ignore[list-item]
