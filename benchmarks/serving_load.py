"""Asks a server over and over, bounded in time and count, and says how long each answer took.

Closed: some connections, each of which asks again once it is answered. Open: requests arrive by chance at a rate,
whether others are answered or not; the time of one counts from when it should have been sent.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

MOST = 1500  # connections of an open loop; further arrivals wait for one, and that counts


@dataclass
class Seen:
    """Hold the seconds of answers by status, 0 where there was none."""

    taken: dict[int, list[float]] = field(default_factory=dict)

    def note(self, status: int, seconds: float) -> None:
        """Note one answer."""
        self.taken.setdefault(status, []).append(seconds)


class Wire:
    """One connection that is kept open."""

    def __init__(self, host: str, port: int) -> None:
        self._at = (host, port)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, message: bytes) -> int:
        """Send a request and read its answer; return the status, 0 where the connection ended."""
        try:
            if self._streams is None:
                self._streams = await asyncio.open_connection(*self._at)
            reader, writer = self._streams
            writer.write(message)
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(length)
            if b"\r\nconnection: close" in head.lower():
                writer.close()
                self._streams = None
            return int(head[9:12])
        except (OSError, asyncio.IncompleteReadError):
            self._streams = None
            return 0


async def closed(host: str, port: int, message: bytes, *, connections: int, seconds: float) -> Seen:
    """Ask from some connections."""
    seen, until = Seen(), time.perf_counter() + seconds

    async def one() -> None:
        wire = Wire(host, port)
        while (begun := time.perf_counter()) < until:
            status = await wire.ask(message)
            seen.note(status, time.perf_counter() - begun)

    await asyncio.gather(*(one() for _ in range(connections)))
    return seen


async def opened(host: str, port: int, message: bytes, *, rate: float, seconds: float) -> Seen:
    """Ask at a rate."""
    seen, draw, free = Seen(), random.Random(0), deque(Wire(host, port) for _ in range(MOST))
    room, tasks = asyncio.Semaphore(MOST), set[asyncio.Task[None]]()

    async def one(due: float) -> None:
        async with room:
            wire = free.pop()  # the one that was used last, so that few are opened
            status = await wire.ask(message)
            free.append(wire)
        seen.note(status, time.perf_counter() - due)

    due = begun = time.perf_counter()
    while due < begun + seconds:
        due += draw.expovariate(rate)
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        task = asyncio.create_task(one(due))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    if tasks:
        await asyncio.wait(tasks, timeout=10)
    for task in tasks:
        task.cancel()
    return seen


def main() -> None:
    """Read what to do from stdin as JSON, and print what was seen."""
    asked: dict[str, Any] = json.load(sys.stdin)
    body = asked["body"].encode()
    headers = f"POST {asked['path']} HTTP/1.1\r\nHost: {asked['host']}\r\nContent-Type: application/json\r\n"
    headers += "".join(f"{name}: {value}\r\n" for name, value in asked["headers"].items())
    message = f"{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body
    how, place = asked["how"], (asked["host"], asked["port"])
    loop = closed if "connections" in how else opened
    seen = asyncio.run(loop(*place, message, **how))
    json.dump(seen.taken, sys.stdout)


if __name__ == "__main__":
    main()
