"""Requests come together without a timer, short ones first, long ones soon; what is too much or late is refused."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from math import inf
from typing import Any

import pytest

from tidegate.errors import ServeError
from tidegate.serve import batcher as batching
from tidegate.serve.batcher import Batcher, Place


class Echo:
    """Answers each payload with itself, once it is let; keeps what came in which batch."""

    def __init__(self) -> None:
        self.batches: list[list[Any]] = []
        self.gate, self.entered = threading.Event(), threading.Event()
        self.gate.set()

    def run(self, payloads: Sequence[Any]) -> list[Any]:
        self.batches.append(list(payloads))
        self.entered.set()
        assert self.gate.wait(20)
        return [ValueError(payload) if payload == "bad" else payload for payload in payloads]


def run(work: Any) -> Any:
    return asyncio.run(work)


async def behind(echo: Echo, batcher: Batcher, jobs: list[tuple[Any, int]], allowed: float | None = None) -> list[Any]:
    """Ask for jobs while the kernels are held up by one; let them go once all wait."""
    echo.gate.clear()
    first = asyncio.create_task(batcher.ask(echo, "first", 1, Place(allowed=inf)))
    await asyncio.to_thread(echo.entered.wait)
    waiting = [
        asyncio.create_task(batcher.ask(echo, payload, tokens, Place(allowed=allowed))) for payload, tokens in jobs
    ]
    await asyncio.sleep(0)
    echo.gate.set()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    await first
    return list(answers)


def test_what_came_while_the_kernels_were_busy_is_one_batch() -> None:
    echo, batcher = Echo(), Batcher(1000, 10.0)
    assert run(behind(echo, batcher, [(at, 1) for at in range(20)])) == list(range(20))
    assert echo.batches == [["first"], list(range(20))]
    batcher.close()


def test_a_lone_job_waits_for_nobody() -> None:
    echo, batcher = Echo(), Batcher(1000, 10.0)

    async def one_after_the_other() -> None:
        for at in range(5):
            assert await batcher.ask(echo, at, 1) == at

    run(one_after_the_other())
    assert echo.batches == [[0], [1], [2], [3], [4]]
    batcher.close()


def test_a_lone_job_sets_no_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever waits for time to pass would be late for somebody who is alone."""
    echo, batcher = Echo(), Batcher(1000, 10.0)

    async def alone() -> None:
        def refuse(*_: Any, **__: Any) -> None:
            raise AssertionError("a timer was set")

        for name in ("call_later", "call_at"):
            monkeypatch.setattr(asyncio.get_running_loop(), name, refuse)
        assert await batcher.ask(echo, "alone", 1, batcher.reserve(1)) == "alone"
        monkeypatch.undo()

    run(alone())
    batcher.close()


class Here(Echo):
    """May be computed on the loop; notes the threads on which it was."""

    at_once = True

    def __init__(self) -> None:
        super().__init__()
        self.threads: list[int] = []

    def run(self, payloads: Sequence[Any]) -> list[Any]:
        self.threads.append(threading.get_ident())
        return super().run(payloads)


def test_a_short_job_is_computed_at_once_where_nobody_else_is_there() -> None:
    here, batcher = Here(), Batcher(10**9, 10.0)
    loop = threading.get_ident()

    async def ask(payload: Any, tokens: int) -> Any:
        place = batcher.reserve(1)
        try:
            return await batcher.ask(here, payload, tokens, place)
        finally:
            batcher.release(place)

    async def together() -> list[Any]:
        return await asyncio.gather(*(ask(at, 1) for at in range(2)))

    assert run(ask("alone", 1)) == "alone"
    assert here.threads == [loop]
    with pytest.raises(ValueError, match="bad"):
        run(ask("bad", 1))
    assert run(ask("long", 10**6)) == "long"
    other = batcher.reserve(1)
    assert run(ask("with another", 1)) == "with another"
    batcher.release(other)
    assert here.threads[:2] == [loop] * 2
    assert loop not in here.threads[2:]
    assert run(together()) == [0, 1]
    assert (batcher.seen.jobs, batcher.waiting, batcher.places) == (6, 0, 0)
    batcher.close()


def test_a_batch_holds_no_more_tokens_than_it_may_but_one_that_is_larger_runs_alone() -> None:
    echo, batcher, most = Echo(), Batcher(10**9, 10.0), batching.BATCH_TOKENS
    jobs = [("a", most // 2), ("b", most // 2), ("c", most // 2), ("huge", 5 * most)]
    assert run(behind(echo, batcher, jobs)) == ["a", "b", "c", "huge"]
    assert echo.batches == [["first"], ["a", "b"], ["c"], ["huge"]]
    batcher.close()


def test_one_that_fails_fails_alone() -> None:
    echo, batcher = Echo(), Batcher(1000, 10.0)
    answers = run(behind(echo, batcher, [("a", 1), ("bad", 1), ("c", 1)]))
    assert (answers[0], answers[2]) == ("a", "c")
    assert isinstance(answers[1], ValueError)
    batcher.close()


def test_works_that_differ_are_not_mixed() -> None:
    one, other, batcher = Echo(), Echo(), Batcher(1000, 10.0)

    async def both() -> None:
        one.gate.clear()
        first = asyncio.create_task(batcher.ask(one, "first", 1))
        await asyncio.to_thread(one.entered.wait)
        rest = [asyncio.create_task(batcher.ask(work, at, 1)) for at in range(4) for work in (one, other)]
        await asyncio.sleep(0)
        one.gate.set()
        await asyncio.gather(first, *rest)

    run(both())
    assert (one.batches, other.batches) == ([["first"], [0, 1, 2, 3]], [[0, 1, 2, 3]])
    batcher.close()


def test_short_jobs_pass_a_long_one_but_not_for_ever() -> None:
    """Short ones keep coming, of a work of their own; the long one is computed once it has waited its due."""
    batcher, order = Batcher(10**9, 60.0), list[str]()
    batcher._spent, batcher._done = 1e3, 1e9  # 1,000 tokens are 1 ms: the long one is due after 20

    class Named:
        def __init__(self, name: str) -> None:
            self.name = name

        def run(self, payloads: Sequence[Any]) -> Sequence[Any]:
            order.extend([self.name] * len(payloads))
            return payloads

    async def storm() -> None:
        short, long = Named("short"), Named("long")
        held = [asyncio.create_task(batcher.ask(short, 0, 1))]
        held.append(asyncio.create_task(batcher.ask(long, 0, 1000)))
        held += [asyncio.create_task(batcher.ask(short, 0, 1)) for _ in range(10)]
        while "long" not in order and len(order) < 100_000:
            await batcher.ask(short, 0, 1)
        await asyncio.gather(*held)

    run(storm())
    at = order.index("long")
    assert 11 <= at < 100_000, "short ones passed it, and it came to its turn all the same"
    batcher.close()


def test_what_has_expired_is_dropped_before_it_costs_anything() -> None:
    echo, batcher = Echo(), Batcher(1000, 10.0)
    answers = run(behind(echo, batcher, [("late", 1)], -1.0))
    assert isinstance(answers[0], ServeError)
    assert (answers[0].status, answers[0].kind, echo.batches) == (504, "deadline", [["first"]])
    assert batcher.seen.expired == 1
    batcher.close()


def test_what_has_expired_says_how_long_requests_take() -> None:
    """Or a server that lets in so many that all expire would never know better."""
    echo, batcher = Echo(), Batcher(1000, 10.0)

    async def expire() -> None:
        place = batcher.reserve(1)
        place.begun = time.perf_counter() - 100.0
        with pytest.raises(ServeError, match="deadline"):
            await batcher.ask(echo, "late", 1, place)
        batcher.release(place)

    for _ in range(3):
        run(expire())
    assert (batcher.stretch, echo.batches) == (batching._MOST, [])
    batcher.close()


def test_what_must_be_done_is_done_however_late() -> None:
    echo, batcher = Echo(), Batcher(1000, 1e-9)
    assert run(behind(echo, batcher, [("late", 1), ("must", 1)], inf)) == ["late", "must"]
    batcher.close()


def test_places_are_promised_up_to_the_limit_and_given_back() -> None:
    batcher = Batcher(100, 10.0)
    place = batcher.reserve(60)
    with pytest.raises(ServeError, match="as much waits already") as caught:
        batcher.reserve(41)
    assert (caught.value.status, caught.value.retry_after) == (429, 1)
    batcher.reserve(40)
    batcher.release(place)
    batcher.reserve(60)
    with pytest.raises(ServeError, match="101 tokens") as caught:
        batcher.reserve(101)
    assert caught.value.status == 413
    assert batcher.seen.refused == 1
    batcher.close()


def test_who_would_wait_beyond_half_of_the_deadline_is_refused_at_once() -> None:
    batcher = Batcher(10**9, 6.0)
    batcher._spent, batcher._done = 1.0, 1.0
    batcher.reserve(2)
    with pytest.raises(ServeError, match="as much waits") as caught:
        batcher.reserve(1, allowed=3.0)
    assert (caught.value.status, caught.value.retry_after) == (429, 2)
    batcher.reserve(2)
    with pytest.raises(ServeError, match="as much waits"):
        batcher.reserve(1)
    assert (batcher.waiting, batcher.places, batcher.seen.refused) == (4, 2, 2)
    batcher.close()


def test_what_is_expected_is_corrected_by_what_came_of_it() -> None:
    """Requests take 100 s of which the kernels know nothing: it is counted in, and fewer are let in."""
    echo, batcher = Echo(), Batcher(10**9, 1000.0)

    async def late() -> None:
        place = batcher.reserve(1)
        place.begun = time.perf_counter() - 100.0
        await batcher.ask(echo, "late", 1, place)
        assert place.begun is None, "what it asks for later begins then"
        batcher.release(place)

    places = [batcher.reserve(1) for _ in range(100)]
    before = batcher.estimate
    for _ in range(50):
        run(late())
    assert batcher.stretch == batching._MOST, "100 s where a hundredth of one was expected"
    assert batcher.estimate == pytest.approx(batching._MOST * before, rel=0.5)
    for place in places:
        batcher.release(place)
    for _ in range(200):
        run(in_time(echo, batcher))
    assert batcher.stretch == pytest.approx(1.0, rel=0.01), "what is long past no longer counts"
    assert (batcher.waiting, batcher.places) == (0, 0)
    batcher.close()


async def in_time(echo: Echo, batcher: Batcher) -> None:
    """Ask for a job that takes no longer than it was expected to."""
    place = batcher.reserve(1)
    place.expected = 1.0
    place.begun = time.perf_counter() - 1.0
    await batcher.ask(echo, "in time", 1, place)
    batcher.release(place)


def test_a_job_that_nobody_waits_for_is_not_computed() -> None:
    echo, batcher = Echo(), Batcher(1000, 10.0)

    async def gone() -> None:
        echo.gate.clear()
        first = asyncio.create_task(batcher.ask(echo, "first", 1))
        await asyncio.to_thread(echo.entered.wait)
        other = asyncio.create_task(batcher.ask(echo, "other", 1))
        await asyncio.sleep(0)
        other.cancel()
        echo.gate.set()
        await first
        await asyncio.gather(other, return_exceptions=True)
        await batcher.ask(echo, "last", 1)

    run(gone())
    assert echo.batches == [["first"], ["last"]]
    batcher.close()
