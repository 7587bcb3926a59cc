"""What a transcriber learns of texts alone: that it helps, that a search uses it, and that a model file holds it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import pytest

import tidegate as tg
from tidegate.checkpoint import load_model, save_model
from tidegate.data import Examples, Recordings
from tidegate.decoding import NgramModel
from tidegate.errors import ModelFileError
from tidegate.runs import evaluate
from tidegate.tasks import Transcriber
from tidegate.tasks.transcribing.language import _Kind, draw_signals

SYMBOLS = " abc"
WORDS = ["abc", "cab", "ba"]
QUIET: dict[str, Any] = {"speed": 0.0, "noise": 0.0, "time_masks": 0, "feature_masks": 0, "dropout": 0.0}
SIZES: dict[str, Any] = {"hidden_size": 8, "num_layers": 1, "window": 1, "stride": 1, "epochs": 12, "batch_size": 4}


def said(count: int, seed: int) -> tuple[list[Any], list[str]]:
    """Draw texts of two of three words, of which the first says which follows, each symbol as four noisy steps."""
    rng = np.random.default_rng(seed)
    firsts = rng.integers(3, size=count)
    texts = [f"{WORDS[first]} {WORDS[(first + 1) % 3]}" for first in firsts.tolist()]
    clean = [np.repeat(np.eye(4)[[SYMBOLS.index(symbol) for symbol in text]], 4, axis=0) for text in texts]
    return [rows + rng.normal(0, 0.7, rows.shape) for rows in clean], texts


def learned(**changes: Any) -> Transcriber:
    model = Transcriber(average=0.9, learning_rate=0.05, seed=1, **QUIET | SIZES | changes)
    return model.fit(*said(40, 0), validation=said(20, 1))


@pytest.fixture(scope="module")
def reader() -> Transcriber:
    return learned()


def test_what_is_kept_leaves_fewer_errors_on_what_is_held_out(reader: Transcriber) -> None:
    signals, texts = said(20, 1)
    assert reader.scorer_ is not None
    with_it = [told.text for told in reader.transcribe(signals, beam=16)]
    without = [told.text for told in reader.transcribe(signals, beam=16, scorer=None)]
    assert jiwer.wer(texts, with_it) < jiwer.wer(texts, without)
    fresh, right = said(40, 2)
    assert jiwer.wer(right, [told.text for told in reader.transcribe(fresh, beam=16)]) < 0.5 * jiwer.wer(
        right, reader.predict(fresh)
    )


def test_it_is_counted_in_the_texts_of_training_alone(reader: Transcriber) -> None:
    scorer = reader.scorer_
    assert scorer is not None and isinstance(scorer.language_model, NgramModel)
    assert scorer.lexicon is None or set(scorer.lexicon) == set(WORDS)
    known = scorer.language_model.units, scorer.language_model.order
    again = NgramModel.from_texts(said(40, 0)[1], units=known[0], order=known[1])
    assert scorer.language_model.vocabulary == again.vocabulary
    for name, array in again.arrays().items():
        assert np.array_equal(scorer.language_model.arrays()[name], array)


def test_speakers_who_take_turns_are_all_among_those_that_it_is_weighed_on() -> None:
    for speakers in (2, 3, 6):
        drawn = draw_signals(np.full(60 * speakers, 2**9))
        assert {*(drawn % speakers).tolist()} == {*range(speakers)}
        assert 2**12 < 2**9 * len(drawn) <= 2**14 + 2**9 and len({*drawn.tolist()}) == len(drawn)


def test_a_search_uses_it_unless_told_otherwise(reader: Transcriber) -> None:
    signals = said(6, 3)[0]
    plain = reader.transcribe(signals, beam=8)
    assert plain == reader.transcribe(signals, beam=8, scorer=reader.scorer_)
    assert plain != reader.transcribe(signals, beam=8, scorer=None)
    assert reader.transcribe(signals) == reader.transcribe(signals, scorer=None), "greedy reading knows no texts"


def test_a_model_file_holds_it_to_the_bit(reader: Transcriber, tmp_path: Path) -> None:
    reader.save(tmp_path / "model.safetensors")
    loaded: Any = tg.load(tmp_path / "model.safetensors")
    assert loaded.scorer_.digest() == reader.scorer_.digest()  # type: ignore[union-attr]
    signals = said(6, 4)[0]
    assert loaded.transcribe(signals, beam=8, n_best=2) == reader.transcribe(signals, beam=8, n_best=2)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("language.tokens", np.full(3, 2**40)),
        ("language.probability", np.full(3, np.nan, np.float32)),
        ("language.counts", np.array([1])),
    ],
)
def test_a_model_file_whose_n_grams_do_not_fit_together_is_refused(
    reader: Transcriber, tmp_path: Path, name: str, value: Any
) -> None:
    path = tmp_path / "model.safetensors"
    reader.save(path)
    model = load_model(path)
    altered = model.arrays | {name: value}
    save_model(path, model.network, weights=model.weights, arrays=altered, task=model.task, about=model.about)
    with pytest.raises(ModelFileError, match="describes no Transcriber"):
        tg.load(path)


def test_nothing_is_learned_where_nothing_is_held_out_or_nobody_wants_it() -> None:
    alone = Transcriber(validation_fraction=0, **QUIET, **SIZES | {"epochs": 1}).fit(*said(8, 0))
    unwanted = learned(language=False, epochs=1)
    assert alone.scorer_ is None and unwanted.scorer_ is None
    signals = said(3, 5)[0]
    assert unwanted.transcribe(signals, beam=4) == unwanted.transcribe(signals, beam=4, scorer=None)


def test_a_stopped_run_learns_what_one_that_never_stopped_does(reader: Transcriber, tmp_path: Path) -> None:
    whole, parted = (Transcriber(**reader.get_params()) for _ in range(2))
    for _ in whole.fit_steps(*said(40, 0), valid=said(20, 1), run_dir=tmp_path / "whole"):
        pass
    steps = parted.fit_steps(*said(40, 0), valid=said(20, 1), run_dir=tmp_path / "parted")
    for _ in range(33):
        next(steps)
    steps.close()
    assert not parted.scorer_, "it is weighed when training has come to its end"
    for _ in parted.fit_steps(*said(40, 0), valid=said(20, 1), resume=tmp_path / "parted"):
        pass
    told, wanted = parted.scorer_, whole.scorer_
    assert told is not None and wanted is not None and told.digest() == wanted.digest()


def test_measures_tell_what_a_search_makes_of_it(reader: Transcriber) -> None:
    signals, texts = said(30, 6)
    examples = Examples(Recordings([rows.astype(np.float32) for rows in signals], texts, reads="features"), None)
    read = [told.text for told in reader.transcribe(signals, beam=16)]
    without = [told.text for told in reader.transcribe(signals, beam=16, scorer=None)]
    found = evaluate(reader, examples).measures()
    assert found["wer"] == pytest.approx(jiwer.wer(texts, reader.predict(signals)))
    assert found["beam_wer"] == pytest.approx(jiwer.wer(texts, read))
    apart = jiwer.Compose([jiwer.ReduceToListOfListOfChars()])  # a blank at the end counts
    assert found["beam_cer"] == pytest.approx(jiwer.cer(texts, read, apart, apart))
    assert found["beam_ser"] == np.mean([one != text for one, text in zip(read, texts, strict=True)])
    asked = evaluate(reader, examples, beam=16).measures()
    assert asked == {name: found[f"beam_{name}"] for name in ("cer", "wer", "ser")}
    bare = evaluate(reader, examples, beam=16, language=False).measures()
    assert bare["wer"] == pytest.approx(jiwer.wer(texts, without))


def test_a_text_that_cannot_be_counted_is_told() -> None:
    signals, texts = said(8, 0)
    spelled = [text.replace("abc", "<s>") for text in texts]
    model = Transcriber(average=0.9, learning_rate=0.05, seed=1, **QUIET | SIZES | {"epochs": 1})
    with pytest.warns(UserWarning, match="n-grams") as told:
        model.fit(signals, spelled, validation=(signals, spelled))
    assert [str(one.message).partition(",")[0] for one in told] == [
        f"no n-grams of {order} words are learned: a text holds '<s>'" for order in (2, 3)
    ]


def test_words_are_parted_where_a_search_parts_them() -> None:
    counted = _Kind("words", 2, True).count(["ab\u00a0c a", "a  b"], " ")
    assert counted.lexicon is not None
    assert sorted(counted.lexicon) == ["a", "ab\u00a0c", "b"]
