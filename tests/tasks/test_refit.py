"""Training anew on all rows, once a part held out has chosen the number of epochs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tidegate as tg
from classifiers import SMALL, Kind
from samples import texts
from tidegate.errors import InputError, TrainingError
from tidegate.runs import Source, start

CONSTANT: dict[str, Any] = SMALL | {"epochs": 5, "schedule": "constant", "warmup": 0.0, "calibrate": False}


def same_weights(first: Any, second: Any) -> bool:
    assert first.weights_.keys() == second.weights_.keys()
    return all(first.weights_[name].tobytes() == second.weights_[name].tobytes() for name in first.weights_)


@pytest.mark.parametrize("patience", [0, 1])
def test_a_refit_is_a_training_on_all_rows_for_the_chosen_epochs(kind: Kind, patience: int) -> None:
    X, y = kind.data(40)
    params = CONSTANT | {"learning_rate": 0.1, "patience": patience}
    again = kind.task(**params, refit=True).fit(X, y)
    first = [record for record in again.history_ if "refit" not in record]
    losses = [record["valid_loss"] for record in first]
    chosen = 1 + losses.index(min(losses)) if patience else 5
    assert len(again.history_) == len(first) + chosen
    assert again.history_[: len(first)] != [] and "valid_loss" not in again.history_[-1]
    plain = kind.task(**params | {"validation_fraction": 0, "epochs": chosen}).fit(X, y)
    assert same_weights(again, plain)
    assert again.predict_proba(X).tobytes() == plain.predict_proba(X).tobytes()


def test_rows_of_a_validation_part_that_is_passed_are_learned_from_too(kind: Kind) -> None:
    X, y = kind.data(24)
    held = kind.data(16, seed=4)
    again = kind.task(**CONSTANT, refit=True)
    list(again.fit_steps(X, y, valid=held))
    plain = kind.task(**CONSTANT | {"validation_fraction": 0}).fit([*X, *held[0]], [*y, *held[1]])
    assert same_weights(again, plain)
    weighed = kind.task(**CONSTANT, refit=True)
    list(weighed.fit_steps(X, y, valid=held, sample_weight=[1, 3] * 12))
    weights = [*[1, 3] * 12, *[1] * 16]
    plain = kind.task(**CONSTANT | {"validation_fraction": 0}).fit([*X, *held[0]], [*y, *held[1]], weights)
    assert same_weights(weighed, plain)


def test_the_schedule_is_that_of_the_first_training_up_to_where_it_was_best(kind: Kind) -> None:
    X, y = kind.data(40)
    again = kind.task(**SMALL | {"epochs": 6, "patience": 2, "learning_rate": 0.2}, refit=True).fit(X, y)
    first = [record["learning_rate"] for record in again.history_ if "refit" not in record]
    second = [record["learning_rate"] for record in again.history_ if "refit" in record]
    assert second == pytest.approx(first[: len(second)], abs=2e-3)


def test_the_temperature_of_the_first_training_is_taken_over(kind: Kind) -> None:
    X, y = kind.data(40)
    params = SMALL | {"epochs": 3}
    again, plain = kind.task(**params, refit=True).fit(X, y), kind.task(**params | {"validation_fraction": 0}).fit(X, y)
    first = kind.task(**params).fit(X, y)
    assert again.temperature_ == first.temperature_ != 1.0
    scores = np.log(plain.predict_proba(X).astype(float)) / again.temperature_
    wanted = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(again.predict_proba(X), wanted, rtol=1e-4, atol=1e-7)


def test_no_number_of_the_part_held_out_is_said_of_the_model_that_has_seen_it(kind: Kind) -> None:
    X, y = kind.data(40)
    params = SMALL | {"epochs": 3}
    first, again = kind.task(**params).fit(X, y), kind.task(**params, refit=True).fit(X, y)
    measured = first.about_.metrics["validation"]
    assert again.about_.metrics == {"validation before the refit": measured}


@pytest.mark.parametrize("patience", [0, 1])
@pytest.mark.parametrize("stop", [1, 4, 8, 9, 12, 13, -1])
def test_a_stopped_run_resumes_to_the_bit(kind: Kind, tmp_path: Path, stop: int, patience: int) -> None:
    X, y = kind.data(40)
    params = SMALL | {"epochs": 3, "patience": patience, "learning_rate": 0.5 if patience else 0.05}
    every = list(kind.task(**params, refit=True).fit_steps(X, y, run_dir=tmp_path / "whole"))
    stop = len(every) if stop == -1 else stop
    stopped = kind.task(**params, refit=True)
    steps = stopped.fit_steps(X, y, run_dir=tmp_path / "stopped")
    numbers = [next(steps).step for _ in range(stop)]
    steps.close()
    assert numbers == list(range(1, stop + 1))
    assert stopped.predict(X).shape == (40,)  # with what was trained first, as long as the second is under way
    assert not any(record.get("refit") for record in stopped.history_)
    rest = list(kind.task(**params, refit=True).fit_steps(X, y, resume=tmp_path / "stopped"))
    assert [step.step for step in rest] == list(range(stop + 1, len(every) + 1))
    assert (every[-1].step, every[-1].epoch) == (every[-1].steps, every[-1].epochs)
    files = [tmp_path / name / "model.safetensors" for name in ("whole", "stopped")]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert not (tmp_path / "stopped" / "state.safetensors").exists()
    logs = []
    for file in files:
        records = [json.loads(line) for line in (file.parent / "metrics.jsonl").read_text().splitlines()]
        logs.append([{key: value for key, value in record.items() if key != "seconds"} for record in records])
    assert logs[0] == logs[1]
    assert [record["epoch"] for record in logs[0]] == sorted(record["epoch"] for record in logs[0])


def test_a_refit_that_fails_leaves_the_model_of_the_first_training(kind: Kind) -> None:
    X, y = kind.data(40)
    params = SMALL | {"epochs": 2}
    task = kind.task(**params, refit=True)
    steps = task.fit_steps(X, y)
    while not next(steps).refit:
        pass
    with pytest.raises(TrainingError, match="not finite"):
        steps.throw(TrainingError("the loss is not finite"))
    assert same_weights(task, kind.task(**params).fit(X, y))
    assert task.about_.metrics.keys() == {"validation"}


def test_nothing_held_out_is_nothing_to_refit_on() -> None:
    task = tg.TextClassifier(refit=True)
    with pytest.raises(InputError, match=r"nothing is\. Pass validation_fraction=0\.1, or a validation part"):
        task.fit(*texts(20))


def test_a_run_says_what_was_measured_before(tmp_path: Path) -> None:
    lines = [f"{text},{label}" for text, label in zip(*texts(60), strict=True)]
    (tmp_path / "rows.csv").write_text("\n".join(["text,label", *lines, ""]))
    params = {"hidden_size": 4, "epochs": 2, "refit": True}
    training = start(Source(str(tmp_path / "rows.csv"), {"split": 0.25}), params=params, out=tmp_path / "run")
    result = training.run()
    assert result.refitted and result.valid is not None and result.test is not None
    assert training.model.get_params()["validation_fraction"] == 0.1
    headline = result.headline()
    assert {"test accuracy", "validation before the refit accuracy"} <= headline.keys()
    assert headline["epochs"].endswith("on all rows")
    assert "refit = true" in (tmp_path / "run" / "recipe.toml").read_text()
    page = (tmp_path / "run" / "report.html").read_text()
    assert "<th>refit</th>" in page and "<td>yes</td>" in page
