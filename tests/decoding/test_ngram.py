"""Counted n-grams against the formula written down word by word, and against what KenLM says of the files."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.decoding import NgramModel
from tidegate.errors import DataError, InputError, OptionError

TEXTS = ["the sea is wide", "the sea is deep", "the wood is deep and wide", "sea and wood", "the the sea", ""] * 2 + [
    "deep is the wood", "wide sea", "a boat", "a boat is deep", "an oar and a boat on the sea",
]  # fmt: skip
LN10 = math.log(10)


class Formula:
    """Interpolated modified Kneser-Ney as Chen and Goodman (1999) write it, with dictionaries of tuples."""

    def __init__(self, sentences: list[list[str]], order: int) -> None:
        marked = [("<s>", *sentence, "</s>") for sentence in sentences]
        grams: dict[int, Counter[tuple[str, ...]]] = {
            k: Counter(text[i : i + k] for text in marked for i in range(len(text) - k + 1))
            for k in range(1, order + 1)
        }
        self.words = {word for text in marked for word in text} | {"<unk>"}
        self.count: dict[int, dict[tuple[str, ...], int]] = {order: dict(grams[order])}
        for k in range(1, order):
            before: dict[tuple[str, ...], set[str]] = defaultdict(set)
            for gram in grams[k + 1]:
                before[gram[1:]].add(gram[0])
            self.count[k] = {g: grams[k][g] if g[0] == "<s>" else len(before[g]) for g in grams[k]}
        del self.count[1][("<s>",)]
        self.taken = {k: self.discounts(list(counts.values())) for k, counts in self.count.items()}
        self.order = order

    @staticmethod
    def discounts(counts: list[int]) -> list[float]:
        t = [counts.count(j) for j in range(5)]
        if not (t[1] and t[2] and t[3]):
            return [0, 0.5, 1, 1.5]
        y = t[1] / (t[1] + 2 * t[2])
        found = [0, 1 - 2 * y * t[2] / t[1], 2 - 3 * y * t[3] / t[2], 3 - 4 * y * t[4] / t[3]]
        return found if all(0 <= d <= j for j, d in enumerate(found)) else [0, 0.5, 1, 1.5]

    def probability(self, word: str, context: tuple[str, ...]) -> float:
        k = len(context) + 1
        taken = self.taken[k]
        follow = {g: c for g, c in self.count[k].items() if g[:-1] == context}
        lower = 1 / (len(self.words) - 1) if not context else self.probability(word, context[1:])
        if not follow:
            return lower
        total = sum(follow.values())
        own = follow.get((*context, word), 0)
        left = sum(taken[min(c, 3)] for c in follow.values())
        return (own - taken[min(own, 3)]) / total + left / total * lower

    def score(self, sentence: list[str]) -> float:
        words = ["<s>", *(word if word in self.words else "<unk>" for word in sentence), "</s>"]
        at = range(1, len(words))
        return sum(math.log(self.probability(words[i], tuple(words[max(0, i - self.order + 1) : i]))) for i in at)


@pytest.mark.parametrize("order", [1, 2, 3, 5])
@pytest.mark.parametrize("units", ["words", "characters"])
def test_scores_are_those_of_the_formula(order: int, units: Any) -> None:
    model = NgramModel.from_texts(TEXTS, order=order, units=units)
    parted = [text.split() if units == "words" else list(text) for text in TEXTS]
    formula = Formula(parted, order)
    asked = [*TEXTS, "a sea of oars", "zzz zz", "deep deep deep deep"]
    wanted = [formula.score(text.split() if units == "words" else list(text)) for text in asked]
    np.testing.assert_allclose(model.score(asked), wanted, rtol=2e-6)  # kept as float32


@settings(deadline=None, max_examples=30)
@given(st.lists(st.text("abc", max_size=8), min_size=1, max_size=12), st.integers(1, 4))
def test_probabilities_after_any_text_sum_to_one(texts: list[str], order: int) -> None:
    model = NgramModel.from_texts(texts, order=order)
    formula = Formula([list(text) for text in texts], order)
    np.testing.assert_allclose(model.score(texts), [formula.score(list(text)) for text in texts], rtol=1e-5, atol=1e-5)
    context = tuple(["<s>", *texts[0]][-(order - 1) :]) if order > 1 else ()
    assert sum(formula.probability(word, context) for word in formula.words - {"<s>"}) == pytest.approx(1)


def test_discounts_come_of_the_counts_where_there_are_enough() -> None:
    rng = np.random.default_rng(3)
    texts = ["".join(rng.choice(list("abcdefgh"), 12, p=np.arange(8, 0, -1) / 36)) for _ in range(60)]
    formula = Formula([list(text) for text in texts], 4)
    assert formula.taken[4] != [0, 0.5, 1, 1.5], "or the test would tell nothing"
    model = NgramModel.from_texts(texts, order=4)
    np.testing.assert_allclose(model.score(texts[:9]), [formula.score(list(t)) for t in texts[:9]], rtol=2e-6)


@pytest.mark.parametrize("name", ["some.arpa", "some.arpa.gz"])
@pytest.mark.parametrize("units", ["words", "characters"])
def test_an_arpa_file_brings_the_model_back_to_the_bit(tmp_path: Path, units: Any, name: str) -> None:
    model = NgramModel.from_texts([*TEXTS, "tab\there \u05e9\u05dc a\u0364"], order=3, units=units)
    model.to_arpa(tmp_path / name)
    again = NgramModel.from_arpa(tmp_path / name, units=units)
    assert again.vocabulary == model.vocabulary
    for key, array in model.arrays().items():
        assert again.arrays()[key].tobytes() == array.tobytes(), key


def test_what_a_model_file_holds_brings_it_back() -> None:
    model = NgramModel.from_texts(TEXTS, order=3)
    again = NgramModel.restore(model.to_json(), model.arrays())
    assert again.score(TEXTS).tobytes() == model.score(TEXTS).tobytes()


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("counts", lambda a: a[:-1]),
        ("counts", lambda a: a * 0),
        ("counts", lambda a: np.array([a[0], 2**62], np.int64)),
        ("tokens", lambda a: a[::-1].copy()),
        ("tokens", lambda a: a.astype(np.int64) + 2**40),
        ("tokens", lambda a: a + 0.5),
        ("tokens", lambda a: np.where(np.arange(len(a)) < len(a) - 1, a, 99).astype(np.int32)),
        ("children", lambda a: a + 1),
        ("children", lambda a: np.where(np.arange(len(a)) == 1, -1, a).astype(np.int32)),
        ("probability", lambda a: a[:-1].copy()),
        ("backoff", lambda a: np.where(np.arange(len(a)) == 0, np.nan, a).astype(np.float32)),
    ],
)
def test_arrays_that_are_no_ngrams_are_refused(name: str, change: Any) -> None:
    model = NgramModel.from_texts(["ab", "abc"], order=2)
    with pytest.raises(ValueError):  # noqa: PT011 - each says another thing
        NgramModel.restore(model.to_json(), model.arrays() | {name: change(model.arrays()[name])})


def test_a_vocabulary_that_is_none_is_refused() -> None:
    model = NgramModel.from_texts(["ab"], order=1)
    for wrong in (["a", "b"], [*model.vocabulary[:-1], "a"], "abcde", [1, 2, 3, 4, 5]):
        with pytest.raises(ValueError, match="vocabulary"):
            NgramModel.restore({"units": "characters", "vocabulary": wrong}, model.arrays())


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        (([], 2, "words"), DataError, "no texts"),
        (("abc", 2, "words"), DataError, "no texts"),
        (([1], 2, "words"), DataError, "a int came"),
        ((["a \ud800"], 2, "words"), InputError, "half of a surrogate pair"),
        ((["a <s> b"], 2, "words"), DataError, "'<s>', which stands for a mark"),
        ((["a"], 0, "words"), InputError, "order=0"),
        ((["a"], 99, "words"), InputError, "order=99"),
        ((["a"], 2, "letters"), OptionError, "unknown units 'letters'"),
    ],
)
def test_what_cannot_be_counted_is_refused(arguments: tuple[Any, ...], error: type[Exception], said: str) -> None:
    texts, order, units = arguments
    with pytest.raises(error, match=said):
        NgramModel.from_texts(texts, order=order, units=units)


# log10 of whole texts by KenLM 0.3.0, `kenlm.Model(path).score(text)`, of the file that `FILE` is; "zzz" is unknown.
FILE = """\\data\\
ngram 1=6
ngram 2=5
ngram 3=3

\\1-grams:
-1.5\t<unk>
-99\t<s>\t-0.5
-1\t</s>
-0.6\tsea\t-0.25
-0.7\tthe\t-0.3
-0.9\tdeep\t-0.1

\\2-grams:
-0.3\t<s> the\t-0.2
-0.4\tthe sea\t-0.15
-0.5\tsea </s>
-0.8\tthe deep\t-0.05
-0.35\tdeep sea\t-0.45

\\3-grams:
-0.1\t<s> the sea
-0.2\tthe deep sea
-0.15\tdeep sea </s>

\\end\\
"""
KENLM = {
    "": -1.5,
    "the sea": -1.04999995,
    "the deep sea": -1.64999998,
    "deep sea": -1.89999998,
    "sea the": -3.3499999,
    "the zzz sea": -3.4000001,
    "zzz": -3.0,
    "the the deep deep sea sea": -5.5,
}


def test_scores_of_a_file_are_those_of_kenlm(tmp_path: Path) -> None:
    (tmp_path / "some.arpa").write_text(FILE)
    model = NgramModel.from_arpa(tmp_path / "some.arpa")
    np.testing.assert_allclose(model.score(list(KENLM)) / LN10, list(KENLM.values()), rtol=1e-6)
