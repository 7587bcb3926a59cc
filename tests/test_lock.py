"""Two processes never write one run folder, and what an interrupted one left is in nobody's way."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import pytest

import tidegate as tg
from tidegate import runs
from tidegate.cli import main
from tidegate.errors import RunFolderError
from tidegate.lock import HeldError, Lock, LockedFolder
from tidegate.tasks.run import RunFolder

SMALL = {"hidden_size": 4, "epochs": 2, "patience": 0, "batch_size": 256}
PER_EPOCH = 6  # 1,442 training digits less a tenth for validation, in batches of 256

HOLD = """
import sys
from pathlib import Path
from tidegate.lock import Lock
lock = Lock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def begin(folder: Path, **changes: int) -> runs.Training:
    return runs.start(runs.Source("digits"), params=SMALL | changes, out=folder)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nobody stopped."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    begin(folder).run()
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


def seed_of(folder: Path) -> int:
    seed: int = tg.load(folder).get_params()["seed"]
    assert RunFolder.open(folder).recipe["params"]["seed"] == seed
    return seed


# --- the lock --------------------------------------------------------------------------------------------------------


def test_a_lock_dies_with_the_process_that_holds_it(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    command = [sys.executable, "-c", HOLD, str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        with pytest.raises(HeldError, match=f"process {other.pid} on "):
            Lock(file)
        other.send_signal(signal.SIGKILL)
        other.wait()
        assert file.exists()
        Lock(file).release()
    assert not file.exists()


def test_a_lock_that_is_waited_for_is_had_by_one_at_a_time(tmp_path: Path) -> None:
    inside: list[int] = []

    def work(number: int) -> None:
        for _ in range(30):
            lock = Lock(tmp_path / "lock", wait=True)
            inside.append(number)
            assert inside == [number]
            inside.remove(number)
            lock.release()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert list(tmp_path.iterdir()) == []


def test_a_forked_child_that_ends_does_not_let_others_in(tmp_path: Path) -> None:
    lock = Lock(tmp_path / "lock")
    child = os.fork()
    if child == 0:
        lock.release()
        os._exit(0)
    os.waitpid(child, 0)
    with pytest.raises(HeldError):
        Lock(tmp_path / "lock")
    lock.release()


def test_new_folders_are_different_whenever_they_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(lambda _: LockedFolder.new(Path("runs/data-lstm")), range(16)))
    assert len({folder.path for folder in folders}) == 16
    for folder in folders:
        folder.release()
    assert list((tmp_path / "runs").iterdir()) == []


# --- one folder, one process -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "second",
    [
        lambda folder: runs.start(runs.Source("no such data"), out=folder),
        lambda folder: runs.start(runs.Source("no such data"), out=folder, overwrite=True),
        runs.resume,
        lambda folder: runs.repeat(folder, out=folder, overwrite=True),
        lambda folder: tg.SequenceClassifier().fit_steps([], resume=folder),
        lambda folder: runs.compare(runs.Source("no such data"), ["lstm"], out=folder),
        lambda folder: runs.lab(out=folder, overwrite=True),
    ],
)
def test_a_folder_in_which_one_trains_is_refused_at_once(tmp_path: Path, second: Callable[[Path], object]) -> None:
    training = begin(tmp_path / "run")
    next(training.steps)
    before = content(tmp_path / "run")
    with pytest.raises(RunFolderError, match=rf"run is in use: process {os.getpid()} on .* another folder"):
        second(tmp_path / "run")
    assert content(tmp_path / "run") == before
    assert training.run().epochs == 2


def test_a_folder_is_free_again_when_a_run_ends_or_is_stopped(tmp_path: Path) -> None:
    training = begin(tmp_path / "run")
    next(training.steps)
    training.stop()
    resumed = runs.resume(tmp_path / "run")
    resumed.run()
    runs.resume(tmp_path / "run").finish()
    assert not (tmp_path / "run/.tidegate.lock").exists()


# --- killed, and begun again by the same command ----------------------------------------------------------------------


def killed(folder: Path, steps: int, **changes: int) -> None:
    """Leave what a process that is killed after so many steps leaves."""
    training = begin(folder.with_name("living"), **changes)
    list(islice(training.steps, steps))
    shutil.copytree(training.folder.path, folder)
    training.stop()
    shutil.rmtree(training.folder.path)


@pytest.mark.parametrize("go_on", [begin, runs.resume])
@pytest.mark.parametrize("steps", [0, 1, PER_EPOCH, 2 * PER_EPOCH])
def test_a_killed_run_goes_on_by_the_same_command_or_is_resumed(
    whole: Path, tmp_path: Path, steps: int, go_on: Callable[[Path], runs.Training]
) -> None:
    killed(tmp_path / "run", steps)
    (tmp_path / "run/.model.safetensors.0123abcd.tmp").write_bytes(b"half of a mod")
    training = go_on(tmp_path / "run")
    assert bool(training.note) == bool(steps or go_on is runs.resume)
    training.run()
    assert content(tmp_path / "run").keys() == content(whole).keys()
    assert (tmp_path / "run/model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


@pytest.mark.parametrize("steps", [0, 1, PER_EPOCH])
def test_another_command_does_not_go_on_with_a_killed_run(tmp_path: Path, steps: int) -> None:
    killed(tmp_path / "run", steps)
    before = content(tmp_path / "run")
    with pytest.raises(RunFolderError, match="seed differs"):
        begin(tmp_path / "run", seed=3)
    assert content(tmp_path / "run").keys() == before.keys() - {".tidegate.lock"}


def test_a_run_without_its_report_is_finished_by_the_same_command(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole, tmp_path / "run")
    with pytest.raises(RunFolderError, match="it has ended"):
        begin(tmp_path / "run")
    (tmp_path / "run/report.html").unlink()
    assert begin(tmp_path / "run").run().epochs == 2
    assert (tmp_path / "run/report.html").is_file()


# --- from the old run to the new one ----------------------------------------------------------------------------------


def overwriting(folder: Path) -> runs.Training:
    return runs.start(runs.Source("digits"), params=SMALL | {"seed": 5}, out=folder, overwrite=True)


def test_the_old_run_stays_until_there_is_a_model_of_the_new_one(whole: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(whole, tmp_path / "run")
    (folder / "notes.txt").write_text("mine")
    training = overwriting(folder)
    list(islice(training.steps, PER_EPOCH - 1))
    old = content(whole)
    assert {name: kept for name, kept in content(folder).items() if name in old} == old
    next(training.steps)
    assert seed_of(folder) == 5
    assert not (folder / "report.html").exists()
    training.run()
    assert content(folder).keys() == old.keys() | {"notes.txt"}


def test_a_step_that_was_cut_short_is_made_by_whoever_comes_next(whole: Path, tmp_path: Path) -> None:
    """Each operation of the move in turn is the last one before a kill."""
    begun = shutil.copytree(whole, tmp_path / "begun")
    training = overwriting(begun)
    list(islice(training.steps, PER_EPOCH - 1))
    ready = tmp_path / "ready"
    shutil.copytree(begun / ".tidegate.new", ready)
    training.stop()
    shutil.copy(begun / "model.safetensors", ready)
    moves = [("report.html",), ("model.safetensors",), ("recipe.toml", "+"), ("metrics.jsonl", "+")]
    moves += [("state.safetensors", "+"), ("model.safetensors", "+")]
    for done in range(len(moves) + 1):
        folder = shutil.copytree(whole, tmp_path / f"run{done}")
        shutil.copytree(ready, folder / ".tidegate.ready")
        for name, *moved in moves[:done]:
            if moved:
                (folder / ".tidegate.ready" / name).replace(folder / name)
            else:
                (folder / name).unlink()
        assert seed_of(folder) == 5, "whoever only reads finds the new run"
        assert runs.resume(folder).run().params["seed"] == 5
        assert seed_of(folder) == 5
        assert content(folder).keys() == content(whole).keys()


def test_a_killed_new_run_that_had_no_model_is_swept(whole: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(whole, tmp_path / "run")
    (folder / ".tidegate.new").mkdir()
    (folder / ".tidegate.new/recipe.toml").write_text("task = 1")
    assert runs.resume(folder).run().params["seed"] == 0
    assert not (folder / ".tidegate.new").exists()


# --- metrics and the state --------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("default::UserWarning")
@pytest.mark.parametrize("lines", [0, 2, PER_EPOCH])
def test_metrics_that_the_disk_lost_are_told_and_the_report_has_every_epoch(
    tmp_path: Path, whole: Path, lines: int, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    killed(folder, 2 * PER_EPOCH)
    kept = (folder / "metrics.jsonl").read_text().splitlines(keepends=True)[:lines]
    (folder / "metrics.jsonl").write_text("".join(kept))
    assert main(["train", "--resume", str(folder), "--json"]) == 0
    said = capsys.readouterr()
    assert f"warning: {folder}/metrics.jsonl ends with step {lines}, but the state is that of step 12" in said.err
    assert json.loads(said.out)["epochs"] == 2
    ends = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    told = [json.loads(line) for line in (whole / "metrics.jsonl").read_text().splitlines()]
    names = ("epoch", "epochs", "step", "mean_loss", "learning_rate", "valid")
    assert [[end[name] for name in names] for end in ends if end["end_of_epoch"]] == [
        [record[name] for name in names] for record in told if record["end_of_epoch"]
    ]
    assert (folder / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


def test_metrics_reach_the_disk_before_the_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[str] = []
    fsync = os.fsync

    def noted(handle: int) -> None:
        flushed.append(Path(os.readlink(f"/proc/self/fd/{handle}")).name)  # noqa: PTH115
        fsync(handle)

    training = begin(tmp_path / "run")
    list(islice(training.steps, PER_EPOCH - 1))
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", noted)
        next(training.steps)
    training.stop()
    state = next(index for index, name in enumerate(flushed) if name.startswith(".state.safetensors"))
    assert "metrics.jsonl" in flushed[:state]
