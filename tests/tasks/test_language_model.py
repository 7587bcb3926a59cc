"""LanguageModel: whole texts foreseen, state carried across chunks, runs that resume, texts written, gaps filled."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import reference
import tidegate as tg
from tidegate import train
from tidegate.data.streams import Streams
from tidegate.errors import DataError, InputError, ModelFileError, OptionError, RunFolderError
from tidegate.network import Dense, Dropout, Embed, Network, Recurrent, Tied, parameter_shapes
from tidegate.tasks import from_recipe
from tidegate.tasks.language.model import Corpus, stream_loss

RNG = np.random.default_rng(0)
SEA, WOOD = ("tide", "wave", "salt"), ("oak", "fern", "moss")
LINES = [
    f"the {RNG.choice(SEA)} meets the {RNG.choice(SEA)} at sea"
    if number % 2
    else f"the {RNG.choice(WOOD)} meets the {RNG.choice(WOOD)} at home"
    for number in range(60)
]
SMALL: dict[str, Any] = {
    "embedding_size": 12,
    "hidden_size": 12,
    "epochs": 12,
    "batch_size": 6,
    "steps": 5,
    "learning_rate": 0.02,
    "patience": 0,
    "dropout": 0.1,
}
KINDS: dict[str, dict[str, Any]] = {
    "words": {"tokens": "words"},
    "characters": {"tokens": "characters", "tied": False, "cell": "gru", "steps": 20},
    "bpe": {
        "tokens": "bpe",
        "vocabulary_size": 280,
        "tied": False,
        "hidden_size": 24,
        "steps": 20,
        "batch_size": 4,
        "epochs": 20,
        "dropout": 0.0,
    },
}

CLEVER: dict[str, Any] = {
    "embedding_size": 32,
    "hidden_size": 32,
    "epochs": 15,
    "batch_size": 4,
    "steps": 8,
    "dropout": 0.0,
    "validation_fraction": 0.0,
}


def model(**changes: Any) -> tg.LanguageModel:
    return tg.LanguageModel(**SMALL | changes)


@pytest.fixture(scope="module", params=sorted(KINDS))
def fitted(request: pytest.FixtureRequest) -> tg.LanguageModel:
    return model(**KINDS[request.param]).fit(LINES)


@pytest.fixture(scope="module")
def words() -> tg.LanguageModel:
    return model(**CLEVER, direction="both").fit(LINES)


def by_hand(task: tg.LanguageModel, text: str) -> float:
    """Compute the logarithm of the probability of a text and its end in float64, from the equations, step by step."""
    weights = {name: array.astype(np.float64) for name, array in task.weights_.items()}
    (ids,) = task.vocabulary_.documents([text])
    x = weights["0.weight"][ids[:-1]]
    for index, node in enumerate(task.network_.nodes):
        match node:
            case Recurrent():
                names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
                w = reference.Weights(*(weights[f"{index}.{name}"] for name in names))
                zero = np.zeros(node.hidden_size)
                x = reference.forward(node.cell, x, w, zero, zero).h
            case Dense():
                x = x @ weights[f"{index}.weight"].T + weights[f"{index}.bias"]
            case Tied():
                x = x @ weights["0.weight"].T + weights[f"{index}.bias"]
    x = x - x.max(axis=1, keepdims=True)
    return float((x[np.arange(len(x)), ids[1:]] - np.log(np.exp(x).sum(axis=1))).sum())


def test_it_foresees_what_can_be_foreseen(fitted: tg.LanguageModel) -> None:
    limit = {"words": 3.5, "characters": 3.5, "bpe": 12.0}[fitted.tokens]  # of 14, 22 and 282 tokens
    assert fitted.measure(LINES)["perplexity"] < limit
    assert fitted.score(LINES) > fitted.score([line[::-1] for line in LINES])
    assert fitted.history_[-1]["valid_perplexity"] < fitted.history_[0]["valid_perplexity"] / 2


def test_it_measures_whole_texts_by_the_equations(fitted: tg.LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [LINES[0], " ".join(LINES[:20]), "the wave", LINES[1]]
    total = sum(by_hand(fitted, text) for text in texts)
    tokens = sum(len(document) - 1 for document in fitted.vocabulary_.documents(texts))
    found = fitted.measure(texts)
    assert found["loss"] == pytest.approx(-total / tokens, rel=1e-5)
    assert found["perplexity"] == pytest.approx(np.exp(-total / tokens), rel=1e-4)
    if fitted.tokens == "words":
        assert "bits_per_character" not in found
    else:
        characters = sum(map(len, texts))
        assert found["bits_per_character"] == pytest.approx(-total / np.log(2) / characters, rel=1e-5)
    monkeypatch.setattr("tidegate.tasks.language.corpus._TOKENS", 1)  # read in other pieces, or scored in other blocks
    monkeypatch.setattr("tidegate.tasks.language.corpus._SCORES", 1)
    monkeypatch.setattr("tidegate.tasks.language.corpus._DOCUMENTS", 2)
    assert fitted.measure(texts) == found


def test_what_comes_next_does_not_depend_on_neighbours(fitted: tg.LanguageModel) -> None:
    texts = ["the wave meets the", "", "the oak", "the oak meets the moss at "]
    whole = fitted.predict_proba(texts)
    alone = np.concatenate([fitted.predict_proba([text]) for text in texts])
    assert whole.tobytes() == alone.tobytes() == np.ascontiguousarray(fitted.predict_proba(texts[::-1])[::-1]).tobytes()
    np.testing.assert_allclose(whole.sum(axis=1), 1, rtol=1e-5)
    (ids,) = fitted.vocabulary_.documents([texts[2]])
    ending = by_hand(fitted, texts[2])
    before = sum(
        np.log(fitted.predict_proba([fitted.vocabulary_.tokenizer.decode(ids[1:at])])[0, ids[at]])
        for at in range(1, len(ids) - 1)
    )
    assert np.log(whole[2, fitted.vocabulary_.end]) == pytest.approx(ending - before, abs=1e-4)


def test_it_names_the_next_word(words: tg.LanguageModel) -> None:
    texts = ["the wave meets the salt at", "the oak meets the fern at", "the oak meets the fern at home"]
    assert words.predict(texts) == ["sea", "home", ""]


def test_a_saved_model_says_the_same_without_torch(fitted: tg.LanguageModel, tmp_path: Path) -> None:
    fitted.save(tmp_path / "model.safetensors")
    loaded = tg.load(tmp_path)
    assert type(loaded) is tg.LanguageModel
    assert loaded.measure(LINES) == fitted.measure(LINES)
    assert loaded.generate("the ", seed=4) == fitted.generate("the ", seed=4)
    loaded.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "model.safetensors").read_bytes()
    code = (
        "import json, sys; import tidegate as tg; task = tg.load(sys.argv[1]);"
        "print(json.dumps([task.generate('the ', seed=4), task.measure(['the wave']), [*{'torch'} & {*sys.modules}]]))"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [fitted.generate("the ", seed=4), fitted.measure(["the wave"]), []]


def test_it_pickles_and_copies(fitted: tg.LanguageModel) -> None:
    for twin in (pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted)):  # noqa: S301  (our own bytes)
        assert twin.measure(LINES) == fitted.measure(LINES)


REGULARISED: dict[str, Any] = {
    "epochs": 3,
    "num_layers": 2,
    "direction": "both",
    "embedding_dropout": 0.1,
    "input_dropout": 0.2,
    "hidden_dropout": 0.2,
    "weight_dropout": 0.3,
    "average": 0.9,
    "patience": 2,
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run with everything switched on that was not interrupted."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    for _ in model(**REGULARISED).fit_steps(LINES, run_dir=folder):
        pass
    return folder


@pytest.mark.parametrize("stop", [1, 7, 30])
def test_a_stopped_and_resumed_run_equals_the_uninterrupted_one(stop: int, whole: Path, tmp_path: Path) -> None:
    steps = model(**REGULARISED).fit_steps(LINES, run_dir=tmp_path / "run")
    assert len(list(islice(steps, stop))) == stop
    steps.close()
    for _ in model(**REGULARISED).fit_steps(LINES, resume=tmp_path / "run"):
        pass
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    found, wanted = (
        [json.loads(line) | {"seconds": 0} for line in (folder / "metrics.jsonl").read_text().splitlines()]
        for folder in (tmp_path / "run", whole)
    )
    assert found == wanted


def test_a_recipe_is_enough_to_train_it_again(whole: Path, tmp_path: Path) -> None:
    from tidegate.tasks.run import RunFolder

    again = from_recipe(RunFolder.open(whole).recipe)
    for _ in again.fit_steps(LINES, run_dir=tmp_path / "again"):
        pass
    assert (tmp_path / "again" / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


def test_a_run_is_resumed_with_its_own_data_and_parameters(tmp_path: Path) -> None:
    next(steps := model(epochs=2).fit_steps(LINES, run_dir=tmp_path / "run"))
    steps.close()
    with pytest.raises(RunFolderError, match="other data"):
        model(epochs=2).fit_steps([*LINES[1:], "the tide"], resume=tmp_path / "run")
    with pytest.raises(RunFolderError, match="begun with steps=5, not 6"):
        model(epochs=2, steps=6).fit_steps(LINES, resume=tmp_path / "run")


@pytest.mark.parametrize("steps", [1, 3, 100])
def test_a_state_that_is_carried_loses_nothing_of_the_text(steps: int, words: tg.LanguageModel) -> None:
    """Read in chunks of any length, the losses of an epoch are those of the whole texts."""
    documents = words.vocabulary_.documents(LINES)
    corpus = Corpus.of(documents, both=False)
    plain = Network.of(*(node for node in words.network_.nodes if not isinstance(node, Dropout)))
    own = dict(zip(parameter_shapes(plain), words.weights_.values(), strict=True))
    recipe = train.Recipe(epochs=1, batch_size=1, learning_rate=0.0, optimizer="sgd")
    streams = Streams(corpus.lengths, 1, steps)
    chunks = train.fit(train.start(plain, own, recipe), recipe, streams=streams, loss=partial(stream_loss, corpus))
    total = sum(step.loss * step.tokens for step in chunks)
    assert total / len(corpus.tokens) == pytest.approx(words.measure(LINES)["loss"], rel=1e-4)


def test_the_network_says_what_was_asked_for() -> None:
    task = model(
        epochs=1, num_layers=2, hidden_size=9, embedding_dropout=0.1, input_dropout=0.2, hidden_dropout=0.3,
        dropout=0.4, weight_dropout=0.5,
    ).fit(LINES)  # fmt: skip
    size = task.vocabulary_.size
    recurrent = {"cell": "lstm", "weight_dropout": 0.5}
    assert task.network_.nodes == (
        Embed(vocabulary_size=size, size=12, dropout=0.1),
        Dropout(p=0.2, per_sequence=True),
        Recurrent(input_size=12, hidden_size=9, **recurrent),  # type: ignore[arg-type]
        Dropout(p=0.3, per_sequence=True),
        Recurrent(input_size=9, hidden_size=12, **recurrent),  # type: ignore[arg-type]
        Dropout(p=0.4, per_sequence=True),
        Tied(vocabulary_size=size, size=12),
    )
    assert model(epochs=1, tied=False).fit(LINES).network_.nodes[-1] == Dense(in_features=12, out_features=size)


def test_sizes_that_a_tied_model_cannot_have_are_refused() -> None:
    with pytest.raises(InputError, match=r"hidden_size=12 and embedding_size=7\. Make them equal"):
        model(embedding_size=7).fit(LINES)
    as_many = model(embedding_size=0, hidden_size=9, epochs=1).fit(LINES)
    assert isinstance(as_many.network_.nodes[0], Embed)
    assert as_many.network_.nodes[0].size == 9


def test_presets_are_complete_and_train() -> None:
    names = tg.tasks.presets.names("language-model")
    assert set(names) == {"language-characters", "language-words", "language-gaps"}
    for name in names:
        task = tg.LanguageModel.from_preset(name)
        assert task.get_params().keys() - tg.tasks.presets.get(name, task="language-model").keys() == {"seed"}
        small = tg.LanguageModel.from_preset(name, hidden_size=4, epochs=1, validation_fraction=0)
        assert small.fit(LINES).fills_gaps == (name == "language-gaps")


def test_layers_whose_matrix_is_dropped_have_a_health_in_the_preset_for_words() -> None:
    small = tg.LanguageModel.from_preset("language-words", hidden_size=8, epochs=1, validation_fraction=0)
    assert small.get_params()["weight_dropout"] > 0
    health = next(small.fit_steps(LINES)).health
    assert health is not None
    assert health.reach is not None
    assert health.saturated is not None
    layers = {name for name in health.grad_norms if "recurrent" in name}
    assert layers
    assert set(health.reach) == set(health.saturated) == layers
    assert all(set(gates) == set("ifgo") for gates in health.saturated.values())


def test_the_same_seed_writes_the_same_text_and_another_one_another(fitted: tg.LanguageModel) -> None:
    texts = [fitted.generate("the ", length=30, endless=True, seed=seed) for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]
    assert "".join(fitted.write("the ", length=30, endless=True, seed=1)) == texts[0]
    longer = fitted.generate("the ", length=60, endless=True, seed=1)
    assert longer.startswith(texts[0])
    assert len(longer) > len(texts[0])


def test_without_chance_it_writes_the_most_probable_token_each_time(words: tg.LanguageModel) -> None:
    text = "the wave meets"
    written = words.generate(text, length=3, temperature=0.0).split()
    for word in written:
        assert words.predict([text]) == [word]
        text += f" {word}"
    assert len(written) == 3


def test_a_text_ends_where_the_model_ends_it(words: tg.LanguageModel) -> None:
    text = words.generate("the wave", length=50, temperature=0.0)
    assert text.endswith(" sea")
    assert len(text.split()) == 5
    assert len(words.generate("the wave", length=50, temperature=0.0, endless=True).split()) == 50
    assert words.generate(seed=3).split()[0] == "the"


def test_temperature_and_the_most_probable_ones_bound_what_is_written(words: tg.LanguageModel) -> None:
    def firsts(**options: Any) -> set[str]:
        return {words.generate("the wave meets the", length=1, seed=seed, **options).strip() for seed in range(60)}

    assert len(firsts(top_k=1)) == len(firsts(top_p=0.01)) == 1
    assert len(firsts(top_k=2)) == 2
    assert len(firsts(temperature=50.0)) > 6


def test_both_sides_of_a_gap_know_more_than_one(words: tg.LanguageModel) -> None:
    found = words.complete("the ___ meets the fern at home", count=3)
    assert {guess.word for guess in found.both} == set(WOOD)
    assert {guess.word for guess in found.left} <= {*SEA, *WOOD}
    left = words.complete("the __ meets the fern at home", count=99).left
    woods = sum(guess.probability for guess in left if guess.word in WOOD)
    assert sum(guess.probability for guess in found.both) > 0.9 > woods
    everything = words.complete("the ___ meets", count=10_000)
    for side in (everything.both, everything.left, everything.right):
        assert sum(guess.probability for guess in side) == pytest.approx(1)
        assert "<unk>" not in {guess.word for guess in side}
    shares = words.predict_proba(["the"])[0]
    tokens = words.vocabulary_.tokenizer.vocabulary
    best = everything.left[0]
    assert best.probability == pytest.approx(shares[tokens.index(best.word)] / shares[1:-2].sum(), rel=1e-4)


def test_the_share_of_gaps_filled_right_is_counted_by_side(words: tg.LanguageModel) -> None:
    texts = [f"the {word} meets the {word} at {place}" for word, place in (("oak", "home"), ("salt", "sea"))]
    found = words.measure_gaps(texts * 30, seed=1)
    assert found["both"] > found["left"]
    assert found["both"] >= found["right"]
    single = words.measure_gaps(["tide"])  # the only gap there can be
    guesses = words.complete("___", count=1)
    sides = {"left": guesses.left, "right": guesses.right, "both": guesses.both}
    assert single == {side: float(guess[0].word == "tide") for side, guess in sides.items()}
    with pytest.raises(DataError, match="no text has a word that the model knows"):
        words.measure_gaps(["zebra"])


@pytest.mark.parametrize(
    ("text", "message"), [("the wave", "no gap"), ("the ___ meets the ___", "2 gaps"), ("", "no gap")]
)
def test_a_text_without_one_gap_is_refused(words: tg.LanguageModel, text: str, message: str) -> None:
    with pytest.raises(InputError, match=f"{message}. Mark the one word that is missing"):
        words.complete(text)


def test_a_model_that_cannot_fill_gaps_says_why(fitted: tg.LanguageModel) -> None:
    message = "reads forwards only" if fitted.tokens == "words" else "smaller tokens"
    with pytest.raises(InputError, match=message):
        fitted.complete("the ___ meets")


def test_a_prompt_that_is_not_known_is_refused(fitted: tg.LanguageModel) -> None:
    with pytest.raises(InputError, match="the prompt is empty"):
        fitted.generate("")
    if fitted.tokens == "characters":
        with pytest.raises(InputError, match="holds characters that no training text has: 'Z', '好'"):
            fitted.generate("the Z好Z")
    elif fitted.tokens == "words":
        with pytest.raises(InputError, match="holds words that no training text has: 'zebra'"):
            fitted.generate("zebra")
        assert fitted.generate("the zebra meets")
    else:
        assert fitted.generate("Z好", endless=True)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"temperature": -0.1}, InputError, "temperature=-0.1"),
        ({"temperature": float("nan")}, InputError, "temperature=nan"),
        ({"top_k": -1}, InputError, "top_k=-1"),
        ({"top_p": 0.0}, InputError, "top_p=0.0"),
        ({"seed": -1}, InputError, "seed=-1"),
        ({"length": 0}, InputError, "length=0"),
        ({"temprature": 1.0}, OptionError, "Did you mean 'temperature'"),
    ],
)
def test_an_option_out_of_its_range_is_refused(
    words: tg.LanguageModel, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        words.generate("the", **options)


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (["word"], DataError, "the corpus has 1 token; at least 2"),
        ([], DataError, "no texts"),
        (["a", " "], DataError, r"X\[1\] has an empty text"),
        (["a", None], DataError, r"X\[1\] is missing"),
        ("a text", InputError, "single string"),
    ],
)
def test_a_corpus_that_cannot_be_learned_from_is_refused(X: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        model(validation_fraction=0.0).fit(X)


def test_a_text_too_short_to_hold_out_its_end_is_refused() -> None:
    with pytest.raises(DataError, match="too short to hold a part of it out"):
        model().fit(["ab"])
    task = model(epochs=1, validation_fraction=0.5).fit(["one two three four five six seven eight"])
    assert "eight" not in task.vocabulary_.tokenizer.vocabulary
    assert "valid_loss" in task.history_[0]


def test_labels_are_refused_and_an_unfitted_model_says_so() -> None:
    with pytest.raises(InputError, match="y came with texts"):
        model().fit(LINES, ["a"] * len(LINES))
    with pytest.raises(InputError, match="not fitted"):
        model().generate("the")


@pytest.mark.parametrize("change", [{"counts": [1, 2]}, {"tokenizer": "{}"}])
def test_a_file_whose_vocabulary_does_not_fit_is_refused(
    words: tg.LanguageModel, change: dict[str, Any], tmp_path: Path
) -> None:
    from tidegate.checkpoint import load_model, save_model

    words.save(tmp_path / "model")
    found = load_model(tmp_path / "model")
    save_model(tmp_path / "other", found.network, weights=found.weights, task=found.task | change)
    with pytest.raises(ModelFileError, match="describes no LanguageModel"):
        tg.load(tmp_path / "other")
