"""What the updates of an epoch read: whole sequences in random order, or streams that carry their state on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

import tidegate.engine as engine
from tidegate.data.batching import batch_count, batches
from tidegate.data.streams import Chunk, Streams
from tidegate.train.recipe import Recipe
from tidegate.train.state import State

Array: TypeAlias = npt.NDArray[Any]
Indices: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Asked:
    """Hold what one update reads, and what is to become small: the weights of the loss say how sequences count."""

    batch: engine.Batch
    loss: engine.Loss


Loss: TypeAlias = Callable[[Indices, np.random.Generator], Asked]
"""Takes the indices of a batch and a generator of its own."""
StreamLoss: TypeAlias = Callable[[Chunk, np.random.Generator], Asked]
"""Takes a chunk and a generator of its own; each piece of the chunk is a sequence of the batch."""


class Work(Protocol):
    """Say what the updates of an epoch read."""

    per_epoch: int  # updates

    def batches(self, epoch: int, start: int) -> Iterator[Any]:
        """Yield what the updates of an epoch read, without the `start` first ones."""

    def ask(self, batch: Any, rng: np.random.Generator) -> Asked:
        """Prepare a batch."""

    def weigh(self, batch: Any) -> int:
        """Say how much the mean loss of a batch counts in that of the epoch."""

    def row(self, batch: Any, sequence: int) -> int:
        """Number a sequence of a batch as the training data has it."""

    def states(self, batch: Any) -> Mapping[str, Array] | None:
        """Give what the sequences of a batch begin with; None where nothing is carried."""

    def move_on(self, batch: Any, ends: Mapping[str, Array], *, end: bool) -> None:
        """Take note of the states after an update, and of whether it was the last of its epoch."""


class Sequences:
    """Read whole sequences in random order."""

    def __init__(self, lengths: Indices, recipe: Recipe, loss: Loss) -> None:
        self.lengths, self.recipe, self.ask = lengths, recipe, loss
        self.per_epoch = batch_count(len(lengths), recipe.batch_size)

    def batches(self, epoch: int, start: int) -> Iterator[Indices]:
        """Yield the indices of each batch."""
        options = {"seed": self.recipe.seed, "epoch": epoch}
        if epoch >= self.recipe.short_first:
            return batches(self.lengths, self.recipe.batch_size, **options, start=start)
        found = batches(self.lengths, self.recipe.batch_size, **options)
        return iter(sorted(found, key=lambda batch: int(self.lengths[batch].max(initial=0)))[start:])

    def weigh(self, batch: Indices) -> int:
        """Count every sequence the same."""
        return len(batch)

    def row(self, batch: Indices, sequence: int) -> int:
        """Give the index of a sequence."""
        return int(batch[sequence])

    def states(self, _batch: Indices) -> None:
        """Begin with zeros."""

    def move_on(self, _batch: Indices, _ends: Mapping[str, Array], *, end: bool) -> None:
        """Carry nothing."""


class Corpus:
    """Read streams that carry their state from one chunk to the next: truncated back-propagation."""

    def __init__(self, streams: Streams, recipe: Recipe, loss: StreamLoss, state: State) -> None:
        self.streams, self.recipe, self.ask, self.state = streams, recipe, loss, state
        self.per_epoch = streams.chunks_per_epoch
        self._ends = np.cumsum(streams.lengths)

    def batches(self, epoch: int, start: int) -> Iterator[Chunk]:
        """Yield each chunk."""
        return self.streams.chunks(self.recipe.seed, epoch, start)

    def weigh(self, batch: Chunk) -> int:
        """Count every token the same."""
        return len(batch)

    def row(self, batch: Chunk, sequence: int) -> int:
        """Give the index of the document that a piece is of."""
        return int(np.searchsorted(self._ends, batch.tokens[batch.offsets[sequence]], side="right"))

    def states(self, batch: Chunk) -> dict[str, Array]:
        """Begin the first piece of each stream where the stream stands, and all others with zeros."""
        pieces, found = len(batch.offsets) - 1, {}
        for name, state in self.state.carried.items():
            begin = np.zeros((len(state), pieces, state.shape[2]), state.dtype)  # [L * D, P, H]
            begin[:, batch.first[batch.goes_on]] = state[:, batch.goes_on]
            found[name] = begin
        return found

    def move_on(self, batch: Chunk, ends: Mapping[str, Array], *, end: bool) -> None:
        """Keep the states after the last piece of each stream; a new epoch begins without any."""
        self.state.carried = {} if end else {name: array[:, batch.last] for name, array in ends.items()}
