"""Writes cells of grids into an ONNX graph. Knows images as padded stacks, and not what stands around them.

Rows of an image are moved to the right, each by one cell more than the row above, so that a diagonal becomes a column.
A `Scan` goes over these columns with the states of all rows; the neighbour above is the state of the row before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.export.scans import Pixels, ScanWriter
from tidegate.nodes.waves import CORNERS, MOST_STATE, Waves

if TYPE_CHECKING:
    from tidegate.export.graph import Graph

Weights: TypeAlias = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Stack:
    """Name what says where images are.

    rows: [h, w, B, F].
    inside: [h, w, B, 1] float32, 1 where a cell belongs to its image, else 0.
    heights, widths: [B] int64, but at least 1.
    """

    rows: str
    inside: str
    heights: str
    widths: str


def scan_pixels(graph: Graph, node: Waves, weights: Weights, label: str, images: Pixels) -> Pixels:
    """Write a layer of cells of grids over images; see `write_waves`."""
    one, inside = graph.integers(1), graph.cast(ScanWriter(graph).mask(images), np.float32)
    sides = (graph.add("Max", graph.cast(side, np.int64), one) for side in (images.heights, images.widths))
    return images.with_rows(write_waves(graph, node, weights, label, Stack(images.rows, inside, *sides)))


def write_waves(graph: Graph, node: Waves, weights: Weights, label: str, stack: Stack) -> str:
    """Write a layer of cells of grids; return its outputs, [h, w, B, F], zeros outside of images.

    Args:
        graph: what is written to.
        node: the layer.
        weights: its parameters, by their names in the layer.
        label: what the names of its weights begin with.
        stack: what it reads.
    """
    outputs = []
    for d, corner in enumerate(CORNERS[: node.directions]):
        named = {name: weights[f"{corner}.{name}"] for name in ("weight_ih", "weight_x", "weight_y", "bias")}
        own = f"{label}_{corner}"
        matrices = [
            graph.weight(f"{own}_{name}", named[name] if name == "bias" else named[name].T)
            for name in ("weight_ih", "weight_x", "weight_y", "bias")
        ]
        outputs.append(_direction(graph, node, own, matrices, stack, across=bool(d & 1), down=bool(d & 2)))
    if node.merge == "concat" or node.directions == 1:
        return outputs[0] if len(outputs) == 1 else graph.add("Concat", *outputs, axis=3)
    merged = outputs[0]
    for other in outputs[1:]:
        merged = graph.add("Mul" if node.merge == "mul" else "Add", merged, other)
    if node.merge == "ave":
        merged = graph.add("Div", merged, graph.constant(node.directions, np.float32))
    return merged


def _direction(
    graph: Graph, node: Waves, label: str, matrices: list[str], stack: Stack, *, across: bool, down: bool
) -> str:
    w_ih, w_x, w_y, bias = matrices
    rows = _turned(graph, stack.rows, stack, across=across, down=down)
    projected = graph.add("Add", graph.add("MatMul", rows, w_ih), bias)  # [h, w, B, 5H]
    height, width = graph.size(rows, 0), graph.size(rows, 1)
    skewed = graph.add("Transpose", _skewed(graph, projected, height, width), perm=[1, 0, 2, 3])
    live = graph.add("Transpose", _skewed(graph, stack.inside, height, width), perm=[1, 0, 2, 3])
    start = graph.zeros(graph.shape(height, graph.size(rows, 2), node.hidden_size), np.float32)
    above = graph.zeros(graph.shape(1, graph.size(rows, 2), node.hidden_size), np.float32)
    body = _body(graph, node, label, w_x, w_y, above)
    *_, found = graph.add_several("Scan", [start, start, skewed, live], 3, body=body, num_scan_inputs=2)
    back = _straight(graph, graph.add("Transpose", found, perm=[1, 0, 2, 3]), height, width)
    return _turned(graph, back, stack, across=across, down=down)


def _turned(graph: Graph, rows: str, stack: Stack, *, across: bool, down: bool) -> str:
    """Mirror each image in its own size; what lies outside stays there."""
    if across:  # both axes before the batch become one, as the operator wants time and batch beside each other
        rows = _reversed(graph, rows, stack.widths, perm=[1, 2, 0, 3])
    if down:
        rows = _reversed(graph, rows, stack.heights, perm=[0, 2, 1, 3])
    return rows


def _reversed(graph: Graph, rows: str, lengths: str, perm: list[int]) -> str:
    first = graph.add("Transpose", rows, perm=perm)  # [time, B, other, F]
    turned = graph.add("ReverseSequence", first, lengths, time_axis=0, batch_axis=1)
    return graph.add("Transpose", turned, perm=np.argsort(perm).tolist())


def _skewed(graph: Graph, values: str, height: str, width: str) -> str:
    """Move row r by r cells to the right: [h, w, B, F] -> [h, h + w - 1, B, F], zeros around."""
    batch, features = graph.size(values, 2), graph.size(values, 3)
    zeros = graph.zeros(graph.shape(height, height, batch, features), np.float32)
    wide = graph.add("Concat", values, zeros, axis=1)  # [h, w + h, B, F]
    columns = graph.add("Add", height, width)
    flat = graph.add("Reshape", wide, graph.shape(graph.add("Mul", height, columns), batch, features))
    fewer = graph.add("Sub", columns, graph.integers(1))
    flat = graph.slice(flat, 0, 0, graph.add("Mul", height, fewer))
    return graph.add("Reshape", flat, graph.shape(height, fewer, batch, features))


def _straight(graph: Graph, values: str, height: str, width: str) -> str:
    """Move the rows back: [h, h + w - 1, B, F] -> [h, w, B, F]."""
    batch, features = graph.size(values, 2), graph.size(values, 3)
    columns = graph.add("Add", height, width)
    fewer = graph.add("Sub", columns, graph.integers(1))
    flat = graph.add("Reshape", values, graph.shape(graph.add("Mul", height, fewer), batch, features))
    flat = graph.add("Concat", flat, graph.zeros(graph.shape(height, batch, features), np.float32), axis=0)
    wide = graph.add("Reshape", flat, graph.shape(height, columns, batch, features))
    return graph.slice(wide, 1, 0, width)


def _body(graph: Graph, node: Waves, label: str, w_x: str, w_y: str, above: str) -> Any:
    """Write a step of all rows: states h, c and the sums of a column, [h, B, H or 5H] -> h, c and h."""
    H, made = node.hidden_size, list[tuple[str, tuple[str, ...], str, dict[str, Any]]]()

    def add(op: str, *inputs: str, to: str = "", **attributes: Any) -> str:
        output = f"{label}_step_{to or len(made)}"
        made.append((op, inputs, output, attributes))
        return output

    def part(values: str, axis: int, first: int, last: int) -> str:
        return add("Slice", values, *(graph.integers(number) for number in (first, last, axis)))

    h, c, x, live = (f"{label}_step_{name}" for name in ("h_before", "c_before", "x", "live"))
    h_y, c_y = (part(add("Concat", above, state, axis=0), 0, 0, -1) for state in (h, c))
    sums = add("Add", add("Add", x, add("MatMul", h, w_x)), add("MatMul", h_y, w_y))
    i, a, b, o = (add("Sigmoid", part(sums, 2, gate * H, (gate + 1) * H)) for gate in (0, 1, 2, 4))
    new = add("Mul", i, add("Tanh", part(sums, 2, 3 * H, 4 * H)))
    if node.cell == "stable":  # a * (c_y + b * (c - c_y))
        before = add("Mul", a, add("Add", c_y, add("Mul", b, add("Sub", c, c_y))))
        state = add("Add", before, new)
    else:
        state = add("Add", add("Add", add("Mul", a, c), add("Mul", b, c_y)), new)
        state = add("Clip", state, *(graph.constant(most, np.float32) for most in (-MOST_STATE, MOST_STATE)))
    c_after = add("Mul", state, live, to="c")
    h_after = add("Mul", add("Mul", o, add("Tanh", state)), live, to="h")
    output = add("Identity", h_after, to="output")
    return graph.body(f"{label}_step", made, {h: H, c: H, x: 5 * H, live: 1}, {h_after: H, c_after: H, output: H})
