"""Links between two workers: messages and arrays over a socket, both ends of which have shown that they know a key.

Knows nothing of what is said. The key keeps strangers out; nothing is encrypted, so networks must be trusted ones. A
message is a pickle, read only from an end that has shown the key; no file is ever read or written so.
"""

from __future__ import annotations

import pickle
import socket
import struct
import threading
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, answer_challenge, deliver_challenge
from multiprocessing.context import AuthenticationError
from os import dup
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
Address: TypeAlias = str | tuple[str, int]
"""The path of a socket on this machine, or a host and a port."""

_FRAME = struct.Struct("<cQ")  # what follows, and its bytes
_MESSAGE, _ARRAY = b"m", b"a"
_ALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 6}  # 90 s until an end that is silent is lost
_GREETING = 20.0  # seconds in which whoever comes must show the key
_UNKNOWN = (OSError, EOFError, AuthenticationError, AssertionError)  # what the greeting of a stranger comes to


class LinkError(Exception):
    """Tell that the other end is lost: it ended, or the way to it."""


class LateError(LinkError):
    """Tell that the other end neither sent nor took anything for too long."""


class Interruption(Exception):  # noqa: N818  (no error of this end)
    """Carry a message that came where an array was wanted."""

    def __init__(self, message: Any) -> None:
        super().__init__(message)
        self.message = message


class Link:
    """Talk to one other worker.

    Args:
        sock: whose other end has shown the key.
        timeout: seconds after which the other end is late, if nothing moves meanwhile.
    """

    def __init__(self, sock: socket.socket, timeout: float) -> None:
        self._socket, self.timeout = sock, timeout
        sock.settimeout(timeout)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for name, value in _ALIVE.items():
                if hasattr(socket, name):
                    sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)

    @property
    def host(self) -> str:
        """The address by which the other end knows this machine; empty where it is on it."""
        return "" if self._socket.family == socket.AF_UNIX else str(self._socket.getsockname()[0])

    def fileno(self) -> int:
        """Let this be waited for as a file is."""
        return self._socket.fileno()

    def send(self, message: Any) -> None:
        """Send a message."""
        self.send_bytes(encode(message))

    def send_bytes(self, encoded: bytes) -> None:
        """Send a message that was encoded, as one that goes to several is."""
        self._send(_MESSAGE, memoryview(encoded))

    def send_array(self, array: Array) -> None:
        """Send the numbers of a contiguous array."""
        self._send(_ARRAY, array.data.cast("B"))

    def receive(self, *, forever: bool = False) -> Any:
        """Wait for a message, `forever` as long as the other end is there."""
        self._socket.settimeout(None if forever else self.timeout)
        kind, size = self._header()
        self._socket.settimeout(self.timeout)
        if kind != _MESSAGE:
            raise LinkError("an array came where a message was wanted")
        return self._message(size)

    def receive_array(self, size: int, kind: np.dtype[Any]) -> Array:
        """Wait for so many numbers; raises Interruption where a message comes instead."""
        self._socket.settimeout(self.timeout)
        what, count = self._header()
        if what == _MESSAGE:
            raise Interruption(self._message(count))
        array = np.empty(size, kind)
        if count != array.nbytes:
            raise LinkError(f"{count} bytes came where {array.nbytes} were wanted")
        self._fill(array.data.cast("B"))
        return array

    def close(self) -> None:
        """Let the other end know that there is nobody here any more."""
        self._socket.close()

    def _message(self, size: int) -> Any:
        encoded = bytearray(size)
        self._fill(memoryview(encoded))
        return pickle.loads(encoded)  # noqa: S301  (of an end that has shown the key)

    def _header(self) -> tuple[bytes, int]:
        header = bytearray(_FRAME.size)
        self._fill(memoryview(header))
        kind, size = _FRAME.unpack(header)
        return kind, size

    def _send(self, kind: bytes, data: memoryview) -> None:
        try:
            self._socket.settimeout(self.timeout)
            self._socket.sendall(_FRAME.pack(kind, data.nbytes))
            self._socket.sendall(data)
        except TimeoutError:
            raise LateError from None
        except OSError as error:
            raise LinkError(str(error)) from None

    def _fill(self, view: memoryview) -> None:
        done = 0
        try:
            while done < len(view):
                if not (got := self._socket.recv_into(view[done:])):
                    raise LinkError("it ended")
                done += got
        except TimeoutError:
            raise LateError from None
        except OSError as error:
            raise LinkError(str(error)) from None


def encode(message: Any) -> bytes:
    """Make the bytes of a message."""
    return pickle.dumps(message, protocol=5)


def listen(address: Address) -> socket.socket:
    """Wait for links at a path, or at a host, where port 0 takes a free one."""
    if isinstance(address, str):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(address)
        listener.listen()
        return listener
    return socket.create_server(address)


def address_of(listener: socket.socket) -> Address:
    """Say where a listener waits."""
    found = listener.getsockname()
    return found if isinstance(found, str) else (found[0], found[1])


def connect(address: Address, key: bytes, timeout: float) -> Link:
    """Open a link; raises LinkError where nobody is there, within seconds of `timeout`, who knows the key."""
    sock = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
    sock.settimeout(timeout)
    try:
        sock.connect(address)
        _show_key(sock, key, timeout, first=False)
    except _UNKNOWN as error:
        sock.close()
        raise LinkError(f"no link to {address}: {error}") from None
    return Link(sock, timeout)


def accept(listener: socket.socket, key: bytes, timeout: float) -> Link | None:
    """Take the next link; None where nobody came in time, or somebody who does not know the key."""
    listener.settimeout(timeout)
    try:
        sock, _ = listener.accept()
    except TimeoutError:
        return None
    with suppress(*_UNKNOWN):
        _show_key(sock, key, _GREETING, first=True)
        return Link(sock, timeout)
    sock.close()
    return None


def _show_key(sock: socket.socket, key: bytes, seconds: float, *, first: bool) -> None:
    """Let both ends show that they know a key, by the challenges of `multiprocessing`; it is not sent.

    All of it takes so many seconds at most: then the socket is shut down, however much still drips in.
    """
    late = threading.Event()

    def end() -> None:
        late.set()
        with suppress(OSError):  # the other end has gone
            sock.shutdown(socket.SHUT_RDWR)

    sock.settimeout(None)
    steps: Sequence[Any] = (deliver_challenge, answer_challenge)
    connection, timer = Connection(dup(sock.fileno())), threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        for step in steps if first else reversed(steps):
            step(connection, key)
    finally:
        timer.cancel()
        timer.join()
        connection.close()
        if late.is_set():
            raise TimeoutError(f"the key was not shown within {seconds:g} s")
