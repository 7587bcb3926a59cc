"""What a data set known by name declares about itself: one `Source` per data set, one file per `Source`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tidegate.data.dataset import Dataset
from tidegate.data.kinds import Kind
from tidegate.fetch.progress import Progress


class Loader(Protocol):
    """Type what loads a data set."""

    def __call__(self, *, unlabelled: bool, progress: Progress, **columns: str) -> Dataset:
        """Load the whole data set, with its unlabelled part if asked for, and of its `columns` those that are named."""


@dataclass(frozen=True)
class Source:
    """Describe a data set and how to come by it.

    Args:
        name: what a user types.
        title: the data set and the question that it asks, in a line.
        kind: what it holds; see `kinds.Kind`.
        licence: what the makers allow, in a few words.
        citation: the publication to cite.
        homepage: where upstream describes it.
        find: returns its file on this machine, or None where it has to be downloaded.
        fetch: returns the same file, downloaded and prepared if need be.
        load: returns its examples.
        columns: what can be chosen in it, as arguments of `load`.
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
    columns: tuple[str, ...] = ()
