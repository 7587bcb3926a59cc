"""The state of a stream travels as bytes: the stream goes on from it to the bit, and what is no state is refused."""

from __future__ import annotations

import json
import struct
import threading
from hashlib import sha256
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams import features, steps_of, stream_all, weights_of
from tidegate.errors import InputError, StateError
from tidegate.network import Network, Recurrent
from tidegate.runtime import Executor, Stream


@settings(max_examples=60)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=8), st.integers(0, 7), st.integers(0, 6))
def test_cut_saved_and_forked_anywhere_it_is_the_same_stream(chunks: list[int], lookahead: int, cut: int) -> None:
    network = features("lstm", bidirectional=True, num_layers=2)
    executor = Executor(network, weights_of(network))
    x = np.random.default_rng(7).standard_normal((sum(chunks), 3)).astype(np.float32)
    want = stream_all(executor.stream(lookahead=lookahead), x, [len(x)])
    stream = executor.stream(lookahead=lookahead)
    found = []
    for index, (begin, end) in enumerate(pairwise(np.cumsum([0, *chunks]))):
        if index == cut:
            fork = stream.fork()
            stream.push(np.ones((3, 3), np.float32))  # what one does the other never learns of
            stream = executor.stream(lookahead=lookahead, state=fork.state)
        peeked = stream.peek(x[begin:])
        found.append(stream.push(x[begin:end]))
    assert np.concatenate([*found, stream.finish()]).tobytes() == want.tobytes()
    assert peeked.tobytes() == want[len(want) - len(peeked) :].tobytes()


def altered(state: bytes, change: Any) -> bytes:
    """Change the header of a state and sign it anew, as only someone who means harm would."""
    length = struct.unpack_from("<I", state, 12)[0]
    header = json.loads(state[16 : 16 + length])
    change(header)
    text = json.dumps(header).encode()
    content = state[:12] + struct.pack("<I", len(text)) + text + state[16 + length : -32]
    return content + sha256(content).digest()


def test_a_state_has_one_layout_on_every_machine() -> None:
    network = Network.of(Recurrent(cell="rnn_relu", input_size=1, hidden_size=2, bias=False))
    weights = {"0.weight_ih_l0": np.array([[1.0], [3.0]], np.float32), "0.weight_hh_l0": np.eye(2, dtype=np.float32)}
    stream = Stream(network, weights)
    stream.step([0.5])
    state = stream.state
    assert state[:12] == b"TIDESTRM\x01\x00\x00\x00"
    length = int.from_bytes(state[12:16], "little")
    assert json.loads(state[16 : 16 + length])["steps"] == 1
    assert state[16 + length : -32] == bytes.fromhex("0000003f 0000c03f")  # 0.5 and 1.5, little-endian
    assert state[-32:] == sha256(state[:-32]).digest()
    np.testing.assert_array_equal(Stream(network, weights, state=bytearray(state)).step([0.0]), [0.5, 1.5])  # type: ignore[arg-type]


def test_states_that_are_not_ours_are_refused() -> None:
    network = features(bidirectional=True)
    weights = weights_of(network)
    executor = Executor(network, weights)
    stream = executor.stream(lookahead=2)
    stream.push(steps_of())
    state = stream.state

    def refuse(data: Any, complaint: str, **options: Any) -> None:
        with pytest.raises(StateError, match=complaint):
            executor.stream(**({"lookahead": 2} | options), state=data)

    for length in range(0, len(state), 7):
        refuse(state[:length], "truncated")
    for at in range(0, len(state), 11):
        refuse(state[:at] + bytes([state[at] ^ 1]) + state[at + 1 :], "altered|no saved state|version|truncated")
    refuse(state + b"\0", "altered")
    refuse("text", "a str is no saved state")
    refuse(state[:8] + b"\x02" + state[9:], "version 2; this Tidegate reads 1. Upgrade")
    refuse(state, "saved with lookahead=2; this stream has 3", lookahead=3)
    refuse(altered(state, lambda h: h.update(steps=-1)), "-1 steps were taken")
    refuse(altered(state, lambda h: h.update(steps=True)), "True steps were taken")
    refuse(altered(state, lambda h: h.update(steps=2**63)), "steps were taken")
    refuse(altered(state, lambda h: h.update(type="<f8")), "numbers where|middle of a number")
    refuse(altered(state, lambda h: h.update(type="|O")), "incomplete")
    refuse(altered(state, lambda h: h.update(about=[])), "altered")
    refuse(altered(state, lambda h: h.pop("digest")), "incomplete")
    other = dict(weights) | {"0.bias": weights["0.bias"] + 1}
    with pytest.raises(StateError, match=r"of another model: .*Load the model it was saved with"):
        Stream(network, other, lookahead=2, state=state)


@settings(max_examples=300)
@given(st.binary(max_size=200))
def test_no_bytes_are_a_state_by_chance(data: bytes) -> None:
    network = features()
    with pytest.raises(StateError):
        Stream(network, weights_of(network), state=data)


def test_a_state_is_read_between_steps_or_not_at_all() -> None:
    network = Network.of(Recurrent(cell="lstm", input_size=3, hidden_size=64))
    stream = Stream(network, weights_of(network), num_threads=1)
    chunk = np.random.default_rng(0).standard_normal((2000, 3)).astype(np.float32)
    alone, legal = stream.fork(), {stream.state}
    for _ in range(40):
        alone.push(chunk)
        legal.add(alone.state)
    writer = threading.Thread(target=lambda: [stream.push(chunk) for _ in range(40)])
    seen, refused = set(), 0
    writer.start()
    while writer.is_alive():
        try:
            seen.add(stream.state)
        except InputError:
            refused += 1
    writer.join()
    assert seen <= legal
    assert refused
    assert stream.state == alone.state
