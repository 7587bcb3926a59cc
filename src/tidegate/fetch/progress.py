"""How long work on a data set shows itself: a line that counts on a terminal, two plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how many bytes of it are done, and how many there are."""


def show(what: str, done: int, total: int) -> None:
    """Write progress to stderr: redrawn in place on a terminal, else only the beginning and the end."""
    line = f"{what}: {done / 1e6:.0f} of {total / 1e6:.0f} MB ({done / max(total, 1):.0%})"
    finished = done >= total
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{line}{chr(10) if finished else ''}")
        sys.stderr.flush()
    elif done == 0 or finished:
        print(line, file=sys.stderr, flush=True)


def silent(what: str, done: int, total: int) -> None:
    """Show nothing."""
