"""Runs that learn from texts without labels, too: from what a teacher says of them, or a language model first."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import samples
import tidegate as tg
import tidegate.runs as runs
from tidegate.errors import DataError, InputError, RunFolderError
from tidegate.runs.beginning import told_of_beginning
from tidegate.tasks.run import RunFolder

SIZES = {"hidden_size": 4, "embedding_size": 4}
PARAMS: dict[str, Any] = SIZES | {"epochs": 3, "batch_size": 8}


@pytest.fixture
def source(tmp_path: Path) -> runs.Source:
    """Make 40 labelled texts, of which one in four is held out."""
    texts, labels = samples.texts(40)
    table = tmp_path / "texts.jsonl"
    rows = zip(texts, labels, strict=True)
    table.write_text("".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows))
    return runs.Source(str(table), {"split": 0.25})


@pytest.fixture
def more(tmp_path: Path, source: runs.Source) -> Path:
    """Write texts without labels, among them two of the test part, one of them spelled otherwise."""
    dataset = source.load()
    assert dataset.test is not None
    first, second, *_ = dataset.test.x
    path = tmp_path / "more.txt"
    others = ["zephyr " + text for text in samples.texts(30, seed=9)[0]]
    path.write_text("\n".join([*others, first, f" {second.upper()} "]))
    return path


def begin(source: runs.Source, more: Path, out: Path, minutes: float = 1.0) -> runs.Training:
    return runs.start(source, out=out, params=PARAMS, unlabelled=runs.Unlabelled(str(more), minutes))


def test_both_steps_are_one_run(tmp_path: Path, source: runs.Source, more: Path) -> None:
    training = begin(source, more, tmp_path / "run")
    assert "2 that equal a test or validation text were left out" in training.note
    steps = list(training.steps)
    result = training.finish()
    assert [step.step for step in steps].count(1) == 2  # the first of either model
    assert result.test is not None and result.epochs == 3
    known = {name: tg.load(tmp_path / name).preparation_.tokenizer.vocabulary for name in ("run", "run/teacher")}
    assert "zephyr" in known["run"] and "zephyr" not in known["run/teacher"]
    section = RunFolder.open(tmp_path / "run").recipe["unlabelled"]
    assert (section["name"], section["minutes"], section["texts"]) == (str(more), 1.0, 30)


def test_the_teacher_learns_from_nothing_that_is_held_out(tmp_path: Path, source: runs.Source, more: Path) -> None:
    """A refit learns from all, also of the teacher's kind: the part that the run is measured on must stay unseen."""
    params = PARAMS | {"validation_fraction": 0.2}
    wanted = runs.Unlabelled(str(more), 1.0)
    for name, refit in (("plain", False), ("again", True)):
        runs.start(source, out=tmp_path / name, params=params | {"refit": refit}, unlabelled=wanted).run()
    assert bits(tmp_path / "again" / "teacher") == bits(tmp_path / "plain" / "teacher")
    assert bits(tmp_path / "again") != bits(tmp_path / "plain")


def test_the_words_of_both_models_begin_with_what_they_stand_near_unless_that_is_refused(
    tmp_path: Path, source: runs.Source, more: Path
) -> None:
    drawn = {"cooccurrence": False}
    for name, params in (("near", PARAMS), ("drawn", PARAMS | drawn), ("said", PARAMS | {"cooccurrence": 1})):
        wanted = runs.Unlabelled(str(more), 1.0)
        runs.start(source, out=tmp_path / name, params=params, unlabelled=wanted).run()
    for part in ("near/teacher", "near", "said/teacher", "said"):
        recipe = RunFolder.open(tmp_path / part).recipe
        assert recipe["begin"]["texts"] == 30 + 30
        assert "stand near in 60 texts" in told_of_beginning(recipe)
    for part in ("drawn/teacher", "drawn"):
        assert "begin" not in RunFolder.open(tmp_path / part).recipe
    assert bits(tmp_path / "near") != bits(tmp_path / "drawn")


def test_texts_with_several_labels_have_no_teacher_and_that_is_said_at_once(tmp_path: Path, more: Path) -> None:
    table = tmp_path / "several.jsonl"
    texts, labels = samples.texts(24)
    rows = ({"text": text, "label": [label]} for text, label in zip(texts, labels, strict=True))
    table.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(InputError, match="may have several"):
        begin(runs.Source(str(table), {}), more, tmp_path / "run")
    assert not (tmp_path / "run" / "teacher").exists()


def test_no_text_that_is_measured_on_is_learned_from(tmp_path: Path, source: runs.Source) -> None:
    dataset = source.load()
    assert dataset.test is not None
    path = tmp_path / "all.txt"
    path.write_text("\n".join(["Only here", *dataset.test.x, *(text.upper() for text in dataset.test.x)]))
    training = begin(source, path, tmp_path / "run")
    training.stop()
    section = RunFolder.open(tmp_path / "run").recipe["unlabelled"]
    assert section["texts"] == 1
    assert f"{2 * len(dataset.test.x)} that equal" in training.note


@pytest.mark.parametrize("stop", [1, 4, 22])
def test_a_run_that_was_stopped_in_either_step_comes_to_the_same(
    tmp_path: Path, source: runs.Source, more: Path, stop: int
) -> None:
    whole = begin(source, more, tmp_path / "whole")
    whole.run()
    planned = RunFolder.open(tmp_path / "whole").recipe["unlabelled"]
    again = runs.Unlabelled(str(more), 1.0, planned=planned)
    training = runs.start(source, out=tmp_path / "run", params=PARAMS, unlabelled=again)
    for _ in range(stop):
        next(training.steps)
    training.stop()
    runs.resume(tmp_path / "run").run()
    assert bits(tmp_path / "run") == bits(tmp_path / "whole")
    assert bits(tmp_path / "run" / "teacher") == bits(tmp_path / "whole" / "teacher")


def test_a_run_is_repeated_with_as_many_texts(tmp_path: Path, source: runs.Source, more: Path) -> None:
    begin(source, more, tmp_path / "run", minutes=1e-7).run()
    runs.repeat(tmp_path / "run", out=tmp_path / "again").run()
    first, second = (RunFolder.open(tmp_path / name).recipe["unlabelled"] for name in ("run", "again"))
    assert first == second
    assert bits(tmp_path / "again") == bits(tmp_path / "run")


def test_the_same_command_goes_on_after_a_kill(tmp_path: Path, source: runs.Source, more: Path) -> None:
    training = begin(source, more, tmp_path / "run")
    next(training.steps)
    training.stop()
    section = RunFolder.open(tmp_path / "run").recipe["unlabelled"]
    begin(source, more, tmp_path / "run").run()
    assert RunFolder.open(tmp_path / "run").recipe["unlabelled"] == section
    with pytest.raises(RunFolderError, match="already holds a run"):
        begin(source, more, tmp_path / "run")


def test_a_budget_too_small_for_all_texts_takes_some(tmp_path: Path, source: runs.Source, more: Path) -> None:
    training = begin(source, more, tmp_path / "run", minutes=1e-7)
    training.run()
    section = RunFolder.open(tmp_path / "run").recipe["unlabelled"]
    assert section["texts"] == 1


@pytest.fixture
def tagged(tmp_path: Path) -> runs.Source:
    words, tags = samples.sentences(24)
    column_file = tmp_path / "tagged.bio"
    sentences = ["\n".join(map(" ".join, zip(*pair, strict=True))) for pair in zip(words, tags, strict=True)]
    column_file.write_text("\n\n".join(sentences) + "\n")
    return runs.Source(str(column_file), {"kind": "tagged"})


def test_a_tagger_begins_with_a_language(tmp_path: Path, tagged: runs.Source, more: Path) -> None:
    begin(tagged, more, tmp_path / "run", minutes=0.01).run()
    reading = tg.load(tmp_path / "run")._learned().learned.reading
    assert "zephyr" in reading.vocabulary.vocabulary
    language = tg.load(tmp_path / "run" / "language")
    assert "zephyr" in language.vocabulary_.tokenizer.vocabulary


def test_a_budget_too_small_for_a_pass_takes_some_of_the_texts(tmp_path: Path, tagged: runs.Source, more: Path) -> None:
    begin(tagged, more, tmp_path / "run", minutes=1e-7).run()
    section = RunFolder.open(tmp_path / "run").recipe["unlabelled"]
    assert section["epochs"] == 1
    assert 1 <= section["texts"] < 56


@pytest.mark.parametrize("stop", [1, 12])
def test_a_tagger_that_was_stopped_in_either_step_comes_to_the_same(
    tmp_path: Path, tagged: runs.Source, more: Path, stop: int
) -> None:
    begin(tagged, more, tmp_path / "whole", minutes=0.002).run()
    planned = RunFolder.open(tmp_path / "whole").recipe["unlabelled"]
    again = runs.Unlabelled(str(more), 0.002, planned=planned)
    training = runs.start(tagged, out=tmp_path / "run", params=PARAMS, unlabelled=again)
    for _ in range(stop):
        next(training.steps)
    training.stop()
    runs.resume(tmp_path / "run").run()
    for name in (".", "language"):
        assert bits(tmp_path / "run" / name) == bits(tmp_path / "whole" / name)


@pytest.mark.parametrize("minutes", [0, -1, float("nan"), float("inf")])
def test_a_budget_that_is_none_is_refused(minutes: float) -> None:
    with pytest.raises(InputError, match="wanted a number above zero"):
        runs.Unlabelled("more.txt", minutes)


def test_what_cannot_be_done_is_said_before_anything_is_learned(
    tmp_path: Path, source: runs.Source, more: Path
) -> None:
    def refused(error: type[Exception], told: str, **options: Any) -> None:
        wanted: dict[str, Any] = {"out": tmp_path / "run", "params": PARAMS}
        wanted["unlabelled"] = runs.Unlabelled(str(more), 0.01)
        with pytest.raises(error, match=told):
            runs.start(source, **wanted | options)
        assert not (tmp_path / "run" / "teacher").exists()

    refused(InputError, "both came", params=PARAMS | {"teacher": str(more)})
    refused(InputError, "hidden_size", params={"hidden_size": 0})
    refused(DataError, "there is no file or folder", unlabelled=runs.Unlabelled(str(tmp_path / "absent.txt")))
    (tmp_path / "empty.txt").write_text("\n")
    refused(DataError, "empty", unlabelled=runs.Unlabelled(str(tmp_path / "empty.txt")))
    runs.start(source, out=tmp_path / "run", params=PARAMS).run()
    refused(RunFolderError, "overwrites none", overwrite=True)


def test_other_texts_than_those_of_the_recipe_are_refused(tmp_path: Path, source: runs.Source, more: Path) -> None:
    training = begin(source, more, tmp_path / "run")
    next(training.steps)
    training.stop()
    more.write_text("something else\n")
    with pytest.raises(RunFolderError, match="are not those that the run"):
        runs.resume(tmp_path / "run")


def bits(run: Path) -> list[bytes]:
    return [np.asarray(array).tobytes() for _, array in sorted(tg.load(run).weights_.items())]
