"""Cells of grids against the float64 reference, and the laws of their symmetries."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import grids
import reference
from tidegate import errors, kernels
from tidegate.cells import GRID_CELLS

RAGGED = [(3, 5), (0, 4), (1, 1), (7, 2), (4, 0), (1, 9), (8, 1), (6, 6)]
BOUND: dict[type, float] = {np.float32: 3e-5, np.float64: 5e-14}


def assert_close(images: grids.Images, bound: float) -> None:
    got, want = images.run(), images.expected()
    for name, array in want.items():
        scale = max(1.0, float(np.abs(array).max(initial=0)))
        np.testing.assert_allclose(got[name], array, rtol=0, atol=bound * scale, err_msg=name)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("cell", GRID_CELLS)
@pytest.mark.parametrize(("C", "H"), [(1, 1), (3, 2), (8, 15), (16, 16), (17, 31), (5, 33), (20, 64), (7, 107)])
def test_cells_match_the_reference(cell: str, C: int, H: int, kind: type) -> None:
    assert_close(grids.make(cell, RAGGED, C, H, kind=kind), BOUND[kind])


@pytest.mark.parametrize("cell", GRID_CELLS)
@pytest.mark.parametrize("directions", [1, 2, 4])
def test_every_number_of_directions_matches_the_reference(cell: str, directions: int) -> None:
    assert_close(grids.make(cell, RAGGED, 4, 9, kind=np.float64, directions=directions), BOUND[np.float64])


@settings(max_examples=25, deadline=None)
@given(
    cell=st.sampled_from(list(GRID_CELLS)),
    sizes=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=7),
    C=st.integers(1, 20),
    H=st.integers(1, 35),
    kind=st.sampled_from([np.float32, np.float64]),
    directions=st.sampled_from([1, 2, 4]),
    seed=st.integers(0, 1000),
)
def test_any_shape_matches_the_reference(
    cell: str, sizes: list[tuple[int, int]], C: int, H: int, kind: type, directions: int, seed: int
) -> None:
    assert_close(grids.make(cell, sizes, C, H, kind=kind, directions=directions, seed=seed), BOUND[kind])


@pytest.mark.parametrize("cell", GRID_CELLS)
def test_waves_of_more_cells_than_a_tile_match_the_reference(cell: str) -> None:
    assert_close(grids.make(cell, [(60, 70), (3, 80), (2, 2)], 2, 5, kind=np.float64, directions=2), 1e-12)


@pytest.mark.parametrize("cell", GRID_CELLS)
def test_the_reference_gradient_is_the_slope_of_the_reference(cell: str) -> None:
    """Prove the yardstick itself, by central differences of a scalar loss."""
    images = grids.make(cell, [(3, 4)], 2, 3, kind=np.float64, directions=1)
    image, w, dh = images.x.reshape(3, 4, 2), images.weights()[0], images.dh.reshape(3, 4, 3)

    def loss() -> float:
        return float((reference.grid_forward(cell, image, w, True, False)["h"] * dh).sum())

    run = reference.grid_forward(cell, image, w, True, False)
    dx, d = reference.grid_backward(cell, image, w, run, dh, True, False)
    for values, gradient in [(image, dx), *zip(vars(w).values(), vars(d).values(), strict=True)]:
        for index in np.ndindex(values.shape):
            kept = values[index]
            values[index] = kept + 1e-6
            above = loss()
            values[index] = kept - 1e-6
            below = loss()
            values[index] = kept
            assert (above - below) / 2e-6 == pytest.approx(gradient[index], rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("cell", GRID_CELLS)
def test_a_state_that_grew_past_every_bound_is_held_and_its_gradient_ends_there(cell: str) -> None:
    """All gates open: the one cell doubles from wave to wave, the other grows by one at most."""
    images = grids.make(cell, [(12, 12)], 1, 3, kind=np.float64, directions=1)
    parameters = np.zeros_like(images.parameters)
    parameters[-15:] = 6.0
    images = replace(images, parameters=parameters)
    run = reference.grid_forward(cell, images.x.reshape(12, 12, 1), images.weights()[0], False, False)
    assert run["c"].max() == 50 if cell == "mdlstm" else 11 < run["c"].max() < 23
    assert_close(images, BOUND[np.float64])


@pytest.mark.parametrize("cell", GRID_CELLS)
def test_a_picture_and_its_mirror_image_give_mirrored_outputs(cell: str) -> None:
    """Flip = direction: what comes from the top right reads the mirrored image from the top left, to the bit."""
    both = grids.make(cell, [(4, 7)], 3, 10, directions=4)
    count = len(both.parameters) // 4
    for d, flip in enumerate([(), (1,), (0,), (0, 1)]):
        part = both.parameters[d * count : (d + 1) * count]
        x = np.flip(both.x.reshape(4, 7, 3), flip).reshape(28, 3)
        alone = kernels.grid_forward(cell, x.copy(), both.sizes, part, hidden_size=10, directions=1).h
        want = np.flip(alone.reshape(4, 7, 10), flip).reshape(28, 10)
        np.testing.assert_array_equal(both.run()["h"][:, d * 10 : (d + 1) * 10], want)


def test_a_turned_picture_with_the_matrices_of_the_axes_exchanged_gives_the_turned_output() -> None:
    """Transpose symmetry: of `mdlstm`, the rows of its two forget gates change places as well."""
    images = grids.make("mdlstm", [(4, 6)], 3, 8, kind=np.float64, directions=1)
    w = images.weights()[0]
    order = np.concatenate([np.arange(8), np.arange(16, 24), np.arange(8, 16), np.arange(24, 40)])
    turned = replace(
        images,
        x=images.x.reshape(4, 6, 3).transpose(1, 0, 2).reshape(24, 3).copy(),
        sizes=np.array([[6, 4]]),
        parameters=np.concatenate([w.w_ih[order].ravel(), w.w_y[order].ravel(), w.w_x[order].ravel(), w.bias[order]]),
    )
    want = images.run()["h"].reshape(4, 6, 8).transpose(1, 0, 2).reshape(24, 8)
    np.testing.assert_allclose(turned.run()["h"], want, atol=1e-14)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("cell", GRID_CELLS)
@pytest.mark.parametrize("upright", [False, True])
def test_an_image_of_one_row_is_a_sequence_to_the_bit(cell: str, upright: bool, kind: type) -> None:
    """The LSTM, whose forget gate is that of the row; of the stable cell all the weight lies on the row."""
    rng = np.random.default_rng(3)
    C, H, T = 5, 21, 13
    w_ih, w_hh, bias = (rng.standard_normal(s).astype(kind) * kind(0.3) for s in ((4 * H, C), (4 * H, H), (4 * H,)))
    x: Any = rng.standard_normal((T, C)).astype(kind)
    dh: Any = rng.standard_normal((T, H)).astype(kind)
    offsets = np.array([0, T])
    direction = kernels.Direction(w_ih, w_hh, bias)
    line = kernels.forward("lstm", x, offsets, [direction], keep=True)
    back = kernels.backward("lstm", x, offsets, [direction], line, dh)

    def wide(array: Any, filling: float = 0) -> Any:
        """Put a gate between the forget gate and the candidate, or before that gate where the row is a column."""
        i, f, g, o = np.split(array, 4)
        other = np.full_like(f, filling)
        pair = (other, f) if upright and cell == "mdlstm" else (f, other)
        return np.concatenate([i, *pair, g, o])

    along = wide(w_hh)
    across = np.zeros_like(along)
    weight = (-1e4 if upright else 1e4) if cell == "stable" else 0
    pair = (across, along) if upright else (along, across)
    parameters: Any = np.concatenate([wide(w_ih).ravel(), pair[0].ravel(), pair[1].ravel(), wide(bias, weight)]).astype(
        kind
    )
    sizes = np.array([[T, 1] if upright else [1, T]])
    run = kernels.grid_forward(cell, x, sizes, parameters, hidden_size=H, directions=1, keep=True)
    np.testing.assert_array_equal(run.h, line.h)
    dx, gradient = kernels.grid_backward(cell, x, sizes, parameters, run, dh)
    assert dx is not None and back.dx is not None
    np.testing.assert_allclose(dx, back.dx, rtol=0, atol=1e-6 if kind is np.float32 else 1e-14)
    first = 5 * H * C + (5 * H * H if upright else 0)
    d_along = gradient[first : first + 5 * H * H].reshape(5, H, H)
    kept = [0, 2, 3, 4] if upright and cell == "mdlstm" else [0, 1, 3, 4]
    got, want = d_along[kept].reshape(4 * H, H), back.directions[0].w_hh
    if upright:  # what comes back of a cell state from below is added, not fused
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-6 if kind is np.float32 else 1e-14)
    else:
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("cell", GRID_CELLS)
def test_beyond_the_border_all_is_zero(cell: str) -> None:
    """The first cell of an image knows nothing but itself: what the matrices of the neighbours hold has no effect."""
    images = grids.make(cell, [(1, 1), (1, 1)], 3, 6, kind=np.float64, directions=4)
    parameters = images.parameters.reshape(4, -1).copy()
    parameters[:, 5 * 6 * 3 : -5 * 6] = 1e6
    changed = replace(images, parameters=parameters.ravel()).run()
    want = images.run()
    np.testing.assert_array_equal(changed["h"], want["h"])
    np.testing.assert_array_equal(changed["dx"], want["dx"])
    assert not want["gradient"].reshape(4, -1)[:, 5 * 6 * 3 : -5 * 6].any()


@pytest.mark.parametrize("cell", GRID_CELLS)
def test_no_images_and_images_without_cells_give_nothing(cell: str) -> None:
    for sizes in ([], [(0, 3)], [(2, 0), (0, 0)]):
        run = grids.make(cell, sizes, 3, 4).run()
        assert run["h"].shape == (0, 16) and run["dx"].shape == (0, 3)
        assert not run["gradient"].any()


@pytest.mark.parametrize("cell", GRID_CELLS)
def test_a_run_whose_gates_were_not_kept_gives_the_same_bits_there_and_back(cell: str) -> None:
    images = grids.make(cell, [*RAGGED, (40, 60)], 5, 20)
    given = cell, images.x, images.sizes, images.parameters
    run = kernels.grid_forward(*given, hidden_size=20, directions=4)
    want = images.run()
    np.testing.assert_array_equal(run.h, want["h"])
    dx, gradient = kernels.grid_backward(*given, run, images.dh)
    np.testing.assert_array_equal(dx, want["dx"])
    np.testing.assert_allclose(gradient, want["gradient"], atol=1e-5 * np.abs(want["gradient"]).max())


def test_a_run_can_be_gone_back_through_again() -> None:
    images = grids.make("mdlstm", RAGGED, 3, 7)
    given = "mdlstm", images.x, images.sizes, images.parameters
    run = kernels.grid_forward(*given, hidden_size=7, directions=4, keep=True)
    first = kernels.grid_backward(*given, run, images.dh)
    kernels.grid_backward(*given, run, -3 * images.dh, need_dx=False)
    for a, b in zip(first, kernels.grid_backward(*given, run, images.dh), strict=True):
        np.testing.assert_array_equal(a, b)


def test_wrong_arguments_are_refused() -> None:
    x, sizes, parameters = np.zeros((6, 2)), np.array([[2, 3]]), np.zeros(kernels.grid_parameters(1, 2, 3))
    with pytest.raises(errors.ShapeError, match="1, 2 or 4 directions, not 3"):
        kernels.grid_forward("stable", x, sizes, parameters, hidden_size=3, directions=3)
    with pytest.raises(errors.ShapeError, match=r"parameters is \[135\] but \[270\] is wanted"):
        kernels.grid_forward("stable", x, sizes, parameters, hidden_size=3, directions=2)
    with pytest.raises(errors.ShapeError, match="ascend from 0 to the number of tokens, 6"):
        kernels.grid_forward("stable", x, np.array([[2, 4]]), parameters, hidden_size=3, directions=1)
    with pytest.raises(errors.ShapeError, match="float64; whole numbers"):
        kernels.grid_forward("stable", x, np.array([[2.5, 3.0]]), parameters, hidden_size=3, directions=1)
    with pytest.raises(errors.ShapeError, match="sides below 2147483648"):
        kernels.grid_forward("stable", x[:0], np.array([[2**32, 2**32]]), parameters, hidden_size=3, directions=1)
    with pytest.raises(errors.ShapeError, match="hidden_size=0; at least 1"):
        kernels.grid_forward("stable", x, sizes, parameters[:0], hidden_size=0, directions=1)
    with pytest.raises(errors.ShapeError, match="none below 0"):
        kernels.grid_forward("stable", x, np.array([[-2, -3]]), parameters, hidden_size=3, directions=1)
    with pytest.raises(errors.OptionError, match="stable"):
        kernels.grid_forward("lstm", x, sizes, parameters, hidden_size=3, directions=1)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"c": np.zeros((1, 3, 3))}, r"forward.c is \[1, 3, 3\] but \[1, 6, 3\]"),
        ({"c": np.zeros((6, 3))}, r"forward.c is \[6, 3\] but \[D, N, H\]"),
        ({"gates": np.zeros((1, 6, 3))}, r"forward.gates is \[1, 6, 3\] but \[1, 6, 15\]"),
        ({"h": np.zeros((3, 3))}, r"forward.h is \[3, 3\] but \[6, 3\]"),
        ({"c": np.zeros((1, 6, 3), np.float32)}, "forward.c holds float32"),
    ],
)
def test_what_is_no_way_forward_of_these_images_is_refused(change: dict[str, Any], told: str) -> None:
    x, sizes, parameters = np.zeros((6, 2)), np.array([[2, 3]]), np.zeros(kernels.grid_parameters(1, 2, 3))
    run = kernels.grid_forward("stable", x, sizes, parameters, hidden_size=3, directions=1, keep=True)
    with pytest.raises(errors.ShapeError, match=told):
        kernels.grid_backward("stable", x, sizes, parameters, replace(run, **change), np.zeros((6, 3)))
