"""Images: the bits of a result do not know its batch, its threads or its instruction set."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import grids
from tidegate import kernels
from tidegate.cells import GRID_CELLS

SIZES = [(7, 5), (0, 3), (1, 1), (9, 4), (3, 10), (1, 8), (6, 1), (5, 0), (2, 12)]


@pytest.fixture(autouse=True)
def _same_isa_afterwards() -> Iterator[None]:
    before = kernels.active_isa()
    yield
    kernels.use_isa(before)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("cell", GRID_CELLS)
@pytest.mark.parametrize(("C", "H"), [(3, 5), (16, 32), (9, 49), (2, 110)])
def test_instruction_sets_and_threads_give_the_same_bits(cell: str, C: int, H: int, kind: type) -> None:
    images = grids.make(cell, SIZES, C, H, kind=kind)
    want = images.run(num_threads=1)
    for isa in kernels.available_isas():
        kernels.use_isa(isa)
        for threads in (1, 3, 9):
            got = images.run(num_threads=threads)
            for name, array in want.items():
                np.testing.assert_array_equal(got[name], array, f"{name} {isa} {threads}")


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("cell", GRID_CELLS)
def test_an_image_alone_gives_its_bits_in_any_batch(cell: str, kind: type) -> None:
    images = grids.make(cell, SIZES, 6, 37, kind=kind)
    run, begins = images.run(), images.begins
    turned = [*range(len(SIZES))][::-1]
    backwards = images.select(turned)
    again = backwards.run()
    for place, b in enumerate(turned):
        cells = slice(begins[b], begins[b + 1])
        other = slice(backwards.begins[place], backwards.begins[place + 1])
        alone = images.select([b]).run()
        for name in ("h", "dx"):
            np.testing.assert_array_equal(alone[name], run[name][cells])
            np.testing.assert_array_equal(again[name][other], run[name][cells])


@pytest.mark.parametrize("cell", GRID_CELLS)
def test_large_images_whose_gates_are_computed_again_give_the_bits_of_small_ones(cell: str) -> None:
    """Gates of more than 64 MiB a direction are not kept; a batch of few images is walked the other way."""
    H = 64
    images = grids.make(cell, [(125, 300), (90, 180)], 2, H, directions=2)
    assert images.x.shape[0] * 5 * H * 4 > 64 << 20
    run, begins = images.run(num_threads=2), images.begins
    weights = np.zeros_like(run["gradient"], np.float64)
    for b in range(2):
        small = images.select([b])
        alone = small.run()
        weights += alone["gradient"]
        for name in ("h", "dx"):
            np.testing.assert_array_equal(alone[name], run[name][begins[b] : begins[b + 1]])
    scale = np.abs(weights).max()
    np.testing.assert_allclose(run["gradient"], weights, atol=1e-4 * scale)
