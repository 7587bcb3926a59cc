"""A network as the core has it: takes batches in, and hands states over. Knows nothing of losses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.cells import CELLS
from tidegate.documents import Documents
from tidegate.errors import InputError, ShapeError
from tidegate.grid import Grid
from tidegate.kernels import programs
from tidegate.kernels.checks import check_offsets, empty, expect, token_ids
from tidegate.network import Embed, Network, Recurrent, Scan2d, Spectrogram, Spell, Wide, parameter_shapes
from tidegate.nodes.part import Part, input_size, rows_of, sources_of
from tidegate.nodes.spectrogram import FLOOR
from tidegate.pairs import Pairs
from tidegate.ragged import Ragged
from tidegate.words import Words

Array: TypeAlias = npt.NDArray[Any]
Batch: TypeAlias = Ragged | Words | Documents | Pairs
"""What a network may read."""
States: TypeAlias = Mapping[str, Array]
"""The state of every recurrent node: `<index>.h`, and `<index>.c` of a cell that carries it, each [L * D, B, H]."""


class Compiled:
    """Hold a network in the core, and the memory to run it in, one call at a time.

    Args:
        network: what to run.
        kind: float32 or float64.
    """

    def __init__(self, network: Network, kind: np.dtype[Any]) -> None:
        self.network, self.kind = network, kind
        self.tables = int(network.reads_tokens or network.reads_words)  # of the parameters, those that come first
        self.input_size, self.output_size = network.input_size, network.output_size
        nodes = _described(network.nodes)
        width = 0 if self.tables else self.input_size
        self.program = programs.build(nodes, width=width, output_size=self.output_size, kind=kind)
        self._table = np.empty(0, kind)  # which the core points to

    def pack(self, weights: Mapping[str, Array], use: int) -> None:
        """Read the weights for one of the uses of `kernels.programs`; a table of ids goes on being read where it is."""
        flat = [np.ravel(weights[name]) for name in parameter_shapes(self.network)]
        if any(array.dtype != self.kind for array in flat) or self.kind not in (np.float32, np.float64):
            raise ShapeError("weights must all be float32, or all float64.")
        self._table = flat[0] if self.tables else np.empty(0, self.kind)
        dense = np.concatenate([np.empty(0, self.kind), *flat[self.tables :]])
        self.program.pack(self._table, dense, use, 0, 0)

    def run(
        self, batch: Batch, threads: int, *, states: States | None = None, stop: tuple[int, int] | None = None
    ) -> tuple[Array, dict[str, Array]]:
        """Compute what the last node gives, `[rows, output_size]`, and the states at the ends where some are given.

        Args:
            batch: what the network reads.
            threads: at most so many.
            states: what the sequences begin with; zeros for what is not in it. None gives no ends.
            stop: how many nodes run, and the width of what they give.

        Raises:
            ShapeError, InputError: the batch does not fit the network.
        """
        values, offsets = self.enter(batch)
        last, width = stop or (len(self.network.nodes), self.output_size)
        out = empty((int(self.rows(values, offsets, last)[-1]), width), self.kind)
        with self.carrying(states, len(offsets) - 1) as ends, self.naming(batch):
            self.program.run(values, offsets, 0, last, out, threads)
        return out, ends

    def run_last(self, rows: Array, threads: int) -> Array:
        """Compute the last node alone, from the rows that enter it."""
        last, out = len(self.network.nodes) - 1, empty((len(rows), self.output_size), self.kind)
        width = self.network.nodes[last].incoming
        assert width is not None, "the caller knows the network"
        rows = expect("rows", rows, (len(rows), width), self.kind)
        self.program.run(rows, np.array([0, len(rows)]), last, last + 1, out, threads)
        return out

    def rows(self, values: Any, offsets: Array, last: int | None = None) -> Array:
        """Say where the rows that the network, or its first nodes, give of each sequence begin, [B + 1]."""
        begin = np.empty_like(offsets)
        cut = values[2] if isinstance(values, tuple) else None
        self.program.find_rows(offsets, cut, len(self.network.nodes) if last is None else last, begin)
        return begin

    def enter(self, batch: Batch) -> tuple[Any, Array]:
        """Check a batch and bring it into the form of the core: values, and offsets.

        Values are an array, or ids with the numbers beside them, or with the lengths of the sources of pairs.
        """
        values, offsets = self._read(batch)
        if any(node.makes_images for node in self.network.nodes) and not self.network.reads_images:
            self.network.steps(np.diff(offsets), source=batch.cut if isinstance(batch, Pairs) else 0)
        return values, offsets

    def _read(self, batch: Batch) -> tuple[Any, Array]:
        if self.network.reads_pairs:
            return self._enter_pairs(batch)
        if self.network.reads_documents:
            return self._enter_documents(batch)
        if self.network.reads_words:
            if not isinstance(batch, Words):
                raise ShapeError(f"the network reads Words, ids with spellings; got a {_named(batch)}")
            self._read_spellings(batch)
            batch = batch.tokens
        if self.network.reads_images:
            self._read_sizes(batch)
        if not isinstance(batch, Ragged):
            raise ShapeError(f"the network reads a Ragged batch; got a {_named(batch)}")
        values = np.ascontiguousarray(batch.values)
        if self.tables:
            if values.ndim != 1 or values.dtype not in (np.int32, np.int64):
                raise ShapeError(f"the network reads token ids [N], int32 or int64; got {_said(values)}")
            values = token_ids("the batch", values)
        elif values.ndim != 2 or values.shape[1] != self.input_size or values.dtype != self.kind:
            raise ShapeError(
                f"the network reads features [N, {self.input_size}] of type {self.kind}; got {_said(values)}"
            )
        return values, check_offsets(batch.offsets, len(values))

    def _enter_pairs(self, pairs: Batch) -> tuple[Any, Array]:
        if not isinstance(pairs, Pairs):
            raise ShapeError(f"the network reads Pairs, sources with their targets; got a {_named(pairs)}")
        ids = token_ids("the batch", np.asarray(pairs.tokens.values))
        return (ids, None, pairs.cut), check_offsets(pairs.offsets, len(ids))

    def _read_sizes(self, batch: Batch) -> None:
        if not isinstance(batch, Grid):
            raise ShapeError(f"the network reads a Grid of images; got a {_named(batch)}")
        sizes = batch.check()
        self.network.steps(np.diff(np.asarray(batch.offsets)), height=sizes[:, 0], width=sizes[:, 1])
        self._sizes = sizes  # what the core points to
        self.program.read_images(sizes)

    def _enter_documents(self, documents: Batch) -> tuple[Any, Array]:
        if not isinstance(documents, Documents):
            raise ShapeError(f"the network reads Documents, ids with what is beside them; got a {_named(documents)}")
        if (wide := self.network.wide) is not None:
            self._read_features(documents, wide)
        ids, offsets = token_ids("the batch", np.asarray(documents.tokens.values)), documents.offsets
        first = self.network.nodes[0]
        beside = first.beside if isinstance(first, Embed) else 0
        columns = expect("beside", documents.beside, (len(ids), beside), self.kind)
        return (ids, columns, None) if beside else ids, check_offsets(offsets, len(ids))

    def _read_features(self, documents: Documents, wide: Wide) -> None:
        if documents.features is None:
            raise ShapeError("the network reads features of each text; these documents have none.")
        rows = documents.features
        ids = np.ascontiguousarray(rows.columns.values)
        if len(outside := np.flatnonzero((ids < 0) | (ids >= wide.features))):
            raise InputError(_out_of_range("feature", ids, int(outside[0]), wide.features))
        values = expect("features", rows.values, ids.shape, self.kind)
        offsets = check_offsets(rows.columns.offsets, len(ids))
        self._features = ids, values, offsets  # what the core points to
        self.program.read_features(*self._features)

    def _read_spellings(self, words: Words) -> None:
        node = self.network.nodes[0]
        assert isinstance(node, Spell), "what reads words begins with it"
        words.check()
        found = np.asarray(words.spellings.values)
        ids, size = token_ids("spellings", found), input_size(node.characters)
        assert size is not None, "the network was checked"
        if len(outside := np.flatnonzero((ids < 0) | (ids >= size))):
            raise InputError(_out_of_range("character", found, int(outside[0]), size))
        offsets = check_offsets(words.spellings.offsets, len(ids))
        self._spelled = ids, offsets, np.ascontiguousarray(words.spelling, np.int64)  # what the core points to
        self.program.read_spellings(*self._spelled)

    @contextmanager
    def carrying(self, states: States | None, count: int) -> Iterator[dict[str, Array]]:
        """Hand states to the nodes while the block lasts; gives the arrays in which those at the end will be."""
        ends: dict[str, Array] = {}
        held = []  # what the core points to
        carried: list[int] = []
        try:
            gives = self.network.gives
            for index, node in enumerate(self.network.nodes if states is not None else ()):
                if not isinstance(node, Recurrent):
                    continue
                if node.starts is not None:
                    raise InputError(f"states cannot be carried in: node {index} begins with those of {node.starts!r}.")
                shape = (node.num_layers * node.num_directions, count * gives[index].channels, node.hidden_size)
                names = [f"{index}.h", f"{index}.c"] if CELLS[node.cell].carries_c else [f"{index}.h"]
                begins = [self._state(name, (states or {}).get(name), shape) for name in names]
                afters = [np.empty(shape, self.kind) for _ in names]
                (h, c), (hn, cn) = ([*arrays, None][:2] for arrays in (begins, afters))
                carried.append(index)
                self.program.carry(index, h, c, hn, cn)
                held += begins
                ends |= dict(zip(names, afters, strict=True))
            yield ends
        finally:
            for index in carried:
                self.program.carry(index, None, None, None, None)

    def _state(self, name: str, state: Array | None, shape: tuple[int, ...]) -> Array:
        if state is None:
            return np.zeros(shape, self.kind)
        if state.shape != shape:
            raise ShapeError(f"state {name!r} is {list(state.shape)}; {list(shape)} is wanted.")
        return np.ascontiguousarray(state, self.kind)

    @contextmanager
    def naming(self, batch: Batch) -> Iterator[None]:
        """Say in words which token id of a batch the core finds out of range."""
        try:
            yield
        except IndexError as error:
            ids = np.asarray((batch if isinstance(batch, Ragged) else batch.tokens).values)
            raise InputError(_out_of_range("token", ids, int(str(error)), self.input_size)) from None


def _out_of_range(what: str, ids: Array, at: int, size: int) -> str:
    return f"{what} id {ids[at]} at position {at} is out of range; the vocabulary has {size} ids"


def _named(batch: Any) -> str:
    return type(batch).__name__


def _said(values: Array) -> str:
    return f"{values.dtype} {list(values.shape)}"


def _described(nodes: Sequence[Part]) -> list[dict[str, Any]]:
    """Give the fields of nodes, what they read by number, and how wide what they hand on is."""
    found = []
    for node, sources, rows in zip(nodes, sources_of(nodes), rows_of(nodes), strict=True):
        fields = {"width": rows.width} | node.model_dump() | {"reads": [source + 1 for source in sources]}
        if isinstance(node, Spectrogram):
            fields |= dict(zip(("basis", "mel"), node.matrices(), strict=True)) | {"floor": FLOOR}
        if isinstance(node, Scan2d) and node.waves:
            fields |= node.waves.model_dump()
        elif isinstance(node, Scan2d):
            fields["passes"] = {axis: layer.model_dump() | {"reads": [0]} for axis, layer in node.passes.items()}
        if isinstance(node, Spell):
            fields["characters"] = _described(node.characters)
        found.append(fields)
    return found
