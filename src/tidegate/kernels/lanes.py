"""The lanes of a batch, which several programs may share: which they are, what some of them add up, and the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

import tidegate._core as _core
from tidegate.kernels.checks import Array

if TYPE_CHECKING:
    from tidegate.kernels.programs import Loss, Program

MOST = 16
"""Lanes of a batch, at most."""


def deal(program: Program, offsets: Array) -> tuple[Array, int]:
    """Say of each sequence in which lane it is, [B] int32, and how many lanes there are: by lengths and sizes alone."""
    lane_of = np.empty(len(offsets) - 1, np.int32)
    return lane_of, _core.deal(program, offsets, lane_of)


def run(
    program: Program, values: Any, offsets: Array, loss: Loss, lanes: range, losses: Array, *, threads: int
) -> None:
    """Run neighbouring lanes there and back; of `losses` those of their sequences alone are written."""
    _core.run_lanes(program, values, offsets, loss, lanes.start, lanes.stop, losses, threads)


def summed(program: Program) -> int:
    """Count the numbers that a sum of lanes has, of the batch that ran."""
    return _core.summed(program)


def add_up(program: Program, lanes: range, kind: np.dtype[Any]) -> Array:
    """Add up what neighbouring lanes found, once: they must be a subtree of the tree of all lanes.

    What none of them found is minus zero, which changes no bit of what it is added to.
    """
    found = np.empty(summed(program), kind)
    _core.sum_lanes(program, lanes.start, lanes.stop, found)
    return found


def add(found: Array, other: Array) -> Array:
    """Add what other lanes found, in place, as the core adds."""
    _core.add(found, other)
    return found


def settle(program: Program, found: Array, gradient: Array, *, threads: int) -> None:
    """Make the gradient of what all lanes found."""
    _core.settle(program, found, gradient, threads)
