"""Writes each node of a network into an ONNX graph. Knows the arithmetic of nodes, not what a model is for.

Inside the graph time comes first, [T, B, F], as recurrent nodes of ONNX have it. The lengths of sequences are told to
these nodes, but nothing rests on that, since not every runtime minds them: sequences begin at step 0, for the second
direction they are turned round one by one, and final states are picked at their last steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.cells import CELLS
from tidegate.export.gates import ACTIVATION, arranged, attributes_of, operator_of, shut
from tidegate.export.scans import Pixels, ScanWriter
from tidegate.export.waves import scan_pixels
from tidegate.network import (
    Decode,
    Dense,
    Embed,
    Flatten,
    Fold,
    Join,
    Node,
    Pool,
    Recurrent,
    Scan2d,
    Spectrogram,
    Spell,
    Split,
    Tied,
    Unflatten,
    Wide,
    Window,
)
from tidegate.nodes.part import rows_of, sources_of
from tidegate.nodes.spectrogram import FLOOR

if TYPE_CHECKING:
    from tidegate.export.graph import Graph

Array: TypeAlias = npt.NDArray[Any]
State: TypeAlias = tuple[str, str | None]
"""[1, B, H] hidden state, and the cell state of a cell that carries one."""


@dataclass(frozen=True)
class Steps:
    """Name what says which steps there are.

    lengths: [B] int32.
    within: [T, B], whether a step belongs to its sequence.
    mask: [T, B, 1], the same.
    some: [B, 1], whether a sequence has any step.
    ends: [B, 2] int64, the last step of each sequence and the number of the sequence.
    turns: [B] int64, how many steps the second direction turns round: the length, or 1.
    """

    lengths: str
    within: str
    mask: str
    some: str
    ends: str
    turns: str


@dataclass(frozen=True)
class Flow:
    """Name what passes from node to node.

    rows: [T, B, F], [T, B] token ids, or [B, F] once pooled.
    steps: which steps there are; None once pooled.
    final: [B, F], the final state where they come from a recurrent node.
    states: of each layer and direction of it.
    images: the cells of images, in whose place there are no rows and no steps.
    beside: [T, B, D], the numbers beside the tokens, where there are any.
    features: of what the network reads: what is known of each sequence as a whole, ids and values [B, M].
    """

    rows: str
    steps: Steps | None
    final: str | None = None
    states: tuple[State, ...] = ()
    images: Pixels | None = None
    beside: str | None = None
    features: tuple[str, str] | None = None

    @property
    def values(self) -> str:
        """Name the rows, or the cells of images."""
        return self.rows if self.images is None else self.images.rows

    def of(self, values: str) -> Flow:
        """Return other features of the same rows or cells."""
        images = None if self.images is None else self.images.with_rows(values)
        return Flow("" if images else values, self.steps, images=images)


def steps_of(graph: Graph, lengths: str, time: str) -> Steps:
    """Derive from lengths [B] int32, and the number of steps [1] int64, which steps there are."""
    wide = graph.cast(lengths, np.int64)
    one = graph.constant(1, np.int64)
    count = graph.add("Range", graph.constant(0, np.int64), graph.add("Squeeze", time), one)  # [T]
    within = graph.add("Less", graph.unsqueeze(count, 1), graph.unsqueeze(wide, 0))  # [T, B]
    turns = graph.add("Max", wide, graph.integers(1))
    last = graph.add("Sub", turns, graph.integers(1))
    number = graph.add("Range", graph.constant(0, np.int64), graph.add("Squeeze", graph.size(lengths, 0)), one)
    return Steps(
        lengths=lengths,
        within=within,
        mask=graph.unsqueeze(within, 2),
        some=graph.unsqueeze(graph.add("Greater", wide, graph.integers(0)), 1),
        ends=graph.add("Concat", graph.unsqueeze(last, 1), graph.unsqueeze(number, 1), axis=1),
        turns=turns,
    )


@dataclass(frozen=True)
class NodeWriter:
    """Write nodes into a graph; `weights` are those of `network.parameter_shapes`, float32."""

    graph: Graph
    weights: Mapping[str, Array]

    def write(
        self, nodes: Sequence[Node], flow: Flow, starts: Mapping[int, tuple[State, ...]], prefix: str = ""
    ) -> tuple[Flow, dict[int, tuple[State, ...]]]:
        """Write nodes in their order; return what leaves the last, and the final states of recurrent ones.

        Args:
            nodes: those of a network. A `Spell` at its beginning is written by `spell`.
            flow: what enters the first.
            starts: with what recurrent nodes begin, by their index; with zeros where it is missing.
            prefix: what stands before the names of their weights.
        """
        flows, reads = {-1: flow}, sources_of(nodes)
        for index in range(len(nodes)):
            read = [replace(flows[source], features=flow.features) for source in reads[index]]
            flows[index] = self.make(nodes, index, read, starts.get(index, ()), prefix)
        ends = {index: flows[index].states for index, node in enumerate(nodes) if isinstance(node, Recurrent)}
        return flows[len(nodes) - 1], ends

    def make(
        self, nodes: Sequence[Node], index: int, reads: Sequence[Flow], start: tuple[State, ...] = (), prefix: str = ""
    ) -> Flow:
        """Write one node of a network; see `write`.

        Args:
            nodes: of the network.
            index: of the node.
            reads: what it reads.
            start: what a recurrent one begins with; zeros where it is empty.
            prefix: what stands before the name of its weights.
        """
        node, name, read = nodes[index], f"{prefix}{index}", reads[0]
        sources = [source for source, *_ in sources_of(nodes)]
        match node:
            case Recurrent():
                decoded = any(isinstance(nodes[at], Decode) and source == index for at, source in enumerate(sources))
                return self._recur(node, name, read, start, holds=bool(start) or decoded)
            case Decode():
                before = nodes[sources[index]]
                assert isinstance(before, Recurrent), "the network was checked"
                return self._decode(node, name, read, before, f"{prefix}{sources[index]}")
            case Embed():
                rows = self.graph.add("Gather", self._weight(f"{name}.weight"), read.rows)
                beside = [] if read.beside is None else [read.beside]
                return replace(read, rows=_joined(self.graph, [rows, *beside], "concat"))
            case Fold() | Scan2d() | Flatten() | Unflatten():
                return self._see(node, name, read, rows_of(nodes)[index].width or 0)
            case Pool():
                return Flow(self._pool(node, read), None)
            case Join():
                return read.of(_joined(self.graph, [flow.values for flow in reads], "concat"))
            case Dense() | Tied():
                return read.of(self._multiply(node, name, read.values))
            case Wide():
                return Flow(self._widen(name, read.rows, read.features), None)
            case Split():
                return self._split(node, read)
            case Window():
                return self._frame(node.width, node.stride, read)
            case Spectrogram():
                return self._listen(node, name, read)
        return read  # what is written already, is for whoever looks for paths, or for training alone

    def spell(self, node: Spell, words: str, spelling: str, characters: Flow) -> str:
        """Put the row of each word beside what its characters say.

        Args:
            node: the first of a network.
            words: [T, B] ids.
            spelling: [T, B], which spelling each word has.
            characters: ids [M, U] of the characters of U spellings.
        """
        known = self.graph.add("Gather", self._weight("0.words.weight"), words)
        spelled, _ = self.write(node.characters, characters, {}, "0.characters.")
        return self.graph.add("Concat", known, self.graph.add("Gather", spelled.rows, spelling), axis=2)

    def _weight(self, name: str) -> str:
        return self.graph.weight(_identifier(name), self.weights[name])

    def _recur(self, node: Recurrent, name: str, flow: Flow, start: tuple[State, ...], *, holds: bool) -> Flow:
        x, states = flow.rows, list[State]()
        begins = iter(start)
        outputs: list[str] = []
        for layer in range(node.num_layers):
            outputs = []
            for suffix in node.suffixes(layer):
                y, state = self._direction(node, name, suffix, x, flow.steps, next(begins, None), holds=holds)
                outputs.append(y)
                states.append(state)
            x = _joined(self.graph, outputs, "concat")
        final = [self.graph.add("Squeeze", h, self.graph.integers(0)) for h, _ in states[-node.num_directions :]]
        merged = x if node.merge == "concat" else _joined(self.graph, outputs, node.merge)
        final_state = _joined(self.graph, final, node.merge)
        return Flow(merged, flow.steps, final_state, tuple(states))

    def _direction(
        self, node: Recurrent, name: str, suffix: str, x: str, steps: Steps | None, start: State | None, *, holds: bool
    ) -> tuple[str, State]:
        """Write one direction of one layer: its outputs [T, B, H] and its final state.

        Where the cell state is wanted (`holds`), the steps behind the end of a sequence are marked in a feature of
        their own, which shuts the input gate and opens the forget gate: the cell state stays as it is, also in a
        runtime that does not mind lengths.
        """
        graph, back = self.graph, node.reverse or suffix.endswith("_reverse")
        w_ih, w_hh, bias = arranged(self.weights, node, name, suffix)
        turn = {"batch_axis": 1, "time_axis": 0}
        if back and steps is not None:
            x = graph.add("ReverseSequence", x, steps.turns, **turn)
        cell, label, held = CELLS[node.cell], f"{_identifier(name)}{suffix}", ""
        if cell.carries_c and holds and steps is not None:
            past = graph.cast(graph.add("Not", steps.mask), np.float32)  # [T, B, 1]
            x, w_ih = graph.add("Concat", x, past, axis=2), np.append(w_ih, shut(node), axis=2)
            held = "_held"
        inputs = [x, graph.weight(f"W_{label}{held}", w_ih), graph.weight(f"R_{label}", w_hh)]
        inputs += ["" if bias is None else graph.weight(f"B_{label}", bias), "" if steps is None else steps.lengths]
        inputs += [state for state in start or () if state is not None]
        y, h, *c = graph.add_several(operator_of(node).name, inputs, 1 + len(cell.states), **attributes_of(node))
        y = graph.add("Squeeze", y, graph.integers(1))  # [T, B, H]
        state = (h, c[0] if c else None)
        if steps is not None:
            state = self._final(steps, y, state, start)
            y = graph.add("ReverseSequence", y, steps.turns, **turn) if back else y
        return y, state

    def _final(self, steps: Steps, y: str, state: State, start: State | None) -> State:
        """Pick the state after the last step of each sequence; one without steps keeps what it began with."""
        graph, cell = self.graph, state[1]
        zero = graph.constant(0.0, np.float32)
        h0, c0 = start or (zero, zero)
        last = graph.unsqueeze(graph.add("GatherND", y, steps.ends), 0)  # [1, B, H]
        h = graph.add("Where", steps.some, last, h0)
        return h, None if cell is None else graph.add("Where", steps.some, cell, c0 or zero)

    def _decode(self, node: Decode, name: str, flow: Flow, before: Recurrent, weights_of: str) -> Flow:
        graph = self.graph
        table = self.weights[f"{name}.position"]  # [channels * steps, size]
        if node.channel_size:
            channel = np.repeat(self.weights[f"{name}.channel"], node.steps, axis=0)
            table = np.concatenate([np.tile(table, (node.channels, 1)), channel], axis=1)
        hidden = flow.states[0][0]
        batch = graph.add("Div", graph.size(hidden, 1), graph.integers(node.channels))
        embedded = graph.weight(f"table_{_identifier(name)}", table[None])
        x = graph.add("Expand", embedded, graph.shape(batch, 1, 1))  # [B / channels, channels * steps, size]
        x = graph.reshape(x, 1, -1, node.size)
        start = tuple((self._repeated(h, node.steps), c and self._repeated(c, node.steps)) for h, c in flow.states)
        rows = self._recur(before, weights_of, Flow(x, None), start, holds=False).rows  # [1, B * steps, H]
        rows = graph.add("Transpose", graph.reshape(rows, -1, node.steps, before.hidden_size), perm=[1, 0, 2])
        lengths = graph.add("Expand", graph.constant([node.steps], np.int32), graph.size(hidden, 1))
        return Flow(rows, steps_of(graph, lengths, graph.integers(node.steps)))

    def _repeated(self, state: str, count: int) -> str:
        """Repeat each sequence of a state: [1, B, H] -> [1, B * count, H]."""
        graph = self.graph
        wide = graph.add("Expand", graph.unsqueeze(state, 2), graph.integers(1, 1, count, 1))
        flat = graph.shape(1, graph.add("Mul", graph.size(state, 1), graph.integers(count)), graph.size(state, 2))
        return graph.add("Reshape", wide, flat)

    def _see(self, node: Fold | Scan2d | Flatten | Unflatten, name: str, flow: Flow, width: int) -> Flow:
        """Write a node that reads images, or makes them, and gives so many features."""

        def recur(layer: Recurrent, called: str, x: str, lengths: str, time: str) -> str:
            return self._recur(layer, called, Flow(x, steps_of(self.graph, lengths, time)), (), holds=False).rows

        graph = self.graph
        if isinstance(node, Scan2d) and node.waves and flow.images:
            find = {of: self.weights[f"{name}.{of}"] for of in node.shapes()}
            return Flow("", None, images=scan_pixels(graph, node.waves, find, _identifier(name), flow.images))
        entering = flow.images or (flow.rows, flow.steps.lengths if flow.steps else "")
        made = ScanWriter(graph).write(node, name, entering, width, recur)
        return Flow("", None, images=made) if isinstance(made, Pixels) else Flow(made[0], steps_of(graph, *made[1:]))

    def _pool(self, node: Pool, flow: Flow) -> str:
        if flow.images is not None:
            scans = ScanWriter(self.graph)
            rows, mask = scans.as_steps(flow.images)
            lengths = self.graph.cast(scans.count(flow.images), np.int32)
            steps = steps_of(self.graph, lengths, self.graph.size(rows, 0))
            flow = Flow(rows, replace(steps, mask=mask))
        assert flow.steps is not None, "the network was checked: nothing is pooled twice"
        pooled = [self._pooled(mode, flow, flow.steps) for mode in node.modes]
        return _joined(self.graph, pooled, "concat", axis=1)

    def _pooled(self, mode: str, flow: Flow, steps: Steps) -> str:
        """Pool one mode; a sequence without steps gives zeros, but for the state that `last` began with."""
        graph, rows, zero = self.graph, flow.rows, self.graph.constant(0.0, np.float32)
        if mode == "last":
            assert flow.final is not None, "the network was checked: `last` stands right after a recurrent node"
            return flow.final
        if mode == "first":
            return graph.add("Where", steps.some, graph.add("Gather", rows, graph.constant(0, np.int64)), zero)
        if mode == "max":
            lowest = graph.constant(np.finfo(np.float32).min, np.float32)
            highest = graph.add("ReduceMax", graph.add("Where", steps.mask, rows, lowest), axes=[0], keepdims=0)
            return graph.add("Where", steps.some, highest, zero)
        total = graph.add("ReduceSum", graph.add("Where", steps.mask, rows, zero), graph.integers(0), keepdims=0)
        return graph.add("Div", total, graph.unsqueeze(graph.cast(steps.turns, np.float32), 1))

    def _widen(self, name: str, answer: str, features: tuple[str, str] | None) -> str:
        """Add the rows of the features of each sequence, [B, K], each times its value."""
        graph = self.graph
        assert features is not None, "the network was checked: who ends so reads features"
        ids, values = features
        rows = graph.add("Gather", self._weight(f"{name}.weight"), ids)  # [B, M, K]
        summed = graph.add("MatMul", graph.unsqueeze(values, 1), rows)  # [B, 1, K]
        told = graph.add("Squeeze", summed, graph.integers(1))
        return graph.add("Add", answer, graph.add("Add", told, self._weight(f"{name}.bias")))

    def _multiply(self, node: Dense | Tied, name: str, rows: str) -> str:
        graph = self.graph
        if isinstance(node, Tied):
            matrix = graph.add("Transpose", self._weight("0.weight"), perm=[1, 0])
        else:
            matrix = graph.weight(_identifier(f"{name}.weight"), self.weights[f"{name}.weight"].T)
        out = graph.add("Add", graph.add("MatMul", rows, matrix), self._weight(f"{name}.bias"))
        activation = node.activation if isinstance(node, Dense) else None
        return out if activation is None else graph.add(ACTIVATION[activation], out)

    def _frame(self, width: int, stride: int, flow: Flow) -> Flow:
        """Put rows side by side: [T, B, F] -> [T', B, width * F], zeros behind the end of each sequence."""
        graph, steps = self.graph, flow.steps
        assert steps is not None, "the network was checked: there are steps"
        rows = graph.add("Where", steps.mask, flow.rows, graph.constant(0.0, np.float32))
        time, features = graph.size(rows, 0), graph.size(rows, 2)
        count = self._strided(time, stride)
        reach = graph.add("Add", graph.add("Mul", count, graph.integers(stride)), graph.integers(width))
        lacking = graph.add("Sub", reach, time)
        zeros = graph.zeros(graph.shape(lacking, graph.size(rows, 1), features), np.float32)
        rows = graph.add("Concat", rows, zeros, axis=0)
        zero, one = graph.constant(0, np.int64), graph.constant(1, np.int64)
        begins = graph.add("Mul", graph.add("Range", zero, graph.add("Squeeze", count), one), graph.integers(stride))
        index = graph.add("Add", graph.unsqueeze(begins, 1), graph.constant(np.arange(width)[None], np.int64))
        framed = graph.add("Transpose", graph.add("Gather", rows, index), perm=[0, 2, 1, 3])  # [T', B, width, F]
        wide = graph.add("Mul", features, graph.integers(width))
        shape = graph.shape(count, graph.size(framed, 1), wide)
        lengths = graph.cast(self._strided(graph.cast(steps.lengths, np.int64), stride), np.int32)
        return Flow(graph.add("Reshape", framed, shape), steps_of(graph, lengths, count))

    def _strided(self, count: str, stride: int) -> str:
        graph = self.graph
        return graph.add("Div", graph.add("Add", count, graph.integers(stride - 1)), graph.integers(stride))

    def _listen(self, node: Spectrogram, name: str, flow: Flow) -> Flow:
        """Tell the energy of bands, by the products that our own runtime takes."""
        graph, framed = self.graph, self._frame(node.frame, node.hop, flow)
        basis, mel = (matrix.astype(np.float32) for matrix in node.matrices())
        bins = len(mel)
        spectrum = graph.add("MatMul", framed.rows, graph.weight(f"basis_{_identifier(name)}", basis))
        parts = [graph.slice(spectrum, 2, begin, begin + bins) for begin in (0, bins)]
        power = graph.add("Add", *(graph.add("Mul", part, part) for part in parts))
        energy = graph.add("MatMul", power, graph.weight(f"mel_{_identifier(name)}", mel))
        told = graph.add("Log", graph.add("Add", energy, graph.constant(FLOOR, np.float32)))
        told = graph.add("Sub", told, self._weight(f"{name}.mean"))
        return Flow(graph.add("Mul", told, self._weight(f"{name}.scale")), framed.steps)

    def _split(self, node: Split, flow: Flow) -> Flow:
        graph, own = self.graph, node.channels * node.size
        assert flow.steps is not None, "the network was checked: it comes first"
        parts = [graph.reshape(graph.slice(flow.rows, 2, 0, own), 0, 0, node.channels, node.size)]
        if node.shared:
            shared = graph.unsqueeze(graph.slice(flow.rows, 2, own, own + node.shared), 2)
            parts.append(graph.add("Expand", shared, graph.integers(1, 1, node.channels, 1)))
        rows = _joined(graph, parts, "concat", axis=3)  # [T, B, channels, size + shared]
        time = graph.size(rows, 0)
        rows = graph.add("Reshape", rows, graph.shape(time, -1, node.size + node.shared))
        wide = graph.add("Expand", graph.unsqueeze(flow.steps.lengths, 1), graph.integers(1, node.channels))
        return Flow(rows, steps_of(graph, graph.reshape(wide, -1), time))


def _joined(graph: Graph, parts: Sequence[str], merge: str, axis: int = -1) -> str:
    """Put the directions of a layer together; one alone passes as it is."""
    if len(parts) == 1:
        return parts[0]
    if merge == "concat":
        return graph.add("Concat", *parts, axis=axis)
    first, second = parts
    joined = graph.add("Mul" if merge == "mul" else "Add", first, second)
    return graph.add("Div", joined, graph.constant(2.0, np.float32)) if merge == "ave" else joined


def _identifier(name: str) -> str:
    """Turn the name of a node or weight into one that ONNX calls an identifier.

    >>> _identifier("0.characters.1.weight_ih_l0")
    'n0_characters_1_weight_ih_l0'
    """
    return f"n{name.replace('.', '_')}"
