"""The order in which a corpus is read by streams that carry their state on. Knows lengths only.

The documents of an epoch are shuffled, laid end to end, and cut into streams of equal length. An update takes the next
`steps` tokens of every stream. Where a document ends within them the stream is cut, and what follows begins without a
past; so a chunk is a ragged batch of pieces, of which the first of each stream may go on from the chunk before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tidegate.errors import InputError

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Chunk:
    """Say which tokens one update reads, cut into P pieces, and how the pieces follow on those of the chunk before.

    Args:
        tokens: [N], positions in the corpus.
        offsets: [P + 1], where each piece begins in `tokens`; a piece may be empty.
        first: [S], the first piece of each stream.
        goes_on: [S], whether that piece continues the last piece of the stream in the chunk before.
    """

    tokens: Indices
    offsets: Indices
    first: Indices
    goes_on: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        """Count the tokens."""
        return len(self.tokens)

    @property
    def last(self) -> Indices:
        """The last piece of each stream, [S]."""
        return np.append(self.first[1:], len(self.offsets) - 1) - 1

    def alone(self, stream: int) -> Chunk:
        """Return what one stream reads, as the chunk of a single stream."""
        first, last = int(self.first[stream]), int(self.last[stream])
        begin, end = self.offsets[first], self.offsets[last + 1]
        offsets = self.offsets[first : last + 2] - begin
        return Chunk(self.tokens[begin:end], offsets, np.zeros(1, np.int64), self.goes_on[stream : stream + 1])


@dataclass(frozen=True, eq=False)
class Streams:
    """Cut a corpus into chunks for truncated back-propagation; a pure function of its arguments, so that runs resume.

    Args:
        lengths: [D], the number of tokens of every document.
        count: how many streams run side by side.
        steps: the most tokens that a chunk takes of each stream.

    Raises:
        InputError: there is no token, or a number is below 1.

    >>> streams = Streams(np.array([5, 2]), count=1, steps=4)
    >>> [(chunk.tokens.tolist(), chunk.offsets.tolist(), chunk.goes_on.tolist()) for chunk in streams.chunks(0, 0)]
    [([0, 1, 2, 3], [0, 4], [False]), ([4, 5, 6], [0, 1, 3], [True])]
    """

    lengths: Indices
    count: int
    steps: int

    def __post_init__(self) -> None:
        if min(self.count, self.steps, int(self.lengths.sum())) < 1:
            raise InputError(
                f"{self.lengths.sum()} tokens in {self.count} streams of {self.steps} steps: each must be at least 1."
            )

    @property
    def chunks_per_epoch(self) -> int:
        """Count the chunks of an epoch, the same for each epoch."""
        longest = -(-int(self.lengths.sum()) // self.count)
        return -(-longest // self.steps)

    def chunks(self, seed: int, epoch: int, start: int = 0) -> Iterator[Chunk]:
        """Yield the chunks of an epoch, from 0, without the `start` first ones.

        Every token occurs once. Streams differ by one token at most, so that in the last chunk one may be empty.
        """
        order = np.random.default_rng([seed, epoch, 0x57E4]).permutation(len(self.lengths))
        lengths = self.lengths[order]
        ends = np.cumsum(lengths)
        corpus = np.cumsum(self.lengths) - self.lengths  # where each document begins
        tokens = np.arange(ends[-1]) + np.repeat(corpus[order] - (ends - lengths), lengths)
        begins = np.zeros(ends[-1] + 1, bool)
        begins[ends - lengths] = True
        edges = np.arange(self.count + 1) * ends[-1] // self.count
        for chunk in range(start, self.chunks_per_epoch):
            low = np.minimum(edges[:-1] + chunk * self.steps, edges[1:])  # [S]
            high = np.minimum(low + self.steps, edges[1:])
            yield _cut(low, high, tokens, begins, goes_on=chunk > 0)


def _cut(low: Indices, high: Indices, tokens: Indices, begins: npt.NDArray[np.bool_], *, goes_on: bool) -> Chunk:
    """Take the tokens from `low` to `high` of every stream, and cut them where documents begin."""
    sizes = high - low
    starts = np.cumsum(sizes) - sizes  # [S] in the chunk
    places = np.arange(sizes.sum()) + np.repeat(low - starts, sizes)  # [N] in the shuffled corpus
    inner = begins[places]
    inner[starts[sizes > 0]] = False  # where streams begin, they are cut anyway
    cuts = np.flatnonzero(inner)
    pieces = np.sort(np.concatenate([starts, cuts]))
    return Chunk(
        tokens=tokens[places],
        offsets=np.append(pieces, len(places)).astype(np.int64),
        first=np.searchsorted(cuts, starts) + np.arange(len(starts)),
        goes_on=(~begins[low] | (sizes == 0)) & goes_on,
    )
