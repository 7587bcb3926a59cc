"""The core reads texts as the package `tokenizers` does, by the rule of every tokenizer that is trained here.

Each expected list of tokens comes from that package, which gets the whole text in one piece.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from hypothesis import example, given
from hypothesis import strategies as st

from surroundings import absent
from tidegate import data
from tidegate.data import cutting
from tidegate.data.tokenizer import (
    UNKNOWN,
    Keep,
    Tokenizer,
    from_json,
    train_characters,
    train_graphemes,
    train_spelling,
    train_whole_words,
    train_words,
)
from tidegate.kernels import Lexicon

TRAINERS: dict[str, Callable[[Sequence[str]], Tokenizer]] = {
    "words": train_words,
    "words as they are": partial(train_words, keep_case=True),
    "characters": train_characters,
    "whole words": train_whole_words,
    "spelling": train_spelling,
    "graphemes": train_graphemes,
}
# Signs of every manner, and what they are read with otherwise than alone.
HOSTILE = [
    *"aBÉßKǅΣ09٣²½ⅧⓐⒶℹ🅰_-.!'’‘\"@#™", "İ", "\u212b", "\uac00", "\U00010400", "ꭰ", "Ა", "\u1e9e",
    *" \t\n\r\v\f\x85\xa0\u1680\u2003\u2028\u3000", "  ", "\r\n",
    *"\x00\x1f\u200b\u200c\u200d\u2060\ufeff\xad", "\U000e0061", "\U000e007f",
    *"\u0300\u0301\u0315\u0323\u0327\u0338\u0345\u0359\u20e3\ufe0f\u05bc\u05b7\u0651\u064e", "\U000e0100",
    "e\u0301", "\u1e63\u0307", ">\u0338", "<\u0338", "1\ufe0f\u20e3",
    "\u0915", "\u094d", "\u0915\u094d\u0937", "\u093c", "\u09c7\u09be", "\u0f71\u0f72", "\u0f73", "\u1b05\u1b35",
    "\u1000\u1039\u1010", "\u102b", "\u1780\u17d2\u179a", "\u0e01\u0e33", "\u0e38\u0e49", "\u0eb3",
    "\u1100", "\u1161", "\u11a8", "\uac01\u11a8", "\ua960", "\ud7b0",
    *"中々ひカ\u3099\uff76\uff9e", "\uf900", "\U00020000", "\U0002f800", "\U00031350",
    *"🙂❤👍🏽", "👨\u200d👩\u200d👧", "🇩", "🇪", "\u0600", "\u06dd", "\u0d4e", "\U000110bd",
    "\u0378", "\ue000", "\U0001fae8",
    "<br />", "<BR>", "<br\n/>", "<br", "<b", "<", ">", "/>", "don't", "l’eau", UNKNOWN,
]  # fmt: skip
hostile = st.lists(st.sampled_from(HOSTILE) | st.text(max_size=2).filter(str.isprintable), max_size=14).map("".join)


@pytest.fixture(params=TRAINERS)
def trained(request: pytest.FixtureRequest) -> str:
    """Name each way to train a tokenizer."""
    return str(request.param)


@cache
def known(trained: str) -> Tokenizer:
    """Train on a few of the hostile signs, so that most are unknown."""
    return TRAINERS[trained](["a b <br />don't!", "中 क्ष 🙂👍🏽 0 e\u0301 café >", UNKNOWN])


@cache
def engine(tokenizer: Tokenizer) -> tokenizers.Tokenizer:
    return tokenizers.Tokenizer.from_str(tokenizer.to_json())


def cut(tokenizer: Tokenizer, text: str) -> list[str]:
    """List the tokens of a text as the package cuts it."""
    normalizer, splitter = engine(tokenizer).normalizer, engine(tokenizer).pre_tokenizer
    plain = normalizer.normalize_str(text) if normalizer else text
    return [piece for piece, _ in splitter.pre_tokenize_str(plain)] if splitter else [plain] * bool(plain)


def looked_up(tokenizer: Tokenizer, text: str) -> list[int]:
    return list(engine(tokenizer).encode(text, add_special_tokens=False).ids)


@pytest.mark.parametrize("step", [pytest.param(1, marks=pytest.mark.slow), 16])
def test_every_code_point_is_read_as_the_package_does(trained: str, step: int) -> None:
    """One in `step` of those that stand in long rows of their like: Chinese, Korean, Tangut, private use."""
    tokenizer = known(trained)
    around = "{0} a{0}b !{0} {0}\u0947'a क{0} a’{0}’ {0}{0} <br>{0}<br>"
    rows = ((0x3400, 0xD800), (0xE000, 0xF8FF), (0x17000, 0x19000), (0x20000, 0x31400))
    alike = {code for begin, end in rows for code in range(begin + 16, end - 16) if code % step}
    signs = [chr(code) for code in range(0x31500) if not (0xD800 <= code < 0xE000 or code in alike)]
    # Letters between two of them keep apart what stands around the one from what stands around the next.
    texts = [" x ".join(map(around.format, signs[begin : begin + 16])) for begin in range(0, len(signs), 16)]
    if trained == "whole words":
        texts = [f"a{sign}" for sign in signs]
    assert [text for text in texts if tokenizer.tokenize(text) != cut(tokenizer, text)] == []


@given(hostile)
@example("")
@example("a <br/>\u0338 b")
@example("\u0600 a")
def test_hostile_texts_are_read_as_the_package_does(text: str) -> None:
    for trained in TRAINERS:
        tokenizer = known(trained)
        assert tokenizer.tokenize(text) == cut(tokenizer, text)
        assert tokenizer.encode([text])[0].tolist() == looked_up(tokenizer, text)


@given(st.lists(hostile, max_size=5), st.integers(1, 9), st.sampled_from(["first", "last"]))
def test_texts_that_are_cut_keep_their_first_or_last_tokens(texts: list[str], most: int, keep: Keep) -> None:
    window = slice(None, most) if keep == "first" else slice(-most, None)
    for trained in TRAINERS:
        tokenizer = known(trained)
        rows = tokenizer.encode(texts, max_tokens=most, keep=keep)
        assert [row.tolist() for row in rows] == [looked_up(tokenizer, text)[window] for text in texts]
        assert [tokenizer.tokenize(text, max_tokens=most, keep=keep) for text in texts] == [
            cut(tokenizer, text)[window] for text in texts
        ]


@pytest.mark.parametrize("keep", ["first", "last"])
@pytest.mark.parametrize(
    "unit",
    ["a film, don't! ", "a<br  />b <br\n/> ", "中文好", "e\u0301 a ", "x" * 99 + " ", " \t", "a\u0600 b> <br c "],
)
def test_long_texts_of_which_only_an_end_is_read_keep_the_same_tokens(trained: str, unit: str, keep: Keep) -> None:
    tokenizer, text = known(trained), "a " + unit * 300 + " b"
    whole = looked_up(tokenizer, text)
    for most in (1, 2, 3, 10, 57, 1000):
        window = slice(None, most) if keep == "first" else slice(-most, None)
        assert tokenizer.encode([text], max_tokens=most, keep=keep)[0].tolist() == whole[window]


@given(st.lists(hostile, min_size=1, max_size=6), st.integers(2, 12), st.integers(1, 3))
def test_what_is_learned_is_what_is_counted(texts: list[str], size: int, least: int) -> None:
    texts = [text + "a" for text in texts]
    for trained in TRAINERS:
        tokens = [token for text in texts for token in cut(known(trained), text) if token != UNKNOWN]
        often = sorted({t for t in tokens if tokens.count(t) >= least}, key=lambda t: (-tokens.count(t), t))
        learned: Any = TRAINERS[trained]
        assert learned(texts, size, min_count=least).vocabulary == [UNKNOWN, *often[: size - 1]]


def test_a_word_that_is_spelled_like_the_unknown_one_is_that(trained: str) -> None:
    tokenizer = from_json(TRAINERS[trained]([UNKNOWN, UNKNOWN, "a"]).to_json())
    assert tokenizer.vocabulary[0] == UNKNOWN
    assert tokenizer.vocabulary.count(UNKNOWN) == 1


def test_the_ids_do_not_depend_on_the_threads(trained: str) -> None:
    tokenizer = known(trained)
    rule = cutting.rule_of(json.loads(tokenizer.to_json()))
    assert rule is not None
    lexicon = Lexicon(*rule, tokenizer.vocabulary)
    texts = [" ".join(HOSTILE[start:]) * (1 + start % 7) + " word" * 500 for start in range(len(HOSTILE))]
    one, many = (lexicon.read(texts, num_threads=threads) for threads in (1, 7))
    assert [part.tolist() for part in one[:2]] == [part.tolist() for part in many[:2]]
    assert one[2] == many[2]
    rows = [row.tolist() for row in tokenizer.encode(texts)]
    assert rows == [looked_up(tokenizer, text) for text in texts]


def test_the_core_reads_what_is_trained_here_and_nothing_else(trained: str) -> None:
    content = json.loads(known(trained).to_json())
    assert cutting.rule_of(content) is not None
    step = {"type": "Replace", "pattern": {"Regex": cutting.SPACES}, "content": ""}
    assert cutting.rule_of(content | {"normalizer": step}) is None
    assert cutting.rule_of(content | {"pre_tokenizer": {"type": "ByteLevel"}}) is None


def test_a_tokenizer_that_cuts_as_those_of_before_still_does() -> None:
    content = json.loads(train_words(["a b <br />don't!", "中 e\u0301"]).to_json())
    content["pre_tokenizer"]["pattern"]["Regex"] = cutting.OLD_WORD
    tokenizer = from_json(json.dumps(content))
    text = "A <br  />B<br>\u0338 don't e\u0301क्ष !\u0947 中\u0338"
    assert tokenizer.tokenize(text) == cut(tokenizer, text)
    assert tokenizer.encode([text])[0].tolist() == looked_up(tokenizer, text)
    assert tokenizer.tokenize("!\u0947") == ["!", "\u0947"]


# --- the real files, where they are ------------------------------------------------------------------------------

REAL = os.environ.get("TIDEGATE_DATA")


@pytest.mark.parametrize("name", ["imdb", "ud_english_ewt"])
def test_real_texts_are_read_as_the_package_does(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if not REAL or not (Path(REAL) / name).is_dir():
        absent(f"TIDEGATE_DATA holds no {name}")
    monkeypatch.setenv("TIDEGATE_DATA", REAL)
    found: Any = data.load(name).train.x
    texts = [one if isinstance(one, str) else " ".join(one) for one in found[::20]]
    tokenizer = train_words(texts, 5000)
    expected = [encoding.ids for encoding in engine(tokenizer).encode_batch_fast(texts, add_special_tokens=False)]
    assert [row.tolist() for row in tokenizer.encode(texts)] == expected
