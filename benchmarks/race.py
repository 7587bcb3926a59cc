"""Time rivals fairly: each in its own process on the same cores, equal numbers first, then interleaved rounds.

Knows no engine. A rival is a process that answers questions, one JSON line each: ``check`` with the numbers that must
be equal, ``run`` with the seconds of one round, in all, by part or step by step.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

ROOT = Path(__file__).parent.parent
PEERS = ROOT / ".venv-peers" / "bin" / "python"
PAUSE = 0.05  # seconds for the threads of the rival before to fall asleep

Seconds: TypeAlias = float | dict[str, float] | list[float]


@dataclass(frozen=True)
class Rival:
    """Say how to start an engine: in which environment, and in how many rounds it takes part (None: in all)."""

    name: str
    engine: str
    question: str
    job: str
    peers: bool = False
    rounds: int | None = None


@dataclass
class Outcome:
    """What a race found; ``parts`` where a rival told several times by name, ``latency`` where it told each step's."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    parts: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    latency: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, answer: Seconds) -> None:
        if isinstance(answer, list):
            for share in (50, 99):
                value = statistics.quantiles(answer, n=100, method="inclusive")[share - 1]
                self.latency.setdefault(name, {}).setdefault(f"p{share}", []).append(value)
            answer = sum(answer)
        self.seconds.setdefault(name, []).append(sum(answer.values()) if isinstance(answer, dict) else answer)
        if isinstance(answer, dict):
            for part, value in answer.items():
                self.parts.setdefault(name, {}).setdefault(part, []).append(value)


class EndedError(RuntimeError):
    """A rival's process ended before it answered."""


class Process:
    """A rival that is running, on the first ``threads`` cores that this process may use."""

    def __init__(self, rival: Rival, threads: int) -> None:
        self.rival = rival
        python = str(PEERS) if rival.peers else sys.executable
        variables = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TIDEGATE_NUM_THREADS")
        self._process = subprocess.Popen(
            [python, "-m", "benchmarks.engines", rival.engine, rival.question, rival.job],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, **dict.fromkeys(variables, str(threads)), "BENCHMARK_CORES": cores(threads)},
        )

    def greet(self) -> Any:
        return self._read()

    def ask(self, question: str) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(question + "\n")
        self._process.stdin.flush()
        return self._read()

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _read(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise EndedError(f"{self.rival.name} ended with {self._process.wait()}; its error stands above.")
        return json.loads(line)


def cores(threads: int) -> str:
    """List the cores that a race of so many threads is pinned to; empty where the system knows no such thing."""
    if not hasattr(os, "sched_getaffinity"):
        return ""
    return ",".join(map(str, sorted(os.sched_getaffinity(0))[:threads]))


def pin() -> None:
    """Keep this process on the cores of its race; before an engine counts them."""
    if os.environ.get("BENCHMARK_CORES"):
        os.sched_setaffinity(0, {int(core) for core in os.environ["BENCHMARK_CORES"].split(",")})


def answer(
    hello: dict[str, Any], check: Callable[[], list[float]], run: Callable[[], Seconds], notes: Callable[[], str]
) -> None:
    """Be a rival: greet, then answer each line of stdin by calling ``check``, ``run`` or ``notes``."""
    out, known = sys.stdout, {"check": check, "run": run, "notes": notes}
    sys.stdout = sys.stderr  # what an engine prints is not an answer
    print(json.dumps(hello), file=out, flush=True)
    for line in sys.stdin:
        print(json.dumps(known[line.strip()]()), file=out, flush=True)


def race(rivals: Sequence[Rival], *, threads: int, rounds: int, tolerance: float) -> Outcome:
    """Check that all rivals give the numbers of the first within ``tolerance``, then time them A B B A.

    A rival that is not installed, or cannot run this, is left out and named in ``absent``. Raises RuntimeError where
    numbers differ.
    """
    outcome = Outcome()
    running = _start(rivals, threads, outcome)
    try:
        running = _check(running, tolerance, outcome)
        for process in running:
            if process.rival.rounds != 1:  # what is too slow for two rounds is warm from its check
                process.ask("run")
        for number in range(rounds):
            for process in running if number % 2 == 0 else reversed(running):
                if number < (process.rival.rounds or rounds):
                    time.sleep(PAUSE)
                    outcome.add(process.rival.name, process.ask("run"))
            print(f"round {number + 1} of {rounds}", file=sys.stderr)
        outcome.notes = {process.rival.name: note for process in running if (note := process.ask("notes"))}
    finally:
        for process in running:
            process.close()
    return outcome


def _start(rivals: Sequence[Rival], threads: int, outcome: Outcome) -> list[Process]:
    running = []
    for rival in rivals:
        if rival.peers and not PEERS.exists():
            _leave_out(rival, "not installed; run: make bench-peers", outcome)
            continue
        process = Process(rival, threads)
        try:
            hello = process.greet()
        except EndedError as error:
            _leave_out(rival, str(error), outcome)
            continue
        if "absent" in hello:
            _leave_out(rival, hello["absent"], outcome)
            process.close()
        else:
            outcome.versions |= hello["versions"]
            running.append(process)
    return running


def _check(running: Sequence[Process], tolerance: float, outcome: Outcome) -> list[Process]:
    """Compare the numbers of all rivals with those of the first, and return the rivals that could give any."""
    first, *others = running
    want, equal = first.ask("check"), [first]
    for process in others:
        name = process.rival.name
        try:
            have = process.ask("check")
        except EndedError as error:
            _leave_out(process.rival, str(error), outcome)
            continue
        for mine, theirs in zip(want, have, strict=True):
            if not abs(mine - theirs) <= tolerance * max(1.0, abs(mine)):
                raise RuntimeError(f"{name} gives {theirs} where {first.rival.name} gives {mine}; nothing was timed.")
        equal.append(process)
    return equal


def _leave_out(rival: Rival, reason: str, outcome: Outcome) -> None:
    outcome.absent[rival.name] = reason
    print(f"{rival.name} is left out: {reason}", file=sys.stderr)


def ratios(slow: Sequence[float], fast: Sequence[float]) -> tuple[float, float, float]:
    """Return the median, the least and the largest of the ratios of the rounds that both took part in."""
    each = [a / b for a, b in zip(slow, fast, strict=False)]
    return statistics.median(each), min(each), max(each)
