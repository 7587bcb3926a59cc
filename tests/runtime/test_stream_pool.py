"""Pools of streams: each as if it were alone, to the bit; full pools, unknown keys and bad steps are told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from streams import MODES, features, steps_of, weights_of
from tidegate import kernels
from tidegate.errors import InputError, ShapeError, StateError
from tidegate.network import Embed, Network, Recurrent
from tidegate.runtime import Executor, Stream, StreamPool


def executor_of(**options: Any) -> Executor:
    network = features(**options)
    return Executor(network, weights_of(network))


@pytest.mark.parametrize("cell", kernels.CELLS)
@pytest.mark.parametrize("options", [{}, {"modes": MODES}])
@pytest.mark.parametrize("lookahead", [None, 2])
def test_each_stream_of_a_pool_is_as_if_alone(cell: str, options: Any, lookahead: int | None) -> None:
    executor = executor_of(cell=cell, bidirectional=lookahead is not None, num_layers=2, **options)
    rng = np.random.default_rng(2)
    pool = StreamPool(executor, 30, lookahead=lookahead)
    alone: dict[int, Stream] = {}
    before = kernels.active_isa()
    for isa in kernels.available_isas():
        kernels.use_isa(isa)
        for _ in range(25):
            for key in rng.choice(60, 3, replace=False).tolist():
                if key in pool:
                    assert pool.finish(key).tobytes() == alone.pop(key).finish().tobytes()
                elif len(pool) < 30:
                    pool.open(key)
                    alone[key] = executor.stream(lookahead=lookahead)
            inputs = {key: rng.normal(size=3) for key in alone if rng.random() < 0.6}
            for key, got in pool.step(inputs).items():
                want = alone[key].step(inputs[key])
                assert (got is None) == (want is None)
                assert got is None or want is None or got.tobytes() == want.tobytes()
            chunks = {key: rng.normal(size=(rng.integers(0, 5), 3)) for key in alone if rng.random() < 0.3}
            for key, got in pool.push(chunks).items():
                assert got.tobytes() == alone[key].push(chunks[key]).tobytes()
    kernels.use_isa(before)
    assert {key: pool.steps(key) for key in pool} == {key: stream.steps for key, stream in alone.items()}


@pytest.mark.parametrize("threads", [1, 4])
def test_arrays_of_slots_step_as_keys_do(threads: int) -> None:
    network = features(modes=MODES)
    executor = Executor(network, weights_of(network), num_threads=threads)
    by_key, by_slot = StreamPool(executor, 100), StreamPool(executor, 100)
    for key in range(100):
        by_key.open(key)
        by_slot.open(key)
    rng = np.random.default_rng(4)
    for _ in range(5):
        slots = rng.permutation(100)[:77]
        x = rng.normal(size=(77, 3)).astype(np.float32)
        out = np.empty((77, 2), np.float32)
        got = by_slot.step_slots(slots, x, out=out)
        assert got is out
        want = by_key.step({int(slot): row for slot, row in zip(slots, x, strict=True)})
        assert got.tobytes() == b"".join(row.tobytes() for row in want.values() if row is not None)


def test_a_state_moves_between_pool_and_stream() -> None:
    executor, x = executor_of(bidirectional=True), steps_of()
    pool, stream = StreamPool(executor, 2, lookahead=3), executor.stream(lookahead=3)
    stream.push(x[:5])
    pool.open("a", state=stream.state)
    pool.open("b", state=pool.state("a"))
    want = stream.push(x[5:]).tobytes()
    assert {key: rows.tobytes() for key, rows in pool.push({"a": x[5:], "b": x[5:]}).items()} == {"a": want, "b": want}
    assert executor.stream(lookahead=3, state=pool.state("b")).state == stream.state
    pool.close("b")
    with pytest.raises(StateError, match="truncated"):
        pool.open("c", state=b"")
    assert "c" not in pool
    pool.open("c")
    assert pool.steps("c") == 0


def test_a_full_pool_and_keys_that_are_not_open_are_told() -> None:
    pool, x = StreamPool(executor_of(), 2), steps_of()
    assert (pool.open(), pool.open("b"), len(pool), list(pool)) == (0, "b", 2, [0, "b"])
    assert repr(pool) == "StreamPool(2 of 2 open)"
    with pytest.raises(InputError, match=r"pool is full: 2 streams are open. Close one"):
        pool.open("c")
    with pytest.raises(InputError, match="'b' is open already"):
        pool.open("b")
    for what in (pool.close, pool.finish, pool.state, pool.steps, pool.slot, lambda key: pool.step({key: x[0]})):
        with pytest.raises(InputError, match="no stream 'c' is open here; 2 are"):
            what("c")
    pool.close(0)
    pool.open(1)
    pool.close("b")
    with pytest.raises(InputError, match="slot 1 is free, but its number is the key of another stream"):
        pool.open()
    with pytest.raises(InputError, match="slot 1 is not open"):
        pool.step_slots([0, 1], x[:2])
    with pytest.raises(InputError, match="slot 5 is not open; 1 of 2 are"):
        pool.step_slots([5], x[:1])
    with pytest.raises(InputError, match="slots must differ and lie between 0 and 1"):
        pool.step_slots([-1], x[:1])
    with pytest.raises(ShapeError, match="2 steps came for slots"):
        pool.step_slots([0], x[:2])
    with pytest.raises(ShapeError, match="slots are float64; wanted whole numbers"):
        pool.step_slots([0.7], x[:1])
    for capacity in (0, 2.5, True, 2**62):
        with pytest.raises(InputError, match=rf"capacity={capacity}; wanted the number of sequences"):
            StreamPool(executor_of(), capacity)  # type: ignore[arg-type]
    assert (pool.step({}), pool.push({})) == ({}, {})


def test_one_bad_step_stops_all_and_changes_none() -> None:
    pool, x = StreamPool(executor_of(), 3), steps_of()
    for key in "abc":
        pool.open(key)
    pool.step({"a": x[0], "b": x[1], "c": x[2]})
    states = [pool.state(key) for key in "abc"]
    with pytest.raises(InputError, match=r"stream 'b': .* nan"):
        pool.step({"a": x[3], "b": [1.0, np.nan, 0.0], "c": x[4]})
    with pytest.raises(ShapeError, match="wanted here"):
        pool.step({"a": x[3], "b": [1.0]})
    with pytest.raises(InputError, match="slots must differ"):
        pool.step_slots([0, 0], x[:2])
    assert [pool.state(key) for key in "abc"] == states
    network = Network.of(Embed(vocabulary_size=4, size=2), Recurrent(cell="gru", input_size=2, hidden_size=2))
    tokens = StreamPool(Executor(network, weights_of(network)), 2)
    tokens.open("a")
    tokens.open("b")
    with pytest.raises(InputError, match="stream 'b': token id 4 is out of range"):
        tokens.step({"a": 1, "b": 4})


def test_rows_that_may_not_be_due_are_stepped_by_key() -> None:
    pool = StreamPool(executor_of(bidirectional=True), 1, lookahead=1)
    pool.open()
    with pytest.raises(InputError, match="Step it by key"):
        pool.step_slots([0], steps_of()[:1])
