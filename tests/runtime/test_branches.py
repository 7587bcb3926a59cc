"""Streams of networks that branch: any chunks give the whole, to the bit, where all branches allow it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from branches import BRANCHES, BRANCHES_THAT_DROP, WORDS, ended, layer
from streams import stream_all, weights_of
from tidegate import kernels
from tidegate.errors import InputError
from tidegate.network import Join, Network, Pool
from tidegate.ragged import Ragged
from tidegate.runtime import Executor, StreamPool

Array = npt.NDArray[Any]
STEPS = 11


def both_ways(name: str, merge: Any = "concat") -> tuple[Any, ...]:
    return layer(reads="words", bidirectional=True, merge=merge, name=name), layer(
        cell="gru", hidden_size=4, name="gru"
    )


# Branches that read forwards, and those that also read from the end, all alike or pooled.
FORWARD = {
    **{name: BRANCHES[name] for name in ("features and what a layer makes of them, every step", "tied by name")},
    "pooled branches": ended(
        WORDS,
        layer(),
        Pool(modes=("last", "mean"), name="deep"),
        layer(cell="gru", reads="words"),
        Pool(modes=("max", "first"), name="aside"),
        Pool(modes=("mean",), reads="words", name="bag"),
        Join(reads=("aside", "bag", "deep")),
        width=26,
    ),
}
BACK = {
    **{name: BRANCHES[name] for name in ("two branches over the words, and the words", "one output read by four")},
    **BRANCHES_THAT_DROP,
    "one layer pooled twice": BRANCHES["one layer pooled twice"],
    "two ways twice, every step": ended(
        WORDS,
        layer(bidirectional=True, name="lower"),
        layer(cell="gru", bidirectional=True, merge="sum", reads="words", name="aside"),
        Join(reads=("aside", "lower")),
        width=15,
    ),
    "two layers beside one of two": ended(
        WORDS,
        layer(bidirectional=True, merge="ave"),
        layer(cell="gru", input_size=5, bidirectional=True, name="upper"),
        layer(bidirectional=True, reads="words", num_layers=2, name="aside"),
        Join(reads=("aside", "upper")),
        width=20,
    ),
}


def drawn(network: Network, kind: Any = np.float32, steps: int = STEPS) -> Array:
    rng = np.random.default_rng(1)
    return rng.integers(0, 40, steps) if network.reads_tokens else rng.standard_normal((steps, 6)).astype(kind)


def whole(executor: Executor, x: Array) -> Array:
    return executor(Ragged(x, np.array([0, len(x)])))


@pytest.fixture
def isas() -> Iterator[Any]:
    before = kernels.active_isa()
    yield map(kernels.use_isa, kernels.available_isas())
    kernels.use_isa(before)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("name", FORWARD)
def test_any_chunks_give_the_whole_sequence(name: str, kind: Any, isas: Any) -> None:
    network = FORWARD[name]
    executor = Executor(network, weights_of(network, kind))
    x = drawn(network, kind)
    for _ in isas:
        if network.pools:
            stream = executor.stream()
            said = [stream.step(each) for each in x]
            wanted = [whole(executor, x[: end + 1])[0] for end in range(STEPS)]
            assert np.array(said).tobytes() == np.array(wanted).tobytes()
            continue
        for chunks in ([1] * STEPS, [STEPS], [4, 0, 1, 6]):
            assert stream_all(executor.stream(), x, chunks).tobytes() == whole(executor, x).tobytes()


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("name", BACK)
def test_branches_that_read_from_the_end_give_the_whole_where_all_is_known(name: str, kind: Any) -> None:
    network = BACK[name]
    executor, x = Executor(network, weights_of(network, kind)), drawn(network, kind)
    stream = executor.stream(lookahead=4 * STEPS)
    for begin in range(0, STEPS, 3):
        stream.push(x[begin : begin + 3])
    assert stream.finish().tobytes() == whole(executor, x).tobytes()


@pytest.mark.parametrize("name", [name for name, network in BACK.items() if not network.pools])
@pytest.mark.parametrize("ahead", [0, 1, 3, 6])
def test_chunks_change_nothing_of_what_looks_ahead(name: str, ahead: int) -> None:
    network = BACK[name]
    executor, x = Executor(network, weights_of(network)), drawn(network, steps=80)
    found = [stream_all(executor.stream(lookahead=ahead), x, chunks) for chunks in ([1] * 80, [80], [5, 0, 1, 70, 4])]
    assert len({rows.tobytes() for rows in found}) == 1
    assert found[0].shape == (80, 3)
    waiting = executor.stream(lookahead=ahead)
    assert len(waiting.push(x[:10])) == 10 - ahead


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("name", [name for name, network in FORWARD.items() if not network.pools])
def test_pieces_that_pass_their_states_on_are_the_whole(name: str, kind: Any) -> None:
    network = FORWARD[name]
    executor, x = Executor(network, weights_of(network, kind)), drawn(network, kind)
    states: dict[str, Array] = {}
    found = []
    for cut in (slice(0, 4), slice(4, 5), slice(5, STEPS)):
        rows, states = executor.run(Ragged(x[cut], np.array([0, len(x[cut])])), states)
        found.append(rows)
    assert np.concatenate(found).tobytes() == whole(executor, x).tobytes()


def test_a_pool_of_streams_takes_each_on_as_if_it_were_alone() -> None:
    network = FORWARD["pooled branches"]
    executor, x = Executor(network, weights_of(network)), drawn(network, steps=30)
    pool = StreamPool(executor, 3)
    names = [pool.open(name) for name in "abc"]
    pool.push({"a": x[:7], "b": x[7:9]})
    said = pool.push({"a": x[9:12], "c": x[12:30]})
    assert names == ["a", "b", "c"]
    assert said["a"].tobytes() == whole(executor, np.concatenate([x[:7], x[9:12]]))[0].tobytes()
    assert said["c"].tobytes() == whole(executor, x[12:30])[0].tobytes()
    assert pool.finish("b").tobytes() == whole(executor, x[7:9])[0].tobytes()


def test_steps_that_come_at_different_times_are_refused_by_name() -> None:
    network = ended(WORDS, layer(bidirectional=True, name="deep"), Join(reads=("deep", "words")), width=16)
    executor = Executor(network, weights_of(network))
    with pytest.raises(InputError, match=r"node 2 \(join\) joins outputs that wait .* 'deep' 4, 'words' 0"):
        executor.stream(lookahead=4)
    with pytest.raises(InputError, match="Pass lookahead=K"):
        executor.stream()
    x = drawn(network)
    assert stream_all(executor.stream(lookahead=0), x, [STEPS]).shape == (STEPS, 3)
