"""Translation memories: TMX files of the Localization Industry Standards Association, 1.1 to 1.4b.

Knows the elements that hold texts; what marks a text up stands in elements whose content is no text, and is left out.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from pathlib import Path

from tidegate.data.packed import read_chunks
from tidegate.data.pairs.aligned import Languages
from tidegate.data.pairs.sides import Sides, clean_sides
from tidegate.data.plain_xml import Handlers, walk
from tidegate.errors import DataError, DataWarning

_UNIT, _VARIANT, _SEGMENT = "tu", "tuv", "seg"
_CODES = frozenset({"bpt", "ept", "it", "ph", "ut", "sub"})  # commands of another program, and texts inside of them


@dataclass
class _Memory:
    """Gather the units of a memory as they are read: of each the first text in every language."""

    where: str
    units: list[dict[str, str]] = field(default_factory=list)
    source: str | None = None  # the language that the header names
    kind: str = ""  # of the outermost element
    _language: str = ""
    _pieces: list[str] | None = None  # of the segment that is open
    _codes: int = 0  # how deep in elements whose content is no text

    def begin(self, name: str, attributes: dict[str, str]) -> None:
        self.kind = self.kind or name
        if self._pieces is not None:
            self._codes += bool(self._codes) or name in _CODES
        elif name == "header":
            named = attributes.get("srclang", "")
            self.source = None if named in ("", "*all*") else named
        elif name == _UNIT:
            self.units.append({})
        elif name == _VARIANT:
            self._language = attributes.get("lang", "")
        elif name == _SEGMENT and self.units:
            if not self._language:
                raise DataError(f"{self.where}, unit {len(self.units)} has a text that names no language (xml:lang).")
            self._pieces = []

    def text(self, piece: str) -> None:
        if self._pieces is not None and not self._codes:
            self._pieces.append(piece)

    def end(self, name: str) -> None:
        if self._codes:
            self._codes -= 1
        elif name == _SEGMENT and self._pieces is not None:
            self.units[-1].setdefault(self._language, "".join(self._pieces))
            self._pieces = None
        elif name == _VARIANT:
            self._language = ""


def read_tmx(path: Path, languages: Languages) -> Sides:
    """Read a memory, packed by gzip or not.

    Without `from`, what the header names as the language of the sources is translated. Units that lack one of the two
    languages are left out, and a warning (DataWarning) tells how many.

    Raises DataError where it is no TMX, holds no unit in both languages, or does not say which two are meant.
    """
    memory = _Memory(str(path))
    walk(read_chunks(path), str(path), Handlers(memory.begin, memory.end, memory.text), doctype=True)
    if memory.kind != "tmx":
        raise DataError(f"{path} is XML, but no TMX: it begins with <{memory.kind}>.")
    found = sorted({language for unit in memory.units for language in unit})
    if languages.source is None and memory.source is not None and len(found) == 2 and languages.target is None:
        languages = Languages(memory.source)
    source, target = languages.choose(found, str(path))
    both = [number for number, unit in enumerate(memory.units) if source in unit and target in unit]
    if not both:
        raise DataError(f"{path} holds no unit in both {source} and {target}.")
    if lacking := len(memory.units) - len(both):
        told = f"{path}: {lacking:,} of {len(memory.units):,} units are not in both {source} and {target}; left out."
        warnings.warn(told, DataWarning, stacklevel=2)
    cleaned = [
        clean_sides(
            [memory.units[number][language] for number in both],
            lambda index: f"{path}, unit {both[index] + 1}",
            f"{path} ({language})",
        )
        for language in (source, target)
    ]
    return Sides(cleaned[0], cleaned[1], {"from": source, "to": target})
