"""Sentences with a tag for each word, from CoNLL-U files and files with a word and its tag per line, as a Dataset."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tidegate.data import schemes
from tidegate.data.columns import read_columns
from tidegate.data.dataset import Dataset, Examples
from tidegate.data.kinds import Layout
from tidegate.data.plain_text import read_text, split_lines
from tidegate.errors import DataError, DataWarning, InputError, MissingPackageError, OptionError

CONLLU_COLUMNS = ("upos", "xpos", "feats", "deprel", "lemma")
_PARTS = {"train": "train", "valid": "valid|validation|devel|dev|val|testa", "test": "test|testb"}
_NAMED = 3  # odd tags that a warning names
_CONLLU_FIELDS = 10


@dataclass
class Sentences:
    """Gather the sentences of a file, and the line that each word stands on."""

    path: Path
    words: list[list[str]] = field(default_factory=list)
    tags: list[list[str]] = field(default_factory=list)
    lines: list[list[int]] = field(default_factory=list)
    column: str | None = None  # that the tags stood in

    def add(self, rows: list[tuple[int, str, str]]) -> None:
        """Append a sentence of rows: line, word, tag. Nothing is no sentence."""
        if rows:
            lines, words, tags = map(list, zip(*rows, strict=True))
            self.words.append(words)
            self.tags.append(tags)
            self.lines.append(lines)

    def describe(self, sentence: int, word: int) -> str:
        """Name a tag by its file, its line and the tag before it."""
        tags = self.tags[sentence]
        before = f"after {tags[word - 1]}" if word else "at the beginning of a sentence"
        end = " at its end" if word == len(tags) - 1 else ""
        return f"{self.path}, line {self.lines[sentence][word]} ({tags[word]} {before}{end})"


def load_tagged(
    path: Path,
    *,
    column: str | None = None,
    repair: str | None = None,
    encoding: str | None = None,
    unlabelled: bool = False,
) -> Dataset:
    """Load sentences from a file, or from a folder of files whose names say `train`, `dev` (or `valid`) and `test`.

    A `.conllu` file is read as CoNLL-U, every other one as `columns.read_columns` says. Where the tags spell out spans,
    the scheme is taken that explains most of them; the others are told of with their lines.

    Args:
        path: the file or folder; `testa` and `testb` in names stand for dev and test.
        column: the column of the tags: of CoNLL-U `upos` (also when not given), `xpos`, `feats`, `deprel` or `lemma`;
            of other files its number, from 1; the last one when not given, with the exceptions of `read_columns`.
        repair: "tags" to write tags that do not fit the scheme anew, as `schemes.repair` does, without a warning.
        encoding: that of the files, such as `latin-1`; UTF-8 when not given.
        unlabelled: there is no such part.

    Raises:
        DataError: a line does not keep to the format; it is named.
        InputError: unlabelled sentences are wanted.
        OptionError: CoNLL-U has no such column, or there is no such repair or encoding.
    """
    if unlabelled:
        raise InputError(f"{path} has no unlabelled part.")
    if repair not in (None, "tags"):
        raise OptionError.unknown("repair of sentences with tags", str(repair), ["tags"])
    files = _find_parts(path) if path.is_dir() else {"train": path}
    parts: dict[str, Sentences] = {}
    for part, file in files.items():  # train comes first: where its tags stand, those of the others do
        parts[part] = read_sentences(file, column, encoding)
        column = column or parts[part].column
    return gather(path.resolve().name, parts, repair=repair is not None)


def gather(
    name: str, parts: Mapping[str, Sentences], *, repair: bool = False, licence: str = "unknown", citation: str = ""
) -> Dataset:
    """Make a data set of its parts, of which `train` must be there.

    A warning names tags that the scheme they are in does not allow where they stand; or they are written anew.
    """
    scheme = schemes.detect(tags for sentences in parts.values() for tags in sentences.tags)
    if scheme is not None:
        _settle(parts, scheme, repair=repair)
    examples = {part: Examples(sentences.words, sentences.tags) for part, sentences in parts.items()}
    column = parts["train"].column
    return Dataset(
        name=name,
        kind="tagged",
        classes=(),
        train=examples["train"],
        valid=examples.get("valid"),
        test=examples.get("test"),
        licence=licence,
        citation=citation,
        taken={} if column is None else {"column": column},
    )


def read_sentences(path: Path, column: str | None = None, encoding: str | None = None) -> Sentences:
    """Read one file; see `load_tagged`. A warning says where not the last column was taken for the tags."""
    text = read_text(path, encoding)
    if path.suffix.lower() == ".conllu":
        sentences = _read_conllu(path, text, column)
    else:
        found = read_columns(path, text, column)
        sentences = Sentences(path, column=str(found.column))
        for rows in found.sentences:
            sentences.add(rows)
        for note in found.notes:
            warnings.warn(note, DataWarning, stacklevel=3)
    if not sentences.words:
        raise DataError(f"{path} is empty: it has no sentences.")
    return sentences


def _read_conllu(path: Path, text: str, column: str | None) -> Sentences:
    """Take the words of each sentence; tokens that stand for several words, and words that were left out, are not."""
    try:
        import conllu
    except ImportError as error:
        raise MissingPackageError.of("conllu", "train", "reading CoNLL-U") from error
    wanted = column or CONLLU_COLUMNS[0]
    if wanted not in CONLLU_COLUMNS:
        raise OptionError.unknown("column of CoNLL-U", wanted, CONLLU_COLUMNS)
    rows = split_lines(text)
    lines = (line for line, row in enumerate(rows, 1) if row.strip() and not row.startswith("#"))
    asis = dict.fromkeys(("lemma", "upos", "xpos", "feats", "head", "deps", "misc"), lambda fields, at: fields[at])
    sentences = Sentences(path, column=wanted)
    try:
        for sentence in conllu.parse_incr(io.StringIO("\n".join(rows)), field_parsers=asis):
            found = [(next(lines), token) for token in sentence]
            for line, token in found:
                if len(token) != _CONLLU_FIELDS:
                    raise DataError(f"{path}, line {line} has {len(token)} columns; CoNLL-U has {_CONLLU_FIELDS}.")
            words = [(line, token) for line, token in found if isinstance(token["id"], int)]
            sentences.add([(line, token["form"], token[wanted]) for line, token in words])
    except conllu.exceptions.ParseException as error:
        raise DataError(f"{path}, near line {next(lines, len(rows))} is no CoNLL-U: {error}") from error
    return sentences


def _settle(parts: Mapping[str, Sentences], scheme: schemes.Scheme, *, repair: bool) -> None:
    """Write odd tags anew if asked to, else tell of them: how many there are, and where the first ones stand."""
    odd = {part: schemes.find_odd(sentences.tags, scheme) for part, sentences in parts.items()}
    if repair:
        for sentences in parts.values():
            sentences.tags = schemes.repair(sentences.tags, scheme)
        return
    named = [parts[part].describe(*place) for part, places in odd.items() for place in places[:_NAMED]][:_NAMED]
    if named:
        words = sum(len(tags) for sentences in parts.values() for tags in sentences.tags)
        many = sum(map(len, odd.values()))
        warnings.warn(
            f"{many} of {words} tags do not fit where they stand in {scheme.upper()}, the scheme "
            f"that explains most: {'; '.join(named)}. The best is made of them; repair='tags', or on the command line "
            "--read repair=tags, writes them anew.",
            DataWarning,
            stacklevel=4,
        )


def _find_parts(folder: Path) -> dict[str, Path]:
    """Find the file of each part by a word in its name."""
    files = sorted(file for file in folder.iterdir() if file.is_file() and not file.name.startswith("."))
    found: dict[str, Path] = {}
    for part, names in _PARTS.items():
        present = [file for file in files if re.search(rf"(?<![a-z])({names})(?![a-z])", file.name.lower())]
        if len(present) > 1:
            raise DataError(f"{folder} has more than one {part} file: {', '.join(file.name for file in present)}.")
        if present:
            found[part] = present[0]
    if "train" not in found:
        raise DataError(f"{folder} holds no file with 'train' in its name.")
    return found


LAYOUT = Layout(load_tagged, ("column", "repair", "encoding"))
