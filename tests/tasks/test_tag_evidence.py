"""Evidence beside words: the numbers by hand, counted without a sentence's own tenth, saved, resumed, refused."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from math import log
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import tidegate as tg
from posts import SMALL, posts
from tidegate.checkpoint import load_model, save_model
from tidegate.errors import InputError, ModelFileError
from tidegate.export import graph_inputs
from tidegate.network import Embed
from tidegate.ragged import Ragged
from tidegate.tasks.tagging.evidence import TagEvidence, learn_tag_evidence

Array = npt.NDArray[Any]
WITH = SMALL | {"characters": False, "evidence": 2, "min_count": 1, "word_dropout": 0.1}


@pytest.fixture(scope="module")
def tagger() -> tg.TokenTagger:
    return tg.TokenTagger(**WITH).fit(*posts(80))


def test_each_word_of_an_n_gram_tells_of_its_own_tag() -> None:
    """Of "1 2", which has the tags 0 and 1 twice, one word is told of 0 and the other one of 1."""
    ids = Ragged.from_list([[1, 2], [1, 2], [1]], dtype=np.int32)
    found, _ = learn_tag_evidence(ids, np.array([0, 1, 0, 1, 1]), None, size=3, longest=2, seed=0)
    told = found.beside(Ragged.from_list([[1, 2], [2, 1], [0]], dtype=np.int32))
    shares = np.array([0.4, 0.6])  # of the two tags

    def tells(*counts: float) -> list[float]:
        both = zip(counts, shares, strict=True)
        return [0.3 * log((count + share) / (sum(counts) + 1) / share) for count, share in both]

    nothing = [0.0, 0.0]
    expected = [  # the word, the pair that ends with it, the pair that begins with it
        [*tells(2, 1), *nothing, *tells(2, 0)],
        [*tells(0, 2), *tells(0, 2), *nothing],
        [*tells(0, 2), *nothing, *nothing],
        [*tells(2, 1), *nothing, *nothing],
        [*nothing, *nothing, *nothing],
    ]
    np.testing.assert_allclose(told, expected, atol=2e-3)  # the table has half precision
    assert found.columns == 6


def test_in_training_a_sentence_is_not_counted_for_itself() -> None:
    """Of ten sentences each lies in a tenth of its own: what stands beside it is what the nine others tell."""
    rng = np.random.default_rng(0)
    ids = [rng.integers(1, 4, rng.integers(2, 6)).astype(np.int32) for _ in range(10)]
    tags = [rng.integers(0, 3, len(row)) for row in ids]
    whole = Ragged.from_list(ids)
    _, beside = learn_tag_evidence(whole, np.concatenate(tags), None, size=4, longest=1, seed=5)
    share = np.bincount(np.concatenate(tags), minlength=3) / len(whole.values)
    for at, (row, begin) in enumerate(zip(ids, whole.offsets[:-1], strict=True)):
        words = np.concatenate([other for index, other in enumerate(ids) if index != at])
        theirs = np.concatenate([other for index, other in enumerate(tags) if index != at])
        for place, word in enumerate(row):
            counts = np.bincount(theirs[words == word], minlength=3)
            told = 0.3 * np.log((counts + share) / (counts.sum() + 1) / share)
            np.testing.assert_allclose(beside[begin + place], told, atol=2e-3)


def test_a_word_of_weight_two_counts_twice() -> None:
    ids, tags = Ragged.from_list([[1, 2], [1, 1]], dtype=np.int32), np.array([0, 1, 1, 1])
    twice, _ = learn_tag_evidence(ids, tags, np.array([2, 2, 1, 1], np.float32), size=3, longest=1, seed=0)
    again = Ragged.from_list([[1, 2], [1, 2], [1, 1]], dtype=np.int32)
    as_two, _ = learn_tag_evidence(again, np.array([0, 1, 0, 1, 1, 1]), None, size=3, longest=1, seed=0)
    assert twice.evidence.table.tolist() == as_two.evidence.table.tolist()


def test_evidence_tells_what_words_that_training_hides_would() -> None:
    """Where every word is made unknown by name, its evidence still tells its tag."""
    X, y = posts(120)
    scores = {}
    for evidence in (0, 3):
        found = tg.TokenTagger(**WITH | {"evidence": evidence, "word_dropout": 0.99}).fit(X[:100], y[:100])
        scores[evidence] = found.score(X[100:], y[100:])
    assert scores[3] > 0.95 > 0.85 > scores[0]


def test_it_answers_the_same_bits_alone_saved_and_loaded(tagger: tg.TokenTagger, tmp_path: Path) -> None:
    X, _ = posts(20, seed=4)
    first = tagger.network_.nodes[0]
    assert isinstance(first, Embed) and first.beside == 3 * len(tagger.tags_)
    tagger.save(tmp_path / "model.safetensors")
    loaded = tg.load(tmp_path)
    whole = tagger.predict_proba(X)
    assert [rows.tobytes() for rows in loaded.predict_proba(X)] == [rows.tobytes() for rows in whole]
    assert [tagger.predict_proba([words])[0].tobytes() for words in X] == [rows.tobytes() for rows in whole]
    loaded.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "model.safetensors").read_bytes()


def test_a_run_that_was_stopped_resumes_to_the_bit(tmp_path: Path) -> None:
    def steps(**where: Any) -> Iterator[Any]:
        return tg.TokenTagger(**WITH | {"epochs": 2}).fit_steps(*posts(40), **where)

    list(steps(run_dir=tmp_path / "whole"))
    begun = steps(run_dir=tmp_path / "run")
    list(islice(begun, 3))
    begun.close()  # type: ignore[attr-defined]
    list(steps(resume=tmp_path / "run"))
    whole, resumed = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "run"))
    assert whole == resumed


def test_a_graph_is_fed_what_stands_beside_the_words(tagger: tg.TokenTagger) -> None:
    found = graph_inputs(tagger, ["Ada saw Bern", "Rex"])
    x, _ = tagger.prepare(["Ada saw Bern", "Rex"])
    assert found["beside"].shape == (2, 3, 3 * len(tagger.tags_))
    np.testing.assert_array_equal(found["beside"][0], x.beside[:3])  # type: ignore[union-attr]
    assert not found["beside"][1, 1:].any()


def test_it_can_be_looked_into(tagger: tg.TokenTagger) -> None:
    first, other = (tg.inspect.trace(tagger, [text]).output for text in ("Ada saw Bern", "Rex saw Bern"))
    assert first.shape == other.shape == (3, len(tagger.tags_))
    assert (first != other).any()


def test_what_has_no_place_beside_evidence_is_refused(tagger: tg.TokenTagger) -> None:
    with pytest.raises(InputError, match=r"Pass characters=False"):
        tg.TokenTagger(evidence=2).fit_steps(*posts(10))
    with pytest.raises(InputError, match=r"cannot answer while one comes in.*evidence=0"):
        tagger.stream()


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (lambda arrays: arrays | {"evidence": arrays["evidence"][:-1]}, "n-grams"),
        (lambda arrays: arrays | {"evidence": arrays["evidence"][:, :-1].copy()}, "numbers beside each word"),
        (lambda arrays: arrays | {"grams.1": arrays["grams.1"][::-1].copy()}, "no sorted n-grams"),
        (lambda arrays: {name: array for name, array in arrays.items() if name != "evidence"}, "evidence"),
        (lambda arrays: {}, "numbers beside each word"),
    ],
)
def test_a_model_file_whose_evidence_does_not_fit_is_refused(
    tagger: tg.TokenTagger, tmp_path: Path, harm: Any, reason: str
) -> None:
    tagger.save(tmp_path / "model")
    model = load_model(tmp_path / "model")
    save_model(tmp_path / "model", model.network, weights=model.weights, arrays=harm(model.arrays), task=model.task)
    with pytest.raises(ModelFileError, match=reason):
        tg.load(tmp_path / "model")


def test_what_was_written_is_read_back(tagger: tg.TokenTagger) -> None:
    reading = tagger._learned().learned.reading
    assert reading.evidence is not None
    again = TagEvidence.restore(reading.vocabulary.size, reading.arrays())
    assert {name: array.tobytes() for name, array in again.arrays().items()} == {
        name: array.tobytes() for name, array in reading.arrays().items()
    }


def test_a_sentence_without_words_has_nothing_beside_it(tagger: tg.TokenTagger) -> None:
    assert tagger.predict([[], ["Ada"], []]) == [[], *tagger.predict([["Ada"]]), []]
    assert tagger.predict([[]]) == [[]]
    assert tagger.prepare([[]])[0].beside.shape == (0, 3 * len(tagger.tags_))  # type: ignore[union-attr]


def test_the_longest_n_grams_that_are_taken_fit_beside_a_word() -> None:
    X, y = posts(30)
    y = [[f"{tag}{index % 9}" for index, tag in enumerate(tags)] for tags in y]
    found = tg.TokenTagger(**WITH | {"evidence": 7, "epochs": 1, "scheme": "plain"}).fit(X, y)
    first = found.network_.nodes[0]
    assert len(found.tags_) < 32 and isinstance(first, Embed) and first.beside == 28 * len(found.tags_)
    with pytest.raises(InputError, match="evidence"):
        tg.TokenTagger(**WITH | {"evidence": 8}).fit_steps(X, y)
