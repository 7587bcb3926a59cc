"""Cells of grids in ONNX, as ONNX Runtime computes them, beside the kernels over many sizes."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest

import grids
from tidegate.cells import GRID_CELLS
from tidegate.export.graph import Graph
from tidegate.export.waves import Stack, write_waves
from tidegate.grid import Grid
from tidegate.nodes.waves import CORNERS, Waves, merged


def exported(node: Waves, parameters: dict[str, Any]) -> onnxruntime.InferenceSession:
    graph = Graph()
    features = [
        graph.input(name, np.float32, ["h", "w", "B", size]) for name, size in (("x", node.input_size), ("in", 1))
    ]
    sizes = [graph.input(name, np.int64, ["B"]) for name in ("heights", "widths")]
    found = write_waves(graph, node, parameters, "layer", Stack(*features, *sizes))
    graph.output("y", found, np.float32, ["h", "w", "B", node.output_size])
    model = graph.model("waves", doc="", producer="", about={})
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("cell", GRID_CELLS)
@pytest.mark.parametrize(("directions", "merge"), [(1, "concat"), (2, "mul"), (4, "concat"), (4, "ave"), (4, "sum")])
def test_onnx_runtime_gives_what_the_kernels_give(cell: str, directions: int, merge: str) -> None:
    node = Waves(cell=cell, input_size=3, hidden_size=6, directions=directions, merge=merge)  # type: ignore[arg-type]
    session = None
    for seed, sizes in enumerate([[(1, 1)], [(3, 5)], [(7, 2), (1, 1), (4, 4)], [(1, 9)], [(8, 1)], [(2, 3), (0, 2)]]):
        images = grids.make(cell, sizes, 3, 6, directions=directions)
        if session is None:
            w = images.weights()
            session = exported(
                node,
                {
                    f"{CORNERS[d]}.{name}": np.asarray(array, np.float32)
                    for d in range(directions)
                    for name, array in zip(
                        ("weight_ih", "weight_x", "weight_y", "bias"), vars(w[d]).values(), strict=True
                    )
                },
            )
            parameters = images.parameters
        again = grids.make(cell, sizes, 3, 6, directions=directions, seed=seed + 1)
        images = grids.Images(cell, again.x, again.sizes, parameters, again.dh, 6, directions)
        want = merged(merge, images.run()["h"], directions)
        grid = Grid(images.x, *(np.ascontiguousarray(side) for side in images.sizes.T))
        padded, _ = grid.to_padded(fill=9.0)
        inside, _ = grid.with_values(np.ones((len(images.x), 1), np.float32)).to_padded()
        heights, widths = np.maximum(images.sizes, 1).T
        given = {
            "x": padded.transpose(1, 2, 0, 3),
            "in": inside.transpose(1, 2, 0, 3),
            "heights": heights,
            "widths": widths,
        }
        (y,) = session.run(None, {name: np.ascontiguousarray(array) for name, array in given.items()})
        got = Grid.from_padded(y.transpose(2, 0, 1, 3), images.sizes).values
        np.testing.assert_allclose(got, want, atol=2e-5)
