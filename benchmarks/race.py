"""Time rivals fairly: each in its own process on the same cores, equal numbers first, then interleaved rounds.

Knows no engine. A benchmark hands over one command per rival; its process answers ``check`` with the numbers that must
be equal and ``run`` with the seconds of one round, as JSON lines.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


class Rival:
    """One engine in its own process."""

    def __init__(self, name: str, command: Sequence[str], threads: int) -> None:
        self.name = name
        variables = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "TIDEGATE_NUM_THREADS")
        self._process = subprocess.Popen(
            [sys.executable, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **dict.fromkeys(variables, str(threads))},
        )

    def ask(self, question: str) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(question + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"{self.name} ended with {self._process.wait()}; its error stands above.")
        return json.loads(answer)

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def answer(check: Any, run: Any) -> None:
    """Be a rival: answer each line of stdin by calling ``check()`` or ``run()``."""
    for line in sys.stdin:
        print(json.dumps({"check": check, "run": run}[line.strip()]()), flush=True)


def race(
    commands: Mapping[str, Sequence[str]], *, threads: int, rounds: int, tolerance: float
) -> dict[str, list[float]]:
    """Check that all rivals give the numbers of the first within ``tolerance``, then time them A B B A.

    Return the seconds of each of the ``rounds`` per rival. Raises RuntimeError where numbers differ.
    """
    rivals = [Rival(name, command, threads) for name, command in commands.items()]
    want = rivals[0].ask("check")
    for rival in rivals[1:]:
        for mine, theirs in zip(want, rival.ask("check"), strict=True):
            if abs(mine - theirs) > tolerance * max(1.0, abs(mine)):
                raise RuntimeError(f"{rival.name} gives {theirs} where {rivals[0].name} gives {mine}; not timed.")
    seconds: dict[str, list[float]] = {rival.name: [] for rival in rivals}
    for rival in rivals:
        rival.ask("run")  # warm-up
    for number in range(rounds):
        for rival in rivals if number % 2 == 0 else reversed(rivals):
            seconds[rival.name].append(rival.ask("run"))
            print(f"round {number + 1}/{rounds}  {rival.name}: {seconds[rival.name][-1]:.3f} s", file=sys.stderr)
    for rival in rivals:
        rival.close()
    return seconds


def ratios(slow: Sequence[float], fast: Sequence[float]) -> tuple[float, float, float]:
    """Return the median, the least and the largest of the round-by-round ratios."""
    each = [a / b for a, b in zip(slow, fast, strict=True)]
    return statistics.median(each), min(each), max(each)


def machine(threads: int) -> dict[str, Any]:
    """Describe where a number was taken."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        model = next(
            (line.split(":")[1].strip() for line in info.read_text().splitlines() if "model name" in line), model
        )
    versions = {"python": platform.python_version()}
    for package in ("tidegate", "torch", "numpy"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "source tree"
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "threads": threads,
        "load_before": round(os.getloadavg()[0], 2),
        "versions": versions,
    }


def save(name: str, record: dict[str, Any]) -> Path:
    """Write a dated result file and return its path."""
    RESULTS.mkdir(exist_ok=True)
    now = datetime.now(UTC)
    path = RESULTS / f"{now:%Y-%m-%d}-{name}.json"
    path.write_text(json.dumps({"name": name, "taken": now.isoformat(timespec="seconds"), **record}, indent=1) + "\n")
    return path
