"""Batches: every example once, even work, and a pure function of the arguments."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.data import batch_count, batches
from tidegate.errors import InputError, ShapeError

lengths_of = st.lists(st.integers(0, 500), max_size=300)
sizes = st.integers(1, 40)
seeds = st.integers(0, 2**32)


def plan(lengths: list[int], batch_size: int, *, seed: int = 0, epoch: int = 0, start: int = 0) -> list[list[int]]:
    return [b.tolist() for b in batches(lengths, batch_size, seed=seed, epoch=epoch, start=start)]


@given(lengths_of, sizes, seeds, st.integers(0, 50))
def test_every_example_occurs_exactly_once(lengths: list[int], batch_size: int, seed: int, epoch: int) -> None:
    met = [index for batch in plan(lengths, batch_size, seed=seed, epoch=epoch) for index in batch]
    assert sorted(met) == list(range(len(lengths)))


@given(lengths_of, sizes, seeds)
def test_sizes_differ_by_at_most_one_and_keep_to_the_limit(lengths: list[int], batch_size: int, seed: int) -> None:
    counts = [len(batch) for batch in plan(lengths, batch_size, seed=seed)]
    assert len(counts) == batch_count(len(lengths), batch_size) == -(-len(lengths) // batch_size)
    assert all(count <= batch_size for count in counts)
    assert not counts or max(counts) - min(counts) <= 1


@given(lengths_of, sizes, seeds)
def test_no_two_batches_differ_by_more_work_than_the_longest_example(
    lengths: list[int], batch_size: int, seed: int
) -> None:
    work = [sum(lengths[i] for i in batch) for batch in plan(lengths, batch_size, seed=seed)]
    assert not work or max(work) - min(work) <= max(lengths)


@given(lengths_of, sizes, seeds, st.integers(0, 9), st.data())
def test_a_start_gives_what_an_uninterrupted_epoch_has_left(
    lengths: list[int], batch_size: int, seed: int, epoch: int, data: st.DataObject
) -> None:
    whole = plan(lengths, batch_size, seed=seed, epoch=epoch)
    start = data.draw(st.integers(0, len(whole)))
    assert plan(lengths, batch_size, seed=seed, epoch=epoch, start=start) == whole[start:]


@given(st.lists(st.integers(0, 500), min_size=2, max_size=100), sizes, seeds)
def test_a_batch_is_ordered_longest_first(lengths: list[int], batch_size: int, seed: int) -> None:
    for batch in plan(lengths, batch_size, seed=seed):
        steps = [lengths[i] for i in batch]
        assert steps == sorted(steps, reverse=True)


def test_epochs_and_seeds_give_different_batches() -> None:
    lengths = list(range(100))
    first = plan(lengths, 8, seed=1, epoch=0)
    assert plan(lengths, 8, seed=1, epoch=0) == first
    assert plan(lengths, 8, seed=1, epoch=1) != first
    assert plan(lengths, 8, seed=2, epoch=0) != first


def test_neighbours_change_between_epochs_even_when_all_lengths_are_equal() -> None:
    pairs = [
        {frozenset(batch) for batch in plan([7] * 64, 2, seed=3, epoch=epoch)} for epoch in range(2)
    ]  # 32 pairs each; a fixed stratum would repeat some of them
    assert len(pairs[0] & pairs[1]) < 8


def test_any_two_examples_of_one_length_meet_in_some_epoch() -> None:
    met = {frozenset(batch) for epoch in range(200) for batch in plan([7] * 6, 2, seed=0, epoch=epoch)}
    assert len(met) == 15  # all pairs of six


def test_the_order_of_batches_is_not_the_order_of_the_file() -> None:
    firsts = [batch[0] for batch in plan([5] * 50, 1, seed=0)]
    assert firsts != sorted(firsts)
    assert sorted(firsts) == list(range(50))


def test_no_examples_give_no_batches() -> None:
    assert plan([], 4) == []


def test_one_example_is_one_batch() -> None:
    assert plan([9], 128) == [[0]]


def test_the_caller_may_pass_an_array_of_any_integer_type() -> None:
    assert [b.tolist() for b in batches(np.array([3, 1], dtype=np.int32), 2, seed=0, epoch=0)] == [[0, 1]]


@pytest.mark.parametrize(
    ("batch_size", "seed", "epoch", "start", "says"),
    [
        (0, 0, 0, 0, "batch_size is 0"),
        (2, -1, 0, 0, "must not be negative"),
        (2, 0, -1, 0, "must not be negative"),
        (2, 0, 0, -1, "must not be negative"),
        (2, 0, 0, 4, "start is 4, but an epoch of 5 examples has 3 batches"),
    ],
)
def test_arguments_out_of_range_are_refused(batch_size: int, seed: int, epoch: int, start: int, says: str) -> None:
    with pytest.raises(InputError, match=says):
        plan([1, 2, 3, 4, 5], batch_size, seed=seed, epoch=epoch, start=start)


def test_a_negative_length_is_refused() -> None:
    with pytest.raises(InputError, match="must not be negative"):
        plan([1, -2], 2)


def test_lengths_of_two_axes_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"lengths is \[2, 2\]"):
        list(batches(np.ones((2, 2), dtype=np.int64), 2, seed=0, epoch=0))
