"""Training that a signal stops or kills, and that is resumed: the weights are those of a run that was never stopped."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tidegate import runs
from tidegate.checkpoint import load_training
from tidegate.cli import main, training

if TYPE_CHECKING:
    from tidegate.train import Step

ARGUMENTS = ["train", "digits", "--hidden-size", "4", "--set", "batch_size=64", "--epochs", "4"]
STEPS_PER_EPOCH = 21  # 1,442 training digits less a tenth for validation, in batches of 64


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nobody stopped."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert main([*ARGUMENTS, "--out", str(folder)]) == 0
    return folder


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def steps(folder: Path) -> list[dict[str, object]]:
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [{key: value for key, value in json.loads(line).items() if key != "seconds"} for line in lines]


def stop_at(step: int, number: signal.Signals) -> Callable[[str], object]:
    """Make a display that sends a signal to this process when it is shown a step."""

    @contextmanager
    def display(title: str) -> Iterator[Callable[[Step], None]]:
        yield lambda shown: signal.raise_signal(number) if shown.step == step else None

    return display


@pytest.mark.parametrize("step", [1, 30, 2 * STEPS_PER_EPOCH, 4 * STEPS_PER_EPOCH])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_run_resumes_to_the_same_weights(
    whole: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: signal.Signals,
    code: int,
    step: int,
) -> None:
    before = signal.getsignal(number)
    monkeypatch.setattr(training, "show_training", stop_at(step, number))
    assert main([*ARGUMENTS, "--out", str(tmp_path / "run")]) == code
    assert f"tidegate train --resume {tmp_path / 'run'}" in capsys.readouterr().err
    assert signal.getsignal(number) == before
    assert len(steps(tmp_path / "run")) == step
    monkeypatch.undo()

    assert main(["train", "--resume", str(tmp_path / "run"), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert weights(tmp_path / "run") == weights(whole)
    assert steps(tmp_path / "run") == steps(whole)
    assert result["epochs"] == 4
    assert not (tmp_path / "run/state.safetensors").exists()


def test_stopping_saves_the_state_at_once(tmp_path: Path) -> None:
    begun = runs.start(runs.Source("digits"), params={"hidden_size": 4}, out=tmp_path / "run")
    for _ in range(3):
        next(begun.steps)
    begun.stop()
    assert load_training(tmp_path / "run/state.safetensors")[1]["train"]["step"] == 3
    assert list(begun.steps) == []


def test_a_second_signal_does_not_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @contextmanager
    def display(title: str) -> Iterator[Callable[[Step], None]]:
        def twice(step: Step) -> None:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

        yield twice

    monkeypatch.setattr(training, "show_training", display)
    assert main([*ARGUMENTS, "--out", str(tmp_path / "run")]) == 130
    assert "the state is saved" not in capsys.readouterr().err


KILLED = """
import os, signal, sys
from contextlib import contextmanager
from tidegate import runs
from tidegate.checkpoint import load_training
from tidegate.cli import main, training

@contextmanager
def display(title):
    yield lambda step: os.kill(os.getpid(), signal.SIGKILL) if step.step == 30 else None

training.show_training = display
main(sys.argv[1:])
"""


def test_a_killed_run_resumes_from_its_last_epoch_to_the_same_weights(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    killed = subprocess.run([sys.executable, "-c", KILLED, *ARGUMENTS, "--out", str(folder)], check=False)
    assert killed.returncode == -signal.SIGKILL
    _, info = load_training(folder / "state.safetensors")
    assert info["train"]["step"] == STEPS_PER_EPOCH
    assert main(["train", "--resume", str(folder)]) == 0
    assert weights(folder) == weights(whole)
    assert steps(folder) == steps(whole)


def test_a_process_stopped_from_outside_saves_its_state(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tidegate", *ARGUMENTS[:-1], "400", "--set", "patience=0", "--out", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    next(line for line in process.stderr if line.startswith("epoch 1/"))
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "stopped by SIGTERM" in said
    _, info = load_training(tmp_path / "state.safetensors")
    assert info["train"]["step"] == len(steps(tmp_path))


def test_a_run_that_has_ended_can_be_measured_once_more(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(whole, tmp_path / "run")
    (folder / "report.html").unlink()
    assert main(["train", "--resume", str(folder), "--json"]) == 0
    said = capsys.readouterr()
    assert "has ended already" in said.err
    assert json.loads(said.out)["epochs"] == 4
    assert (folder / "report.html").is_file()
    assert weights(folder) == weights(whole)


@pytest.mark.parametrize("content", [None, "", "not json\n", "{}\n"])
def test_a_run_that_has_ended_without_its_metrics_is_told(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None
) -> None:
    folder = shutil.copytree(whole, tmp_path / "run")
    (folder / "metrics.jsonl").unlink()
    if content is not None:
        (folder / "metrics.jsonl").write_text(content, encoding="utf-8")
    assert main(["train", "--resume", str(folder)]) == 2
    assert "error: " in capsys.readouterr().err
    assert weights(folder) == weights(whole)


def test_a_run_is_not_resumed_on_other_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "reviews.csv"
    file.write_text("text,label\n" + "so good,pos\nso bad,neg\n" * 20, encoding="utf-8")
    arguments = ["train", str(file), "--hidden-size", "4", "--epochs", "3", "--out", str(tmp_path / "run")]
    monkeypatch.setattr(training, "show_training", stop_at(1, signal.SIGINT))
    assert main(arguments) == 130
    file.write_text("text,label\n" + "so good,pos\nso dull,neg\n" * 20, encoding="utf-8")
    assert main(["train", "--resume", str(tmp_path / "run")]) == 2
