"""uvicorn's HTTP connection, which waits for nobody for ever: a head that does not come ends it, and one too many."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS = 10.0  # in which the head of a request must be whole
HEAD_BYTES = 2**16
_TOO_LONG = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Patient(HttpToolsProtocol):
    """Serve one connection."""

    limit = 1000
    """Connections that may be open together."""

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for a head; end at once where there are too many connections."""
        self._timer: asyncio.TimerHandle | None = None
        self._head = 0
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
        self._wait()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Wait no longer."""
        self._rest()
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Read on, unless the head is too long."""
        if self._timer is not None:
            self._head += len(data)
            if self._head > HEAD_BYTES + len(data):
                self.transport.write(_TOO_LONG)
                self.transport.close()
                return
        super().data_received(data)

    def _wait(self) -> None:
        self._rest()
        self._head = 0
        self._timer = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _rest(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
