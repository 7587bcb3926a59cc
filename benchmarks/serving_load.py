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

import uvloop

MOST = 4000  # connections of an open loop; further arrivals wait for one, and that counts
PATIENCE = 2.0  # seconds after the end in which answers may still come
_LENGTH = b"content-length: "  # as uvicorn spells it
TICK = 0.0005  # seconds between two looks at what is due


@dataclass
class Seen:
    """Hold the seconds of answers by status, 0 where there was none; and when the last request left."""

    taken: dict[int, list[float]] = field(default_factory=dict)
    sent: int = 0
    until: float = 0.0

    def note(self, status: int, seconds: float) -> None:
        """Note one answer."""
        self.taken.setdefault(status, []).append(seconds)


class Wire(asyncio.Protocol):
    """One connection that is kept open; `free` is called once it can ask again."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._transport: Any = None
        self._data, self._due = b"", 0.0
        self.asking = False

    def connection_made(self, transport: Any) -> None:
        """Begin."""
        self._transport = transport

    def ask(self, due: float) -> None:
        """Send the request."""
        self._due, self.asking = due, True
        self._load.seen.sent += 1
        self._transport.write(self._load.message)

    def data_received(self, data: bytes) -> None:
        """Read an answer."""
        self._data = data = self._data + data if self._data else data
        end, at = data.find(b"\r\n\r\n"), data.find(_LENGTH)
        if end < 0 or len(data) < end + 4 + int(data[at + len(_LENGTH) : data.index(b"\r", at)]):
            return
        self._data, self.asking = b"", False
        self._load.seen.note(int(data[9:12]), time.perf_counter() - self._due)
        if data.find(b"connection: close", 0, end) > 0:
            self._transport.close()
        else:
            self._load.free(self)

    def connection_lost(self, _error: Exception | None) -> None:
        """End."""
        if self.asking:
            self.asking = False
            self._load.seen.note(0, time.perf_counter() - self._due)
        self._load.lost()


class Load:
    """Ask one server the same request over and over.

    Args:
        host, port: of the server.
        message: the request.
    """

    def __init__(self, host: str, port: int, message: bytes) -> None:
        self.message, self.seen = message, Seen()
        self._at = (host, port)
        self._idle: list[Wire] = []
        self._late = deque[float]()
        self._open = 0
        self._closed = False

    async def closed(self, *, connections: int, seconds: float) -> Seen:
        """Ask from some connections."""
        self._closed, self.seen.until = True, time.perf_counter() + seconds
        for _ in range(connections):
            await self._connect()
        while time.perf_counter() < self.seen.until:
            await asyncio.sleep(0.01)
            while self._open < connections:
                await self._connect()
        return self.seen

    async def opened(self, *, rate: float, seconds: float, connections: int) -> Seen:
        """Ask at a rate; `connections` are open before the first request, since opening them costs both sides."""
        draw, tasks, due = random.Random(0), set[asyncio.Task[None]](), time.perf_counter()
        for _ in range(min(connections, MOST)):
            await self._connect()
        begun = due = time.perf_counter()
        due += draw.expovariate(rate)
        while due < begun + seconds:
            now = time.perf_counter()
            while due <= now and due < begun + seconds:
                self._arrive(due, tasks)
                due += draw.expovariate(rate)
            await asyncio.sleep(TICK)
        until = time.perf_counter() + PATIENCE
        while (self._late or sum(map(len, self.seen.taken.values())) < self.seen.sent) and time.perf_counter() < until:
            await asyncio.sleep(0.01)
        return self.seen

    def free(self, wire: Wire) -> None:
        """Take a connection that can ask again: the one that was used last is used first, so that few are opened."""
        if self._closed:
            if time.perf_counter() < self.seen.until:
                wire.ask(time.perf_counter())
        elif self._late:
            wire.ask(self._late.popleft())
        else:
            self._idle.append(wire)

    def lost(self) -> None:
        """Note that a connection ended."""
        self._open -= 1
        self._idle = [wire for wire in self._idle if not wire._transport.is_closing()]

    def _arrive(self, due: float, tasks: set[asyncio.Task[None]]) -> None:
        if self._idle:
            self._idle.pop().ask(due)
            return
        self._late.append(due)
        if self._open < MOST:
            task = asyncio.create_task(self._connect())
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    async def _connect(self) -> None:
        self._open += 1
        try:
            _, wire = await asyncio.get_running_loop().create_connection(lambda: Wire(self), *self._at)
        except OSError:
            self._open -= 1
            return
        self.free(wire)


def main() -> None:
    """Read what to do from stdin as JSON, and print what was seen."""
    asked: dict[str, Any] = json.load(sys.stdin)
    body = asked["body"].encode()
    headers = f"POST {asked['path']} HTTP/1.1\r\nHost: {asked['host']}\r\nContent-Type: application/json\r\n"
    headers += "".join(f"{name}: {value}\r\n" for name, value in asked["headers"].items())
    message = f"{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body
    load = Load(asked["host"], asked["port"], message)
    seen = uvloop.run((load.opened if "rate" in asked["how"] else load.closed)(**asked["how"]))
    json.dump({"sent": seen.sent, "taken": seen.taken}, sys.stdout)


if __name__ == "__main__":
    main()
