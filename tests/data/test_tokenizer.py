"""Tokenizers: what counts as a token, the vocabulary, cutting, and the JSON that a model file stores."""

from __future__ import annotations

import copy
import json
import pickle
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st

from tidegate.data.tokenizer import UNKNOWN, UNKNOWN_ID, Tokenizer, from_json, train_bpe, train_characters, train_words
from tidegate.errors import DataError, InputError, OptionError

REVIEW = "I DON'T like it.<br /><br />It's the director\u2019s worst -- 3/10, _really_!"


def ids(tokenizer: Tokenizer, text: str) -> list[int]:
    return list(tokenizer.encode([text])[0].tolist())


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("A  good\tfilm\n", ["a", "good", "film"]),
        ("Don't. It's o'clock", ["don't", ".", "it's", "o'clock"]),
        ("the director\u2019s cut", ["the", "director\u2019s", "cut"]),
        ("'quoted' dogs'", ["'", "quoted", "'", "dogs", "'"]),
        ("one<br />two<br>three<BR/>four", ["one", "two", "three", "four"]),
        ("a<brown>", ["a", "<", "brown", ">"]),
        ("10/10!!", ["10", "/", "10", "!", "!"]),
        ("_really_ snake_case", ["_", "really", "_", "snake", "_", "case"]),
        ("CAFÉ cafe\u0301", ["café", "café"]),
        ("这部电影 good极了", ["这", "部", "电", "影", "good", "极", "了"]),
        ("ひらカナ", ["ひ", "ら", "カ", "ナ"]),
        ("한국어 영화", ["한국어", "영화"]),
        ("great 👍", ["great", "👍"]),
    ],
)
def test_words_are_cut_as_a_reader_would(text: str, tokens: list[str]) -> None:
    assert train_words(["x"]).tokenize(text) == tokens


def test_characters_keep_single_spaces_and_lower_case() -> None:
    assert train_characters(["x"]).tokenize("Ab \n\t 好<br />c") == ["a", "b", " ", "好", " ", "c"]


def test_the_vocabulary_holds_the_most_frequent_words_and_ties_go_by_spelling() -> None:
    tokenizer = train_words(["b b b c c a a z", "b"], 4)
    assert tokenizer.vocabulary == ["<unk>", "b", "a", "c"]
    assert tokenizer.size == 4


def test_min_count_drops_rare_words() -> None:
    assert train_words(["b b a"], min_count=2).vocabulary == ["<unk>", "b"]


def test_ids_are_places_in_the_vocabulary_and_unknown_words_are_zero() -> None:
    tokenizer = train_words(["b b b a a c"])
    encoded = tokenizer.encode(["a b c", "", "never b seen", "  "])
    assert encoded.values.dtype == np.int32
    assert encoded.values.tolist() == [2, 1, 3, 0, 1, 0]
    assert encoded.offsets.tolist() == [0, 3, 3, 6, 6]


def test_a_text_cannot_spell_the_unknown_token() -> None:
    tokenizer = train_words(["unk < >"])
    assert tokenizer.tokenize("<unk>") == ["<", "unk", ">"]
    assert UNKNOWN_ID not in ids(tokenizer, "<unk>")


def test_no_texts_encode_to_an_empty_batch() -> None:
    encoded = train_words(["a"]).encode([])
    assert len(encoded) == 0
    assert encoded.values.dtype == np.int32


@pytest.mark.parametrize(("keep", "expected"), [("first", [1, 2]), ("last", [3, 4])])
def test_long_texts_are_cut_at_the_end_that_is_not_kept(keep: str, expected: list[int]) -> None:
    tokenizer = train_words(["a b c d"])
    encoded = tokenizer.encode(["a b c d", "c", ""], max_tokens=2, keep=keep)  # type: ignore[arg-type]
    assert [row.tolist() for row in encoded] == [expected, [3], []]


@given(st.lists(st.text(max_size=60), max_size=8), st.integers(1, 9), st.sampled_from(["first", "last"]))
def test_every_id_stands_for_the_token_that_tokenize_lists(texts: list[str], limit: int, keep: str) -> None:
    texts = [text for text in texts if text.isascii() or text.encode(errors="ignore").decode() == text]
    tokenizer = train_words(["the film isn't good", REVIEW])
    known = set(tokenizer.vocabulary)
    encoded = tokenizer.encode(texts, max_tokens=limit, keep=keep)  # type: ignore[arg-type]
    for text, row in zip(texts, encoded, strict=True):
        tokens = tokenizer.tokenize(text, max_tokens=limit, keep=keep)  # type: ignore[arg-type]
        assert [tokenizer.vocabulary[i] for i in row] == [token if token in known else UNKNOWN for token in tokens]


pieces_of_text = st.sampled_from([" ", "  ", "<br", "/>", "<br />", "<BR\n/>", "don't", "'", "é", "e\u0301", "\u0301"])
tricky = st.lists(pieces_of_text | st.text(st.characters(codec="utf-8"), max_size=5), max_size=12).map("".join)


@given(st.lists(tricky, min_size=1, max_size=5), st.booleans())
def test_encoding_piece_by_piece_equals_encoding_whole_texts(texts: list[str], by_character: bool) -> None:
    train = train_characters if by_character else train_words
    tokenizer = train([text + "x" for text in texts])
    engine = tokenizers.Tokenizer.from_str(tokenizer.to_json())
    expected = [encoding.ids for encoding in engine.encode_batch(texts, add_special_tokens=False)]
    assert [row.tolist() for row in tokenizer.encode(texts)] == expected


def test_blocks_of_texts_join_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"word{i} and word{i + 1}" for i in range(10)]
    tokenizer = train_bpe(texts, 270)
    whole = tokenizer.encode(texts)
    monkeypatch.setattr("tidegate.data.tokenizer._BLOCK", 3)
    monkeypatch.setattr("tidegate.data.encoding._GROUP", 2)
    parts = tokenizer.encode(texts)
    assert parts.values.tolist() == whole.values.tolist()
    assert parts.offsets.tolist() == whole.offsets.tolist()


def test_counts_agree_with_a_plain_count() -> None:
    texts = ["the cat sat on the mat", "The dog. The end?"]
    counted = Counter(["the", "cat", "sat", "on", "the", "mat", "the", "dog", ".", "the", "end", "?"])
    expected = sorted(counted, key=lambda word: (-counted[word], word))
    assert train_words(texts).vocabulary == ["<unk>", *expected]


def test_training_twice_gives_the_same_json() -> None:
    texts = [f"w{i % 97} v{i % 31} u{i % 7}" for i in range(2000)]
    assert train_words(texts).to_json() == train_words(texts).to_json()


@pytest.mark.parametrize("train", [train_words, train_characters])
def test_json_and_pickle_and_copies_give_the_same_tokenizer(train: type[Tokenizer]) -> None:
    tokenizer: Tokenizer = train([REVIEW, "好 电影"])  # type: ignore[arg-type]
    expected = ids(tokenizer, REVIEW)
    for twin in (from_json(tokenizer.to_json()), pickle.loads(pickle.dumps(tokenizer)), copy.deepcopy(tokenizer)):  # noqa: S301
        assert twin == tokenizer
        assert ids(twin, REVIEW) == expected


def test_the_json_is_a_tokenizer_json_of_the_package() -> None:
    tokenizer = train_words(["a b"])
    engine = tokenizers.Tokenizer.from_str(tokenizer.to_json())
    assert engine.encode("B a zzz").ids == ids(tokenizer, "B a zzz")


def altered(**changes: object) -> str:
    return json.dumps(json.loads(train_words(["a b"]).to_json()) | changes)


def with_extras(change: Callable[[tokenizers.Tokenizer], object]) -> str:
    engine = tokenizers.Tokenizer.from_str(train_words(["a b"]).to_json())
    change(engine)
    return engine.to_str()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[1]",
        "null",
        '{"model": 3}',
        altered(model={"type": "BPE", "vocab": {"<unk>": 0}, "merges": []}),
        altered(model={"type": "WordLevel", "vocab": {"<unk>": 0, "a": 7}, "unk_token": "<unk>"}),
        altered(model={"type": "WordLevel", "vocab": {"<unk>": 1, "a": 0}, "unk_token": "<unk>"}),
        altered(model={"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "<unk>"}),
        altered(pre_tokenizer={"type": "NoSuchThing"}),
        with_extras(lambda engine: engine.enable_padding(pad_id=99, length=4)),
        with_extras(lambda engine: engine.enable_truncation(1)),
        with_extras(lambda engine: engine.add_tokens(["x"])),
    ],
)
def test_json_that_is_no_tokenizer_of_ours_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="not a tokenizer that Tidegate wrote"):
        from_json(text)


def test_a_single_string_is_refused_where_a_list_is_wanted() -> None:
    with pytest.raises(InputError, match=r"Put it into a list"):
        train_words(["a"]).encode("a text")
    with pytest.raises(InputError, match=r"Put it into a list"):
        train_words("a text")


def test_what_is_no_text_is_refused_by_its_place() -> None:
    with pytest.raises(DataError, match=r"X\[1\] is int 3, not a text"):
        train_words(["a"]).encode(["a", 3])  # type: ignore[list-item]
    with pytest.raises(DataError, match=r"X\[0\] holds half of a surrogate pair"):
        train_words(["a"]).encode(["\ud800"])


def test_training_on_nothing_or_on_empty_texts_is_refused() -> None:
    with pytest.raises(DataError, match="no texts"):
        train_words([])
    with pytest.raises(DataError, match=r"X\[1\] has an empty text"):
        train_words(["a", " \n"])


@pytest.mark.parametrize(("size", "count"), [(1, 1), (10, 0)])
def test_sizes_that_leave_no_vocabulary_are_refused(size: int, count: int) -> None:
    with pytest.raises(InputError, match="at least 2 and 1 are wanted"):
        train_words(["a"], size, min_count=count)


def test_unknown_ways_to_cut_are_refused() -> None:
    tokenizer = train_words(["a"])
    with pytest.raises(OptionError, match="Did you mean 'last'"):
        tokenizer.encode(["a"], keep="lst")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="max_tokens is 0"):
        tokenizer.encode(["a"], max_tokens=0)
