"""The ONNX graphs that ONNX Runtime and OpenVINO run: the classifier, and one step of one stream."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from benchmarks import work
from benchmarks.work import Array, Job

OPSET, IR_VERSION = 17, 10
ORDER = (0, 3, 1, 2)  # ONNX wants i o f c of torch's i f g o


def classifier(job: Job, arrays: dict[str, Array], *, lengths: bool) -> bytes:
    """Build embedding, LSTM, maximum over the valid steps, linear over ``ids [T, B]``, and ``lengths [B]`` if told."""
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["x"]),  # [T, B, C]
        helper.make_node(
            "LSTM",
            ["x", "W", "R", "B", "lengths" if lengths else ""],
            ["y"],  # [T, D, B, H]
            hidden_size=job.hidden,
            direction="bidirectional" if job.directions == 2 else "forward",
        ),
        helper.make_node("Equal", ["ids", "padding"], ["padded"]),
        helper.make_node("Unsqueeze", ["padded", "axes"], ["over"]),  # [T, 1, B, 1]
        helper.make_node("Where", ["over", "least", "y"], ["valid"]),
        helper.make_node("ReduceMax", ["valid"], ["most"], axes=[0], keepdims=0),  # [D, B, H]
        helper.make_node("Transpose", ["most"], ["rows"], perm=[1, 0, 2]),
        helper.make_node("Flatten", ["rows"], ["pooled"]),
        helper.make_node("Gemm", ["pooled", "head", "head_bias"], ["logits"], transB=1),
    ]
    constants = {
        **layer_constants(job, arrays),
        **{name: arrays[name] for name in ("table", "head", "head_bias")},
        "padding": np.array(work.PADDING, np.int64),
        "axes": np.array([1, 3], np.int64),
        "least": np.array(-1e9, np.float32),
    }
    inputs = {"ids": (TensorProto.INT64, ["T", "B"])}
    if lengths:
        inputs["lengths"] = (TensorProto.INT32, ["B"])
    return serialise(nodes, inputs, {"logits": (TensorProto.FLOAT, ["B", 2])}, constants)


def step(job: Job, arrays: dict[str, Array]) -> bytes:
    """Build one LSTM step of B sequences: ``x [1, B, C]``, ``h`` and ``c [1, B, H]``."""
    B = arrays["steps"].shape[1]
    node = helper.make_node("LSTM", ["x", "W", "R", "B", "", "h", "c"], ["", "hn", "cn"], hidden_size=job.hidden)
    state = (TensorProto.FLOAT, [1, B, job.hidden])
    inputs = {"x": (TensorProto.FLOAT, [1, B, job.inputs]), "h": state, "c": state}
    return serialise([node], inputs, {"hn": state, "cn": state}, layer_constants(job, arrays))


def layer_constants(job: Job, arrays: dict[str, Array]) -> dict[str, Array]:
    def stacked(name: str) -> Array:
        return np.stack([reorder(arrays[name + suffix]) for suffix in work.suffixes(job)])

    return {"W": stacked("w_ih"), "R": stacked("w_hh"), "B": np.concatenate([stacked("b_ih"), stacked("b_hh")], axis=1)}


def reorder(gates: Array) -> Array:
    parts = np.split(gates, 4)
    return np.concatenate([parts[place] for place in ORDER])


def serialise(nodes: list[Any], inputs: dict[str, Any], outputs: dict[str, Any], constants: dict[str, Array]) -> bytes:
    graph = helper.make_graph(
        nodes,
        "benchmark",
        [helper.make_tensor_value_info(name, *what) for name, what in inputs.items()],
        [helper.make_tensor_value_info(name, *what) for name, what in outputs.items()],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    opset = [helper.make_opsetid("", OPSET)]
    content: bytes = helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION).SerializeToString()
    return content
