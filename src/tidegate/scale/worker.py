"""A worker: finds its part of every gradient that it is asked for, until it is sent home or nobody is there any more.

It knows no task, no data and no files: what is trained, and every batch, comes from worker 0.
"""

from __future__ import annotations

import json
import os
import select
import socket
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.engine import Optimiser, Program
from tidegate.engine.gauge import Gauge
from tidegate.scale.machine import describe
from tidegate.scale.messages import Apply, Begin, Describe, End, Find, Found, Hello, Meet, Trade, Trouble
from tidegate.scale.team import GoneError, Team, TroubleError, blaming, digest
from tidegate.scale.wire import Address, Link, LinkError, accept, address_of, connect, listen
from tidegate.version import __version__

Array: TypeAlias = npt.NDArray[Any]


def main() -> None:
    """Be the worker that a line of JSON on stdin describes."""
    told = json.loads(sys.stdin.readline())
    try:
        work(told["address"], bytes.fromhex(told["key"]), rank=told["rank"], own=told["own"])
    except LinkError as error:
        sys.exit(f"worker {told['rank']}: {error}")


def work(address: Address, key: bytes, *, rank: int | None = None, own: str = "", timeout: float = 60.0) -> bool:
    """Be a worker until it is sent home, and tell whether it was; whatever goes wrong is told to worker 0, and ends it.

    Args:
        address: of worker 0.
        key: that all workers know.
        rank: its number; None takes the one that worker 0 gives.
        own: where to wait for the others, if that is a path; else they reach it as worker 0 does.
        timeout: seconds within which the others must have come.

    Raises LinkError where worker 0 is not there, or does not know the key.
    """
    first = connect(address, key, timeout)
    team = None
    try:
        with listen(own or (first.host, 0)) as listener:
            with blaming(0):
                first.send(Hello(rank, socket.gethostname(), os.getpid(), __version__, address_of(listener)))
                meet: Meet = first.receive(forever=True)  # until all have come
            rank = meet.rank
            team = Team(rank, _meet(first, meet, listener, key))
        with blaming(0):
            first.send(rank)  # all are met
        _Worker(team, meet.threads).run()
        return True
    except GoneError as gone:
        if gone.rank != 0:
            _tell(first, Trouble("late" if gone.late else "lost", gone.rank))
    except TroubleError as told:
        _tell(first, told.trouble)
    except Exception as error:  # noqa: BLE001  (whatever it is, worker 0 must hear of it)
        _tell(first, Trouble("failed", rank or 0, f"{type(error).__name__}: {error}"))
    finally:
        if team is not None:
            team.close()
        first.close()
    return False


def _meet(first: Link, meet: Meet, listener: socket.socket, key: bytes) -> dict[int, Link]:
    """Link to the workers before this one, and let those after it link to it."""
    rank, links = meet.rank, {0: first}
    first.timeout = meet.timeout
    for other in range(1, rank):
        with blaming(other):
            links[other] = connect(meet.addresses[other], key, meet.timeout)
            links[other].send(rank)
    missing, until = set(range(rank + 1, len(meet.addresses) + 1)), time.monotonic() + meet.timeout
    ends: list[socket.socket | Link] = [listener, first]
    while missing:
        if (left := until - time.monotonic()) <= 0:
            raise GoneError(min(missing), late=True)
        ready, _, _ = select.select(ends, [], [], left)
        if first in ready:  # which has nothing to say yet
            raise GoneError(0, late=False)
        if listener not in ready or (link := accept(listener, key, left)) is None:
            continue  # somebody who does not know the key, or nobody: then no time is left
        link.timeout = meet.timeout
        with suppress(LinkError):  # it went again; if it is missed, that shows soon
            other = link.receive()
            links[other] = link
            missing.discard(other)
    return links


def _tell(first: Link, trouble: Trouble) -> None:
    with suppress(LinkError):  # nobody is there to be told
        first.send(trouble)


class _Worker:
    """Answer worker 0."""

    def __init__(self, team: Team, threads: int | None) -> None:
        self.team, self.threads, self.first = team, threads, team.links[0]
        self.program: Program | None = None

    def run(self) -> None:
        """Do what is asked until that is enough."""
        while True:
            with blaming(0):
                asked = self.first.receive(forever=True)
            match asked:
                case Begin():
                    self._begin(asked)
                case Find():
                    with blaming(0):
                        self.first.send(self._find(asked))
                case Apply():
                    self.optimiser.apply(asked.rate, scale=asked.scale)
                case Describe():
                    with blaming(0):
                        self.first.send(describe(self.first.host))
                case Trade():
                    seconds = self.team.trade(asked.other, asked.numbers, asked.rounds)
                    with blaming(0):
                        self.first.send(seconds)
                case End():
                    return

    def _begin(self, begin: Begin) -> None:
        self.program = Program(begin.network, begin.weights, num_threads=self.threads)
        self.optimiser = Optimiser(self.program, begin.rule, frozen=begin.frozen)
        moments: Mapping[str, Mapping[str, Any]] = begin.moments
        self.optimiser.restore(begin.step, moments)
        self.gauge = Gauge(self.program)

    def _find(self, find: Find) -> Found:
        assert self.program is not None, "worker 0 begins before it asks"
        mark = digest(self.program.parameters) if find.look else b""
        with self.gauge.watching(find.look) as see:
            lost, own = self.team.gradient(self.program, find)
            mine = own[self.team.rank]
            seen = see()
        ends = {name: array[:, rows_of(array, mine, len(lost.losses))] for name, array in lost.ends.items()}
        return Found(lost.losses[mine], ends, seen, mark)


def rows_of(ends: Array, sequences: Array, batch: int) -> Array:
    """Say which states [L * D, B * channels, H] are those of some sequences of a batch of B."""
    channels = ends.shape[1] // batch
    rows: Array = sequences[:, None] * channels + np.arange(channels)
    return rows.ravel()


if __name__ == "__main__":
    main()
