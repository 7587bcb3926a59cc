"""The command line, called as `main(argv)` in this process: what it prints, where, and with which exit code."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tidegate as tg
from conftest import Answer, Cli
from tidegate import data, kernels
from tidegate.cli import main
from tidegate.errors import DownloadError
from tidegate.tasks.run import RunFolder

SMALL = ("--hidden-size", "4", "--epochs", "2")
GOOD, BAD = ("good", "fine", "lovely"), ("bad", "dull", "awful")


def write_reviews(path: Path, *, count: int = 48) -> Path:
    """Write a CSV in which one word of each text decides its label."""
    rng = np.random.default_rng(0)
    lines = ["review,stars"]
    for number in range(count):
        label, words = ("pos", GOOD) if number % 2 else ("neg", BAD)
        filler = " ".join(rng.choice(["the", "film", "was", "so"], size=3))
        lines.append(f"{filler} {rng.choice(words)},{label}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "digits"
    assert main(["train", "digits", *SMALL, "--out", str(folder)]) == 0
    return folder


@pytest.fixture(scope="session")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_reviews(tmp_path_factory.mktemp("data") / "reviews.csv")


@pytest.fixture(scope="session")
def reviews_run(reviews: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "reviews"
    settings = ("--set", "learning_rate=0.05", "--set", "batch_size=4", "--split", "0.25")
    arguments = ["train", str(reviews), "--text", "review", "--label", "stars", *SMALL, *settings, "--out", str(folder)]
    assert main(arguments) == 0
    return folder


# --- help, version ------------------------------------------------------------------------------------------------

COMMANDS = (
    "train",
    "evaluate",
    "predict",
    "inspect",
    "info",
    "export",
    "compare",
    "lab",
    "data",
    "data list",
    "data get",
    "data path",
    "doctor",
    "demo",
)


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_help_has_an_example_that_names_the_command(cli: Cli, command: str) -> None:
    answer = cli(*command.split(), "--help")
    assert (answer.code, answer.err) == (0, "")
    assert "Example" in answer.out
    assert f"tidegate {command}" in answer.out.partition("Example")[2]


def test_help_loads_nothing_heavy() -> None:
    code = "import sys; from tidegate.cli import main; main(['--help']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"torch", "numpy", "sklearn", "scipy", "pydantic", "rich", "matplotlib", "tokenizers", "safetensors"}
    assert "typer" in done.stderr.split()
    assert heavy & set(done.stderr.split()) == set()


def test_version_is_that_of_the_package(cli: Cli) -> None:
    assert cli("--version") == Answer(0, f"tidegate {tg.__version__}\n", "")


def test_without_a_command_the_help_is_shown(cli: Cli) -> None:
    answer = cli()
    assert answer.code == 2
    assert "Usage: tidegate" in answer.out + answer.err


# --- train --------------------------------------------------------------------------------------------------------


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
    arguments = ("train", reviews, "--text", "review", "--label", "stars", *SMALL, "--out", tmp_path / "run")
    assert cli(*arguments, "--seed", 1).code == 0
    first = (tmp_path / "run/model.safetensors").read_bytes()
    refused = cli(*arguments, "--seed", 2)
    assert refused.code == 2
    assert "already holds a run" in refused.err
    assert (tmp_path / "run/model.safetensors").read_bytes() == first
    assert cli(*arguments, "--seed", 2, "--overwrite").code == 0
    assert (tmp_path / "run/model.safetensors").read_bytes() != first
    assert len((tmp_path / "run/metrics.jsonl").read_text().splitlines()) == 2


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


# --- predict ------------------------------------------------------------------------------------------------------


def test_predict_answers_each_text_with_what_the_model_says(cli: Cli, reviews_run: Path) -> None:
    texts = ["the film was good", "so dull"]
    model = tg.load(reviews_run)
    rows, labels = model.predict_proba(texts), model.predict(texts).tolist()
    plain = cli("predict", reviews_run, *texts)
    assert (plain.code, plain.err) == (0, "")
    assert plain.out.splitlines() == [
        f"{label}\t{row.max():.4f}\t{text}" for label, row, text in zip(labels, rows, texts, strict=True)
    ]
    spoken = [
        json.loads(line)
        for line in cli("predict", reviews_run / "model.safetensors", *texts, "--json").out.splitlines()
    ]
    assert [line["label"] for line in spoken] == labels == ["pos", "neg"]
    assert [line["input"] for line in spoken] == texts
    assert [list(line["probabilities"]) for line in spoken] == [["neg", "pos"]] * 2
    assert [list(map(np.float32, line["probabilities"].values())) for line in spoken] == rows.tolist()


@pytest.mark.parametrize("dash", [(), ("-",)])
def test_predict_reads_lines_from_stdin(cli: Cli, reviews_run: Path, dash: tuple[str, ...]) -> None:
    answer = cli("predict", reviews_run, *dash, stdin="\ufeffso good\r\nso dull\nfine 好".encode())
    assert [line.split("\t")[2] for line in answer.out.splitlines()] == ["so good", "so dull", "fine 好"]


def test_lines_before_one_that_cannot_be_read_are_answered(cli: Cli, reviews_run: Path) -> None:
    answer = cli("predict", reviews_run, stdin=b"good\nbad\n\xe4h\n")
    assert answer.code == 2
    assert len(answer.out.splitlines()) == 2
    assert "line 3 of stdin is not UTF-8: byte 0 is 0xe4" in answer.err


@pytest.mark.parametrize("stream", [(), ("--stream",)])
def test_every_line_of_text_gets_its_answer_blank_ones_too(
    cli: Cli, reviews_run: Path, stream: tuple[str, ...]
) -> None:
    stdin, nothing = b"so good\n\n \t\r\nso dull\n\n", tg.load(reviews_run).predict_proba([""])[0]
    answer = cli("predict", reviews_run, *stream, "--json", stdin=stdin)
    spoken = [json.loads(line) for line in answer.out.splitlines()]
    assert (answer.code, answer.err) == (0, "")
    assert [line["input"] for line in spoken] == ["so good", "", " \t", "so dull", ""]
    for blank in (1, 2, 4):
        assert list(map(np.float32, spoken[blank]["probabilities"].values())) == nothing.tolist()
    assert len(cli("predict", reviews_run, *stream, stdin=stdin).out.splitlines()) == 5
    assert cli("predict", reviews_run, "").out == f"{spoken[1]['label']}\t{max(nothing):.4f}\t\n"


def test_a_blank_line_is_a_sequence_without_steps(cli: Cli, digits_run: Path) -> None:
    blank, written = cli("predict", digits_run, stdin=b"\n"), cli("predict", digits_run, "[]")
    assert blank.code == written.code == 0
    assert blank.out.split("\t")[:2] == written.out.split("\t")[:2]


def test_a_line_far_down_is_named_by_its_number(cli: Cli, reviews_run: Path) -> None:
    answer = cli(
        "predict", reviews_run, stdin=b"so good, so very good\n" * 5000 + b"\xff\n"
    )  # more than one read brings
    assert len(answer.out.splitlines()) == 5000
    assert "line 5001 of stdin" in answer.err


def test_predict_with_no_input_at_all_answers_nothing(cli: Cli, reviews_run: Path) -> None:
    assert cli("predict", reviews_run) == Answer(0, "", "")


def test_predict_takes_sequences_as_json(cli: Cli, digits_run: Path) -> None:
    test = data.load("digits").test
    assert test is not None
    sequence = test.x[0]
    assert not isinstance(sequence, str)
    answer = cli("predict", digits_run, "--json", stdin=json.dumps(sequence.tolist()).encode() + b"\n")
    assert json.loads(answer.out)["label"] == tg.load(digits_run).predict(test.x)[0]


@pytest.mark.parametrize(
    "line", ["good", "[[1, 2]]", "[[1, 2", '{"a": 1}', "3", '[["a"]]', "[[NaN, 0, 0, 0, 0, 0, 0, 0]]"]
)
def test_a_sequence_that_cannot_be_used_is_told(cli: Cli, digits_run: Path, line: str) -> None:
    answer = cli("predict", digits_run, line)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("error: ")


def test_a_model_that_cannot_be_read_is_told_and_exits_1(cli: Cli, reviews_run: Path, tmp_path: Path) -> None:
    whole = (reviews_run / "model.safetensors").read_bytes()
    for name, content in {
        "truncated": whole[: len(whole) // 2],
        "empty": b"",
        "altered": whole[:-9] + b"\1" * 9,
    }.items():
        (tmp_path / name).write_bytes(content)
        answer = cli("predict", tmp_path / name, "good")
        assert (answer.code, answer.out) == (1, ""), name
        assert answer.err.startswith(f"error: {tmp_path / name}"), name
    assert cli("predict", tmp_path / "absent", "good").code == 1


@pytest.mark.parametrize("command", [("data", "path", "digits"), ("predict", "RUN", "[[0, 0, 0, 0, 0, 0, 0, 1]]")])
def test_a_reader_who_goes_away_is_no_error_to_speak_of(digits_run: Path, command: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    arguments = [str(digits_run) if part == "RUN" else part for part in command]
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    line = [sys.executable, "-m", "tidegate", *arguments]
    done = subprocess.run(line, stdout=writing, stderr=subprocess.PIPE, env=buffered, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def test_streams_that_were_closed_before_are_no_error(tmp_path: Path) -> None:
    shell = f'"{sys.executable}" -m tidegate data path digits >&- 2>&- <&-'
    assert subprocess.run(["sh", "-c", shell], check=False).returncode == 0


def test_an_argument_that_is_not_utf8_is_told(reviews_run: Path) -> None:
    line: list[str | bytes] = [sys.executable, "-m", "tidegate", "predict", str(reviews_run), b"so \xff good"]
    done = subprocess.run(line, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"error: ")


# --- evaluate, compare --------------------------------------------------------------------------------------------


def test_evaluate_measures_the_test_part(cli: Cli, digits_run: Path) -> None:
    found = json.loads(cli("evaluate", digits_run, "digits", "--json").out)
    test = data.load("digits").test
    assert test is not None
    predicted = tg.load(digits_run).predict(test.x)
    assert (found["part"], found["examples"]) == ("test", 355)
    assert found["accuracy"] == pytest.approx(np.mean(predicted == test.y))
    assert sum(map(sum, found["confusion"])) == 355
    assert found["confusion"][3][5] == np.sum((np.asarray(test.y) == 3) & (predicted == 5))
    plain = cli("evaluate", digits_run, "digits")
    assert f"{found['accuracy']:.2%}" in plain.out


def measured(answer: Answer) -> tuple[str, int]:
    assert answer.code == 0, answer.err
    found = json.loads(answer.out)
    return found["part"], found["examples"]


def test_evaluate_measures_what_the_run_held_out_read_as_the_run_read_it(
    cli: Cli, reviews: Path, reviews_run: Path, tmp_path: Path
) -> None:
    answer = cli("evaluate", reviews_run, reviews, "--json")
    assert measured(answer) == ("test", 12)
    assert "held out by the run: 12 of 48 rows" in answer.err
    held = data.load(reviews, text="review", label="stars", split=0.25).test
    assert held is not None
    assert json.loads(answer.out)["accuracy"] == pytest.approx(tg.load(reviews_run).score(held.x, held.y))
    elsewhere = Path(shutil.copy(reviews, tmp_path / "copy.csv"))
    assert measured(cli("evaluate", reviews_run / "model.safetensors", elsewhere, "--json")) == ("test", 12)
    assert measured(cli("evaluate", reviews_run, reviews, "--split", 0.5, "--json")) == ("test", 24)
    for part, count in {"all": 48, "train": 36, "test": 12}.items():
        assert measured(cli("evaluate", reviews_run, reviews, "--part", part, "--json")) == (part, count)
    refused = cli("evaluate", reviews_run, reviews, "--part", "valid")
    assert refused.code == 2
    assert "has no part valid, only train, test" in refused.err
    assert "Did you mean 'train'?" in cli("evaluate", reviews_run, reviews, "--part", "trian").err


def test_evaluate_measures_all_of_any_other_file_and_says_why(
    cli: Cli, reviews: Path, reviews_run: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.csv"
    other.write_text("text,stars\nso good,pos\nso bad,neg\nfine,pos\n", encoding="utf-8")  # in another column
    answer = cli("evaluate", reviews_run, other, "--json")
    assert measured(answer) == ("all", 3)
    assert "is not the data of the run: all 3 rows" in answer.err
    alone = Path(shutil.copy(reviews_run / "model.safetensors", tmp_path / "alone.safetensors"))
    answer = cli("evaluate", alone, reviews, "--label", "stars", "--json")
    assert measured(answer) == ("all", 48)
    assert "no run says what was held out: all 48 rows" in answer.err


def test_evaluate_says_so_where_the_file_of_the_run_has_changed(cli: Cli, tmp_path: Path) -> None:
    file = write_reviews(tmp_path / "reviews.csv")
    flags = ("--text", "review", "--label", "stars", *SMALL, "--out", tmp_path / "run")
    assert cli("train", file, *flags, "--split", 0.25).code == 0
    file.write_text(file.read_text(encoding="utf-8") + "so good,pos\n", encoding="utf-8")
    answer = cli("evaluate", tmp_path / "run", file, "--json")
    assert measured(answer) == ("all", 49)
    assert "is not what it was when the run was made" in answer.err
    whole = write_reviews(tmp_path / "whole.csv")
    assert cli("train", whole, *flags[:-1], tmp_path / "all").code == 0
    answer = cli("evaluate", tmp_path / "all", whole, "--json")
    assert measured(answer) == ("all", 48)
    assert "the run held nothing out" in answer.err


def test_evaluate_refuses_labels_that_the_model_does_not_know(cli: Cli, reviews_run: Path, tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("text,label\ngood,joy\nbad,pos\n", encoding="utf-8")
    answer = cli("evaluate", reviews_run, tmp_path / "other.csv")
    assert (answer.code, answer.out) == (2, "")
    assert "'joy'" in answer.err


def test_compare_tries_every_value_of_a_setting(cli: Cli, reviews: Path, tmp_path: Path) -> None:
    data_flags = (reviews, "--text", "review", "--label", "stars", "--split", 0.25, "--out", tmp_path / "tried")
    settings = ("--set", "hidden_size=4", "--set", "embedding_size=4", "--set", "optimizer=sgd, adam", "--epochs", 1)
    answer = cli("compare", *data_flags, "--presets", "tutorial-lstm,tutorial-bilstm", *settings, "--json")
    names = [f"tutorial-{cell}-{optimizer}" for cell in ("lstm", "bilstm") for optimizer in ("sgd", "adam")]
    assert list(json.loads(answer.out)) == names
    recipes = [RunFolder(tmp_path / "tried" / name).recipe["params"] for name in names]
    assert [recipe["optimizer"] for recipe in recipes] == ["sgd", "adam"] * 2
    unknown = cli("compare", *data_flags[:5], "--presets", "tutorial-lstm", "--set", "optimizer=sgd,adagrad")
    assert (unknown.code, "adagrad" in unknown.err) == (2, True)


def test_compare_trains_each_preset_and_draws(cli: Cli, reviews: Path, tmp_path: Path) -> None:
    names = ["tutorial-simplernn", "tutorial-lstm"]
    data_flags = (reviews, "--text", "review", "--label", "stars", "--split", 0.25)
    settings = ("--set", "hidden_size=4", "--set", "embedding_size=4", "--set", "dense_size=0")
    arguments = (
        "compare",
        *data_flags,
        "--presets",
        ",".join(names),
        "--epochs",
        2,
        *settings,
        "--out",
        tmp_path / "both",
    )
    answer = cli(*arguments)
    assert answer.code == 0
    assert [line.split()[0] for line in answer.out.splitlines()] == ["preset", *names]
    assert (tmp_path / "both/curves.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    results = json.loads((tmp_path / "both/results.json").read_text(encoding="utf-8"))
    assert list(results) == names
    page = (tmp_path / "both/compare.html").read_text(encoding="utf-8")
    for name in names:
        assert f'href="{name}/report.html"' in page
        assert (tmp_path / "both" / name / "report.html").is_file()
        assert f"{results[name]['test']['accuracy']:.2%}" in page
    shutil.rmtree(tmp_path / "both" / names[0])
    assert cli(*arguments).code == 2
    assert not (tmp_path / "both" / names[0]).exists(), "the first preset was trained before the second was looked at"
    again = cli(*arguments, "--overwrite", "--json")
    figures = {name: result["test"] for name, result in json.loads(again.out).items()}
    assert figures == {name: result["test"] for name, result in results.items()}


# --- data, doctor, demo -------------------------------------------------------------------------------------------


@pytest.fixture
def no_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Leave no data set on this machine but the one that a package brings along."""
    monkeypatch.setenv("TIDEGATE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("TIDEGATE_CACHE", str(tmp_path / "cache"))
    return tmp_path


def test_data_lists_names_and_where_they_are(cli: Cli, no_data: Path) -> None:
    rows = {row["name"]: row for row in json.loads(cli("data", "list", "--json").out)}
    assert list(rows) == data.names()
    assert rows["wnut17"]["citation"].startswith("Leon Derczynski")
    assert rows["imdb"]["path"] is None
    assert cli("data", "path", "digits").out == rows["digits"]["path"] + "\n"
    assert cli("data", "get", "digits").out == rows["digits"]["path"] + "\n"
    table = cli("data", "list").out.splitlines()
    assert table[0].split() == ["name", "kind", "licence", "path"]
    assert table[2].endswith("not here yet")


def test_data_that_is_not_here_has_no_path(cli: Cli, no_data: Path) -> None:
    answer = cli("data", "path", "imdb")
    assert (answer.code, answer.out) == (1, "")
    assert "tidegate data get imdb" in answer.err


def test_doctor_says_what_runs(cli: Cli, no_data: Path) -> None:
    found = json.loads(cli("doctor", "--json").out)
    assert found["kernels"]["isa"] == kernels.active_isa()
    assert found["kernels"]["available"] == list(kernels.available_isas())
    assert found["packages"]["numpy"] == np.__version__
    assert found["data"]["cache"] == str(no_data / "cache")
    assert f"isa             {kernels.active_isa()}" in cli("doctor").out


def test_doctor_speaks_where_the_kernels_do_not_load(no_data: Path) -> None:
    environment = {**os.environ, "TIDEGATE_ISA": "abacus"}
    line = [sys.executable, "-m", "tidegate", "doctor", "--json"]
    done = subprocess.run(line, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "abacus" in json.loads(done.stdout)["kernels"]["error"]


def test_demo_falls_back_to_digits_and_says_so(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(name: str) -> Path:
        raise DownloadError(f"{name} could not be fetched")

    monkeypatch.setattr("tidegate.data.loading.get", offline)
    answer = cli("demo", "--out", tmp_path / "run")
    assert answer.code == 0
    assert "imdb could not be fetched" in answer.err
    accuracy = {line.split("  ")[0]: float(line.split()[-2].rstrip("%")) for line in answer.out.splitlines()[1:4]}
    assert list(accuracy) == ["BiLSTM", "majority class", "logistic regression on flattened values"]
    assert accuracy["majority class"] == pytest.approx(10.14)
    assert accuracy["BiLSTM"] > accuracy["majority class"]
    assert answer.out.count("-> ") == 3
    assert f"tidegate evaluate {tmp_path / 'run'} digits" in answer.err
