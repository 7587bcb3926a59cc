"""Laws 1, 2 and 3: the bits of a result do not know its batch, its threads, its instruction set or its chunks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cases
from tidegate import kernels
from tidegate.cells import CELLS

LENGTHS = [7, 0, 19, 1, 19, 4, 12, 3, 8, 2, 30, 5, 5, 11, 1, 6, 9, 10]


@pytest.fixture(autouse=True)
def _same_isa_afterwards() -> Iterator[None]:
    before = kernels.active_isa()
    yield
    kernels.use_isa(before)


def bits(case: cases.Case, *, num_threads: int | None = None) -> dict[str, bytes]:
    run = case.forward(num_threads=num_threads)
    arrays = cases.flat(run, case.backward(run, num_threads=num_threads))
    return {name: np.ascontiguousarray(array).tobytes() for name, array in arrays.items()}


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("cell", kernels.CELLS)
@pytest.mark.parametrize(("C", "H"), [(3, 5), (16, 32), (9, 49), (32, 100)])
def test_instruction_sets_and_threads_give_the_same_bits(cell: str, C: int, H: int, kind: type) -> None:
    case = cases.make(cell, LENGTHS, C, H, kind=kind, mask=True)
    want = bits(case, num_threads=1)
    for isa in kernels.available_isas():
        kernels.use_isa(isa)
        for threads in (1, 2, 5):
            assert bits(case, num_threads=threads) == want, (isa, threads)


@pytest.mark.parametrize(("cell", "H"), [("rnn_tanh", 400), ("rnn_relu", 400), ("lstm", 203), ("gru", 222)])
@pytest.mark.parametrize("lengths", [[6], [3, 0, 5, 4]])
def test_threads_that_share_the_hidden_units_of_a_sequence_give_the_same_bits(
    cell: str, H: int, lengths: list[int]
) -> None:
    """More weights than a core's cache keeps, and fewer rows than there are threads."""
    case = cases.make(cell, lengths, 5, H, kind=np.float64, mask=True)
    want = bits(case, num_threads=1)
    for isa in kernels.available_isas():
        kernels.use_isa(isa)
        for threads in (2, 3, 8):
            assert bits(case, num_threads=threads) == want, (isa, threads)


@pytest.mark.parametrize("cell", kernels.CELLS)
def test_long_sums_over_tokens_give_the_same_bits(cell: str) -> None:
    """Enough tokens that weight gradients are summed in several splits."""
    case = cases.make(cell, [40, 33] * 40, 20, 24)
    want = bits(case, num_threads=1)
    for isa in kernels.available_isas():
        kernels.use_isa(isa)
        assert bits(case, num_threads=4) == want, isa


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("cell", kernels.CELLS)
def test_a_long_run_that_is_cut_into_stretches_gives_the_bits_of_one_that_is_not(cell: str, kind: type) -> None:
    """A few sequences are short of work, and projected as a whole beforehand."""
    case = cases.make(cell, [(37 * b) % 101 for b in range(70)], 21, 50, kind=kind, mask=True)
    parts = [case.select([*range(b, b + 7)]).forward() for b in range(0, 70, 7)]
    for isa in kernels.available_isas()[-2:]:
        kernels.use_isa(isa)
        for threads in (1, 2):
            run = kernels.forward(cell, case.x, case.offsets, case.directions, num_threads=threads)
            np.testing.assert_array_equal(run.h, np.concatenate([part.h for part in parts]), isa)
            np.testing.assert_array_equal(run.hn, np.concatenate([part.hn for part in parts], axis=1), isa)
            if run.cn is not None:
                cn = [part.cn for part in parts if part.cn is not None]
                np.testing.assert_array_equal(run.cn, np.concatenate(cn, axis=1), isa)


@pytest.mark.parametrize(("C", "H"), [(40, 300), (300, 40)])
@pytest.mark.parametrize("cell", kernels.CELLS)
def test_sums_that_pause_between_stretches_of_the_weights_keep_their_bits(cell: str, C: int, H: int) -> None:
    """More weights than lie in the nearest cache, and one row after another against all rows at once."""
    case = cases.make(cell, [2] * 26, C, H)
    want = bits(case, num_threads=1)
    for isa in kernels.available_isas():
        kernels.use_isa(isa)
        assert bits(case, num_threads=2) == want, isa
    whole = case.forward()
    for b in (0, 7, 25):
        np.testing.assert_array_equal(case.select([b]).forward().h, whole.h[2 * b : 2 * b + 2])


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("cell", kernels.CELLS)
@pytest.mark.parametrize(
    ("B", "T", "by_step"), [(1, 9, True), (5, 1, True), (5, 7, False), (5, 7, True), (70, 80, True)]
)
def test_addresses_in_place_of_arrays_give_the_same_bits(
    cell: str, B: int, T: int, by_step: bool, kind: type[np.floating[Any]]
) -> None:
    case = cases.make(cell, [T] * B, 6, 19, kind=kind)
    want = case.forward()
    turn = (1, 0, 2) if by_step else (0, 1, 2)
    x = np.ascontiguousarray(case.x.reshape(B, T, 6).transpose(turn))
    h, ends = np.empty((B * T, 38), kind), [np.empty((2, B, 19), kind) for _ in range(1 + CELLS[cell].carries_c)]
    sides = [
        tuple(a.ctypes.data for a in (d.w_ih, d.w_hh, d.b_ih, d.b_hh, d.h0, d.c0) if a is not None)
        for d in case.directions
    ]
    kernels.forward_at(
        np.dtype(kind).name, cell, x.ctypes.data, (B, T, 6, 19), sides, tuple(a.ctypes.data for a in (h, *ends)),
        by_step=by_step, num_threads=2,
    )  # fmt: skip
    shape = (T, B, 38) if by_step else (B, T, 38)
    np.testing.assert_array_equal(h.reshape(shape).transpose(turn).reshape(B * T, 38), want.h)
    np.testing.assert_array_equal(ends[0], want.hn)
    if want.cn is not None:
        np.testing.assert_array_equal(ends[1], want.cn)


@pytest.mark.parametrize("cell", kernels.CELLS)
@pytest.mark.parametrize("H", [6, 32, 50])
def test_a_sequence_alone_is_the_sequence_in_any_batch(cell: str, H: int) -> None:
    case = cases.make(cell, LENGTHS, 7, H, mask=True)
    run = case.forward()
    gradients = case.backward(run)
    for b in range(len(LENGTHS)):
        alone = case.select([b])
        part = alone.forward()
        tokens = slice(case.offsets[b], case.offsets[b + 1])
        np.testing.assert_array_equal(part.h, run.h[tokens])
        np.testing.assert_array_equal(part.hn[:, 0], run.hn[:, b])
        part_gradients = alone.backward(part)
        assert gradients.dx is not None and part_gradients.dx is not None
        np.testing.assert_array_equal(part_gradients.dx, gradients.dx[tokens])
        np.testing.assert_array_equal(part_gradients.directions[1].h0[0], gradients.directions[1].h0[b])
        assert gradients.dh_steps is not None and part_gradients.dh_steps is not None
        np.testing.assert_array_equal(part_gradients.dh_steps, gradients.dh_steps[:, tokens])
        if CELLS[cell].carries_c:
            assert gradients.dc_steps is not None and part_gradients.dc_steps is not None
            np.testing.assert_array_equal(part_gradients.dc_steps, gradients.dc_steps[:, tokens])


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("cell", kernels.CELLS)
def test_keeping_the_gradients_of_the_steps_changes_no_other_bit(cell: str, kind: type) -> None:
    case = cases.make(cell, LENGTHS, 9, 49, kind=kind, mask=True)
    for isa in kernels.available_isas():
        kernels.use_isa(isa)
        run = case.forward()
        kept, plain = (cases.flat(run, case.backward(run, steps=steps)) for steps in (True, False))
        more = {"dh_steps", "dc_steps"} if CELLS[cell].carries_c else {"dh_steps"}
        assert kept.keys() - plain.keys() == more
        assert {name: kept[name].tobytes() for name in plain} == {name: plain[name].tobytes() for name in plain}, isa


@settings(max_examples=25, deadline=None)
@given(cell=st.sampled_from(kernels.CELLS), order=st.permutations(range(len(LENGTHS))), take=st.integers(1, 18))
def test_the_order_and_size_of_a_batch_do_not_matter(cell: str, order: list[int], take: int) -> None:
    case = cases.make(cell, LENGTHS, 4, 21)
    run, chosen = case.forward(), list(order)[:take]
    part = case.select(chosen).forward()
    np.testing.assert_array_equal(part.hn, run.hn[:, chosen])


@settings(max_examples=25, deadline=None)
@given(cell=st.sampled_from(kernels.CELLS), cuts=st.lists(st.integers(0, 23), max_size=5), kind=st.sampled_from("fd"))
def test_a_sequence_in_chunks_is_the_whole_sequence(cell: str, cuts: list[int], kind: str) -> None:
    case = cases.make(cell, [23], 6, 19, kind=np.dtype(kind).type, directions=1)
    whole = case.forward()
    direction, outputs = case.directions[0], []
    for begin, end in zip([0, *sorted(cuts)], [*sorted(cuts), 23], strict=True):
        run = kernels.forward(cell, case.x[begin:end], np.array([0, end - begin]), [direction], keep=True)
        outputs.append(run.h)
        direction = replace(direction, h0=run.hn[0], c0=None if run.cn is None else run.cn[0])
    np.testing.assert_array_equal(np.concatenate(outputs), whole.h)
    np.testing.assert_array_equal(direction.h0, whole.hn[0])


@pytest.mark.parametrize("cell", kernels.CELLS)
def test_single_steps_are_the_whole_sequence(cell: str) -> None:
    case = cases.make(cell, [9, 9, 9], 6, 19, directions=1)
    whole, x = case.forward(), case.x.reshape(3, 9, 6)
    direction = case.directions[0]
    for t in range(9):
        h, c = kernels.step(cell, np.ascontiguousarray(x[:, t]), direction)
        np.testing.assert_array_equal(h, whole.h.reshape(3, 9, 19)[:, t])
        direction = replace(direction, h0=h, c0=c)


@pytest.mark.parametrize("cell", kernels.CELLS)
def test_reverse_is_forward_over_the_turned_sequence(cell: str) -> None:
    case = cases.make(cell, [9], 6, 19, directions=1)
    turned = replace(case, ids=case.ids[::-1], directions=(replace(case.directions[0], reverse=True),))
    np.testing.assert_array_equal(turned.forward().h, case.forward().h[::-1])


def test_linear_pool_and_softmax_give_the_same_bits_everywhere() -> None:
    rng = np.random.default_rng(3)
    offsets = np.concatenate([[0], np.cumsum(LENGTHS)]).astype(np.int64)
    for kind in (np.float32, np.float64):
        x = rng.normal(size=(int(offsets[-1]), 37)).astype(kind)
        w, b = rng.normal(size=(21, 37)).astype(kind), rng.normal(size=21).astype(kind)

        def results(threads: int, x: cases.Array = x, w: cases.Array = w, b: cases.Array = b) -> tuple[bytes, ...]:
            y = kernels.linear(x, w, b, activation="tanh", num_threads=threads)
            pooled = kernels.pool(y, offsets, ["max", "mean"], num_threads=threads)
            return y.tobytes(), pooled.tobytes(), kernels.softmax(pooled, num_threads=threads).tobytes()

        want = results(1)
        for isa in kernels.available_isas():
            kernels.use_isa(isa)
            assert results(1) == want and results(3) == want, isa
        alone = [kernels.linear(x[i : i + 1], w, b, activation="tanh").tobytes() for i in range(len(x))]
        assert b"".join(alone) == want[0]
