"""Trains a task on a data set with several workers, step by step."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import tidegate.runs as runs
from tidegate.runs import Source
from tidegate.scale.crew import Workers
from tidegate.scale.places import Place
from tidegate.train import Step


def train(
    source: Source | str,
    *,
    workers: int,
    timeout: float = 120.0,
    place: Place | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    **options: Any,
) -> Generator[Step, None, None]:
    """Train on a data set into a run folder, yielding the steps that one process would, to the bit.

    Closing the iterator saves the state, and sends the workers home; the run folder goes on with any number of them.

    Args:
        source: a data set by name, a file or folder, or a `runs.Source` with the options of `data.load`.
        workers: how many, this process among them; from 1 to 16.
        timeout: seconds that one worker waits for another before the run ends.
        place: where the others are; by default processes on this machine.
        out: the run folder; by default a new one under `runs/`.
        resume: go on with the interrupted run in `out`, to which source and options belong.
        options: those of `runs.start`, such as `task`, `preset` and `params`.

    Raises:
        InputError, DataError, RunFolderError: as `runs.start` and `runs.resume`.
        WorkerError: a worker is late, fails, or is lost again and again; it and its machine are named.

    >>> steps = train("digits", workers=2, out="runs/digits", params={"epochs": 1})  # doctest: +SKIP
    >>> for step in steps:  # doctest: +SKIP
    ...     print(step.loss)
    """
    crew = Workers(workers, timeout=timeout, place=place)
    if resume:
        assert out is not None, "there is a folder to go on in"
        training = runs.resume(out, crew=crew)
    else:
        given = Source(source) if isinstance(source, str) else source
        training = runs.start(given, out=out, crew=crew, **options)

    def steps() -> Generator[Step, None, None]:
        with crew:
            try:
                yield from training.steps
            except GeneratorExit:
                training.stop()
                raise
            training.finish()

    return steps()
