"""Data sets by name or by path: the one door behind `data.load`. Adding a data set is one line in `_SOURCES`."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from tidegate.data import digits, imdb
from tidegate.data.dataset import Dataset
from tidegate.data.files import load_path
from tidegate.data.progress import Progress, show
from tidegate.data.source import Source
from tidegate.data.split import stratified_split
from tidegate.errors import DataError, InputError, OptionError

_SOURCES = {source.name: source for source in (digits.SOURCE, imdb.SOURCE)}


def names() -> list[str]:
    """List the data sets known by name.

    >>> names()
    ['digits', 'imdb']
    """
    return sorted(_SOURCES)


def describe(name: str) -> Source:
    """Describe a data set: title, kind, licence, citation, homepage. An unknown name raises OptionError."""
    if name not in _SOURCES:
        raise OptionError.unknown("data set", name, _SOURCES)
    return _SOURCES[name]


def path(name: str) -> Path | None:
    """Say where the file of a data set lies on this machine; None if it would have to be downloaded."""
    return describe(name).find()


def get(name: str, *, progress: Progress = show) -> Path:
    """Make a data set ready to load and return its file.

    It is looked for in ``$TIDEGATE_DATA/<name>/``, then in the user's cache, and only then downloaded.

    Args:
        name: one of `names()`.
        progress: told how far it is; by default shown on stderr.

    Raises:
        OptionError: the name is not known.
        DownloadError: the download failed.
        DataError: the file is damaged.
    """
    return describe(name).fetch(progress)


def load(
    source: str | os.PathLike[str],
    *,
    text: str | None = None,
    label: str | None = None,
    split: float | None = None,
    unlabelled: bool = False,
    progress: Progress = show,
) -> Dataset:
    """Load a data set by name, or labelled texts from a file or folder.

    Args:
        source: a name from `names()`; or a .csv, .tsv, .jsonl or .parquet file; or a folder with one subfolder of
            .txt files per class; or a folder with ``train`` and, if there are any, ``valid`` and ``test``, each such
            a folder or file. A word that is a name means the data set: write ./imdb for a folder of that name.
        text: the column of a file that holds the texts; found by its usual names when not given.
        label: the column of a file that holds the labels; found by its usual names when not given.
        split: hold out this fraction of every class as ``test``, the same examples every time.
        unlabelled: also load the part without labels.
        progress: told how far it is; by default shown on stderr.

    Raises:
        OptionError: there is no such data set, file or folder.
        DataError: the content cannot be used; the row is named.
        InputError: the arguments do not fit the source.
        DownloadError: the download failed.
    """
    named = isinstance(source, str) and source in _SOURCES
    if named:
        if text is not None or label is not None:
            raise InputError(f"text and label name the columns of a file; the data set {source!r} has none.")
        dataset = _SOURCES[str(source)].load(unlabelled=unlabelled, progress=progress)
    else:
        dataset = load_path(_existing(source), text=text, label=label, unlabelled=unlabelled)
    return dataset if split is None else _hold_out(dataset, split)


def _existing(source: str | os.PathLike[str]) -> Path:
    found = Path(source).expanduser()
    if found.exists():
        return found
    if isinstance(source, str) and not found.suffix and len(found.parts) == 1:
        raise OptionError(
            f"{OptionError.unknown('data set', source, _SOURCES)} No file or folder has that name either."
        )
    raise DataError(f"there is no file or folder {found}.")


def _hold_out(dataset: Dataset, fraction: float) -> Dataset:
    if dataset.test is not None:
        raise InputError(f"{dataset.name} has a test part of its own; leave split out.")
    kept, held = stratified_split(dataset.train.y, fraction)
    return replace(dataset, train=dataset.train.select(kept), test=dataset.train.select(held))
