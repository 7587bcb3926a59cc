"""A recurrent language model beside the beam: its own numbers in every text, the same bits however frames come."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import tidegate as tg
from alignments import draw, every_text
from tidegate import kernels
from tidegate.decoding import PrefixBeam, Scorer, prefix_beam
from tidegate.errors import InputError, StateError
from tidegate.ragged import Ragged

TEXTS = ["ab ab ba", "abba ab", "baa ab", "a b ab"] * 3
SYMBOLS = (" ", "a", "b")
OPTIONS: dict[str, Any] = {
    "hidden_size": 8,
    "epochs": 3,
    "batch_size": 4,
    "validation_fraction": 0,
    "learning_rate": 0.02,
}


@pytest.fixture(scope="module")
def model() -> tg.LanguageModel:
    return tg.LanguageModel(tokens="characters", **OPTIONS).fit(TEXTS)


@pytest.fixture
def scorer(model: tg.LanguageModel) -> Iterator[Scorer]:
    before = kernels.active_isa()
    yield Scorer(language_model=model, alpha=0.6, beta=0.2, hotwords={"abba": 1.0})
    kernels.use_isa(before)


def test_the_language_adds_what_the_model_says_of_each_text(model: tg.LanguageModel) -> None:
    rows = draw(4, 3)
    found = prefix_beam(
        rows, SYMBOLS, width=999, n_best=999, least_probability=0, scorer=Scorer(language_model=model, alpha=0.6)
    )
    wanted = every_text(rows)
    assert len(found) == len(wanted)
    texts = [one.text for one in found]
    losses = np.log(model.perplexities(texts)) * np.array([len(text) + 1 for text in texts])
    for one, loss in zip(found, losses, strict=True):
        assert one.language == pytest.approx(-loss, rel=1e-4)
        assert one.score == pytest.approx(np.log(wanted[tuple(one.symbols.tolist())]) - 0.6 * loss, rel=1e-4)


def test_batches_chunks_and_instruction_sets_give_the_same_bits(scorer: Scorer) -> None:
    sequences = [draw(length, 3, length) for length in (7, 0, 21, 1)]
    batch = Ragged.from_list(sequences)
    wanted = [
        [one.score.hex() for one in found] for found in prefix_beam(batch, SYMBOLS, width=5, n_best=5, scorer=scorer)
    ]
    for isa in kernels.available_isas():
        kernels.use_isa(isa)
        for rows, want in zip(sequences, wanted, strict=True):
            whole = prefix_beam(rows, SYMBOLS, width=5, n_best=5, scorer=scorer)
            assert [one.score.hex() for one in whole] == want
            beam = PrefixBeam(SYMBOLS, width=5, scorer=scorer)
            for part in np.array_split(rows, 3):
                beam.push(part)
                other = beam.copy()
                beam.push(draw(2, 3, 9))
                beam = PrefixBeam(SYMBOLS, width=5, scorer=scorer, state=other.state)
            assert [one.score.hex() for one in beam.best(5)] == want


def test_a_wrong_row_is_named_beside_a_network_too(scorer: Scorer) -> None:
    rows = np.concatenate([draw(3, 3), np.full((1, 4), np.nan)])
    with pytest.raises(InputError, match="sequence 1, frame 1 has NaN"):
        prefix_beam(Ragged.from_list([draw(2, 3), rows[2:]]), SYMBOLS, scorer=scorer)


def test_a_network_is_not_written_beside_weights(scorer: Scorer) -> None:
    with pytest.raises(InputError, match="a file of its own"):
        scorer.to_json()


def test_a_state_without_its_streams_is_refused(scorer: Scorer) -> None:
    beam = PrefixBeam(SYMBOLS, scorer=scorer)
    beam.push(draw(5, 3))
    with pytest.raises(StateError, match="another"):
        PrefixBeam(SYMBOLS, scorer=scorer.with_weights(0.1, 0.0), state=beam.state)


def test_a_model_of_words_is_refused() -> None:
    words = tg.LanguageModel(tokens="words", **OPTIONS).fit(TEXTS)
    with pytest.raises(InputError, match="does not read these symbols one by one"):
        prefix_beam(draw(2, 3), SYMBOLS, scorer=Scorer(language_model=words))
    sequences = tg.SequenceClassifier(epochs=1, validation_fraction=0, bidirectional=False)
    sequences.fit([np.zeros((3, 2), np.float32)] * 4, [0, 1, 0, 1])
    with pytest.raises(InputError, match="does not say what comes next"):
        prefix_beam(draw(2, 3), SYMBOLS, scorer=Scorer(language_model=sequences))
