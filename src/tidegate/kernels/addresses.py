"""A recurrent layer over the memory of another library's tensors, for calls so short that arrays of it would show.

Nothing is checked here: who calls has seen to shapes, types, and that all is contiguous and stays alive.
"""

from __future__ import annotations

from collections.abc import Sequence

import tidegate._core as _core
from tidegate.kernels.layers import CELLS

_RUN = {"float32": _core.forward_at_f32, "float64": _core.forward_at_f64}
_NUMBERS = {cell: number for number, cell in enumerate(CELLS)}


def forward_at(
    kind: str,
    cell: str,
    x: int,
    sizes: tuple[int, int, int, int],
    directions: Sequence[tuple[int, ...]],
    outputs: tuple[int, ...],
    *,
    by_step: bool,
    num_threads: int,
) -> None:
    """Run a layer over sequences of one length, without what a gradient would need.

    Args:
        kind: "float32" or "float64".
        cell: one of `CELLS`.
        x: the address of the input, [B * T, C], end to end or, with ``by_step``, [T, B].
        sizes: B, T, C, H.
        directions: for each, the addresses of w_ih, w_hh, b_ih, b_hh, h0 and, of a cell that carries it, c0; 0 for what
            there is not. The second runs backward.
        outputs: the addresses of h [B * T, D * H], hn and, of a cell that carries c, cn, [D, B, H].
        by_step: which of the two orders the rows of input and output have.
        num_threads: at most.
    """
    _RUN[kind](_NUMBERS[cell], x, *sizes, by_step, directions, outputs, num_threads)
