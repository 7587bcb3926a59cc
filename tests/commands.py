"""A command line that is called in this process, and what it left; `cli` of conftest.py makes one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """What a command left: its exit code, and what it printed."""

    code: int
    out: str
    err: str


Cli = Callable[..., Answer]
