"""Grid: images end to end, how their lines and mirror images are found, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tidegate.errors import ShapeError
from tidegate.grid import Grid
from tidegate.ragged import Ragged

IMAGES = [np.arange(6).reshape(2, 3), np.zeros((0, 4), np.int64), 10 + np.arange(3).reshape(3, 1), np.array([[99]])]


@pytest.fixture(params=["numpy", "torch"])
def grid(request: pytest.FixtureRequest) -> Grid:
    made: list[Any] = [torch.from_numpy(image) for image in IMAGES] if request.param == "torch" else IMAGES
    return Grid.from_list(made)


def test_it_is_a_ragged_whose_sequences_are_images(grid: Grid) -> None:
    assert isinstance(grid, Ragged)
    assert grid.values[:, 0].tolist() == [0, 1, 2, 3, 4, 5, 10, 11, 12, 99]
    assert grid.offsets.tolist() == [0, 6, 6, 9, 10]
    assert [image.tolist() for image in grid] == [image[..., None].tolist() for image in IMAGES]
    assert tuple(grid[1].shape) == (0, 4, 1)
    assert grid[-1].tolist() == [[[99]]]


def test_there_and_back_through_a_stack(grid: Grid) -> None:
    stack, sizes = grid.to_padded(fill=-1)
    assert sizes.tolist() == [[2, 3], [0, 4], [3, 1], [1, 1]]
    assert stack[2, :, :, 0].tolist() == [[10, -1, -1, -1], [11, -1, -1, -1], [12, -1, -1, -1]]
    again = Grid.from_padded(stack, sizes)
    assert again.values.tolist() == grid.values.tolist()
    assert again.sizes.tolist() == sizes.tolist()


def test_lines_say_where_their_cells_lie(grid: Grid) -> None:
    rows, columns = grid.rows().of(grid.values[:, 0]), grid.columns().of(grid.values[:, 0])
    assert [row.tolist() for row in rows] == [[0, 1, 2], [3, 4, 5], [10], [11], [12], [99]]
    wanted = [[0, 3], [1, 4], [2, 5], [], [], [], [], [10, 11, 12], [99]]
    assert [column.tolist() for column in columns] == wanted


def test_an_image_without_columns_has_empty_rows() -> None:
    grid = Grid(np.zeros((0, 1)), np.array([3]), np.array([0]))
    assert grid.rows().of(grid.values).lengths.tolist() == [0, 0, 0]
    assert len(grid.columns().of(grid.values)) == 0


@pytest.mark.parametrize(("across", "down"), [(True, False), (False, True), (True, True), (False, False)])
def test_mirrored_images_are_those_of_numpy(across: bool, down: bool) -> None:
    grid = Grid.from_list(IMAGES)
    axes = tuple(axis for axis, flipped in enumerate((down, across)) if flipped)
    mirrored = grid.with_values(grid.values[grid.flipped(across=across, down=down)])
    for found, image in zip(mirrored, IMAGES, strict=True):
        np.testing.assert_array_equal(found[..., 0], np.flip(image, axes))


def test_what_moves_in_is_the_edge() -> None:
    grid = Grid.from_list([np.array([[1, 2], [3, 4]]), np.array([[5, 6]])])
    moved = grid.with_values(grid.values[grid.shifted(np.array([-1, 3]), np.array([0, -1]))])
    assert [image[..., 0].tolist() for image in moved] == [[[3, 4], [3, 4]], [[6, 6]]]


def test_images_are_chosen_and_joined() -> None:
    grid = Grid.from_list(IMAGES)
    chosen = grid.select([2, -1, 2])
    assert [image[..., 0].tolist() for image in chosen] == [[[10], [11], [12]], [[99]], [[10], [11], [12]]]
    joined = chosen.select([1]).followed_by(grid.select([0]))
    assert [image[..., 0].tolist() for image in joined] == [[[99]], [[0, 1, 2], [3, 4, 5]]]
    assert len(grid.select([])) == 0


def test_colours_are_features_of_a_cell() -> None:
    grid = Grid.from_list([np.arange(12).reshape(2, 2, 3)])
    assert grid.values.tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11]]


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Grid(np.zeros((5, 1)), np.array([2]), np.array([3])), r"values are \[5, 1\], but .* say \[6, C\]"),
        (lambda: Grid(np.zeros(6), np.array([2]), np.array([3])), r"values are \[6\]"),
        (lambda: Grid(np.zeros((0, 1)), np.array([-1]), np.array([0])), "heights fall below zero, to -1"),
        (lambda: Grid(np.zeros((6, 1)), np.array([2]), np.array([3, 1])), r"widths are \[2\]"),
        (lambda: Grid(np.zeros((6, 1)), np.array([2.0]), np.array([3.0])), "float64, but"),
        (lambda: Grid(np.zeros((6, 1)), torch.tensor([2]), np.array([3])), "all three"),
        (lambda: Grid.from_list([np.zeros(3)]), r"image 0 is \[3\]"),
        (
            lambda: Grid.from_list([np.zeros((0, 3)), np.zeros((1, 1, 2)), np.zeros((1, 1))]),
            "image 2 has 1 features a cell and image 1 has 2",
        ),
        (lambda: Grid.from_list([[[1]], [[1, 2], [3]]]), "image 1 is not an array"),
        (lambda: Grid.from_list([torch.zeros(1, 1), np.zeros((1, 1))]), "image 1 is a ndarray and image 0 a Tensor"),
        (lambda: Grid.from_padded([[[1]]]), "a list came"),
        (lambda: Grid.from_padded(np.zeros((1, 2, 2)), batch_first=False), "batch_first=True"),
        (lambda: Grid.from_padded(np.zeros((1, 2, 2)), [[1.7, 2.0]]), "whole numbers"),
        (lambda: Grid.from_padded(np.zeros((1, 2, 2)), [[np.nan, 2]]), "whole numbers"),
        (lambda: Grid.from_padded(np.zeros((1, 2, 2)), [[3, 1]]), r"size \[3, 1\] of image 0"),
        (lambda: Grid.from_padded(np.zeros((2, 2, 2)), [[1, 1]]), r"sizes are \[1, 2\] for 2 images"),
        (lambda: Grid.from_padded(np.zeros((2, 2, 2)), [1, 1, 2, 2]), r"sizes are \[4\] for 2 images"),
        (lambda: Grid(np.zeros((0, 1)), np.array([2**32]), np.array([2**32])), "sides below 2147483648"),
        (lambda: Grid(np.zeros((0, 1)), np.array([2**16]), np.array([2**16])), "has 4294967296 cells"),
        (lambda: Grid.from_padded(np.zeros((2, 2))), "images are"),
        (lambda: Grid.from_list(IMAGES).with_values(np.zeros((3, 1))), r"\[10, C\]"),
    ],
)
def test_what_is_no_batch_of_images_is_refused(make: Any, told: str) -> None:
    with pytest.raises(ShapeError, match=told):
        make()
