"""Kills a training at chosen moments, or lets its file operations fail, and sees whether one can go on. Run by tests.

A server that has imported and warmed up everything forks one child for each moment. A supervisor follows each: it
resumes, and where that is refused begins again by the same command.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import json
import os
import random
import shutil
import signal
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

import tidegate as tg
from tidegate.checkpoint import load_training
from tidegate.cli import main
from tidegate.runs import training

OPERATIONS = {"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir"}
ERRORS = (errno.ENOSPC, errno.EACCES, errno.EIO, errno.EMFILE)
Hit = Callable[[str], None]


class Scene:
    """Hold a folder, the state that it is in before each trial, and the command that is tried on it."""

    def __init__(self, base: Path, scenario: str) -> None:
        self.base, self.folder = base, base / "run"
        self.out, self.ops = base / "said.txt", base / "operations.txt"
        data = base / "small.csv"
        rows = (f"{'salt wave' if n % 2 else 'oak fern'} word{n % 5},{'sea' if n % 3 else 'wood'}" for n in range(40))
        data.write_text("text,label\n" + "\n".join(rows) + "\n", encoding="utf-8")
        small = ["--hidden-size", "4", "--set", "embedding_size=3", "--set", "batch_size=16", "--epochs", "2"]
        train = ["train", str(data), *small]
        self.whole = {seed: self._finished(train, seed) for seed in (1, 2)}
        self.command = [*train, "--seed", "2", "--out", str(self.folder)]
        self.before: Path | None = None
        if "overwrite" in scenario:
            self.command.append("--overwrite")
            self.before = self.base / "1"
        if "done" in scenario:
            self.before = self.base / "2"
        if "interrupted" in scenario:
            self.before = self._interrupted(train, 1 if "overwrite" in scenario else 2)
        if "resume" in scenario:
            self.command = ["train", "--resume", str(self.folder)]
        self.again = self.command if "overwrite" in scenario else [*train, "--seed", "2", "--out", str(self.folder)]

    def _finished(self, train: list[str], seed: int) -> str:
        folder = self.base / str(seed)
        code = self.run([*train, "--seed", str(seed), "--out", str(folder)])
        assert code == 0, self.out.read_text()
        return digest(folder / "model.safetensors")

    def _interrupted(self, train: list[str], seed: int) -> Path:
        folder = self.base / f"half{seed}"
        self.run([*train, "--seed", str(seed), "--out", str(folder)], folder, 1, kill, only="metrics.jsonl")
        assert load_training(folder / "state.safetensors")
        return folder

    def reset(self) -> None:
        """Put the folder into the state that it is in before each trial."""
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.before is not None:
            shutil.copytree(self.before, self.folder)

    def run(
        self, argv: list[str], watched: Path | None = None, number: int = 0, hit: Hit | None = None, *, only: str = ""
    ) -> int:
        """Run a command line in a child; at operation `number` in the folder that is watched, `hit` is called."""
        child = self.begin(argv, watched, number, hit, only=only)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def begin(
        self, argv: list[str], watched: Path | None = None, number: int = 0, hit: Hit | None = None, *, only: str = ""
    ) -> int:
        """Begin a command line in a child and return the number of the process."""
        child = os.fork()
        if child:
            return child
        with self.out.open("w") as out:
            os.dup2(out.fileno(), 1)
            os.dup2(out.fileno(), 2)
            seen: list[str] = []
            if watched is not None:
                watch(watched, number, hit, seen, only)
            try:
                code = main(argv)
            except BaseException as error:  # noqa: BLE001  (whatever it is, it is what the trial is to find)
                print(f"Traceback: {error!r}")
                code = 99
            sys.stdout.flush()
        self.ops.write_text("\n".join(seen))
        os._exit(code)

    def follow(self) -> list[str]:
        """Do what a supervisor does, and say what went wrong."""
        wrong = [*self._unloadable(), *self._mixed()]
        for _ in range(2):
            if self.run(["train", "--resume", str(self.folder)]) == 0 or self.run(self.again) == 0:
                break
        else:
            return [*wrong, f"trap: {self.out.read_text().strip()[-200:]}"]
        wrong += self._mixed()
        if digest(self.folder / "model.safetensors") != self.whole[seed_of(self.folder)]:
            wrong.append("different model")
        left = [path.name for path in self.folder.iterdir() if path.name.startswith(".")]
        return wrong + [f"left {name}" for name in left]

    def _unloadable(self) -> Iterator[str]:
        readers: dict[str, Callable[[Path], Any]] = {"model.safetensors": tg.load, "state.safetensors": load_training}
        for name, read in readers.items():
            for file in (self.folder / name, self.folder / ".tidegate.ready" / name):
                if file.exists():
                    try:
                        read(file)
                    except Exception as error:  # noqa: BLE001
                        yield f"unloadable {name}: {error!r}"

    def _mixed(self) -> Iterator[str]:
        model = self.folder / "model.safetensors"
        if model.exists() and tg.load(model).get_params()["seed"] != seed_of(self.folder):
            yield "recipe of one run, model of another"


def watch(folder: Path, number: int, hit: Hit | None, seen: list[str], only: str) -> None:
    """Count the operations on files below a folder; before that with this number, do what is asked."""
    inside = str(folder)

    def note(event: str, path: str) -> None:
        if only and only not in path:
            return
        seen.append(f"{event} {path}")
        if len(seen) == number and hit is not None:
            hit(path)

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event in OPERATIONS and args and isinstance(args[0], str | Path) and inside in str(args[0]):
            note(event, str(args[0]))

    fsync = os.fsync

    def counted(handle: Any) -> None:
        path = f"/proc/self/fd/{handle}"
        if inside in (name := os.readlink(path) if os.path.exists(path) else inside):  # noqa: PTH115, PTH110
            note("os.fsync", name)
        fsync(handle)

    vars(os)["fsync"] = counted
    sys.addaudithook(hook)


def kill(path: str) -> None:
    """End this process at once."""
    os.kill(os.getpid(), signal.SIGKILL)


def failing(number: int) -> Hit:
    """Make what lets an operation fail."""

    def fail(path: str) -> None:
        raise OSError(number, os.strerror(number), path)

    return fail


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def seed_of(folder: Path) -> int:
    seed: int = tomllib.loads((folder / "recipe.toml").read_text(encoding="utf-8"))["params"]["seed"]
    return seed


def every_operation(scene: Scene, stride: int, errors: tuple[int, ...]) -> Counter[str]:
    """Kill, or where there are errors fail, each operation that the command makes in its folder, or each n-th."""
    scene.reset()
    assert scene.run(scene.command, scene.folder, 0, None) == 0, scene.out.read_text()
    operations = scene.ops.read_text().splitlines()
    tally: Counter[str] = Counter(operations=len(operations))
    for number in range(1, len(operations) + 1, stride):
        for error in errors or (0,):
            scene.reset()
            code = scene.run(scene.command, scene.folder, number, failing(error) if error else kill)
            tally["trials"] += 1
            said = scene.out.read_text()
            wrong = [f"traceback: {said[-200:]}"] if "Traceback" in said else []
            if not error and code != -signal.SIGKILL:
                wrong.append(f"not killed: {code}")
            for fault in wrong + scene.follow():
                tally[f"{fault} after {operations[number - 1].replace(str(scene.base), '')} {error or ''}"] += 1
    return tally


def random_kills(scene: Scene, kills: int, seed: int) -> Counter[str]:
    """Kill at random moments until there have been so many kills, each run to its end by a supervisor."""
    draw, tally = random.Random(seed), Counter[str]()
    scene.reset()
    begun = time.monotonic()
    assert scene.run(scene.command) == 0
    usual = time.monotonic() - begun
    while tally["kills"] < kills:
        scene.reset()
        for _ in range(8):
            argv = scene.command
            if draw.random() < 0.5 and (scene.folder / "recipe.toml").exists():
                argv = ["train", "--resume", str(scene.folder)]
            child = scene.begin(argv)
            time.sleep(draw.uniform(0, usual))
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
            tally["kills"] += os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        tally["runs"] += 1
        for fault in scene.follow():
            tally[fault] += 1
    return tally


def warm_up(base: Path) -> None:
    """Import everything that a child needs, on one thread, and leave out the pictures: they take most of the time."""
    torch.set_num_threads(1)
    vars(training)["run_report"] = lambda *_, **__: "<html></html>"
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        main(["train", "digits", "--epochs", "1", "--hidden-size", "2", "--out", str(base / "warm")])
        main(["train", "--resume", str(base / "warm")])


if __name__ == "__main__":
    how, scenario, amount = sys.argv[2:]
    warm_up(Path(sys.argv[1]))
    stage = Scene(Path(sys.argv[1]), scenario)
    if how == "random":
        found = random_kills(stage, int(amount), seed=7)
    else:
        found = every_operation(stage, int(amount), ERRORS if how == "fail" else ())
    print(json.dumps(found))
