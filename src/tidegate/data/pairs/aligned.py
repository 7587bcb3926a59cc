"""Two text files, of which every line is the translation of the same line of the other. Packed by gzip or not."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tidegate.data.packed import plain_name, read_chunks
from tidegate.data.pairs.sides import Sides, clean_sides
from tidegate.data.plain_text import decode, split_lines
from tidegate.errors import Argument, DataError

_LANGUAGE = re.compile(r"\.[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]+)*")


@dataclass(frozen=True)
class Languages:
    """Say which languages to read, by what the names of files end in or a TMX calls them; None for what is there."""

    source: str | None = None
    target: str | None = None

    def choose(self, found: Sequence[str], where: str) -> tuple[str, str]:
        """Choose source and target among the languages that are there.

        Of two of them the one that is left over is the other; without any name nothing says which is translated.

        Raises DataError where that does not decide, or where a language is not there.

        >>> Languages("de").choose(["de", "en"], "corpus")
        ('de', 'en')
        """
        known = f"{where} holds the languages {', '.join(sorted(found)) or '(none)'}"
        named = [None if name is None else _known(name, found, known) for name in (self.source, self.target)]
        left = [name for name in found if name not in named]
        if len(found) == 2 and len(left) == 1:
            named = [left[0] if name is None else name for name in named]
        source, target = named
        if source is None or target is None:
            raise DataError(f"{known}. Name two: ", Argument("from", found[0] if found else "de"), " and ",
                            Argument("to", found[-1] if found else "en"), ".")  # fmt: skip
        if source == target:
            raise DataError(f"{known}, of which {source} was named for both sides. Name two of them.")
        return source, target


def _known(name: str, found: Sequence[str], known: str) -> str:
    """Find a language under its name, or the only one of which that is the beginning, as de is of de-DE."""
    alike = [one for one in found if one.lower() == name.lower()]
    alike = alike or [one for one in found if _is_within(one, name) or _is_within(name, one)]
    if len(alike) != 1:
        raise DataError(f"{known}, but not {name!r}." if not alike else f"{known}; {name!r} may be several. Name one.")
    return alike[0]


def _is_within(language: str, wider: str) -> bool:
    return re.split("[-_]", language.lower())[:1] == [wider.lower()]


def language_of(file: Path) -> str | None:
    """Read a language off the name of a file, which ends in it; None where it does not.

    >>> language_of(Path("train.de.gz")), language_of(Path("train.txt")), language_of(Path("README"))
    ('de', None, None)
    """
    suffix = plain_name(file).suffix
    return suffix[1:] if _LANGUAGE.fullmatch(suffix) and suffix.lower() not in NOT_LANGUAGES else None


NOT_LANGUAGES = (".txt", ".tsv", ".csv", ".tmx", ".md", ".py", ".zip", ".tar", ".xml", ".tok", ".bpe", ".ini", ".cfg")
"""Ends of names that look like a language and are none."""


def read_aligned(source: Path, target: Path, taken: dict[str, str], encoding: str | None = None) -> Sides:
    """Read two files.

    Raises DataError where one cannot be read, or where they have not the same number of lines: both counts are told,
    and the first empty line, which may be the one too much.
    """
    lines = [split_lines(decode(b"".join(read_chunks(file)), str(file), encoding)) for file in (source, target)]
    if len(lines[0]) != len(lines[1]):
        raise DataError(
            f"{source} has {len(lines[0]):,} lines and {target} has {len(lines[1]):,}, but each line is to be the "
            f"translation of the same line of the other. {_first_empty(source, target, lines)}"
        )
    if not lines[0]:
        raise DataError(f"{source} and {target} are empty.")
    cleaned = [
        clean_sides(own, lambda index, file=file: f"{file}, line {index + 1}", str(file))  # type: ignore[misc]
        for file, own in zip((source, target), lines, strict=True)
    ]
    return Sides(cleaned[0], cleaned[1], taken)


def _first_empty(source: Path, target: Path, lines: list[list[str]]) -> str:
    empty = [
        (number, file)
        for file, own in zip((source, target), lines, strict=True)
        for number in [next((number for number, line in enumerate(own, 1) if not line.strip()), None)]
        if number is not None
    ]
    if not empty:
        return "Neither has an empty line. Find where they part, or align them anew."
    number, file = min(empty, key=lambda pair: pair[0])
    return f"The first empty line is line {number:,} of {file}: look there."
