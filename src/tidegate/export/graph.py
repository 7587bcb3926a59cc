"""An ONNX graph that grows node by node. Knows names and encodings, not what a network is. Needs the package onnx."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import onnx
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from tidegate.errors import InputError

Array: TypeAlias = npt.NDArray[Any]
Dims: TypeAlias = Sequence[str | int]

OPSET: Final = 14
"""The first in which recurrent nodes have their present form; ONNX Runtime reads it since 1.8, of 2021."""
IR_VERSION: Final = 7
"""The file format that came with that opset."""
MOST_BYTES: Final = 2**31 - 2**20
"""What one protobuf message holds, less some room for all that is no weight."""


class Graph:
    """Collect nodes, constants, inputs and outputs; every method hands out the name of the value that it adds."""

    def __init__(self) -> None:
        self._nodes: list[NodeProto] = []
        self._constants: dict[str, TensorProto] = {}
        self._inputs: list[ValueInfoProto] = []
        self._outputs: list[ValueInfoProto] = []
        self._renamed: dict[str, str] = {}
        self._counts: Counter[str] = Counter()
        self._small: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def add(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output."""
        return self.add_several(op, inputs, 1, **attributes)[0]

    def add_several(self, op: str, inputs: Sequence[str], outputs: int, **attributes: Any) -> list[str]:
        """Add a node with several outputs; an input that is left out is an empty name."""
        node = self._fresh(op.lower())
        names = [node if outputs == 1 else f"{node}_{index}" for index in range(outputs)]
        self._nodes.append(helper.make_node(op, list(inputs), names, name=node, **attributes))
        return names

    def constant(self, array: Any, dtype: npt.DTypeLike | None = None) -> str:
        """Add a constant without a name of its own; equal ones are kept once."""
        array = np.asarray(array, dtype)
        key = (str(array.dtype), array.shape, array.tobytes())
        if key not in self._small:
            self._small[key] = self.weight(self._fresh("constant"), array)
        return self._small[key]

    def integers(self, *values: int) -> str:
        """Add a constant [K] int64, as shapes and axes are written."""
        return self.constant(values, np.int64)

    def weight(self, name: str, array: Array) -> str:
        """Add a constant under its name; a name that is there already stands for the same array."""
        if name not in self._constants:
            self._constants[name] = numpy_helper.from_array(np.asarray(array, order="C"), name)
        return name

    def input(self, name: str, dtype: npt.DTypeLike, shape: Dims, *, default: Array | None = None) -> str:
        """Add an input of the graph; one with a default may be left out."""
        self._inputs.append(_described(name, dtype, shape))
        if default is not None:
            self.weight(name, default)
        return name

    def output(self, name: str, value: str, dtype: npt.DTypeLike, shape: Dims) -> None:
        """Hand out a value under a name; the node that makes it gives it that name, where it can."""
        if value in self._renamed or not any(value in node.output for node in self._nodes):
            value = self.add("Identity", value)
        self._renamed[value] = name
        self._outputs.append(_described(name, dtype, shape))

    def body(
        self,
        name: str,
        nodes: Sequence[tuple[str, Sequence[str], str, Mapping[str, Any]]],
        inputs: Mapping[str, int],
        outputs: Mapping[str, int],
    ) -> Any:
        """Make the graph that a node repeats; it may read every value of this one.

        Args:
            name: of the graph.
            nodes: of each the operator, what it reads, the one value that it gives, and attributes.
            inputs: names of float32 values, and the last of their three sizes.
            outputs: the same.
        """
        made = [helper.make_node(op, list(read), [given], **attributes) for op, read, given, attributes in nodes]
        entering, leaving = (
            [_described(end, np.float32, [f"{name}_rows", f"{name}_batch", size]) for end, size in of.items()]
            for of in (inputs, outputs)
        )
        return helper.make_graph(made, name, entering, leaving)

    def inner(self) -> Graph:
        """Begin a graph that a node of this one repeats; it may read every value of this one but its outputs."""
        made = Graph()
        made._constants, made._counts, made._small = self._constants, self._counts, self._small
        return made

    def repeated(self, name: str) -> Any:
        """Put a graph that `inner` began together, for the node that repeats it."""
        self._rename()
        return helper.make_graph(self._nodes, name, self._inputs, self._outputs)

    # What a handful of nodes say better by one word.

    def size(self, value: str, axis: int) -> str:
        """Give the length of an axis, [1] int64."""
        return self.add("Gather", self.add("Shape", value), self.integers(axis), axis=0)

    def shape(self, *parts: str | int) -> str:
        """Put sizes, [1] int64 values or numbers, together to a shape."""
        names = [part if isinstance(part, str) else self.integers(part) for part in parts]
        return self.add("Concat", *names, axis=0)

    def reshape(self, value: str, *sizes: int) -> str:
        """Give a value another shape; 0 keeps an axis, -1 takes what is left."""
        return self.add("Reshape", value, self.integers(*sizes))

    def slice(self, value: str, axis: int, start: int, end: int | str) -> str:
        """Take the entries from `start` to `end` of an axis; `end` may be a value [1]."""
        stop = end if isinstance(end, str) else self.integers(end)
        return self.add("Slice", value, self.integers(start), stop, self.integers(axis))

    def unsqueeze(self, value: str, *axes: int) -> str:
        """Add axes of length one."""
        return self.add("Unsqueeze", value, self.integers(*axes))

    def cast(self, value: str, dtype: npt.DTypeLike) -> str:
        """Bring a value to another type."""
        return self.add("Cast", value, to=_kind(dtype))

    def zeros(self, shape: str, dtype: npt.DTypeLike) -> str:
        """Give an array of zeros; `shape` [K] int64."""
        return self.add("ConstantOfShape", shape, value=numpy_helper.from_array(np.zeros(1, dtype)))

    def model(self, name: str, *, doc: str, producer: str, about: Mapping[str, str]) -> ModelProto:
        """Put the model together and check it.

        Raises InputError where the weights are more than one file can hold.
        """
        total = sum(len(tensor.raw_data) for tensor in self._constants.values())
        if total > MOST_BYTES:
            raise InputError(f"the weights take {total:,} bytes; an ONNX file holds {MOST_BYTES:,} at most.")
        constants = list(self._constants.values())
        self._rename()
        graph = helper.make_graph(self._nodes, name, self._inputs, self._outputs, constants, doc_string=doc)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        model.producer_name, model.producer_version = "tidegate", producer
        model.doc_string = doc
        helper.set_model_props(model, dict(about))
        onnx.checker.check_model(model, full_check=True)
        return model

    def _rename(self) -> None:
        """Give what is handed out its name."""
        for node in self._nodes:
            node.input[:] = [self._renamed.get(value, value) for value in node.input]
            node.output[:] = [self._renamed.get(value, value) for value in node.output]

    def _fresh(self, kind: str) -> str:
        self._counts[kind] += 1
        return f"{kind}_{self._counts[kind]}"


def _kind(dtype: npt.DTypeLike) -> int:
    return helper.np_dtype_to_tensor_dtype(np.dtype(dtype))


def _described(name: str, dtype: npt.DTypeLike, shape: Dims) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, _kind(dtype), list(shape))
