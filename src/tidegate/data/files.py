"""Labelled texts from a file or a folder of the user, as a Dataset. Knows the layouts; `tables` knows the formats."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tidegate.data.checks import Where, check_known_classes, check_labels, check_texts
from tidegate.data.dataset import Dataset, Examples
from tidegate.data.hints import of_pictures, other_folder, other_kind
from tidegate.data.kinds import Layout
from tidegate.data.labels import hold_several
from tidegate.data.plain_text import read_text
from tidegate.data.tables import FORM, READERS, Columns, Form, UnclearColumnsError, read_table
from tidegate.errors import DataError, InputError

_PARTS = {"train": ("train",), "valid": ("valid", "validation", "dev", "val"), "test": ("test",)}
_UNLABELLED = "unsup"


def load_path(
    path: Path,
    *,
    text: str | None = None,
    label: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    separator: str | None = None,
    unlabelled: bool = False,
) -> Dataset:
    """Load labelled texts from a file, a folder with one subfolder per class, or a folder of train, valid and test.

    A class folder holds its texts as .txt files; one called `unsup` holds texts without labels, as in the folder that
    IMDB's archive unpacks to. Labels become strings, white space around them dropped.

    `encoding` and `delimiter` say how files are written, see `tables.Form`. With a `separator` such as `|` a text may
    have several labels, which it parts, or none; so it may where labels are a list, as JSONL and Parquet have it.

    Raises:
        DataError: something cannot be used, or a label of valid or test is none of train; row or file is named.
        InputError: text or label came with folders, or unlabelled texts are wanted and there are none.
    """
    columns, form = Columns(text, label), Form(encoding, delimiter)
    parts = find_parts(path) if path.is_dir() else {"train": path}
    if unlabelled and not (parts["train"] / _UNLABELLED).is_dir():
        raise InputError(f"{path} has no unlabelled part: there is no folder {parts['train'] / _UNLABELLED}.")
    loaded = {part: _load_part(place, columns, form, separator) for part, place in parts.items()}
    train, _, taken = loaded["train"]
    if len({hold_several(examples.y) for examples, *_ in loaded.values()}) > 1:
        raise DataError(f"{path} has several labels of each text in one part, and one label in another.")
    classes = tuple(sorted({str(label) for row in train.y for label in _several(row)}))
    for examples, where, _ in loaded.values():
        for index, row in enumerate(examples.y):
            check_known_classes(_several(row), classes, where=lambda _, at=index, name=where: name(at))  # type: ignore[misc]
    return Dataset(
        name=path.resolve().name,
        kind="text",
        classes=classes,
        train=train,
        valid=loaded["valid"][0] if "valid" in loaded else None,
        test=loaded["test"][0] if "test" in loaded else None,
        unlabelled=[read_text(file, encoding) for file in texts_in(parts["train"] / _UNLABELLED)]
        if unlabelled
        else None,
        taken=taken,
    )


def find_parts(folder: Path, suffixes: Iterable[str] = READERS) -> dict[str, Path]:
    """Find train, valid and test below a folder; without a train, the folder itself is train.

    Raises DataError where one of them is there twice, or others but no train.
    """
    found: dict[str, Path] = {}
    for part, names in _PARTS.items():
        places = [folder / f"{name}{suffix}" for name in names for suffix in ("", *suffixes)]
        present = [place for place in places if place.exists()]
        if len(present) > 1:
            raise DataError(f"{folder} has more than one {part} part: {', '.join(place.name for place in present)}.")
        if present:
            found[part] = present[0]
    if "train" in found:
        return found
    if found:
        raise DataError(f"{folder} has {', '.join(place.name for place in found.values())} but no train part.")
    return {"train": folder}


def _load_part(
    place: Path, columns: Columns, form: Form, separator: str | None
) -> tuple[Examples, Where, dict[str, str]]:
    """Load one part; return its examples, what names each, and the columns that were taken."""
    if place.is_dir():
        if separator is not None:
            raise InputError(
                f"{place} is a folder with one subfolder per class; separator parts the labels of a text in a file."
            )
        return *_load_classes(place, columns, form), {}
    try:
        table = read_table(place, columns.pick, form)
    except UnclearColumnsError as error:
        error.args = (*error.args, *other_kind(place, form))
        raise
    texts, found = table.columns
    check_texts(texts, where=table.where)
    labels = _read_labels(found, table.where, separator)
    taken = dict(zip(("text", "label"), table.names, strict=True))
    return Examples([text for text in texts if isinstance(text, str)], labels), table.where, taken


def _load_classes(folder: Path, columns: Columns, form: Form) -> tuple[Examples, Where]:
    if columns != Columns():
        raise InputError(f"{folder} is a folder with one subfolder per class; text and label name columns of a file.")
    named = sorted(place for place in folder.iterdir() if place.is_dir() and not place.name.startswith("."))
    classes = [place for place in named if place.name != _UNLABELLED]
    if not classes:
        raise DataError(
            f"{folder} holds no subfolder per class and no train part. Wanted: {folder}/<class>/*.txt, "
            f"or {folder}/train with one of {', '.join(READERS)}.", *other_folder(folder)
        )  # fmt: skip
    files = [(file, place.name) for place in classes for file in texts_in(place)]
    texts = [read_text(file, form.encoding) for file, _ in files]

    def where(index: int) -> str:
        return str(files[index][0])

    check_texts(texts, where=where)
    return Examples(texts, [name for _, name in files]), where


def texts_in(folder: Path) -> list[Path]:
    """List the .txt files of a folder by name; raises DataError where there are none."""
    files = sorted(folder.glob("*.txt"))
    if not files:
        raise DataError(f"{folder} holds no .txt file; at least one is wanted there.", *of_pictures(folder))
    return files


def _read_labels(found: list[object], where: Where, separator: str | None) -> list[Any]:
    """Spell labels as strings; or lists of them, where any row has a list, or a separator parts them."""
    if separator is None and not hold_several(found):
        check_labels(found, where=where)
        return [_as_label(label, where(index)) for index, label in enumerate(found)]
    rows: list[Any] = []
    for index, cell in enumerate(found):
        parts = cell
        if separator is not None and (cell is None or isinstance(cell, str)):
            parts = [part for part in (cell or "").split(separator) if part.strip()]
        elif not isinstance(cell, list):
            raise DataError(
                f"{where(index)} has the label {cell!r:.40}, but others have lists of labels. Write a list."
            )
        assert isinstance(parts, list), "it was split, or is a list"
        check_labels(parts, where=lambda _, at=index: where(at))  # type: ignore[misc]
        rows.append(list(dict.fromkeys(_as_label(label, where(index)) for label in parts)))
    return rows


def _several(row: Any) -> list[str]:
    return row if isinstance(row, list) else [row]


def _as_label(label: object, where: str) -> str:
    """Spell a label as a string: strings stripped, whole numbers and truth values as JSON writes them."""
    if isinstance(label, bool):
        return "true" if label else "false"
    if isinstance(label, float) and label.is_integer():  # as pandas stores a column of whole numbers with a gap
        return str(int(label))
    if isinstance(label, str | int):
        return str(label).strip()
    raise DataError(f"{where} has the label {label!r:.40}, a {type(label).__name__}; labels are strings or integers.")


LAYOUT = Layout(load_path, ("text", "label", "separator", *FORM))
