"""Streams: every token once an epoch, documents in order within them, and pieces that say what they go on from."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.data.streams import Chunk, Streams
from tidegate.errors import InputError

LENGTHS = st.lists(st.integers(1, 9), min_size=1, max_size=8)


def read(streams: Streams, *, epoch: int = 0) -> list[list[tuple[int, bool]]]:
    """Follow each stream: its tokens in order, and whether each was read without a past."""
    followed: list[list[tuple[int, bool]]] = [[] for _ in range(streams.count)]
    for chunk in streams.chunks(3, epoch):
        for stream, (first, last) in enumerate(zip(chunk.first, chunk.last, strict=True)):
            for piece in range(first, last + 1):
                for place in range(chunk.offsets[piece], chunk.offsets[piece + 1]):
                    fresh = place == chunk.offsets[piece] and not (piece == first and chunk.goes_on[stream])
                    followed[stream].append((int(chunk.tokens[place]), fresh))
    return followed


@given(LENGTHS, st.integers(1, 4), st.integers(1, 5), st.integers(0, 2))
def test_streams_read_each_token_once_and_begin_anew_with_each_document(
    lengths: list[int], count: int, steps: int, epoch: int
) -> None:
    count = min(count, sum(lengths))
    streams = Streams(np.array(lengths), count, steps)
    followed = read(streams, epoch=epoch)
    assert sorted(token for stream in followed for token, _ in stream) == list(range(sum(lengths)))
    assert max(map(len, followed)) - min(map(len, followed)) <= 1
    starts = set(np.cumsum([0, *lengths]).tolist())
    for stream in followed:
        assert stream[0][1]
        for (before, _), (token, fresh) in pairwise(stream):
            assert fresh == (token in starts)
            assert fresh or token == before + 1


@given(LENGTHS, st.integers(1, 4), st.integers(1, 5), st.integers(0, 30))
def test_an_epoch_can_be_entered_anywhere(lengths: list[int], count: int, steps: int, start: int) -> None:
    streams = Streams(np.array(lengths), min(count, sum(lengths)), steps)
    start = min(start, streams.chunks_per_epoch)
    whole, late = list(streams.chunks(1, 2)), list(streams.chunks(1, 2, start))
    assert len(whole) == streams.chunks_per_epoch
    assert list(map(plain, late)) == list(map(plain, whole[start:]))


def plain(chunk: Chunk) -> list[list[int]]:
    return [part.tolist() for part in (chunk.tokens, chunk.offsets, chunk.first, chunk.goes_on)]


def test_another_epoch_or_seed_takes_the_documents_in_another_order() -> None:
    streams = Streams(np.full(50, 2), 1, 100)
    orders = [next(streams.chunks(seed, epoch)).tokens.tolist() for seed, epoch in ((0, 0), (0, 1), (1, 0))]
    assert len({tuple(order) for order in orders}) == 3


def test_a_stream_without_tokens_in_the_last_chunk_keeps_what_it_carries() -> None:
    (first, second) = Streams(np.array([5]), 2, 2).chunks(0, 0)
    assert (first.tokens.tolist(), first.goes_on.tolist()) == ([0, 1, 2, 3], [False, False])
    assert second.tokens.tolist() == [4]
    assert second.offsets.tolist() == [0, 0, 1]
    assert second.goes_on.tolist() == [True, True]


def test_a_stream_alone_reads_what_it_reads_beside_others() -> None:
    chunk = list(Streams(np.array([3, 4, 2, 5]), 2, 4).chunks(0, 0))[1]
    tokens = []
    for stream in range(2):
        alone = chunk.alone(stream)
        assert alone.goes_on.tolist() == [chunk.goes_on[stream]]
        assert len(alone.offsets) - 1 == chunk.last[stream] - chunk.first[stream] + 1
        assert alone.offsets[-1] == len(alone)
        tokens += alone.tokens.tolist()
    assert tokens == chunk.tokens.tolist()


@pytest.mark.parametrize(("lengths", "count", "steps"), [([], 1, 1), ([3], 0, 1), ([3], 1, 0)])
def test_no_tokens_streams_or_steps_are_refused(lengths: list[int], count: int, steps: int) -> None:
    with pytest.raises(InputError, match="each must be at least 1"):
        Streams(np.array(lengths, np.int64), count, steps)
