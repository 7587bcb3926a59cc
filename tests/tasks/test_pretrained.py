"""Classifiers and taggers that begin with a language model."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import samples
import tidegate as tg
from classifiers import PLAIN
import tidegate.train as train
from tidegate.errors import InputError, ModelFileError, RunFolderError
from tidegate.network import Embed, Network, Recurrent
from tidegate.ragged import Ragged
from tidegate.runtime import Executor
from tidegate.tasks.cards import CARDS
from tidegate.tasks.pretrained import read_pretrained

STILL: dict[str, Any] = {"learning_rate": 1e-30, "weight_decay": 0.0, "epochs": 1, "validation_fraction": 0}
"""Trains, but moves nothing that float32 could tell."""


def language_model(path: Path, **params: Any) -> Path:
    texts = params.pop("texts", samples.texts(24)[0])
    small = {"hidden_size": 6, "epochs": 2, "batch_size": 4, "learning_rate": 0.05, "validation_fraction": 0}
    tg.LanguageModel(**small | params).fit(texts).save(path)
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return language_model(tmp_path / "language.safetensors")


def test_a_classifier_begins_with_table_and_forward_layer(file: Path) -> None:
    language = tg.load(file)
    model = tg.TextClassifier(pretrained=file, **STILL).fit(*samples.texts(24))
    size = language.vocabulary_.tokenizer.size
    assert model.preparation_.tokenizer == language.vocabulary_.tokenizer
    np.testing.assert_array_equal(model.weights_["0.weight"], language.weights_["0.weight"][:size])
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        np.testing.assert_array_equal(model.weights_[f"1.{name}_l0"], language.weights_[f"1.{name}_l0"])
    drawn = train.initial_weights(model.network_, seed=0)
    np.testing.assert_array_equal(model.weights_["1.weight_hh_l0_reverse"], drawn["1.weight_hh_l0_reverse"])


@pytest.mark.parametrize("direction", ["forward", "both"])
def test_layers_read_as_those_of_the_language_model(tmp_path: Path, direction: str) -> None:
    file = language_model(tmp_path / "m.safetensors", num_layers=2, direction=direction, cell="gru")
    texts, labels = samples.texts(24)
    model = tg.TextClassifier(pretrained=file, **STILL, **PLAIN).fit(texts, labels)
    x = model.preparation_.encode(texts)
    assert isinstance(x, Ragged)
    mine = run(model.network_.nodes[:2], model.weights_, x)  # [N, 2H]
    language = tg.load(file)
    nodes = [node for node in language.network_.nodes if isinstance(node, Embed | Recurrent)]
    kept = [i for i, node in enumerate(language.network_.nodes) if isinstance(node, Embed | Recurrent)]
    weights = {
        f"{place}.{name}": language.weights_[f"{index}.{name}"]
        for place, (index, node) in enumerate(zip(kept, nodes, strict=True))
        for name in node.shapes()
    }
    np.testing.assert_allclose(mine[:, :6], run(nodes, weights, x), rtol=1e-5, atol=1e-6)
    turned = Ragged.from_list([ids[::-1] for ids in x], dtype=np.int32)
    back = run(nodes, weights, turned)
    backward = np.concatenate([rows[::-1] for rows in Ragged(back, x.offsets)])
    assert np.allclose(mine[:, 6:], backward, rtol=1e-5, atol=1e-6) == (direction == "both")


def run(nodes: Any, weights: Any, x: Ragged) -> Any:
    network = Network.of(*nodes)
    named = {name: array for name, array in weights.items() if int(name.split(".")[0]) < len(nodes)}
    return Executor(network, named)(x)


def test_further_columns_are_drawn(file: Path) -> None:
    language = tg.load(file)
    model = tg.TokenTagger(pretrained=file, **STILL).fit(*samples.sentences(24))
    index = next(i for i, node in enumerate(model.network_.nodes) if isinstance(node, Recurrent))
    found = model.weights_[f"{index}.weight_ih_l0"]
    drawn = train.initial_weights(model.network_, seed=0)[f"{index}.weight_ih_l0"]
    assert found.shape[1] > 6
    np.testing.assert_array_equal(found[:, :6], language.weights_["1.weight_ih_l0"])
    np.testing.assert_array_equal(found[:, 6:], drawn[:, 6:])


def test_a_tagger_knows_the_words_of_the_language_model(tmp_path: Path) -> None:
    texts = ["The tide of 1999 sinks", "the tide of 2001 sinks", "the gull"] * 4
    file = language_model(tmp_path / "m.safetensors", texts=texts)
    language, begun = tg.load(file), read_pretrained(file)
    tokens, rows = language.vocabulary_.tokenizer.vocabulary, language.weights_["0.weight"]
    vocabulary = begun.whole_words(["Tide", "unheard"], 10, min_count=1)
    table = begun.table_for(vocabulary)
    known = {word: index for index, word in enumerate(vocabulary.vocabulary)}
    assert {"tide", "unheard", "the", "0000", "gull"} <= known.keys()
    the, upper = rows[tokens.index("the")], rows[tokens.index("The")]
    np.testing.assert_allclose(table[known["the"]], (8 * the + 4 * upper) / 12, rtol=1e-5)
    np.testing.assert_allclose(table[known["0000"]], (rows[tokens.index("1999")] + rows[tokens.index("2001")]) / 2)
    np.testing.assert_array_equal(table[known["<unk>"]], rows[0])
    assert np.isnan(table[known["unheard"]]).all()
    model = tg.TokenTagger(pretrained=file, epochs=1).fit(*samples.sentences(24))
    assert np.isfinite(model.weights_["0.words.weight"]).all()
    assert "gull" in model._learned().learned.reading.vocabulary.vocabulary


@pytest.mark.parametrize(
    ("params", "named"),
    [
        ({"hidden_size": 32}, "hidden_size=32"),
        ({"cell": "gru"}, "cell='gru'"),
        ({"num_layers": 2}, "num_layers=2"),
        ({"embedding_size": 5}, "embedding_size=5"),
        ({"vocabulary_size": 7}, "vocabulary_size=7"),
        ({"chrono": 20}, "chrono=20"),
    ],
)
def test_a_parameter_that_disagrees_is_named(file: Path, params: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=rf"{named}, but what begins with the language model in .*Leave"):
        tg.TextClassifier(pretrained=file, **params).fit(*samples.texts(24))


def test_sizes_that_agree_are_allowed(file: Path) -> None:
    agreed: dict[str, Any] = {"hidden_size": 6, "embedding_size": 6, "num_layers": 1, "cell": "lstm"}
    assert tg.TextClassifier(pretrained=file, **agreed, epochs=1).fit(*samples.texts(24)).network_.input_size == 12


def test_what_is_no_language_model_is_refused(tmp_path: Path, file: Path) -> None:
    X, y = samples.texts(24)
    with pytest.raises(InputError, match="there is no model file"):
        tg.TextClassifier(pretrained=tmp_path / "absent").fit(X, y)
    with pytest.raises(InputError, match="wanted the name of a run folder"):
        tg.TextClassifier(pretrained="").fit(X, y)
    tg.TextClassifier(epochs=1).fit(X, y).save(tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="holds a text-classifier, which has learned no language"):
        tg.TextClassifier(pretrained=tmp_path / "other.safetensors").fit(X, y)
    file.write_bytes(file.read_bytes()[:-7])
    with pytest.raises(ModelFileError):
        tg.TextClassifier(pretrained=file).fit(X, y)


def test_vectors_of_others_beside_a_language_model_are_refused(tmp_path: Path, file: Path) -> None:
    (tmp_path / "v.vec").write_text("1 2\noak 0.5 0.25\n")
    with pytest.raises(InputError, match="both came"):
        tg.TextClassifier(pretrained=file, embeddings=tmp_path / "v.vec").fit(*samples.texts(24))


def test_layers_of_several_sizes_and_tokens_that_are_no_words_are_refused(tmp_path: Path) -> None:
    uneven = language_model(tmp_path / "uneven.safetensors", num_layers=2, embedding_size=4)
    with pytest.raises(InputError, match="have 6, 4 units"):
        tg.TextClassifier(pretrained=uneven).fit(*samples.texts(24))
    letters = language_model(tmp_path / "letters.safetensors", tokens="characters")
    with pytest.raises(InputError, match="reads characters, but a tagger whole words"):
        tg.TokenTagger(pretrained=letters).fit(*samples.sentences(24))
    assert len(tg.TextClassifier(pretrained=letters, epochs=1).fit(*samples.texts(24)).predict(["oak"])) == 1


def test_the_recipe_names_the_weights_and_the_model_needs_them_no_more(tmp_path: Path, file: Path) -> None:
    X, y = samples.texts(24)
    model = tg.TextClassifier(pretrained=file, epochs=2)
    for _ in model.fit_steps(X, y, run_dir=tmp_path / "run"):
        pass
    recipe = tomllib.loads((tmp_path / "run" / "recipe.toml").read_text())
    assert (recipe["begin"]["model"], recipe["begin"]["sha256"]) == (str(file), read_pretrained(file).sha256)
    assert recipe["params"]["pretrained"] == str(file)
    before = model.predict_proba(X)
    file.unlink()
    np.testing.assert_array_equal(tg.load(tmp_path / "run").predict_proba(X), before)


@pytest.mark.parametrize("task", ["text-classifier", "token-tagger"])
def test_a_run_is_not_resumed_on_other_data(tmp_path: Path, file: Path, task: str) -> None:
    X, y = samples.SAMPLES[task].data(24)
    model = CARDS[task].task()(pretrained=file, epochs=3, batch_size=8)
    steps = model.fit_steps(X, y, run_dir=tmp_path / "run")
    next(steps)
    steps.close()
    other = [["a", "word"] if isinstance(x, list) else "a word" for x in X]
    tags = [each[:1] * 2 if isinstance(each, list) else each for each in y]
    with pytest.raises(RunFolderError, match="begun on other data"):
        model.fit_steps(other, tags, resume=tmp_path / "run")


def test_a_run_is_not_resumed_with_other_weights(tmp_path: Path, file: Path) -> None:
    X, y = samples.texts(24)
    steps = tg.TextClassifier(pretrained=file, epochs=3, batch_size=8).fit_steps(X, y, run_dir=tmp_path / "run")
    next(steps)
    steps.close()
    again = tg.TextClassifier(pretrained=file, epochs=3, batch_size=8)
    for other in ({"seed": 5}, {"texts": ["oak salt"] * 9}, {"hidden_size": 9}):
        language_model(file, **other)
        with pytest.raises(RunFolderError, match="begun with other weights"):
            again.fit_steps(X, y, resume=tmp_path / "run")
    language_model(file)
    for _ in again.fit_steps(X, y, resume=tmp_path / "run"):
        pass
    whole = tg.TextClassifier(pretrained=file, epochs=3, batch_size=8).fit(X, y)
    np.testing.assert_array_equal(again.predict_proba(X), whole.predict_proba(X))
