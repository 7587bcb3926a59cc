"""What the commands of all questions share: their options, and a folder with the arrays of a race."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks.work import Array, Job
from tidegate import kernels

ROUNDS = 10


def parser(doc: str | None) -> argparse.ArgumentParser:
    """Make the parser of a question, whose ``doc`` begins with what it asks."""
    made = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--rounds", type=int, default=ROUNDS)
    made.add_argument("--threads", type=int, default=kernels.get_num_threads())
    return made


@contextmanager
def prepared(
    cell: str, inputs: int, hidden: int, directions: int, threads: int, arrays: dict[str, Array]
) -> Iterator[Job]:
    """Write the arrays of a race to a file for as long as it lasts, and give the job that names it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "work.npz"
        np.savez(path, **arrays)  # type: ignore[arg-type]
        yield Job(cell, inputs, hidden, directions, threads, str(path))


def layer_name(cell: str, hidden: int, directions: int) -> str:
    """Name a layer for a file: ``bilstm-32``."""
    return f"{'bi' if directions == 2 else ''}{cell}-{hidden}"
