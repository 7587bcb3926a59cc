"""Probabilities that come true: the temperature of classifiers, and how far off they are without."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

import tidegate as tg
from classifiers import KINDS, PLAIN, SMALL, Kind
from graphs import lens, padded, run_onnx
from tidegate.checkpoint import load_model, save_model
from tidegate.data import Examples
from tidegate.errors import ModelFileError
from tidegate.export import to_onnx
from tidegate.ragged import Ragged
from tidegate.runs import evaluate
from tidegate.tasks.classifying.calibration import calibration_error, fit_temperature, reliability
from tidegate.tasks.loading import from_recipe

pytestmark = pytest.mark.filterwarnings("ignore:.*too few")


def noisy(kind: Kind, count: int, seed: int = 0) -> tuple[list[Any], list[str]]:
    """Draw examples, every fourth of which has the other label: nobody can be certain."""
    X, y = kind.data(count, seed=seed)
    names = sorted(set(y))
    return X, [names[1 - names.index(label)] if at % 4 == 0 else label for at, label in enumerate(y)]


def loss_of(logits: Any, true: Any, inverse: float) -> float:
    return float(-log_softmax(logits * inverse, axis=1)[np.arange(len(true)), true].mean())


# --- the number -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("scale", [0.3, 1.0, 6.0])
def test_the_temperature_is_where_the_loss_is_least(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(20_000, 4)) * 2
    true = np.array([rng.choice(4, p=row) for row in np.exp(log_softmax(scores, axis=1))])
    found = fit_temperature(scores * scale, true)
    wanted = minimize_scalar(
        lambda inverse: loss_of(scores * scale, true, inverse), bounds=(0.01, 20), method="bounded"
    )
    assert found == pytest.approx(1 / wanted.x, rel=2e-3)
    assert found == pytest.approx(scale, rel=0.05)  # what the scores were made larger by


def test_weights_count_as_examples_that_come_more_often() -> None:
    rng = np.random.default_rng(0)
    scores, true, times = rng.normal(size=(3000, 3)) * 3, rng.integers(0, 3, 3000), rng.integers(1, 4, 3000)
    true[:2000] = scores[:2000].argmax(axis=1)
    again = fit_temperature(np.repeat(scores, times, axis=0), np.repeat(true, times))
    assert fit_temperature(scores, true, times.astype(float)) == pytest.approx(again, rel=0.02)


@pytest.mark.parametrize("count", [1, 3, 10])
def test_a_handful_of_examples_that_are_all_right_makes_nothing_certain(count: int) -> None:
    found = fit_temperature(np.array([[3.0, 0.0]] * count), np.zeros(count, np.int64))
    assert 0.75 < found < 1.0


def test_scores_that_say_nothing_or_are_not_finite_stay_as_they_are() -> None:
    true = np.array([0, 1, 1])
    assert fit_temperature(np.zeros((3, 2)), true) == 1.0
    assert fit_temperature(np.full((3, 2), np.inf), true) == 1.0
    assert fit_temperature(np.zeros((0, 2)), true[:0]) == 1.0


def test_the_calibration_error_is_that_of_the_definition() -> None:
    rng = np.random.default_rng(1)
    shares, true = rng.dirichlet([0.4] * 3, 500), rng.integers(0, 3, 500)
    certain, right, wanted = shares.max(axis=1), shares.argmax(axis=1) == true, 0.0
    for low in np.arange(15) / 15:
        here = (certain > low) & (certain <= low + 1 / 15)
        if here.any():
            wanted += here.mean() * abs(right[here].mean() - certain[here].mean())
    assert calibration_error(reliability(shares, true)) == pytest.approx(wanted)
    assert sum(count for _, _, count in reliability(shares, true)) == 500


# --- what classifiers do with it --------------------------------------------------------------------------------------


def test_probabilities_are_those_at_the_temperature_everywhere_and_answers_stay(kind: Kind) -> None:
    X, y = noisy(kind, 200)
    held = noisy(kind, 200, seed=5)
    plain, cooled = (kind.task(**SMALL | {"epochs": 4}, calibrate=calibrate) for calibrate in (False, True))
    for model in (plain, cooled):
        list(model.fit_steps(X, y, valid=held))
    temperature = cooled.temperature_
    assert plain.temperature_ is None
    assert abs(temperature - 1) > 0.05
    before, after = (model.predict_proba(held[0]).astype(float) for model in (plain, cooled))
    wanted = np.exp(log_softmax(np.log(before) / temperature, axis=1))
    np.testing.assert_allclose(after, wanted, rtol=2e-5, atol=1e-7)
    assert (plain.predict(held[0]) == cooled.predict(held[0])).all()
    true = np.searchsorted(cooled.classes_, held[1])
    assert temperature == fit_temperature(np.log(before), true)
    assert loss_of(np.log(after), true, 1.0) < loss_of(np.log(before), true, 1.0)


def test_measures_tell_of_both_and_agree_with_what_is_measured_later(kind: Kind) -> None:
    held = noisy(kind, 200, seed=5)
    model = kind.task(**SMALL | {"epochs": 3})
    list(model.fit_steps(*noisy(kind, 200), valid=held))
    told, found = model.history_[-1], evaluate(model, Examples(*held))
    measures = found.measures()
    for name in ("loss", "ece", "uncalibrated_loss", "uncalibrated_ece"):
        assert told[f"valid_{name}"] == pytest.approx(measures[name], rel=1e-4, abs=1e-6), name
    assert measures["loss"] < measures["uncalibrated_loss"]
    assert found.to_json()["reliability"] == pytest.approx(np.array(told["reliability"]), rel=1e-4)
    assert model.about_.metrics["validation"]["temperature"] == model.temperature_


def test_a_saved_model_says_the_same(kind: Kind, tmp_path: Path) -> None:
    X, y = noisy(kind, 60)
    model = kind.task(**SMALL | {"epochs": 3}).fit(X, y)
    model.save(tmp_path / "model.safetensors")
    again = tg.load(tmp_path / "model.safetensors")
    assert again.temperature_ == model.temperature_ != 1.0
    assert (again.predict_proba(X) == model.predict_proba(X)).all()


def test_streams_and_graphs_say_the_same(kind: Kind, tmp_path: Path) -> None:
    X, y = noisy(kind, 60)
    words = PLAIN if kind is KINDS["text"] else {}
    model = kind.task(**SMALL | {"epochs": 3, "bidirectional": False, "pooling": ("last",)} | words).fit(X, y)
    assert model.temperature_ != 1.0
    wanted = model.predict_proba(X[:5])
    for x, row in zip(X[:5], wanted, strict=True):
        stream = model.stream()
        told = [stream.step(step) for step in (x.split() if isinstance(x, str) else x)]
        assert (told[-1] == row).all()
    to_onnx(model, tmp_path / "model.onnx")
    read, _ = model.prepare(X[:5])
    if kind is KINDS["text"]:
        inputs = {"tokens": padded(read, fill=-1).astype(np.int64)}
    else:
        inputs = {"features": padded(Ragged.from_list(X[:5], dtype=np.float32))}
    inputs["sequence_lens"] = lens(read)
    found = run_onnx(tmp_path / "model.onnx", inputs)["probabilities"]
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5)


def test_nothing_is_cooled_where_nothing_is_held_out_or_nobody_asked(kind: Kind) -> None:
    X, y = noisy(kind, 40)
    all_learned = kind.task(**SMALL | {"epochs": 2, "validation_fraction": 0}).fit(X, y)
    not_asked = kind.task(**SMALL | {"epochs": 2, "calibrate": False}).fit(X, y)
    assert (all_learned.temperature_, not_asked.temperature_) == (None, None)
    assert "valid_temperature" not in not_asked.history_[-1]
    assert "uncalibrated_loss" not in evaluate(not_asked, Examples(X, y)).measures()


def test_recipes_and_files_of_before_know_no_temperature(kind: Kind, tmp_path: Path) -> None:
    model = kind.task(**SMALL | {"epochs": 2, "calibrate": False}).fit(*noisy(kind, 40))
    params = {name: value for name, value in model.get_params().items() if name != "calibrate" and value is not None}
    assert from_recipe({"task": model.name, "params": params}).get_params()["calibrate"] is False
    model.save(tmp_path / "old.safetensors")
    read = load_model(tmp_path / "old.safetensors")
    assert "temperature" not in read.task
    del read.task["params"]["calibrate"]
    save_model(tmp_path / "older", read.network, weights=read.weights, task=read.task, arrays=read.arrays)
    older = tg.load(tmp_path / "older")
    assert (older.calibrate, older.temperature_) == (False, None)


@pytest.mark.parametrize("bad", [0.0, -1.0, 1e9, "1.0", True, [1.0]])
def test_a_temperature_that_can_be_none_is_refused(bad: Any, tmp_path: Path) -> None:
    kind = KINDS["sequence"]
    kind.task(**SMALL | {"epochs": 1}).fit(*noisy(kind, 40)).save(tmp_path / "model")
    read = load_model(tmp_path / "model")
    read.task["temperature"] = bad
    save_model(tmp_path / "bad", read.network, weights=read.weights, task=read.task, arrays=read.arrays)
    with pytest.raises(ModelFileError, match=r"its temperature is .*; wanted a number from 0\.01 to 100"):
        tg.load(tmp_path / "bad")


def test_a_stopped_run_comes_to_the_same_temperature(kind: Kind, tmp_path: Path) -> None:
    X, y = noisy(kind, 60)
    params = SMALL | {"epochs": 4, "patience": 2}
    whole = kind.task(**params)
    list(whole.fit_steps(X, y, run_dir=tmp_path / "whole"))
    steps = kind.task(**params).fit_steps(X, y, run_dir=tmp_path / "stopped")
    for step in steps:
        if step.step == 15:
            steps.close()
    resumed = kind.task(**params)
    list(resumed.fit_steps(X, y, resume=tmp_path / "stopped"))
    assert resumed.temperature_ == whole.temperature_ != 1.0
    files = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "stopped")]
    assert files[0] == files[1]
