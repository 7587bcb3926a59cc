"""Walks the nodes of a network over a ragged batch, each on the compiled kernels, and can keep what each read and gave.

Knows nodes and weights, and nothing of files, of live sequences or of tasks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.errors import InputError, ShapeError
from tidegate.kernels import Direction, Forward, forward, linear, pool
from tidegate.network import (
    Crf,
    Decode,
    Dense,
    Dropout,
    Embed,
    Merge,
    Network,
    Node,
    Pool,
    Recurrent,
    Spell,
    Split,
    Tied,
    check_shapes,
    parameter_shapes,
)
from tidegate.ragged import Ragged
from tidegate.words import Words

Array: TypeAlias = npt.NDArray[Any]

States: TypeAlias = Mapping[str, Array]
"""The state of every recurrent node: `<index>.h`, and `<index>.c` of a cell that carries one, each [L * D, B, H]."""
State: TypeAlias = tuple[Array, Array | None]
"""[B, H] hidden state, and the cell state of a cell that carries one."""


@dataclass(frozen=True)
class Passage:
    """Hold what passes from node to node: rows, and the table that token ids still stand for, if any."""

    rows: Array  # [N, F], [N] token ids, or [B, F] once pooled
    offsets: Array  # [B+1]
    table: Array | None = None  # [V, C] when `rows` holds token ids
    final: Array | None = None  # [B, F] final state when the node before was recurrent
    states: tuple[State, ...] = ()  # of each layer and direction of it, from which `Decode` goes on


@dataclass(frozen=True)
class LayerRun:
    """Hold what the kernels read and gave for one layer of a recurrent node, as `kernels.backward` takes it."""

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
    read: Passage
    gave: Passage
    layers: tuple[LayerRun, ...]  # of a recurrent node


@dataclass(frozen=True)
class Recording:
    """Hold what every node of a network read and gave for one batch, and the output."""

    nodes: tuple[NodeRun, ...]
    output: Array


class Walk:
    """Walk the nodes of a network with given weights; arguments and errors are those of `Executor`."""

    def __init__(self, network: Network, weights: Mapping[str, Array], *, num_threads: int | None = None) -> None:
        check_shapes(network, {name: array.shape for name, array in weights.items()})
        self.network = network
        self.num_threads = num_threads
        self.weights = {name: np.ascontiguousarray(array) for name, array in weights.items()}
        self.dtype = np.result_type(*self.weights.values()) if self.weights else np.dtype(np.float32)

    def __call__(self, x: Ragged | Words) -> Array:
        """Compute the output of the last node: `[B, output_size]` once pooled, else `[N, output_size]`.

        Args:
            x: token ids `[N]` (int32 or int64) for a network that begins with `Embed`, else features `[N, C]` of the
                type of the weights, or `Words` where it begins with `Spell`. Sequences may have length zero, and the
                batch may be empty.

        Raises:
            ShapeError: the values are not of the shape or type that the first node reads.
            InputError: a token id is out of range; position, id and the size of the vocabulary are named.
        """
        return self._walk(x, None)[0]

    def record(self, x: Ragged | Words) -> Recording:
        """Compute what calling the executor does, to the bit, and keep what every node read and gave, gates included.

        Raises as calling it does.
        """
        nodes: list[NodeRun] = []
        output, _ = self._walk(x, nodes)
        return Recording(tuple(nodes), output)

    def advance(self, x: Ragged, states: States) -> tuple[Array, dict[str, Array]]:
        """Compute what enters the last node, `[N, F]`, and the states after the last step of each sequence.

        A sequence that is cut into pieces, each of which begins with the states that the one before left, gives the
        bits of the whole one; `head` is left to the caller, who may want it of some rows alone.

        Args:
            x: as for a call.
            states: what the sequences begin with, as `advance` returned it; zeros for what is not in it.

        Raises:
            ShapeError, InputError: as a call does.
        """
        return self._walk(x, None, states, last=False)

    def run(self, x: Ragged | Words, states: States) -> tuple[Array, dict[str, Array]]:
        """Compute the output of the last node, as a call does, from `states`, and those after the last steps.

        Arguments and errors are those of `advance`.
        """
        return self._walk(x, None, states)

    def head(self, rows: Array) -> Array:
        """Compute the output of the last node, `[., output_size]`, from what enters it."""
        last = len(self.network.nodes) - 1
        node = self.network.nodes[last]
        assert isinstance(node, Dense | Tied), "the caller knows the network"
        return self._multiply(node, last, Passage(rows, np.zeros(1, np.int64)))

    def _walk(
        self, x: Ragged | Words, record: list[NodeRun] | None, states: States | None = None, *, last: bool = True
    ) -> tuple[Array, dict[str, Array]]:
        """Run all nodes, or all but the last; return their output, and the final states of the recurrent ones."""
        passage = self._begin(x)
        ends: dict[str, Array] = {}
        for index, node in enumerate(self.network.nodes if last else self.network.nodes[:-1]):
            layers: list[LayerRun] | None = None if record is None else []
            if isinstance(node, Recurrent):
                gave = self._recur(node, index, passage, layers, _start(states or {}, index))
                ends |= _named(gave.states, index)
            else:
                gave = self._run(node, index, passage, layers)
            if record is not None:
                record.append(NodeRun(index, node, passage, gave, tuple(layers or ())))
            passage = gave
        return _rows(passage), ends

    def _run(self, node: Node, index: int, read: Passage, layers: list[LayerRun] | None) -> Passage:
        match node:
            case Embed():
                return replace(read, table=self.weights[f"{index}.weight"])
            case Pool():
                return Passage(_pool(node, read), read.offsets)
            case Dense() | Tied():
                return Passage(self._multiply(node, index, read), read.offsets)
            case Split():
                parted = Ragged(read.rows, read.offsets).split(node.channels, shared=node.shared)
                return Passage(parted.values, parted.offsets)
            case Decode():
                return self._decode(node, index, read, layers)
            case Spell() | Dropout() | Crf():  # read already; for training; for whoever looks for paths
                return read
        raise AssertionError("recurrent nodes are run by _recur")

    def _begin(self, x: Ragged | Words) -> Passage:
        match self.network.nodes[0], x:
            case Spell(), Words():
                return Passage(self.spell(x).values, x.offsets)
            case Spell(), _:
                raise ShapeError(f"the network reads Words, ids with spellings; got a {type(x).__name__}")
            case _, Ragged():
                return Passage(self._check(x), np.asarray(x.offsets))
        raise ShapeError(f"the network reads a Ragged batch; got a {type(x).__name__}")

    def spell(self, x: Words) -> Ragged:
        """Put the row of each word beside what its characters say: what the first node hands on, `[N, output_size]`."""
        node = self.network.nodes[0]
        assert isinstance(node, Spell), "the network begins with it"
        known = _rows(Passage(np.asarray(x.tokens.values), x.offsets, table=self.weights["0.words.weight"]))
        return Ragged(np.concatenate([known, self._speller(x.spellings)[x.spelling]], axis=1), x.offsets)

    @cached_property
    def _speller(self) -> Walk:
        node = self.network.nodes[0]
        assert isinstance(node, Spell), "asked for by `spell` alone"
        inner = Network.of(*node.characters)
        weights = {name: self.weights[f"0.characters.{name}"] for name in parameter_shapes(inner)}
        return Walk(inner, weights, num_threads=self.num_threads)

    def _check(self, x: Ragged) -> Array:
        values = np.asarray(x.values)
        if self.network.reads_tokens:
            if values.ndim != 1 or values.dtype not in (np.int32, np.int64):
                raise ShapeError(f"the network reads token ids [N], int32 or int64; got {_describe(values)}")
            return values
        wanted = self.dtype
        if values.ndim != 2 or values.shape[1] != self.network.input_size or values.dtype != wanted:
            raise ShapeError(
                f"the network reads features [N, {self.network.input_size}] of type {wanted}; got {_describe(values)}"
            )
        return values

    def _recur(
        self,
        node: Recurrent,
        index: int,
        read: Passage,
        layers: list[LayerRun] | None,
        start: tuple[State, ...] = (),
    ) -> Passage:
        """Run the layers of a node, from zeros or from the states that `start` holds of each layer and direction."""
        x, table, offsets = read.rows, read.table, read.offsets
        options: dict[str, Any] = {"keep": layers is not None, "num_threads": self.num_threads}
        begins, states = iter(start), list[State]()
        for layer in range(node.num_layers):
            directions = layer_directions(self.weights, node, index, layer, begins)
            out = forward(node.cell, x, offsets, directions, table=table, **options)
            if layers is not None:
                layers.append(LayerRun(node.cell, x, table, directions, out))
            x, table = out.h, None  # [N, D*H]
            states += zip(out.hn, [None] * len(out.hn) if out.cn is None else out.cn, strict=True)
        final = _merge(final_state(out), node.merge, node)
        return Passage(_merge(x, node.merge, node), offsets, final=final, states=tuple(states))

    def _decode(self, node: Decode, index: int, read: Passage, layers: list[LayerRun] | None) -> Passage:
        before = self.network.nodes[index - 1]
        assert isinstance(before, Recurrent), "the network was checked: a recurrent node stands right before"
        start = tuple(
            (np.repeat(h, node.steps, axis=0), None if c is None else np.repeat(c, node.steps, axis=0))
            for h, c in read.states
        )
        table = self.weights[f"{index}.position"]  # [channels * steps, size]
        if node.channel_size:
            channel = np.repeat(self.weights[f"{index}.channel"], node.steps, axis=0)
            table = np.concatenate([np.tile(table, (node.channels, 1)), channel], axis=1)
        count = len(start[0][0])  # B * steps, each a sequence of one step
        ones = Passage(np.arange(count) % len(table), np.arange(count + 1), table=table)
        decoded = self._recur(before, index - 1, ones, layers, start)
        return Passage(decoded.rows, np.arange(0, count + 1, node.steps))

    def _multiply(self, node: Dense | Tied, index: int, read: Passage) -> Array:
        weight, bias = self.weights[matrix_name(node, index)], self.weights[f"{index}.bias"]
        activation = node.activation if isinstance(node, Dense) else None
        return linear(_rows(read), weight, bias, activation=activation)


def layer_directions(
    weights: Mapping[str, Array],
    node: Recurrent,
    index: int,
    layer: int,
    start: Iterable[tuple[Array | None, Array | None]] = (),
) -> tuple[Direction, ...]:
    """Gather what the kernels read of one layer of a node, its directions to begin with `start`, or zeros."""
    begins = iter(start)
    found = []
    for suffix in node.suffixes(layer):
        h0, c0 = next(begins, (None, None))
        found.append(
            Direction(
                w_ih=weights[f"{index}.weight_ih{suffix}"],
                w_hh=weights[f"{index}.weight_hh{suffix}"],
                b_ih=weights.get(f"{index}.bias_ih{suffix}"),
                b_hh=weights.get(f"{index}.bias_hh{suffix}"),
                reverse=node.reverse or suffix.endswith("_reverse"),
                h0=h0,
                c0=c0,
            )
        )
    return tuple(found)


def matrix_name(node: Dense | Tied, index: int) -> str:
    """Name the matrix that an output node multiplies by: its own, or the table of the embedding."""
    return "0.weight" if isinstance(node, Tied) else f"{index}.weight"


def _start(states: States, index: int) -> tuple[State, ...]:
    """Part the states that a node begins with by layer and direction."""
    h, c = states.get(f"{index}.h"), states.get(f"{index}.c")
    return () if h is None else tuple(zip(h, [None] * len(h) if c is None else c, strict=True))


def _named(states: tuple[State, ...], index: int) -> dict[str, Array]:
    """Put the states of all layers and directions of a node together, as `Executor.advance` takes them."""
    cells = [c for _, c in states if c is not None]
    return {f"{index}.h": np.stack([h for h, _ in states])} | ({f"{index}.c": np.stack(cells)} if cells else {})


def final_state(out: Forward) -> Array:
    """Put the final states of the directions side by side, `[B, D*H]`, as the outputs of a step are."""
    return np.concatenate(list(out.hn), axis=1)


def _describe(values: Array) -> str:
    return f"{values.dtype} {list(values.shape)}"


def _merge(h: Array, merge: Merge, node: Recurrent) -> Array:
    """Put the two directions `[., 2H]` of a layer together; one direction passes as it is."""
    if merge == "concat" or not node.bidirectional:
        return h
    ahead, back = h[:, : node.hidden_size], h[:, node.hidden_size :]
    match merge:
        case "sum":
            return ahead + back
        case "mul":
            return ahead * back
        case "ave":
            return (ahead + back) / 2


def _pool(node: Pool, read: Passage) -> Array:
    """Pool mode after mode; `last` is the final state, which for the reverse direction lies at the first token."""
    if "last" not in node.modes:
        return pool(_rows(read), read.offsets, node.modes)
    assert read.final is not None, "the network was checked: `last` stands right after a recurrent node"
    others = tuple(mode for mode in node.modes if mode != "last")
    width = read.rows.shape[1]
    pooled = pool(read.rows, read.offsets, others) if others else read.final[:, :0]
    blocks = {mode: pooled[:, i * width : (i + 1) * width] for i, mode in enumerate(others)} | {"last": read.final}
    return np.concatenate([blocks[mode] for mode in node.modes], axis=1)


def _rows(passage: Passage) -> Array:
    """Look up the rows that token ids still stand for."""
    return passage.rows if passage.table is None else look_up(passage.rows, passage.table)


def look_up(ids: Array, table: Array) -> Array:
    """Return the row of the table `[V, C]` that each id `[N]` stands for; raises InputError for an id out of range."""
    size = len(table)
    outside = np.flatnonzero((ids < 0) | (ids >= size))
    if outside.size:
        at = int(outside[0])
        raise InputError(f"token id {ids[at]} at position {at} is out of range; the vocabulary has {size} ids")
    return table[ids]
