"""Images with labels: a folder of pictures for each class. Needs Pillow, which decodes; greys are our own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tidegate.data.checks import check_known_classes
from tidegate.data.dataset import Dataset, Examples
from tidegate.data.files import find_parts
from tidegate.data.kinds import Layout
from tidegate.data.recordings import LAYOUT as RECORDINGS
from tidegate.data.recordings import load_recordings
from tidegate.data.transcribed.images import PICTURES, read_picture
from tidegate.errors import DataError, InputError
from tidegate.grid import Grid

_WHITE = np.float32(255)
_MOST_CELLS = 1 << 24  # of a picture: 64 MiB as numbers


def read_images(files: Sequence[Path]) -> Grid:
    """Read pictures (.png, .tif, .jpg) of any sizes as grey images, 0 black and 1 white, one feature a cell.

    Raises:
        DataError: a file cannot be decoded, or has more than 16,777,216 pixels.
        MissingPackageError: Pillow is not installed.
    """
    pictures = []
    for file in files:
        grey = read_picture(file, str(file))
        if grey.size > _MOST_CELLS:
            height, width = grey.shape
            raise DataError(f"{file} is {width:,} x {height:,} pixels; {_MOST_CELLS:,} are the most. Make it smaller.")
        pictures.append(grey.astype(np.float32) / _WHITE)
    return Grid.from_list(pictures, dtype=np.float32)


def load_images(path: Path, *, unlabelled: bool = False, **columns: str) -> Dataset:
    """Load a folder with one subfolder of pictures per class, or of ``train``, ``valid`` and ``test`` of such.

    The name of a subfolder is the label of the pictures in it, in the order of their names; files whose names begin
    with a dot are passed over.

    Raises:
        DataError: a picture cannot be read, what a class holds is none, a class holds nothing, or one of valid or test
            is none of train.
        InputError: a column was named, or unlabelled images are wanted.
    """
    if unlabelled:
        raise InputError(f"{path} has no unlabelled part.")
    if columns:
        raise InputError(f"{next(iter(columns))} names a column, and pictures in folders have none. Leave it out.")
    parts = {part: _load_part(place) for part, place in find_parts(path, ()).items()}
    classes = tuple(sorted(set(parts["train"].y)))
    for part, examples in parts.items():
        check_known_classes(examples.y, classes, where=lambda _, name=part: f"{path / name}")  # type: ignore[misc]
    return Dataset(
        path.resolve().name, "sequence", classes, parts["train"], valid=parts.get("valid"), test=parts.get("test")
    )


def _folders(folder: Path) -> list[Path]:
    return sorted(place for place in folder.iterdir() if place.is_dir() and not place.name.startswith("."))


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.is_file() and not file.name.startswith("."))


def _load_part(folder: Path) -> Examples:
    files, labels, places = list[Path](), list[str](), _folders(folder)
    for place in places:
        if inner := _folders(place):
            raise DataError(f"{inner[0]} lies in the folder of a class, where pictures alone are read. Take it out.")
        for file in _files(place):
            if file.suffix.lower() not in PICTURES:
                raise DataError(f"{file} is no picture: {', '.join(PICTURES)} are read. Take it out of the folder.")
            files.append(file)
            labels.append(place.name)
    if not files:
        raise DataError(
            f"{folder} has no pictures. Wanted: a subfolder for each class, with {', '.join(PICTURES)} in it."
        )
    seen = set(labels)
    if empty := [place for place in places if place.name not in seen]:
        raise DataError(f"{empty[0]} is the folder of a class, and holds no picture. Put some there, or take it out.")
    return Examples(read_images(files), labels)


def load_sequences(path: Path, *, unlabelled: bool = False, **columns: str) -> Dataset:
    """Load a folder of pictures as images, and a table as recordings."""
    load = load_images if path.is_dir() else load_recordings
    return load(path, unlabelled=unlabelled, **columns)


LAYOUT = Layout(load_sequences, RECORDINGS.columns)
