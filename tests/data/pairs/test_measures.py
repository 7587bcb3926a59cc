"""Scores of translations: those of sacreBLEU with their signatures, and clear words where it is missing."""

from __future__ import annotations

import sys

import pytest
import sacrebleu

from tidegate.data.pairs.measures import bleu, chrf, exact_match
from tidegate.errors import InputError, MissingPackageError

FOUND = ["The cat sat on a mat .", "It is raining cats and dogs."]
RIGHT = ["the cat sat on the mat.", "It rains cats and dogs."]


def test_scores_are_those_of_sacrebleu() -> None:
    assert bleu(FOUND, RIGHT).score == pytest.approx(sacrebleu.corpus_bleu(FOUND, [RIGHT], force=True).score)
    assert chrf(FOUND, RIGHT).score == pytest.approx(sacrebleu.corpus_chrf(FOUND, [RIGHT]).score)


def test_a_signature_says_how_a_score_was_computed() -> None:
    said = bleu(FOUND, RIGHT, tokenize="char", lowercase=True)
    assert "case:lc" in said.signature and "tok:char" in said.signature
    assert f"version:{sacrebleu.__version__}" in said.signature
    assert said.score != bleu(FOUND, RIGHT).score
    assert chrf(FOUND, RIGHT).signature.startswith("nrefs:1|case:mixed|eff:yes|nc:6|nw:0")


def test_the_spaces_of_chinese_do_not_count_where_it_is_cut_as_chinese() -> None:
    assert bleu(["他们 在打篮球。"], ["他们在打篮球。"], tokenize="zh").score == pytest.approx(100)


def test_texts_of_different_number_are_refused() -> None:
    for measure in (bleu, chrf, exact_match):
        with pytest.raises(InputError, match="1 translations came with 2"):
            measure(["a"], ["a", "b"])
        with pytest.raises(InputError, match="at least one"):
            measure([], [])
    with pytest.raises(InputError, match="13a, intl, zh, char, none, not by 'words'"):
        bleu(["a"], ["a"], tokenize="words")


def test_a_missing_package_is_named_with_the_extra_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    with pytest.raises(MissingPackageError, match=r"sacrebleu.*pip install 'tidegate\[translate\]'"):
        bleu(["a"], ["a"])
    assert exact_match(["a", "b"], ["a", "c"]) == 0.5
