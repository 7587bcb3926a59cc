"""MNIST: upstream's layout, the three orders, broken files, and, where they lie on this machine, the real digits."""

from __future__ import annotations

import gzip
import os
import struct
from pathlib import Path

import numpy as np
import pytest

from tidegate import data
from tidegate.data import mnist
from tidegate.errors import DataError, InputError, OptionError
from tidegate.fetch.progress import silent
from tidegate.ragged import Ragged

FILES = {part: remote.file for part, remote in mnist.REMOTES.items()}


def write(folder: Path, name: str, shape: tuple[int, ...], values: bytes, *, kind: int = 8) -> None:
    header = struct.pack(">BBBB", 0, 0, kind, len(shape)) + struct.pack(f">{len(shape)}I", *shape)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(gzip.compress(header + values))


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write two training images and a test image, each with the numbers 0, 1, 2, ... modulo 256 as its pixels."""
    monkeypatch.setenv("TIDEGATE_DATA", str(tmp_path))
    monkeypatch.setenv("TIDEGATE_CACHE", str(tmp_path / "cache"))
    image = bytes(pixel % 256 for pixel in range(784))
    for part, count, labels in (("train", 2, b"\x07\x00"), ("test", 1, b"\x09")):
        write(tmp_path / "mnist", FILES[f"{part} images"], (count, 28, 28), image * count)
        write(tmp_path / "mnist", FILES[f"{part} labels"], (count,), labels)
    return tmp_path / "mnist"


def features(order: str) -> Ragged:
    x = data.load("mnist", order=order, progress=silent).train.x
    assert isinstance(x, Ragged)
    return x


def test_rows_are_28_steps_of_28_pixels_between_0_and_1(files: Path) -> None:
    dataset = data.load("mnist", progress=silent)
    assert isinstance(dataset.train.x, Ragged)
    assert dataset.train.x.offsets.tolist() == [0, 28, 56]
    assert dataset.train.x.values[1].tolist() == (np.arange(28, 56, dtype=np.float32) / np.float32(255)).tolist()
    assert dataset.train.y.tolist() == [7, 0]
    assert dataset.test is not None
    assert (dataset.test.y.tolist(), dataset.classes, dataset.kind) == ([9], tuple(range(10)), "sequence")


def test_pixels_are_784_steps_of_one(files: Path) -> None:
    pixels = features("pixels")
    assert pixels.offsets.tolist() == [0, 784, 1568]
    assert pixels.values[:3, 0].tolist() == [0.0, np.float32(1) / np.float32(255), np.float32(2) / np.float32(255)]


def test_permuted_is_one_order_for_all_images_and_parts(files: Path) -> None:
    one, other = features("permuted")
    assert one.tolist() == other.tolist()
    assert sorted(one.ravel().tolist()) == sorted(features("pixels")[0].ravel().tolist())
    assert one.tolist() != features("pixels")[0].tolist()
    test = data.load("mnist", order="permuted", progress=silent).test
    assert test is not None and test.x[0].tolist() == one.tolist()


def test_an_unknown_order_is_refused_with_the_nearest(files: Path) -> None:
    with pytest.raises(OptionError, match="Did you mean 'permuted'"):
        data.load("mnist", order="permute", progress=silent)
    with pytest.raises(InputError, match="side names a column that mnist does not have; to choose are order"):
        data.load("mnist", side="28", progress=silent)


@pytest.mark.parametrize(
    ("shape", "values", "kind", "message"),
    [
        ((2, 28, 28), bytes(784), 8, r"is cut off: its header says \[2, 28, 28\], after it come 784 bytes"),
        ((2, 28, 28), bytes(1569), 8, "is cut off"),
        ((2, 28, 28), bytes(1568), 13, "no bytes in the IDX format"),
        ((2, 784), bytes(1568), 8, "not those of MNIST"),
        ((1, 28, 28), bytes(784), 8, "not those of MNIST"),
        ((2**31, 2**31, 2**31), bytes(8), 8, "is cut off"),
    ],
)
def test_files_that_are_not_those_of_mnist_are_refused(
    files: Path, shape: tuple[int, ...], values: bytes, kind: int, message: str
) -> None:
    write(files, FILES["train images"], shape, values, kind=kind)
    with pytest.raises(DataError, match=message):
        data.load("mnist", progress=silent)


@pytest.mark.parametrize("damage", [lambda content: content[:40], lambda content: b"no gzip", lambda content: b""])
def test_a_damaged_archive_is_refused(files: Path, damage: object) -> None:
    file = files / FILES["train images"]
    file.write_bytes(damage(file.read_bytes()))  # type: ignore[operator]
    with pytest.raises(DataError, match="train-images"):
        data.load("mnist", progress=silent)


def test_it_is_here_only_with_all_four_files(files: Path) -> None:
    assert data.path("mnist") == files
    (files / FILES["test labels"]).unlink()
    assert data.path("mnist") is None


@pytest.mark.skipif(
    not Path(os.environ.get("TIDEGATE_DATA", ""), "mnist").is_dir(), reason="the real digits are not on this machine"
)
def test_the_real_digits_have_the_counts_that_are_known_of_them() -> None:
    dataset = data.load("mnist", progress=silent)
    assert dataset.test is not None
    assert np.bincount(dataset.train.y).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert (len(dataset.test), dataset.test.y[:5].tolist()) == (10_000, [7, 2, 1, 0, 4])
