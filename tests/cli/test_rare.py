"""The command line with a class that is rare: what it weighs, what it is measured by, and what is said of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tidegate as tg
from commands import Cli
from tidegate import runs
from tidegate.data import Examples

ROWS = [("card refund money", "pay")] * 40 + [("app crash screen", "app")] * 30 + [("app card delete", "rare")] * 6
TRAIN = ("--preset", "plain-bilstm", "--set", "batch_size=16", "--set", "hidden_size=4", "--epochs", 1)


def write(path: Path, rows: list[tuple[str, str]]) -> Path:
    path.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows))
    return path


def test_a_class_that_is_never_predicted_is_named_by_training_and_evaluation(cli: Cli, tmp_path: Path) -> None:
    file, run = write(tmp_path / "t.csv", ROWS), tmp_path / "run"
    plain = cli("train", file, *TRAIN, "--split", 0.34, "--out", run)
    assert plain.code == 0, plain.err
    assert "is never predicted on 26 examples" in plain.err or "are never predicted on 26 examples" in plain.err
    assert "0.00% (" in next(line for line in plain.out.splitlines() if line.startswith("test worst recall"))
    found = json.loads(cli("evaluate", run, file, "--split", 0.34, "--json").out)
    assert "rare" in found["never_predicted"]
    assert found["worst_recall"] == 0.0
    assert "'rare'" in found["warnings"][0]
    assert found["macro_f1"] == pytest.approx(np.mean([score["f1"] for score in found["classes"].values()]))
    shown = cli("evaluate", run, file, "--split", 0.34)
    assert "warning: The class" in shown.err
    assert f"macro f1      {found['macro_f1']:.2%}" in shown.out
    again = cli("train", "--resume", run, "--no-baselines", "--json")
    assert json.loads(again.out)["warnings"] == found["warnings"]
    assert json.loads(again.out)["test"]["worst_class"] == found["worst_class"]
    assert "is never predicted" in (run / "report.html").read_text() or "are never predicted" in plain.err


def test_without_a_test_part_the_part_held_out_says_so(cli: Cli, tmp_path: Path) -> None:
    file = write(tmp_path / "t.csv", ROWS)
    answer = cli("train", file, *TRAIN, "--set", "validation_fraction=0.34", "--out", tmp_path / "run", "--json")
    result = json.loads(answer.out)
    assert "on the part held out" in result["warnings"][0]
    records = map(json.loads, (tmp_path / "run" / "metrics.jsonl").read_text().splitlines())
    last = [record for record in records if "baseline" not in record][-1]
    assert "rare" in last["classes"]["never_predicted"]
    assert (last["valid"]["worst_recall"], result["valid"]["worst_class"]) == (0.0, last["classes"]["worst"])


def test_class_weights_come_from_the_command_line_and_go_into_recipe_and_model(cli: Cli, tmp_path: Path) -> None:
    file = write(tmp_path / "t.csv", ROWS)
    said = {
        "balanced": "class_weight=balanced",
        "toml": "class_weight={rare = 8}",
        "json": 'class_weight={"rare": 8}',
    }
    for name, setting in said.items():
        answer = cli("train", file, *TRAIN, "--set", setting, "--out", tmp_path / name)
        assert answer.code == 0, answer.err
    weights = {name: tg.load(tmp_path / name).get_params()["class_weight"] for name in said}
    assert weights == {"balanced": "balanced", "toml": {"rare": 8.0}, "json": {"rare": 8.0}}
    assert (tmp_path / "toml" / "model.safetensors").read_bytes() == (
        tmp_path / "json" / "model.safetensors"
    ).read_bytes()
    again = cli("train", "--recipe", tmp_path / "toml", "--out", tmp_path / "again")
    assert again.code == 0, again.err
    assert (tmp_path / "again" / "model.safetensors").read_bytes() == (
        tmp_path / "toml" / "model.safetensors"
    ).read_bytes()


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("class_weight=balancd", "wanted 'balanced', or a weight for each label"),
        ("class_weight={rare: 5}", "is no table. Write for example: --set 'class_weight={rare = 5}'"),
        ("class_weight={gone = 5}", "class_weight has the label 'gone', which no training example has"),
    ],
)
def test_class_weights_that_cannot_be_used_are_one_line(cli: Cli, tmp_path: Path, setting: str, said: str) -> None:
    answer = cli("train", write(tmp_path / "t.csv", ROWS), "--set", setting, "--out", tmp_path / "run")
    assert answer.code == 2
    assert said in answer.err


@pytest.mark.parametrize("labels", [(0, 1), (0.0, 1.0), (False, True), ("0", "1")])
def test_a_model_from_python_is_evaluated_on_a_file(cli: Cli, tmp_path: Path, labels: tuple[object, object]) -> None:
    X = ["card refund", "app crash"] * 12
    own = {"hidden_size": 4, "epochs": 4, "validation_fraction": 0, "batch_size": 4}
    model = tg.TextClassifier(**own).fit(X, list(labels) * 12)  # type: ignore[arg-type]
    model.save(tmp_path / "m.safetensors")
    spelled = ("false", "true") if labels == (False, True) and labels[0] is False else ("0", "1")
    file = write(tmp_path / "t.csv", list(zip(X, spelled * 12, strict=True)))
    answer = cli("evaluate", tmp_path / "m.safetensors", file, "--json")
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["accuracy"] == model.score(X, list(labels) * 12)
    stray = write(tmp_path / "stray.csv", [("card refund", "7"), ("app crash", "no")])
    refused = cli("evaluate", tmp_path / "m.safetensors", stray)
    assert refused.code == 2
    assert "the label '7', which no training example has" in refused.err


def test_a_forecaster_that_a_guess_beats_is_told_of_in_plain_words(cli: Cli, tmp_path: Path) -> None:
    hours = np.arange(400)
    rows = "".join(f"{hour},{np.sin(hour / 24 * 2 * np.pi) + 3}\n" for hour in hours)
    (tmp_path / "s.csv").write_text("ds,y\n" + rows)
    usual = ("--task", "forecast", "--lookback", 24, "--horizon", 6, "--epochs", 1, "--hidden-size", 4)
    own = ("--set", "quantiles=[0.1, 0.9]", "--set", "learning_rate=1e-6", "--set", "window_scaling=off")
    answer = cli("train", tmp_path / "s.csv", *usual, *own, "--split", 0.2, "--out", tmp_path / "run", "--json")
    result = json.loads(answer.out)
    assert "the model is worse than repeating the last value, which needs no model" in result["warnings"][0]
    assert result["test"]["mse"] > result["test"]["naive mse"]
    assert "warning: On" in answer.err
    found = json.loads(cli("evaluate", tmp_path / "run", tmp_path / "s.csv", "--split", 0.2, "--json").out)
    assert found["warnings"] == result["warnings"]


def test_means_outside_of_their_quantiles_are_counted_by_hand() -> None:
    from tidegate.tasks.forecasting.forecast import means_outside

    answers = np.array([[[2.1, 2.53, 2.81], [2.6, 2.53, 2.81]], [[2.81, 2.53, 2.81], [2.9, 2.53, 2.81]]])
    assert means_outside(answers).tolist() == [[True, False], [False, True]]
    assert not means_outside(answers[..., :2]).any()  # one quantile spans nothing


def test_macro_f1_and_recall_are_those_of_scikit_learn() -> None:
    from sklearn.metrics import f1_score, recall_score

    rng = np.random.default_rng(0)
    names = np.array(["a", "b", "c", "d"])
    for _ in range(20):
        true, predicted = rng.choice(names[:3], 30), rng.choice(names[1:], 30)
        rows = (predicted[:, None] == names).astype(np.float32)
        found = runs.measure_classifier(_Says(names, rows), Examples(list(true), list(true)))  # type: ignore[arg-type]
        assert found.macro_f1 == pytest.approx(f1_score(true, predicted, average="macro", zero_division=0))
        recalls = recall_score(true, predicted, average=None, labels=sorted(set(true)), zero_division=0)
        assert found.worst_recall == pytest.approx(recalls.min())
        assert found.neglect.worst == sorted(set(true))[int(recalls.argmin())]


class _Says:
    temperature_, multilabel_, thresholds_ = None, False, None

    def __init__(self, names: Any, rows: Any) -> None:
        self.classes_, self.rows = names, np.maximum(rows, 1e-3)

    def predict_proba(self, X: object) -> Any:
        return self.rows
