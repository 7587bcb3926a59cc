"""Writes a model as an ONNX file, once it has been proven to answer as the model does. Knows no nodes."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, cast, get_args

from tidegate.durable import atomic_write
from tidegate.errors import InputError, MissingPackageError, OptionError
from tidegate.export.images import ImageInterface
from tidegate.export.interface import Interface, SequenceInterface, StateInputs
from tidegate.export.pairs import PairsInterface, PairsPart
from tidegate.export.proof import Case, prove
from tidegate.network import Ctc
from tidegate.offers import Exportable
from tidegate.runtime import Executor
from tidegate.version import __version__

if TYPE_CHECKING:
    from onnx import ModelProto, ValueInfoProto


@dataclass(frozen=True)
class Value:
    """Describe an input or an output of a graph.

    Args:
        name: its name.
        type: of its numbers, as NumPy names it.
        shape: sizes, and names for those that are free.
        optional: whether it may be left out.
    """

    name: str
    type: str
    shape: tuple[int | str, ...]
    optional: bool = False


@dataclass(frozen=True)
class Exported:
    """Tell what was written, and how it proved itself.

    Args:
        path: of the file.
        bytes: its size.
        opset: of ONNX.
        inputs: of the graph.
        outputs: of the graph.
        cases: the batches on which ONNX Runtime was compared with our own runtime.
    """

    path: Path
    bytes: int
    opset: int
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    cases: tuple[Case, ...]

    @property
    def worst(self) -> float:
        """The largest difference, as a share of the size of a number; `proof.TOLERANCE` is allowed."""
        return max(case.relative for case in self.cases)


def to_onnx(
    model: Exportable | Executor,
    path: str | os.PathLike[str],
    *,
    states: StateInputs = "optional",
    part: PairsPart | None = None,
) -> Exported:
    """Write a model as an ONNX file that is right for every batch and every length, and prove it before.

    The graph is run in ONNX Runtime over a grid of batches and lengths, with garbage in the padding, and compared with
    our own runtime. Where it differs nothing is written, and a file that was there before stays as it was.

    Args:
        model: a fitted task, or a `runtime.Executor`, which is a network with weights.
        path: where to.
        states: whether the states of recurrent nodes are inputs and outputs, so that a sequence can be read in pieces:
            `optional` ones are zeros where they are left out, `required` ones are plain inputs, for runtimes that know
            no defaults such as OpenVINO, and so is the scaling of a forecaster; or `off`. Nodes that read from the end
            as well have none.
        part: which graph of a translator, or of an executor whose network reads pairs: `greedy`, which finds whole
            targets by the most probable token of each step, `encode`, which reads sources, or `step`, which takes
            targets on by one token each; see `PairsInterface`. None takes `greedy`. The states of these are plain
            inputs and outputs whatever `states` says. Of a transcriber, or an executor whose network ends with a Ctc
            node, `greedy` adds what the most probable symbol of each frame spells to the scores; see `export.spelling`.

    Raises:
        MissingPackageError: onnx or onnxruntime is not installed.
        InputError: the model is neither of the two or not fitted, a part came and it has none, or it has and nobody
            knows with which ids targets begin and end, its weights are not float32, or they are more than an ONNX file
            holds.
        ExportError: the graph does not answer as the model does.
        OSError: the file could not be written.

    >>> import numpy as np
    >>> from tidegate.network import Dense, Network
    >>> weights = {"0.weight": np.array([[2.0]], np.float32), "0.bias": np.array([1.0], np.float32)}
    >>> double = Executor(Network.of(Dense(in_features=1, out_features=1)), weights)
    >>> exported = to_onnx(double, "double.onnx")
    >>> [(value.name, value.shape) for value in exported.inputs]
    [('features', ('batch', 'time', 1)), ('sequence_lens', ('batch',))]
    """
    for package in ("onnx", "onnxruntime"):
        if find_spec(package) is None:
            raise MissingPackageError.of(package, "onnx", "export to ONNX")
    if states not in get_args(StateInputs):
        raise OptionError.unknown("way to treat states", states, get_args(StateInputs))
    interface = _interface(model)
    if isinstance(interface, PairsInterface):
        interface = replace(interface, part=_part(part))
    elif part == "greedy" and isinstance(interface, SequenceInterface) and isinstance(interface.network.nodes[-1], Ctc):
        interface = replace(interface, spells=True)
    elif part is not None:
        raise InputError(
            f"part={part!r}: the graph of this model is one, and has no such part. Leave it out; of a transcriber "
            "there is greedy, too."
        )
    elif interface.network.is_encoder_decoder:
        raise InputError(
            "a network that attends, or begins with states that another node gives, but reads no pairs, is not written "
            "in ONNX. Run it with tidegate.runtime.Executor."
        )
    if kinds := {str(array.dtype) for array in interface.weights.values()} - {"float32"}:
        raise InputError(f"the weights are {', '.join(kinds)}; an ONNX graph computes in float32. Cast them before.")
    graph = _write(interface, states)
    content = graph.SerializeToString()
    cases = prove(content, interface, states=states)
    atomic_write(path, content)
    defaults = {tensor.name for tensor in graph.graph.initializer}
    return Exported(
        path=Path(path),
        bytes=len(content),
        opset=graph.opset_import[0].version,
        inputs=tuple(_described(value, defaults) for value in graph.graph.input),
        outputs=tuple(_described(value, set()) for value in graph.graph.output),
        cases=cases,
    )


def _part(part: str | None) -> PairsPart:
    if part is not None and part not in get_args(PairsPart):
        raise OptionError.unknown("part", part, get_args(PairsPart))
    return cast("PairsPart", part or "greedy")


def _interface(model: Exportable | Executor) -> Interface:
    match model:
        case Executor() if model.network.reads_images:
            return ImageInterface(model.network, model.weights)
        case Executor() if model.network.reads_pairs:
            return PairsInterface(model.network, model.weights)
        case Executor():
            return SequenceInterface(model.network, model.weights)
        case Exportable():
            interface: Interface = model.interface()
            return interface
    raise InputError(
        f"{type(model).__name__} cannot be exported. Pass a fitted task, such as what tidegate.load gives, or a "
        "tidegate.runtime.Executor, which is a network with its weights."
    )


def _write(interface: Interface, states: StateInputs) -> ModelProto:
    from tidegate.export.graph import Graph

    graph, version = Graph(), __version__
    interface.write(graph, states)
    about = {"tidegate": version, "network": json.loads(interface.network.to_json()), **interface.about}
    kinds = ", ".join(node.kind for node in interface.network.nodes)
    return graph.model(
        str(about.get("task", "network")).replace("-", "_"),
        doc=f"Written by Tidegate {version}: {kinds}.",
        producer=version,
        about={key: value if isinstance(value, str) else json.dumps(value) for key, value in about.items()},
    )


def _described(value: ValueInfoProto, defaults: set[str]) -> Value:
    from onnx import helper

    tensor = value.type.tensor_type
    shape = tuple(axis.dim_param or axis.dim_value for axis in tensor.shape.dim)
    dtype = str(helper.tensor_dtype_to_np_dtype(tensor.elem_type))
    return Value(value.name, dtype, shape, optional=value.name in defaults)
