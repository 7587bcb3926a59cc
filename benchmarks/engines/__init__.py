"""The engines that race, one file each: a function per question they can answer, given a job, a ``Contest``.

A file imports its engine and NumPy, and nothing of Tidegate's but in ``tidegate.py``: rivals run where it is not.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

Seconds: TypeAlias = float | dict[str, float]


def nothing() -> str:
    return ""


def clock(work: Callable[[], object]) -> Callable[[], float]:
    """Make a function that does the work and returns how many seconds it took."""

    def run() -> float:
        begin = time.perf_counter()
        work()
        return time.perf_counter() - begin

    return run


@dataclass(frozen=True)
class Contest:
    """What an engine does for a question; ``notes`` says, afterwards, how it did it."""

    check: Callable[[], list[float]]
    run: Callable[[], Seconds]
    notes: Callable[[], str] = nothing
