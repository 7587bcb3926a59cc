"""uvicorn's HTTP connection, which refuses from the head alone, and waits for nobody for ever.

A refusal is written by the connection itself: no task, no route and no body are made for it, so that it costs little.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from tidegate.errors import TidegateError
from tidegate.serve.batcher import Place
from tidegate.serve.body import PLACE
from tidegate.serve.door import Asked, Door, Refusal

HEAD_SECONDS = 10.0  # in which the head of a request must be whole
HEAD_BYTES = 2**16
UNREAD = 2**20  # bytes of refusals that a sender may leave unread
_TOO_LONG = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Patient(HttpToolsProtocol):
    """Serve one connection."""

    limit = 1000
    """Connections that may be open together."""
    door: Door | None = None
    """Lets requests in; None leaves that to the application."""

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for a head; end at once where there are too many connections."""
        self._timer: asyncio.TimerHandle | None = None
        self._heading, self._head = True, 0  # whether a head is on its way, and how much of it came
        self._place: Place | None = None
        self._refused = False
        super().connection_made(transport)
        if len(self.connections) > self.limit:
            transport.close()
            return
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._rest()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Begin to wait for the rest of a head."""
        self._heading, self._head = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Wait no longer, and let the request in, or refuse it before anything else is done for it."""
        self._rest()
        self._place = None
        if self.transport.is_closing():
            self._refused = True
            return
        if self.door is None or self._is_busy or self.parser.should_upgrade():
            super().on_headers_complete()  # in its turn the door itself is asked
            return
        path = self.url.partition(b"?")[0].decode("latin-1")
        asked = Asked(self.parser.get_method().decode("ascii"), path, dict(self.headers))
        try:
            place = self.door.let_in(asked)
        except TidegateError as error:
            self._refuse(self.door.refuse(asked, error, ends=not self.parser.should_keep_alive()))
            return
        self.scope[PLACE] = self._place = place  # type: ignore[literal-required]
        try:
            super().on_headers_complete()
        except Exception:
            self.door.batcher.release(place)
            raise

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body, and nothing of one that was refused."""
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Let the time of a request begin."""
        if self._refused:
            self._refused = False
            return
        if self._place is not None:
            self._place.begun = time.perf_counter()
        super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        """Read on, unless the head is too long."""
        if self._heading:
            self._head += len(data)
            if self._head > HEAD_BYTES + len(data):
                self.transport.write(_TOO_LONG)
                self.transport.close()
                return
        super().data_received(data)
        if self._heading and self._timer is None:  # most heads come whole, and need no timer
            self._wait()

    @property
    def _is_busy(self) -> bool:
        """Whether an earlier request of this connection is not answered yet."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def _refuse(self, refusal: Refusal) -> None:
        """Answer at once; what comes of the body is passed over."""
        date = b"".join(b"%b: %b\r\n" % pair for pair in self.server_state.default_headers)
        self.transport.write(STATUS_LINE[refusal.status] + date + refusal.written)
        self._refused = True
        self._unset_keepalive_if_required()
        if self.transport.get_write_buffer_size() > UNREAD:
            self.transport.abort()
        elif refusal.ends:
            self.transport.close()
        else:
            later = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)
            self.timeout_keep_alive_task = later

    def _wait(self) -> None:
        self._timer = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _rest(self) -> None:
        self._heading = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
