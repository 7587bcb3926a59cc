"""What is refused is refused by the connection itself: nothing runs for it, and the connection goes on in order."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving import ask, rest, serving, wired
from tidegate.errors import ServeError
from tidegate.serve.batcher import Batcher
from tidegate.serve.door import TOGETHER, Asked, Door
from tidegate.serve.server import Server
from tidegate.serve.settings import Settings

NAME = "text-classifier"
BODY = json.dumps({"texts": ["wave"]}).encode()
HEAD = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n%b\r\n"
GOOD = HEAD % (len(BODY), b"") + BODY
STRANGE = HEAD % (len(BODY), b"Origin: http://evil.example\r\n") + BODY


@pytest.fixture(scope="module")
def alone(models: dict[str, Path]) -> Iterator[Server]:
    """A server of one model."""
    with serving({NAME: models[NAME]}, max_queue_tokens=1000) as server:
        yield server


def statuses(wire: socket.socket, count: int) -> list[int]:
    """Read so many answers, whose bodies have lengths; return what they say."""
    file, found = wire.makefile("rb"), []
    for _ in range(count):
        found.append(int(file.readline().split()[1]))
        length = 0
        while (line := file.readline().strip()) != b"":
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        json.loads(file.read(length))
    return found


def test_nothing_runs_for_what_is_refused(alone: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[Any] = []

    async def app(*args: Any) -> None:
        called.append(args)

    before = dict(alone.app.answers)
    with monkeypatch.context() as patch, wired(alone) as wire:
        patch.setattr(alone.app, "_app", app)
        wire.sendall(STRANGE * 3)
        assert statuses(wire, 3) == [403, 403, 403]
    assert called == []
    assert alone.app.answers[403] == before.get(403, 0) + 3


def test_a_connection_goes_on_after_a_refusal(alone: Server) -> None:
    with wired(alone) as wire:
        for asked, wanted in ((GOOD, 200), (STRANGE, 403), (GOOD, 200), (STRANGE, 403)):
            wire.sendall(asked)
            assert statuses(wire, 1) == [wanted]


def test_the_body_of_a_refusal_may_come_in_pieces(alone: Server) -> None:
    with wired(alone) as wire:
        for at in range(0, len(STRANGE), 20):
            wire.sendall(STRANGE[at : at + 20])
            time.sleep(0.001)
        wire.sendall(GOOD)
        assert statuses(wire, 2) == [403, 200]


def test_answers_keep_the_order_of_the_requests(alone: Server) -> None:
    with wired(alone) as wire:
        wire.sendall((GOOD + STRANGE) * 3)
        assert statuses(wire, 6) == [200, 403] * 3


def test_a_full_house_refuses_on_connections_that_are_open_and_takes_up_again(alone: Server) -> None:
    with wired(alone) as wire:
        wire.sendall(GOOD)
        assert statuses(wire, 1) == [200]
        place = alone.batcher.reserve(1000)
        wire.sendall(GOOD * 4)
        assert statuses(wire, 4) == [429] * 4
        alone.batcher.release(place)
        wire.sendall(GOOD)
        assert statuses(wire, 1) == [200]
    until = time.monotonic() + 20
    while alone.batcher.places and time.monotonic() < until:
        time.sleep(0.01)
    assert (alone.batcher.waiting, alone.batcher.places) == (0, 0)


@pytest.mark.parametrize(
    "extra", [b"Connection: close\r\n", b"Expect: 100-continue\r\n"], ids=["close", "asks before it sends"]
)
def test_the_connection_ends_where_what_follows_would_be_unclear(alone: Server, extra: bytes) -> None:
    with wired(alone) as wire:
        wire.sendall(HEAD % (len(BODY), b"Origin: http://evil.example\r\n" + extra))
        told = rest(wire)
        assert told.startswith(b"HTTP/1.1 403 ")
        assert b"connection: close\r\n" in told


def test_who_reads_no_refusals_is_cut_off(alone: Server) -> None:
    """Else what is written for them would fill the memory."""
    with wired(alone) as wire, pytest.raises(ConnectionError):
        wire.sendall(STRANGE * 400_000)
    assert ask(alone, "/v1/predict", {"texts": ["wave"]})[0] == 200


@pytest.mark.parametrize("given", ["", "soon", "-1", "0", "nan", "inf", "1e9"])
def test_a_deadline_that_is_none_is_told(alone: Server, given: str) -> None:
    status, told, _ = ask(alone, "/v1/predict", {"texts": ["wave"]}, headers={"Tidegate-Deadline": given})
    assert (status, told["type"]) == (422, "urn:tidegate:unreadable")
    assert alone.batcher.waiting == 0


def test_who_can_wait_less_is_refused_sooner(alone: Server) -> None:
    places = [alone.batcher.reserve(1) for _ in range(50)]
    try:
        headers = {"Tidegate-Deadline": "0.0001"}
        assert ask(alone, "/v1/predict", {"texts": ["wave"]}, headers=headers)[0] == 429
        assert ask(alone, "/v1/predict", {"texts": ["wave"]})[0] == 200
    finally:
        for place in places:
            alone.batcher.release(place)


def test_requests_go_on_in_their_order_and_a_few_in_each_turn_of_the_loop() -> None:
    """So that between two turns new heads are read, however many came together; one who is gone holds up nobody."""
    door, begun, turns = Door(_nowhere, Settings(), Batcher(1000, 10.0)), list[int](), list[int]()
    count = 3 * TOGETHER + 5

    async def one(number: int) -> None:
        await door.come_to_turn()
        begun.append(number)

    async def many() -> None:
        tasks = [asyncio.create_task(one(number)) for number in range(count)]
        await asyncio.sleep(0)
        tasks[TOGETHER + 3].cancel()
        while len(begun) < count - 1:
            turns.append(len(begun))
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        work = one(-1)
        with pytest.raises(StopIteration):  # one alone goes on at once
            work.send(None)
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(many())
    assert begun == [*(number for number in range(count) if number != TOGETHER + 3), -1]
    assert turns[0] == TOGETHER
    assert max(np.diff(turns)) == TOGETHER


def test_a_length_beside_pieces_is_none() -> None:
    """Whichever server asks the door: what reads the body may go by either."""
    door = Door(_nowhere, Settings(), Batcher(1000, 10.0))
    headers = {b"host": b"localhost", b"content-length": b"5", b"transfer-encoding": b"chunked"}
    with pytest.raises(ServeError, match="Content-Length") as caught:
        door.let_in(Asked("POST", "/v1/predict", headers))
    assert caught.value.status == 411


async def _nowhere(*_: Any) -> None:
    raise AssertionError("nothing is asked")
