"""Ids become text again: to the letter for characters and byte pairs, readable for words."""

from __future__ import annotations

import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st

from tidegate.data.decoding import BYTES
from tidegate.data.tokenizer import UNKNOWN, from_json, train_bpe, train_spelling, train_words
from tidegate.errors import DataError, InputError

TEXTS = ["The tide turns.\n  It always does, they say (twice a day).", "the moon pulls; the sea follows"] * 3
BPE = train_bpe(TEXTS, 300)
ANY = st.text(st.characters(exclude_categories=["Cs"]))


@given(ANY)
def test_byte_pairs_spell_any_text_as_the_package_decodes_it(text: str) -> None:
    ids = BPE.encode([text])[0].tolist()
    assert BPE.decode(ids) == text
    engine = tokenizers.Tokenizer.from_str(BPE.to_json())
    engine.decoder = tokenizers.decoders.ByteLevel()
    assert engine.decode(ids, skip_special_tokens=False) == text
    assert 0 not in ids


def test_frequent_pieces_become_one_token() -> None:
    assert BPE.size == 300
    assert BPE.vocabulary[0] == UNKNOWN
    assert set(BYTES) <= set(BPE.vocabulary)
    assert BPE.tokenize("the the") == ["the", " the"]
    assert from_json(BPE.to_json()) == BPE
    assert train_bpe(TEXTS, 300) == BPE


def test_a_token_that_ends_within_a_character_is_held_back() -> None:
    decoder = BPE.decoder()
    first, second = BPE.encode(["é"])[0]
    assert [decoder.feed(first), decoder.feed(second), decoder.finish()] == ["", "é", ""]
    decoder.feed(first)
    assert decoder.finish() == "\ufffd"


def test_a_text_cannot_spell_the_unknown_token_out() -> None:
    assert 0 not in BPE.encode([f"a {UNKNOWN} b"])[0]


@given(st.text("The tide\n(."))
def test_exact_characters_come_back_as_they_were(text: str) -> None:
    tokenizer = train_spelling(TEXTS)
    assert tokenizer.decode(tokenizer.encode([text])[0]) == text
    assert tokenizer.tokenize(text) == list(text)


def test_words_come_back_with_their_case_and_single_spaces() -> None:
    tokenizer = train_words(["Yes , (we) can ! Can't \u201cwe\u201d ?"], keep_case=True)
    text = "Can't  we (can) ,\n\u201cYes\u201d !"
    assert tokenizer.decode(tokenizer.encode([text])[0]) == "Can't we (can), \u201cYes\u201d!"
    assert "yes" not in tokenizer.vocabulary


@pytest.mark.parametrize("size", [0, 257])
def test_a_vocabulary_that_cannot_hold_all_bytes_is_refused(size: int) -> None:
    with pytest.raises(InputError, match=f"vocabulary_size is {size}; for BPE at least 258"):
        train_bpe(TEXTS, size)
    with pytest.raises(DataError, match="no texts"):
        train_bpe([])
