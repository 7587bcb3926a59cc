"""One worker's part in a gradient that several find: its own lanes, and the sum with those of the others."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.engine import Lost, Program
from tidegate.kernels import lanes
from tidegate.scale.messages import Find, Trouble
from tidegate.scale.tree import Send, join, share
from tidegate.scale.wire import Interruption, LateError, Link, LinkError

Array: TypeAlias = npt.NDArray[Any]


class GoneError(Exception):
    """Tell that another worker is lost, or late."""

    def __init__(self, rank: int, *, late: bool) -> None:
        super().__init__(f"worker {rank} is {'late' if late else 'lost'}")
        self.rank, self.late = rank, late


class TroubleError(Exception):
    """Carry what another worker said of its trouble."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble)
        self.trouble = trouble


class Team:
    """Find gradients with the others.

    Args:
        rank: the number of this worker, from 0.
        links: to all others, by number.
    """

    def __init__(self, rank: int, links: Mapping[int, Link]) -> None:
        self.rank, self.links = rank, links
        self._sender = ThreadPoolExecutor(1, thread_name_prefix="tidegate-sender")

    def gradient(self, program: Program, find: Find) -> tuple[Lost, list[Array]]:
        """Leave the gradient of the whole batch in a program, as all others do at the same time.

        Returns what was lost in the lanes of this worker, and of each worker which sequences are its own.

        Raises GoneError where another one is lost or late, and TroubleError where it says that it is in trouble.
        """
        lane_of, count = program.deal(find.batch)
        weight = np.diff(find.batch.offsets) + 1
        tokens = np.bincount(lane_of, weight, minlength=count).astype(int).tolist()
        shares = share(tokens, len(self.links) + 1)
        options: dict[str, Any] = {"seed": find.seed, "step": find.step, "states": find.states}
        lost = program.run_lanes(find.batch, find.loss, shares[self.rank], **options)

        def exchange(sends: Sequence[Send], source: int | None) -> Array | None:
            return self._exchange(sends, source, program)

        add = lanes.add
        found = join(self.rank, shares, tokens, own=program.add_up, exchange=exchange, add=add)
        program.settle(found)
        return lost, [np.flatnonzero((lane_of >= own.start) & (lane_of < own.stop)) for own in shares]

    def trade(self, other: int, numbers: int, rounds: int) -> list[float]:
        """Exchange so many numbers with another worker, which does the same, and give the seconds of each time.

        Raises as `gradient` does.
        """
        array, seconds = np.ones(numbers, np.float32), list[float]()
        for _ in range(rounds + 1):
            begun = time.perf_counter()
            sending = self._sender.submit(self._send, [(other, array)])
            with blaming(other):
                self.links[other].receive_array(numbers, array.dtype)
            sending.result()
            seconds.append(time.perf_counter() - begun)
        return seconds[1:]  # the first one also waited until the other end was told

    def _exchange(self, sends: Sequence[Send], source: int | None, program: Program) -> Array | None:
        """Send while something is received: both ends may have more to send than fits on the way."""
        sending = self._sender.submit(self._send, sends) if sends else None
        came = None
        if source is not None:
            with blaming(source):
                came = self.links[source].receive_array(program.summed, program.dtype)
        if sending is not None:
            sending.result()
        return came

    def _send(self, sends: Sequence[Send]) -> None:
        for rank, array in sends:
            with blaming(rank):
                self.links[rank].send_array(array)

    def close(self) -> None:
        """Let the others know that this worker is gone."""
        for link in self.links.values():
            link.close()
        self._sender.shutdown(wait=False)


@contextmanager
def blaming(rank: int) -> Iterator[None]:
    """Say of which worker it is that a link fails, while the block lasts."""
    try:
        yield
    except LateError:
        raise GoneError(rank, late=True) from None
    except LinkError:
        raise GoneError(rank, late=False) from None
    except Interruption as came:
        raise TroubleError(came.message) from None


def digest(array: Array) -> bytes:
    """Hash numbers, to compare them with those of others."""
    return hashlib.blake2b(array.data.cast("B"), digest_size=16).digest()
