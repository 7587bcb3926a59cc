"""Writes networks that read pairs into ONNX graphs: what is read of sources once, and a step of their targets.

Knows the arithmetic of attention, and not how the next token is chosen. Other nodes are written by `NodeWriter`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.cells import CELLS
from tidegate.errors import InputError
from tidegate.export.nodes import Flow, NodeWriter, State
from tidegate.network import Attend, Network, Node, Recurrent, Take, Tied
from tidegate.nodes.part import sources_of

if TYPE_CHECKING:
    from tidegate.export.graph import Graph

Array: TypeAlias = npt.NDArray[Any]
States: TypeAlias = Mapping[int, tuple[State, ...]]
"""Of each recurrent node of the target, by its index, the states of its layers."""


@dataclass(frozen=True)
class Memory:
    """Name what a node attends to.

    rows: [B, S, M], zero past the ends.
    keys: [B, K, S], with which queries are compared.
    within: [B, 1, S], whether a row belongs to its source.
    """

    rows: str
    keys: str
    within: str


@dataclass(frozen=True)
class Sides:
    """Say which nodes of a network belong to which side of pairs.

    target: those that depend on the target.
    memories: those of the source to which nodes of the target attend.
    recurrent: those of the target that carry a state.
    """

    target: tuple[int, ...]
    memories: tuple[int, ...]
    recurrent: Mapping[int, Recurrent]

    @classmethod
    def of(cls, network: Network) -> Sides:
        """Part the nodes; raises InputError where a node of the target cannot go token by token."""
        sources, nodes, found = sources_of(network.nodes), network.nodes, set[int]()
        for index, node in enumerate(nodes):
            if (isinstance(node, Take) and node.side == "target") or found & {*sources[index]}:
                found.add(index)
                if not (node.by_row or isinstance(node, Recurrent | Attend | Tied)):
                    raise InputError(f"node {index} ({node.kind}) of the target is not written as a step in ONNX.")
        memories = {sources[index][1] for index in found if isinstance(nodes[index], Attend)}
        recurrent = {index: node for index, node in enumerate(nodes) if index in found and isinstance(node, Recurrent)}
        return cls(tuple(sorted(found)), tuple(sorted(memories)), recurrent)


@dataclass(frozen=True)
class SideWriter:
    """Write the sides of a network that reads pairs; `weights` are those of its parameters, float32."""

    graph: Graph
    network: Network
    weights: Mapping[str, Array]

    @cached_property
    def _sides(self) -> Sides:
        return Sides.of(self.network)

    def encode(self, flow: Flow, batch: str) -> tuple[dict[int, Flow], States]:
        """Write what is read of sources: the rows that are attended to, and the states that targets begin with.

        Args:
            flow: ids [T, B] of the sources.
            batch: [1] int64, how many there are.
        """
        flows, starts = {-1: flow}, dict[int, tuple[State, ...]]()
        for index in range(len(self.network.nodes)):
            if index not in self._sides.target:
                flows[index] = self._make(index, flows, ())
        for index, node in self._sides.recurrent.items():
            if node.starts is None:
                shape = self.graph.shape(1, batch, node.hidden_size)
                zeros = self.graph.zeros(shape, np.float32)
                starts[index] = ((zeros, zeros if CELLS[node.cell].carries_c else None),) * node.num_layers
            else:
                starts[index] = self._cut(node, flows[sources_of(self.network.nodes)[index][1]].rows)
        return {index: flows[index] for index in self._sides.memories}, starts

    def remember(self, memories: Mapping[int, Flow]) -> dict[int, Memory]:
        """Write what does not change from token to token, for each node of the target that attends."""
        attending = [index for index in self._sides.target if isinstance(self.network.nodes[index], Attend)]
        of = sources_of(self.network.nodes)
        return {index: self._remember(index, memories[of[index][1]]) for index in attending}

    def step(
        self, tokens: str, starts: States, memories: Mapping[int, Memory]
    ) -> tuple[str, dict[int, tuple[State, ...]], dict[int, str]]:
        """Write a step of targets: the scores of what comes next, the new states, and how much was attended to.

        Args:
            tokens: [B] int64, those that the targets go on with.
            starts: the states before.
            memories: of `remember`.

        Returns:
            The scores [B, V], the states after, and by the index of each node that attends [B, S].
        """
        graph, sides = self.graph, sources_of(self.network.nodes)
        flows, ends, read = {-1: Flow(graph.unsqueeze(tokens, 0), None)}, dict[int, tuple[State, ...]](), {}
        for index in self._needed:
            if index in memories:
                rows, shares = self._attend(index, flows[sides[index][0]].rows, memories[index])
                flows[index], read[index] = Flow(rows, None), graph.add("Squeeze", shares, graph.integers(1))
            else:
                flows[index] = self._make(index, flows, starts.get(index, ()))
            if index in starts:
                ends[index] = flows[index].states
        return graph.add("Squeeze", flows[index].rows, graph.integers(0)), ends, read

    @property
    def _needed(self) -> list[int]:
        """List the nodes that a step runs: those of the target, and those of both sides that stand before them."""
        sources, found = sources_of(self.network.nodes), {*self._sides.target}
        for index in range(self._sides.target[-1], -1, -1):
            if index in found:
                further = len(self.network.nodes[index].further)
                found |= {*sources[index][: len(sources[index]) - further]}
        return sorted(found - {-1})

    def _make(self, index: int, flows: Mapping[int, Flow], start: tuple[State, ...]) -> Flow:
        """Write one node that stands at the source, at both sides, or that goes row by row."""
        node, sources = self.network.nodes[index], sources_of(self.network.nodes)[index]
        own, further = sources[: len(sources) - len(node.further)], sources[len(sources) - len(node.further) :]
        reads = [flows[source] for source in own]
        if isinstance(node, Attend):
            rows, _ = self._attend(index, reads[0].rows, self._remember(index, flows[further[0]]))
            return Flow(rows, reads[0].steps)
        if isinstance(node, Recurrent) and further and not start:
            start = self._cut(node, flows[further[0]].rows)
        return NodeWriter(self.graph, self.weights).make(self.network.nodes, index, reads, start)

    def _cut(self, node: Recurrent, rows: str) -> tuple[State, ...]:
        """Cut rows [B, start_size] into the states of all layers and directions."""
        graph, size = self.graph, node.hidden_size
        count, carries = node.num_layers * node.num_directions, CELLS[node.cell].carries_c
        parts = [
            graph.unsqueeze(graph.slice(rows, 1, at * size, (at + 1) * size), 0) for at in range(count * (1 + carries))
        ]
        return tuple((parts[at], parts[count + at] if carries else None) for at in range(count))

    def _remember(self, index: int, memory: Flow) -> Memory:
        graph, node = self.graph, self.network.nodes[index]
        assert isinstance(node, Attend)
        assert memory.steps is not None, "the network was checked"
        clean = graph.add("Where", memory.steps.mask, memory.rows, graph.constant(0.0, np.float32))
        rows = graph.add("Transpose", clean, perm=[1, 0, 2])
        keys = rows
        if node.score == "additive":
            keys = graph.add("MatMul", rows, self._weight(index, "weight_k"))
        within = graph.unsqueeze(graph.add("Transpose", memory.steps.within, perm=[1, 0]), 1)
        return Memory(rows, graph.add("Transpose", keys, perm=[0, 2, 1]), within)

    def _attend(self, index: int, queries: str, memory: Memory) -> tuple[str, str]:
        """Compare queries [T, B, Q] with a memory; return the means [T, B, M], and the shares of its rows [B, T, S]."""
        graph, node, zero = self.graph, self.network.nodes[index], self.graph.constant(0.0, np.float32)
        assert isinstance(node, Attend)
        asked = graph.add("Transpose", queries, perm=[1, 0, 2])  # [B, T, Q]
        if node.score == "additive":
            asked = graph.add("MatMul", asked, self._weight(index, "weight_q"))
            asked = graph.unsqueeze(graph.add("Add", asked, self._weight(index, "bias")), 3)  # [B, T, K, 1]
            hidden = graph.add("Tanh", graph.add("Add", asked, graph.unsqueeze(memory.keys, 1)))  # [B, T, K, S]
            told = graph.weight(f"n{index}_v_row", self.weights[f"{index}.v"][None])
            scores = graph.add("Squeeze", graph.add("MatMul", told, hidden), graph.integers(2))
        else:
            if node.score == "general":
                weight = graph.weight(f"n{index}_weight", self.weights[f"{index}.weight"])
                asked = graph.add("MatMul", asked, weight)  # so that memories are read as they are
            scores = graph.add("MatMul", asked, memory.keys)
        lowest = graph.constant(np.finfo(np.float32).min, np.float32)
        shares = graph.add("Softmax", graph.add("Where", memory.within, scores, lowest), axis=-1)
        shares = graph.add("Where", memory.within, shares, zero)  # of an empty source there is nothing to read
        means = graph.add("Transpose", graph.add("MatMul", shares, memory.rows), perm=[1, 0, 2])
        return means, shares

    def _weight(self, index: int, name: str) -> str:
        array = self.weights[f"{index}.{name}"]
        return self.graph.weight(f"n{index}_{name}", array.T if array.ndim > 1 else array)


def read_alone(network: Network, index: int) -> tuple[Network, dict[int, int]]:
    """Make a network of what leads from sources to a node, which reads the source alone.

    Returns:
        The network, and, by the index of a node in the whole, its index there.
    """
    sources, nodes = sources_of(network.nodes), network.nodes
    needed = {index}
    for at in range(index, -1, -1):
        if at in needed:
            needed |= {*sources[at]} - {-1}
    names, made, numbers = {-1: "input"}, list[Node](), dict[int, int]()
    for at in sorted(needed):
        node, read = nodes[at], tuple(names[source] for source in sources[at])
        if isinstance(node, Take):
            names[at] = read[0]
            continue
        names[at], numbers[at] = f"node{at}", len(made)
        own = read[: len(read) - len(node.further)]
        changes: dict[str, Any] = {"name": names[at], "reads": own if node.several else own[0]}
        if node.further:
            changes["memory" if isinstance(node, Attend) else "starts"] = read[-1]
        if isinstance(node, Tied):
            changes["table"] = None
        made.append(node.model_copy(update=changes))
    return Network.of(*made), numbers
