"""Images of different sizes as one batch, cells end to end. Knows arrays, neither files nor what a cell stands for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.errors import ShapeError
from tidegate.ragged import Array, Ragged, as_array, in_numpy, library_of, whole_numbers

Numbers = npt.NDArray[np.int64]
_MOST = 2**31  # cells of an image, or of one of its sides


@dataclass(frozen=True, eq=False)
class Lines:
    """Say which cells the lines of all images are made of, one line after the other; no cell is copied.

    offsets: [L + 1], where each line begins.
    cells: [N], the number of the cell at each place.

    >>> grid = Grid.from_list([[[1, 2], [3, 4]]])
    >>> grid.columns().of(grid.values[:, 0]).to_list()
    [array([1, 3]), array([2, 4])]
    """

    offsets: Numbers
    cells: Numbers

    def of(self, values: Array) -> Ragged:
        """Return `values` [N, ...] of cells line by line, copied, by whichever library made them."""
        library = library_of(values)
        return Ragged(values[library.asarray(self.cells)], library.asarray(self.offsets))


class Grid(Ragged):
    """Hold images of different sizes end to end: a `Ragged` each of whose sequences is an image, row by row.

    Args:
        values: [N, C], the cells of all images, those of a row next to each other; a NumPy array or a torch tensor.
        heights: [B] int64, how many rows each image has; zero is allowed, as is an empty batch. Of the same library as
            `values`, as are the widths.
        widths: [B] int64, how many columns.

    Raises:
        ShapeError: heights and widths do not describe the values.

    >>> grid = Grid.from_list([np.array([[1, 2, 3]]), np.array([[4], [5]])])
    >>> grid
    Grid(2 images, values [5, 1] int64)
    >>> grid[1].shape, grid.lengths.tolist()
    ((2, 1, 1), [3, 2])
    """

    heights: Array
    widths: Array

    def __init__(self, values: Array, heights: Array, widths: Array) -> None:
        library = library_of(values)
        if library_of(heights) is not library or library_of(widths) is not library:
            raise ShapeError("values, heights and widths must be NumPy arrays, or torch tensors, all three.")
        sizes = _sizes(heights, widths)
        offsets = np.concatenate([[0], np.cumsum(sizes[:, 0] * sizes[:, 1])]).astype(np.int64)
        if values.ndim != 2 or len(values) != offsets[-1]:
            raise ShapeError(
                f"values are {list(values.shape)}, but heights and widths say [{offsets[-1]}, C]. "
                "Pass a row of features for each cell."
            )
        object.__setattr__(self, "heights", heights)
        object.__setattr__(self, "widths", widths)
        super().__init__(values, library.asarray(offsets))

    @classmethod
    def from_list(cls, sequences: Sequence[Any], *, dtype: npt.DTypeLike | None = None) -> Grid:
        """Join a list of images.

        Args:
            sequences: B arrays [H, W] or [H, W, C], torch tensors or lists of lists; a side may be zero.
            dtype: type of the values; by default that of the arrays.

        Raises:
            ShapeError: one is no image, or its cells have another number of features than the rest.

        >>> Grid.from_list([[[1, 2]], [[3], [4]]]).values.ravel().tolist()
        [1, 2, 3, 4]
        """
        arrays = [
            image if hasattr(image, "ndim") else as_array(image, f"image {index}", dtype)
            for index, image in enumerate(sequences)
        ]
        _check_images(arrays)
        cells = [image.reshape(image.shape[0] * image.shape[1], *(image.shape[2:] or (1,))) for image in arrays]
        joined = Ragged.from_list(cells, dtype=dtype)
        values, library = joined.values, library_of(joined.values)
        sizes = np.array([image.shape[:2] for image in arrays], np.int64).reshape(-1, 2)
        if not arrays:
            values = values.reshape(0, 1)
        return cls(values, library.asarray(sizes[:, 0].copy()), library.asarray(sizes[:, 1].copy()))

    @classmethod
    def from_padded(cls, padded: Array, lengths: Array | None = None, *, batch_first: bool = True) -> Grid:
        """Drop the padding of a stack of images.

        Args:
            padded: [B, H, W] or [B, H, W, C]. What lies past a size is not read.
            lengths: [B, 2], height and width of each; None where there is no padding.
            batch_first: True; a stack of images has no other form.

        Raises:
            ShapeError: there is not one size per image, or one does not lie within the stack.

        >>> Grid.from_padded(np.arange(8).reshape(2, 2, 2), [[1, 2], [2, 1]]).values.ravel().tolist()
        [0, 1, 4, 6]
        """
        library = library_of(padded)
        if not batch_first:
            raise ShapeError("a stack of images begins with the batch: [B, H, W, C]. Leave batch_first=True.")
        if padded.ndim not in (3, 4):
            raise ShapeError(f"padded is {list(padded.shape)}, but images are [B, H, W] or [B, H, W, C].")
        batch_size, height, width = padded.shape[:3]
        sizes = whole_numbers([[height, width]] * batch_size if lengths is None else lengths, "the sizes")
        if sizes.size == 0:
            sizes = sizes.reshape(-1, 2)
        if sizes.shape != (batch_size, 2):
            raise ShapeError(f"the sizes are {list(sizes.shape)} for {batch_size} images; [B, 2] is wanted, one each.")
        wrong = np.flatnonzero((sizes < 0).any(axis=1) | (sizes > [height, width]).any(axis=1))
        if wrong.size:
            at = wrong[0]
            raise ShapeError(f"size {sizes[at].tolist()} of image {at} is not within [{height}, {width}].")
        rows, columns = np.arange(height)[:, None] < sizes[:, 0, None, None], np.arange(width) < sizes[:, 1, None, None]
        cells = padded if padded.ndim == 4 else padded[..., None]
        values = cells[library.asarray(rows & columns)]  # [N, C]
        return cls(values, library.asarray(sizes[:, 0].copy()), library.asarray(sizes[:, 1].copy()))

    def to_padded(self, fill: float = 0) -> tuple[Array, Array]:
        """Return a stack [B, H, W, C] with `fill` past each edge, and the sizes [B, 2].

        >>> stack, sizes = Grid.from_list([[[1, 2]], [[3], [4]]]).to_padded(fill=-1)
        >>> stack[..., 0].tolist(), sizes.tolist()
        ([[[1, 2], [-1, -1]], [[3, -1], [4, -1]]], [[1, 2], [2, 1]])
        """
        sizes = self.sizes
        height, width = sizes.max(axis=0, initial=0).tolist()
        image, row, column = self._places()
        flat, library = (image * height + row) * width + column, library_of(self.values)
        shape = (len(self) * height * width, self.values.shape[1])
        if library is np:
            padded = np.full(shape, fill, self.values.dtype)
            padded[flat] = self.values
        else:
            padded = self.values.new_full(shape, fill).index_put((library.asarray(flat),), self.values)
        return padded.reshape(len(self), height, width, shape[1]), library.asarray(sizes)

    @property
    def sizes(self) -> Numbers:
        """Height and width of each image, [B, 2], a NumPy array."""
        return _sizes(self.heights, self.widths)

    def check(self) -> Numbers:
        """Return the sizes; raises ShapeError where they were written to, and no longer describe the values."""
        sizes = self.sizes
        if not np.array_equal(np.diff(in_numpy(self.offsets)), sizes[:, 0] * sizes[:, 1]):
            raise ShapeError("heights and widths of this Grid were changed after it was made. Make a new one.")
        return sizes

    def rows(self) -> Lines:
        """Say which cells each row of each image is made of, from left to right: those that lie next to each other."""
        heights, widths = self.sizes.T
        lengths = np.repeat(widths, heights)
        return Lines(_begins(lengths), np.arange(len(self.values)))

    def columns(self) -> Lines:
        """Say which cells each column of each image is made of, from the top down.

        >>> Grid(np.zeros((6, 1)), np.array([2]), np.array([3])).columns().cells.tolist()
        [0, 3, 1, 4, 2, 5]
        """
        heights, widths = self.sizes.T
        image, row, column = self._places()
        begins = in_numpy(self.offsets)[:-1][image]
        cells = np.empty(len(self.values), np.int64)
        cells[begins + column * heights[image] + row] = np.arange(len(self.values))
        return Lines(_begins(np.repeat(heights, widths)), cells)

    def flipped(self, *, across: bool = False, down: bool = False) -> Numbers:
        """Say which cell lies at each place of the mirrored images, [N]: left for right, or upside down, or both.

        >>> grid = Grid.from_list([[[1, 2], [3, 4]]])
        >>> grid.values[grid.flipped(across=True), 0].tolist()
        [2, 1, 4, 3]
        """
        heights, widths = self.sizes.T
        image, row, column = self._places()
        row = heights[image] - 1 - row if down else row
        column = widths[image] - 1 - column if across else column
        return np.asarray(in_numpy(self.offsets)[:-1][image] + row * widths[image] + column)

    def shifted(self, down: Numbers, across: Numbers) -> Numbers:
        """Say which cell lies at each place, [N], where each image is moved down and to the right by so many cells.

        `down` and `across` are [B]. What moves in is the edge of the image, again and again.

        >>> grid = Grid.from_list([[[1, 2], [3, 4]]])
        >>> grid.values[grid.shifted(np.array([0]), np.array([1])), 0].tolist()
        [1, 1, 3, 3]
        """
        heights, widths = self.sizes.T
        image, row, column = self._places()
        row = np.clip(row - down[image], 0, heights[image] - 1)
        column = np.clip(column - across[image], 0, widths[image] - 1)
        return np.asarray(in_numpy(self.offsets)[:-1][image] + row * widths[image] + column)

    def select(self, indices: Array) -> Grid:
        """Return the images at `indices` [K], in that order, copied; an index may repeat or be negative."""
        chosen = np.asarray(indices, dtype=None if len(indices) else np.int64)
        sizes, library = self.sizes[chosen], library_of(self.values)
        heights, widths = (library.asarray(np.ascontiguousarray(side)) for side in sizes.T)
        return Grid(super().select(chosen).values, heights, widths)

    def followed_by(self, other: Ragged) -> Grid:
        """Return these images and those of `other`, a Grid, behind them, copied; both hold NumPy arrays."""
        assert isinstance(other, Grid), "images are followed by images"
        parts = zip(*((grid.values, grid.heights, grid.widths) for grid in (self, other)), strict=True)
        return Grid(*(np.concatenate(pair) for pair in parts))

    def with_values(self, values: Array) -> Grid:
        """Return `values` [N, C] as the cells of images of these sizes.

        Raises ShapeError where they are another number of cells.
        """
        return Grid(values, self.heights, self.widths)

    def __getitem__(self, index: int) -> Array:
        """Return one image [H, W, C], a view; a negative index counts from the end."""
        cells = super().__getitem__(index)
        height, width = self.sizes[index % len(self)].tolist()
        return cells.reshape(height, width, cells.shape[1])

    def __iter__(self) -> Iterator[Array]:
        return (self[index] for index in range(len(self)))

    def __repr__(self) -> str:
        return f"Grid({len(self)} images, values {list(self.values.shape)} {self.values.dtype})"

    def _places(self) -> tuple[Numbers, Numbers, Numbers]:
        """Say of each cell in which image, row and column it lies, each [N]."""
        sizes, offsets = self.sizes, in_numpy(self.offsets)
        image = np.repeat(np.arange(len(self)), np.diff(offsets))
        within = np.arange(len(self.values)) - offsets[:-1][image]
        width = sizes[image, 1]
        return image, within // width, within % width


def _check_images(arrays: Sequence[Array]) -> None:
    """Refuse what is no image, and images of two libraries or of cells that differ; an empty one has no cell."""
    first: int | None = None
    for index, image in enumerate(arrays):
        if image.ndim not in (2, 3):
            raise ShapeError(f"image {index} is {list(image.shape)}, but [H, W] or [H, W, C] is wanted.")
        if library_of(image) is not library_of(arrays[0]):
            raise ShapeError(
                f"image {index} is a {type(image).__name__} and image 0 a {type(arrays[0]).__name__}. "
                "Pass all as NumPy arrays or all as torch tensors."
            )
        if not image.shape[0] * image.shape[1]:
            continue
        first = index if first is None else first
        found, wanted = ((*arrays[at].shape[2:], 1)[0] for at in (index, first))
        if found != wanted:
            raise ShapeError(
                f"image {index} has {found} features a cell and image {first} has {wanted}. Give all as many."
            )


def _sizes(heights: Array, widths: Array) -> Numbers:
    """Check heights and widths and put them side by side, [B, 2] int64."""
    sides = [in_numpy(side) for side in (heights, widths)]
    for name, side in zip(("heights", "widths"), sides, strict=True):
        if side.ndim != 1 or side.dtype != np.int64 or len(side) != len(sides[0]):
            raise ShapeError(f"{name} are {list(side.shape)} {side.dtype}, but [B] int64 is wanted, as many of both.")
        if (side < 0).any():
            raise ShapeError(f"{name} fall below zero, to {side.min()}.")
        if (side >= _MOST).any():
            raise ShapeError(f"{name} reach {side.max()}; sides below {_MOST} are wanted.")
    if (sides[0] * sides[1] >= _MOST).any():
        raise ShapeError(f"an image has {(sides[0] * sides[1]).max()} cells; fewer than {_MOST} are wanted.")
    return np.ascontiguousarray(np.stack(sides, axis=1))


def _begins(lengths: Numbers) -> Numbers:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
