"""Servers that are measured, as processes: started, asked by a generator, and what they took of the CPU and memory."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TICKS = os.sysconf("SC_CLK_TCK")
OURS = ("-m", "tidegate", "serve", "--threads", 1, "--metrics-port", 0, "--max-connections", 5000)


@dataclass(frozen=True)
class Running:
    """Hold a server that runs."""

    process: subprocess.Popen[bytes]
    port: int
    path: str

    @property
    def url(self) -> str:
        """Where it is asked."""
        return f"http://127.0.0.1:{self.port}{self.path}"

    def cpu(self) -> float:
        """Count the seconds of the CPU that it and the processes it began took so far."""
        return sum(family(self.process.pid).values()) / TICKS

    def memory(self) -> int:
        """Count the bytes that it holds in memory."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def load(self, body: Any, headers: Any = None, **how: Any) -> tuple[dict[int, list[float]], int, float]:
        """Let a generator ask; return seconds by status, how many were sent, and the CPU's seconds of the server."""
        asked = {"host": "127.0.0.1", "port": self.port, "path": self.path, "body": json.dumps(body), "how": how}
        asked["headers"] = headers or {}
        before = self.cpu()
        command = [sys.executable, "-m", "benchmarks.serving_load"]
        done = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True, check=True, timeout=120)
        told = json.loads(done.stdout)
        return {int(status): taken for status, taken in told["taken"].items()}, told["sent"], self.cpu() - before


def family(pid: int) -> dict[int, int]:
    """Find a process and those that it began, and the ticks of the CPU that each took."""
    ticks, parents = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        ticks[int(folder.name)], parents[int(folder.name)] = int(fields[11]) + int(fields[12]), int(fields[1])
    ours, found = {pid}, 0
    while len(ours) > found:
        found = len(ours)
        ours |= {child for child, parent in parents.items() if parent in ours}
    return {each: ticks[each] for each in ours if each in ticks}


@contextmanager
def beside() -> Iterator[None]:
    """Leave the first core to servers, while the block lasts: this process, and its generators, take others."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(cores) < 2:
        yield
        return
    os.sched_setaffinity(0, cores[1:])
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


@contextmanager
def started(*command: object, path: str, python: object = sys.executable) -> Iterator[Running]:
    """Start a server on the first core, of which the last argument is the port, and wait until it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([str(python), *map(str, command), str(port)], stdout=subprocess.DEVNULL)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(process.pid, {min(os.sched_getaffinity(0))})
    try:
        for _ in range(300):
            time.sleep(0.1)
            with socket.socket() as trial:
                if trial.connect_ex(("127.0.0.1", port)) == 0:
                    break
        yield Running(process, port, path)
    finally:
        others = [each for each in family(process.pid) if each != process.pid]
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()  # what refuses nothing has work for minutes
            process.wait()
        for each in others:
            with suppress(ProcessLookupError):
                os.kill(each, signal.SIGTERM)
