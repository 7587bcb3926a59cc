"""Stands before all routes, and refuses from the headers alone: strangers, other sites, too much at once.

What is refused here costs no parsing, no body and no model. Pure ASGI.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import msgspec

from tidegate.errors import InputError, ServeError, TidegateError
from tidegate.serve.batcher import Batcher, Place
from tidegate.serve.body import PLACE
from tidegate.serve.problems import TYPE, problem_of
from tidegate.serve.settings import Settings, is_loopback
from tidegate.tasks.wire import CHARACTERS

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

OPEN = ("/", "/docs")
"""What is shown without a token: pages, which hold no secret."""
OPEN_BELOW = ("/page/", "/health/")
"""Where all is shown without one: files of the pages, and whether the server is well."""
BEARER = "tidegate.bearer."
"""What a browser, which sends no header with a WebSocket, writes before its token, as a subprotocol."""
TOGETHER = 32  # requests whose work begins in one turn of the loop
_PASSED = 2**20  # bytes of a refused body that are passed over; for longer ones the connection ends
_BODY = {"POST", "PUT", "PATCH"}


@dataclass(frozen=True, slots=True)
class Asked:
    """Hold the head of a request, or of a socket: its subprotocols, too."""

    method: str
    path: str
    headers: Mapping[bytes, bytes]
    subprotocols: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """Hold an answer that refuses, its headers also as a connection writes them; whether that `ends` with it."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    ends: bool
    head: bytes


class Door:
    """Let requests in.

    What a body may hold in tokens is reserved before it is read, by its length, and given back with the answer. A
    connection asks by `let_in` as soon as it has read a head; what comes on another way is asked here.

    Args:
        app: what stands behind.
        settings: who may ask, and how much.
        batcher: whose places are reserved.
    """

    def __init__(self, app: App, settings: Settings, batcher: Batcher) -> None:
        self._app, self._settings, self.batcher = app, settings, batcher
        self._tokens = [token.encode() for token in settings.tokens]
        self.answers: Counter[int] = Counter()
        self._line = deque[asyncio.Future[None]]()
        self._begun = 0  # requests, in this turn of the loop

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or socket."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if PLACE not in scope:
            headers = dict(scope["headers"])
            asked = Asked(scope.get("method", "GET"), scope["path"], headers, tuple(scope.get("subprotocols", ())))
            try:
                scope[PLACE] = self.let_in(asked)
            except TidegateError as error:
                await _refuse(scope, send, self.refuse(asked, error))
                return
        try:
            await self.come_to_turn()
            await self._app(scope, receive, self._counted(send) if scope["type"] == "http" else send)
        finally:
            self.batcher.release(scope[PLACE])

    def let_in(self, asked: Asked) -> Place:
        """Reserve places for what a body may hold; raises ServeError for who may not ask, or where there are none.

        Raises InputError for a deadline that is none.
        """
        self._check(asked)
        pieces = b"transfer-encoding" in asked.headers
        if asked.method not in _BODY and not pieces:
            return Place()
        given = asked.headers.get(b"content-length", b"")
        if pieces or not given.isdigit() or len(given) > 15:
            raise ServeError("the length of the body is wanted: Content-Length.", status=411, kind="no-length")
        length = int(given)
        if length > self._settings.max_body:
            told = f"the body has {length:,} bytes; {self._settings.max_body:,} are taken. Send fewer inputs at a time."
            raise ServeError(told, status=413, kind="too-large")
        return self.batcher.reserve(length // CHARACTERS + 1, _allowed(asked.headers.get(b"tidegate-deadline")))

    async def come_to_turn(self) -> None:
        """Go on at once, or where many came together, in a later turn of the loop.

        Or else a turn would take so long that nobody would see for how long new heads wait, and refuse them in time.
        """
        loop = asyncio.get_running_loop()
        if self._line or self._begun == TOGETHER:
            place = loop.create_future()
            self._line.append(place)
            await place
            return
        if self._begun == 0:
            loop.call_soon(self._turn)
        self._begun += 1

    def _turn(self) -> None:
        """Let the next in line go on."""
        self._begun = 0
        while self._line and self._begun < TOGETHER:
            place = self._line.popleft()
            if not place.done():
                place.set_result(None)
                self._begun += 1
        if self._begun:
            asyncio.get_running_loop().call_soon(self._turn)

    def refuse(self, asked: Asked, error: TidegateError, *, ends: bool = False) -> Refusal:
        """Say why, and count it; the body stays unread, and a longer one is cut off with the connection.

        ends: whether the connection ends with it anyway.
        """
        length = asked.headers.get(b"content-length", b"0")
        whole = b"transfer-encoding" not in asked.headers and length.isdigit() and len(length) <= 15
        ends = ends or not whole or int(length) > _PASSED or b"expect" in asked.headers
        if isinstance(error, ServeError):
            refusal = _refusal(error.kind, error.status, str(error), error.retry_after, ends=ends)
        else:
            problem = problem_of(error)
            refusal = _refusal(problem.type.rpartition(":")[2], problem.status, problem.detail, None, ends=ends)
        self.answers[refusal.status] += 1
        return refusal

    def _counted(self, send: Send) -> Send:
        """Count answers by status."""

        async def counted(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                self.answers[message["status"]] += 1
            await send(message)

        return counted

    def _check(self, asked: Asked) -> None:
        """Raise ServeError for a stranger, or a page of another site."""
        host, origin = asked.headers.get(b"host", b"").decode("latin-1"), asked.headers.get(b"origin")
        if not self._tokens and not _is_ours(host):
            told = f"the host {host:.80} is none of this machine; ask 127.0.0.1, or start the server with a token."
            raise ServeError(told, status=421, kind="other-host")
        if origin is not None and _site(origin.decode("latin-1")) != host:
            told = "a page of another site asked. Ask from the server's own page, or from a program."
            raise ServeError(told, status=403, kind="other-origin")
        path = asked.path
        if self._tokens and not (path in OPEN or path.startswith(OPEN_BELOW)) and not self._is_known(asked):
            told = "a bearer token is wanted: Authorization: Bearer TOKEN, one of those in the server's token file."
            raise ServeError(told, status=401, kind="no-token")

    def _is_known(self, asked: Asked) -> bool:
        """Tell whether the token is one of ours, in the same time whichever it is."""
        kind, _, given = asked.headers.get(b"authorization", b"").partition(b" ")
        if kind.lower() != b"bearer":
            given = _from_subprotocol(asked.subprotocols)
        found = [hmac.compare_digest(given.strip(), token) for token in self._tokens]  # all are looked at
        return True in found


def _allowed(given: bytes | None) -> float | None:
    """Read how many seconds an answer is of use, from its header; raises InputError for what is no such number.

    >>> _allowed(b"0.2"), _allowed(None)
    (0.2, None)
    """
    if given is None:
        return None
    try:
        seconds = float(given)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < 1e6:
        raise InputError(f"Tidegate-Deadline: {given.decode('latin-1'):.40}; wanted seconds, above zero.")
    return seconds


@lru_cache(maxsize=16)
def _is_ours(host: str) -> bool:
    """Tell whether a Host names this machine.

    >>> [_is_ours(host) for host in ("localhost:8420", "127.0.0.1", "[::1]:8420", "evil.example")]
    [True, True, True, False]
    """
    try:
        return is_loopback(urlsplit(f"//{host}").hostname or "")
    except ValueError:
        return False


def _site(origin: str) -> str | None:
    """Read the host of an Origin; None where there is none.

    >>> _site("http://localhost:8420"), _site("null"), _site("http://[")
    ('localhost:8420', '', None)
    """
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def _from_subprotocol(offered: Sequence[str]) -> bytes:
    """Read the token that a browser wrote among its subprotocols; empty where there is none."""
    for name in offered:
        if name.startswith(BEARER):
            coded = name.removeprefix(BEARER)
            try:
                return base64.b64decode(coded + "=" * (-len(coded) % 4), altchars=b"-_", validate=True)
            except (binascii.Error, ValueError):
                return b""
    return b""


@lru_cache(maxsize=64)
def _refusal(kind: str, status: int, detail: str, retry_after: int | None, *, ends: bool) -> Refusal:
    """Write a refusal; those that come over and over are written once."""
    body = msgspec.json.encode(problem_of(ServeError(detail, status=status, kind=kind)))
    headers = [(b"content-type", TYPE.encode()), (b"content-length", str(len(body)).encode())]
    if retry_after is not None:
        headers.append((b"retry-after", str(retry_after).encode()))
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if ends:
        headers.append((b"connection", b"close"))
    lines = b"".join(b"%b: %b\r\n" % pair for pair in headers)
    return Refusal(status, headers, body, ends, lines + b"\r\n")


async def _refuse(scope: Scope, send: Send, refusal: Refusal) -> None:
    """Answer with a refusal."""
    kind = "http" if scope["type"] == "http" else "websocket.http"
    await send({"type": f"{kind}.response.start", "status": refusal.status, "headers": refusal.headers})
    await send({"type": f"{kind}.response.body", "body": refusal.body})
