"""Writes nodes that read images into an ONNX graph. Knows their arithmetic, not what a model is for.

Inside the graph images lie as [H, W, B, F], so that a line of all images is a batch of sequences as recurrent nodes of
ONNX have it. Every side is one at least, since those nodes end the process where there is no step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tidegate.network import Flatten, Fold, Recurrent, Scan2d, Unflatten

if TYPE_CHECKING:
    from tidegate.export.graph import Graph


@dataclass(frozen=True)
class Pixels:
    """Name images and their sizes.

    rows: [H, W, B, F].
    heights, widths: [B] int32.
    """

    rows: str
    heights: str
    widths: str

    def with_rows(self, rows: str) -> Pixels:
        """Return other features of the same cells."""
        return Pixels(rows, self.heights, self.widths)


Scan = Callable[[Recurrent, str, str, str, str], str]
"""Runs a layer over [T, L, F]: takes its node, the name of its weights, rows, lengths [L] int32 and T as [1] int64."""


@dataclass(frozen=True)
class ScanWriter:
    """Write what nodes make of images into a graph."""

    graph: Graph

    def write(
        self,
        node: Fold | Scan2d | Flatten | Unflatten,
        name: str,
        read: Pixels | tuple[str, str],
        width: int,
        recur: Scan,
    ) -> Pixels | tuple[str, str, str]:
        """Write a node; it reads images, or rows [T, B, F] and lengths [B], and gives rows of so many features.

        Gives images, or rows [T, B, F], lengths [B] int32 and the number of steps [1] int64.
        """
        if isinstance(node, Unflatten):
            assert isinstance(read, tuple), "the network was checked: it reads sequences"
            return self.unflatten(node, *read)
        assert isinstance(read, Pixels), "the network was checked: cells of images come"
        if isinstance(node, Fold):
            return self.fold(node, read, width // (node.block[0] * node.block[1]))
        if isinstance(node, Flatten):
            return self.flatten(node, read, width // (node.cells or 1))
        for axis, layer in node.passes.items():
            read = self.scan(axis, layer, f"{name}.{axis}", read, recur)
        return read

    def mask(self, images: Pixels) -> str:
        """Say which cells belong to their image, [H, W, B, 1]."""
        graph = self.graph
        down = self._within(images.rows, 0, images.heights)  # [H, B]
        across = self._within(images.rows, 1, images.widths)  # [W, B]
        both = graph.add("And", graph.unsqueeze(down, 1), graph.unsqueeze(across, 0))
        return graph.unsqueeze(both, 3)

    def count(self, images: Pixels) -> str:
        """Count the cells of each image, [B] int64."""
        sides = (self.graph.cast(side, np.int64) for side in (images.heights, images.widths))
        return self.graph.add("Mul", *sides)

    def unflatten(self, node: Unflatten, rows: str, lengths: str) -> Pixels:
        """Make images of rows [T, B, F]."""
        graph = self.graph
        apart = graph.reshape(rows, 0, 0, node.cells, node.features)
        cells = graph.add("Expand", graph.constant([node.cells], np.int32), graph.size(lengths, 0))
        if node.axis == "x":
            return Pixels(graph.add("Transpose", apart, perm=[2, 0, 1, 3]), cells, lengths)
        return Pixels(graph.add("Transpose", apart, perm=[0, 2, 1, 3]), lengths, cells)

    def fold(self, node: Fold, images: Pixels, features: int) -> Pixels:
        """Put the cells of blocks of `features` each side by side, zeros where an image has ended."""
        graph, (rows, columns) = self.graph, node.block
        clean = graph.add("Where", self.mask(images), images.rows, graph.constant(0.0, np.float32))
        for axis, side in ((0, rows), (1, columns)):
            clean = self._filled(clean, axis, side)
        shape = graph.shape(
            self._ceiled(graph.size(images.rows, 0), rows),
            rows,
            self._ceiled(graph.size(images.rows, 1), columns),
            columns,
            graph.size(images.rows, 2),
            features,
        )
        apart = graph.add("Transpose", graph.add("Reshape", clean, shape), perm=[0, 2, 4, 1, 3, 5])
        blocks = graph.reshape(apart, 0, 0, 0, rows * columns * features)
        sides = zip((images.heights, images.widths), (rows, columns), strict=True)
        sizes = (graph.cast(self._ceiled(graph.cast(side, np.int64), block), np.int32) for side, block in sides)
        return Pixels(blocks, *sizes)

    def scan(self, axis: str, layer: Recurrent, name: str, images: Pixels, recur: Scan) -> Pixels:
        """Run a layer over each row, or each column, of all images."""
        graph = self.graph
        along, lines = (1, 0) if axis == "rows" else (0, 1)
        there = [1, 0, 2, 3] if axis == "rows" else [0, 1, 2, 3]  # to [T, lines, B, F]
        turned = graph.add("Transpose", images.rows, perm=there)
        time, count, batch = (graph.size(images.rows, number) for number in (along, lines, 2))
        sequences = graph.add("Mul", count, batch)
        x = graph.add("Reshape", turned, graph.shape(time, sequences, layer.input_size))
        own = images.widths if axis == "rows" else images.heights
        each = graph.add("Expand", graph.unsqueeze(own, 0), graph.shape(count, batch))
        y = recur(layer, name, x, graph.reshape(each, -1), time)
        apart = graph.add("Reshape", y, graph.shape(time, count, batch, layer.output_size))
        return images.with_rows(graph.add("Transpose", apart, perm=there))

    def flatten(self, node: Flatten, images: Pixels, features: int) -> tuple[str, str, str]:
        """Make sequences over one axis: rows [T, B, F'], lengths [B] int32, and the number of steps [1] int64."""
        graph = self.graph
        zero = graph.constant(0.0, np.float32)
        mask, rows = self.mask(images), graph.add("Where", self.mask(images), images.rows, zero)
        lengths, across = images.widths, images.heights
        if node.axis == "y":
            lengths, across = across, lengths
        else:
            rows, mask = (graph.add("Transpose", value, perm=[1, 0, 2, 3]) for value in (rows, mask))
        if node.mode == "last":  # [T, across, B, F]
            number = graph.add(
                "Range",
                graph.constant(0, np.int64),
                graph.add("Squeeze", graph.size(rows, 1)),
                graph.constant(1, np.int64),
            )
            last = graph.add("Sub", graph.cast(across, np.int64), graph.integers(1))
            chosen = graph.add("Equal", graph.unsqueeze(number, 1), graph.unsqueeze(last, 0))  # [across, B]
            rows = graph.add("Where", graph.unsqueeze(graph.unsqueeze(chosen, 0), 3), rows, zero)
        if node.cells is not None:
            rows = graph.slice(self._filled(rows, 1, node.cells), 1, 0, node.cells)
            flat = graph.add("Transpose", rows, perm=[0, 2, 1, 3])
            flat = graph.reshape(flat, 0, 0, node.cells * features)
        else:
            flat = graph.add("ReduceSum", rows, graph.integers(1), keepdims=0)
        return flat, lengths, graph.size(flat, 0)

    def as_steps(self, images: Pixels) -> tuple[str, str]:
        """Give all cells as steps [H * W, B, F], and say which belong to their image, [H * W, B, 1]."""
        graph = self.graph
        size = graph.add("Mul", graph.size(images.rows, 0), graph.size(images.rows, 1))
        batch = graph.size(images.rows, 2)
        rows = graph.add("Reshape", images.rows, graph.shape(size, batch, graph.size(images.rows, 3)))
        return rows, graph.add("Reshape", self.mask(images), graph.shape(size, batch, 1))

    def _within(self, rows: str, axis: int, sides: str) -> str:
        graph = self.graph
        number = graph.add(
            "Range",
            graph.constant(0, np.int64),
            graph.add("Squeeze", graph.size(rows, axis)),
            graph.constant(1, np.int64),
        )
        return graph.add("Less", graph.unsqueeze(number, 1), graph.unsqueeze(graph.cast(sides, np.int64), 0))

    def _filled(self, rows: str, axis: int, side: int) -> str:
        """Put zeros behind an axis up to the next multiple of a side."""
        graph = self.graph
        size = graph.size(rows, axis)
        lacking = graph.add("Sub", graph.add("Mul", self._ceiled(size, side), graph.integers(side)), size)
        shape = graph.shape(*(lacking if number == axis else graph.size(rows, number) for number in range(4)))
        return graph.add("Concat", rows, graph.zeros(shape, np.float32), axis=axis)

    def _ceiled(self, count: str, side: int) -> str:
        graph = self.graph
        return graph.add("Div", graph.add("Add", count, graph.integers(side - 1)), graph.integers(side))
