"""Where workers are begun, and ended: processes on this machine."""

from __future__ import annotations

import json
import secrets
import socket
import subprocess
import sys
from collections.abc import Container, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol, TypeAlias

from tidegate.scale.wire import Address, address_of, listen

Waiting: TypeAlias = tuple[socket.socket, Address, bytes]
"""What waits for workers, where, and the key that they must know."""

_ENDING = 5.0  # seconds that a worker has to end by itself


class Place(Protocol):
    """Begin and end the workers other than worker 0, one run of them after the other."""

    shared: bool
    """Whether they share the cores of the machine of worker 0."""

    def listening(self) -> AbstractContextManager[Waiting]:
        """Wait for workers while a block lasts."""

    def start(self, rank: int, address: Address, key: bytes) -> None:
        """Begin a worker that links to worker 0 at an address."""

    def ended(self, come: Container[int]) -> str | None:
        """Say which worker has ended that was begun and has not come, and why; None where there is none."""

    def stop(self) -> None:
        """End all workers, the sooner the better."""


class Here:
    """Begin processes on this machine, which link over sockets in a folder that nobody else may read."""

    shared = True

    def __init__(self) -> None:
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    @contextmanager
    def listening(self) -> Iterator[Waiting]:
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

    def ended(self, come: Container[int]) -> str | None:
        """Say which worker has ended that was begun and has not come."""
        for rank, process in self._processes.items():
            if rank not in come and (code := process.poll()) is not None:
                return f"worker {rank} (process {process.pid}) ended as it began, with exit code {code}"
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
