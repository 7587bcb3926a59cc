"""The grid of weights: every pair is asked, the best one named, ties settled as is said."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from alignments import draw
from tidegate.decoding import NgramModel, Scorer, prefix_beam, tune
from tidegate.errors import InputError, ShapeError
from tidegate.ragged import Ragged

ROWS = Ragged.from_list([draw(12, 3, seed) for seed in range(6)])
SCORER = Scorer(language_model=NgramModel.from_texts(["ab ba", "ba ab"], order=2))
SYMBOLS = ("a", "b", " ")


def wrong(wanted: list[str], found: list[str]) -> float:
    return sum(a != b for a, b in zip(wanted, found, strict=True)) / len(wanted)


def test_the_pair_that_wrote_the_texts_is_found() -> None:
    there = SCORER.with_weights(1.5, 1.0)
    texts = [found[0].text for found in prefix_beam(ROWS, SYMBOLS, scorer=there)]
    found = tune(ROWS, texts, SYMBOLS, wrong, scorer=SCORER, alphas=(0.0, 1.5), betas=(-2.0, 1.0))
    assert (found.alpha, found.beta, found.error) == (1.5, 1.0, 0.0)
    assert list(found.grid) == [(0.0, -2.0), (0.0, 1.0), (1.5, -2.0), (1.5, 1.0)]
    assert min(error for pair, error in found.grid.items() if pair != (1.5, 1.0)) > 0


def test_of_equal_errors_the_smaller_weights_are_taken() -> None:
    found = tune(ROWS, [""] * 6, SYMBOLS, lambda *_: 1.0, scorer=SCORER, alphas=(1.0, 0.5), betas=(2.0, -1.0, 1.0))
    assert (found.alpha, found.beta) == (0.5, -1.0)


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"references": [""]}, ShapeError, "6 sequences came with 1 references"),
        ({"alphas": ()}, InputError, "nothing to tune on"),
        ({"error": lambda *_: np.nan}, InputError, "is no number"),
        ({"alphas": (-1.0,)}, InputError, "alpha=-1.0"),
    ],
)
def test_what_cannot_be_tuned_is_refused(change: dict[str, Any], error: type[Exception], said: str) -> None:
    given: dict[str, Any] = {"references": [""] * 6, "error": wrong, "alphas": (0.5,)} | change
    with pytest.raises(error, match=said):
        tune(ROWS, given["references"], SYMBOLS, given["error"], scorer=SCORER, alphas=given["alphas"])
