"""Records what every layer computed at every step: states, gates, and the gradients that reach them.

Knows networks and weights. Draws nothing.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy.typing as npt

from tidegate.errors import OptionError

if TYPE_CHECKING:
    import pyarrow

Array: TypeAlias = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class DirectionTrace:
    """Hold one direction of one layer; rows stand in the order of the tokens, also where it runs from the end.

    Args:
        name: `layer 0 forward`, `layer 0 backward`, `layer 1 forward`, ...; what runs from the end is `backward`.
        cell: one of `kernels.CELLS`.
        reverse: it runs from the end of each sequence.
        h: [N, H] hidden state after each step.
        c: [N, H] cell state after each step, lstm.
        gates: [N, H] each, after the activation: `i f g o` for lstm, `r z n` for gru, none for rnn.
        dh: [N, H] derivative of the loss by `h`, through all later steps too; None without a target.
        dc: [N, H] the same by `c`, lstm.
    """

    name: str
    cell: str
    reverse: bool
    h: Array
    c: Array | None
    gates: dict[str, Array]
    dh: Array | None
    dc: Array | None


@dataclass(frozen=True, eq=False)
class Trace:
    """Hold what a network computed for a batch: every direction of every layer, and the output.

    Args:
        offsets: [B+1]; the steps of sequence `b` are rows `offsets[b]` to `offsets[b + 1]`.
        steps: N labels, the tokens as text, where the model reads text.
        directions: those of layer 0, then of layer 1, ...
        output: [B, K], or [N, K] where the network does not pool: what it gives before softmax; for a bare layer,
            `h` of the last layer.
    """

    offsets: Array
    steps: list[str] | None
    directions: tuple[DirectionTrace, ...]
    output: Array

    def direction(self, name: str) -> DirectionTrace:
        """Return one direction by its name; raises OptionError that lists the names there are."""
        for direction in self.directions:
            if direction.name == name:
                return direction
        raise OptionError.unknown("direction", name, [direction.name for direction in self.directions])

    def sequence(self, index: int) -> Trace:
        """Return the trace of one sequence alone; raises IndexError."""
        raise NotImplementedError

    def to_numpy(self) -> dict[str, Array]:
        """Return every array by a flat name: `layer 0 forward/i`; `offsets`, `output`, and `steps` where there are."""
        raise NotImplementedError

    def to_arrow(self) -> pyarrow.Table:
        """Return a table with one row per step: `sequence`, `step`, `token`, and a list of H numbers per array."""
        raise NotImplementedError

    def write_npz(self, path: str | os.PathLike[str]) -> None:
        """Write `to_numpy` as a compressed .npz file."""
        raise NotImplementedError

    def write_parquet(self, path: str | os.PathLike[str]) -> None:
        """Write `to_arrow` as a Parquet file."""
        raise NotImplementedError


def trace(model: Any, inputs: Any, *, target: Any = None, num_threads: int | None = None) -> Trace:
    """Run a model over inputs and record every state and gate; with a target, also the gradients at every step.

    Args:
        model: a fitted task, a layer of `tidegate.nn` (run as in eval mode), or a pair of a `Network` and its weights.
        inputs: what the model reads.
        target: a label per input (or per step, where the network does not pool). The loss is the sum of the
            cross-entropy of all sequences.
        num_threads: for the kernels; the numbers do not depend on it.
    """
    raise NotImplementedError
