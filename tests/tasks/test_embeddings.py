"""Words begin with the vectors of others: in the classifier, the tagger and the language model alike."""

from __future__ import annotations

import shutil
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tidegate as tg
import vectors as files
from tidegate import runs
from tidegate.errors import DataError, InputError, RunFolderError
from tidegate.tasks.run import RunFolder
from tidegate.tasks.task import AnyTask

WORDS = ["salt", "Wave", "oak", "fern", "tide", "2024"]
GIVEN = {word: (np.arange(4) - 1.5 + index / 8).tolist() for index, word in enumerate(WORDS)}
TEXTS = [f"{'salt wave' if index % 2 else 'oak fern'} {'tide ' * (index % 3)}mud 1987" for index in range(40)]
LABELS = ["sea" if index % 2 else "wood" for index in range(40)]
SHORT: dict[str, Any] = {"epochs": 2, "batch_size": 8, "hidden_size": 4, "learning_rate": 0.02}
TASKS: dict[str, tuple[type[AnyTask], tuple[Any, ...]]] = {
    "classifier": (tg.TextClassifier, (TEXTS, LABELS)),
    "tagger": (tg.TokenTagger, ([text.split() for text in TEXTS], [text.upper().split() for text in TEXTS])),
    "tagger without characters": (
        tg.TokenTagger,
        ([text.split() for text in TEXTS], [text.upper().split() for text in TEXTS]),
    ),
    "language model": (tg.LanguageModel, (TEXTS,)),
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return files.saved(tmp_path, files.glove(GIVEN), "some.txt")


def made(name: str, file: Path | None, **changes: Any) -> AnyTask:
    more = {"characters": False} if "without" in name else {}
    return TASKS[name][0](**SHORT | more | {"embeddings": file} | changes)


def vocabulary(model: Any) -> list[str]:
    match model:
        case tg.TextClassifier():
            return list(model.preparation_.tokenizer.vocabulary)
        case tg.TokenTagger():
            return list(model._require_fitted().learned.reading.vocabulary.vocabulary)
    return list(model.vocabulary_.tokenizer.vocabulary)


def table(model: AnyTask) -> Any:
    return next(iter(model.weights_.values()))


@pytest.mark.parametrize("name", TASKS)
def test_frozen_words_end_with_the_numbers_of_the_file_and_the_others_are_as_large(name: str, file: Path) -> None:
    model = made(name, file, train_embeddings=False).fit(*TASKS[name][1])
    rows = dict(zip(vocabulary(model), table(model), strict=False))
    for word in ("salt", "oak", "fern", "tide"):
        assert rows[word].tolist() == GIVEN[word]
    assert rows["wave"].tolist() == GIVEN["Wave"]
    missing = np.array([row for word, row in rows.items() if word in ("<unk>", "mud")])
    largest = np.sqrt(3 * np.mean(np.square([GIVEN[w] for w in WORDS if w != "2024" or "tagger" in name])))
    assert 0.1 * largest < np.abs(missing).max() <= largest * (1 + 1e-6)
    assert model.network_.nodes[0].model_dump().get("size", 4) == 4


@pytest.mark.parametrize("name", TASKS)
def test_trained_words_begin_with_the_numbers_of_the_file_and_move_from_there(name: str, file: Path) -> None:
    slow = made(name, file, learning_rate=1e-7, weight_decay=0, epochs=1).fit(*TASKS[name][1])
    fast = made(name, file).fit(*TASKS[name][1])
    place = vocabulary(slow).index("oak")
    np.testing.assert_allclose(table(slow)[place], GIVEN["oak"], rtol=1e-4)
    assert np.abs(table(fast)[place] - GIVEN["oak"]).max() > 1e-3


def test_a_tagger_reads_every_digit_as_a_zero_in_the_file_too(file: Path) -> None:
    model = made("tagger", file, train_embeddings=False).fit(*TASKS["tagger"][1])
    assert table(model)[vocabulary(model).index("0000")].tolist() == GIVEN["2024"]


def test_how_much_the_file_covers_is_noted_in_the_model_and_in_the_recipe(file: Path, tmp_path: Path) -> None:
    texts = ["salt wave mud", "oak fern tide", "salt salt mud mud"] * 4
    model = made("classifier", file, validation_fraction=0)
    for _ in model.fit_steps(texts, ["a", "b", "c"] * 4, run_dir=tmp_path / "run"):
        pass
    found = {"words": 5 / 6, "tokens": 7 / 10}
    assert model.about_.metrics["embeddings"] == pytest.approx(found)
    recipe = RunFolder.open(tmp_path / "run").recipe
    assert recipe["begin"]["found"] == pytest.approx(found)
    assert recipe["begin"]["file"] == recipe["params"]["embeddings"] == str(file)
    assert tg.load(tmp_path / "run").about_.metrics["embeddings"] == pytest.approx(found)


def test_a_file_that_has_few_of_the_tokens_is_warned_of(tmp_path: Path) -> None:
    path = files.saved(tmp_path, files.glove({"salt": [1, 2]}))
    texts = ["salt a b c", "d e f g"] * 8
    (first, *_) = made("classifier", path, validation_fraction=0).fit_steps(texts, ["x", "y"] * 8)
    (warning,) = first.warnings
    assert warning.kind == "few-vectors"
    assert "has vectors for 12% of the tokens, 12% of the words" in warning.message


@pytest.mark.parametrize("name", TASKS)
def test_a_file_without_any_of_the_words_is_refused(name: str, tmp_path: Path) -> None:
    path = files.saved(tmp_path, files.glove({"meer": [1, 2, 3], "wald": [4, 5, 6]}))
    with pytest.raises(DataError, match="It begins with 'meer', 'wald'"):
        made(name, path, hidden_size=3).fit(*TASKS[name][1])


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"embedding_size": 5}, "embedding_size=5, but the vectors of .* have 4 numbers. Pass embedding_size=4, or"),
        ({"embeddings": None, "train_embeddings": False}, "there is no file. Pass embeddings=..., or leave it out"),
        ({"embeddings": ""}, "embeddings='' cannot be used: wanted the path of a file of vectors"),
        ({"embeddings": 3}, "embeddings=3 cannot be used: wanted the path"),
        ({"embeddings": "absent.vec"}, "absent.vec is not there; wanted a file of vectors"),
    ],
)
def test_parameters_that_do_not_go_together_are_refused(
    name: str, changes: dict[str, Any], told: str, file: Path
) -> None:
    with pytest.raises(InputError, match=told):
        made(name, file, **changes).fit(*TASKS[name][1])


def test_a_size_that_agrees_with_the_file_may_be_named(file: Path) -> None:
    model = made("classifier", file, embedding_size=4).fit(TEXTS, LABELS)
    assert table(model).shape == (len(vocabulary(model)), 4)


@pytest.mark.parametrize("tokens", ["bpe", "characters"])
def test_a_language_model_of_pieces_of_words_takes_no_vectors(tokens: str, file: Path) -> None:
    with pytest.raises(InputError, match=f"embeddings are vectors of words, but tokens='{tokens}'"):
        made("language model", file, tokens=tokens).fit(TEXTS)


def test_a_loaded_model_needs_the_file_no_more(file: Path, tmp_path: Path) -> None:
    model = tg.TextClassifier(**SHORT, embeddings=file).fit(TEXTS, LABELS)
    model.save(tmp_path / "model.safetensors")
    file.unlink()
    again = tg.load(tmp_path / "model.safetensors")
    assert isinstance(again, tg.TextClassifier)
    assert again.predict_proba(TEXTS[:3]).tobytes() == model.predict_proba(TEXTS[:3]).tobytes()
    assert again.get_params()["embeddings"] == str(file)


@pytest.mark.parametrize("train", [True, False])
def test_a_stopped_and_resumed_run_equals_the_uninterrupted_one(train: bool, file: Path, tmp_path: Path) -> None:
    whole = made("classifier", file, train_embeddings=train).fit(TEXTS, LABELS)
    parts = made("classifier", file, train_embeddings=train)
    begun = parts.fit_steps(TEXTS, LABELS, run_dir=tmp_path / "run")
    list(islice(begun, 3))
    begun.close()
    for _ in parts.fit_steps(TEXTS, LABELS, resume=tmp_path / "run"):
        pass
    assert {name: array.tobytes() for name, array in parts.weights_.items()} == {
        name: array.tobytes() for name, array in whole.weights_.items()
    }


@pytest.mark.parametrize("altered", [b"salt", b"-1.5", b"other"])
def test_a_run_is_resumed_with_its_own_file_only(altered: bytes, file: Path, tmp_path: Path) -> None:
    begun = made("classifier", file).fit_steps(TEXTS, LABELS, run_dir=tmp_path / "run")
    next(begun)
    begun.close()
    content = file.read_bytes()
    file.write_bytes(content + b"other 1 2 3 4\n" if altered == b"other" else content.replace(altered, b"9", 1))
    with pytest.raises(RunFolderError, match="begun with other numbers"):
        made("classifier", file).fit_steps(TEXTS, LABELS, resume=tmp_path / "run")
    file.unlink()
    with pytest.raises(DataError, match="is not there"):
        made("classifier", file).fit_steps(TEXTS, LABELS, resume=tmp_path / "run")


def test_a_recipe_is_followed_with_its_own_file_only(file: Path, tmp_path: Path) -> None:
    rows = "".join(f"{text},{label}\n" for text, label in zip(TEXTS, LABELS, strict=True))
    (tmp_path / "some.csv").write_text("text,label\n" + rows)
    source, params = runs.Source(str(tmp_path / "some.csv")), SHORT | {"embeddings": str(file)}
    training = runs.start(source, params=params, out=tmp_path / "run")
    assert "\nsome.txt has vectors for 71.4% of the words, 5" in training.note
    training.run()
    runs.repeat(tmp_path / "run", out=tmp_path / "again").run()
    model, again = (tmp_path / name / "model.safetensors" for name in ("run", "again"))
    assert tg.load(model).weights_["0.weight"].tobytes() == tg.load(again).weights_["0.weight"].tobytes()
    shutil.rmtree(tmp_path / "again")
    file.write_bytes(file.read_bytes() + b"\n")
    with pytest.raises(RunFolderError, match=r"the vectors of .*some.txt are not those of the run"):
        runs.repeat(tmp_path / "run", out=tmp_path / "again")
