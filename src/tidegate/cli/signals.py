"""Turns SIGINT and SIGTERM into a flag, so that training stops between two updates and nothing is lost."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class StopRequest:
    """Remember the signal that asked to stop, if one did, and call `then` at the first one."""

    def __init__(self, then: Callable[[], None]) -> None:
        self.signal: signal.Signals | None = None
        self._then = then

    def receive(self, number: int, frame: FrameType | None) -> None:
        """Note the first signal; a second one of any kind interrupts at once."""
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = signal.Signals(number)
        self._then()


@contextmanager
def leave_on_sigterm() -> Iterator[None]:
    """Let SIGTERM end a block as Ctrl-C does, so that what has to be put away is; the exit code is 143.

    >>> with leave_on_sigterm():
    ...     signal.raise_signal(signal.SIGTERM)
    Traceback (most recent call last):
    SystemExit: 143
    """

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    old = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, old)


@contextmanager
def stop_on_signals(then: Callable[[], None] = lambda: None) -> Iterator[StopRequest]:
    """Catch SIGINT and SIGTERM for the length of a block and put the old handlers back after it.

    The first one calls `then`, so that whatever waits in the block waits no longer.

    >>> with stop_on_signals() as stop:
    ...     signal.raise_signal(signal.SIGTERM)
    >>> stop.signal.name
    'SIGTERM'
    """
    request = StopRequest(then)
    old = {number: signal.signal(number, request.receive) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
