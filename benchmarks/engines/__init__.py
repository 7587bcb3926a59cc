"""The engines that race, one file each: a function per question they can answer, given a job, a ``Contest``.

A file imports its engine and NumPy, and nothing of Tidegate's but in ``tidegate.py``: rivals run where it is not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

Seconds: TypeAlias = float | dict[str, float] | list[float]
Array: TypeAlias = Any


def nothing() -> str:
    return ""


def clock(work: Callable[[], object]) -> Callable[[], float]:
    """Make a function that does the work and returns how many seconds it took."""

    def run() -> float:
        begin = time.perf_counter()
        work()
        return time.perf_counter() - begin

    return run


def clock_each(begin: Callable[[], Callable[[Array], Array]], steps: Iterable[Array]) -> Callable[[], list[float]]:
    """Make a function that begins anew, takes all steps, and returns how many seconds each of them took."""

    def run() -> list[float]:
        step, seconds = begin(), []
        for x in steps:
            start = time.perf_counter()
            step(x)
            seconds.append(time.perf_counter() - start)
        return seconds

    return run


def last_of(begin: Callable[[], Callable[[Array], Array]], steps: Iterable[Array]) -> Array:
    """Take all steps and return what the last one gave."""
    step, out = begin(), None
    for x in steps:
        out = step(x)
    return out


@dataclass(frozen=True)
class Contest:
    """What an engine does for a question; ``notes`` says, afterwards, how it did it."""

    check: Callable[[], list[float]]
    run: Callable[[], Seconds]
    notes: Callable[[], str] = nothing
