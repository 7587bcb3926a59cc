"""Brings requests together without a timer: whenever the kernels are free, what has come is computed in one go.

Knows neither HTTP nor models: a `Work` computes payloads. Runs on an event loop and one thread beside it.
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from math import inf
from typing import Any, Protocol

from tidegate.errors import ServeError, TidegateError

BATCH_TOKENS = 2**14  # of a batch; a longer request is computed by itself
BATCH_JOBS = 256
PATIENCE = 20.0  # how many times its own time a request lets shorter ones, which come later, go first
_GUESS = (0.02, 10_000.0)  # seconds for so many tokens, as if computed before all others
_KEPT = 0.9  # of what is known of the pace, at each batch


class Work(Hashable, Protocol):
    """Computes payloads together; those of equal works may be in one batch."""

    def run(self, payloads: Sequence[Any]) -> Sequence[Any]:
        """Answer each payload; an exception among the answers is raised for its payload alone."""


class OneByOne(ABC):
    """Answer payloads one after the other; an error stands in the place of an answer."""

    @abstractmethod
    def answer(self, payload: Any) -> Any:
        """Answer one; raises TidegateError where it has none."""

    def run(self, payloads: Sequence[Any]) -> list[Any]:
        """Answer each."""
        found: list[Any] = []
        for payload in payloads:
            try:
                found.append(self.answer(payload))
            except TidegateError as error:
                found.append(error)
        return found


@dataclass(order=True)
class Job:
    """Hold what waits; jobs are ordered by when they are due."""

    due: float
    number: int
    payload: Any = field(compare=False)
    tokens: int = field(compare=False)
    expires: float = field(compare=False)
    begun: float = field(compare=False)
    done: asyncio.Future[Any] = field(compare=False)


@dataclass
class Seen:
    """Count what was done, for metrics and for those who draw it."""

    batches: int = 0
    jobs: int = 0
    tokens: int = 0
    expired: int = 0
    refused: int = 0
    busy: float = 0.0  # seconds of the kernels
    size: int = 0  # of the last batch


class Batcher:
    """Compute jobs as soon as the kernels are free, and together what has come meanwhile.

    A lone job waits for nobody. Short jobs pass long ones, but none that has waited `PATIENCE` times its own time. What
    waits is bounded in tokens, from the moment that `reserve` promises a place; what has expired is dropped before it
    costs anything.

    Args:
        limit: tokens that may wait.
        deadline: seconds that a job may wait, unless it says less.
        observe: is told the seconds that each job waited, and those of its batch.
    """

    def __init__(self, limit: int, deadline: float, observe: Callable[[float, float], None] | None = None) -> None:
        self.limit, self.deadline, self.seen = limit, deadline, Seen()
        self.waiting = 0  # tokens, promised ones among them
        self.observe = observe
        self._spent, self._done = _GUESS  # seconds for tokens, the older the less they count
        self._heaps: dict[Work, list[Job]] = {}
        self._numbers, self._running = count(), False
        self.pool = ThreadPoolExecutor(1, thread_name_prefix="kernels")

    @property
    def estimate(self) -> float:
        """Seconds that a job which comes now will probably wait."""
        return self.waiting * self.pace

    @property
    def pace(self) -> float:
        """Seconds that a token took of late."""
        return self._spent / self._done

    def reserve(self, tokens: int) -> None:
        """Promise a place; raises ServeError (413 where it could never be had, 429 where it is taken)."""
        if tokens > self.limit:
            told = f"the request holds about {tokens:,} tokens; the server takes {self.limit:,}. Send fewer at a time."
            raise ServeError(told, status=413, kind="too-large")
        wait = self.estimate
        if self.waiting + tokens > self.limit or wait > self.deadline:
            self.seen.refused += 1
            told = f"{self.waiting:,} tokens wait already, for about {wait:.1f} s. Try again later."
            raise ServeError(told, status=429, kind="overloaded", retry_after=max(1, round(wait)))
        self.waiting += tokens

    def release(self, tokens: int) -> None:
        """Give a place back."""
        self.waiting -= tokens

    async def ask(self, work: Work, payload: Any, tokens: int, *, deadline: float | None = None) -> Any:
        """Have a payload computed, whose place is reserved; raises ServeError (504) where it waited too long.

        deadline: seconds, if these are fewer than those of all; infinity for what must be done, however late.
        """
        loop, now = asyncio.get_running_loop(), time.perf_counter()
        wait = self.deadline if deadline is None else deadline if deadline == inf else min(deadline, self.deadline)
        due = now + tokens * self.pace * PATIENCE
        job = Job(due, next(self._numbers), payload, tokens, now + wait, now, loop.create_future())
        heappush(self._heaps.setdefault(work, []), job)
        if not self._running:
            self._start(loop)
        return await job.done

    def close(self) -> None:
        """Let the thread go, once it has done what it does."""
        self.pool.shutdown(wait=False)

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Hand the next batch to the thread; where none waits, rest."""
        work, batch = self._take(time.perf_counter())
        self._running = work is not None
        if work is not None:
            self.pool.submit(self._run, loop, work, batch)

    def _take(self, now: float) -> tuple[Work | None, list[Job]]:
        """Choose the work whose first job is due first, and as many of its jobs as fit into a batch."""
        while self._heaps:
            work = min(self._heaps, key=lambda work: self._heaps[work][0])
            heap, batch, tokens = self._heaps[work], list[Job](), 0
            while heap and len(batch) < BATCH_JOBS and (not batch or tokens + heap[0].tokens <= BATCH_TOKENS):
                job = heappop(heap)
                if job.expires < now:
                    self._expire(job)
                elif not job.done.cancelled():
                    batch.append(job)
                    tokens += job.tokens
            if not heap:
                del self._heaps[work]
            if batch:
                return work, batch
        return None, []

    def _expire(self, job: Job) -> None:
        self.seen.expired += 1
        if not job.done.done():
            told = "the deadline passed before the request came to its turn. Try again later, or allow more time."
            job.done.set_exception(ServeError(told, status=504, kind="deadline", retry_after=1))

    def _run(self, loop: asyncio.AbstractEventLoop, work: Work, batch: list[Job]) -> None:
        """Compute a batch; on the thread."""
        begun = time.perf_counter()
        answers: Sequence[Any]
        try:
            answers = work.run([job.payload for job in batch])
        except Exception as error:  # noqa: BLE001 - whoever waits must hear of it
            answers = [error] * len(batch)
        taken = time.perf_counter() - begun
        loop.call_soon_threadsafe(self._finish, loop, batch, answers, begun, taken)

    def _finish(
        self, loop: asyncio.AbstractEventLoop, batch: list[Job], answers: Sequence[Any], begun: float, taken: float
    ) -> None:
        """Answer a batch and begin the next; on the loop."""
        tokens, seen = sum(job.tokens for job in batch), self.seen
        self._spent, self._done = _KEPT * self._spent + taken, _KEPT * self._done + tokens
        seen.batches, seen.jobs, seen.tokens = seen.batches + 1, seen.jobs + len(batch), seen.tokens + tokens
        seen.busy, seen.size = seen.busy + taken, len(batch)
        self._start(loop)
        for job, answer in zip(batch, answers, strict=True):
            if self.observe is not None:
                self.observe(begun - job.begun, taken)
            if job.done.done():
                continue
            if isinstance(answer, BaseException):
                job.done.set_exception(answer)
            else:
                job.done.set_result(answer)
