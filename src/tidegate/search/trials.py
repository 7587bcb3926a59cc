"""Trains one trial after the other in a process of its own, and asks after each epoch whether to go on."""

from __future__ import annotations

import socket
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import BrokenExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from secrets import token_bytes
from typing import TYPE_CHECKING, Any, Protocol

import tidegate.runs as runs
from tidegate.children import follow_parent
from tidegate.errors import RunFolderError, TidegateError, WorkerError
from tidegate.kernels.threads import set_num_threads
from tidegate.scale.cluster import Cluster
from tidegate.scale.wire import Address, Link, LinkError, accept, address_of, connect

if TYPE_CHECKING:
    from tidegate.data import Dataset
    from tidegate.train import Step

_TURN = 1.0  # seconds after which whoever waits looks around
_PATIENCE = 120.0  # seconds that the other end may take to take a message


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


class Line(Protocol):
    """Talk to another process; raises EOFError or OSError where that is gone."""

    def send(self, message: Any, /) -> None:
        """Send a message."""

    def recv(self) -> Any:
        """Wait for a message."""

    def close(self) -> None:
        """Let the other end know that there is nobody here any more."""


class Trainer:
    """Train trials in another process, which `begin_here` or `begin_there` began.

    Args:
        link: to the process.
        end: ends it.
    """

    def __init__(self, link: Line, end: Callable[[], None]) -> None:
        self._link, self._end = link, end

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
        self._end()
        self._link.close()


def begin_here(setting: Setting, threads: int) -> Trainer:
    """Begin a process on this machine that trains with so many threads."""
    context = get_context("spawn")
    link, other = context.Pipe()
    process = context.Process(target=_follow, args=(other, setting, threads), daemon=True)
    process.start()
    other.close()

    def end() -> None:
        process.kill()
        process.join()

    return Trainer(link, end)


def begin_there(cluster: Cluster, setting: Setting, cpus: int, *, within: Path, goes_on: Callable[[], bool]) -> Trainer:
    """Begin a process on a machine of a cluster that trains with so many cores, once they are free.

    Raises Lost where it is lost as it begins, or nobody wants it any more.
    """
    key = token_bytes(32)
    with cluster.listening() as listener:
        lent = cluster.call(
            _lend, address_of(listener), key, setting, within.resolve(), cpus=cpus, within=str(Path.cwd())
        )
        while (link := accept(listener, key, _TURN)) is None:
            if lent.done() and not isinstance(error := lent.exception(), BrokenExecutor | None):
                raise error
            if lent.done() or not goes_on():
                cluster.cancel(lent)
                raise Lost
    return Trainer(_Far(link), partial(cluster.cancel, lent))


class _Far:
    """Talk to a process on another machine."""

    def __init__(self, link: Link) -> None:
        self._link = link
        link.timeout = _PATIENCE

    def send(self, message: Any, /) -> None:
        """Send a message."""
        with _ending():
            self._link.send(message)

    def recv(self) -> Any:
        """Wait for a message."""
        with _ending():
            return self._link.receive(forever=True)

    def close(self) -> None:
        """Let the other end know that there is nobody here any more."""
        self._link.close()


@contextmanager
def _ending() -> Iterator[None]:
    try:
        yield
    except LinkError:
        raise EOFError from None


def _lend(address: Address, key: bytes, setting: Setting, folder: Path) -> None:
    """Train for a search that waits at an address, until that is gone."""
    if not folder.is_dir():
        told = f"the machine {socket.gethostname()} has no folder {folder}"
        raise RunFolderError(f"{told}. Let the search write into one that all machines share.")
    try:
        line = _Far(connect(address, key, _PATIENCE))
    except LinkError as error:
        raise WorkerError(f"the machine {socket.gethostname()} does not reach the search: {error}.") from None
    with suppress(EOFError), closing(line):
        _serve(line, setting)


def _follow(link: Connection, setting: Setting, threads: int) -> None:
    follow_parent()
    set_num_threads(threads)
    _serve(link, setting)


def _serve(link: Line, setting: Setting) -> None:
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


def _go_on(link: Line, setting: Setting, step: Step) -> bool:
    valid = step.valid or {}
    if setting.measure not in valid:
        known = ", ".join(valid) or "nothing"
        raise TidegateError(f"a trial measures {known} on the part held out, and no {setting.measure}.")
    link.send(valid[setting.measure])
    answer: bool = link.recv()
    return answer
