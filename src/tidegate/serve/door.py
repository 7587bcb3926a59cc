"""Stands before all routes, and refuses from the headers alone: strangers, other sites, too much at once.

What is refused here costs no parsing, no body and no model. Pure ASGI.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import msgspec

from tidegate.errors import ServeError
from tidegate.serve.batcher import Batcher
from tidegate.serve.problems import TYPE, problem_of
from tidegate.serve.settings import Settings, is_loopback
from tidegate.tasks.wire import CHARACTERS

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

OPEN = ("/", "/page/", "/health/")
"""What is shown without a token: the page, which holds no secret, and whether the server is well."""
BEARER = "tidegate.bearer."
"""What a browser, which sends no header with a WebSocket, writes before its token, as a subprotocol."""
_SMALL = 2**16  # bytes of a body that has come already by the time that it is refused
_READING = 30.0  # seconds in which a piece of an answer must be taken
_BODY = {"POST", "PUT", "PATCH"}


class Door:
    """Let requests in.

    What a body may hold in tokens is reserved before it is read, by its length, and given back with the answer.

    Args:
        app: what stands behind.
        settings: who may ask, and how much.
        batcher: whose places are reserved.
    """

    def __init__(self, app: App, settings: Settings, batcher: Batcher) -> None:
        self._app, self._settings, self._batcher = app, settings, batcher
        self._tokens = [token.encode() for token in settings.tokens]
        self.answers: Counter[int] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or socket."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        try:
            self._check(scope, headers)
            tokens = self._admit(scope, headers)
        except ServeError as error:
            self.answers[error.status] += 1
            await _refuse(scope, headers, send, error)
            return
        try:
            await self._app(scope, receive, self._counted(send) if scope["type"] == "http" else send)
        except TimeoutError:  # whoever asked does not read the answer: the connection ends with the request
            self.answers[0] += 1
        finally:
            self._batcher.release(tokens)

    def _counted(self, send: Send) -> Send:
        """Count answers by status, and wait for nobody who does not read a long one."""

        async def counted(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                self.answers[message["status"]] += 1
            elif message.get("more_body") or len(message.get("body", b"")) > _SMALL:
                async with asyncio.timeout(_READING):
                    await send(message)
                return
            await send(message)

        return counted

    def _check(self, scope: Scope, headers: dict[bytes, bytes]) -> None:
        """Raise ServeError for a stranger, or a page of another site."""
        host, origin = headers.get(b"host", b"").decode("latin-1"), headers.get(b"origin")
        if not self._tokens and not _is_ours(host):
            told = f"the host {host:.80} is none of this machine; ask 127.0.0.1, or start the server with a token."
            raise ServeError(told, status=421, kind="other-host")
        if origin is not None and urlsplit(origin.decode("latin-1")).netloc != host:
            told = "a page of another site asked. Ask from the server's own page, or from a program."
            raise ServeError(told, status=403, kind="other-origin")
        path = scope["path"]
        if self._tokens and not (path == "/" or path.startswith(OPEN[1:])) and not self._is_known(scope, headers):
            told = "a bearer token is wanted: Authorization: Bearer TOKEN, one of those in the server's token file."
            raise ServeError(told, status=401, kind="no-token")

    def _is_known(self, scope: Scope, headers: dict[bytes, bytes]) -> bool:
        """Tell whether the token is one of ours, in the same time whichever it is."""
        kind, _, given = headers.get(b"authorization", b"").partition(b" ")
        if kind.lower() != b"bearer" and scope["type"] == "websocket":
            given = _from_subprotocol(scope.get("subprotocols", []))
        elif kind.lower() != b"bearer":
            return False
        found = [hmac.compare_digest(given.strip(), token) for token in self._tokens]  # all are looked at
        return True in found

    def _admit(self, scope: Scope, headers: dict[bytes, bytes]) -> int:
        """Reserve places for what a body may hold, and return how many; raises ServeError where there are none."""
        if scope["type"] != "http" or scope["method"] not in _BODY:
            return 0
        given = headers.get(b"content-length", b"")
        if not given.isdigit() or len(given) > 15:
            raise ServeError("the length of the body is wanted: Content-Length.", status=411, kind="no-length")
        length = int(given)
        if length > self._settings.max_body:
            told = f"the body has {length:,} bytes; {self._settings.max_body:,} are taken. Send fewer inputs at a time."
            raise ServeError(told, status=413, kind="too-large")
        tokens = length // CHARACTERS + 1
        self._batcher.reserve(tokens)
        return tokens


def _is_ours(host: str) -> bool:
    """Tell whether a Host names this machine.

    >>> [_is_ours(host) for host in ("localhost:8420", "127.0.0.1", "[::1]:8420", "evil.example")]
    [True, True, True, False]
    """
    try:
        return is_loopback(urlsplit(f"//{host}").hostname or "")
    except ValueError:
        return False


def _from_subprotocol(offered: list[str]) -> bytes:
    """Read the token that a browser wrote among its subprotocols; empty where there is none."""
    for name in offered:
        if name.startswith(BEARER):
            coded = name.removeprefix(BEARER)
            try:
                return base64.b64decode(coded + "=" * (-len(coded) % 4), altchars=b"-_", validate=True)
            except (binascii.Error, ValueError):
                return b""
    return b""


async def _refuse(scope: Scope, headers: dict[bytes, bytes], send: Send, error: ServeError) -> None:
    """Answer with a problem, its body unread; a longer one is cut off with the connection."""
    body = msgspec.json.encode(problem_of(error))
    said = [(b"content-type", TYPE.encode()), (b"content-length", str(len(body)).encode())]
    if error.retry_after is not None:
        said.append((b"retry-after", str(error.retry_after).encode()))
    if error.status == 401:
        said.append((b"www-authenticate", b"Bearer"))
    length = headers.get(b"content-length", b"0")
    if b"transfer-encoding" in headers or not length.isdigit() or len(length) > 15 or int(length) > _SMALL:
        said.append((b"connection", b"close"))
    kind = "http" if scope["type"] == "http" else "websocket.http"
    await send({"type": f"{kind}.response.start", "status": error.status, "headers": said})
    await send({"type": f"{kind}.response.body", "body": body})
