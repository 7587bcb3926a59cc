"""A server on the loopback interface, in a thread of this process, and small models of every task for it."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import samples
import tidegate as tg
from tidegate.serve.server import Server
from tidegate.serve.settings import Settings
from tidegate.tasks import CARDS

ASKED = [name for name, card in CARDS.items() if card.answers().wire is not None]
"""The tasks that can be asked over a network."""


@contextmanager
def serving(models: Mapping[str, Path], *, said: list[str] | None = None, **settings: Any) -> Iterator[Server]:
    """Serve models until the block ends."""
    ready, lines = threading.Event(), [] if said is None else said
    options = {"port": 0, "metrics_port": None} | settings
    server = Server(models, Settings(**options), say=lines.append)
    thread = threading.Thread(target=server.run, args=(lambda _: ready.set(),))
    thread.start()
    try:
        assert ready.wait(20)
        yield server
    finally:
        server.stop()
        thread.join(30)
        assert not thread.is_alive()


def train_all(folder: Path) -> dict[str, Path]:
    """Train a small model of every task, that can be streamed, and save them by the name of the task."""
    paths = {}
    for name in ASKED:
        sample = samples.SAMPLES[name]
        path = folder / f"{name}.safetensors"
        samples.untrained(name, **sample.live_params).fit(*sample.examples()).save(path)
        paths[name] = path
    return paths


def inputs_of(name: str) -> Any:
    """Make inputs for the model of a task, as Python passes them."""
    X = samples.SAMPLES[name].data(12)[0]
    return [series.values for series in X] if name == "forecaster" else X


def bits(answer: Any) -> Any:
    """Bring what a task gives into a form in which equal means equal to the bit."""
    if hasattr(answer, "tobytes"):
        return (answer.dtype.str, answer.shape, answer.tobytes() if answer.dtype.kind != "U" else answer.tolist())
    if isinstance(answer, tg.tasks.Forecast):
        return (answer.columns, bits(answer.mean), {level: bits(rows) for level, rows in answer.quantiles.items()})
    return list(map(bits, answer)) if isinstance(answer, list) else answer


def ask(
    server: Server,
    path: str,
    content: Any = None,
    *,
    method: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[int, Any, Mapping[str, str]]:
    """Send one request; return the status, the body as JSON where it is some, and the headers."""
    parts = urlsplit(server.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
    body = content if isinstance(content, bytes | None) else json.dumps(content).encode()
    connection.request(method or ("GET" if body is None else "POST"), path, body, dict(headers or {}))
    answer = connection.getresponse()
    data, told = answer.read(), dict(answer.getheaders())
    connection.close()
    return answer.status, json.loads(data) if "json" in told.get("content-type", "") else data, told


@contextmanager
def wired(server: Server) -> Iterator[socket.socket]:
    """Open a connection, on which a test writes what it likes."""
    parts = urlsplit(server.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=20) as wire:
        yield wire


def rest(wire: socket.socket) -> bytes:
    """Read until the server hangs up."""
    found = b""
    try:
        while piece := wire.recv(65536):
            found += piece
    except ConnectionResetError:  # it was cut off while data were on their way
        pass
    return found
