"""Texts without labels, from files of the user, to learn a language from. Knows layouts; `tables` knows the formats."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tidegate.data.checks import check_texts
from tidegate.data.dataset import Dataset, Examples
from tidegate.data.files import find_parts, texts_in
from tidegate.data.kinds import Layout
from tidegate.data.plain_text import read_text, split_lines
from tidegate.data.tables import FORM, READERS, TEXT_NAMES, Form, listing, read_table, usual
from tidegate.errors import Argument, DataError, InputError, OptionError

_TEXT = ".txt"
_DOCUMENTS = ("file", "line")


def load_corpus(
    path: Path,
    *,
    text: str | None = None,
    documents: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    unlabelled: bool = False,
) -> Dataset:
    """Load documents from a .txt file, a folder of .txt files, a column of a table, or a folder of train, valid, test.

    Args:
        path: the file or folder; ``train``, ``valid`` and ``test`` in a folder may each be any of them.
        text: the column of the documents in a table; by default one with a usual name, or the only one.
        documents: whether each "file" or each "line" of a .txt file is a document; lines that are blank are left out.
        encoding: of texts and tables, see `tables.Form`.
        delimiter: of tables, see there.
        unlabelled: there is no such part.

    Raises:
        DataError: something cannot be used; row or file is named.
        InputError: unlabelled texts are wanted, or an option came that the layout has no use for.
        OptionError: `documents` is none of the two.
    """
    if unlabelled:
        raise InputError("a corpus has no unlabelled part: none of its texts has a label.")
    if documents is not None and documents not in _DOCUMENTS:
        raise OptionError.unknown("documents", documents, _DOCUMENTS)
    parts = find_parts(path, (_TEXT, *READERS)) if path.is_dir() else {"train": path}
    form = Form(encoding, delimiter)
    found = {part: Examples(_documents(place, text, documents, form), None) for part, place in parts.items()}
    return Dataset(
        name=path.resolve().name,
        kind="corpus",
        classes=(),
        train=found["train"],
        valid=found.get("valid"),
        test=found.get("test"),
    )


def _documents(place: Path, column: str | None, documents: str | None, form: Form) -> list[str]:
    if not place.is_dir() and place.suffix.lower() != _TEXT:
        if documents is not None:
            raise InputError(f"{place} is a table, of which every row is a document. Leave documents out.")
        table = read_table(place, lambda found, path: [_pick(column, found, path)], form)
        check_texts(table.columns[0], where=table.where)
        return [str(text) for text in table.columns[0]]
    if column is not None:
        raise InputError(f"text names a column of a table, but {place} is none. Leave it out.")
    files = texts_in(place) if place.is_dir() else [place]
    if documents == "line":
        texts = [line for file in files for line in split_lines(read_text(file, form.encoding)) if line.strip()]
    else:
        texts = [read_text(file, form.encoding) for file in files]
        check_texts(texts, where=lambda index: str(files[index]))
    if not texts:
        raise DataError(f"{place} is empty: it has no line with a text in it.")
    return texts


def _pick(column: str | None, found: Sequence[str], path: Path) -> str:
    if column is not None and column not in found:
        raise DataError(f"{path} has no column {column!r}. {listing(found)}")
    chosen = column or usual(TEXT_NAMES, found, None) or (found[0] if len(found) == 1 else None)
    if chosen is None:
        raise DataError(f"{path} has no column that is clearly the text. {listing(found)} Name it: ", Argument("text"))
    return chosen


LAYOUT = Layout(load_corpus, ("text", "documents", *FORM))
