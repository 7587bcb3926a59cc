"""Measures how the gradient changes on its way back through time: does it vanish, hold or explode? Draws nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy.typing as npt

from tidegate.errors import OptionError

Array: TypeAlias = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Flow:
    """Hold the norm of the gradient against the distance, of one direction of one layer.

    Args:
        name: as in a trace, `layer 0 forward`.
        cell: one of `kernels.CELLS`.
        distance: [K] 0, 1, ...: steps between a state and the loss, which is read at the last step visited.
        h: [K] root mean square, over sequences and probes, of the norm of the derivative by the hidden state. The loss
            is a projection of the final state on a random unit vector, so `h[0]` is 1.
        c: [K] the same by the cell state, lstm.
        sequences: [K] how many sequences have a state at this distance.
    """

    name: str
    cell: str
    distance: Array
    h: Array
    c: Array | None
    sequences: Array


@dataclass(frozen=True)
class Clipping:
    """Hold what clipping the gradient of these losses to a length would do.

    Args:
        norm: of the gradient of the parameters of all recurrent layers together.
        max_grad_norm: the length that longer gradients are clipped to.
        scale: what every gradient is multiplied by: 1 where `norm` is not above `max_grad_norm`.
    """

    norm: float
    max_grad_norm: float | None
    scale: float


@dataclass(frozen=True, eq=False)
class GradientFlow:
    """Hold the flow of every direction of every layer, and what clipping does."""

    flows: tuple[Flow, ...]
    clipping: Clipping

    def flow(self, name: str) -> Flow:
        """Return one direction by its name; raises OptionError that lists the names there are."""
        for flow in self.flows:
            if flow.name == name:
                return flow
        raise OptionError.unknown("direction", name, [flow.name for flow in self.flows])


def gradient_flow(
    model: Any,
    inputs: Any,
    *,
    max_grad_norm: float | None = None,
    probes: int = 4,
    seed: int = 0,
    num_threads: int | None = None,
) -> GradientFlow:
    """Measure the norm of the gradient against the distance in steps, for every direction of every layer."""
    raise NotImplementedError
