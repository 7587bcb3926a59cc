"""Records what every layer computed at every step: states, gates, and the gradients that reach them.

Knows networks and weights. Draws nothing.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.cells import CELLS
from tidegate.engine.recording import Steps
from tidegate.errors import InputError, MissingPackageError, OptionError, ShapeError
from tidegate.inspect.directions import layers_of, named
from tidegate.inspect.subject import Subject, find_subject
from tidegate.runtime import Executor, LayerRun

if TYPE_CHECKING:
    import pyarrow

Array: TypeAlias = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class DirectionTrace:
    """Hold one direction of one layer; rows stand in the order of the tokens, also where it runs from the end.

    Args:
        name: `layer 0 forward`, `layer 0 backward`, `layer 1 forward`, ...; what runs from the end is `backward`.
            Layers of a node that has a name are called by it and counted within it: `encoder layer 0 forward`.
        cell: one of `cells.CELLS`.
        reverse: it runs from the end of each sequence.
        h: [N, H] hidden state after each step.
        c: [N, H] cell state after each step, of a cell that carries one.
        gates: [N, H] each, after the activation, by letter: `i f g o` of an LSTM, `r z n` of a GRU, none of an RNN.
        dh: [N, H] derivative of the loss by `h`, through all later steps too; None without a target.
        dc: [N, H] the same by `c`.
    """

    name: str
    cell: str
    reverse: bool
    h: Array
    c: Array | None
    gates: dict[str, Array]
    dh: Array | None
    dc: Array | None

    @property
    def arrays(self) -> dict[str, Array]:
        """Everything that was recorded, by name: `h`, `c`, the gates, `dh`, `dc`; what there is of them."""
        parts = {"h": self.h, "c": self.c, **self.gates, "dh": self.dh, "dc": self.dc}
        return {name: array for name, array in parts.items() if array is not None}

    def read(self, name: str, units: Sequence[int] | None = None) -> Array:
        """Return one of `arrays`, `[N, H]`, or some of its hidden units, `[N, len(units)]`.

        Raises:
            OptionError: there is no such array or unit; those that there are are named.
            InputError: a gate of a cell without gates, or a gradient where no target was given.
        """
        if name not in self.arrays:
            if name in ("dh", "dc") and self.dh is None:
                raise InputError(f"{name!r} needs a loss. Pass a target to trace(model, inputs, target=...).")
            if not self.gates and any(name in [*cell.letters] for cell in CELLS.values()):
                raise InputError(f"{self.name} has no gate {name!r}: the cell {self.cell} has no gates at all.")
            raise OptionError.unknown(f"array of {self.name} ({self.cell})", name, self.arrays)
        array = self.arrays[name]
        for unit in units if units is not None else ():
            if not 0 <= unit < array.shape[1]:
                raise OptionError(f"unknown unit {unit}; {self.name} has the units 0 to {array.shape[1] - 1}.")
        return array if units is None else array[:, list(units)]

    def _rows(self, rows: slice) -> DirectionTrace:
        parts = {name: array[rows] for name, array in self.arrays.items()}
        gates = {name: parts[name] for name in self.gates}
        return replace(self, h=parts["h"], c=parts.get("c"), gates=gates, dh=parts.get("dh"), dc=parts.get("dc"))


@dataclass(frozen=True, eq=False)
class Trace:
    """Hold what a network computed for a batch: every direction of every layer, and the output.

    Args:
        offsets: [B+1]; the steps of sequence `b` are rows `offsets[b]` to `offsets[b + 1]`.
        steps: N labels, the tokens as text, where the model reads text.
        directions: those of layer 0, then of layer 1, ...
        output: [B, K], or [N, K] where the network does not pool: what it gives before softmax; for a bare layer,
            `h` of the last layer.
        pooled: the output has a row per sequence, not per step.
    """

    offsets: Array
    steps: list[str] | None
    directions: tuple[DirectionTrace, ...]
    output: Array
    pooled: bool = True

    def direction(self, name: str) -> DirectionTrace:
        """Return one direction by its name; raises OptionError that lists the names there are."""
        return named(name, self.directions)

    def sequence(self, index: int) -> Trace:
        """Return the trace of one sequence alone, a view; a negative index counts from the end. Raises IndexError."""
        size = len(self.offsets) - 1
        if not -size <= index < size:
            raise IndexError(f"sequence {index} of a trace of {size}")
        at = index % size
        rows = slice(int(self.offsets[at]), int(self.offsets[at + 1]))
        return Trace(
            self.offsets[at : at + 2] - self.offsets[at],
            None if self.steps is None else self.steps[rows],
            tuple(direction._rows(rows) for direction in self.directions),
            self.output[at : at + 1] if self.pooled else self.output[rows],
            self.pooled,
        )

    def to_numpy(self) -> dict[str, Array]:
        """Return every array by a flat name: `layer 0 forward/i`; `offsets`, `output`, and `steps` where there are."""
        arrays = {"offsets": self.offsets, "output": self.output}
        if self.steps is not None:
            arrays["steps"] = np.array(self.steps, np.str_)
        return arrays | self._by_name()

    def write_npz(self, path: str | os.PathLike[str]) -> None:
        """Write `to_numpy` as a compressed .npz file, which `numpy.load` reads. Raises OSError."""
        with Path(path).open("wb") as file:
            np.savez_compressed(file, **self.to_numpy())  # type: ignore[arg-type]

    def to_arrow(self) -> pyarrow.Table:
        """Return a table with one row per step: `sequence`, `step`, `token` where the model reads text, and the arrays.

        An array is a column of lists of H numbers with the name that it has in `to_numpy`. The output is a column
        where it has a row per step. Needs pyarrow.
        """
        try:
            import pyarrow as pa
        except ImportError as error:
            raise MissingPackageError.of("pyarrow", "data", "a trace as a table") from error
        lengths = np.diff(self.offsets)
        columns: dict[str, Any] = {
            "sequence": np.repeat(np.arange(len(lengths)), lengths),
            "step": np.arange(self.offsets[-1]) - np.repeat(self.offsets[:-1], lengths),
        }
        if self.steps is not None:
            columns["token"] = pa.array(self.steps, pa.string())
        arrays = self._by_name() if self.pooled else {"output": self.output} | self._by_name()
        for name, array in arrays.items():
            numbers = pa.array(np.ascontiguousarray(array).reshape(-1))
            columns[name] = pa.FixedSizeListArray.from_arrays(numbers, array.shape[1])
        return pa.table(columns)

    def write_parquet(self, path: str | os.PathLike[str]) -> None:
        """Write `to_arrow` as a Parquet file. Raises OSError."""
        table = self.to_arrow()
        from pyarrow import parquet

        parquet.write_table(table, path)

    def _by_name(self) -> dict[str, Array]:
        return {f"{each.name}/{name}": array for each in self.directions for name, array in each.arrays.items()}


def trace(model: Any, inputs: Any, *, target: Any = None, num_threads: int | None = None) -> Trace:
    """Run a model over inputs and record every state and gate; with a target, also the gradients at every step.

    Dropout does nothing, and torch is not needed. The numbers of a sequence depend, to the bit, neither on the other
    inputs nor on threads; the output is that of the model.

    Args:
        model: a fitted task; a layer of `tidegate.nn`, or what `tidegate.nn.build` made; or a pair of a `Network` and
            its weights.
        inputs: what the model reads. For layers and pairs: sequences, a list of them or a `Ragged`; a layer also takes
            what it takes otherwise, padded or packed tensors.
        target: the class of each input (of each step, end to end, where the network does not pool), or one class for
            all; without a task, the numbers of the classes. The loss is the sum of the cross-entropy of all sequences.
            For any other loss, its gradient by the output: floats in the shape of the output.
        num_threads: for the kernels; None takes their own setting.

    Raises:
        InputError: the model is not fitted, cannot be looked into or has no recurrent layer; there is no step.
        OptionError: a target that is no class of the model.
        ShapeError: inputs or target do not fit.

    >>> from tidegate.network import Dense, Network, Pool, Recurrent
    >>> layer = Recurrent(cell="gru", input_size=1, hidden_size=1)
    >>> network = Network.of(layer, Pool(modes=("last",)), Dense(in_features=1, out_features=2))
    >>> names = ("0.weight_ih_l0", "0.weight_hh_l0", "0.bias_ih_l0", "0.bias_hh_l0", "2.weight", "2.bias")
    >>> shapes = ((3, 1), (3, 1), (3,), (3,), (2, 1), (2,))
    >>> weights = {name: np.ones(shape) for name, shape in zip(names, shapes)}
    >>> found = trace((network, weights), [[[0.5], [0.25]], [[1.0]]], target=[0, 1])
    >>> found.direction("layer 0 forward").read("z").round(3).ravel().tolist()
    [0.924, 0.911, 0.953]
    """
    subject = find_subject(model, inputs)
    executor = Executor(subject.network, subject.weights, num_threads=num_threads)
    recording = executor.record(subject.x)
    output = subject.whole(recording.output)
    layers = list(layers_of(recording.nodes))
    gradients: list[Steps | None] = [None] * len(layers)
    if target is not None:
        doutput = _output_gradient(subject, output, target)
        gradients = [*recording.back(doutput, steps=True).layers]
    directions = (
        _name_parts(name, d, layer, gradient)
        for (layer, names), gradient in zip(layers, gradients, strict=True)
        for d, name in enumerate(names)
    )
    return Trace(np.asarray(subject.x.offsets), subject.steps, tuple(directions), output, subject.pools)


def _output_gradient(subject: Subject, output: Array, target: Any) -> Array:
    """Return the gradient of the loss by the output, in its shape: softmax - 1 at the target, or what was passed."""
    if isinstance(target, np.ndarray) and target.dtype.kind == "f":
        if target.shape != output.shape:
            raise ShapeError(f"the gradient of the output is {list(target.shape)}; the output is {list(output.shape)}.")
        return target.astype(output.dtype)
    columns = subject.columns_of(target, rows=len(output))
    gradient, rows = subject.likely(output), np.arange(len(columns))
    gradient[rows, columns] -= 1
    if subject.several:  # the loss is that of one question alone
        kept = gradient[rows, columns]
        gradient[...] = 0
        gradient[rows, columns] = kept
    return gradient


def _name_parts(name: str, d: int, layer: LayerRun, gradients: Steps | None) -> DirectionTrace:
    """Name the parts of what the kernels left for one direction; all of them are views."""
    direction, out = layer.directions[d], layer.out
    H = direction.w_hh.shape[1]
    cell, gates = CELLS[layer.cell], {}
    if out.gates is not None:
        gates = dict(zip(cell.letters, np.split(out.gates[d], cell.gates, axis=1), strict=True))
    return DirectionTrace(
        name=name,
        cell=layer.cell,
        reverse=direction.reverse,
        h=out.h[:, d * H : (d + 1) * H],
        c=_part(out.memo, d) if cell.carries_c else None,
        gates=gates,
        dh=None if gradients is None else gradients.dh[d],
        dc=None if gradients is None else _part(gradients.dc, d),
    )


def _part(array: Array | None, d: int) -> Array | None:
    return None if array is None else array[d]
