"""What a data set known by name declares about itself: one `Source` per data set, one file per `Source`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tidegate.data.dataset import Dataset, Kind
from tidegate.data.progress import Progress


class Loader(Protocol):
    """Type what loads a data set."""

    def __call__(self, *, unlabelled: bool, progress: Progress) -> Dataset:
        """Load the whole data set, with its unlabelled part if asked for."""


@dataclass(frozen=True)
class Source:
    """Describe a data set and how to come by it.

    find: its file on this machine, None where it has to be downloaded. fetch: the same file, downloaded and prepared
    if need be. load: its examples.
    """

    name: str
    title: str
    kind: Kind
    licence: str
    citation: str
    homepage: str
    find: Callable[[], Path | None]
    fetch: Callable[[Progress], Path]
    load: Loader
