"""Sentences with a tag for each word, from CoNLL-U files and files with a word and its tag per line, as a Dataset."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tidegate.data import schemes
from tidegate.data.dataset import Dataset, Examples
from tidegate.data.plain_text import read_text, split_lines
from tidegate.data.word_lines import ColumnForm, marks_document
from tidegate.errors import DataError, InputError, MissingPackageError, OptionError

CONLLU_COLUMNS = ("upos", "xpos", "feats", "deprel", "lemma")
_PARTS = {"train": "train", "valid": "valid|validation|dev|val", "test": "test"}
_CONLLU_FIELDS = 10


@dataclass
class Sentences:
    """Gather the sentences of a file, and the line that each word stands on."""

    path: Path
    words: list[list[str]] = field(default_factory=list)
    tags: list[list[str]] = field(default_factory=list)
    lines: list[list[int]] = field(default_factory=list)

    def add(self, rows: list[tuple[int, str, str]]) -> None:
        """Append a sentence of rows: line, word, tag. Nothing is no sentence."""
        if rows:
            lines, words, tags = map(list, zip(*rows, strict=True))
            self.words.append(words)
            self.tags.append(tags)
            self.lines.append(lines)

    def where(self, sentence: int, word: int) -> str:
        """Name a word by its file and line."""
        return f"{self.path}, line {self.lines[sentence][word]}"


def load_tagged(
    path: Path, *, column: str | None = None, encoding: str | None = None, unlabelled: bool = False
) -> Dataset:
    """Load sentences from a file, or from a folder of files whose names say `train`, `dev` (or `valid`) and `test`.

    A `.conllu` file is read as CoNLL-U. Every other file has one word per line with its columns between tabs, or
    between white space where the first word has no tab after it, and empty lines between sentences. Lines that begin
    with `#` and are comments, and those that say `-DOCSTART-`, are no words.

    Args:
        path: the file or folder.
        column: the column of the tags: of CoNLL-U `upos` (also when not given), `xpos`, `feats`, `deprel` or `lemma`;
            of other files its number, from 1 for the words; the last one when not given.
        encoding: of the files, UTF-8 by default.
        unlabelled: there is no such part.

    Raises:
        DataError: a line does not keep to the format, or a tag does not fit the one before it; the line is named.
        InputError: unlabelled sentences are wanted.
        OptionError: CoNLL-U has no such column.
    """
    if unlabelled:
        raise InputError(f"{path} has no unlabelled part.")
    parts = _find_parts(path) if path.is_dir() else {"train": path}
    return gather(path.resolve().name, {part: read_sentences(file, column, encoding) for part, file in parts.items()})


def gather(name: str, parts: Mapping[str, Sentences], *, licence: str = "unknown", citation: str = "") -> Dataset:
    """Make a data set of its parts, of which `train` must be there, once their tags have been checked.

    Raises DataError for a sequence of tags that the scheme they are in does not allow; the line is named.
    """
    scheme = schemes.detect(tags for sentences in parts.values() for tags in sentences.tags)
    examples = {}
    for part, sentences in parts.items():
        if scheme is not None:
            _check_tags(sentences, scheme)
        examples[part] = Examples(sentences.words, sentences.tags)
    return Dataset(
        name=name,
        kind="tagged",
        classes=(),
        train=examples["train"],
        valid=examples.get("valid"),
        test=examples.get("test"),
        licence=licence,
        citation=citation,
    )


def read_sentences(path: Path, column: str | None = None, encoding: str | None = None) -> Sentences:
    """Read one file; see `load_tagged`."""
    text = read_text(path, encoding)
    sentences = (_read_conllu if path.suffix.lower() == ".conllu" else _read_columns)(path, text, column)
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
    sentences = Sentences(path)
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


def _read_columns(path: Path, text: str, column: str | None) -> Sentences:
    """Take the first column for the word and another for its tag."""
    if column is not None and (not column.isdecimal() or int(column) < 2):
        raise InputError(f"column={column!r}: {path} has numbered columns, 1 for the words. Give a number from 2.")
    lines = split_lines(text)
    form = next(filter(None, map(ColumnForm.learn, lines)), None)
    sentences, rows = Sentences(path), list[tuple[int, str, str]]()
    if form is None:
        return sentences
    at = form.width if column is None else int(column)
    for line, row in enumerate(lines, 1):
        where = f"{path}, line {line}"
        fields = form.word_fields(row, where)
        if fields is None:
            if not row.strip() or marks_document(row):
                sentences.add(rows)
                rows = []
            continue
        if not 2 <= at <= len(fields):
            raise DataError(f"{where} has {len(fields)} columns, so there is no tag in column {max(at, 2)}.")
        if not fields[at - 1].strip():
            raise DataError(f"{where} has an empty tag.")
        rows.append((line, fields[0], fields[at - 1].strip()))
    sentences.add(rows)
    return sentences


def _check_tags(sentences: Sentences, scheme: schemes.Scheme) -> None:
    found = schemes.find_invalid(sentences.tags, scheme)
    if found is None:
        return
    sentence, word = found
    before = sentences.tags[sentence][word - 1] if word else "the beginning of a sentence"
    raise DataError(
        f"{sentences.where(*found)} has the tag {sentences.tags[sentence][word]!r} after {before}, where the scheme "
        f"{scheme.upper()} allows none such, or ends a sentence in the middle of a span. "
        "Correct the tags; `tidegate.data.schemes.convert` makes the best of them."
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
