"""No connection stays open for ever, fills the memory, or takes what belongs to one request for another."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from serving import ask, rest, serving, wired
from tidegate.serve import body, protocol
from tidegate.serve.protocol import Patient
from tidegate.serve.server import Server

NAME = "text-classifier"
BODY = json.dumps({"texts": ["wave"]}).encode()
POST = b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n%b\r\n"
GOOD = POST % (b"/v1/predict", len(BODY), b"") + BODY
STRANGE = POST % (b"/v1/predict", len(BODY), b"Origin: http://evil.example\r\n") + BODY
GET = b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n%b\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
SOCKET = (
    b"GET /v1/streams/%b HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" % NAME.encode()
)
LONG = 1_000_000  # bytes of a body that never comes
SOON = 0.2  # seconds that stand for every time to wait


@pytest.fixture(scope="module")
def alone(models: dict[str, Path]) -> Iterator[Server]:
    """A server of one model."""
    with serving({NAME: models[NAME]}, max_queue_tokens=1000) as server:
        yield server


@pytest.fixture
def hasty(alone: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The same, while it waits for nothing longer than a moment."""
    made = Patient.connection_made

    def connection_made(self: Patient, transport: Any) -> None:
        self.timeout_keep_alive = SOON  # type: ignore[assignment]
        made(self, transport)

    monkeypatch.setattr(Patient, "connection_made", connection_made)
    for module, name in ((protocol, "HEAD_SECONDS"), (protocol, "PASSING_SECONDS"), (protocol, "READING_SECONDS")):
        monkeypatch.setattr(module, name, SOON)
    monkeypatch.setattr(protocol, "SLOWEST", 2**40)
    monkeypatch.setattr(body, "SECONDS", SOON)
    monkeypatch.setattr(body, "SLOWEST", 2**40)
    return alone


def answered(wire: socket.socket) -> bytes:
    """Read one answer whose body has a length; return all of it."""
    file = wire.makefile("rb", buffering=0)
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        piece = file.read(1)
        assert piece, head
        head += piece
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    found = b""
    while len(found) < length:
        found += file.read(length - len(found)) or b""
    return head + found


def until(is_so: Callable[[], bool]) -> bool:
    """Wait for something; tell whether it came."""
    end = time.monotonic() + 20
    while not is_so() and time.monotonic() < end:
        time.sleep(0.01)
    return is_so()


def is_cut(wire: socket.socket, drop: bytes) -> bool:
    """Send a little again and again; tell whether the server hangs up."""
    wire.settimeout(SOON / 8)

    def over() -> bool:
        try:
            wire.sendall(drop)
            return wire.recv(65536) == b""
        except TimeoutError:
            return False
        except ConnectionError:
            return True

    return until(over)


BODIES = {
    "refused": POST % (b"/v1/predict", LONG, b"Origin: http://evil.example\r\n"),
    "of no route": POST % (b"/nowhere", LONG, b""),
    "of a wrong method": b"PUT /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % LONG,
    "too slow": POST % (b"/v1/predict", 1000, b""),
    "of a GET": GET % (b"Content-Length: %d\r\n" % LONG),
}


@pytest.mark.parametrize("head", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("drop", [b"x", b""], ids=["by bytes", "never"])
def test_a_body_that_nobody_wants_does_not_hold_a_connection(hasty: Server, head: bytes, drop: bytes) -> None:
    with wired(hasty) as wire:
        wire.sendall(head + b"x")
        assert answered(wire).startswith(b"HTTP/1.1 ")
        wire.sendall(b"x")
        assert is_cut(wire, drop)


@pytest.mark.parametrize("drop", [b"\r\n", b""], ids=["lines", "one line"])
@pytest.mark.parametrize("before", [b"", GET % b"", GOOD, STRANGE], ids=["nothing", "GET", "POST", "refusal"])
def test_empty_lines_do_not_hold_a_connection(hasty: Server, before: bytes, drop: bytes) -> None:
    with wired(hasty) as wire:
        if before:
            wire.sendall(before)
            answered(wire)
        wire.sendall(b"\r\n")
        assert is_cut(wire, drop)


def test_a_head_in_two_pieces_with_a_long_body_does_not_lengthen_the_next(alone: Server) -> None:
    body = json.dumps({"texts": ["wave"], "rest": "x" * 100_000}).encode()
    whole = POST % (b"/v1/predict", len(body), b"") + body
    with wired(alone) as wire:
        wire.sendall(whole[:30])
        time.sleep(0.05)
        wire.sendall(whole[30:])
        assert b" 413 " in answered(wire)
        wire.sendall(b"\r\n" + GOOD)
        assert b" 200 " in answered(wire)


def test_a_refusal_does_not_cut_the_answer_after_it(hasty: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both come together, and the second takes longer than an idle connection may last."""
    inner = hasty.app._app

    async def slow(*args: Any) -> None:
        await asyncio.sleep(4 * SOON)
        await inner(*args)

    monkeypatch.setattr(hasty.app, "_app", slow)
    with wired(hasty) as wire:
        wire.sendall(STRANGE + GOOD)
        assert b" 403 " in answered(wire)
        assert b" 200 " in answered(wire)


def test_a_slow_answer_outlasts_the_beginning_of_a_next_head(hasty: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = hasty.app._app

    async def slow(*args: Any) -> None:
        await asyncio.sleep(4 * SOON)
        await inner(*args)

    monkeypatch.setattr(hasty.app, "_app", slow)
    with wired(hasty) as wire:
        wire.sendall(GOOD + GET[:9])
        assert b" 200 " in answered(wire)
        assert rest(wire) == b""


def test_the_refusal_of_a_head_has_no_body(alone: Server) -> None:
    asked = b"HEAD /v1/models HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\n\r\n"
    with wired(alone) as wire:
        wire.sendall(asked + asked + GET % b"Connection: close\r\n")
        answers = rest(wire).split(b"\r\n\r\n")
    assert [answer.splitlines()[0].split()[1] for answer in answers[:3]] == [b"403", b"403", b"200"]
    assert b"content-length: " in answers[0]
    assert json.loads(answers[3])


@pytest.mark.parametrize("headers", [[], [(b"connection", b"close")]], ids=["kept", "closed"])
@pytest.mark.parametrize("pieces", [1, 64], ids=["at once", "in pieces"])
def test_who_does_not_read_an_answer_is_cut_off(
    hasty: Server, monkeypatch: pytest.MonkeyPatch, headers: list[tuple[bytes, bytes]], pieces: int
) -> None:
    monkeypatch.setattr(hasty.app, "_app", _writing(2**24, pieces, headers))
    runner, before = hasty._runner, hasty.app.answers[0]
    assert runner is not None
    connections = runner.server_state.connections
    assert until(lambda: not connections)
    with wired(hasty) as wire:
        wire.sendall(GET % b"")
        assert until(lambda: hasty.app.answers[0] == before + 1)
        assert until(lambda: not connections)
        assert len(rest(wire)) < 2**24


@pytest.mark.parametrize("headers", [[], [(b"connection", b"close")]], ids=["kept", "closed"])
def test_who_reads_slowly_gets_all(
    hasty: Server, monkeypatch: pytest.MonkeyPatch, headers: list[tuple[bytes, bytes]]
) -> None:
    monkeypatch.setattr(protocol, "SLOWEST", 2**20)
    monkeypatch.setattr(hasty.app, "_app", _writing(2**24, 1, headers))
    with wired(hasty) as wire:
        wire.sendall(GET % b"")
        time.sleep(5 * SOON)
        assert len(rest(wire)) > 2**24


def test_who_does_not_read_the_little_before_the_end_is_cut_off(hasty: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits to be read is too little for the writing to be held up, and the connection is to close with it."""
    assert hasty._runner is not None
    connections, before = hasty._runner.server_state.connections, hasty.app.answers[0]
    assert until(lambda: not connections)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        (connection,) = connections
        assert isinstance(connection, Patient)
        ends = [(b"connection", b"close")] if connection.transport.get_write_buffer_size() else []
        await _writing(30_000, 1, ends)(scope, receive, send)

    monkeypatch.setattr(hasty.app, "_app", app)
    with wired(hasty) as wire:
        wire.sendall(GET % b"" * 1000)
        assert until(lambda: hasty.app.answers[0] == before + 1)
        assert until(lambda: not connections)


@pytest.mark.parametrize("closing", [False, True])
def test_who_goes_on_reading_is_given_time_anew(closing: bool) -> None:
    """But not where the connection is to close: then there is nothing more to come."""
    loop, transport = mock.Mock(), mock.Mock()
    transport.get_write_buffer_size.return_value = 2 * body.SLOWEST
    transport.is_closing.return_value = closing
    connection = Patient.__new__(Patient)
    connection.loop, connection.transport, connection.flow = loop, transport, mock.Mock()
    connection._reader = None
    connection.pause_writing()
    assert loop.call_later.call_args.args[0] == protocol.READING_SECONDS + 2
    connection.resume_writing()
    assert loop.call_later.return_value.cancel.called != closing


def _writing(size: int, pieces: int, headers: list[tuple[bytes, bytes]]) -> Any:
    """Make an application that answers with so many bytes."""

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        length = (b"content-length", b"%d" % size)
        await send({"type": "http.response.start", "status": 200, "headers": [length, *headers]})
        for piece in range(pieces):
            more = piece + 1 < pieces
            await send({"type": "http.response.body", "body": b"x" * (size // pieces), "more_body": more})

    return app


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"DELETE", b"OPTIONS", b"POST", b"PUT"])
def test_pieces_without_a_length_end_the_connection(alone: Server, method: bytes) -> None:
    """Fields behind a body could else come for ever, and fill the memory."""
    with wired(alone) as wire:
        wire.sendall(method + b" / HTTP/1.1\r\nHost: localhost\r\n" + CHUNKED + b"\r\n0\r\na: b\r\n")
        assert is_cut(wire, b"a: b\r\n" * 1000)
    with wired(alone) as wire:
        wire.sendall(method + b" / HTTP/1.1\r\nHost: localhost\r\n" + CHUNKED + b"\r\n")
        head = rest(wire)
    assert head.startswith(b"HTTP/1.1 411 ")
    assert b"connection: close\r\n" in head


def test_fields_behind_a_body_are_no_headers(alone: Server) -> None:
    """Else what came last would stand for what was read before it."""
    with wired(alone) as wire:
        wire.sendall(GOOD + GET % CHUNKED + b"0\r\nOrigin: http://evil.example\r\n\r\n")
        assert b" 200 " in answered(wire)
        assert b" 411 " in answered(wire)


@pytest.mark.parametrize("behind", [GET % CHUNKED + b"0\r\n", b""], ids=["fields behind a body", "requests"])
def test_what_waits_behind_an_answer_is_not_read(alone: Server, monkeypatch: pytest.MonkeyPatch, behind: bytes) -> None:
    """Also where the answer listens for whether its reader is gone."""
    answer, most = asyncio.Event(), 2**26  # bytes; beyond what the system itself takes for a socket
    loops: list[asyncio.AbstractEventLoop] = []

    async def app(_scope: Any, receive: Any, send: Any) -> None:
        loops.append(asyncio.get_running_loop())
        await receive()
        while not answer.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(receive(), 0.01)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    monkeypatch.setattr(alone.app, "_app", app)
    with wired(alone) as wire:
        wire.sendall(GET % b"")
        assert until(lambda: bool(loops))
        wire.sendall(behind)
        wire.settimeout(0.5)
        piece, sent = (b"a: b\r\n" if behind else GET % b"") * 10_000, 0
        try:
            while sent < most:
                sent += wire.send(piece)
        except TimeoutError:  # nothing is taken any more
            pass
        assert sent < most
        loops[0].call_soon_threadsafe(answer.set)
        wire.settimeout(20)
        assert b" 200 " in answered(wire)


SMUGGLING = {
    "length and pieces": POST % (b"/v1/predict", 5, CHUNKED) + b"0\r\n\r\n",
    "pieces and length": POST.replace(b"Content", b"Transfer-Encoding: chunked\r\nContent") % (b"/v1/predict", 5, b"")
    + b"0\r\n\r\n",
    "two lengths": POST % (b"/v1/predict", 0, b"Content-Length: %d\r\n" % len(SMUGGLED)),
    "a list of lengths": (POST % (b"/v1/predict", 0, b"")).replace(b": 0", b": 0, 0"),
    "a signed length": (POST % (b"/v1/predict", 0, b"")).replace(b": 0", b": +0"),
    "an unknown coding": GET % b"Transfer-Encoding: xchunked\r\n" + b"0\r\n\r\n",
    "pieces, but not last": GET % b"Transfer-Encoding: chunked, identity\r\n" + b"0\r\n\r\n",
    "two codings": GET % (b"Transfer-Encoding: identity\r\n" + CHUNKED) + b"0\r\n\r\n",
    "a folded coding": GET % b"Transfer-Encoding:\r\n chunked\r\n" + b"0\r\n\r\n",
    "a folded field": GET % b"X: y\r\n Content-Length: 40\r\n",
    "a space before the colon": GET % b"Content-Length : 40\r\n",
    "a space before the name": GET % b" Content-Length: 40\r\n",
    "a bare line feed": GET.replace(b"\r\n", b"\n") % b"X: y\n",
    "a bare return": GET % b"X: y\rContent-Length: 40\r\n",
    "a nought": GET % b"X: y\0z\r\n",
    "a length of a GET": GET % (b"Content-Length: %d\r\n" % len(SMUGGLED)),
    "a body longer than is passed over": POST % (b"/v1/predict", 2**20 + 1, b"Origin: http://evil.example\r\n")
    + b"x" * (2**20 + 1),
    "a refused length": POST % (b"/v1/predict", len(SMUGGLED), b"Origin: http://evil.example\r\n"),
    "an upgrade to something": POST % (b"/v1/predict", len(SMUGGLED), b"Connection: upgrade\r\nUpgrade: h2c\r\n"),
    "an upgrade of pieces": GET % (CHUNKED + b"Connection: upgrade\r\nUpgrade: h2c\r\n") + b"2b\r\n",
}


@pytest.mark.parametrize("first", SMUGGLING.values(), ids=SMUGGLING)
@pytest.mark.parametrize("apart", [False, True], ids=["together", "apart"])
def test_what_follows_an_unclear_request_is_none(
    alone: Server, monkeypatch: pytest.MonkeyPatch, first: bytes, apart: bool
) -> None:
    """A proxy may have read it as the body: whatever one would take for its end, nothing is heard behind it."""
    heard, inner = list[str](), alone.app._app

    async def app(scope: Any, receive: Any, send: Any) -> None:
        heard.append(scope["path"])
        await inner(scope, receive, send)

    monkeypatch.setattr(alone.app, "_app", app)
    with wired(alone) as wire:
        try:
            wire.sendall(first)
            if apart:
                time.sleep(0.05)
            wire.sendall(SMUGGLED)
            wire.shutdown(socket.SHUT_WR)
        except (ConnectionError, OSError):  # it has ended already
            pass
        rest(wire)
    assert "/smuggled" not in heard
    assert ask(alone, "/v1/predict", {"texts": ["wave"]})[0] == 200


@pytest.mark.parametrize("upgrade", [b"h2c", b"websocket, h2c"])
def test_an_upgrade_that_is_none_is_passed_over_and_ends_the_connection(alone: Server, upgrade: bytes) -> None:
    with wired(alone) as wire:
        wire.sendall(GET % b"Connection: upgrade, HTTP2-Settings\r\nUpgrade: %b\r\n" % upgrade)
        told = rest(wire)
    assert told.startswith(b"HTTP/1.1 200 ")
    assert b"connection: close\r\n" in told


def test_an_upgrade_with_a_body_is_told(alone: Server) -> None:
    with wired(alone) as wire:
        wire.sendall(POST % (b"/v1/predict", len(BODY), b"Connection: upgrade\r\nUpgrade: h2c\r\n") + BODY)
        told = rest(wire)
    assert told.startswith(b"HTTP/1.1 400 ")
    assert b"urn:tidegate:no-upgrade" in told
    assert until(lambda: alone.batcher.waiting == 0)


def test_a_socket_cannot_begin_in_the_middle_of_an_answer(alone: Server) -> None:
    with wired(alone) as wire:
        wire.sendall(SOCKET)
        assert wire.recv(65536).startswith(b"HTTP/1.1 101 ")
    with wired(alone) as wire:
        wire.sendall(GOOD + SOCKET)
        assert b" 101 " not in rest(wire)
    assert until(lambda: alone.batcher.waiting == 0)
    assert ask(alone, "/v1/predict", {"texts": ["wave"]})[0] == 200


def test_a_socket_outlasts_what_its_connection_waited_for(hasty: Server) -> None:
    with wired(hasty) as wire:
        wire.sendall(STRANGE + SOCKET)
        assert b" 403 " in answered(wire)
        assert wire.recv(65536).startswith(b"HTTP/1.1 101 ")
        wire.settimeout(4 * SOON)
        with pytest.raises(TimeoutError):
            wire.recv(65536)
