"""What scorers add to a text, added up by hand over every text of small cases; and what they refuse."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alignments import draw, every_text
from decoding.test_ngram import FILE
from tidegate.decoding import Hypothesis, NgramModel, Scorer, prefix_beam
from tidegate.errors import InputError, WrongTypeError

WIDE = 4096
SYMBOLS = ("a", "b", " ")
TEXTS = ["ab ab ba", "abba ab", "baa ab", "a b ab"]


def all_texts(rows: Any, scorer: Scorer, symbols: tuple[str, ...] = SYMBOLS) -> dict[str, Hypothesis]:
    """Search with a beam that keeps everything."""
    found = prefix_beam(rows, symbols, width=WIDE, n_best=WIDE, least_probability=0, scorer=scorer)
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True) or scorer.lexicon
    return {one.text: one for one in found}


def acoustic(rows: Any, symbols: tuple[str, ...] = SYMBOLS) -> dict[str, float]:
    return {"".join(symbols[k] for k in text): math.log(p) for text, p in every_text(rows).items()}


@pytest.mark.parametrize("units", ["characters", "words"])
def test_a_score_is_the_weighted_sum_of_frames_language_and_words(units: Any) -> None:
    rows, model = draw(5, 3), NgramModel.from_texts(TEXTS, order=3, units=units)
    found = all_texts(rows, Scorer(language_model=model, alpha=0.7, beta=0.4))
    wanted = acoustic(rows)
    assert found.keys() == wanted.keys()
    for text, one in found.items():
        language = model.score([text])[0]
        assert one.language == pytest.approx(language, rel=1e-9)
        assert one.score == pytest.approx(wanted[text] + 0.7 * language + 0.4 * len(text.split()), rel=1e-9)


def test_without_a_space_beta_counts_symbols() -> None:
    rows = draw(4, 3)
    wanted = acoustic(rows)
    for text, one in all_texts(rows, Scorer(beta=0.25, space=None)).items():
        assert one.score == pytest.approx(wanted[text] + 0.25 * len(text))


def test_a_lexicon_lets_its_words_stand_alone() -> None:
    rows, words = draw(5, 3), {"ab", "a"}
    found, wanted = all_texts(rows, Scorer(lexicon=words)), acoustic(rows)
    for text, one in found.items():
        assert one.score == pytest.approx(wanted[text])
        assert one.whole == (set(text.split()) <= words)
    assert {text for text, one in found.items() if one.whole} == {t for t in wanted if set(t.split()) <= words}
    parts = {text: text.split(" ") for text in wanted}
    assert found.keys() == {
        text
        for text, (*ended, last) in parts.items()
        if set(filter(None, ended)) <= words and any(word.startswith(last) for word in words)
    }, "what has begun of a word may go on"
    whole = [one.whole for one in prefix_beam(rows, SYMBOLS, n_best=99, scorer=Scorer(lexicon=["abbb"]))]
    assert whole == sorted(whole, reverse=True) and len(set(whole)) == 2


def test_a_word_that_the_lexicon_lacks_costs_what_was_said() -> None:
    rows = draw(5, 3)
    wanted = acoustic(rows)
    for text, one in all_texts(rows, Scorer(lexicon=["ab", "a"], unknown=-1.5)).items():
        strange = sum(word not in ("ab", "a") for word in text.split())
        assert one.score == pytest.approx(wanted[text] - 1.5 * strange) and one.whole


def test_a_hotword_earns_its_bonus_as_a_whole_word_alone() -> None:
    rows = draw(6, 3)
    wanted = acoustic(rows)
    bonus = {"ab": 2.0, "b ab": 5.0}
    for text, one in all_texts(rows, Scorer(hotwords=bonus)).items():
        words, earned, at = text.split(" "), 0.0, 0
        while at < len(words):  # the longer one where both begin
            two = words[at : at + 2] == ["b", "ab"]
            earned += 5.0 if two else 2.0 * (words[at] == "ab")
            at += 2 if two else 1
        assert one.score == pytest.approx(wanted[text] + earned), text


def test_a_hotword_that_follows_one_that_failed_is_seen() -> None:
    """As "new yorkshire" begins like "new york", and ends in "yorkshire"."""
    symbols = ("a", "b", " ")
    rows = np.full((9, 4), -30.0)
    for frame, symbol in enumerate([1, 0, 3, 0, 2, 0, 1, 2, 0]):  # "a bab"
        rows[frame, symbol] = 0
    (plain,) = prefix_beam(rows, symbols)
    assert plain.text == "a bab"
    for hotwords, earned in (
        ({"a ba": 4.0, "bab": 3.0}, 3.0),
        ({"a ba": 4.0}, 0.0),
        ({"a": 1.0, "a ba": 4.0}, 1.0),
        ({"a": 1.0, "a bab": 4.0}, 4.0),
        ({"bab": 3.0, "ab": 9.0}, 3.0),
    ):
        (one,) = prefix_beam(rows, symbols, scorer=Scorer(hotwords=hotwords))
        assert one.score == pytest.approx(plain.score + earned), hotwords


def spelled(text: str) -> tuple[Any, tuple[str, ...]]:
    """Make rows that say one text and hardly another, and their symbols."""
    symbols = tuple(sorted(set(text)))
    rows = np.full((2 * len(text), len(symbols) + 1), -1000.0)
    for frame, sign in enumerate(text):
        rows[2 * frame, 1 + symbols.index(sign)] = rows[2 * frame + 1, 0] = 0
    return rows, symbols


def earned_by(text: str, hotwords: dict[str, float], space: str | None) -> float:
    """Add up the hotwords of the best choice that lie whole in a text, no two over each other, sign by sign."""
    most = [0.0]
    for end in range(1, len(text) + 1):
        found = [most[-1]]
        for word, bonus in hotwords.items():
            begin = end - len(word)
            beside = {text[begin - 1 : begin], text[end : end + 1]} if begin > 0 else {text[end : end + 1]}
            whole = space is None or beside <= {"", space}
            if begin >= 0 and text[begin:end] == word and whole:
                found.append(most[begin] + bonus)
        most.append(max(found))
    return most[-1]


@pytest.mark.parametrize(
    ("text", "hotwords", "earned"),
    [
        ("ab ba dd", {"ab": 2.0, "ba": 2.0}, 4.0),
        ("ab ba dd", {"ab": 2.0, "ba": 2.0, "ab ba cd": 1.0}, 4.0),
        ("ab ba", {"ab": 2.0, "ba": 2.0, "ab ba": 1.0}, 4.0),
        ("ab ba", {"ab": 2.0, "ba": 2.0, "ab ba": 5.0}, 5.0),
        ("ab ba ab", {"ab ba": 3.0, "ba ab": 2.0, "ab": 2.0}, 5.0),
        ("ab ba ab", {"ab ba": 3.0, "ba ab": 2.0}, 3.0),
    ],
)
def test_hotwords_inside_of_longer_ones_keep_their_bonus(text: str, hotwords: dict[str, float], earned: float) -> None:
    rows, symbols = spelled(text)
    best = prefix_beam(rows, symbols, width=4, scorer=Scorer(hotwords=hotwords))[0]
    assert (best.text, best.score) == (text, pytest.approx(earned, abs=1e-9))
    assert earned_by(text, hotwords, " ") == earned


@pytest.mark.parametrize("space", [" ", None])
def test_hotwords_earn_the_most_that_they_can_and_one_more_takes_nothing(space: str | None) -> None:
    """Against the definition, over every text of six frames and drawn hotwords."""
    rng, rows, wanted = np.random.default_rng(7), draw(6, 3), acoustic(draw(6, 3))
    words = ["".join(signs) for n in range(1, 5) for signs in itertools.product("ab ", repeat=n)]
    words = [word for word in words if word == word.strip() and "  " not in word]
    for _ in range(12):
        chosen = rng.choice(words, 6, replace=False)
        hotwords = {str(word): float(rng.integers(1, 9)) / 4 for word in chosen}
        fewer = dict(list(hotwords.items())[:-1])
        less = all_texts(rows, Scorer(hotwords=fewer, space=space))
        for text, one in all_texts(rows, Scorer(hotwords=hotwords, space=space)).items():
            assert one.score == pytest.approx(wanted[text] + earned_by(text, hotwords, space), abs=1e-9), text
            assert one.score >= less[text].score - 1e-9


def test_a_beginning_earns_its_share_and_gives_it_back() -> None:
    symbols = ("a", "b")
    scorer = Scorer(hotwords={"aba": 3.0}, space=None)
    rows = np.full((7, 3), -30.0)
    said = [1, 0, 2, 0, 1, 0, 2]
    rows[np.arange(7), said] = 0
    for frames, earned in ((1, 0.0), (3, 0.0), (5, 3.0), (7, 3.0)):
        (one,) = prefix_beam(rows[:frames], symbols, scorer=scorer)
        assert one.score == pytest.approx(earned, abs=1e-9), "what is not whole at the end earns nothing"
    close = np.log([[0.2, 0.42, 0.38], [0.9, 0.05, 0.05], [0.1, 0.44, 0.46]])
    assert prefix_beam(close, symbols, width=1)[0].text == "ab"
    assert prefix_beam(close, symbols, width=1, scorer=Scorer(hotwords={"ba": 1.0}, space=None))[0].text == "ba"


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"alpha": -1.0}, InputError, "alpha=-1.0"),
        ({"alpha": math.nan}, InputError, "alpha=nan"),
        ({"beta": math.inf}, InputError, "beta=inf"),
        ({"space": "  "}, InputError, "one character"),
        ({"lexicon": []}, InputError, "the lexicon is empty"),
        ({"lexicon": "ab"}, InputError, "one text"),
        ({"lexicon": ["a b"]}, InputError, "'a b'"),
        ({"lexicon": ["a", ""]}, InputError, "''"),
        ({"unknown": -1.0}, InputError, "no lexicon came"),
        ({"unknown": 1.0, "lexicon": ["a"]}, InputError, "unknown=1.0"),
        ({"lexicon": ["a\ud800"]}, InputError, "half of a surrogate pair"),
        ({"hotwords": {"a\ud800": 1.0}}, InputError, "half of a surrogate pair"),
        ({"hotwords": {"": 1.0}}, InputError, "hotword ''"),
        ({"hotwords": {"a ": 1.0}}, InputError, "hotword 'a '"),
        ({"hotwords": {"a": -1.0}}, InputError, "bonus of -1.0"),
        ({"language_model": "kenlm"}, WrongTypeError, "a str came"),
    ],
)
def test_what_is_no_scorer_is_refused(change: dict[str, Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        Scorer(**change)


@pytest.mark.parametrize("units", ["characters", "words"])
def test_a_scorer_comes_back_as_it_was_written(units: Any) -> None:
    spoken = NgramModel.from_texts(["ab ba", "ba"], order=3, units=units)
    known: dict[str, Any] = {
        "alpha": 0.7,
        "beta": 1.5,
        "lexicon": ["ab", "ba"],
        "unknown": -3.0,
        "hotwords": {"ba": 2.0},
    }
    for parts in (
        {"language_model": spoken},
        {"language_model": spoken, **known},
        {"space": None, "hotwords": {"a": 1}},
    ):
        scorer = Scorer(**parts)
        again = Scorer.restore(json.loads(json.dumps(scorer.to_json())), scorer.arrays())
        assert again.digest() == scorer.digest()
        rows = draw(6, 3)
        texts = prefix_beam(rows, "ab ", scorer=scorer, n_best=4)
        assert [(one.text, one.score) for one in prefix_beam(rows, "ab ", scorer=again, n_best=4)] == [
            (one.text, one.score) for one in texts
        ]


def test_words_want_something_that_parts_them() -> None:
    with pytest.raises(InputError, match="nothing parts words"):
        Scorer(language_model=NgramModel.from_texts(["a"], units="words"), space=None)


LETTERS = (" ", "a", "d", "e", "h", "p", "s", "t")


def spoken(text: str, seed: int) -> Any:
    """Draw rows in which a text can be heard."""
    scores = np.random.default_rng([seed, len(text)]).normal(size=(2 * len(text) + 1, 1 + len(LETTERS))) * 1.5
    scores[::2, 0] += 3
    for at, letter in enumerate(text):
        scores[2 * at + 1, 1 + LETTERS.index(letter)] += 5
    return scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)


# What pyctcdecode 0.5.0 finds with KenLM 0.3.0 and the file `FILE`: `build_ctcdecoder(["", *LETTERS], path, ["the",
# "sea", "deep"], alpha, beta, unk_score_offset=0)`, without a file where both weights are 0; then
# `decode_beams(rows, 10000, beam_prune_logp=-1e9, token_min_logp=-1e9)`. With 2,000 texts its numbers are up to 3e-3
# lower, as ours are. On eight of eighteen rows tried, all but one of them beside a language model, it scores the best
# text lower than the sums by hand above do, or finds another; why was not settled.
PYCTCDECODE = [
    (0.0, 0.0, 0, "the sea", "the aspea", -4.541165076490138),
    (0.0, 0.0, 1, "the sea", "the hsepas", -6.761385159183876),
    (0.0, 0.0, 2, "the sea", "the sea", -3.704307148311833),
    (0.0, 0.0, 0, "deep sea", "depep sea", -5.222897457719687),
    (0.0, 0.0, 2, "deep sea", "deedp sea", -3.652705511181466),
    (0.5, 1.0, 0, "the sea", "the sea", -5.017420439624058),
    (0.5, 1.0, 1, "the sea", "the hsepas", -8.559938062151044),
    (0.5, 1.0, 0, "deep sea", "depep sea", -6.792066008023877),
    (1.0, -0.5, 0, "the sea", "the sea", -9.227460005970126),
    (1.0, -0.5, 2, "deep sea", "deep sea", -9.075190056602146),
]


@pytest.mark.parametrize(("alpha", "beta", "seed", "said", "text", "score"), PYCTCDECODE)
def test_the_best_text_is_that_of_pyctcdecode(
    tmp_path: Path, alpha: float, beta: float, seed: int, said: str, text: str, score: float
) -> None:
    (tmp_path / "some.arpa").write_text(FILE)
    model = NgramModel.from_arpa(tmp_path / "some.arpa")
    scorer = Scorer(language_model=model, alpha=alpha, beta=beta)
    found = prefix_beam(spoken(said, seed), LETTERS, width=20_000, n_best=20_000, scorer=scorer, least_probability=0)
    together: dict[str, float] = {}  # it tells no texts apart that differ by spaces alone
    for one in found:
        words = " ".join(one.text.split())
        together[words] = float(np.logaddexp(together.get(words, -np.inf), one.score))
    best = max(together, key=together.__getitem__)
    assert best == text
    assert together[best] == pytest.approx(score, abs=5e-4)  # both let go of what is least likely
