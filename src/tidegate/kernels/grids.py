"""Layers of cells of grids over images of any size, forward and back, NumPy in and NumPy out.

Knows arrays and nothing of models. Results are equal to the bit over instruction sets, threads, and whatever else is in
the batch. Shape letters: ``N B C H`` = cells, images, inputs, hidden units; ``D`` = directions, 1, 2 or 4: from the top
left, then from the top right, the bottom left and the bottom right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import tidegate._core as _core
import tidegate.cells as cells
from tidegate.errors import ShapeError
from tidegate.kernels.checks import Array, check_offsets, choose, empty, expect, float_kind
from tidegate.kernels.threads import thread_count
from tidegate.ragged import whole_numbers


@dataclass(frozen=True)
class GridForward:
    """What a layer of cells of grids computed: its output, and for the way back gates and cell states.

    Those stand in the order in which the cells were visited. Gates are None where they were not asked for, and where
    they would take more than 64 MiB a direction: the way back computes them again then, some waves at a time.
    """

    h: Array  # [N, D*H]
    c: Array  # [D, N, H]
    gates: Array | None  # [D, N, 5*H]


def grid_parameters(directions: int, inputs: int, hidden: int) -> int:
    """Count the numbers of a layer: of each direction w_ih [5*H, C], w_x [5*H, H], w_y [5*H, H] and bias [5*H].

    >>> grid_parameters(4, 3, 2)
    320
    """
    return directions * cells.GRID_GATES * hidden * (inputs + 2 * hidden + 1)


def grid_computed_again(count: int, hidden: int, itemsize: int) -> bool:
    """Tell whether the gates of so many cells are too large to be kept.

    >>> grid_computed_again(2700, 20, 4), grid_computed_again(1_000_000, 20, 4)
    (False, True)
    """
    return _core.grid_computed_again(count, hidden, itemsize)


def grid_forward(
    cell: str,
    x: Array,
    sizes: Array,
    parameters: Array,
    *,
    hidden_size: int,
    directions: int,
    keep: bool = False,
    num_threads: int | None = None,
) -> GridForward:
    """Run a layer over images, whose cells ``x [N, C]`` lie end to end, row by row.

    ``sizes`` is ``[B, 2]`` int64, height and width, either of which may be zero; ``parameters`` are flat, as
    `grid_parameters` counts them. ``keep`` holds the gates for `grid_backward`. float32 and float64. Raises ShapeError,
    and OptionError for an unknown cell.

    >>> run = grid_forward("stable", np.zeros((4, 1)), np.array([[2, 2]]), np.ones(20), hidden_size=1, directions=1)
    >>> run.h.round(3).ravel().tolist()
    [0.37, 0.625, 0.525, 0.826]
    """
    call, kind = _call(cell, x, sizes, parameters, hidden_size, directions), x.dtype
    N, H = len(x), hidden_size
    gates = None
    if keep and not grid_computed_again(N, H, kind.itemsize):
        gates = empty((directions, N, cells.GRID_GATES * H), kind)
    h, c = empty((N, directions * H), kind), empty((directions, N, H), kind)
    _core.grid_forward(*call, h, gates, c, thread_count(num_threads))
    return GridForward(h, c, gates)


def grid_backward(
    cell: str,
    x: Array,
    sizes: Array,
    parameters: Array,
    forward: GridForward,
    dh: Array,
    *,
    need_dx: bool = True,
    num_threads: int | None = None,
) -> tuple[Array | None, Array]:
    """Return the gradients of the cells, unless they are not needed, and of the parameters, given ``dh [N, D*H]``.

    The other arguments are those of the forward call; where that kept no gates they are computed again. Raises as
    `grid_forward` does.
    """
    if forward.c.ndim != 3:
        raise ShapeError(f"forward.c is {list(forward.c.shape)} but [D, N, H] is wanted here.")
    kind, N, (directions, _, H) = x.dtype, len(x), forward.c.shape
    call = _call(cell, x, sizes, parameters, H, directions)
    h, dh = (expect(name, a, (N, directions * H), kind) for name, a in (("forward.h", forward.h), ("dh", dh)))
    c, gates = expect("forward.c", forward.c, (directions, N, H), kind), forward.gates
    if gates is not None:
        gates = expect("forward.gates", gates, (directions, N, cells.GRID_GATES * H), kind)
    gradient, dx = np.zeros(parameters.shape, kind), empty(x.shape, kind) if need_dx else None
    _core.grid_backward(*call, h, gates, c, dh, gradient, dx, thread_count(num_threads))
    return dx, gradient


def _call(
    cell: str, x: Array, sizes: Array, parameters: Array, hidden_size: int, directions: int
) -> tuple[int, int, Array, Array, Array, Array]:
    """Check what both ways have in common, and return it as the core takes it."""
    number, kind = choose("cell", cell, tuple(cells.GRID_CELLS)), float_kind("x", x)
    if directions not in (1, 2, 4):
        raise ShapeError(f"a layer over images has 1, 2 or 4 directions, not {directions}.")
    if x.ndim != 2:
        raise ShapeError(f"x is {list(x.shape)} but the cells of images are [N, C].")
    sizes = np.ascontiguousarray(whole_numbers(sizes, "sizes"))
    if sizes.ndim != 2 or sizes.shape[1] != 2 or (sizes < 0).any():
        raise ShapeError(f"sizes are {list(sizes.shape)}; heights and widths are wanted, [B, 2], none below 0.")
    if (sizes >= 2**31).any():
        raise ShapeError(f"sizes reach {sizes.max()}; sides below 2147483648 are wanted.")
    if hidden_size < 1:
        raise ShapeError(f"hidden_size={hidden_size}; at least 1 is wanted.")
    offsets = check_offsets(np.concatenate([[0], np.cumsum(sizes[:, 0] * sizes[:, 1])]), len(x))
    count = grid_parameters(directions, x.shape[1], hidden_size)
    parameters = expect("parameters", parameters, (count,), kind)
    return number, directions, expect("x", x, x.shape, kind), offsets, sizes, parameters
