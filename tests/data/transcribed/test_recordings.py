"""Recordings: what is selected stays together, whole groups are held out, and what cannot be is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tidegate.data import Recordings
from tidegate.errors import InputError, OptionError, ShapeError
from tidegate.ragged import Ragged


def clips(groups: list[str]) -> Recordings:
    """One recording for each group: as many samples as its number, all with that value."""
    count = len(groups)
    signals = [np.full((number, 1), number / 10, np.float32) for number in range(count)]
    scales = np.stack([np.full(count, 0.5), np.arange(count)], axis=1).astype(np.float64)
    texts = [f"text {number}" for number in range(count)]
    return Recordings(signals, texts, groups=groups, scales=scales, rate=2.0)


def test_everything_of_a_recording_is_selected_with_it() -> None:
    few = clips(["ann", "bob", "ann", "cid"]).select([3, 1])
    assert [signal.ravel().tolist() for signal in few] == [[pytest.approx(0.3)] * 3, [pytest.approx(0.1)]]
    assert (few.texts, few.groups, few.names) == (["text 3", "text 1"], ["cid", "bob"], ["3", "1"])
    assert few.place(0, 2) == 2 * 0.5 + 3


def test_ragged_and_listed_signals_are_selected_alike() -> None:
    listed = clips(["ann", "bob", "ann"])
    ragged = Recordings(listed.ragged(), listed.texts, reads="sound")
    assert isinstance(ragged.signals, Ragged)
    for one, other in zip(ragged.select([2, 0]), listed.select([2, 0]), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(ragged.lengths, [0, 1, 2])


@pytest.mark.parametrize("seed", range(20))
def test_whole_groups_are_held_out_and_both_sides_have_one(seed: int) -> None:
    whole = clips(["ann"] * 5 + ["bob"] * 3 + ["cid"] * 2)
    kept, held = whole.hold_out(0.3, seed=seed)
    assert kept.groups is not None
    assert held.groups is not None
    assert not set(kept.groups) & set(held.groups)
    assert sorted(kept.names + held.names) == sorted(whole.names)
    assert len(kept) * len(held) > 0


def test_a_left_out_speaker_is_on_one_side_alone() -> None:
    whole = clips(["ann", "bob", "ann", "cid"])
    assert whole.of_groups(["ann"]).names == ["0", "2"]
    assert whole.of_groups(["ann"], others=True).names == ["1", "3"]
    with pytest.raises(OptionError, match=r"unknown group 'anne'\. Did you mean 'ann'"):
        whole.of_groups(["anne"])


def test_recordings_that_are_joined_keep_their_order_and_add_what_was_dropped() -> None:
    first, second = clips(["ann", "bob"]), clips(["cid"])
    both = first.joined(second)
    assert both.groups == ["ann", "bob", "cid"]
    np.testing.assert_array_equal(both.scales, [[0.5, 0], [0.5, 1], [0.5, 0]])
    with pytest.raises(ShapeError, match=r"sound at 2.0 and sound at 8.0 steps a second"):
        first.joined(Recordings([np.zeros((1, 1), np.float32)], rate=8.0))


def test_steps_are_places_by_the_rate_where_nothing_else_is_said() -> None:
    assert Recordings([np.zeros((9, 1), np.float32)], rate=8000.0).place(0, 4000) == 0.5
    frames = Recordings([np.zeros((9, 3), np.float32)], reads="features")
    assert (frames.place(0, 4), frames.unit) == (4.0, "steps")


@pytest.mark.parametrize(
    ("signals", "rest", "message"),
    [
        ([np.zeros((4, 1))], {}, "signal 0 is float64"),
        ([np.zeros(4, np.float32)], {}, r"signal 0 is float32 \[4\]"),
        ([np.zeros((4, 2), np.float32)], {}, "signal 0 is 2 wide, but 1 is wanted"),
        ([np.zeros((4, 48), np.float32), np.zeros((4, 40), np.float32)], {"reads": "line"}, "signal 1 is 40 wide"),
        ([np.zeros((4, 1), np.float32)], {"texts": []}, "1 signals came with 0 texts"),
        ([np.zeros((4, 1), np.float32)], {"scales": np.ones((2, 2))}, "scales are float64"),
    ],
)
def test_what_does_not_fit_together_is_refused(signals: list[np.ndarray], rest: dict[str, Any], message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        Recordings(signals, **rest)


@pytest.mark.parametrize("groups", [None, ["ann"] * 4])
def test_clips_of_one_name_or_of_one_speaker_are_held_out_singly(groups: list[str] | None) -> None:
    whole = Recordings(
        [np.full((number, 1), 0.5, np.float32) for number in range(4)], names=["1.wav"] * 4, groups=groups
    )
    sides = [whole.hold_out(0.25, seed=seed) for seed in range(20)]
    assert {(len(kept), len(held)) for kept, held in sides} == {(3, 1)}
    assert {int(held.lengths[0]) for _, held in sides} == {0, 1, 2, 3}
    for kept, held in sides:
        assert sorted([*kept.lengths.tolist(), *held.lengths.tolist()]) == [0, 1, 2, 3]


@pytest.mark.parametrize("groups", [[], ["ann"]])
def test_one_recording_cannot_stand_on_both_sides(groups: list[str]) -> None:
    with pytest.raises(InputError, match=f"{len(groups)} recordings cannot stand on both sides of a split"):
        clips(groups).hold_out(0.5)


def test_a_kind_of_signal_that_nobody_knows_is_refused() -> None:
    with pytest.raises(OptionError, match="unknown kind of signal 'lines'"):
        Recordings([], reads="lines")  # type: ignore[arg-type]
