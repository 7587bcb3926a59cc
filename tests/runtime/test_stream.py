"""Streams of networks: any chunks give the whole, to the bit; states travel; what is refused changes nothing."""

from __future__ import annotations

import gc
import json
import os
import shutil
import struct
import subprocess
import sys
import threading
import tracemalloc
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate import kernels
from tidegate.errors import InputError, ShapeError, StateError, StreamEndedError
from tidegate.network import (
    Decode,
    Dense,
    Dropout,
    Embed,
    Network,
    Pool,
    Recurrent,
    Spell,
    Split,
    Tied,
    parameter_shapes,
)
from tidegate.ragged import Ragged
from tidegate.runtime import Executor, Stream, StreamPool
from tidegate.words import Words

Array = npt.NDArray[Any]
STEPS = 9
MODES = ("last", "mean", "max", "first")


def weights_of(network: Network, dtype: Any = np.float32) -> dict[str, Array]:
    rng = np.random.default_rng(3)
    return {name: rng.uniform(-0.6, 0.6, shape).astype(dtype) for name, shape in parameter_shapes(network).items()}


def features(cell: Any = "lstm", *, modes: Any = None, **layer: Any) -> Network:
    recurrent = Recurrent(cell=cell, input_size=4, hidden_size=5, **layer)
    pool = [Pool(modes=modes)] if modes else []
    return Network.of(
        Dense(in_features=3, out_features=4, activation="tanh"),
        recurrent,
        *pool,
        Dense(in_features=recurrent.output_size * len(modes or (1,)), out_features=6, activation="relu"),
        Dropout(p=0.5),
        Dense(in_features=6, out_features=2),
    )


def whole(executor: Executor, x: Array) -> Array:
    """Run one sequence: [T, K], or [K] once pooled."""
    out = executor(Ragged(x, np.array([0, len(x)])))
    return out[0] if any(isinstance(node, Pool) for node in executor.network.nodes) else out


def steps_of(kind: Any = np.float32) -> Array:
    return np.random.default_rng(1).standard_normal((STEPS, 3)).astype(kind)


def stream_all(stream: Stream, x: Array, chunks: list[int]) -> Array:
    """Push x in chunks, one step by `step`, and return all answers end to end."""
    found: list[Array] = []
    for begin, end in pairwise(np.cumsum([0, *chunks])):
        if end == begin + 1:
            row = stream.step(x[begin])
            found += [] if row is None else [row[None]]
        else:
            found.append(stream.push(x[begin:end]))
    return np.concatenate([*found, stream.finish()])


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("cell", kernels.CELLS)
@pytest.mark.parametrize("layers", [1, 3])
def test_any_chunks_give_the_whole_sequence(cell: str, layers: int, kind: Any) -> None:
    network = features(cell, num_layers=layers)
    executor, x = Executor(network, weights_of(network, kind)), steps_of(kind)
    want = whole(executor, x)
    before = kernels.active_isa()
    for isa in kernels.available_isas():
        kernels.use_isa(isa)
        for chunks in ([1] * STEPS, [STEPS], [4, 0, 1, 4]):
            assert stream_all(executor.stream(), x, chunks).tobytes() == want.tobytes()
    kernels.use_isa(before)


def test_an_executor_answers_batches_and_streams_of_any_look_ahead_in_turn() -> None:
    """They share the weights that are packed, and the product of the table that the streams have made."""
    layer = Recurrent(cell="gru", input_size=4, hidden_size=5, bidirectional=True)
    network = Network.of(Embed(vocabulary_size=9, size=4), Dropout(p=0.1), layer, Dense(in_features=10, out_features=2))
    executor, ids = Executor(network, weights_of(network)), np.random.default_rng(2).integers(0, 9, STEPS)
    want = whole(executor, ids)
    pool = StreamPool(executor, 2, lookahead=STEPS)
    assert pool.open("a") == "a"
    assert whole(executor, ids[:4]).tobytes() == whole(Executor(network, weights_of(network)), ids[:4]).tobytes()
    short = executor.stream(lookahead=1).push(ids)
    assert pool.push({"a": ids})["a"].shape == (0, 2)
    assert pool.finish("a").tobytes() == want.tobytes() == whole(executor, ids).tobytes()
    assert short.tobytes() == Executor(network, weights_of(network)).stream(lookahead=1).push(ids).tobytes()


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("cell", kernels.CELLS)
def test_a_pooled_network_says_what_it_would_if_the_sequence_ended_here(cell: str, kind: Any) -> None:
    network = features(cell, modes=MODES, num_layers=2)
    executor, x = Executor(network, weights_of(network, kind)), steps_of(kind)
    before = kernels.active_isa()
    for isa in kernels.available_isas():
        kernels.use_isa(isa)
        stream = executor.stream()
        assert stream.push(x[:0]).tobytes() == whole(executor, x[:0]).tobytes()
        for step in range(4):
            row = stream.step(x[step])
            assert row is not None
            assert row.tobytes() == whole(executor, x[: step + 1]).tobytes()
        assert stream.push(x[4:]).tobytes() == stream.finish().tobytes() == whole(executor, x).tobytes()
    kernels.use_isa(before)


@pytest.mark.parametrize("merge", ["concat", "sum", "mul", "ave"])
@pytest.mark.parametrize("cell", kernels.CELLS)
@pytest.mark.parametrize("lookahead", [0, 2, 30])
def test_a_row_with_lookahead_is_that_of_a_sequence_that_ends_there(cell: str, merge: Any, lookahead: int) -> None:
    network = features(cell, bidirectional=True, merge=merge)
    executor, x = Executor(network, weights_of(network)), steps_of()
    want = np.stack([whole(executor, x[: step + lookahead + 1])[step] for step in range(STEPS)])
    for chunks in ([1] * STEPS, [STEPS], [3, 0, 1, 5]):
        stream = executor.stream(lookahead=lookahead)
        assert stream_all(stream, x, chunks).tobytes() == want.tobytes()
    stream = executor.stream(lookahead=lookahead)
    due = [stream.step(row) is not None for row in x]
    assert due == [step >= lookahead for step in range(STEPS)]


@pytest.mark.parametrize("cell", kernels.CELLS)
@pytest.mark.parametrize("layer", [{"bidirectional": True, "merge": "mul"}, {"reverse": True}])
def test_a_pooled_answer_with_lookahead_is_the_whole_one_as_far_as_it_reaches(cell: str, layer: Any) -> None:
    network = features(cell, modes=MODES, **layer)
    executor, x = Executor(network, weights_of(network, np.float64)), steps_of(np.float64)
    stream = executor.stream(lookahead=4)
    said = [stream.step(row) for row in x]
    for step in range(5):
        row = said[step]
        assert row is not None
        assert row.tobytes() == whole(executor, x[: step + 1]).tobytes()
    for chunks in ([STEPS], [2, 7], [5, 1, 3]):
        other = executor.stream(lookahead=4)
        for begin, end in pairwise(np.cumsum([0, *chunks])):
            row = said[end - 1]
            assert row is not None
            assert other.push(x[begin:end]).tobytes() == row.tobytes()


def test_a_pooled_answer_beyond_the_lookahead_pools_rows_that_look_no_farther() -> None:
    """The mean of a layer that returns its input and of one that adds up to three inputs, counted by hand."""
    recurrent = Recurrent(cell="rnn_relu", input_size=1, hidden_size=1, bidirectional=True, bias=False)
    network = Network.of(recurrent, Pool(modes=("mean",)))
    weights = {name: np.ones((1, 1)) for name in parameter_shapes(network)}
    weights["0.weight_hh_l0"] = np.zeros((1, 1))
    stream = Stream(network, weights, lookahead=2)
    for x in ([1.0], [2.0], [4.0]):
        stream.step(x)
    # backward sums: 1+2+4, 2+4+8, 4+8, 8, of which the last two are cut short by the end
    assert stream.step([8.0]).tolist() == [(1 + 2 + 4 + 8) / 4, (7 + 14 + 12 + 8) / 4]  # type: ignore[union-attr]


def test_stacked_layers_share_the_lookahead() -> None:
    network = features("gru", bidirectional=True, num_layers=3)
    executor, x = Executor(network, weights_of(network)), steps_of()
    one = stream_all(executor.stream(lookahead=7), x, [1] * STEPS)
    assert stream_all(executor.stream(lookahead=7), x, [2, 7]).tobytes() == one.tobytes()
    assert one.tobytes() != whole(executor, x).tobytes()
    assert stream_all(executor.stream(lookahead=3 * STEPS), x, [4, 5]).tobytes() == whole(executor, x).tobytes()
    # Shares of 3, 2 and 2: the answer to a step knows of no step beyond its look-ahead.
    cut = executor.stream(lookahead=7)
    assert stream_all(cut, x[:8], [8])[:1].tobytes() == one[:1].tobytes()


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_tokens_stream(tied: bool, dtype: Any) -> None:
    network = Network.of(
        Embed(vocabulary_size=11, size=4),
        Recurrent(cell="lstm", input_size=4, hidden_size=6),
        Recurrent(cell="gru", input_size=6, hidden_size=4),
        Tied(vocabulary_size=11, size=4) if tied else Dense(in_features=4, out_features=11),
    )
    executor = Executor(network, weights_of(network))
    ids = np.array([3, 10, 0, 3], dtype)
    stream = executor.stream()
    got = np.stack([stream.step(int(token)) for token in ids])  # type: ignore[misc]
    assert got.tobytes() == executor.stream().push(ids).tobytes() == whole(executor, ids).tobytes()
    state = stream.state
    for bad in (11, -1, 2**40, -(2**40)):
        with pytest.raises(InputError, match="out of range; the vocabulary has 11 ids"):
            stream.step(bad)
        with pytest.raises(InputError, match="out of range; the vocabulary has 11 ids"):
            stream.push([2, bad])
    for unfit in (1.5, "a", None):
        with pytest.raises(InputError, match="token id"):
            stream.step(unfit)
    assert stream.state == state


def test_an_embedding_that_is_pooled_or_multiplied_at_once() -> None:
    for rest in ([Pool(modes=("mean",))], [Dense(in_features=4, out_features=2)]):
        network = Network.of(Embed(vocabulary_size=11, size=4), *rest)
        executor, ids = Executor(network, weights_of(network)), np.array([3, 10, 0, 3])
        assert executor.stream().push(ids).tobytes() == whole(executor, ids).tobytes()


def test_words_with_spellings_stream() -> None:
    spell = Spell(
        words=Embed(vocabulary_size=9, size=2),
        characters=(Embed(vocabulary_size=5, size=3), Recurrent(cell="gru", input_size=3, hidden_size=2),
                    Pool(modes=("last",))),
    )  # fmt: skip
    network = Network.of(spell, Recurrent(cell="lstm", input_size=4, hidden_size=3))
    executor = Executor(network, weights_of(network))
    words = Words(Ragged.from_list([[5, 6, 6]]), np.array([0, 1, 1]), Ragged.from_list([[1, 2], [3]]))
    want = executor(words)
    assert executor.stream().push(words).tobytes() == want.tobytes()
    stream = executor.stream()
    one = [Words(Ragged.from_list([[n]]), np.array([0]), Ragged.from_list([s])) for n, s in ((5, [1, 2]), (6, [3]))]
    assert [stream.step(word).tobytes() for word in one] == [row.tobytes() for row in want[:2]]  # type: ignore[union-attr]


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


def test_a_stream_that_ended_refuses_all_but_questions() -> None:
    network = features()
    stream = Stream(network, weights_of(network))
    stream.push(steps_of())
    assert stream.finish().shape == (0, 2)
    for what in (
        lambda: stream.step(steps_of()[0]), lambda: stream.push(steps_of()), stream.finish, stream.fork, stream.peek,
        lambda: stream.state,
    ):  # fmt: skip
        with pytest.raises(StreamEndedError, match="was finished after 9 steps"):
            what()
    stream.close()
    assert (stream.ended, stream.steps, repr(stream)) == (True, 9, "Stream(finished, 9 steps)")
    closed = Stream(network, weights_of(network))
    closed.close()
    closed.close()
    with pytest.raises(StreamEndedError, match="was closed after 0 steps"):
        closed.step(steps_of()[0])


def test_a_chunk_that_is_refused_is_refused_as_a_whole() -> None:
    network = features(bidirectional=True)
    stream = Stream(network, weights_of(network), lookahead=2)
    x = steps_of()
    stream.push(x[:4])
    state = stream.state
    spoiled = x[4:].copy()
    spoiled[2, 1] = np.nan
    with pytest.raises(InputError, match=r"row 2 of the chunk has nan as feature 1; .* as it was before"):
        stream.push(spoiled)
    for shape in ((2, 4), (3,), (2, 3, 1)):
        with pytest.raises(ShapeError, match="wanted here"):
            stream.push(np.zeros(shape))
    with pytest.raises(ShapeError, match="holds complex128"):
        stream.push(np.zeros((2, 3), complex))
    assert stream.state == state


def test_what_looks_ahead_must_say_how_far_and_nothing_else_may() -> None:
    both, one = features(bidirectional=True), features()
    with pytest.raises(
        InputError, match=r"also reads from the end.*Pass lookahead=K.*or train with bidirectional=False"
    ):
        Stream(both, weights_of(both))
    with pytest.raises(InputError, match=r"lookahead=3, but the network reads forwards"):
        Stream(one, weights_of(one), lookahead=3)
    for wrong in (-1, 1.5, True, "3", 2**16 + 1, 2**60):
        with pytest.raises(InputError, match="wanted a number of steps, from 0 to 65,536"):
            Stream(both, weights_of(both), lookahead=wrong)  # type: ignore[arg-type]
    segments = Network.of(
        Split(channels=2, size=3),
        Dense(in_features=3, out_features=4),
        Recurrent(cell="gru", input_size=4, hidden_size=4),
        Decode(steps=2, channels=2, size=4),
    )
    with pytest.raises(InputError, match=r"node 0 \(split\) reads a window as a whole"):
        Stream(segments, weights_of(segments))


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


def test_two_threads_do_not_step_one_stream() -> None:
    network = Network.of(Recurrent(cell="lstm", input_size=3, hidden_size=400))
    stream = Stream(network, weights_of(network), num_threads=1)
    chunk, refused, stop = np.zeros((400, 3), np.float32), [], threading.Event()

    def meddle() -> None:
        while not stop.is_set():
            try:
                stream.push(chunk[:1])
            except InputError as error:
                refused.append(str(error))
                return

    other = threading.Thread(target=meddle)
    other.start()
    while other.is_alive():
        try:
            stream.push(chunk)
        except InputError as error:
            refused.append(str(error))
            break
    stop.set()
    other.join()
    assert "another thread is stepping this stream" in refused[0]


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


@pytest.mark.parametrize("lookahead", [None, 3])
@pytest.mark.parametrize("modes", [None, MODES])
def test_a_step_leaves_no_memory_behind(lookahead: int | None, modes: Any) -> None:
    network = features(bidirectional=lookahead is not None, modes=modes)
    executor = Executor(network, weights_of(network))
    stream, x = executor.stream(lookahead=lookahead), steps_of()
    pool = StreamPool(executor, 4, lookahead=lookahead)
    for key in "abcd":
        pool.open(key)
    inputs, out = {key: x[index] for index, key in enumerate("abcd")}, np.empty(2, np.float32)

    def go(times: int) -> None:
        for _ in range(times):
            stream.step(x[0], out=out)
            pool.step(inputs)

    go(1000)
    gc.collect()
    tracemalloc.start()
    go(100)
    gc.collect()
    before, blocks = tracemalloc.get_traced_memory()[0], sys.getallocatedblocks()
    go(3000)
    gc.collect()
    after, then = tracemalloc.get_traced_memory()[0], sys.getallocatedblocks()
    tracemalloc.stop()
    assert after - before < 12_000, "numpy keeps some freed blocks; four bytes per step would be too much"
    assert then - blocks < 300


COUNTER = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
static volatile long calls;
long calls_so_far(void) { return calls; }
extern void *__libc_malloc(size_t);
extern void *__libc_memalign(size_t, size_t);
extern void *__libc_calloc(size_t, size_t);
void *malloc(size_t n) { ++calls; return __libc_malloc(n); }
void *calloc(size_t n, size_t m) { ++calls; return __libc_calloc(n, m); }
void *aligned_alloc(size_t a, size_t n) { ++calls; return __libc_memalign(a, n); }
int posix_memalign(void **p, size_t a, size_t n) { ++calls; *p = __libc_memalign(a, n); return 0; }
"""
COUNTED = """
import ctypes, sys
import numpy as np
sys.path.insert(0, {tests!r})
from runtime.test_stream import MODES, features, steps_of, weights_of
from tidegate.runtime import Executor

counter = ctypes.CDLL(None).calls_so_far
for lookahead, modes in ((None, None), (None, MODES), (3, None), (3, MODES)):
    network = features(bidirectional=lookahead is not None, modes=modes, num_layers=2)
    streams = Executor(network, weights_of(network)).stream(lookahead=lookahead)._streams
    x, out = steps_of()[0], np.empty(2, np.float32)
    for _ in range(20):
        streams.step(x, 0, out)
    begun = counter()
    assert np.zeros(10000).sum() == 0 and counter() > begun, "the counter counts nothing"
    begun = counter()
    for _ in range(1000):
        streams.step(x, 0, out)
    print(counter() - begun)
"""


@pytest.mark.skipif(sys.platform != "linux" or shutil.which("cc") is None, reason="counts calls of glibc's malloc")
def test_a_warm_step_asks_for_no_memory(tmp_path: Path) -> None:
    (tmp_path / "count.c").write_text(COUNTER)
    library = tmp_path / "count.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", str(tmp_path / "count.c"), "-o", str(library)], check=True)
    code = COUNTED.format(tests=str(Path(__file__).parents[1]))
    environment = {**os.environ, "LD_PRELOAD": str(library)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert [int(line) for line in done.stdout.split()] == [0, 0, 0, 0]
