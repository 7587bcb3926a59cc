"""A run leaves a folder, and can be stopped at any step or killed at any moment, and resumed as if it had not been."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tidegate as tg
from tidegate.engine import Lost, Program
from tidegate.errors import ModelFileError, OptionError, RunFolderError, TrainingError
from tidegate.tasks import from_recipe
from tidegate.tasks.run import RunFolder

TEXTS = [f"{'salt wave' if index % 2 else 'oak fern'} {'tide ' * (index % 7)}word{index % 5}" for index in range(40)]
LABELS = ["sea" if index % 3 else "wood" for index in range(40)]  # not quite what the words say: there is room to learn
PARAMS: dict[str, Any] = {
    "hidden_size": 4,
    "embedding_size": 3,
    "epochs": 4,
    "batch_size": 8,
    "learning_rate": 0.02,
    "validation_fraction": 0.2,
    "word_dropout": 0.3,
    "recurrent_dropout": 0.2,
    "weight_decay": 0.1,
}
PER_EPOCH = 4  # 32 training examples in batches of 8


def task(**changes: Any) -> tg.TextClassifier:
    return tg.TextClassifier(**PARAMS | changes)


def steps(folder: Path | RunFolder, *, resume: bool = False, model: tg.TextClassifier | None = None) -> Any:
    where = {"resume": folder} if resume else {"run_dir": folder}
    return (model or task()).fit_steps(TEXTS, LABELS, **where)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that was not interrupted."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    for _ in steps(folder):
        pass
    return folder


def metrics(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [{key: value for key, value in json.loads(line).items() if key != "seconds"} for line in lines]


def test_a_finished_run_is_a_model_its_metrics_and_its_recipe(whole: Path) -> None:
    assert sorted(path.name for path in whole.iterdir()) == ["metrics.jsonl", "model.safetensors", "recipe.toml"]
    records = metrics(whole)
    assert [record["step"] for record in records] == list(range(1, 17))
    assert [record["epoch"] for record in records if record["valid"]] == [1, 2, 3, 4]
    cooled = {"uncalibrated_loss", "uncalibrated_ece", "temperature"}
    assert set(records[-1]["valid"]) == {"loss", "accuracy", "macro_f1", "worst_recall", "ece"} | cooled
    assert records[-1]["classes"]["worst"] in ("sea", "wood")
    assert RunFolder.open(whole).finished


def test_the_recipe_is_enough_to_run_it_again(whole: Path, tmp_path: Path) -> None:
    recipe = RunFolder.open(whole).recipe
    assert recipe["task"] == "text-classifier"
    assert recipe["versions"].keys() == {"tidegate", "numpy", "tokenizers"}
    again = from_recipe(recipe)
    assert again.get_params() == task(pooling=["max", "mean"]).get_params()
    for _ in again.fit_steps(TEXTS, LABELS, run_dir=tmp_path / "again"):
        pass
    assert (tmp_path / "again" / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


def test_the_recipe_says_where_the_data_came_from(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run", data={"source": "reviews.csv", "text": "body", "split": 0.1})
    next(steps(run))
    assert RunFolder.open(tmp_path / "run").recipe["data"] == {"source": "reviews.csv", "text": "body", "split": 0.1}


@pytest.mark.parametrize("stop", [1, PER_EPOCH - 1, PER_EPOCH, PER_EPOCH + 2, 4 * PER_EPOCH - 1, 4 * PER_EPOCH])
def test_a_run_stopped_between_two_steps_resumes_to_the_bit(whole: Path, tmp_path: Path, stop: int) -> None:
    begun = steps(tmp_path / "run")
    list(islice(begun, stop))
    begun.close()
    assert not RunFolder.open(tmp_path / "run").finished
    model = task()
    rest = list(steps(tmp_path / "run", resume=True, model=model))
    assert [step.step for step in rest] == list(range(stop + 1, 17))
    _assert_same_run(tmp_path / "run", whole)
    assert len(model.history_) == 4


def test_a_run_stopped_at_every_step_resumes_to_the_bit(whole: Path, tmp_path: Path) -> None:
    next(begun := steps(tmp_path / "run"))
    begun.close()
    for _ in range(15):
        next(begun := steps(tmp_path / "run", resume=True))
        begun.close()
    assert list(steps(tmp_path / "run", resume=True)) == []
    _assert_same_run(tmp_path / "run", whole)


@pytest.mark.parametrize(
    ("killed_at", "lost"), [(0, 0), (2, 2), (PER_EPOCH, 0), (PER_EPOCH + 3, 3), (3 * PER_EPOCH + 1, 1)]
)
def test_a_kill_loses_at_most_one_epoch(whole: Path, tmp_path: Path, killed_at: int, lost: int) -> None:
    running = steps(tmp_path / "run")
    list(islice(running, killed_at + (killed_at == 0)))
    shutil.copytree(tmp_path / "run", tmp_path / "killed")  # what the disk holds at the moment of a kill
    with (tmp_path / "killed" / "metrics.jsonl").open("ab") as file:
        file.write(b'{"step": 9')  # a line that was never finished
    rest = list(steps(tmp_path / "killed", resume=True))
    assert rest[0].step == killed_at - lost + 1
    _assert_same_run(tmp_path / "killed", whole)


def test_an_interrupt_within_a_step_leaves_the_last_epoch(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = steps(tmp_path / "run")
    list(islice(running, PER_EPOCH + 1))
    with monkeypatch.context() as patch:
        patch.setattr(Program, "gradient", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            next(running)
    assert next(steps(tmp_path / "run", resume=True)).step == PER_EPOCH + 1


def spoiled(which: Callable[[Any], Any]) -> Any:
    """Make a `Program.gradient` that gives NaN for the sequences that `which` tells from the loss."""
    usual = Program.gradient

    def gradient(program: Program, batch: Any, loss: Any, **options: Any) -> Lost:
        losses = np.where(which(loss), np.nan, usual(program, batch, loss, **options).losses)
        return Lost(losses, float((losses * loss.weight).sum()))

    return gradient


def _interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_early_stopping_remembers_its_patience(tmp_path: Path) -> None:
    fickle = {"learning_rate": 0.5, "epochs": 30, "patience": 2}
    once, twice = task(**fickle), task(**fickle)
    total = len(list(steps(tmp_path / "once", model=once)))
    assert PER_EPOCH < total < 30 * PER_EPOCH
    begun = steps(tmp_path / "twice", model=twice)
    list(islice(begun, total - 2))
    begun.close()
    assert len(list(steps(tmp_path / "twice", resume=True, model=twice))) == 2
    assert (tmp_path / "once" / "model.safetensors").read_bytes() == (
        tmp_path / "twice" / "model.safetensors"
    ).read_bytes()


def test_a_closed_run_leaves_a_classifier_that_predicts(tmp_path: Path) -> None:
    for stop in (2, PER_EPOCH + 2):
        model = task()
        begun = model.fit_steps(TEXTS, LABELS)
        list(islice(begun, stop))
        begun.close()
        share = model.predict_proba(TEXTS)[:, list(model.classes_).index("sea")]
        assert list(model.predict(TEXTS)) == ["sea" if of > 0.5 else "wood" for of in share]
        assert len(model.history_) == stop // PER_EPOCH


def test_the_model_of_the_best_epoch_so_far_lies_in_the_folder_while_it_runs(tmp_path: Path) -> None:
    model = task()
    running = steps(tmp_path / "run", model=model)
    list(islice(running, PER_EPOCH))
    lying = tg.load(tmp_path / "run").predict_proba(TEXTS)
    running.close()
    assert lying.tobytes() == model.predict_proba(TEXTS).tobytes()


# --- refusals --------------------------------------------------------------------------------------------------------


def test_a_folder_that_holds_a_run_is_refused_or_overwritten(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(whole, folder)
    (folder / "notes.txt").write_text("mine")
    before = (folder / "model.safetensors").read_bytes()
    with pytest.raises(RunFolderError, match="already holds a run"):
        steps(folder)
    assert (folder / "model.safetensors").read_bytes() == before
    list(steps(RunFolder.create(folder, overwrite=True), model=task(seed=5)))
    assert sorted(path.name for path in folder.iterdir() if path.name != ".tidegate.lock") == [
        "metrics.jsonl",
        "model.safetensors",
        "notes.txt",
        "recipe.toml",
    ]
    assert (folder / "model.safetensors").read_bytes() != before
    assert RunFolder.open(folder).recipe["params"]["seed"] == 5


def test_a_folder_is_not_touched_where_the_data_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="labels"):
        task().fit_steps(TEXTS, ["one"] * 40, run_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_what_is_no_folder_or_holds_no_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError, match="is not a folder"):
        steps(tmp_path / "file")
    with pytest.raises(RunFolderError, match="holds no run"):
        steps(tmp_path, resume=True)


def test_a_finished_run_has_nothing_to_resume(whole: Path) -> None:
    with pytest.raises(RunFolderError, match="it came to its end"):
        steps(whole, resume=True)


def test_a_run_is_resumed_with_its_own_parameters_and_data_only(tmp_path: Path) -> None:
    next(steps(tmp_path / "run"))
    with pytest.raises(RunFolderError, match="begun with hidden_size=4, not 5"):
        steps(tmp_path / "run", resume=True, model=task(hidden_size=5))
    with pytest.raises(RunFolderError, match="begun on other data"):
        task().fit_steps([*TEXTS[1:], TEXTS[0]], LABELS, resume=tmp_path / "run")
    with pytest.raises(RunFolderError, match="begun on other data"):
        task().fit_steps(TEXTS, LABELS, valid=(TEXTS[:4], LABELS[:4]), resume=tmp_path / "run")


def test_an_altered_state_is_refused(tmp_path: Path) -> None:
    next(steps(tmp_path / "run"))
    state = tmp_path / "run" / "state.safetensors"
    state.write_bytes(state.read_bytes()[:-1] + b"x")
    with pytest.raises(ModelFileError, match="does not match its hash"):
        steps(tmp_path / "run", resume=True)


@pytest.mark.parametrize(
    ("recipe", "error", "reason"),
    [
        ("task = ", RunFolderError, "not a readable recipe"),
        ("\udcff", RunFolderError, "not a readable recipe"),
        ("other = 1", RunFolderError, "names no task"),
        ('task = "text-classifer"\n[params]', OptionError, "Did you mean 'text-classifier'"),
        ('task = "text-classifier"\n[params]\nhiden_size = 3', OptionError, "Did you mean 'hidden_size'"),
    ],
)
def test_a_recipe_that_cannot_be_followed_is_refused(
    tmp_path: Path, recipe: str, error: type[Exception], reason: str
) -> None:
    (tmp_path / "recipe.toml").write_bytes(recipe.encode(errors="surrogateescape"))
    with pytest.raises(error, match=reason):
        from_recipe(RunFolder.open(tmp_path).recipe)


def test_a_full_disk_ends_the_run_and_harms_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = {"evidence": 0, "linear": False}  # which gets better in the second epoch, and so writes a model
    model = task(**plain)
    running = steps(tmp_path / "run", model=model)
    list(islice(running, PER_EPOCH))
    kept = (tmp_path / "run" / "model.safetensors").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", _full)
        with pytest.raises(OSError, match="untouched") as error:
            list(running)
    assert error.value.errno == errno.ENOSPC
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == kept
    assert model.predict(TEXTS).shape == (40,)
    assert next(steps(tmp_path / "run", resume=True, model=task(**plain))).step == PER_EPOCH + 1


def _full(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_run_that_fails_keeps_the_last_good_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = task()
    running = steps(tmp_path / "run", model=model)
    list(islice(running, PER_EPOCH + 2))
    kept = tg.load(tmp_path / "run").predict_proba(TEXTS)
    with monkeypatch.context() as patch:
        patch.setattr(Program, "gradient", spoiled(lambda _: True))
        with pytest.raises(TrainingError, match=rf"the loss is nan at step {PER_EPOCH + 3} .* last good weights"):
            next(running)
    assert model.predict_proba(TEXTS).tobytes() == kept.tobytes()
    assert tg.load(tmp_path / "run").predict_proba(TEXTS).tobytes() == kept.tobytes()
    assert len(metrics(tmp_path / "run")) == PER_EPOCH + 2


def test_a_row_that_breaks_training_is_named_by_its_place_in_the_users_data(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [*TEXTS, "a tale that breaks off"]
    running = task(word_dropout=0.0, vocabulary_size=100).fit_steps(texts, [*LABELS, "broken"])
    monkeypatch.setattr(Program, "gradient", spoiled(lambda loss: loss.labels == 0))
    with pytest.raises(TrainingError, match=r"Row 40 of the training data gives it alone, the other \d of the batch"):
        list(running)


def test_what_is_wrong_is_given_once_and_kept_in_the_metrics_over_a_resume(tmp_path: Path) -> None:
    padded = [f"{text} <pad> <pad>" for text in TEXTS]
    running = task().fit_steps(padded, LABELS, run_dir=tmp_path / "run")
    (found,) = next(running).warnings
    assert found.kind == "padding"
    assert "100% of them end with '<pad>'" in found.message
    running.close()
    rest = list(task().fit_steps(padded, LABELS, resume=tmp_path / "run"))
    assert len(rest) == 4 * PER_EPOCH - 1
    assert [warning for step in rest for warning in step.warnings] == []
    records = metrics(tmp_path / "run")
    assert records[0]["warnings"] == [{"kind": "padding", "message": found.message, "advice": found.advice}]
    assert {len(record["warnings"]) for record in records[1:]} == {0}
    assert set(records[0]["health"]["saturated"]["1 recurrent layer 0 backward"]) == set("ifgo")
    assert set(records[0]["health"]["grad_norms"]) == {
        "0 embed",
        "1 recurrent layer 0 forward",
        "1 recurrent layer 0 backward",
        "4 dense",
    }


def test_a_simplernn_that_forgets_is_told_and_an_lstm_that_learns_is_not() -> None:
    """The first step alone tells the class; the loss looks at the end, 60 steps on."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((1280, 60, 2)), rng.integers(0, 2, 1280)
    X[:, 0, 1] = np.where(y, 3, -3)
    usual: dict[str, Any] = {"bidirectional": False, "hidden_size": 16, "epochs": 4, "scale": False, "dropout": 0}
    forgetful = tg.SequenceClassifier(**usual, cell="rnn", pooling=("last",), learning_rate=1e-3)
    (found,) = [warning for step in forgetful.fit_steps(X, y) for warning in step.warnings]
    assert found.kind == "vanishing-gradients"
    assert "'0 recurrent layer 0 forward'" in found.message
    pooled = tg.SequenceClassifier(**usual, cell="lstm", pooling=("max",))
    assert [warning for step in pooled.fit_steps(X, y) for warning in step.warnings] == []
    assert pooled.score(X, y) > 0.99


def test_features_that_are_far_too_large_saturate_the_gates_and_are_told() -> None:
    X = np.random.default_rng(0).standard_normal((64, 10, 3)) * 1000
    steps = tg.SequenceClassifier(scale=False, hidden_size=8, epochs=1).fit_steps(X, X[:, 0, 0] > 0)
    assert [warning.kind for warning in next(steps).warnings] == ["saturated-gates"]
    scaled = tg.SequenceClassifier(hidden_size=8, epochs=1).fit_steps(X, X[:, 0, 0] > 0)
    assert next(scaled).warnings == ()


def test_digits_train_without_a_warning() -> None:
    digits = tg.data.load("digits").train
    model = tg.SequenceClassifier(epochs=3)
    assert [warning for step in model.fit_steps(digits.x, digits.y) for warning in step.warnings] == []


def _assert_same_run(folder: Path, whole: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in whole.iterdir())
    assert (folder / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    assert metrics(folder) == metrics(whole)
