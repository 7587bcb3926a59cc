"""Thresholds that are chosen on what was held out: for the rarer of two classes, and for each of several labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import f1_score

import tidegate as tg
from classifiers import KINDS, SMALL, Kind, draw_several
from commands import Cli
from tidegate.checkpoint import load_model, save_model
from tidegate.data import Examples
from tidegate.errors import InputError, ModelFileError
from tidegate.runs import evaluate
from tidegate.tasks.classifying.choosing import choose_thresholds, decide

Data = tuple[list[Any], list[str]]


def rare(kind: Kind, count: int, seed: int = 0) -> Data:
    """Draw examples of two classes, of which most that look like the second have the label of the first."""
    X, y = kind.data(count, seed=seed)
    names = sorted(set(y))
    return X, [names[0] if label == names[1] and at % 8 < 5 else label for at, label in enumerate(y)]


def learned(kind: Kind, held: Data, **changes: Any) -> Any:
    model = kind.task(**SMALL | {"epochs": 6} | changes)
    list(model.fit_steps(*rare(kind, 240), valid=held))
    return model


# --- the choice -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_no_other_threshold_has_a_larger_f1(seed: int) -> None:
    rng = np.random.default_rng(seed)
    likely = np.round(rng.random(120), 2)  # with ties
    truth = (rng.random(120) < likely**2).astype(np.int64)
    pairs = np.stack([1 - likely, likely], axis=1)
    thresholds = choose_thresholds(pairs, truth)
    wanted = max(f1_score(truth, likely >= cut) for cut in [*likely, 2.0])
    assert f1_score(truth, decide(pairs, several=False, thresholds=thresholds)) == pytest.approx(wanted)


def test_the_rarer_class_has_the_threshold_whichever_comes_first() -> None:
    rng = np.random.default_rng(0)
    likely = rng.random(100)
    pairs, truth = np.stack([1 - likely, likely], axis=1), (likely > 0.7).astype(np.int64)
    first, second = choose_thresholds(pairs, truth), choose_thresholds(pairs[:, ::-1], 1 - truth)
    assert first == second[::-1]
    assert first[0] is None and first[1] == pytest.approx(0.7, abs=0.03)


def test_few_examples_of_a_label_leave_it_as_it_is() -> None:
    truth = np.zeros((60, 3))
    truth[:9, 0], truth[:12, 1], truth[:52, 2] = 1, 1, 1
    likely = np.where(truth > 0, 0.3, 0.1)
    assert choose_thresholds(likely, truth) == (0.5, 0.2, 0.5)


# --- what classifiers do with it --------------------------------------------------------------------------------------


def test_predict_names_the_rare_class_from_its_threshold_on(kind: Kind) -> None:
    held = rare(kind, 160, seed=3)
    model = learned(kind, held, thresholds="f1")
    plain = learned(kind, held)
    shares = model.predict_proba(held[0])
    assert shares.tobytes() == plain.predict_proba(held[0]).tobytes()
    assert plain.thresholds_ is None
    assert model.thresholds_[0] is None and model.thresholds_[1] < 0.5
    assert model.predict(held[0]).tolist() == [
        model.classes_[int(share >= model.thresholds_[1])] for share in shares[:, 1]
    ]
    name = model.classes_[1]
    said, before = (f1_score(held[1], each.predict(held[0]), pos_label=name) for each in (model, plain))
    assert said > before + 0.1
    assert model.score(*held) == pytest.approx(np.mean(model.predict(held[0]) == held[1]))
    told = model.history_[-1]
    assert told["valid_macro_f1"] == pytest.approx(f1_score(held[1], model.predict(held[0]), average="macro"))
    found = evaluate(model, Examples(*held))
    assert found.measures()["macro_f1"] == pytest.approx(told["valid_macro_f1"])
    assert found.to_json()["thresholds"] == {name: model.thresholds_[1]}
    assert [row["threshold"] for row in found.table()] == ["-", f"{model.thresholds_[1]:.4f}"]


def test_each_of_several_labels_has_its_own(kind: Kind) -> None:
    held = draw_several(kind, 100, seed=6)
    model = kind.task(**SMALL | {"epochs": 2}, thresholds="f1")
    list(model.fit_steps(*draw_several(kind, 80), valid=held))
    assert len(model.thresholds_) == 3 and None not in model.thresholds_
    shares, names = model.predict_proba(held[0]), model.classes_.tolist()
    assert model.predict(held[0]).tolist() == [
        [name for name, share, least in zip(names, row, model.thresholds_, strict=True) if share >= least]
        for row in shares
    ]
    truth, said = ([[name in labels for name in names] for labels in y] for y in (held[1], model.predict(held[0])))
    assert f1_score(truth, said, average="macro") >= f1_score(truth, shares > 0.5, average="macro")


def test_files_keep_them_and_a_refit_takes_them_over(kind: Kind, tmp_path: Path) -> None:
    X, y = rare(kind, 240)
    params = SMALL | {"epochs": 4, "validation_fraction": 0.4}
    first = kind.task(**params, thresholds="f1").fit(X, y)
    again = kind.task(**params, thresholds="f1", refit=True).fit(X, y)
    assert first.thresholds_ == again.thresholds_ != (None, 0.5)
    first.save(tmp_path / "model")
    loaded = tg.load(tmp_path / "model")
    assert loaded.thresholds_ == first.thresholds_
    assert loaded.predict(X).tolist() == first.predict(X).tolist()


@pytest.mark.parametrize("bad", [[0.5, 0.5], [None, None], [None, 1.5], [None, "x"], [0.5], 0.5, [None, None, 0.5]])
def test_thresholds_that_can_be_none_are_refused(bad: Any, tmp_path: Path) -> None:
    kind = KINDS["sequence"]
    kind.task(**SMALL | {"epochs": 1}).fit(*kind.data(40)).save(tmp_path / "model")
    read = load_model(tmp_path / "model")
    read.task["thresholds"] = bad
    save_model(tmp_path / "bad", read.network, weights=read.weights, task=read.task)
    with pytest.raises(ModelFileError, match="its thresholds are"):
        tg.load(tmp_path / "bad")


def test_what_has_no_thresholds_is_refused(kind: Kind) -> None:
    with pytest.raises(InputError, match=r"chosen on what is held out, and nothing is\. Pass validation_fraction=0\.1"):
        kind.task(**SMALL | {"validation_fraction": 0}, thresholds="f1").fit(*kind.data(40))
    with pytest.raises(InputError, match="here one of 3 classes is right"):
        kind.task(**SMALL, thresholds="f1").fit(*kind.data(40, 3))


def test_the_command_line_answers_by_them(tmp_path: Path, cli: Cli) -> None:
    X, y = rare(KINDS["text"], 240)
    (tmp_path / "a.csv").write_text("text,label\n" + "".join(f"{t},{label}\n" for t, label in zip(X, y, strict=True)))
    run = str(tmp_path / "run")
    options = ("--set", "thresholds=f1", "--set", "validation_fraction=0.4", "--epochs", "4", "--hidden-size", "4")
    assert cli("train", str(tmp_path / "a.csv"), *options, "--out", run).code == 0
    model = tg.load(run)
    asked = [text for text, share in zip(X, model.predict_proba(X)[:, 1], strict=True) if share >= model.thresholds_[1]]
    said = cli("predict", run, asked[0], "--json")
    assert json.loads(said.out)["label"] == model.classes_[1] == model.predict(asked[:1])[0]
    assert "threshold" in cli("evaluate", run, str(tmp_path / "a.csv")).out
