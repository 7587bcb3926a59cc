"""What every node of a network read and gave for one batch, and the way back through it. Knows no losses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.cells import CELLS
from tidegate.engine.compiled import Batch, Compiled
from tidegate.errors import InputError
from tidegate.kernels import Direction, Forward
from tidegate.kernels.checks import empty, expect
from tidegate.network import Dense, Node, Recurrent, Tied
from tidegate.pairs import Pairs

Array: TypeAlias = npt.NDArray[Any]


@dataclass(frozen=True)
class LayerRun:
    """Hold what one layer of a recurrent node read and gave, as `kernels.backward` takes it."""

    cell: str
    x: Array  # [N, C], or [N] token ids
    table: Array | None  # [V, C]
    directions: tuple[Direction, ...]
    out: Forward


@dataclass(frozen=True)
class NodeRun:
    """Hold what one node read and gave."""

    index: int
    node: Node
    reads: tuple[Array, ...]  # [N, F], [N] token ids, or [B, F] once pooled; several of a node that joins
    gave: Array
    layers: tuple[LayerRun, ...]  # of a recurrent node


@dataclass(frozen=True)
class Steps:
    """Hold the gradients of the states that leave each step of a layer: through its output and all that follow."""

    dh: Array  # [D, N, H]
    dc: Array | None  # [D, N, H], of a cell that carries c


@dataclass(frozen=True)
class Passed:
    """Hold what the way back left."""

    layers: tuple[Steps, ...]  # of all layers, the lowest first, where they were asked for
    dx: Array | None  # [N, C], where it was asked for


class Recording:
    """Hold what every node of a network read and gave for one batch, and the output.

    Args:
        compiled: the network, its weights packed to be recorded; nobody else may use it from then on.
        weights: by name.
        batch: what the network reads.
        threads: at most so many.

    Raises:
        ShapeError, InputError: the batch does not fit the network.
    """

    def __init__(self, compiled: Compiled, weights: Mapping[str, Array], batch: Batch, threads: int) -> None:
        self._compiled, self._weights, self._threads = compiled, weights, threads
        self._entered, self._offsets = compiled.enter(batch)
        self._values = self._entered[0] if isinstance(batch, Pairs) else self._entered
        with compiled.naming(batch):
            compiled.program.record(self._entered, self._offsets, threads)
        output = compiled.program.recorded_rows(len(compiled.network.nodes))
        self.output: Array = np.empty((0, compiled.output_size), compiled.kind) if output is None else output

    @cached_property
    def nodes(self) -> tuple[NodeRun, ...]:
        """What every node read and gave; arrays are views of what the core holds, as long as anybody has one."""
        found, network = list[NodeRun](), self._compiled.network
        for index, (node, sources) in enumerate(zip(network.nodes, network.sources, strict=True)):
            reads = tuple(found[source].gave if source >= 0 else self._values for source in sources)
            layers = tuple(self._layers(index, node, sources[0], reads[0])) if isinstance(node, Recurrent) else ()
            gave = self._compiled.program.recorded_rows(index + 1)
            if gave is None:  # rows of a table, which the next node looks up
                gave = self._weights["0.weight"][self._values] if self._compiled.tables else reads[0]
            found.append(NodeRun(index, node, reads, gave, layers))
        return tuple(found)

    def attention(self, index: int) -> list[Array]:
        """Say how much each row of node `index`, an `Attend`, attended to each row of memory: [queries, rows] each.

        One array for each sequence; each row adds up to one.
        """
        weights, begin = self._compiled.program.recorded_attention(index)
        sources = self._compiled.network.sources[index]
        sizes = [np.diff(self._compiled.rows(self._entered, self._offsets, source + 1)) for source in sources]
        parts = zip(np.split(weights, begin[1:-1]) if len(begin) > 1 else [], *sizes, strict=True)
        return [part.reshape(queries, rows) for part, queries, rows in parts]

    def _layers(self, index: int, node: Recurrent, source: int, read: Array) -> Iterator[LayerRun]:
        by_token = self._compiled.program.recorded_rows(source + 1) is None and self._compiled.tables
        x, table = (self._values, self._weights["0.weight"]) if by_token else (read, None)
        for layer in range(node.num_layers):
            h, gates, memo, hn, cn = self._compiled.program.recorded_layer(index, layer)
            out = Forward(h, np.stack(hn), np.stack(cn) if cn else None, gates, memo)
            yield LayerRun(node.cell, x, table, layer_directions(self._weights, node, index, layer), out)
            x, table = h, None

    def back(self, doutput: Array, *, steps: bool = False, need_dx: bool = False, through: int | None = None) -> Passed:
        """Return the gradients of every step, and of the input, given that of the output.

        Follows the order of arithmetic of the kernels, so that the gradients of a sequence do not depend on its batch.

        Args:
            doutput: the gradient of the recorded output, in its shape.
            steps: keep those of every step.
            need_dx: go on to the input `[N, C]`, which must be features.
            through: follow only what flows through this direction, 0 or 1, of the last layer that has two.

        Raises:
            ShapeError: the gradient is not of the shape or type of the output.
            InputError: the gradient of token ids was asked for, or there are no two directions to choose from.
        """
        compiled = self._compiled
        if need_dx and compiled.tables:
            raise InputError("need_dx=True asks for the gradient of the input, but the network reads token ids.")
        doutput = expect("doutput", doutput, self.output.shape, compiled.kind)
        dx = empty(self._values.shape, compiled.kind) if need_dx else None
        nodes = [(index, node) for index, node in enumerate(compiled.network.nodes) if isinstance(node, Recurrent)]
        double = [index for index, node in nodes if node.bidirectional]
        if through is not None and (through not in (0, 1) or not double):
            raise InputError(f"through={through!r:.20}, but 0 or 1, of a layer with two directions, was wanted.")
        found: list[Steps] = []
        for index, node in nodes:
            own = [self._room(index, node) for _ in range(node.num_layers)] if steps else []
            parts = [(one.dh[d], None if one.dc is None else one.dc[d]) for one in own for d in range(len(one.dh))]
            way = through if through is not None and index == double[-1] else -1
            compiled.program.look(index, parts, way)
            found += own
        compiled.program.back(doutput, dx, self._threads)
        return Passed(tuple(found), dx)

    def _room(self, index: int, node: Recurrent) -> Steps:
        rows = self._compiled.program.recorded_rows(index + 1)
        shape = (node.num_directions, len(rows) if rows is not None else 0, node.hidden_size)
        made = [np.zeros(shape, self._compiled.kind) for _ in range(1 + CELLS[node.cell].carries_c)]
        return Steps(made[0], made[1] if len(made) > 1 else None)


def layer_directions(weights: Mapping[str, Array], node: Recurrent, index: int, layer: int) -> tuple[Direction, ...]:
    """Gather what the kernels read of one layer of a node, its directions to begin with zeros."""
    return tuple(
        Direction(
            w_ih=weights[f"{index}.weight_ih{suffix}"],
            w_hh=weights[f"{index}.weight_hh{suffix}"],
            b_ih=weights.get(f"{index}.bias_ih{suffix}"),
            b_hh=weights.get(f"{index}.bias_hh{suffix}"),
            reverse=node.reverse or suffix.endswith("_reverse"),
        )
        for suffix in node.suffixes(layer)
    )


def matrix_name(node: Dense | Tied, index: int) -> str:
    """Name the matrix that an output node multiplies by: its own, or the table of the embedding."""
    return "0.weight" if isinstance(node, Tied) else f"{index}.weight"


def final_state(out: Forward) -> Array:
    """Put the final states of the directions side by side, `[B, D*H]`, as the outputs of a step are."""
    return np.concatenate(list(out.hn), axis=1)


def look_up(ids: Array, table: Array) -> Array:
    """Return the row of the table `[V, C]` that each id `[N]` stands for; raises InputError for an id out of range."""
    size = len(table)
    outside = np.flatnonzero((ids < 0) | (ids >= size))
    if outside.size:
        at = int(outside[0])
        raise InputError(f"token id {ids[at]} at position {at} is out of range; the vocabulary has {size} ids")
    return table[ids]
