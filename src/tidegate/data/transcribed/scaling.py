"""Scale grey pictures by area, in whole numbers: the same bits with any version of any library. Knows no file.

A pixel of the result is the mean of the rectangle that it covers, rounded once. The map is affine and exact: column x
of the result begins at ``x * width / result width`` of the original.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Grey = npt.NDArray[np.uint8]
"""A picture [height, width], 0 black and 255 white."""


def scale(picture: Grey, height: int, width: int) -> Grey:
    """Scale a picture [h, w], none of whose sides is zero, to [height, width].

    >>> scale(np.array([[0, 100, 200, 255]], np.uint8), 1, 2)
    array([[ 50, 228]], dtype=uint8)
    """
    h, w = picture.shape
    if (h, w) == (height, width):
        return picture
    sums = _sums(_sums(picture.astype(np.int64), height).T, width).T  # h * w times the mean
    means: Grey = ((sums + h * w // 2) // (h * w)).astype(np.uint8)
    return means


def width_at(height: int, shape: tuple[int, ...]) -> int:
    """Say how wide a picture [h, w] becomes at another height, at least 1.

    >>> width_at(48, (96, 301))
    151
    """
    h, w = shape
    return max(1, (2 * w * height + h) // (2 * h))


def _sums(rows: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.int64]:
    """Sum rows [n, m] over `count` stretches of equal length, in n-ths of a row: [count, m], n times their means."""
    n = len(rows)
    before = np.zeros((n + 1, rows.shape[1]), np.int64)
    np.cumsum(rows, axis=0, out=before[1:])
    edges = np.arange(count + 1, dtype=np.int64) * n  # in counts of a row
    whole, part = edges // count, edges % count
    filled = np.concatenate([rows, np.zeros((1, rows.shape[1]), np.int64)])
    until = before[whole] * count + filled[whole] * part[:, None]
    return np.asarray(until[1:] - until[:-1], np.int64)
