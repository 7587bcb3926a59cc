"""Where workers are: processes on this machine that are begun and ended here, or others that come from elsewhere."""

from __future__ import annotations

import json
import secrets
import socket
import subprocess
import sys
from collections.abc import Container, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol, TypeAlias

from tidegate.errors import InputError
from tidegate.scale.wire import Address, address_of, listen

Waiting: TypeAlias = tuple[socket.socket, Address, bytes]
"""What waits for workers, where, and the key that they must know."""

_KEY = 16  # bytes, at least
_ENDING = 5.0  # seconds that a worker has to end by itself


@dataclass(frozen=True)
class Ended:
    """Say how the process of a worker has ended: by what kills others in its place, or in a way that `how` tells."""

    rank: int
    name: str
    killed: bool
    how: str


class Place(Protocol):
    """Begin and end the workers other than worker 0, one run of them after the other."""

    shared: bool
    """Whether they share the cores of the machine of worker 0."""
    coming: float
    """Seconds that they may take to come."""

    def listening(self, count: int) -> AbstractContextManager[Waiting]:
        """Wait for workers while a block lasts; with worker 0 they are so many."""

    def start(self, rank: int, address: Address, key: bytes) -> None:
        """Begin a worker that links to worker 0 at an address."""

    def ended(self, come: Container[int]) -> Ended | None:
        """Say which worker has ended that was begun and has not come; None where there is none."""

    def stop(self) -> None:
        """End all workers, the sooner the better."""


class Here:
    """Begin processes on this machine, which link over sockets in a folder that nobody else may read."""

    shared, coming = True, 60.0

    def __init__(self) -> None:
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    @contextmanager
    def listening(self, count: int) -> Iterator[Waiting]:
        """Wait for workers while a block lasts."""
        with TemporaryDirectory(prefix="tidegate-") as folder, listen(str(Path(folder) / "0")) as listener:
            yield listener, address_of(listener), secrets.token_bytes(32)

    def start(self, rank: int, address: Address, key: bytes) -> None:
        """Begin a worker, which a Ctrl-C at the terminal does not reach: worker 0 sends it home."""
        own = str(Path(str(address)).with_name(str(rank)))
        command = [sys.executable, "-m", "tidegate.scale.worker"]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
        self._processes[rank] = process
        told = {"rank": rank, "address": address, "own": own, "key": key.hex()}
        assert process.stdin is not None, "it was asked for"
        with suppress(BrokenPipeError), process.stdin:
            process.stdin.write(json.dumps(told).encode() + b"\n")

    def ended(self, come: Container[int]) -> Ended | None:
        """Say which worker has ended that was begun and has not come."""
        for rank, process in self._processes.items():
            if rank not in come and (code := process.poll()) is not None:
                told = f", with exit code {code}; what it printed on its way out says why"
                return Ended(rank, f"worker {rank} (process {process.pid})", code < 0, told)
        return None

    def stop(self) -> None:
        """End all workers; those that were sent home, or see that nobody is there, end by themselves."""
        for process in self._processes.values():
            try:
                process.wait(_ENDING)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()


class Elsewhere:
    """Wait for workers that somebody begins on other machines, with `tidegate work`, as many as are wanted.

    Who is lost is waited for anew: a worker that sees worker 0 go begins again by itself, see `tidegate work`.

    Args:
        host: a name or address of this machine by which the others reach it; nobody else can.
        port: where they find it; 0 takes a free one.
        key: what all must know, 16 bytes or more. It keeps strangers out; nothing is encrypted.

    Raises:
        InputError: the key is too short.
    """

    shared, coming = False, 60.0

    def __init__(self, host: str, port: int, key: bytes) -> None:
        if len(key) < _KEY:
            raise InputError(f"the key has {len(key)} bytes; wanted {_KEY} or more, that nobody can guess.")
        self._address, self._key = (host, port), key

    @contextmanager
    def listening(self, count: int) -> Iterator[Waiting]:
        """Wait for workers while a block lasts."""
        with listen(self._address) as listener:
            self._address = listener.getsockname()[:2]  # a port that was chosen stays the same
            yield listener, address_of(listener), self._key

    def start(self, rank: int, address: Address, key: bytes) -> None:
        """Leave that to those who begin workers elsewhere."""

    def ended(self, come: Container[int]) -> Ended | None:
        """Know of none."""
        return None

    def stop(self) -> None:
        """Leave them: they see that worker 0 is gone."""
