"""`tidegate train`, called as `main(argv)`: the run it leaves, what it prints and where, and misuse of any command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import tidegate as tg
from commands import Cli
from reviews import SMALL, write_reviews
from tidegate import data


def test_train_prints_one_json_object_whose_numbers_hold(cli: Cli, tmp_path: Path) -> None:
    answer = cli("train", "digits", *SMALL, "--seed", 3, "--out", tmp_path / "run", "--json")
    assert answer.code == 0
    result = json.loads(answer.out)
    assert answer.out.count("\n") == 1
    assert result["task"] == "sequence-classifier"
    assert result["data"] == "digits"
    assert result["params"]["hidden_size"] == 4
    assert result["params"]["seed"] == 3
    assert result["epochs"] == 2

    model = tg.load(result["model"])
    test = data.load("digits").test
    assert test is not None
    probabilities = model.predict_proba(test.x).astype(np.float64)
    right = probabilities[np.arange(len(test)), np.asarray(test.y)]
    assert result["test"]["accuracy"] == pytest.approx(np.mean(probabilities.argmax(axis=1) == np.asarray(test.y)))
    assert result["test"]["loss"] == pytest.approx(-np.log(right).mean(), rel=1e-5)
    assert result["test"]["examples"] == len(test)

    steps = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert result["tokens_per_second"] == pytest.approx(sum(s["tokens"] for s in steps) / steps[-1]["seconds"])
    assert result["train_seconds"] == steps[-1]["seconds"]
    assert result["parameters"] == sum(array.size for array in model.weights_.values())


def test_train_leaves_a_run_folder_and_says_each_epoch_on_stderr(digits_run: Path, cli: Cli, tmp_path: Path) -> None:
    assert {file.name for file in digits_run.iterdir()} == {
        "model.safetensors",
        "metrics.jsonl",
        "recipe.toml",
        "report.html",
    }
    answer = cli("train", "digits", *SMALL, "--out", tmp_path / "run")
    assert [line.split("  ")[0] for line in answer.err.splitlines() if line.startswith("epoch")] == [
        "epoch 1/2",
        "epoch 2/2",
    ]
    assert "epoch 1" not in answer.out
    assert "test accuracy" in answer.out


def test_train_says_what_is_wrong_once_on_stderr_and_in_the_report(cli: Cli, tmp_path: Path) -> None:
    file, run = tmp_path / "padded.csv", tmp_path / "run"
    rows = [f"{word} film <pad> <pad>,{word}" for word in ("good", "bad") * 20]
    file.write_text("text,label\n" + "\n".join(rows) + "\n")
    answer = cli("train", file, *SMALL, "--out", run)
    assert answer.code == 0
    said = [line for line in answer.err.splitlines() if line.startswith("warning: ")]
    assert len(said) == 1
    assert "padding in the texts: 100% of them end with '<pad>' more than once. Leave it out" in said[0]
    assert "warning" not in answer.out
    assert "padding in the texts: 100% of them end with &#x27;&lt;pad&gt;&#x27;" in (run / "report.html").read_text()


def test_the_validation_figure_is_that_of_the_weights_that_were_kept(cli: Cli, tmp_path: Path) -> None:
    settings = ("--set", "learning_rate=1.0", "--set", "schedule=constant", "--set", "patience=2")
    answer = cli("train", "digits", "--hidden-size", 4, "--epochs", 8, *settings, "--out", tmp_path / "run", "--json")
    steps = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    measured = [step["valid"] for step in steps if step["valid"]]
    best = min(measured, key=lambda valid: valid["loss"])
    assert best != measured[-1], "the run should have become worse before it ended"
    worst = next(step["classes"]["worst"] for step in steps if step["valid"] == best)
    assert json.loads(answer.out)["valid"] == best | {"worst_class": worst}


def test_flags_and_settings_reach_the_task(cli: Cli, tmp_path: Path) -> None:
    flags = ("--cell", "gru", "--no-bidirectional", "--layers", 2, "--hidden-size", 3, "--epochs", 1, "--seed", 5)
    settings = ("--set", "dropout=0.25", "--set", "pooling=['last']", "--set", "optimizer=adam")
    params = json.loads(cli("train", "digits", *flags, *settings, "--out", tmp_path / "run", "--json").out)["params"]
    wanted = {"cell": "gru", "bidirectional": False, "num_layers": 2, "hidden_size": 3, "epochs": 1, "seed": 5}
    assert {name: params[name] for name in wanted} == wanted
    assert (params["dropout"], params["pooling"], params["optimizer"]) == (0.25, ["last"], "adam")


def test_train_says_what_followed_from_the_data(cli: Cli, tmp_path: Path) -> None:
    file, run = write_reviews(tmp_path / "reviews.csv"), tmp_path / "run"
    answer = cli("train", file, "--text", "review", "--label", "stars", *SMALL, "--no-baselines", "--out", run)
    assert "follows from the data: batch_size 16, word_dropout 0.3, " in answer.err
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "batch_size = 16 # 16 up to 4,000 texts, else 64" in page


def test_a_recipe_trains_the_same_weights_again(cli: Cli, digits_run: Path, tmp_path: Path) -> None:
    assert cli("train", "--recipe", digits_run, "--out", tmp_path / "again").code == 0
    assert (tmp_path / "again/model.safetensors").read_bytes() == (digits_run / "model.safetensors").read_bytes()


def test_a_recipe_is_not_repeated_on_other_examples(cli: Cli, tmp_path: Path) -> None:
    file = write_reviews(tmp_path / "reviews.csv")
    columns = ("--text", "review", "--label", "stars")
    assert cli("train", file, *columns, *SMALL, "--out", tmp_path / "run").code == 0
    file.write_text(file.read_text(encoding="utf-8") + "so good,pos\n", encoding="utf-8")
    answer = cli("train", "--recipe", tmp_path / "run", "--out", tmp_path / "again")
    assert answer.code == 2
    assert "are not those of the run" in answer.err


def test_a_run_is_not_overwritten_unless_asked(cli: Cli, reviews: Path, tmp_path: Path) -> None:
    arguments = (
        "train",
        reviews,
        "--text",
        "review",
        "--label",
        "stars",
        *SMALL,
        "--set",
        "batch_size=64",
        "--out",
        tmp_path / "run",
    )
    assert cli(*arguments, "--seed", 1).code == 0
    first = (tmp_path / "run/model.safetensors").read_bytes()
    refused = cli(*arguments, "--seed", 2)
    assert refused.code == 2
    assert "already holds a run" in refused.err
    assert (tmp_path / "run/model.safetensors").read_bytes() == first
    assert cli(*arguments, "--seed", 2, "--overwrite").code == 0
    assert (tmp_path / "run/model.safetensors").read_bytes() != first
    records = map(json.loads, (tmp_path / "run/metrics.jsonl").read_text().splitlines())
    assert [record["step"] for record in records if "baseline" not in record] == [1, 2]


def test_overwriting_with_data_that_cannot_be_used_leaves_the_old_run_whole(cli: Cli, tmp_path: Path) -> None:
    good, bad = write_reviews(tmp_path / "good.csv"), tmp_path / "bad.csv"
    bad.write_text("review,stars\n" + "so good,pos\n" * 20, encoding="utf-8")
    columns = ("--text", "review", "--label", "stars")
    assert cli("train", good, *columns, *SMALL, "--out", tmp_path / "run").code == 0
    before = {file.name: file.read_bytes() for file in (tmp_path / "run").iterdir()}
    assert cli("train", bad, *columns, *SMALL, "--out", tmp_path / "run", "--overwrite").code == 2
    assert {file.name: file.read_bytes() for file in (tmp_path / "run").iterdir()} == before


def test_a_run_that_cannot_begin_leaves_no_folder(cli: Cli, tmp_path: Path) -> None:
    assert cli("train", "digits", "--set", "hidden_size=0", "--out", tmp_path / "run").code == 2
    assert not (tmp_path / "run").exists()


def test_without_out_each_run_gets_a_new_folder(
    cli: Cli, reviews: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert cli("train", reviews, "--text", "review", "--label", "stars", *SMALL).code == 0
    assert sorted(path.name for path in Path("runs").iterdir()) == ["reviews.csv-lstm", "reviews.csv-lstm-2"]


# --- misuse: one line that says what came and what to do, and exit code 2 -----------------------------------------

MISUSE = {
    "unknown data": (("train", "digit"), "Did you mean 'digits'?"),
    "unknown preset": (("train", "digits", "--preset", "pixel"), "Did you mean 'pixels'?"),
    "unknown cell": (("train", "digits", "--cell", "lstn"), "Did you mean 'lstm'?"),
    "unknown setting": (("train", "digits", "--set", "hiden_size=3"), "Did you mean 'hidden_size'?"),
    "unknown option": (("train", "digits", "--hiden-size", "3"), "--hidden-size"),
    "unknown command": (("trian", "digits"), "Did you mean 'train'?"),
    "unknown name": (("data", "path", "imbd"), "Did you mean 'imdb'?"),
    "not a number": (("train", "digits", "--set", "hidden_size=many"), "hidden_size"),
    "not key=value": (("train", "digits", "--set", "dropout"), "KEY=VALUE"),
    "split as a way to read": (("train", "digits", "--read", "split=0.2"), "--read split=... says nothing"),
    "no data": (("train",), "exactly one of DATA"),
    "two sources": (("train", "digits", "--resume", "run"), "exactly one of DATA"),
    "options with resume": (("train", "--resume", "run", "--epochs", "3"), "Leave the others out"),
    "out with resume": (("train", "--resume", "run", "--out", "other"), "Leave --out"),
    "nothing to resume": (("train", "--resume", "no-such-run"), "holds no run"),
    "preset for texts": (("train", "digits", "--preset", "tutorial-lstm"), "is for a text-classifier"),
    "columns of a data set": (("train", "digits", "--text", "review"), "has none"),
    "no such file": (("train", "no-such.csv"), "there is no file"),
    "no presets": (("compare", "digits", "--presets", ","), "got none"),
    "a preset twice": (("compare", "digits", "--presets", "tutorial-lstm,tutorial-lstm"), "each once"),
    "compare sequences": (("compare", "digits", "--presets", "tutorial-lstm"), "is for a text-classifier"),
}


@pytest.mark.parametrize(("arguments", "fragment"), MISUSE.values(), ids=MISUSE.keys())
def test_misuse_is_told_and_exits_2(
    cli: Cli, arguments: tuple[str, ...], fragment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = cli(*arguments)
    assert (answer.code, answer.out) == (2, "")
    assert fragment in answer.err
    assert list(tmp_path.glob("runs/*")) == []


BAD_FILES = {
    "missing column": (b"text,stars\ngood,pos\nbad,neg\n", ("review",)),
    "empty file": (b"", ()),
    "header only": (b"review,stars\n", ()),
    "one class": (b"review,stars\n" + b"good,pos\n" * 20, ("'pos'",)),
    "invalid UTF-8": (b"review,stars\ngood,pos\n\xff\xfebad,neg\n", ("0xff",)),
    "empty text": (b"review,stars\ngood,pos\n ,neg\n", ("row",)),
    "missing label": (b"review,stars\ngood,pos\nbad,\n", ("row",)),
}


@pytest.mark.parametrize(("content", "fragments"), BAD_FILES.values(), ids=BAD_FILES.keys())
def test_a_file_that_cannot_be_used_is_told_and_exits_2(
    cli: Cli, content: bytes, fragments: tuple[str, ...], tmp_path: Path
) -> None:
    file = tmp_path / "reviews.csv"
    file.write_bytes(content)
    answer = cli("train", file, "--text", "review", "--label", "stars", *SMALL, "--out", tmp_path / "run")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.splitlines()[-1].startswith("error: ")
    assert [fragment for fragment in fragments if fragment not in answer.err] == []
    assert not (tmp_path / "run").exists()


def test_a_folder_that_cannot_be_written_is_told_and_nothing_is_left(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    answer = cli("train", "digits", *SMALL, "--out", tmp_path / "file" / "run")
    assert answer.code == 2
    assert "error: " in answer.err
    assert (tmp_path / "file").read_text(encoding="utf-8") == "in the way"


def test_train_fits_linear_models_beside_a_classifier_of_texts(cli: Cli, tmp_path: Path) -> None:
    file, run = write_reviews(tmp_path / "reviews.csv", count=60), tmp_path / "run"
    columns = ("--text", "review", "--label", "stars", "--split", 0.2)
    options = ("--preset", "tutorial-bilstm", *SMALL, "--epochs", 1)
    answer = cli("train", file, *columns, *options, "--out", run, "--json")
    result = json.loads(answer.out)
    first, second = result["baselines"]
    assert (first["value"], second["value"]) == (1.0, 1.0)  # one word decides
    assert result["test"]["accuracy"] < 1
    assert "logistic regression reaches 100.00% on the test part, the network" in answer.err
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [record["baseline"] for record in records if "baseline" in record] == [first["name"], second["name"]]
    assert first["name"] in (run / "report.html").read_text(encoding="utf-8")

    again = cli("train", "--resume", run)
    assert again.code == 0
    assert first["name"] in again.out
    lines = (run / "metrics.jsonl").read_text().splitlines()
    assert [record.get("baseline") for record in map(json.loads, lines)] == [r.get("baseline") for r in records]


def test_train_fits_no_simple_models_where_nobody_wants_them(cli: Cli, tmp_path: Path) -> None:
    file, run = write_reviews(tmp_path / "reviews.csv"), tmp_path / "run"
    columns = ("--text", "review", "--label", "stars", "--split", 0.2)
    answer = cli("train", file, *columns, *SMALL, "--no-baselines", "--out", run, "--json")
    assert json.loads(answer.out)["baselines"] == []
    assert "baseline" not in (run / "metrics.jsonl").read_text()


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt, 130), (SystemExit(143), 143)])
def test_a_training_that_is_stopped_beside_its_baselines_is_measured_later(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int
) -> None:
    file, run = write_reviews(tmp_path / "reviews.csv"), tmp_path / "run"

    def stop(*_: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr("tidegate.tasks.classifying.baselines.fit_baselines", stop)
        answer = cli("train", file, "--text", "review", "--label", "stars", "--split", 0.2, *SMALL, "--out", run)
    assert answer.code == code
    assert f"tidegate train --resume {run}" in answer.err
    again = cli("train", "--resume", run, "--json")
    assert len(json.loads(again.out)["baselines"]) == 2
