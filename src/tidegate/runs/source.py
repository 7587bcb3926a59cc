"""Says where the examples of a run come from, and which ones they were."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tidegate.data import loading
from tidegate.data.checks import check_writable
from tidegate.data.kinds import KINDS
from tidegate.data.series import Series
from tidegate.data.transcribed.recordings import Recordings
from tidegate.errors import RunFolderError
from tidegate.grid import Grid
from tidegate.ragged import Ragged

if TYPE_CHECKING:
    from tidegate.data import Dataset, Examples


@dataclass(frozen=True)
class Source:
    """Say where examples come from.

    name: a data set by name, or a file or folder.
    options: those of `data.load`, such as the columns of a file.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def load(self) -> Dataset:
        """Load the data set; one that is known by name is downloaded if need be."""
        return loading.load(self.name, **self.options)

    def describe(self, dataset: Dataset) -> dict[str, Any]:
        """Write down for a recipe where the examples came from, and by a hash which ones they were."""
        name = self.name if self.name in loading.names() else str(Path(self.name).resolve())
        check_writable(Path(name).parts, "file name")
        columns = dataset.taken if KINDS[dataset.kind].retold else {}
        return {"name": name, **columns, **self.options, "sha256": fingerprint(dataset)}


def source_of(recipe: Mapping[str, Any]) -> Source:
    """Read where the examples of a recipe come from; raises RunFolderError where it does not say."""
    described: dict[str, Any] = dict(recipe.get("data", {}))
    if "name" not in described:
        raise RunFolderError("the recipe does not name its data: it was not written by `tidegate train`.")
    described.pop("sha256", None)
    return Source(described.pop("name"), described)


def fingerprint(dataset: Dataset) -> str:
    """Hash every example and label of a data set, in their order."""
    digest = hashlib.sha256()
    for part in (dataset.train, dataset.valid, dataset.test):
        for piece in _pieces(part):
            digest.update(len(piece).to_bytes(8, "little"))
            digest.update(piece)
    return digest.hexdigest()


def _pieces(part: Examples | None) -> Iterable[bytes]:
    if part is None:
        return
    if isinstance(part.x, Recordings):
        yield from part.x.pieces()
    elif isinstance(part.x, Ragged):
        yield np.ascontiguousarray(part.x.values).tobytes()
        yield np.ascontiguousarray(part.x.offsets).tobytes()
        if isinstance(part.x, Grid):
            yield part.x.sizes.tobytes()
    else:
        for x in part.x:
            yield from x.pieces() if isinstance(x, Series) else [x.encode() if isinstance(x, str) else _json(x)]
    yield _json(part.y.tolist() if isinstance(part.y, np.ndarray) else part.y)


def _json(value: object) -> bytes:
    return json.dumps(value).encode()
