"""What proves a conversion: random sequences go through both models, and every number that comes out must agree.

Knows neither torch nor Keras: the other model is a function of one sequence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.errors import ConversionError
from tidegate.network import Network
from tidegate.ragged import Ragged
from tidegate.runtime import Executor

Array: TypeAlias = npt.NDArray[Any]
Rival: TypeAlias = Callable[[Array], Array]
"""What the other model makes of one sequence [T] or [T, C]: [K] where the network pools, else [T, K]."""

TOLERANCE = 1e-5
"""Of float32 numbers; those of outputs beyond 1 are measured against the largest."""
LENGTHS = (1, 2, 3, 7, 12, 5)


@dataclass(frozen=True)
class Proof:
    """Tell how far the outputs of two models lie apart on random sequences.

    sequences, steps: how many were compared.
    difference: the largest between two numbers, divided by the largest number where that is beyond 1.
    tolerance: what is allowed.
    """

    sequences: int
    steps: int
    difference: float
    tolerance: float = TOLERANCE

    def __str__(self) -> str:
        return (
            f"{self.sequences} random sequences of {self.steps} steps in all agree: "
            f"the largest difference is {self.difference:.1e}, allowed are {self.tolerance:.0e}"
        )


@dataclass(frozen=True)
class Conversion:
    """Hold a model that was converted, what proves it, and what to know before it is used."""

    model: Executor
    proof: Proof
    notes: tuple[str, ...] = ()


def sequences(network: Network, dtype: Any, *, lengths: Sequence[int] = LENGTHS, lowest: int = 0) -> Ragged:
    """Draw random sequences for a network, the same at every call: ids from `lowest` on, or normal features."""
    rng = np.random.default_rng(0)
    count = sum(lengths)
    if network.reads_tokens:
        values = rng.integers(min(lowest, network.input_size - 1), network.input_size, count)
    else:
        values = rng.standard_normal((count, network.input_size)).astype(dtype)
    return Ragged(values, np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))


def prove(model: Callable[[Ragged], Array], rival: Rival, x: Ragged, *, pooled: bool, hint: str = "") -> Proof:
    """Compare a model with its rival on a batch, which the rival is shown one sequence at a time.

    Raises:
        ConversionError: the outputs differ in shape, or by more than `TOLERANCE`, or are not finite.
    """
    ours = np.asarray(model(x), np.float64)
    theirs = [np.asarray(rival(np.asarray(sequence)), np.float64) for sequence in x]
    wanted = [ours[index] if pooled else ours[x.offsets[index] : x.offsets[index + 1]] for index in range(len(x))]
    for index, (one, other) in enumerate(zip(wanted, theirs, strict=True)):
        if one.shape != other.shape:
            raise ConversionError(
                f"the converted model gives {list(one.shape)} for random sequence {index} of {x.lengths[index]} steps, "
                f"the original {list(other.shape)}.{hint}"
            )
    scale = max(1.0, *(float(np.abs(other).max(initial=0.0)) for other in theirs))
    apart = [float(np.abs(one - other).max(initial=0.0)) / scale for one, other in zip(wanted, theirs, strict=True)]
    worst = int(np.argmax(apart))
    if not apart[worst] <= TOLERANCE:  # not finite fails, too
        raise ConversionError(
            f"the converted model does not compute what the original does: on random sequence {worst} of "
            f"{x.lengths[worst]} steps they differ by {apart[worst]:.1e}, allowed are {TOLERANCE:.0e}.{hint}"
        )
    return Proof(len(x), len(x.values), apart[worst])
