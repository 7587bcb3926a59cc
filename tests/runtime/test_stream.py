"""Streams of networks: any chunks give the whole, to the bit; states travel; what is refused changes nothing."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import sys
import threading
import tracemalloc
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from streams import MODES, STEPS, features, steps_of, stream_all, weights_of, whole
from tidegate import kernels
from tidegate.errors import InputError, ShapeError, StreamEndedError
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
from streams import MODES, features, steps_of, weights_of
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
