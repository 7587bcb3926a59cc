"""A link carries messages and arrays as they are, takes nobody who does not know the key, and tells who is gone."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tidegate.scale import wire
from tidegate.scale.wire import Address, Interruption, LateError, Link, LinkError, accept, address_of, connect, listen


@pytest.fixture(params=["path", "host"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Address:
    return str(tmp_path / "socket") if request.param == "path" else ("127.0.0.1", 0)


@pytest.fixture
def ends(address: Address) -> Iterator[tuple[Link, Link]]:
    with listen(address) as listener:
        found: list[Link] = []
        thread = threading.Thread(target=lambda: found.append(connect(address_of(listener), b"key", 5)))
        thread.start()
        one = accept(listener, b"key", 5)
        thread.join()
    assert one is not None
    yield one, found[0]
    one.close()
    found[0].close()


def test_messages_and_arrays_come_as_they_were_sent(ends: tuple[Link, Link]) -> None:
    one, other = ends
    numbers = np.array([1.5, -0.0, np.nan], np.float32)
    one.send({"step": 3})
    one.send_array(numbers)
    assert other.receive() == {"step": 3}
    assert other.receive_array(3, np.dtype(np.float32)).tobytes() == numbers.tobytes()


def test_a_message_where_an_array_is_wanted_interrupts(ends: tuple[Link, Link]) -> None:
    one, other = ends
    one.send("trouble")
    with pytest.raises(Interruption) as came:
        other.receive_array(3, np.dtype(np.float32))
    assert came.value.message == "trouble"


def test_an_array_of_another_size_is_refused(ends: tuple[Link, Link]) -> None:
    one, other = ends
    one.send_array(np.zeros(3))
    with pytest.raises(LinkError, match="24 bytes came where 32 were wanted"):
        other.receive_array(4, np.dtype(np.float64))


def test_an_end_that_is_gone_or_silent_is_told(ends: tuple[Link, Link]) -> None:
    one, other = ends
    other.timeout = 0.05
    with pytest.raises(LateError):
        other.receive()
    one.close()
    with pytest.raises(LinkError, match="it ended"):
        other.receive()


def test_who_does_not_know_the_key_gets_no_link(address: Address) -> None:
    with listen(address) as listener:
        refused: list[Exception] = []

        def stranger() -> None:
            try:
                connect(address_of(listener), b"guess", 5)
            except LinkError as error:
                refused.append(error)

        thread = threading.Thread(target=stranger)
        thread.start()
        assert accept(listener, b"key", 5) is None
        thread.join()
    assert len(refused) == 1
    with pytest.raises(LinkError, match="no link to"):
        connect(address_of_closed(address), b"key", 1)


def test_an_end_may_be_silent_for_longer_than_the_greeting_takes(
    address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "_GREETING", 1.0)
    with listen(address) as listener:
        found: list[Link] = []
        thread = threading.Thread(target=lambda: found.append(connect(address_of(listener), b"key", 1)))
        thread.start()
        one = accept(listener, b"key", 5)
        thread.join()
    assert one is not None
    heard: list[str] = []
    ears = [threading.Thread(target=lambda end=end: heard.append(end.receive(forever=True))) for end in (one, found[0])]
    for ear in ears:
        ear.start()
    time.sleep(1.3)
    one.send("to the other")
    found[0].send("to one")
    for ear in ears:
        ear.join()
    one.close()
    found[0].close()
    assert sorted(heard) == ["to one", "to the other"]


def test_a_stranger_that_drips_is_shut_out_in_time(address: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "_GREETING", 0.3)
    dripped = 0
    with listen(address) as listener:
        where = address_of(listener)
        with socket.socket(socket.AF_UNIX if isinstance(where, str) else socket.AF_INET) as stranger:
            stranger.connect(where)
            stranger.sendall(struct.pack("!i", 200))

            def drip() -> None:
                nonlocal dripped
                while dripped < 200:
                    try:
                        stranger.sendall(b"x")
                    except OSError:  # shut out
                        return
                    dripped += 1
                    time.sleep(0.02)

            thread = threading.Thread(target=drip)
            thread.start()
            assert accept(listener, b"key", 5) is None
            thread.join()
    assert dripped < 200


def test_one_who_takes_the_link_and_says_nothing_is_not_waited_for(address: Address) -> None:
    with listen(address) as listener, pytest.raises(LinkError, match=r"no link to .* within 0\.2 s"):
        connect(address_of(listener), b"key", 0.2)


def address_of_closed(address: Address) -> Address:
    return address if isinstance(address, str) else ("127.0.0.1", 1)
