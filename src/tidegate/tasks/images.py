"""Images as tasks read them: what may be one, and the nodes that scan them. Knows no files."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from tidegate.cells import CellName, GridCellName
from tidegate.data.checks import check_features, in_argument
from tidegate.data.frames import as_list
from tidegate.errors import ShapeError
from tidegate.grid import Grid
from tidegate.network import Dropout, Flatten, Fold, Merge, Node, Scan2d, Unflatten
from tidegate.ragged import Ragged

Scan = Literal["renet", "stable", "mdlstm"]
Front = Literal["columns", "renet", "mdlstm"]


def as_images(X: Any, *, name: str = "X") -> Grid:
    """Check images in any form, and bring them into one with values [N, C].

    Args:
        X: a `Grid`; B arrays [H, W] or [H, W, C]; or a `Ragged` of rows [N, W], whose sequences are images of one
            feature a cell.
        name: of the argument, for errors.

    Raises:
        ShapeError: they are no images.
        DataError: a number is not finite, or too large.

    >>> as_images(Ragged(np.arange(6.0).reshape(3, 2), np.array([0, 1, 3]))).sizes.tolist()
    [[1, 2], [2, 2]]
    """
    if isinstance(X, Grid):
        grid = X
    elif isinstance(X, Ragged):
        rows = np.asarray(X.values)
        if rows.ndim != 2:
            raise ShapeError(f"{name} has rows of shape {list(rows.shape[1:])}; wanted [N, W], a pixel a column.")
        heights = np.asarray(X.lengths)
        grid = Grid(rows.reshape(-1, 1), heights, np.full(len(heights), rows.shape[1], np.int64))
    else:
        images = as_list(X, name, "images [H, W]")
        grid = Grid.from_list([image if isinstance(image, list | tuple) else np.asarray(image) for image in images])
    values = np.asarray(grid.values)
    if values.dtype.kind not in "fiub":
        raise ShapeError(f"{name} has cells of type {values.dtype}; wanted numbers.")
    checked = Grid(values, np.asarray(grid.heights), np.asarray(grid.widths))
    check_features(checked, where=in_argument(name))
    return checked


def scanning(
    features: int,
    *,
    cell: CellName | GridCellName,
    hidden_size: int,
    num_layers: int,
    block: int,
    bidirectional: bool,
    merge: Merge,
    dropout: float,
) -> tuple[tuple[Node, ...], int]:
    """Make the nodes that scan images, and say how many features each cell has behind them.

    Each layer puts `block` by `block` cells side by side and reads them along rows, then columns (Visin et al. 2015);
    or from all corners along the diagonals, where it is a cell of grids (Graves & Schmidhuber 2008).

    >>> layers = {"cell": "lstm", "num_layers": 2, "block": 2, "bidirectional": True, "merge": "concat", "dropout": 0.0}
    >>> nodes, width = scanning(1, hidden_size=8, **layers)
    >>> [node.kind for node in nodes], width
    (['fold', 'scan2d', 'fold', 'scan2d'], 16)
    """
    nodes, width = list[Node](), features
    for layer in range(num_layers):
        if layer and dropout:
            nodes.append(Dropout(p=dropout))
        nodes.append(Fold(block=(block, block), size=None if layer else features))
        width *= block * block
        scan = Scan2d(
            cell=cell, input_size=width, hidden_size=hidden_size, directions=4 if bidirectional else 1, merge=merge
        )
        nodes.append(scan)
        width = scan.output_size
    return tuple(nodes), width


def read_across(
    front: Front, cells: int, *, cell: CellName, hidden_size: int, block: int
) -> tuple[tuple[Node, ...], int]:
    """Make the nodes that read signals, step by step, as the columns of images, and say how wide a step is behind them.

    `columns` reads each column of blocks down, of which the last state is kept (as `Lfys` does in Tesseract 4);
    `renet` scans in four directions, and adds up each column; so does `mdlstm`, with the stable cell of grids in place
    of `cell` (after Leifert et al. 2016).

    >>> nodes, width = read_across("columns", 48, cell="lstm", hidden_size=16, block=4)
    >>> [node.kind for node in nodes], width
    (['unflatten', 'fold', 'scan2d', 'flatten'], 16)
    """
    size = block * block
    if front == "columns":
        scan = Scan2d(cell=cell, input_size=size, hidden_size=hidden_size, order="columns", directions=1)
    else:
        scan = Scan2d(cell="stable" if front == "mdlstm" else cell, input_size=size, hidden_size=hidden_size)
    flat = Flatten(mode="last" if front == "columns" else "sum")
    return (Unflatten(cells=cells), Fold(block=(block, block)), scan, flat), scan.output_size
