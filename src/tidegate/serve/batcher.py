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
SHARE = 0.5  # of the deadline that a request may be expected to take: what is expected is never quite what comes
_GUESS = (0.02, 10_000.0)  # seconds for so many tokens, as if computed before all others
_BESIDE = 1e-4  # seconds that a request takes besides its tokens, before it is known how long requests really take
AT_ONCE = 1e-3  # seconds for which a lone job may hold up the loop; the way to the thread and back takes a fifth of one
_KEPT = 0.9  # of what is known of the pace, at each batch
_TRUST = (1.0, 1.0)  # as if requests of a second had taken what was expected, before all others: a first call is slow
_MOST = 50.0  # times as long as by the kernels alone; beyond, the machine slept


class Work(Hashable, Protocol):
    """Computes payloads together; those of equal works may be in one batch.

    One that keeps no state may say `at_once = True`: a short job is then computed on the loop, where it is alone.
    """

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


@dataclass(slots=True)
class Place:
    """Hold what was promised to a request, from its head to its answer.

    Args:
        tokens: that it may hold; none were promised to what has no body.
        expected: seconds that it would take if the kernels were all that takes time.
        allowed: seconds for which its answer is of use, if fewer than those of all; infinity where it must be done.
        begun: when it had come whole, where that is known.
    """

    tokens: int = 0
    expected: float = 0.0
    allowed: float | None = None
    begun: float | None = None


@dataclass(order=True)
class Job:
    """Hold what waits; jobs are ordered by when they are due."""

    due: float
    number: int
    payload: Any = field(compare=False)
    tokens: int = field(compare=False)
    expires: float = field(compare=False)
    begun: float = field(compare=False)
    expected: float = field(compare=False)
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

    How long a request will take is what the kernels need for all that waits, times how much longer requests took of
    late than that: parsing, the event loop, and a machine that does other things are in it.

    Args:
        limit: tokens that may wait.
        deadline: seconds that a job may wait, unless it says less.
        observe: is told the seconds that each job waited, and those of its batch.
    """

    def __init__(self, limit: int, deadline: float, observe: Callable[[float, float], None] | None = None) -> None:
        self.limit, self.deadline, self.seen = limit, deadline, Seen()
        self.waiting = 0  # tokens, promised ones among them
        self.places = 0  # that are promised
        self.observe = observe
        self._spent, self._done = _GUESS  # seconds for tokens, the older the less they count
        self._took, self._expected = _TRUST  # seconds of requests as they were, and as the kernels alone would need
        self._heaps: dict[Work, list[Job]] = {}
        self._numbers, self._running = count(), False
        self.pool = ThreadPoolExecutor(1, thread_name_prefix="kernels")

    @property
    def estimate(self) -> float:
        """Seconds that a job which comes now will probably wait."""
        return self._by_kernels * self.stretch

    @property
    def stretch(self) -> float:
        """How many times as long requests took of late as the kernels alone would have."""
        return min(self._took / self._expected, _MOST)

    @property
    def pace(self) -> float:
        """Seconds that a token took of late."""
        return self._spent / self._done

    @property
    def _by_kernels(self) -> float:
        return self.waiting * self.pace + self.places * _BESIDE

    def reserve(self, tokens: int, allowed: float | None = None) -> Place:
        """Promise a place; raises ServeError (413 where it could never be had, 429 where it is taken).

        allowed: seconds after which the answer is of no use, if these are fewer than those of all.
        """
        if tokens > self.limit:
            told = f"the request holds about {tokens:,} tokens; the server takes {self.limit:,}. Send fewer at a time."
            raise ServeError(told, status=413, kind="too-large")
        wait = self.estimate
        if self.waiting + tokens > self.limit or wait > SHARE * self._limited(allowed):
            self.seen.refused += 1
            told = "as much waits already as can be answered in time. Try again later."
            raise ServeError(told, status=429, kind="overloaded", retry_after=max(1, round(wait)))
        self.waiting += tokens
        self.places += 1
        return Place(tokens, self._by_kernels, allowed)

    def release(self, place: Place) -> None:
        """Give a place back."""
        if place.tokens:
            self.waiting -= place.tokens
            self.places -= 1

    async def ask(self, work: Work, payload: Any, tokens: int, place: Place | None = None) -> Any:
        """Have a payload computed, whose place is reserved; raises ServeError (504) where it waited too long."""
        loop, now = asyncio.get_running_loop(), time.perf_counter()
        place = Place() if place is None else place
        begun = now if place.begun is None else place.begun
        due, expires = now + tokens * self.pace * PATIENCE, begun + self._limited(place.allowed)
        job = Job(due, next(self._numbers), payload, tokens, expires, begun, place.expected, loop.create_future())
        place.begun, place.expected = None, 0.0  # what it asks for later begins then
        alone = self.places <= 1 and not self._running and not self._heaps
        if alone and getattr(work, "at_once", False) and tokens * self.pace < AT_ONCE:
            return self._compute(work, job)
        heappush(self._heaps.setdefault(work, []), job)
        if not self._running:
            self._start(loop)
        return await job.done

    def close(self) -> None:
        """Let the thread go, once it has done what it does."""
        self.pool.shutdown(wait=False)

    def _compute(self, work: Work, job: Job) -> Any:
        """Compute a job here and now, and return its answer; raises what stands in the place of one."""
        begun = time.perf_counter()
        (answer,) = work.run([job.payload])
        taken = time.perf_counter() - begun
        self._learn([job], taken)
        if self.observe is not None:
            self.observe(begun - job.begun, taken)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def _limited(self, allowed: float | None) -> float:
        return self.deadline if allowed is None else allowed if allowed == inf else min(allowed, self.deadline)

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
        if job.expected:
            self._took += time.perf_counter() - job.begun
            self._expected += job.expected
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
        self._learn(batch, taken)
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

    def _learn(self, batch: list[Job], taken: float) -> None:
        """Note how long a batch took, and its jobs."""
        now, seen, tokens = time.perf_counter(), self.seen, sum(job.tokens for job in batch)
        self._spent, self._done = _KEPT * self._spent + taken, _KEPT * self._done + tokens
        promised = [job for job in batch if job.expected]
        if promised:
            self._took = _KEPT * self._took + sum(now - job.begun for job in promised)
            self._expected = _KEPT * self._expected + sum(job.expected for job in promised)
        seen.batches, seen.jobs, seen.tokens = seen.batches + 1, seen.jobs + len(batch), seen.tokens + tokens
        seen.busy, seen.size = seen.busy + taken, len(batch)
