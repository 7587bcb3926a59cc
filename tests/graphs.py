"""What the tests of exported graphs share: networks with drawn weights, and graphs run by others than ourselves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

from surroundings import absent
from tidegate.cells import Cell
from tidegate.network import Network, Node, Recurrent, parameter_shapes
from tidegate.ragged import Ragged
from tidegate.runtime import Executor

Array = npt.NDArray[Any]
Arrays = dict[str, Array]

LENGTHS = np.array([5, 0, 9, 1])
TIME = 11


def recurrent(cell: Any, **layer: Any) -> Recurrent:
    """Describe a recurrent node of three features."""
    return Recurrent(cell=cell, input_size=3, hidden_size=4, **layer)


def ordered_as_in_torch(cell: Cell) -> Cell:
    """Give a cell whose gates have another order in ONNX a card that says they have not."""
    assert cell.onnx
    return replace(cell, onnx=replace(cell.onnx, order=tuple(range(cell.gates))))


def executor(*nodes: Node, size: float = 0.6) -> Executor:
    """Make a network with weights drawn from -size to size."""
    rng, network = np.random.default_rng(3), Network.of(*nodes)
    drawn = {name: rng.uniform(-size, size, shape) for name, shape in parameter_shapes(network).items()}
    return Executor(network, {name: array.astype(np.float32) for name, array in drawn.items()})


def features(size: int, *, seed: int = 0) -> Ragged:
    """Draw sequences of `LENGTHS`."""
    rng = np.random.default_rng(seed)
    return Ragged.from_list([rng.standard_normal((length, size)).astype(np.float32) for length in LENGTHS])


def tokens(size: int, *, seed: int = 0) -> Ragged:
    """Draw ids below `size` in sequences of `LENGTHS`."""
    rng = np.random.default_rng(seed)
    return Ragged.from_list([rng.integers(0, size, length) for length in LENGTHS], dtype=np.int64)


def padded(x: Ragged, *, time: int = TIME, fill: float = np.nan) -> Array:
    """Lay sequences out as [B, time, ...], with `fill` in the padding."""
    rows = np.full((len(x), time, *x.values.shape[1:]), fill, x.values.dtype)
    for row, sequence in zip(rows, x, strict=True):
        row[: len(sequence)] = sequence
    return rows


def lens(x: Ragged) -> Array:
    """Give the lengths as a graph reads them."""
    return np.asarray(x.lengths).astype(np.int32)


def run_onnx(path: Path, inputs: Arrays) -> Arrays:
    """Run a file in ONNX Runtime."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


def run_openvino(path: Path, inputs: Arrays) -> Arrays:
    """Run a file in OpenVINO, all its shapes left free."""
    try:
        import openvino
    except ImportError:
        absent("OpenVINO is not installed")
    model = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = model(inputs)
    names = [output.name for output in onnx.load(path).graph.output]  # a value may have others of its own beside
    return {name: found[name] for name in names}
