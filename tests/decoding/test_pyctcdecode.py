"""The beam beside pyctcdecode's, with n-grams read by KenLM.

pyctcdecode wants a NumPy before 2, so that it is not among what is installed for tests, and KenLM is compiled where it
is installed. With newer NumPys it runs all the same: `pip install --no-deps pyctcdecode pygtrie kenlm`.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from alignments import draw, peaky
from tidegate import ctc
from tidegate.decoding import Hypothesis, NgramModel, Scorer, prefix_beam

logging.getLogger("pyctcdecode").setLevel(logging.ERROR)  # says on import that KenLM is not there
their = pytest.importorskip("pyctcdecode", reason="pip install --no-deps pyctcdecode pygtrie")

Array = NDArray[Any]
SYMBOLS = ("a", "b", " ")
WIDE = 4096
TEXTS = ["ab ab ba", "abba ab", "baa ab", "a b ab", "ab ba ab"] * 3


def worded(frames: int, seed: int) -> Array:
    """Draw frames of words: the first and the last name a letter for certain, so that no space stands outside."""
    rows = draw(frames, len(SYMBOLS), seed)
    rows[[0, -1], 0] = rows[[0, -1], 3] = -np.inf
    rows -= np.logaddexp.reduce(rows, axis=1, keepdims=True)
    return rows


def decoder(path: Path | None = None, **weights: float) -> Any:
    """Make theirs for these symbols; in its list the blank is the empty text."""
    return their.build_ctcdecoder(["", *SYMBOLS], None if path is None else str(path), **weights)


def all_of_theirs(beams: Any, rows: Array) -> dict[str, tuple[float, float]]:
    """Give each text that is found with the score of its frames and that of all.

    Nothing is pruned but what is impossible, which has the probability 1e-15 there.
    """
    found = beams.decode_beams(rows, beam_width=10**6, beam_prune_logp=-1e9, token_min_logp=np.log(1e-12))
    return {text: scores for text, _, _, *scores in found}


def all_of_ours(rows: Array, scorer: Scorer | None = None) -> dict[str, tuple[float, float]]:
    """Give the same; several spaces count as one, as there."""
    found: dict[str, list[Hypothesis]] = defaultdict(list)
    texts = prefix_beam(np.asarray(rows), SYMBOLS, width=WIDE, n_best=WIDE, least_probability=0, scorer=scorer)
    for one in texts:
        found[" ".join(one.text.split())].append(one)
    logs = {text: float(np.logaddexp.reduce([one.log_probability for one in ones])) for text, ones in found.items()}
    return {text: (logs[text], logs[text] + ones[0].score - ones[0].log_probability) for text, ones in found.items()}


def assert_same(found: dict[str, Any], wanted: dict[str, Any], *, atol: float = 1e-9) -> None:
    assert found.keys() == wanted.keys()
    for text, (frames, score) in wanted.items():
        assert found[text] == (pytest.approx(frames, abs=1e-9), pytest.approx(score, abs=atol)), text
    first, second = sorted((total for _, total in wanted.values()), reverse=True)[:2]
    assert first > second + 1e-6, "nothing is told by which comes first"
    assert max(found, key=lambda text: found[text][1]) == max(wanted, key=lambda text: wanted[text][1])


@pytest.mark.parametrize("seed", range(4))
def test_all_texts_score_as_theirs(seed: int) -> None:
    rows = worded(6, seed)
    assert_same(all_of_ours(rows), all_of_theirs(decoder(), rows))


@pytest.mark.parametrize("seed", range(3))
def test_narrow_beams_find_the_same_text_and_never_add_up_more_than_there_is(seed: int) -> None:
    rows = peaky(60, 2, seed).astype(np.float64)  # without spaces, of which several count as one there
    beams = their.build_ctcdecoder(["", "a", "b"])
    text, _, _, _, score = beams.decode_beams(rows, beam_width=16, beam_prune_logp=-1e9, token_min_logp=np.log(1e-3))[0]
    found = prefix_beam(rows, "ab", width=16)[0]
    frames, label = ctc.Frames(rows, np.array([0, len(rows)])), ctc.Labels.of([found.symbols + 1])
    exact = -ctc.losses(frames, label)[0]
    assert found.text == text and len(text) > 4
    assert exact - 0.5 < min(score, found.score) and max(score, found.score) <= exact + 1e-9


@pytest.mark.parametrize("seed", range(4))
def test_with_n_grams_of_words_all_texts_score_as_theirs(seed: int, tmp_path: Path) -> None:
    pytest.importorskip("kenlm", reason="pip install --no-deps kenlm")
    words = NgramModel.from_texts(TEXTS, order=2, units="words")
    words.to_arpa(tmp_path / "words.arpa")
    rows, unknown = worded(6, seed), -3.0
    weights: Any = {"alpha": 0.7, "beta": 0.4}
    wanted = all_of_theirs(decoder(tmp_path / "words.arpa", unk_score_offset=0.0, **weights), rows)
    near = 1e-5  # KenLM adds in float32
    assert_same(all_of_ours(rows, Scorer(language_model=words, **weights)), wanted, atol=near)
    lexicon = sorted({word for text in TEXTS for word in text.split()})
    scorer = Scorer(language_model=words, lexicon=lexicon, unknown=unknown, **weights)
    price = unknown / (0.7 * np.log(10))  # theirs is an exponent of ten, and weighed as n-grams are
    wanted = all_of_theirs(decoder(tmp_path / "words.arpa", unk_score_offset=price, **weights), rows)
    assert_same(all_of_ours(rows, scorer), wanted, atol=near)
