"""Texts without labels: where they come from, which of them may be learned from, and how recipes name them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tidegate.data import loading
from tidegate.data.checks import check_writable
from tidegate.data.rows import KINDS as TABLES
from tidegate.errors import DataError, InputError, RunFolderError

if TYPE_CHECKING:
    from tidegate.data import Dataset, Examples


@dataclass(frozen=True)
class Unlabelled:
    """Say from which texts without labels is learned, too, and how long that may take.

    name: a data set by name that has such a part, or a file or folder: a .txt file holds a text on every line.
    minutes: for what is done with them. How many passes or texts fit in, the time of some updates says.
    options: those of `data.load` for a corpus, such as the column `text` of a table.
    planned: what a recipe says of the passes and texts, to do the same again; empty to find out.
    """

    name: str
    minutes: float = 10.0
    options: Mapping[str, str] = field(default_factory=dict)
    planned: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not (isfinite(self.minutes) and self.minutes > 0):
            raise InputError(f"a budget of {self.minutes} minutes came; wanted a number above zero, such as 10.")

    def load(self) -> list[str]:
        """Load the texts; raises as `data.load` does."""
        options: dict[str, Any] = dict(self.options)
        if self.name in loading.names():
            found = loading.load(self.name, unlabelled=True, **options).unlabelled
            assert found is not None, "it was asked for"
            return found
        place, table = Path(self.name), Path(self.name).suffix.lower() in TABLES
        if not (table or place.is_dir()):
            options.setdefault("documents", "line")
        try:
            return list(loading.load(self.name, kind="corpus", **options).train.x)
        except DataError as error:
            raise error.about(self.name) from None

    def described(self, texts: list[str]) -> dict[str, Any]:
        """Write down for a recipe where the texts came from, how long to learn, and by a hash which texts they are."""
        name = self.absolute().name
        check_writable(Path(name).parts, "file name")
        return {"name": name, **self.options, "minutes": float(self.minutes), "sha256": _hash(texts)}

    def absolute(self) -> Unlabelled:
        """Name a file or folder by its whole path."""
        name = self.name if self.name in loading.names() else str(Path(self.name).resolve())
        return replace(self, name=name)


def read_section(section: Mapping[str, Any], *, planned: bool = False) -> Unlabelled:
    """Read what a recipe says of texts without labels, with what was planned only where it shall be done again.

    Raises RunFolderError for what is no such section.
    """
    options = {name: value for name, value in section.items() if name not in _OWN}
    try:
        return Unlabelled(str(section["name"]), float(section["minutes"]), options, section if planned else {})
    except (KeyError, TypeError, ValueError):
        raise RunFolderError("the recipe does not say from which texts without labels it begins.") from None


_OWN = ("name", "minutes", "sha256", "epochs", "texts")


def choose(loaded: list[str], dataset: Dataset, *, seed: int) -> tuple[list[str], list[str], int]:
    """Leave out what equals a text to be measured on.

    Returns the texts of training, the others in mixed order, and the number of those that were left out.
    """
    measured = {_key(text) for part in (dataset.valid, dataset.test) for text in _texts(part)}
    own = [text for text in _texts(dataset.train) if _key(text) not in measured]
    others = [text for text in loaded if text.strip() and _key(text) not in measured]
    order = np.random.default_rng([seed, 0x7E47]).permutation(len(others))
    return own, [others[index] for index in order], sum(_key(text) in measured for text in loaded)


def _key(text: str) -> str:
    """Give what two texts have in common that are the same but for case and white space, as of words cut apart."""
    return "".join(text.split()).casefold()


def _texts(part: Examples | None) -> Iterator[str]:
    """Give the examples of a part as texts; words of a sentence are joined."""
    for x in () if part is None else part.x:
        yield x if isinstance(x, str) else " ".join(x)


def _hash(texts: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for text in texts:
        piece = text.encode()
        digest.update(len(piece).to_bytes(8, "little"))
        digest.update(piece)
    return digest.hexdigest()
