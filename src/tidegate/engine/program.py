"""A network with its weights, run and run back by the core.

All parameters lie in one flat array, and so do their gradients; what is known by name are views of those.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.cells import CELLS
from tidegate.engine.losses import Loss
from tidegate.errors import InputError, ShapeError
from tidegate.health import Blame
from tidegate.kernels import programs
from tidegate.kernels.checks import check_offsets, expect, token_ids
from tidegate.kernels.streams import LiveProgram
from tidegate.kernels.threads import thread_count
from tidegate.network import Embed, Network, Node, Recurrent, Spell, check_shapes, parameter_shapes
from tidegate.ragged import Ragged
from tidegate.words import Words

Array: TypeAlias = npt.NDArray[Any]
States: TypeAlias = Mapping[str, Array]
"""The state of every recurrent node: `<index>.h`, and `<index>.c` of a cell that carries it, each [L * D, B, H]."""


@dataclass(frozen=True)
class Lost:
    """Say what a batch lost.

    losses: [B] float64, of each sequence, before they are weighted.
    total: the weighted sum.
    ends: the states after the last step of each sequence, where the caller gave those before the first one.
    """

    losses: Array
    total: float
    ends: dict[str, Array] = field(default_factory=dict)


class Program:
    """Hold a network and its weights, ready to run and to be trained.

    Args:
        network: what to run.
        weights: by name, all float32 or all float64; they are copied.
        num_threads: at most so many; None takes those of every kernel.

    Raises:
        ShapeError: a weight is missing, is not the network's, or has another shape or type.

    >>> from tidegate.network import Dense, Pool
    >>> layer = Recurrent(cell="gru", input_size=1, hidden_size=2)
    >>> network = Network.of(layer, Pool(modes=("last",)), Dense(in_features=2, out_features=2))
    >>> weights = {name: np.zeros(shape) for name, shape in parameter_shapes(network).items()}
    >>> program = Program(network, weights)
    >>> batch = Ragged(np.ones((3, 1)), np.array([0, 2, 3]))
    >>> from tidegate.engine.losses import CrossEntropy
    >>> lost = program.gradient(batch, CrossEntropy(np.array([0, 1]), weight=np.array([0.5, 0.5])))
    >>> round(lost.total, 4), program.gradients["2.bias"].tolist()
    (0.6931, [0.0, 0.0])
    """

    def __init__(self, network: Network, weights: Mapping[str, Array], *, num_threads: int | None = None) -> None:
        check_shapes(network, {name: np.shape(array) for name, array in weights.items()})
        kinds = {np.asarray(array).dtype for array in weights.values()} or {np.dtype(np.float32)}
        self.dtype = kinds.pop()
        if kinds or self.dtype not in (np.float32, np.float64):
            raise ShapeError("weights must all be float32, or all float64.")
        self.network, self.num_threads = network, num_threads
        shapes = parameter_shapes(network)
        self.parameters = np.concatenate([np.ravel(weights[name]) for name in shapes] or [np.empty(0, self.dtype)])
        self.gradient_array = np.zeros_like(self.parameters)
        self.begins = np.cumsum([0, *(prod(shape) for shape in shapes.values())], dtype=np.int64)
        self.weights, self.gradients = self.by_name(self.parameters), self.by_name(self.gradient_array)
        width = 0 if network.reads_tokens or network.reads_words else network.input_size
        self.compiled = programs.build(
            [_described(node) for node in network.nodes], width=width, output_size=network.output_size, kind=self.dtype
        )

    def __call__(self, batch: Ragged | Words) -> Array:
        """Return what the last node gives, `[rows, output_size]`, in the order of the sequences.

        Raises ShapeError or InputError for a batch that does not fit the network.
        """
        values, offsets = self._enter(batch)
        out = np.empty((int(self._begin(offsets)[-1]), self.network.output_size), self.dtype)
        self.compiled.pack(self.parameters, False, 0, 0)
        self._reading(lambda threads: self.compiled.run(values, offsets, out, threads), batch)
        return out

    def gradient(
        self, batch: Ragged | Words, loss: Loss, *, seed: int = 0, step: int = 0, states: States | None = None
    ) -> Lost:
        """Find the gradient of the loss of a batch, which is in `gradients` then.

        The same call gives the same bits, whatever the number of threads and the instruction set.

        Args:
            batch: what the network reads.
            loss: what is to become small.
            seed: what dropout draws depends on it, and on the step, the node and the sequence alone.
            step: another step draws anew.
            states: what the sequences begin with; the gradient stops there. None begins with zeros, and gives no ends.

        Raises:
            ShapeError, InputError: the batch or the loss does not fit the network.
        """
        values, offsets = self._enter(batch)
        compiled = loss.compiled(self.compiled, self.network.output_size, self.dtype, self._begin(offsets))
        losses = np.empty(len(offsets) - 1)
        self.gradient_array[: self._table_size] = 0
        self.compiled.pack(self.parameters, True, seed, step)
        with self._carrying(states, len(losses)) as ends:
            self._reading(
                lambda threads: self.compiled.gradient(values, offsets, compiled, self.gradient_array, losses, threads),
                batch,
            )
        return Lost(losses, _total(losses * loss.weight), ends)

    def blame(self, batch: Ragged | Words, loss: Loss, *, seed: int = 0, step: int = 0) -> Blame:
        """Run each sequence of a batch alone, and find those whose loss or gradient is not finite.

        Leaves the weights as they are. Arguments and errors are those of `gradient`.
        """
        offsets = np.asarray(batch.offsets)
        begin = self._begin(offsets)
        lengths = np.empty(len(offsets) - 1)  # of gradients
        for index in range(len(lengths)):
            own = loss.alone(index, slice(int(begin[index]), int(begin[index + 1])))
            lost = self.gradient(batch.select(np.array([index])), own, seed=seed, step=step)
            squares = programs.sums_of_squares(self.gradient_array, self.begins, self.threads)
            lengths[index] = math.sqrt(squares.sum()) if math.isfinite(lost.total) else math.nan
        bad = np.flatnonzero(~np.isfinite(lengths))
        return Blame(int(bad[0] if len(bad) else lengths.argmax()), len(bad), len(lengths))

    def live(self, ahead: Sequence[int] = ()) -> LiveProgram:
        """Pack the weights as they are for streams; a program that streams is to do nothing else.

        `ahead` says of each layer that runs from the end how many steps it looks ahead. Raises ValueError where a node
        reads whole sequences alone.
        """
        self.compiled.pack(self.parameters, False, 0, 0)
        return LiveProgram(self.compiled, ahead, held=self)

    def by_name(self, flat: Array) -> dict[str, Array]:
        """Cut an array as long as the parameters into views by name."""
        shapes = parameter_shapes(self.network)
        parts = np.split(flat, self.begins[1:-1]) if shapes else []
        return {name: part.reshape(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}

    @property
    def threads(self) -> int:
        """Count the threads that the core may use."""
        return thread_count(self.num_threads)

    @cached_property
    def _table_size(self) -> int:
        """Count the numbers of the table, of which only the rows that a batch reads are written."""
        first = next(iter(self.weights.values()), None)
        reads = self.network.reads_tokens or self.network.reads_words
        return first.size if reads and first is not None else 0

    def _begin(self, offsets: Array) -> Array:
        """Say where the rows that the network gives of each sequence begin, [B + 1]."""
        lengths = np.diff(offsets)
        known = {int(length): self.compiled.rows(int(length)) for length in np.unique(lengths)}
        rows = np.array([known[int(length)] for length in lengths], np.int64)
        return np.concatenate([[0], np.cumsum(rows)]).astype(np.int64)

    def _enter(self, batch: Ragged | Words) -> tuple[Array, Array]:
        """Check what the core is about to read, whoever made it, and give it in the core's types."""
        first = self.network.nodes[0]
        if isinstance(first, Spell):
            if not isinstance(batch, Words):
                raise ShapeError(f"the network reads Words, ids with spellings; got a {type(batch).__name__}.")
            self._read_spellings(batch, first)
            batch = batch.tokens
        if not isinstance(batch, Ragged):
            raise ShapeError(f"the network reads a Ragged batch; got a {type(batch).__name__}.")
        values = np.asarray(batch.values)
        if self._table_size:
            values = token_ids("the batch", values)
        else:
            values = expect("the batch", values, (len(values), self.network.input_size), self.dtype)
        return values, check_offsets(batch.offsets, len(values))

    def _read_spellings(self, batch: Words, node: Spell) -> None:
        table = node.characters[0]
        assert isinstance(table, Embed), "the node was checked: they are embedded first"
        batch.check()
        ids = token_ids("spellings", np.asarray(batch.spellings.values))
        if len(ids) and not 0 <= ids.min() <= ids.max() < table.vocabulary_size:
            raise InputError(
                f"spellings hold ids from {ids.min()} to {ids.max()}, but the table of characters holds 0 to "
                f"{table.vocabulary_size - 1}. Use the tokenizer that the table was made for."
            )
        offsets = check_offsets(batch.spellings.offsets, len(ids))
        self._spelled = ids, offsets, np.ascontiguousarray(batch.spelling, np.int64)  # what the core points to
        self.compiled.read_spellings(*self._spelled)

    @contextmanager
    def _carrying(self, states: States | None, count: int) -> Iterator[dict[str, Array]]:
        """Hand states to the nodes while the block lasts; gives the arrays in which those at the end will be."""
        ends: dict[str, Array] = {}
        held = []  # what the core points to
        nodes = [] if states is None else list(enumerate(self.network.nodes))
        for index, node in nodes:
            if not isinstance(node, Recurrent):
                continue
            shape = (node.num_layers * node.num_directions, count, node.hidden_size)
            names = [f"{index}.h", f"{index}.c"] if CELLS[node.cell].carries_c else [f"{index}.h"]
            begins = [self._state(name, (states or {}).get(name), shape) for name in names]
            afters = [np.empty(shape, self.dtype) for _ in names]
            (h, c), (hn, cn) = ([*arrays, None][:2] for arrays in (begins, afters))
            self.compiled.carry(index, h, c, hn, cn)
            held += begins
            ends |= dict(zip(names, afters, strict=True))
        try:
            yield ends
        finally:
            for index, node in nodes:
                if isinstance(node, Recurrent):
                    self.compiled.carry(index, None, None, None, None)

    def _state(self, name: str, state: Array | None, shape: tuple[int, ...]) -> Array:
        if state is None:
            return np.zeros(shape, self.dtype)
        if state.shape != shape:
            raise ShapeError(f"state {name!r} is {list(state.shape)}; {list(shape)} is wanted.")
        return np.ascontiguousarray(state, self.dtype)

    def _reading(self, call: Callable[[int], None], batch: Ragged | Words) -> None:
        """Call the core, and say in words which token id is out of range."""
        try:
            call(self.threads)
        except IndexError as error:
            at, most = int(str(error)), self.network.input_size - 1
            tokens = batch.tokens if isinstance(batch, Words) else batch
            raise InputError(f"token id {tokens.values[at]} at position {at} is not between 0 and {most}.") from None


def _total(parts: Array) -> float:
    """Add up exactly, whatever the order."""
    return math.fsum(parts.tolist()) if np.isfinite(parts).all() else float(parts.sum())


def _described(node: Node) -> dict[str, Any]:
    """Give the fields of a node, and the width of one that holds a network of its own."""
    return node.model_dump() | ({"output_size": node.output_size} if isinstance(node, Spell) else {})
