"""Transcripts by a search over texts: what it finds, beside what it is told of texts, and where that lies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tidegate.decoding import NgramModel, Scorer, prefix_beam
from tidegate.errors import InputError
from tidegate.tasks import Transcriber

SYMBOLS = "abc"
QUIET: dict[str, Any] = {"speed": 0.0, "noise": 0.0, "time_masks": 0, "feature_masks": 0, "dropout": 0.0}
SIZES: dict[str, Any] = {"hidden_size": 8, "num_layers": 1, "window": 1, "stride": 1, "epochs": 12, "batch_size": 4}


def spoken(texts: list[str], *, seed: int | None = None) -> list[np.ndarray]:
    """Make four steps of each symbol; with a seed so much noise that some are read wrongly."""
    rng = np.random.default_rng(seed)
    clean = [np.repeat(np.eye(3)[[SYMBOLS.index(symbol) for symbol in text]], 4, axis=0) for text in texts]
    return clean if seed is None else [rows + rng.normal(0, 0.8, rows.shape) for rows in clean]


@pytest.fixture(scope="module")
def reader() -> Transcriber:
    rng = np.random.default_rng(0)
    texts = ["".join(rng.permutation(list(SYMBOLS))) for _ in range(24)]
    model = Transcriber(validation_fraction=0, average=0.9, learning_rate=0.05, **QUIET, **SIZES)
    return model.fit(spoken(texts), texts)


def test_texts_are_those_of_the_search_over_the_frames(reader: Transcriber) -> None:
    signals = spoken(["abc", "cab", "bca"], seed=1)
    told = reader.transcribe(signals, beam=8, n_best=3)
    for one, frames in zip(told, reader.frames(signals), strict=True):
        wanted = prefix_beam(frames, reader.symbols_, width=8, n_best=3)
        found = [one, *one.alternatives]
        assert [each.text for each in found] == [each.text for each in wanted]
        assert [each.score for each in found] == [each.score for each in wanted]
        for each in found:
            again = reader.align(signals[told.index(one)], each.text)
            assert each.symbols == again.symbols
            assert each.words == again.words


def test_a_signal_alone_is_answered_as_in_a_batch_and_beside_an_empty_one(reader: Transcriber) -> None:
    signals = [*spoken(["abc", "ca"], seed=2), np.zeros((0, 3))]
    together = reader.transcribe(signals, beam=4, n_best=2)
    assert together == [reader.transcribe([signal], beam=4, n_best=2)[0] for signal in signals]
    assert (together[2].text, together[2].confidence, together[2].alternatives) == ("", 1.0, ())


def test_what_is_known_of_texts_has_its_say(reader: Transcriber) -> None:
    signals = spoken(["abc"] * 20, seed=3)
    alone = [told.text for told in reader.transcribe(signals, beam=16)]
    grams = Scorer(language_model=NgramModel.from_texts(["abc"] * 50, order=3), alpha=2.0, space=None)
    with_grams = [told.text for told in reader.transcribe(signals, beam=16, scorer=grams)]
    listed = Scorer(lexicon=["abc", "cba"], space=None)
    with_list = reader.transcribe(signals, beam=16, scorer=listed)
    assert alone.count("abc") < with_grams.count("abc") <= len(signals)
    assert {told.text for told in with_list} <= {"abc", "cba", ""}
    nothing = reader.transcribe(signals[:1], beam=16, scorer=Scorer(lexicon=["z"], space=None))[0]
    assert (nothing.text, nothing.confidence, nothing.symbols) == ("", 1.0, ())
    blank = reader.frames(signals[:1])[0][:, 0].sum()
    assert nothing.score == pytest.approx(blank), "the one path that spells nothing"
    assert nothing.score < reader.transcribe(signals[:1])[0].score - 1


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"beam": -1}, "beam=-1"),
        ({"beam": 2.5}, "beam=2.5"),
        ({"n_best": 0, "beam": 4}, "n_best=0"),
        ({"n_best": 2}, "want a search. Pass beam=16"),
        ({"scorer": Scorer(beta=1.0)}, "want a search. Pass beam=16"),
        ({"beam": 10**9}, "a beam keeps from 1 to"),
    ],
)
def test_what_no_search_can_do_is_refused(reader: Transcriber, asked: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        reader.transcribe(spoken(["abc"]), **asked)
