"""Executes a network on the compiled kernels: NumPy in, NumPy out, the same bits alone and in any batch.

Knows nodes and weights. Knows neither torch nor tasks: what comes out are the numbers of the last node.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate import kernels
from tidegate.errors import InputError, ShapeError
from tidegate.network import (
    Crf,
    Dense,
    Dropout,
    Embed,
    Merge,
    Network,
    Pool,
    Recurrent,
    Spell,
    check_shapes,
    direction_suffixes,
    parameter_shapes,
)
from tidegate.ragged import Ragged
from tidegate.words import Words

Array: TypeAlias = npt.NDArray[Any]


@dataclass(frozen=True)
class _Flow:
    """Hold what passes from node to node: rows, and the table that token ids still stand for, if any."""

    rows: Array  # [N, F], [N] token ids, or [B, F] once pooled
    offsets: Array  # [B+1]
    table: Array | None = None  # [V, C] when `rows` holds token ids
    final: Array | None = None  # [B, F] final state when the node before was recurrent


class Executor:
    """Run a network with given weights over ragged batches.

    Args:
        network: what to run.
        weights: one array for each of `network.parameter_shapes`, all float32 or all float64.
        num_threads: for the kernels; None takes their own setting. The numbers do not depend on it.

    Raises:
        ShapeError: the weights do not fit the network.

    >>> from tidegate.network import Dense, Network, Pool
    >>> network = Network.of(Dense(in_features=1, out_features=1), Pool(modes=("max",)))
    >>> double = Executor(network, {"0.weight": np.array([[2.0]], np.float32), "0.bias": np.array([0.0], np.float32)})
    >>> double(Ragged(np.array([[1.0], [3.0], [5.0]], np.float32), np.array([0, 2, 3])))
    array([[ 6.],
           [10.]], dtype=float32)
    """

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
        flow = self._begin(x)
        for index, node in enumerate(self.network.nodes):
            match node:
                case Embed():
                    flow = replace(flow, table=self.weights[f"{index}.weight"])
                case Recurrent():
                    flow = self._run(node, index, flow)
                case Pool():
                    flow = _Flow(_pool(node, flow), flow.offsets)
                case Dense():
                    flow = _Flow(self._multiply(node, index, flow), flow.offsets)
                case Spell() | Dropout() | Crf():  # read already; for training; for whoever looks for paths
                    pass
        return _rows(flow)

    def _begin(self, x: Ragged | Words) -> _Flow:
        match self.network.nodes[0], x:
            case Spell() as node, Words():
                return _Flow(self._spell(node, x), x.offsets)
            case Spell(), _:
                raise ShapeError(f"the network reads Words, ids with spellings; got a {type(x).__name__}")
            case _, Ragged():
                return _Flow(self._check(x), np.asarray(x.offsets))
        raise ShapeError(f"the network reads a Ragged batch; got a {type(x).__name__}")

    def _spell(self, node: Spell, x: Words) -> Array:
        """Put the row of each word beside what its characters say, `[N, output_size]`."""
        known = _rows(_Flow(np.asarray(x.tokens.values), x.offsets, table=self.weights["0.words.weight"]))
        weights = {name.removeprefix("0.characters."): array for name, array in self.weights.items()}
        inner = Network.of(*node.characters)
        reader = Executor(
            inner, {name: weights[name] for name in parameter_shapes(inner)}, num_threads=self.num_threads
        )
        return np.concatenate([known, reader(x.spellings)[x.spelling]], axis=1)

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

    def _run(self, node: Recurrent, index: int, flow: _Flow) -> _Flow:
        x, table = flow.rows, flow.table
        for layer in range(node.num_layers):
            directions = [
                kernels.Direction(
                    w_ih=self.weights[f"{index}.weight_ih{suffix}"],
                    w_hh=self.weights[f"{index}.weight_hh{suffix}"],
                    b_ih=self.weights.get(f"{index}.bias_ih{suffix}"),
                    b_hh=self.weights.get(f"{index}.bias_hh{suffix}"),
                    reverse=node.reverse or suffix.endswith("_reverse"),
                )
                for suffix in direction_suffixes(node, layer)
            ]
            out = kernels.forward(node.cell, x, flow.offsets, directions, table=table, num_threads=self.num_threads)
            x, table = out.h, None  # [N, D*H]
        final = np.concatenate(list(out.hn), axis=1)  # [B, D*H]
        return _Flow(_merge(x, node.merge, node), flow.offsets, final=_merge(final, node.merge, node))

    def _multiply(self, node: Dense, index: int, flow: _Flow) -> Array:
        weight, bias = self.weights[f"{index}.weight"], self.weights[f"{index}.bias"]
        return kernels.linear(_rows(flow), weight, bias, activation=node.activation)


def run_sorted(executor: Executor, x: Ragged, *, tokens: int = 2**15) -> Array:
    """Run a pooled network over any number of sequences, `[B, output_size]`, in batches of like lengths.

    A batch holds about `tokens` tokens, or one sequence that is longer. Memory is bounded by that; the numbers do not
    depend on it.
    """
    out = np.empty((len(x), executor.network.output_size), executor.dtype)
    for indices in sorted_batches(np.asarray(x.lengths), tokens):
        out[indices] = executor(x.select(indices))
    return out


def sorted_batches(lengths: Array, tokens: int = 2**15) -> list[Array]:
    """Cut B sequences of known lengths into batches of like lengths, each an array of indices.

    >>> [batch.tolist() for batch in sorted_batches(np.array([3, 1, 2]), tokens=5)]
    [[1], [2, 0]]
    """
    order = np.argsort(lengths, kind="stable")
    cost = np.cumsum(lengths[order] + 1)  # an empty sequence costs something too
    return np.split(order, np.flatnonzero(np.diff(cost // tokens)) + 1)


def _describe(values: Array) -> str:
    return f"{values.dtype} {list(values.shape)}"


def _merge(h: Array, merge: Merge, node: Recurrent) -> Array:
    """Put the two directions `[., 2H]` of a layer together; one direction passes as it is."""
    if merge == "concat" or not node.bidirectional:
        return h
    forward, backward = h[:, : node.hidden_size], h[:, node.hidden_size :]
    match merge:
        case "sum":
            return forward + backward
        case "mul":
            return forward * backward
        case "ave":
            return (forward + backward) / 2


def _pool(node: Pool, flow: _Flow) -> Array:
    """Pool mode after mode; `last` is the final state, which for the reverse direction lies at the first token."""
    if "last" not in node.modes:
        return kernels.pool(_rows(flow), flow.offsets, node.modes)
    assert flow.final is not None, "the network was checked: `last` stands right after a recurrent node"
    others = tuple(mode for mode in node.modes if mode != "last")
    width = flow.rows.shape[1]
    pooled = kernels.pool(flow.rows, flow.offsets, others) if others else flow.final[:, :0]
    blocks = {mode: pooled[:, i * width : (i + 1) * width] for i, mode in enumerate(others)} | {"last": flow.final}
    return np.concatenate([blocks[mode] for mode in node.modes], axis=1)


def _rows(flow: _Flow) -> Array:
    """Look up the rows that token ids still stand for; an id out of range is refused, as the kernels do."""
    if flow.table is None:
        return flow.rows
    ids, size = flow.rows, len(flow.table)
    outside = np.flatnonzero((ids < 0) | (ids >= size))
    if outside.size:
        at = int(outside[0])
        raise InputError(f"token id {ids[at]} at position {at} is out of range; the vocabulary has {size} ids")
    return flow.table[ids]
