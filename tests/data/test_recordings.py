"""Recordings: sequences and windows cut by hand, splits that keep recordings whole, and rows that are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tidegate import data
from tidegate.data import recordings
from tidegate.data.split import group_split
from tidegate.errors import DataError, InputError, TidegateError
from tidegate.fetch.progress import silent

WALK = """subject,x,y,activity
a,0,10,still
a,1,11,still
b,5,15,walk
a,2,12,walk
b,6,16,walk
a,3,13,walk
a,4,14,walk
"""


def write(path: Path, content: str = WALK) -> Path:
    path.write_text(content)
    return path


def load(path: Path, **chosen: Any) -> data.Dataset:
    return data.load(path, kind="sequence", progress=silent, **chosen)


def lists(examples: data.Examples) -> list[list[list[float]]]:
    return [sequence.tolist() for sequence in examples.x]


def test_windows_are_cut_within_a_recording_and_named_by_most_of_their_steps(tmp_path: Path) -> None:
    train = load(write(tmp_path / "walk.csv"), window="3", stride="2").train
    assert lists(train) == [
        [[0, 10], [1, 11], [2, 12]],
        [[2, 12], [3, 13], [4, 14]],
        [[5, 15], [6, 16]],  # shorter than a window, so whole
    ]
    assert train.y == ["still", "walk", "walk"]
    assert train.groups is not None and train.groups.tolist() == [0, 0, 1]


def test_half_a_window_is_the_usual_stride_and_a_tie_goes_by_spelling(tmp_path: Path) -> None:
    train = load(write(tmp_path / "walk.csv"), window="4", features="y").train
    assert lists(train) == [[[10], [11], [12], [13]], [[15], [16]]]
    assert train.y == ["still", "walk"]


def test_whole_recordings_become_sequences(tmp_path: Path) -> None:
    path = write(tmp_path / "two.csv", "id,label,v\n1,up,0\n2,down,5\n1,up,1\n")
    assert lists(load(path).train) == [[[0], [1]], [[5]]]
    assert load(path).train.y == ["up", "down"]


@pytest.mark.parametrize(
    ("content", "chosen", "message"),
    [
        (WALK, {}, r"row 4 \(line 5\): recording 'a' changes its label from 'still' to 'walk'. Cut it into windows"),
        (WALK, {"window": "0"}, "window='0': wanted a whole number of steps above zero"),
        (WALK, {"window": "2", "stride": "half"}, "stride='half': wanted a whole number"),
        (WALK, {"stride": "2"}, "Give window, too"),
        (WALK, {"features": "x,z", "window": "2"}, "no column 'z'. Its columns are: 'subject', 'x', 'y', 'activity'"),
        (WALK, {"features": "x,x", "window": "2"}, "must be different columns"),
        (WALK, {"colour": "x"}, "colour names a column that a file of the kind 'sequence' does not have"),
        ("a,b,label\n1,2,x\n", {}, "no column that is clearly the group"),
        ("group,label\n1,x\n", {}, "at least one feature"),
        ("group,label,v\n1,x,0\n1,x,oops\n", {}, r"row 2 \(line 3\) has 'oops' in the column 'v', which is no number"),
        ("group,label,v\n1,x,nan\n", {}, "column 'v' is 'nan'; features must be finite"),
        ("group,label,v\n1,,3\n", {}, "row 1 .* has no label"),
        ("group,label,v\n ,x,3\n", {}, "row 1 .* column 'group', has no label"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, content: str, chosen: dict[str, str], message: str) -> None:
    with pytest.raises(TidegateError, match=message):
        load(write(tmp_path / "walk.csv", content), **chosen)


def test_there_is_no_unlabelled_part(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no unlabelled part"):
        recordings.load_recordings(write(tmp_path / "walk.csv"), unlabelled=True)


def many(path: Path, count: int) -> Path:
    rows = [f"{name},{'up' if name % 2 else 'down'},{step}" for name in range(count) for step in range(9)]
    return write(path, "\n".join(["recording,label,v", *rows, ""]))


def test_no_recording_stands_in_two_parts(tmp_path: Path) -> None:
    dataset = load(many(tmp_path / "many.csv", 40), window="3", split=0.25)
    found = [part.groups for part in (dataset.train, dataset.valid, dataset.test) if part is not None]
    parts = [set(groups.tolist()) for groups in found if groups is not None]
    assert [len(part) for part in parts] == [28, 4, 8]
    assert set.union(*parts) == set(range(40))


def test_a_group_split_holds_out_each_class_by_its_groups() -> None:
    labels, groups = ["a"] * 8 + ["b"] * 8, np.repeat(np.arange(8), 2)
    kept, held = group_split(labels, groups, 0.25)
    assert sorted([*kept, *held]) == list(range(16))
    assert not set(groups[kept]) & set(groups[held])
    assert [labels[i] for i in held] == ["a", "a", "b", "b"]
    assert group_split(labels, groups, 0.25, seed=1)[1].tolist() != held.tolist()


def test_a_group_split_of_few_groups_holds_out_one() -> None:
    assert len(group_split(["a", "a", "b"], np.array([0, 0, 1]), 0.1)[1]) in (1, 2)
    with pytest.raises(DataError, match="one group alone"):
        group_split(["a", "b"], np.array([3, 3]), 0.5)


def test_the_columns_that_were_taken_are_told_and_can_be_said_again(tmp_path: Path) -> None:
    path = write(tmp_path / "walk.csv")
    first = load(path, window="3")
    assert first.taken == {"group": "subject", "label": "activity", "features": "x,y"}
    assert first.summary().startswith("group: subject, label: activity, features: x,y; ")
    assert lists(load(path, window="3", **first.taken).train) == lists(first.train)
    path.write_text(WALK.replace("subject,x,y", 'subject,"x, east",y'))
    assert load(path, window="3").taken == {"group": "subject", "label": "activity"}
