"""Data sets by name or by path: the one door behind `data.load`. Adding a data set is one line in `_SOURCES`.

Knows no kind of data by name: how files are read and parts held out, `kinds` says.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from tidegate.data import corpora, digits, ett, household_power, imdb, mnist, pydocs
from tidegate.data.dataset import Dataset, Examples
from tidegate.data.kinds import KINDS, Kind
from tidegate.data.labels import hold_several
from tidegate.data.pairs import anki, multi30k
from tidegate.data.series import hold_out_last
from tidegate.data.source import Source
from tidegate.data.split import group_split, stratified_split
from tidegate.data.transcribed import archives, digit_lines, spoken_digits
from tidegate.errors import Argument, DataError, InputError, OptionError
from tidegate.fetch.progress import Progress, show

_SOURCES = {
    source.name: source
    for source in (
        digits.SOURCE,
        ett.SOURCE,
        household_power.SOURCE,
        imdb.SOURCE,
        mnist.SOURCE,
        pydocs.SOURCE,
        *corpora.SOURCES,
        digit_lines.SOURCE,
        spoken_digits.SOURCE,
        *archives.SOURCES,
        anki.SOURCE,
        multi30k.SOURCE,
    )
}


def options() -> set[str]:
    """List the arguments of `load` that say how files and data sets are to be read."""
    chosen = {"table", "order"}.union(*(source.columns for source in _SOURCES.values()))
    return chosen.union(*(card.layout().columns for card in KINDS.values()))


def names() -> list[str]:
    """List the data sets known by name.

    >>> names()[:4]
    ['an4', 'anki_deu', 'asterisk_en', 'digit_lines']
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
    kind: Kind | None = None,
    split: float | None = None,
    unlabelled: bool = False,
    progress: Progress = show,
    **columns: str,
) -> Dataset:
    """Load a data set by name, or a file or folder of the user.

    Args:
        source: a name from `names()`; or a .csv, .tsv, .jsonl or .parquet file; or a folder with one subfolder of
            .txt files per class, or of pictures where `kind` is `sequence`; or a folder with ``train`` and, if there
            are any, ``valid`` and ``test``, each such a folder or file. A word that is a name means the data set:
            write ./imdb for a folder of that name.
        kind: what a file or folder holds: labelled texts (`text`) unless something else is said, such as sentences with
            a tag for each word (`tagged`, see `tagged.load_tagged`), or texts to learn a language from (`corpus`).
        columns: which columns of a file hold what. Of labelled texts: `text` and `label`, each found by its usual names
            when not given; `separator`, such as `|`, parts several labels. Of tagged sentences: those of
            `tagged.load_tagged`. Of sequences, one row per step: those of `recordings.Choice`. Of series: those of
            `series_tables.Choice`, and `repair`. Of a corpus: `text`, and for .txt files whether a `file` or a `line`
            is a document, as `documents`. Of pairs: those of `pairs.reading.load_pairs`. Of a data set by name:
            what can be chosen in it. A name that Python keeps for itself has an underscore behind it: `from_`.
        split: hold out this fraction of every class, or of all examples where there are none, as ``test``, the same
            ones every time; of series, the last fraction in time.
        unlabelled: also load the part without labels.
        progress: told how far it is; by default shown on stderr.

    Raises:
        OptionError: there is no such data set, file or folder.
        DataError: the content cannot be used; the row is named.
        InputError: the arguments do not fit the source.
        DownloadError: the download failed.
    """
    columns = {name.removesuffix("_"): value for name, value in columns.items()}
    named = isinstance(source, str) and source in _SOURCES
    if named:
        dataset = _load_named(_SOURCES[str(source)], kind, columns, unlabelled=unlabelled, progress=progress)
    else:
        dataset = _load_file(_existing(source), kind or "text", columns, unlabelled=unlabelled)
    return dataset if split is None else _hold_out(dataset, split)


def _load_named(
    source: Source, kind: Kind | None, columns: Mapping[str, str], *, unlabelled: bool, progress: Progress
) -> Dataset:
    if kind is not None and kind != source.kind:
        raise InputError(f"{source.name} holds data of the kind {source.kind!r}, not {kind!r}.")
    _check_columns(source.name, columns, source.columns)
    return source.load(unlabelled=unlabelled, progress=progress, **columns)


def _load_file(path: Path, kind: Kind, columns: Mapping[str, str], *, unlabelled: bool) -> Dataset:
    if kind not in KINDS:
        raise OptionError.unknown("kind of data file", kind, KINDS)
    layout = KINDS[kind].layout()
    for name in columns:
        others = [other for other, card in KINDS.items() if name in card.layout().columns]
        if name not in layout.columns and others:
            raise InputError(
                f"{name} says how to read a file of the kind {' or '.join(map(repr, others))}, but {path} is read as "
                f"one of the kind {kind!r}. Pass ", Argument("kind", others[0]), ", or leave it out."
            )  # fmt: skip
    _check_columns(f"a file of the kind {kind!r}", columns, layout.columns)
    dataset: Dataset = layout.load(path, unlabelled=unlabelled, **columns)
    return dataset


def _check_columns(what: str, columns: Mapping[str, str], known: Collection[str]) -> None:
    for name in columns:
        if not known:
            raise InputError(f"{name} names a column, but {what} has none to choose. Leave it out.")
        if name not in known:
            raise InputError(f"{name} names a column that {what} does not have; to choose are {', '.join(known)}.")


def _existing(source: str | os.PathLike[str]) -> Path:
    found = Path(source).expanduser()
    if found.is_file() or found.is_dir():
        return found
    if found.exists():
        raise DataError(f"{found} is no file but a pipe, a device or the like. Write what it gives to a file first.")
    if isinstance(source, str) and not found.suffix and len(found.parts) == 1:
        raise OptionError(
            f"{OptionError.unknown('data set', source, _SOURCES)} No file or folder has that name either."
        )
    raise DataError(f"there is no file or folder {found}.")


def _hold_out(dataset: Dataset, fraction: float) -> Dataset:
    if dataset.test is not None:
        raise InputError(f"{dataset.name} has a test part of its own; leave split out.")
    if KINDS[dataset.kind].in_time:
        parts = hold_out_last(list(dataset.train.x), fraction)
        return replace(dataset, train=Examples(parts[0], None), test=Examples(parts[1], None))
    labels, groups = dataset.train.y, dataset.train.groups
    if not dataset.classes:  # tags are no classes of sentences, and a corpus has none
        labels = np.zeros(len(dataset.train))
    if dataset.classes and hold_several(labels):
        labels = ["\0".join(sorted(row)) for row in labels]  # a set of labels is a class of its own
    kept, held = stratified_split(labels, fraction) if groups is None else group_split(labels, groups, fraction)
    return replace(dataset, train=dataset.train.select(kept), test=dataset.train.select(held))
