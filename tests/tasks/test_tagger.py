"""TokenTagger: learns, keeps to its scheme, gives the same bits alone and in a batch, saved and resumed; bad input."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone

import tidegate as tg
from posts import SMALL, posts
from tidegate.checkpoint import load_model, save_model
from tidegate.data import schemes
from tidegate.errors import DataError, InputError, ModelFileError, OddTagsWarning, OptionError, ShapeError
from tidegate.network import Crf, Dense, Embed, Recurrent, Spell
from tidegate.ragged import Ragged
from tidegate.tasks.presets import names as preset_names
from tidegate.tasks.tagging.paths import make_unknown
from tidegate.tasks.tagging.reading import Reading, TagSet
from tidegate.words import Words


def clauses(count: int) -> tuple[list[list[str]], list[list[str]]]:
    """Draw sentences whose parts of speech the endings of their words tell."""
    rng = np.random.default_rng(1)
    endings = {"NOUN": "ness", "VERB": "ates", "ADV": "ly"}
    y = [[str(tag) for tag in rng.choice(list(endings), rng.integers(1, 7))] for _ in range(count)]
    return [["".join(rng.choice(list("abcdefgh"), 3)) + endings[tag] for tag in tags] for tags in y], y


@pytest.fixture(scope="module")
def names() -> tg.TokenTagger:
    return tg.TokenTagger(**SMALL).fit(*posts(80))


def test_it_learns_what_can_be_learned(names: tg.TokenTagger) -> None:
    X, y = posts(30, seed=1)
    assert names.score(X, y) > 0.95
    assert names.score(X, [["O"] * len(tags) for tags in y]) < 0.6
    assert names.tags_ == ("B-person", "B-place", "I-person", "I-place", "O")
    assert (names.scheme_, names.chief_measure) == ("bio", "f1")
    assert names.history_[-1]["valid_f1"] > 0.9 > names.history_[0]["valid_f1"]


def test_characters_tell_what_unknown_words_are() -> None:
    X, y = clauses(120)
    fresh, true = [part[100:] for part in (X, y)]
    scores = {}
    for characters in (True, False):
        tagger = tg.TokenTagger(**SMALL | {"characters": characters}).fit(X[:100], y[:100])
        scores[characters] = tagger.score(fresh, true)
        assert (tagger.scheme_, tagger.chief_measure) == (None, "accuracy")
    assert scores[True] > 0.95 > 0.7 > scores[False]


def test_probabilities_are_marginals_that_confidence_is_read_from(names: tg.TokenTagger) -> None:
    X, _ = posts(5, seed=2)
    for words, marginals, found in zip(X, names.predict_proba(X), names.predict_words(X), strict=True):
        assert marginals.shape == (len(words), 5)
        np.testing.assert_allclose(marginals.sum(axis=1), 1, rtol=1e-12)
        tags = [names.tags_.index(word.tag) for word in found]
        assert [word.probability for word in found] == marginals[np.arange(len(words)), tags].tolist()


def test_the_best_sequences_are_in_order_and_their_probabilities_sum_to_one(names: tg.TokenTagger) -> None:
    tagger = names
    [found] = tagger.predict_best([["Ada", "saw"]], 100)
    allowed = [row for row in product(tagger.tags_, repeat=2) if schemes.find_invalid([row], "bio") is None]
    assert sorted(tags for tags, _ in found) == sorted(map(list, allowed))
    chances = [chance for _, chance in found]
    assert chances == sorted(chances, reverse=True)
    assert sum(chances) == pytest.approx(1, rel=1e-9)
    assert tagger.predict([["Ada", "saw"]]) == [found[0][0]]
    marginals = tagger.predict_proba([["Ada", "saw"]])[0]
    share = sum(chance for tags, chance in found if tags[0] == "B-person")
    assert marginals[0, tagger.tags_.index("B-person")] == pytest.approx(share, rel=1e-9)


@pytest.mark.parametrize("scheme", schemes.SCHEMES)
@pytest.mark.parametrize("learned", ["same", "bioes"])
def test_what_is_predicted_is_valid_in_the_scheme_that_came(scheme: schemes.Scheme, learned: str) -> None:
    """After one epoch the scores are as good as random; only the constraints keep the tags valid."""
    X, y = posts(60, scheme)
    tagger = tg.TokenTagger(**SMALL | {"epochs": 1, "learn_scheme": learned, "learning_rate": 1e-3}).fit(X, y)
    assert tagger.scheme_ == scheme
    found = tagger.predict([*X, ["Ada"] * 9, ["saw"]])
    assert schemes.find_invalid(found, scheme) is None
    letters = {"bio": "OBI", "iob1": "OI", "bioes": "OBIES", "bmes": "OBMES", "bilou": "OBILU"}[scheme]
    assert {tag[0] for tag in tagger.tags_} == set("OBIES" if learned == "bioes" else letters)


def test_a_plain_scheme_takes_any_sequence() -> None:
    X, y = posts(40)
    y[0] = ["I-person", *y[0][1:]]
    tagger = tg.TokenTagger(**SMALL | {"scheme": "plain", "epochs": 1}).fit(X, y)
    assert (tagger.scheme_, tagger.chief_measure) == (None, "accuracy")


def test_a_sentence_alone_gives_the_bits_it_gives_in_any_batch(names: tg.TokenTagger) -> None:
    X, _ = posts(40, seed=3)
    whole, turned = names.predict_proba(X), names.predict_proba(X[::-1])[::-1]
    for words, a, b in zip(X, whole, turned, strict=True):
        assert names.predict_proba([words])[0].tobytes() == a.tobytes() == b.tobytes()
    assert [names.predict([words])[0] for words in X] == names.predict(X)


def test_a_saved_model_predicts_the_same_bits(names: tg.TokenTagger, tmp_path: Path) -> None:
    X, _ = posts(20, seed=4)
    names.save(tmp_path / "model.safetensors")
    loaded = tg.load(tmp_path)
    assert type(loaded) is tg.TokenTagger
    assert [a.tobytes() for a in loaded.predict_proba(X)] == [a.tobytes() for a in names.predict_proba(X)]
    assert loaded.predict_spans(["Ada Li saw Bern"]) == names.predict_spans(["Ada Li saw Bern"])
    assert (loaded.network_, loaded.get_params(), loaded.tags_) == (names.network_, names.get_params(), names.tags_)
    loaded.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "model.safetensors").read_bytes()


def test_loading_and_predicting_import_no_torch(names: tg.TokenTagger, tmp_path: Path) -> None:
    names.save(tmp_path / "model.safetensors")
    code = (
        "import json, sys; import tidegate as tg; task = tg.load(sys.argv[1]);"
        "print(json.dumps([task.predict(['Ada saw Bern']), [*{'torch', 'sklearn', 'nervaluate'} & {*sys.modules}]]))"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [names.predict(["Ada saw Bern"]), []]


def test_it_pickles_copies_and_clones(names: tg.TokenTagger) -> None:
    X, _ = posts(5)
    for twin in (pickle.loads(pickle.dumps(names)), copy.deepcopy(names)):  # noqa: S301  (our own bytes)
        assert [a.tobytes() for a in twin.predict_proba(X)] == [a.tobytes() for a in names.predict_proba(X)]
    assert clone(names).get_params() == names.get_params()
    assert repr(tg.TokenTagger(hidden_size=8)) == "TokenTagger(hidden_size=8)"


def test_the_same_seed_gives_the_same_bits() -> None:
    first, second, other = (
        tg.TokenTagger(**SMALL | {"epochs": 2, "seed": seed}).fit(*posts(40)).weights_ for seed in (1, 1, 2)
    )
    assert {name: array.tobytes() for name, array in first.items()} == {n: a.tobytes() for n, a in second.items()}
    assert first["0.words.weight"].tobytes() != other["0.words.weight"].tobytes()


@pytest.mark.parametrize("stop", [1, 4, 6])
def test_a_run_stopped_between_two_steps_resumes_to_the_bit(tmp_path: Path, stop: int) -> None:
    params = SMALL | {"epochs": 2, "word_dropout": 0.3, "recurrent_dropout": 0.2}

    def steps(**where: Any) -> Iterator[Any]:
        return tg.TokenTagger(**params).fit_steps(*posts(40), **where)

    list(steps(run_dir=tmp_path / "whole"))
    begun = steps(run_dir=tmp_path / "run")
    list(islice(begun, stop))
    begun.close()  # type: ignore[attr-defined]
    list(steps(resume=tmp_path / "run"))
    whole, resumed = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "run"))
    assert whole == resumed


def test_plain_text_is_cut_and_spans_are_placed_in_it(names: tg.TokenTagger) -> None:
    text = "Eve Li  likes New York"
    [spans] = names.predict_spans([text])
    assert [(span.label, span.text, span.start, span.end) for span in spans] == [
        ("person", "Eve Li", 0, 6),
        ("place", "New York", 14, 22),
    ]
    assert [(span.first, span.last) for span in spans] == [(0, 1), (3, 4)]
    words = names.predict_words([text])[0]
    assert spans[0].confidence == min(word.probability for word in words[:2])
    assert [text[word.start : word.end] for word in words] == text.split()
    [joined] = names.predict_spans([text.split()])
    assert [(span.start, span.end) for span in joined] == [(0, 6), (13, 21)]


def test_a_corpus_of_characters_is_read_by_characters_and_their_pairs() -> None:
    X = [list("高勇任总经理"), list("李明任经理"), list("高明")] * 6
    y = [["B-NAME", "E-NAME", "O", "B-TITLE", "M-TITLE", "E-TITLE"], ["B-NAME", "E-NAME", "O", "B-TITLE", "E-TITLE"]]
    y = [*y, ["B-NAME", "E-NAME"]] * 6
    tagger = tg.TokenTagger(**SMALL | {"validation_fraction": 0.0, "min_count": 1, "epochs": 15}).fit(X, y)
    [spans] = tagger.predict_spans(["高明 任总经理"])
    assert [(span.label, span.text, span.start) for span in spans] == [("NAME", "高明", 0), ("TITLE", "总经理", 4)]
    reading = tagger._learned().learned.reading
    assert reading.spelling is not None and {"高勇", "勇任", "理 "} <= set(reading.spelling.vocabulary)


def test_parameters_become_the_network_they_name() -> None:
    X, y = posts(20)
    tagger = tg.TokenTagger(
        hidden_size=5, num_layers=2, cell="gru", embedding_size=7, character_embedding_size=3, character_hidden_size=4,
        dropout=0.25, recurrent_dropout=0.125, epochs=1, min_count=1, vocabulary_size=6,
    ).fit(X, y)  # fmt: skip
    spell, drop, recurrent, again, dense, crf = tagger.network_.nodes
    assert isinstance(spell, Spell) and spell.words == Embed(vocabulary_size=6, size=7)
    letters, reader, _ = spell.characters
    assert isinstance(letters, Embed) and letters.size == 3
    assert reader == Recurrent(cell="gru", input_size=3, hidden_size=4, bidirectional=True)
    assert recurrent == Recurrent(
        cell="gru",
        input_size=15,
        hidden_size=5,
        num_layers=2,
        bidirectional=True,
        dropout=0.25,
        recurrent_dropout=0.125,
    )
    assert drop == again
    assert (dense, crf) == (Dense(in_features=10, out_features=5), Crf(tags=5))
    plain = tg.TokenTagger(characters=False, epochs=1, dropout=0).fit(X, y).network_
    assert [node.kind for node in plain.nodes] == ["embed", "recurrent", "dense", "crf"]


def test_dropout_makes_a_share_of_words_and_of_characters_unknown_and_leaves_the_rest() -> None:
    tokens = Ragged.from_list([np.arange(1, 2001)])
    words = Words(tokens, np.arange(2000) % 500, Ragged.from_list([[7, 8]] * 500))
    found = make_unknown(words, 0.25, 0.5, np.random.default_rng(0))
    assert isinstance(found, Words)
    for given, kept, share in ((tokens, found.tokens, 0.25), (words.spellings, found.spellings, 0.5)):
        unknown = kept.values == 0
        assert unknown.mean() == pytest.approx(share, abs=0.05)
        assert (kept.values[~unknown] == given.values[~unknown]).all()
        assert kept.offsets is given.offsets
    assert found.spelling is words.spelling
    assert make_unknown(tokens, 0.0, 0.5, np.random.default_rng(0)) is tokens


def test_rare_words_are_unknown_by_name(names: tg.TokenTagger) -> None:
    tagger = tg.TokenTagger(**SMALL | {"epochs": 1, "validation_fraction": 0.0, "min_count": 2})
    tagger.fit([["Sea", "sea", "7", "oak"], ["9", "sky"]], [["X", "Y", "X", "Y"], ["X", "Y"]])
    assert tagger._learned().learned.reading.vocabulary.vocabulary == ["<unk>", "0", "sea"]


def test_a_sentence_without_words_is_not_learned_from(names: tg.TokenTagger) -> None:
    with pytest.raises(DataError, match=r"X\[1\] is an empty sentence"):
        names.fit_steps([["a"], []], [["O"], []])


def test_a_sentence_without_words_has_no_tags_and_changes_no_other(names: tg.TokenTagger) -> None:
    X: list[Any] = ["Ada saw Bern", "", ["Eve", "Li"], [], " \n"]
    whole = [X[0], X[2]]
    for method in (names.predict, names.predict_words, names.predict_spans):
        first, empty, second, *others = method(X)
        assert [first, second] == method(whole)
        assert [empty, *others] == [[], [], []]
    assert [rows.shape for rows in names.predict_proba(X)[3:]] == [(0, len(names.tags_))] * 2
    assert (names.predict_proba(X)[2] == names.predict_proba(whole)[1]).all()
    assert names.predict_best(X, 3)[1] == [([], 1.0)]
    assert names.predict([[]]) == [[]]
    assert names.score([["Ada"], []], [names.predict([["Ada"]])[0], []]) == 1.0


@pytest.mark.parametrize("method", ["fit_steps", "predict", "predict_proba", "score"])
@pytest.mark.parametrize(
    ("X", "reason"),
    [
        ([["a"], ["b", ""]], r"X\[1\]\[1\] is ''; a word must be a text"),
        ([["a"], ["b", None]], r"X\[1\]\[1\] is None"),
    ],
)
def test_sentences_that_cannot_be_used_are_named(names: tg.TokenTagger, method: str, X: Any, reason: str) -> None:
    arguments = [X] if method.startswith("predict") else [X, [["O"] for _ in X]]
    with pytest.raises(DataError, match=reason):
        getattr(names, method)(*arguments)


@pytest.mark.parametrize(
    ("X", "y", "error", "reason"),
    [
        ([["a", "b"]], [["O", "O", "O"]], ShapeError, r"y\[0\] has 3 tags, but the sentence has 2 words"),
        ([["a", "b"]], [["O"]], ShapeError, r"y\[0\] has 1 tags, but"),
        ([["a"], ["b"]], [["O"]], ShapeError, "2 sentences came with the tags of 1"),
        ([["a"]], None, InputError, "y is missing"),
        ([["a"]], [[""]], DataError, r"y\[0\]\[0\] is ''; a tag must be"),
        ("a text", [["O"]], InputError, "plain text where lists of words"),
        (["a text"], [["O", "O"]], InputError, "plain text where lists of words"),
        ([], [], DataError, "no sentences"),
    ],
)  # fmt: skip
def test_what_cannot_be_learned_from_is_refused(X: Any, y: Any, error: type[Exception], reason: str) -> None:
    with pytest.raises(error, match=reason):
        tg.TokenTagger(validation_fraction=0).fit_steps(X, y)


def test_validation_sentences_are_checked_like_the_rest() -> None:
    tagger = tg.TokenTagger(**SMALL)
    with pytest.raises(ShapeError, match=r"valid y\[0\] has 2 tags"):
        tagger.fit_steps(*posts(10), valid=([["a"]], [["O", "O"]]))
    with pytest.raises(DataError, match=r"valid y\[0\]\[0\] is 'I-person'"):
        tagger.set_params(scheme="bio").fit_steps(*posts(10), valid=([["a"]], [["I-person"]]))


@pytest.mark.parametrize(
    ("y", "scheme", "said"),
    [
        ([["B-x"], ["O", "I-x"]], "bio", r"y\[1\]\[1\] is 'I-x', which the scheme BIO"),
        ([["S-x"], ["O", "B-x"]], "bioes", r"y\[1\]\[1\] is 'B-x', which the scheme BIOES"),
        ([["B-x", "B-x", "I-x"], ["0", "B-x"]], "bio", r"y\[1\]\[0\] is '0', which the scheme BIO"),
    ],
)
def test_the_best_is_made_of_odd_tags_unless_a_scheme_was_asked_for(y: Any, scheme: Any, said: str) -> None:
    X = [["a"] * len(y[0]), ["b", "c"]]
    with pytest.warns(OddTagsWarning, match=f"{said} does not allow there, nor 0 others of"):
        found = tg.TokenTagger(**SMALL | {"epochs": 1, "validation_fraction": 0}).fit(X, y)
    assert found.scheme_ == scheme
    with pytest.raises(DataError, match=said):
        tg.TokenTagger(**SMALL | {"scheme": scheme}).fit_steps(X, y)
    again = tg.TokenTagger(**SMALL | {"epochs": 1, "validation_fraction": 0}).fit(X, schemes.repair(y, scheme))
    assert again.predict_proba(X)[1].tolist() == found.predict_proba(X)[1].tolist()


def test_a_tag_that_only_validation_has_counts_as_wrong() -> None:
    X, y = posts(40)
    tagger = tg.TokenTagger(**SMALL | {"epochs": 1})
    steps = list(tagger.fit_steps(X, y, valid=([["Ada"], ["saw"]], [["B-beast"], ["O"]])))
    measured = steps[-1].valid
    assert measured is not None and measured["accuracy"] in (0.0, 0.5)
    assert np.isfinite(measured["loss"])


def test_one_text_is_not_a_list_of_texts(names: tg.TokenTagger) -> None:
    with pytest.raises(InputError, match=r"Pass \[text\]"):
        names.predict("Ada saw Bern")


def test_parameters_that_do_not_exist_or_fit_are_named() -> None:
    with pytest.raises(OptionError, match="Did you mean 'scheme'"):
        tg.TokenTagger().set_params(schema="bio")
    with pytest.raises(OptionError, match="Did you mean 'bioes'"):
        tg.TokenTagger(scheme="bioe").fit_steps(*posts(10))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="not fitted"):
        tg.TokenTagger().predict([["a"]])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"tags": ["B-person", "O"]}, "names 2 tags, its network scores 5"),
        ({"tags": ["O", "B-person", "B-place", "I-person", "I-place"]}, "no sorted list"),
        ({"tags": ["B-person", "B-place", "I-person", "O", "\ud800"]}, "no valid Unicode"),
        ({"given": "bioe"}, "names the schemes bioe and bio"),
        ({"given": None}, "names the schemes None and bio"),
        ({"unit": "letter"}, "reads 'letter'"),
        ({"spelling": None}, "its characters are not those"),
        ({"vocabulary": "{}"}, "not a tokenizer"),
    ],
)
def test_a_model_file_that_does_not_fit_itself_is_refused(
    names: tg.TokenTagger, tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    names.save(tmp_path / "model")
    model = load_model(tmp_path / "model")
    save_model(tmp_path / "model", model.network, weights=model.weights, task=model.task | change)
    with pytest.raises(ModelFileError, match=reason):
        tg.load(tmp_path / "model")


def test_presets_make_taggers() -> None:
    for name in preset_names("token-tagger"):
        tagger = tg.TokenTagger.from_preset(name)
        tagger.fit_steps(*posts(20))
        assert set(tagger.get_params()) == set(tg.TokenTagger().get_params())


def test_tags_and_words_survive_their_json() -> None:
    X, y = posts(10)
    learned = tg.TokenTagger(**SMALL | {"epochs": 1}).fit(X, y)._learned().learned
    stored = json.loads(json.dumps(learned.to_json()))
    assert TagSet.from_json(stored) == learned.tags
    assert Reading.from_json(stored) == learned.reading
