"""Streams: law 3 to the bit, states that move between streams, and what is refused without losing the state."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import cases
from tidegate import kernels
from tidegate.errors import InputError, OptionError, ShapeError

STEPS = 7


def steps(case: cases.Case, B: int) -> Any:
    """Cut the input of B sequences of one length into [STEPS, B, C]."""
    return np.ascontiguousarray(case.x.reshape(B, STEPS, -1).swapaxes(0, 1))


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("cell", kernels.CELLS)
@pytest.mark.parametrize(("B", "C", "H"), [(1, 3, 5), (1, 16, 32), (3, 9, 49), (60, 4, 20)])
def test_steps_are_the_whole_sequence(cell: str, B: int, C: int, H: int, kind: type) -> None:
    case = cases.make(cell, [STEPS] * B, C, H, kind=kind, directions=1)
    whole = case.forward()
    before = kernels.active_isa()
    for isa in kernels.available_isas():
        kernels.use_isa(isa)
        stream = kernels.Stream(cell, case.directions[0], sequences=B)
        got = [stream.step(x) for x in steps(case, B)]
        np.testing.assert_array_equal(np.stack(got, axis=1).reshape(B * STEPS, H), whole.h)
        h, c = stream.state
        np.testing.assert_array_equal(h, whole.hn[0])
        if whole.cn is not None:
            assert c is not None
            np.testing.assert_array_equal(c, whole.cn[0])
    kernels.use_isa(before)


@pytest.mark.parametrize(("cell", "H"), [("rnn_tanh", 300), ("lstm", 200), ("gru", 210)])
@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_threads_that_share_a_step_give_the_same_bits(cell: str, H: int, threads: int) -> None:
    case = cases.make(cell, [STEPS], 150, H, kind=np.float64, directions=1)
    stream = kernels.Stream(cell, case.directions[0], num_threads=threads)
    got = np.concatenate([stream.step(x) for x in steps(case, 1)])
    np.testing.assert_array_equal(got, case.forward(num_threads=1).h)


@pytest.mark.parametrize("cell", kernels.CELLS)
def test_a_state_goes_on_in_another_stream(cell: str) -> None:
    case = cases.make(cell, [STEPS, STEPS], 3, 5, directions=1)
    xs = steps(case, 2)
    first = kernels.Stream(cell, case.directions[0], sequences=2)
    for x in xs[:3]:
        first.step(x)
    second = kernels.Stream(cell, replace(case.directions[0], h0=None, c0=None), sequences=2)
    second.state = first.state
    for x in xs[3:]:
        np.testing.assert_array_equal(first.step(x), second.step(x))


def test_the_weights_may_die_and_no_bias_is_a_zero_bias() -> None:
    case = cases.make("gru", [STEPS], 3, 5, directions=1, bias=False, states=False)
    weights = case.directions[0]
    stream = kernels.Stream("gru", kernels.Direction(weights.w_ih.copy(), weights.w_hh.copy()))
    got = np.concatenate([stream.step(x) for x in steps(case, 1)])
    np.testing.assert_array_equal(got, case.forward().h)


def test_strided_input_gives_the_bits_of_its_copy() -> None:
    case = cases.make("lstm", [STEPS], 6, 5, directions=1)
    wide = np.zeros((STEPS, 1, 12), np.float32)
    wide[:, :, ::2] = steps(case, 1)
    stream = kernels.Stream("lstm", case.directions[0])
    np.testing.assert_array_equal(np.concatenate([stream.step(x[:, ::2]) for x in wide]), case.forward().h)


@pytest.mark.parametrize(
    "x",
    [np.zeros((1, 4), np.float32), np.zeros((3, 1), np.float32), np.zeros(3, np.float32), np.zeros((1, 3), np.float64)],
)
def test_a_refused_step_leaves_the_state(x: Any) -> None:
    case = cases.make("lstm", [STEPS], 3, 5, directions=1)
    stream = kernels.Stream("lstm", case.directions[0])
    stream.step(steps(case, 1)[0])
    before = stream.state
    with pytest.raises(ShapeError, match="x"):
        stream.step(x)
    for a, b in zip(before, stream.state, strict=True):
        np.testing.assert_array_equal(a, b)


def test_what_a_stream_cannot_be() -> None:
    direction = cases.make("lstm", [STEPS], 3, 5, directions=1).directions[0]
    with pytest.raises(InputError, match="forwards"):
        kernels.Stream("lstm", replace(direction, reverse=True))
    with pytest.raises(OptionError, match="lsmt"):
        kernels.Stream("lsmt", direction)
    with pytest.raises(ShapeError, match="h0"):
        kernels.Stream("lstm", direction, sequences=2)
    stream = kernels.Stream("lstm", direction)
    h, c = stream.state
    for state in ((h, None), (h[:, :4], c), (h.astype(np.float64), c)):
        with pytest.raises(ShapeError):
            stream.state = state
    np.testing.assert_array_equal(stream.state[0], h)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("cell", kernels.CELLS)
@pytest.mark.parametrize("H", [5, 33, 210])
def test_a_step_with_a_token_gives_the_bits_of_a_step_with_its_row(cell: str, H: int, kind: Any) -> None:
    rng = np.random.default_rng(H)
    shapes = ((kernels.GATES[cell] * H, 7), (kernels.GATES[cell] * H, H), (kernels.GATES[cell] * H,))
    w_ih, w_hh, b_ih = (rng.normal(0, 0.3, shape).astype(kind) for shape in shapes)
    direction = kernels.Direction(w_ih, w_hh, b_ih, b_ih * kind(0.5))
    table = rng.normal(size=(40, 7)).astype(kind)
    ids = rng.integers(0, 40, 12)
    want = kernels.forward(cell, ids, np.array([0, 12]), [direction], table=table).h
    for threads in (1, 4):
        by_token = kernels.Stream(cell, direction, table=table, num_threads=threads)
        by_row = kernels.Stream(cell, direction, num_threads=threads)
        for step, token in enumerate(ids.tolist()):
            found = by_token.step_token(token)
            assert found.tobytes() == by_row.step(table[token : token + 1]).tobytes() == want[step].tobytes()


def test_a_token_without_a_row_is_refused_and_the_state_stays() -> None:
    direction = kernels.Direction(np.ones((2, 3)), np.ones((2, 2)))
    stream = kernels.Stream("rnn_relu", direction, table=np.ones((4, 3)))
    before = stream.step_token(3).copy()
    for token in (-1, 4):
        with pytest.raises(InputError, match=f"token id {token} is out of range"):
            stream.step_token(token)
    assert stream.state[0].tobytes() == before.tobytes()
    with pytest.raises(InputError, match="made without a table"):
        kernels.Stream("rnn_relu", direction).step_token(0)
    with pytest.raises(InputError, match="single sequence"):
        kernels.Stream("rnn_relu", direction, sequences=2, table=np.ones((4, 3)))
    with pytest.raises(ShapeError, match="table is"):
        kernels.Stream("rnn_relu", direction, table=np.ones((4, 2)))
