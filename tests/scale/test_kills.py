"""A run with workers of which any, worker 0 among them, is killed at any time comes to the undisturbed bits."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

SMALL = ["--hidden-size", "4", "--set", "embedding_size=3", "--set", "batch_size=16", "--epochs", "8", "--no-baselines"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = (f"{'salt wave' if n % 2 else 'oak fern'} word{n % 5},{'sea' if n % 3 else 'wood'}" for n in range(400))
    file = tmp_path_factory.mktemp("data") / "small.csv"
    file.write_text("text,label\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return file


def begin(*argv: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tidegate", "train", *map(str, argv)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def finish(process: subprocess.Popen[bytes]) -> tuple[int, str]:
    said = process.communicate(timeout=300)[1].decode()
    return process.returncode, said


def workers_of(process: subprocess.Popen[bytes]) -> list[int]:
    """List the children of a process that are there."""
    try:
        told = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii")
    except OSError:
        return []
    return [int(child) for child in told.split()]


def disturb(data: Path, folder: Path, kills: int, seed: int) -> Counter[str]:
    """Kill somebody of a run at a random moment, and let it go on if it ended, until so many were killed."""
    draw, tally = random.Random(seed), Counter[str]()
    begun = time.monotonic()
    undisturbed = folder / "undisturbed"
    code, said = finish(begin(data, *SMALL, "--out", undisturbed))
    assert code == 0, said
    usual, number = 1.5 * (time.monotonic() - begun), 0
    while tally["kills"] < kills:
        number += 1
        run = folder / f"run{number}"
        process = begin(data, *SMALL, "--workers", 3, "--out", run)
        for _ in range(2):
            time.sleep(draw.uniform(0.2, 1.0) * usual)
            victim = draw.choice([process.pid, *workers_of(process)])
            if process.poll() is None:
                os.kill(victim, signal.SIGKILL)
                tally["kills"] += 1
                tally["of worker 0" if victim == process.pid else "of others"] += 1
            if process.poll() is not None or victim == process.pid:
                finish(process)
                again = ["--resume", run] if (run / "recipe.toml").exists() else [data, *SMALL, "--out", run]
                process = begin(*again, "--workers", draw.choice([1, 2, 3]))
        code, said = finish(process)
        if code:
            tally[f"failed: {said}"] += 1
        elif (run / "model.safetensors").read_bytes() != (undisturbed / "model.safetensors").read_bytes():
            tally["different model"] += 1
        tally["runs"] += 1
    return tally


def faults(tally: Counter[str]) -> dict[str, int]:
    return {name: count for name, count in tally.items() if name not in ("kills", "runs", "of worker 0", "of others")}


def test_a_few_kills_lead_to_the_same_model(data: Path, tmp_path: Path) -> None:
    assert faults(disturb(data, tmp_path, 2, seed=1)) == {}


@pytest.mark.slow
def test_a_hundred_kills_lead_to_the_same_model(data: Path, tmp_path: Path) -> None:
    tally = disturb(data, tmp_path, 100, seed=2)
    assert faults(tally) == {}
    assert tally["of worker 0"] > 10
    assert tally["of others"] > 10
