"""Answers files, and kills the process that does at a chosen operation; processes of a pool import it by name."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from tidegate.durable import atomic_write

OPERATIONS = {"open", "os.rename", "os.remove"}


def double(file: Path, target: Path) -> int:
    """Write every line twice."""
    lines = file.read_text(encoding="utf-8").splitlines()
    atomic_write(target, "".join(f"{line}{line}\n" for line in lines).encode())
    return len(lines)


def double_or_die(marks: Path, number: int, file: Path, target: Path) -> int:
    """Do that, but kill the process at its n-th operation on the first file, once."""
    count = 0

    def hook(event: str, args: tuple[object, ...]) -> None:
        nonlocal count
        if event in OPERATIONS and args and str(target.parent) in str(args[0]):
            count += 1
            if count == number:
                die_once(marks)

    if file.name == "0.txt" and not marks.exists():
        sys.addaudithook(hook)
    rows = double(file, target)
    if number == 0:
        die_once(marks)
    return rows


def die_once(marks: Path) -> None:
    """Kill this process, unless one was killed before."""
    if not marks.exists():
        marks.touch()
        os.kill(os.getpid(), signal.SIGKILL)
