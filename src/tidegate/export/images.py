"""What surrounds a network of images in an exported graph. Does not need the package onnx: a graph is handed in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from tidegate.errors import ShapeError
from tidegate.export.interface import Array, Arrays, Ending, Interface, Json, StateInputs, nudged, scaled
from tidegate.export.nodes import Flow, NodeWriter
from tidegate.export.scans import Pixels, ScanWriter
from tidegate.grid import Grid
from tidegate.kernels import sigmoid, softmax
from tidegate.network import Network
from tidegate.ragged import Ragged
from tidegate.runtime import Executor

if TYPE_CHECKING:
    from tidegate.export.graph import Graph

_BATCHES = (1, 2, 5)
_SIDES = ((1, 1), (1, 9), (8, 1), (7, 12), (28, 28))
_MOST = 2**22  # numbers of a batch


@dataclass(frozen=True, eq=False)
class ImageInterface(Interface):
    """Let a graph read a padded stack of images [batch, height, width, C] and their sizes.

    Inputs are `images` float32, `heights` and `widths` [batch] int32. What lies past a size has no effect, be it no
    number at all. The output is one row of each image where the network pools; where it makes sequences of images,
    [batch, frames, K] and `output_lens`; else the cells, [batch, rows, columns, K], with `output_heights` and
    `output_widths`.

    Args:
        network: what is exported, which reads images.
        weights: its arrays.
        about: what is written besides.
        ending: what is made of the last node: `rows`, `classes` or `labels`.
        scaling: mean and deviation [C] by which cells are brought to the scale of the network.
    """

    network: Network
    weights: Mapping[str, Array]
    about: Json = field(default_factory=dict)
    ending: Ending = "rows"
    scaling: tuple[Array, Array] | None = None

    def write(self, graph: Graph, states: StateInputs) -> None:
        """Write inputs, nodes and outputs."""
        images = graph.input("images", np.float32, ["batch", "height", "width", self.network.input_size])
        heights, widths = (graph.input(name, np.int32, ["batch"]) for name in ("heights", "widths"))
        cells = graph.add("Transpose", images, perm=[1, 2, 0, 3])
        cells = _one_at_least(graph, _one_at_least(graph, cells, 0), 1)
        entering = Pixels(cells, heights, widths)
        zero = graph.constant(0.0, np.float32)
        cells = graph.add("Where", ScanWriter(graph).mask(entering), cells, zero)
        cells = cells if self.scaling is None else scaled(graph, cells, *self.scaling)
        flow = Flow("", None, images=entering.with_rows(cells))
        made, _ = NodeWriter(graph, self.weights).write(self.network.nodes, flow, {})
        self._write_answers(graph, made)

    def draw(self, rng: np.random.Generator, states: StateInputs) -> Iterator[tuple[str, Arrays]]:
        """Draw batches of several sizes, with garbage in the padding."""
        limit = int(self.network.output_size + self.network.input_size)
        for batch in _BATCHES:
            for sides in _SIDES:
                if batch * sides[0] * sides[1] * limit <= _MOST and self._takes(sides):
                    sizes = rng.integers(0, sides, (batch, 2), endpoint=True)
                    sizes[rng.integers(batch)] = sides
                    yield f"{batch} of up to {sides[0]} x {sides[1]}", self._drawn(rng, sizes, sides)
        yield "padded by 3 more", self._drawn(rng, np.array([[2, 1], [0, 4]]), (5, 7))
        yield "nothing but empty ones", self._drawn(rng, np.array([[0, 0], [0, 0]]), (0, 0))

    def expect(self, inputs: Mapping[str, Array], states: StateInputs) -> Arrays:
        """Compute the outputs of the graph for these inputs with our own runtime."""
        return self._expected(inputs, self.weights)

    def rounding(self, inputs: Mapping[str, Array]) -> dict[str, float]:
        """Tell by how much our own answers in float32 differ from those in float64 at most, by output."""
        rng = np.random.default_rng(0)
        wide = {name: array.astype(np.float64) for name, array in self.weights.items()}
        exact, *near = (
            self._expected(inputs, w) for w in (wide, self.weights, *(nudged(self.weights, rng) for _ in range(3)))
        )
        return {n: max(float(np.abs(ours[n] - a).max(initial=0.0)) for ours in near) for n, a in exact.items()}

    def _takes(self, sides: tuple[int, int]) -> bool:
        """Tell whether images may be so large."""
        try:
            self.network.extent(sides[0] * sides[1], height=sides[0], width=sides[1])
        except ShapeError:
            return False
        return True

    def _drawn(self, rng: np.random.Generator, sizes: Array, sides: tuple[int, int]) -> Arrays:
        mean, deviation = (0.0, 1.0) if self.scaling is None else self.scaling
        shape = (len(sizes), *sides, self.network.input_size)
        images = (rng.standard_normal(shape) * deviation + mean).astype(np.float32)
        down, across = np.arange(sides[0]) >= sizes[:, :1], np.arange(sides[1]) >= sizes[:, 1:]
        images[down[:, :, None] | across[:, None, :]] = np.nan
        heights, widths = sizes.T.astype(np.int32)
        return {"images": images, "heights": heights, "widths": widths}

    def _expected(self, inputs: Mapping[str, Array], weights: Mapping[str, Array]) -> Arrays:
        executor = Executor(self.network, weights)
        sizes = np.stack([inputs["heights"], inputs["widths"]], axis=1)
        grid = Grid.from_padded(inputs["images"], sizes)
        if self.scaling is not None:
            mean, deviation = self.scaling
            grid = grid.with_values(((grid.values - mean) / deviation).astype(np.float32))
        rows = executor(grid.with_values(grid.values.astype(executor.dtype)))
        if self.network.pools:
            likely = {"classes": softmax, "labels": sigmoid}.get(self.ending)
            return {self._answer: rows} | ({} if likely is None else {"probabilities": likely(rows)})
        down, across = self._sizes(grid.sizes), self._sizes(np.array([np.maximum(inputs["images"].shape[1:3], 1)]))[0]
        if not self.network.gives[-1].of_images:
            offsets = np.concatenate([[0], np.cumsum(down[:, 0])]).astype(np.int64)
            filled, _ = Ragged(rows, offsets).to_padded()
            out = np.zeros((len(grid), across[0], rows.shape[1]), rows.dtype)
            out[:, : filled.shape[1]] = filled
            return {self._answer: out, "output_lens": down[:, 0].astype(np.int32)}
        filled, _ = Grid(rows, down[:, 0].copy(), down[:, 1].copy()).to_padded()
        out = np.zeros((len(grid), *across, rows.shape[1]), rows.dtype)
        out[:, : filled.shape[1], : filled.shape[2]] = filled
        told = dict(zip(("output_heights", "output_widths"), down.T.astype(np.int32), strict=True))
        return {self._answer: out} | told

    def _sizes(self, sizes: Array) -> Array:
        """Say how large images of these sizes are behind the network, [B, 2]; of sequences, how long, twice."""
        extent = self.network.extent(sizes[:, 0] * sizes[:, 1], height=sizes[:, 0], width=sizes[:, 1])
        sides = (extent.height, extent.width) if self.network.gives[-1].of_images else (extent.rows, extent.rows)
        return np.stack(sides, axis=1)

    def _write_answers(self, graph: Graph, made: Flow) -> None:
        size, zero = self.network.output_size, graph.constant(0.0, np.float32)
        if made.images is not None:
            rows = graph.add("Where", ScanWriter(graph).mask(made.images), made.images.rows, zero)
            rows = graph.add("Transpose", rows, perm=[2, 0, 1, 3])
            graph.output(self._answer, rows, np.float32, ["batch", "rows", "columns", size])
            graph.output("output_heights", made.images.heights, np.int32, ["batch"])
            graph.output("output_widths", made.images.widths, np.int32, ["batch"])
        elif made.steps is not None:
            rows = graph.add("Transpose", graph.add("Where", made.steps.mask, made.rows, zero), perm=[1, 0, 2])
            graph.output(self._answer, rows, np.float32, ["batch", "frames", size])
            graph.output("output_lens", made.steps.lengths, np.int32, ["batch"])
        else:
            graph.output(self._answer, made.rows, np.float32, ["batch", size])
            operator = {"classes": "Softmax", "labels": "Sigmoid"}.get(self.ending)
            if operator is not None:
                graph.output("probabilities", graph.add(operator, made.rows), np.float32, ["batch", size])

    @property
    def _answer(self) -> str:
        return "output" if self.ending == "rows" else "logits"


def _one_at_least(graph: Graph, cells: str, axis: int) -> str:
    """Add a line of zeros where there is none, which no runtime is asked for."""
    lacking = graph.add("Max", graph.add("Sub", graph.integers(1), graph.size(cells, axis)), graph.integers(0))
    shape = graph.shape(*(lacking if number == axis else graph.size(cells, number) for number in range(4)))
    return graph.add("Concat", cells, graph.zeros(shape, np.float32), axis=axis)
