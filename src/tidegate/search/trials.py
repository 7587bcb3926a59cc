"""Trains one trial after the other in a process of its own, and asks after each epoch whether to go on."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tidegate.runs as runs
from tidegate.children import follow_parent
from tidegate.errors import TidegateError
from tidegate.kernels.threads import set_num_threads

if TYPE_CHECKING:
    from tidegate.data import Dataset
    from tidegate.train import Step


@dataclass(frozen=True)
class Setting:
    """Say what all trials have in common: the data, the task, the preset, and the measure that is looked at."""

    source: runs.Source
    task: str | None
    preset: str | None
    measure: str


@dataclass(frozen=True)
class Tried:
    """Say what a trial came to.

    ended: `complete`, `pruned` where it was ended early, or `fail`, and then `why`.
    values: the measure after each epoch, from 1; `value` is the best of them.
    """

    number: int
    params: Mapping[str, Any]
    value: float | None
    ended: str
    values: Mapping[int, float]
    why: str | None = None


class Lost(Exception):  # noqa: N818  (of a process: the trial is made again)
    """Tell that the process of a trial was killed."""


class Trainer:
    """Train trials in another process."""

    def __init__(self, setting: Setting, threads: int) -> None:
        context = get_context("spawn")
        self._link, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, setting, threads), daemon=True)
        self._process.start()
        other.close()

    def train(self, params: Mapping[str, Any], folder: Path) -> Generator[float, None, None]:
        """Yield the measure after each epoch; the trial ends there where the iterator is closed.

        Raises Lost where the process was killed, and TidegateError where the trial cannot be trained.
        """
        try:
            self._link.send((dict(params), folder))
            while (told := self._link.recv()) is not None:
                if isinstance(told, TidegateError):
                    raise told
                try:
                    yield told
                except GeneratorExit:
                    self._link.send(False)
                    self._link.recv()  # once all is written
                    raise
                self._link.send(True)
        except (EOFError, OSError):
            raise Lost from None

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()
        self._link.close()


def _serve(link: Connection, setting: Setting, threads: int) -> None:
    follow_parent()
    set_num_threads(threads)
    dataset = None
    while True:
        params, folder = link.recv()
        try:
            dataset = dataset or setting.source.load()
            with _training(setting, dataset, params, folder) as training:
                for step in training.steps:
                    if step.end_of_epoch and not step.refit and not _go_on(link, setting, step):
                        break
            link.send(None)
        except TidegateError as error:
            link.send(error)


@contextmanager
def _training(setting: Setting, dataset: Dataset, params: Mapping[str, Any], folder: Path) -> Iterator[runs.Training]:
    options: dict[str, Any] = {"task": setting.task, "preset": setting.preset, "params": params}
    training = runs.start(setting.source, dataset=dataset, out=folder, overwrite=True, **options)
    try:
        yield training
    finally:
        training.stop()


def _go_on(link: Connection, setting: Setting, step: Step) -> bool:
    valid = step.valid or {}
    if setting.measure not in valid:
        known = ", ".join(valid) or "nothing"
        raise TidegateError(f"a trial measures {known} on the part held out, and no {setting.measure}.")
    link.send(valid[setting.measure])
    answer: bool = link.recv()
    return answer
