"""uvicorn's HTTP connection, which refuses from the head alone, and waits for nobody for ever.

A refusal is written by the connection itself: no task, no route and no body are made for it, so that it costs little.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Any

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from tidegate.errors import ServeError, TidegateError
from tidegate.serve.batcher import Place
from tidegate.serve.body import PLACE, SLOWEST
from tidegate.serve.door import Asked, Door, Refusal

HEAD_SECONDS = 10.0  # in which the head of a request must be whole
HEAD_BYTES = 2**16
PASSING_SECONDS = 20.0  # in which the rest of a body that nobody wants must have come
READING_SECONDS = 30.0  # in which an answer must begin to be taken, and all of it with the time that SLOWEST gives
UNREAD = 2**20  # bytes of refusals that a sender may leave unread
_TOO_LONG = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class _Flow(FlowControl):
    """Read nothing more while a request waits behind another: else what waits would fill the memory."""

    def __init__(self, transport: Any, pipeline: deque[Any]) -> None:
        super().__init__(transport)
        self._pipeline = pipeline

    def resume_reading(self) -> None:
        if not self._pipeline:
            super().resume_reading()


class Patient(HttpToolsProtocol):
    """Serve one connection.

    At any time there is a request that is answered, or a timer that ends the connection.
    """

    limit = 1000
    """Connections that may be open together."""
    door: Door | None = None
    """Lets requests in; None leaves that to the application."""

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for a head; end at once where there are too many connections."""
        self._timer: asyncio.TimerHandle | None = None  # of a head, or of a body that is passed over
        self._reader: asyncio.TimerHandle | None = None  # of answers that are not read
        self._heading, self._head = True, 0  # whether a head is on its way, and how much of it came
        self._following = False  # whether a body is
        self._place: Place | None = None
        self._refused = False
        super().connection_made(transport)
        self.flow = _Flow(transport, self.pipeline)
        if len(self.connections) > self.limit:
            transport.close()
            return
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._rest()
        if self._reader is not None:
            self._reader.cancel()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Begin to wait for the rest of a head."""
        self._heading, self._head = True, 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a field of a head; what comes behind a body is none."""
        if self._heading:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Wait no longer, and let the request in, or refuse it before anything else is done for it."""
        self._rest()
        self._following, self._place = True, None
        if self.transport.is_closing():
            self._refused = True
            return
        upgrades = self.parser.should_upgrade()
        if upgrades and self._is_busy:  # two would write at once
            self._refused = True
            self.transport.abort()
            return
        if self.door is None or self._is_busy or (upgrades and self._should_upgrade()):
            super().on_headers_complete()  # in its turn the door itself is asked
            return
        path = self.url.partition(b"?")[0].decode("latin-1")
        asked = Asked(self.parser.get_method().decode("ascii"), path, dict(self.headers))
        try:
            place = self._let_in(self.door, asked, upgrades=upgrades)
        except TidegateError as error:
            refusal = self.door.refuse(asked, error, ends=upgrades or not self.parser.should_keep_alive())
            self._refuse(refusal, with_body=asked.method != "HEAD")
            return
        self.scope[PLACE] = self._place = place  # type: ignore[literal-required]
        try:
            super().on_headers_complete()
        except Exception:
            self.door.batcher.release(place)
            raise
        if upgrades:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body, and nothing of one that was refused."""
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Let the time of a request begin."""
        self._rest()
        self._following = False
        if self._refused:
            self._refused = False
            return
        if self._place is not None:
            self._place.begun = time.perf_counter()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on with the next request; where there is none to come, wait only for the answer to be read."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._await_reader()

    def data_received(self, data: bytes) -> None:
        """Read on, unless the head is too long."""
        if not self._following:
            self._heading = True  # empty lines before a head are none, and wait for one
        if self._heading:
            self._head += len(data)
            if self._head > HEAD_BYTES + len(data):
                self.transport.write(_TOO_LONG)
                self._end()
                return
        super().data_received(data)
        self._watch()

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over, unless it ends."""
        if not self.transport.is_closing():
            super().handle_websocket_upgrade()

    def pause_writing(self) -> None:
        """Wait for what was written to be read, and not for ever."""
        super().pause_writing()
        self._await_reader()

    def resume_writing(self) -> None:
        """Go on writing."""
        super().resume_writing()
        if self._reader is not None and not self.transport.is_closing():
            self._reader.cancel()
            self._reader = None

    def timeout_keep_alive_handler(self) -> None:
        """End a connection on which nothing comes."""
        self._end()

    @property
    def _is_busy(self) -> bool:
        """Whether an earlier request of this connection is not answered yet."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    @staticmethod
    def _let_in(door: Door, asked: Asked, *, upgrades: bool) -> Place:
        """Ask the door; raises ServeError, too, where a body is to come that the parser would take for requests."""
        place = door.let_in(asked)
        if upgrades and asked.headers.get(b"content-length", b"0").strip(b"0"):
            door.batcher.release(place)
            told = "a request with a body cannot upgrade to anything. Send it without the header Upgrade."
            raise ServeError(told, status=400, kind="no-upgrade")
        return place

    def _refuse(self, refusal: Refusal, *, with_body: bool) -> None:
        """Answer at once; what comes of the body is passed over."""
        date = b"".join(b"%b: %b\r\n" % pair for pair in self.server_state.default_headers)
        body = refusal.body if with_body else b""
        self.transport.write(STATUS_LINE[refusal.status] + date + refusal.head + body)
        self._refused = True
        if self.transport.get_write_buffer_size() > UNREAD:
            self.transport.abort()
        elif refusal.ends:
            self._end()

    def _watch(self) -> None:
        """Begin to wait where nothing is asked; for a head, or a body that is passed over, whatever bytes come."""
        if self._is_busy or self.transport.is_closing() or self.transport.get_protocol() is not self:
            return
        if self._heading or self._following:
            if self._timer is None:
                self._timer = self.loop.call_later(HEAD_SECONDS if self._heading else PASSING_SECONDS, self._end)
        elif self.timeout_keep_alive_task is None:
            later = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)
            self.timeout_keep_alive_task = later

    def _rest(self) -> None:
        self._heading, self._head = False, 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self) -> None:
        """Close, once what was written is read, or is not for long."""
        self._await_reader()
        self.transport.close()

    def _await_reader(self) -> None:
        size = self.transport.get_write_buffer_size()
        if size and self._reader is None:
            self._reader = self.loop.call_later(READING_SECONDS + size / SLOWEST, self._give_up)

    def _give_up(self) -> None:
        if self.transport.get_write_buffer_size():
            if self.door is not None:
                self.door.answers[0] += 1
            self.transport.abort()
