"""Lanes are dealt evenly, and what workers add up together is the sum that one adds up alone, in the same order."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from queue import Queue
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.scale.tree import Send, join, share

Array = npt.NDArray[Any]


def tree(parts: Sequence[str | None]) -> str | None:
    """Write down the sum of the parts as the core adds it up: a balanced binary tree, without what is not there."""
    if len(parts) == 1:
        return parts[0]
    left, right = tree(parts[: len(parts) // 2]), tree(parts[len(parts) // 2 :])
    return left or right if left is None or right is None else f"({left}+{right})"


def together(tokens: Sequence[int], workers: int) -> tuple[list[str], int]:
    """Let workers, each a thread, write down what they add up; return what each came to, and how much was sent."""
    shares = share(tokens, workers)
    ways: dict[tuple[int, int], Queue[Array]] = {
        (giver, taker): Queue() for giver in range(workers) for taker in range(workers)
    }
    sent: list[int] = []

    def worker(rank: int) -> Callable[[], None]:
        def own(lanes: range) -> Array:
            assert set(lanes) - set(shares[rank]) <= {lane for lane, count in enumerate(tokens) if not count}
            return np.array([tree([str(lane) if tokens[lane] else None for lane in lanes])], object)

        def exchange(sends: Sequence[Send], source: int | None) -> Array | None:
            for taker, array in sends:
                sent.append(taker)
                ways[rank, taker].put(array.copy())
            return None if source is None else ways[source, rank].get(timeout=10)

        def add(found: Array, other: Array) -> Array:
            return np.array([f"({found[0]}+{other[0]})"], object)

        def run() -> None:
            came[rank] = str(join(rank, shares, tokens, own=own, exchange=exchange, add=add)[0])

        return run

    came = [""] * workers
    threads = [threading.Thread(target=worker(rank)) for rank in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    return came, len(sent)


@given(
    st.integers(0, 4).flatmap(lambda k: st.lists(st.integers(0, 5), min_size=2**k, max_size=2**k)), st.integers(1, 9)
)
def test_all_workers_come_to_the_sum_that_one_comes_to(tokens: list[int], workers: int) -> None:
    tokens[0] += 1  # the first lane is never empty
    came, _ = together(tokens, workers)
    assert came == [tree([str(lane) if count else None for lane, count in enumerate(tokens)])] * workers


@pytest.mark.parametrize(("workers", "arrays"), [(1, 0), (2, 2), (4, 8), (8, 24), (16, 64)])
def test_a_power_of_two_of_workers_meets_by_recursive_doubling(workers: int, arrays: int) -> None:
    assert together([7] * 16, workers)[1] == arrays == workers * (workers.bit_length() - 1)


@given(st.lists(st.integers(0, 50), min_size=16, max_size=16), st.integers(1, 16))
def test_every_lane_has_one_worker_and_they_stand_in_order(tokens: list[int], workers: int) -> None:
    shares = share(tokens, workers)
    assert [lane for lanes in shares for lane in lanes] == list(range(16))
    assert len(shares) == workers


def test_lanes_are_dealt_by_their_tokens() -> None:
    assert share([10, 10, 10, 10, 10, 10, 0, 0], 2) == [range(3), range(3, 8)]
    assert share([30, 1, 1, 1, 1, 1, 1, 1], 2) == [range(1), range(1, 8)]
