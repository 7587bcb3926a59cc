"""`tidegate lab`, called as `main(argv)` in this process: what it prints and leaves, also when it is stopped."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tidegate import runs
from tidegate.cli import lab, main

if TYPE_CHECKING:
    from tidegate.train import Step

SMALL = ("lab", "--task", "first-token", "--hidden-size", "4", "--batch-size", "4", "--updates", "3")
PICTURES = {"results.json", "curves.png", "success.png", "gradient-flow.png", "lab.html"}


def test_the_table_has_a_row_per_cell_and_length_beside_the_trivial_level(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "lab"
    assert main([*SMALL, "--cells", "rnn, gru", "--lengths", "30,2", "--seed", "5", "--out", str(out)]) == 0
    printed, said = capfd.readouterr()
    head, *rows = (line.split() for line in printed.splitlines())
    assert head == ["cell", "T", "solved", "level", "trivial", "level", "right", "updates", "seconds"]
    assert [row[:2] for row in rows] == [["rnn", "2"], ["rnn", "30"], ["gru", "2"], ["gru", "30"]]
    assert {row[4] for row in rows} == {"0.6931"}
    results = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert [row[3] for row in rows] == [f"{found['level']:.4g}" for found in results["outcomes"]]
    assert results["setup"] == results["setup"] | {"hidden_size": 4, "batch_size": 4, "updates": 3, "seed": 5}
    assert [line.split(":")[0] for line in said.splitlines()[:4]] == [
        "rnn, T = 2", "gru, T = 2", "rnn, T = 30", "gru, T = 30"
    ]  # fmt: skip
    assert {file.name for file in out.iterdir()} == PICTURES


def test_the_same_command_prints_the_same_json_but_for_the_time(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    printed = []
    for name in ("one", "two"):
        assert main([*SMALL, "--cells", "lstm-chrono", "--lengths", "9", "--json", "--out", str(tmp_path / name)]) == 0
        printed.append(json.loads(capfd.readouterr().out))
        printed[-1]["outcomes"][0].pop("seconds")
    assert printed[0] == printed[1]
    (found,) = printed[0]["outcomes"]
    assert (printed[0]["task"], found["cell"], found["length"], found["updates"]) == (
        "first-token",
        "lstm-chrono",
        9,
        3,
    )
    assert found["curve"] == [{"update": 3, "loss": found["curve"][0]["loss"], "level": found["level"]}]


def test_the_command_tries_by_default_what_the_library_does() -> None:
    options, visit = signature(lab.lab).parameters, runs.lab()
    assert options["task"].default == visit.task.name
    assert options["cells"].default == ",".join(visit.cells)
    assert options["lengths"].default == ",".join(map(str, visit.lengths))


MISUSE = {
    "unknown task": (("--task", "coppy"), "Did you mean 'copy'?"),
    "unknown cell": (
        ("--cells", "rnn,lstm,gruu"),
        "Known: bigru, bilstm, bilstm-chrono, birnn, gru, gru-",
    ),
    "no cell": (("--cells", ","), "wanted cells to try, each once, but got none"),
    "a length twice": (("--lengths", "5,5"), "wanted lengths to try, each once, but got 5, 5"),
    "length zero": (("--lengths", "0"), "it needs at least 2"),
    "too short for the task": (("--task", "temporal-order", "--lengths", "50,9"), "it needs at least 10"),
    "not a length": (("--lengths", "50,many"), "--lengths holds 'many'"),
    "a negative length": (("--lengths", "-5"), "--lengths holds '-5'"),
    "half a step": (("--lengths", "2.5"), "--lengths holds '2.5'"),
    "no updates": (("--updates", "0"), "--updates"),
    "no learning": (("--learning-rate", "0"), "learning_rate=0.0, but a number above 0 was wanted"),
}


@pytest.mark.parametrize(("arguments", "fragment"), MISUSE.values(), ids=MISUSE.keys())
def test_misuse_is_told_and_exits_2_before_anything_is_trained(
    arguments: tuple[str, ...],
    fragment: str,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["lab", *arguments]) == 2
    printed, said = capfd.readouterr()
    assert printed == ""
    assert fragment in said
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []


def test_results_are_not_overwritten_unless_asked(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = [*SMALL, "--cells", "gru", "--lengths", "2", "--out", str(tmp_path)]
    assert main(arguments) == 0
    before = (tmp_path / "results.json").read_bytes()
    assert main([*arguments, "--seed", "1"]) == 2
    assert "already holds results.json" in capfd.readouterr().err
    assert (tmp_path / "results.json").read_bytes() == before
    assert main([*arguments, "--seed", "1", "--overwrite"]) == 0
    assert (tmp_path / "results.json").read_bytes() != before


def stop_at(title: str, number: signal.Signals) -> Callable[..., object]:
    """Make a display that sends a signal to this process at the first step of one trial."""

    @contextmanager
    def display(shown: str, *, lines: bool) -> Iterator[Callable[[Step], None]]:
        yield lambda step: signal.raise_signal(number) if shown == title and step.step == 1 else None

    return display


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_what_was_finished(
    number: signal.Signals,
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    before = signal.getsignal(number)
    monkeypatch.setattr(lab, "show_training", stop_at("gru, T = 3", number))
    assert main([*SMALL, "--cells", "rnn,gru", "--lengths", "2,3", "--out", str(tmp_path)]) == code
    printed, said = capfd.readouterr()
    finished = [["rnn", "2"], ["rnn", "3"], ["gru", "2"]]
    assert [line.split()[:2] for line in printed.splitlines()[1:]] == finished
    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert [[found["cell"], str(found["length"])] for found in results["outcomes"]] == finished
    assert {file.name for file in tmp_path.iterdir()} == PICTURES
    assert f"stopped by {number.name}; 3 of 4 trainings were finished" in said
    assert signal.getsignal(number) == before


def test_a_signal_before_anything_was_finished_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(lab, "show_training", stop_at("rnn, T = 2", signal.SIGINT))
    assert main([*SMALL, "--cells", "rnn,gru", "--lengths", "2", "--out", str(tmp_path / "lab")]) == 130
    printed, said = capfd.readouterr()
    assert printed == ""
    assert "0 of 2 trainings were finished" in said
    assert not (tmp_path / "lab").exists()
