"""Pairs of texts from a file or a folder of the user, as a Dataset: which layout it is, and where its parts lie.

Knows which reader reads what; the formats, the readers know. What is a sequence of symbols, such as a spelling and its
sounds, is a text like any other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tidegate.data.dataset import Dataset, Examples
from tidegate.data.kinds import Layout
from tidegate.data.packed import plain_name
from tidegate.data.pairs.aligned import Languages, language_of, read_aligned
from tidegate.data.pairs.sides import Sides, sharing
from tidegate.data.pairs.tables import TABLES, Columns, read_columns
from tidegate.data.pairs.tmx import read_tmx
from tidegate.data.tables import FORM, Form
from tidegate.errors import Argument, DataError, InputError

_TMX = ".tmx"
_PARTS = {"train": "train", "valid": "valid|validation|dev|devel|val", "test": "test"}


@dataclass(frozen=True)
class Reading:
    """Say how pairs are to be read, as `load_pairs` has it."""

    source: str | None = None
    target: str | None = None
    header: bool | None = None
    form: Form = field(default_factory=Form)

    @property
    def languages(self) -> Languages:
        """Give what is asked for as languages."""
        return Languages(self.source, self.target)


def load_pairs(
    path: Path,
    *,
    unlabelled: bool = False,
    header: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    **sides: str,
) -> Dataset:
    """Load pairs from a table, a TMX file, two aligned files, or a folder of these.

    The examples are sources `x` and targets `y`, composed (NFC); empty ones stay. Where there is no test part, pairs
    that share a side are of one group, which no split tears apart.

    Args:
        path: a table of two columns (.tsv or .txt with tabs, .csv, .jsonl, .parquet); a .tmx file; one of two files
            of lines, whose names end in a language, such as `a.de`; or a folder with any of these for `train` and, if
            there are any, for `valid` and `test`, or with two files of lines alone. Files of lines and TMX may be
            packed (.gz).
        unlabelled: there is no such part.
        header: of CSV and TSV, `true` where the first row names the columns, `false` where it is a pair; by default it
            is a row of names where it has those that are asked for, or such as `source` and `target`.
        encoding: of the texts, see `tables.Form`; TMX says that itself.
        delimiter: of CSV and TSV, see there.
        sides: `from` and `to`: the columns (by name or, without a header, by number from 1) or the languages of sources
            and targets. For one of two files, `to` may also name the other one, and `from` says what the first is in.

    Raises:
        DataError: something cannot be read; the line, row or unit is named.
        InputError: an option came that the layout has no use for, or the part without labels is wanted.
    """
    if unlabelled:
        raise InputError(f"{path} has no unlabelled part.")
    reading = Reading(sides.get("from"), sides.get("to"), _switch(header), Form(encoding, delimiter))
    if path.is_dir():
        parts = {part: _read_files(files, path, reading) for part, files in _find_parts(path).items()}
    else:
        parts = {"train": _read_file(path, reading)}
    return gather_pairs(path.resolve().name, parts)


def gather_pairs(name: str, parts: Mapping[str, Sides], *, licence: str = "unknown", citation: str = "") -> Dataset:
    """Make a data set of its parts, of which `train` must be there."""
    train = parts["train"]
    groups = None if "test" in parts else sharing(train.sources, train.targets)
    found = {part: Examples(sides.sources, sides.targets) for part, sides in parts.items() if part != "train"}
    return Dataset(
        name=name,
        kind="pairs",
        classes=(),
        train=Examples(train.sources, train.targets, groups),
        valid=found.get("valid"),
        test=found.get("test"),
        licence=licence,
        citation=citation,
        taken=train.taken,
    )


def _read_file(path: Path, reading: Reading) -> Sides:
    suffix = plain_name(path).suffix.lower()
    if other := _other_file(path, reading):
        _refuse(path, "a file of lines", header=reading.header, delimiter=reading.form.delimiter)
        named = {"from": reading.source or language_of(path) or path.name, "to": language_of(other) or other.name}
        return read_aligned(path, other, named, reading.form.encoding)
    if suffix == _TMX:
        _refuse(path, "a TMX file", header=reading.header, encoding=reading.form.encoding,
                delimiter=reading.form.delimiter)  # fmt: skip
        return read_tmx(path, reading.languages)
    if path.suffix.lower() in TABLES:
        return read_columns(path, Columns(reading.source, reading.target, reading.header, reading.form))
    beside = sorted(_lines_in(path.parent).get(_stem(path), {}))
    if language_of(path) is None or len(beside) < 2:
        raise DataError(
            f"{path} is no file of pairs that is known: {', '.join(TABLES)} or {_TMX}, or one of two files of lines. "
            "If it is one of two, name the other one: ", Argument("to", "FILE"), "."
        )  # fmt: skip
    languages = Languages(reading.source or language_of(path), reading.target)
    return _read_lines(_lines_in(path.parent)[_stem(path)], str(path.parent / _stem(path)), languages, reading)


def _other_file(path: Path, reading: Reading) -> Path | None:
    """Find the file that `to` names, beside the first one or from here; None where it names none, or a language."""
    if reading.target is None:
        return None
    is_language = language_of(Path(f"any.{reading.target}")) == reading.target
    if is_language and reading.target in _lines_in(path.parent).get(_stem(path), {}):
        return None
    places = (path.parent / reading.target, Path(reading.target))
    return next((place for place in places if place.is_file()), None)


def _read_files(files: list[Path], folder: Path, reading: Reading) -> Sides:
    """Read a part of a folder: one file that holds pairs, or several of lines."""
    if len(files) == 1 and language_of(files[0]) is None:
        return _read_file(files[0], reading)
    named = {str(language_of(file)): file for file in files}
    return _read_lines(named, f"{folder / _stem(files[0])}", reading.languages, reading)


def _read_lines(files: Mapping[str, Path], where: str, languages: Languages, reading: Reading) -> Sides:
    _refuse(Path(where), "two files of lines", header=reading.header, delimiter=reading.form.delimiter)
    source, target = languages.choose(sorted(files), where)
    return read_aligned(files[source], files[target], {"from": source, "to": target}, reading.form.encoding)


def _find_parts(folder: Path) -> dict[str, list[Path]]:
    """Find the files of each part by a word in their names; without one, the only files of pairs are train.

    Raises DataError where one part is there twice, or others but no train.
    """
    whole = [file for file in sorted(folder.iterdir()) if file.is_file() and _holds_pairs(file)]
    lines = {stem: list(files.values()) for stem, files in sorted(_lines_in(folder).items()) if len(files) > 1}
    there = {file.name: [file] for file in whole} | lines
    found: dict[str, list[Path]] = {}
    for part, names in _PARTS.items():
        word = re.compile(rf"(?<![a-z])(?:{names})(?![a-z])")
        present = [name for name in there if word.search(name.lower())]
        if len(present) > 1:
            raise DataError(f"{folder} has more than one {part} part: {', '.join(present)}. Leave one there.")
        if present:
            found[part] = there[present[0]]
    if "train" in found:
        return found
    if not found and len(there) == 1:
        return {"train": next(iter(there.values()))}
    told = ", ".join(there) or "nothing of the kind"
    raise DataError(
        f"{folder} has no train part. Wanted: train.de and train.en, or train with one of {', '.join(TABLES)}, {_TMX}; "
        f"there is {told}."
    )


def _holds_pairs(file: Path) -> bool:
    suffix = plain_name(file).suffix.lower()
    return not file.name.startswith(".") and (suffix == _TMX or file.suffix.lower() in TABLES)


def _lines_in(folder: Path) -> dict[str, dict[str, Path]]:
    """Find the files whose names end in a language: by what stands before it, then by language."""
    found: dict[str, dict[str, Path]] = {}
    for file in sorted(folder.iterdir()):
        language = language_of(file)
        if language is None or not file.is_file() or file.name.startswith("."):
            continue
        if file.name != found.setdefault(_stem(file), {}).setdefault(language, file).name:
            raise DataError(f"{folder} has {_stem(file)}.{language} twice, once packed. Leave one there.")
    return found


def _stem(file: Path) -> str:
    return plain_name(file).stem


def _switch(header: str | bool | None) -> bool | None:
    known = {"true": True, "false": False}
    if header is None or isinstance(header, bool):
        return header
    if header.lower() not in known:
        raise InputError(f"header={header!r}: wanted true or false.")
    return known[header.lower()]


def _refuse(path: Path, what: str, **options: object) -> None:
    """Refuse the first option that came and says nothing of such a file."""
    for name, value in options.items():
        if value is not None:
            raise InputError(f"{path} is {what}, of which {name} says nothing. Leave it out.")


LAYOUT = Layout(load_pairs, ("from", "to", "header", *FORM))
