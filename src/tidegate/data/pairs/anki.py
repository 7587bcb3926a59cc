"""German and English sentences of Tatoeba, as manythings.org packs them for Anki. Knows its zip and the split files."""

from __future__ import annotations

from pathlib import Path

from tidegate.data.dataset import Dataset
from tidegate.data.packed import read_zipped
from tidegate.data.pairs.reading import gather_pairs
from tidegate.data.pairs.sides import Sides, clean_sides
from tidegate.data.plain_text import decode, read_text, split_lines
from tidegate.data.source import Source
from tidegate.errors import Argument, DataError, DownloadError, InputError, OptionError
from tidegate.fetch.cache import cache_folder, find_file
from tidegate.fetch.progress import Progress

_NAME, _ARCHIVE, _MEMBER = "anki_deu", "deu-eng.zip", "deu.txt"
_LANGUAGES = ("en", "de")  # in the order of the columns
_SPLITS = {"train": "deu.split.train.txt", "valid": "deu.split.dev.txt", "test": "deu.split.test.txt"}


def find() -> Path | None:
    """Find the archive on this machine."""
    return find_file(_NAME, _ARCHIVE)


def fetch(progress: Progress) -> Path:
    """Return the archive; raises DownloadError, saying where to put it, where it is not here.

    What stands at its address changes every few weeks, so that nothing could be compared with a download.
    """
    if (found := find()) is None:
        raise DownloadError(
            f"{_NAME} is made anew every few weeks, and has no address that stays. Put {_ARCHIVE} of "
            f"{SOURCE.homepage} into {cache_folder() / _NAME} or $TIDEGATE_DATA/{_NAME}."
        )
    return found


def load(*, unlabelled: bool, progress: Progress, **sides: str) -> Dataset:
    """Load the pairs, parted as the files beside the archive say.

    Those are `deu.split.train.txt` and its like, numbers of rows from 0. Without them all pairs are there to learn
    from, in groups that share a side, which a split keeps together.

    Raises DataError where archive or split are damaged, or the split is of another archive.
    """
    if unlabelled:
        raise InputError(f"{_NAME} has no unlabelled part.")
    order = _order(sides.get("from"), sides.get("to"))
    archive = fetch(progress)
    rows = _rows(decode(read_zipped(archive, _MEMBER), f"{archive}/{_MEMBER}"), archive)
    taken = {"from": _LANGUAGES[order[0]], "to": _LANGUAGES[order[1]]}
    columns = [
        clean_sides([row[at] for row in rows], lambda index: f"{archive}/{_MEMBER}, line {index + 1}", str(archive))
        for at in order
    ]
    whole = Sides(columns[0], columns[1], taken)
    files = {part: archive.parent / name for part, name in _SPLITS.items()}
    there = {part: file for part, file in files.items() if file.is_file()}
    if there and len(there) < len(files):
        raise DataError(f"{archive.parent} has {', '.join(file.name for file in there.values())}, but not the others.")
    parts = {part: _select(whole, file) for part, file in there.items()} or {"train": whole}
    return gather_pairs(_NAME, parts, licence=SOURCE.licence, citation=SOURCE.citation)


def _order(source: str | None, target: str | None) -> tuple[int, int]:
    """Say which column is translated into which; one language names the other."""
    for name in (source, target):
        if name is not None and name not in _LANGUAGES:
            raise OptionError.unknown(f"language of {_NAME}", name, _LANGUAGES)
    if source == target:
        if source is not None:
            raise InputError(f"from and to are both {source!r}. Name two languages.")
        raise InputError(f"{_NAME} is read in both directions. Say which: ", Argument("from", "de"), " or ",
                         Argument("from", "en"), ".")  # fmt: skip
    return (0, 1) if source == "en" or target == "de" else (1, 0)


def _rows(text: str, archive: Path) -> list[list[str]]:
    """Part the lines at tabs; later archives have a third column, which says whose the sentences are."""
    rows = [line.split("\t") for line in split_lines(text)]
    for number, row in enumerate(rows, 1):
        if len(row) not in (2, 3):
            raise DataError(f"{archive}/{_MEMBER}, line {number} has {len(row)} columns; 2 or 3 are wanted.")
    if not rows:
        raise DataError(f"{archive}/{_MEMBER} is empty.")
    return rows


def _select(whole: Sides, file: Path) -> Sides:
    """Take the pairs whose rows a file names."""
    numbers = []
    for line, text in enumerate(split_lines(read_text(file)), 1):
        if not (text.isascii() and text.isdecimal() and int(text) < len(whole.sources)):
            raise DataError(
                f"{file}, line {line}: {text!r:.40} is no row of {_ARCHIVE}, which has {len(whole.sources):,} rows, "
                "counted from 0."
            )
        numbers.append(int(text))
    return Sides([whole.sources[at] for at in numbers], [whole.targets[at] for at in numbers], whole.taken)


SOURCE = Source(
    name=_NAME,
    title="Tatoeba for Anki: 169,813 German and English sentences, to be translated either way",
    kind="pairs",
    licence="CC BY 2.0 (Tatoeba)",
    citation="Charles Kelly and the contributors of Tatoeba. Tab-delimited Bilingual Sentence Pairs. manythings.org.",
    homepage="https://www.manythings.org/anki/",
    find=find,
    fetch=fetch,
    load=load,
    columns=("from", "to"),
)
