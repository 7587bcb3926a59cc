"""Kernels against the float64 reference: forward and gradients of every cell, shape, option and number type."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cases
import reference
from tidegate import kernels
from tidegate.cells import CELLS

SIZES = [(1, 1), (3, 2), (8, 15), (16, 16), (17, 31), (5, 33), (20, 64), (33, 65), (7, 127), (65, 130)]
# Relative to the largest entry of each array: rounding grows with the length of the sums, not with their number.
BOUND: dict[type, float] = {np.float32: 3e-5, np.float64: 5e-14}


def assert_close(case: cases.Case, bound: float) -> None:
    run = case.forward()
    got, want = cases.flat(run, case.backward(run)), cases.expected(case)
    assert got.keys() == want.keys()
    for name, array in want.items():
        scale = max(1.0, float(np.abs(array).max(initial=0)))
        np.testing.assert_allclose(got[name], array, rtol=0, atol=bound * scale, err_msg=name)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("cell", kernels.CELLS)
@pytest.mark.parametrize(("C", "H"), SIZES)
def test_cells_match_the_reference(cell: str, C: int, H: int, kind: type) -> None:
    assert_close(cases.make(cell, [4, 0, 9, 1, 9, 2, 6, 5], C, H, kind=kind), BOUND[kind])


@pytest.mark.parametrize("cell", kernels.CELLS)
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("states", [False, True])
@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize("directions", [1, 2])
def test_every_combination_of_options_matches_the_reference(
    cell: str, bias: bool, states: bool, mask: bool, directions: int
) -> None:
    case = cases.make(
        cell, [3, 7, 0, 1, 5], 6, 18, kind=np.float64, bias=bias, states=states, mask=mask, directions=directions
    )
    assert_close(case, BOUND[np.float64])


@pytest.mark.parametrize("cell", kernels.CELLS)
def test_a_long_sequence_and_a_wide_batch_match_the_reference(cell: str) -> None:
    assert_close(cases.make(cell, [300, 0, 1, 257], 5, 12, kind=np.float64), 1e-12)
    assert_close(cases.make(cell, [3, 1, 2, 0, 4] * 26, 4, 9, kind=np.float64), 1e-12)


@settings(max_examples=40, deadline=None)
@given(
    cell=st.sampled_from(kernels.CELLS),
    lengths=st.lists(st.integers(0, 12), max_size=9),
    C=st.integers(1, 35),
    H=st.integers(1, 35),
    kind=st.sampled_from([np.float32, np.float64]),
    mask=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_any_shape_matches_the_reference(
    cell: str, lengths: list[int], C: int, H: int, kind: type, mask: bool, seed: int
) -> None:
    assert_close(cases.make(cell, lengths, C, H, kind=kind, mask=mask, seed=seed), BOUND[kind])


@pytest.mark.parametrize("cell", kernels.CELLS)
def test_token_ids_give_the_bits_of_their_dense_rows(cell: str) -> None:
    case = cases.make(cell, [4, 0, 9, 3], 10, 20)
    dense = case.forward()
    for ids in (case.ids.astype(np.int32), case.ids.astype(np.int64)):
        run = kernels.forward(cell, ids, case.offsets, case.directions, table=case.table, keep=True)
        np.testing.assert_array_equal(run.h, dense.h)
        np.testing.assert_array_equal(run.hn, dense.hn)


@pytest.mark.parametrize("cell", kernels.CELLS)
def test_gradient_of_a_table_sums_over_the_places_of_a_token(cell: str) -> None:
    case = cases.make(cell, [4, 0, 9, 3], 10, 20, kind=np.float64)
    got = kernels.backward(
        cell, case.ids, case.offsets, case.directions, case.forward(), case.dh,
        dhn=case.dhn, dcn=case.dcn, table=case.table,
    )  # fmt: skip
    want = cases.expected(case)
    table = np.zeros_like(case.table)
    np.add.at(table, case.ids, want["dx"])
    assert got.dx is not None
    np.testing.assert_allclose(got.dx, table, atol=1e-13)
    unused = np.setdiff1d(np.arange(len(case.table)), case.ids)
    assert not got.dx[unused].any()
    for d, direction in enumerate(got.directions):
        np.testing.assert_allclose(direction.w_ih, want[f"w_ih.{d}"], atol=1e-13)
        np.testing.assert_allclose(direction.b_ih, want[f"b_ih.{d}"], atol=1e-13)


@pytest.mark.parametrize("cell", kernels.CELLS)
def test_the_reference_gradient_is_the_slope_of_the_reference(cell: str) -> None:
    """Prove the yardstick itself, by central differences of a scalar loss."""
    case = cases.make(cell, [5], 3, 4, kind=np.float64, directions=1, mask=True)
    direction = case.directions[0]
    w = reference.Weights(direction.w_ih, direction.w_hh, direction.b_ih, direction.b_hh)  # type: ignore[arg-type]
    x, h0 = case.x.copy(), direction.h0[0].copy()  # type: ignore[index]
    c0 = np.zeros(4) if direction.c0 is None else direction.c0[0].copy()
    dcn = np.zeros(4) if case.dcn is None else case.dcn[0, 0]

    def run() -> reference.Run:
        return reference.forward(cell, x, w, h0, c0, direction.mask[0])  # type: ignore[index]

    def loss() -> float:
        out = run()
        return float((out.h * case.dh).sum() + out.hn @ case.dhn[0, 0] + out.cn @ dcn)

    g = reference.backward(cell, x, w, run(), case.dh, case.dhn[0, 0], dcn)
    pairs = [(x, g.x), (h0, g.h0), *zip(vars(w).values(), vars(g.weights).values(), strict=True)]
    if CELLS[cell].carries_c:
        pairs.append((c0, g.c0))
    for array, gradient in pairs:
        for at in np.ndindex(array.shape):
            kept, epsilon = array[at], 1e-6
            array[at] = kept + epsilon
            above = loss()
            array[at] = kept - epsilon
            below = loss()
            array[at] = kept
            assert gradient[at] == pytest.approx((above - below) / (2 * epsilon), abs=1e-7)


def test_two_steps_of_an_lstm_by_hand() -> None:
    """All weights zero but the input's: gates are sigmoid and tanh of the input, written out."""
    w_ih = np.array([[1.0], [2.0], [3.0], [4.0]])
    run = kernels.forward(
        "lstm", np.array([[0.5], [-0.25]]), np.array([0, 2]), [kernels.Direction(w_ih, np.zeros((4, 1)))], keep=True
    )
    first = (0.6224593312018546, 0.7310585786300049, 0.9051482536448664, 0.8807970779778823)
    second = (0.43782349911420193, 0.3775406687981454, -0.6351489523872873, 0.2689414213699951)
    assert run.gates is not None and run.memo is not None
    np.testing.assert_allclose(run.gates[0], [first, second], rtol=1e-14)
    c1 = first[0] * first[2]
    c2 = second[1] * c1 + second[0] * second[2]
    np.testing.assert_allclose(run.memo[0].ravel(), [c1, c2], rtol=1e-14)
    np.testing.assert_allclose(run.h.ravel(), [first[3] * np.tanh(c1), second[3] * np.tanh(c2)], rtol=1e-14)


def test_linear_matches_float64_and_keeps_its_order_of_sums() -> None:
    rng = np.random.default_rng(0)
    for N, K, M in [(0, 3, 4), (1, 1, 1), (7, 5, 16), (13, 33, 65), (200, 20, 3)]:
        x, w, b = (rng.normal(size=s).astype(np.float32) for s in ((N, K), (M, K), (M,)))
        want = x.astype(np.float64) @ w.T.astype(np.float64) + b
        np.testing.assert_allclose(kernels.linear(x, w, b), want, rtol=0, atol=1e-5)
        np.testing.assert_allclose(kernels.linear(x, w, b, activation="relu"), np.maximum(want, 0), rtol=0, atol=1e-5)
        chain = np.zeros((N, M))
        for k in range(K):
            chain = chain + np.outer(x[:, k], w[:, k]).astype(np.float64)
        np.testing.assert_allclose(kernels.linear(x, w), chain, rtol=0, atol=1e-5)


@pytest.mark.parametrize("modes", [["last"], ["first"], ["max"], ["mean"], ["max", "mean"], ["last", "max", "first"]])
def test_pool_by_hand_and_its_gradient(modes: list[str]) -> None:
    h = np.array([[1.0, -1.0], [3.0, -2.0], [2.0, -1.0], [7.0, 8.0]])
    offsets = np.array([0, 3, 3, 4])
    by_mode = {
        "last": [[2, -1], [0, 0], [7, 8]],
        "first": [[1, -1], [0, 0], [7, 8]],
        "max": [[3, -1], [0, 0], [7, 8]],
        "mean": [[2, -4 / 3], [0, 0], [7, 8]],
    }
    np.testing.assert_allclose(kernels.pool(h, offsets, modes), np.concatenate([by_mode[m] for m in modes], axis=1))
    slope = {
        "last": [[0, 0], [0, 0], [1, 2], [5, 6]],
        "first": [[1, 2], [0, 0], [0, 0], [5, 6]],
        "max": [[0, 2], [1, 0], [0, 0], [5, 6]],  # the first of two equal maxima
        "mean": [[1 / 3, 2 / 3]] * 3 + [[5, 6]],
    }
    dpooled = np.tile(np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), len(modes))
    want = np.sum([np.array(slope[m]) for m in modes], axis=0)
    np.testing.assert_allclose(kernels.pool_backward(dpooled, h, offsets, modes), want)


def test_softmax_matches_float64_and_survives_large_entries() -> None:
    x = np.array([[1.0, 2.0, 3.0], [1000.0, 1000.0, -1000.0], [0.0, -200.0, -90.0]], np.float32)
    shifted = np.exp(x.astype(np.float64) - x.max(1, keepdims=True))
    want = shifted / shifted.sum(1, keepdims=True)
    np.testing.assert_allclose(kernels.softmax(x), want, rtol=3e-7, atol=1.2e-38)
