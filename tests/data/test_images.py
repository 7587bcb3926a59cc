"""Folders of pictures: labels are names of folders, sizes differ, and what is no picture is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tidegate.data import load
from tidegate.data.images import read_images
from tidegate.errors import DataError, InputError
from tidegate.grid import Grid


def save(path: Path, grey: Any, **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(grey, np.uint8)).save(path, **options)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save(tmp_path / "cats" / "b.png", [[0, 255, 51]])
    save(tmp_path / "cats" / "a.tif", [[255], [0]])
    save(tmp_path / "dogs" / "one.png", [[102, 102], [102, 102]])
    (tmp_path / "dogs" / ".hidden").write_text("not read")
    return tmp_path


def test_a_folder_of_pictures_per_class(folder: Path) -> None:
    dataset = load(folder, kind="sequence")
    assert isinstance(dataset.train.x, Grid)
    assert dataset.classes == ("cats", "dogs")
    assert dataset.train.y == ["cats", "cats", "dogs"]
    assert dataset.train.x.sizes.tolist() == [[2, 1], [1, 3], [2, 2]]
    assert dataset.train.x.values.dtype == np.float32
    np.testing.assert_allclose(dataset.train.x.values[:5, 0], [1, 0, 0, 1, 0.2], rtol=1e-6)
    assert dataset.summary() == "3 examples, 2 classes"


def test_parts_have_folders_of_their_own(folder: Path) -> None:
    for part in ("train", "valid", "test"):
        for label in ("x", "y"):
            save(folder / "parts" / part / label / "1.png", [[len(part)]])
    dataset = load(folder / "parts", kind="sequence")
    assert dataset.valid is not None and dataset.test is not None
    assert isinstance(dataset.valid.x, Grid) and isinstance(dataset.test.x, Grid)
    assert np.rint(dataset.valid.x.values.ravel() * 255).tolist() == [5, 5]
    assert np.rint(dataset.test.x.values.ravel() * 255).tolist() == [4, 4]


def test_colours_become_grey_by_the_weights_of_bt_601(tmp_path: Path) -> None:
    save(tmp_path / "c.png", [[[255, 0, 0], [0, 255, 0], [0, 0, 255]]])
    found = read_images([tmp_path / "c.png"]).values.ravel()
    np.testing.assert_allclose(found, [0.299, 0.587, 0.114], atol=0.5 / 255)


def test_a_split_holds_out_images(folder: Path) -> None:
    for index in range(10):
        save(folder / "cats" / f"{index}.png", [[index, 0]])
        save(folder / "dogs" / f"{index}.png", [[index], [1]])
    dataset = load(folder, kind="sequence", split=0.25)
    assert dataset.test is not None
    assert isinstance(dataset.test.x, Grid)
    assert len(dataset.train) + len(dataset.test) == 23


def test_a_text_loader_says_what_the_folder_holds(folder: Path) -> None:
    with pytest.raises(DataError, match=r"pictures.*sequence"):
        load(folder)


@pytest.mark.parametrize(
    ("spoil", "error", "told"),
    [
        (lambda at: (at / "dogs" / "notes.txt").write_text("x"), DataError, "notes.txt is no picture"),
        (lambda at: save(at / "dogs" / "more" / "two.png", [[1]]), DataError, "more lies in the folder of a class"),
        (lambda at: (at / "dogs" / "two.png").write_bytes(b"\x89PNG\r\n"), DataError, "two.png"),
        (lambda at: save(at / "test" / "cats" / "1.png", [[1]]), DataError, "no train part"),
    ],
)
def test_what_is_no_picture_is_named(folder: Path, spoil: Any, error: type[Exception], told: str) -> None:
    spoil(folder)
    with pytest.raises(error, match=told):
        load(folder, kind="sequence")


def test_a_class_of_test_alone_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "train" / "a" / "1.png", [[1]])
    save(tmp_path / "train" / "b" / "1.png", [[1]])
    save(tmp_path / "test" / "c" / "1.png", [[1]])
    with pytest.raises(DataError, match="c"):
        load(tmp_path, kind="sequence")


def test_an_empty_folder_says_what_is_wanted(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(DataError, match="a subfolder for each class"):
        load(tmp_path, kind="sequence")


@pytest.mark.parametrize(
    ("asked", "told"), [({"label": "kind"}, "label names a column"), ({"unlabelled": True}, "no unlabelled part")]
)
def test_folders_have_no_columns(folder: Path, asked: Any, told: str) -> None:
    with pytest.raises(InputError, match=told):
        load(folder, kind="sequence", **asked)


@pytest.mark.parametrize("part", ["", "train", "test"])
def test_the_folder_of_a_class_that_holds_no_picture_is_named(folder: Path, part: str) -> None:
    for name in ("train", "test") if part else ():
        for label in ("x", "y"):
            save(folder / "parts" / name / label / "1.png", [[9]])
    place = (folder / "parts" / part if part else folder) / "birds"
    place.mkdir()
    (place / ".DS_Store").write_text("a system's, and hidden")
    with pytest.raises(DataError, match=f"{place} is the folder of a class, and holds no picture"):
        load(folder / "parts" if part else folder, kind="sequence")
