"""Trains several presets on the same data and puts them side by side: a table, a picture and a page."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidegate.checkpoint import atomic_write
from tidegate.errors import InputError, RunFolderError
from tidegate.inspect.curves import draw_learning_curves
from tidegate.inspect.report import comparison_report
from tidegate.runs.training import build_task, default_folder, start

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tidegate.data import Dataset
    from tidegate.runs.training import Params, Result, Source, Training


@dataclass(frozen=True, eq=False)
class Comparison:
    """Hold what is to be compared: train each of `trainings()`, then `write` the results.

    >>> comparison = compare(Source("imdb"), ["tutorial-lstm", "tutorial-bilstm"], out="runs/two")  # doctest: +SKIP
    >>> results = {name: training.run() for name, training in comparison.trainings()}  # doctest: +SKIP
    >>> comparison.write(results)  # doctest: +SKIP
    """

    source: Source
    dataset: Dataset
    presets: tuple[str, ...]
    params: dict[str, Any]
    folder: Path
    overwrite: bool

    @property
    def curves(self) -> Path:
        """The picture of the learning curves."""
        return self.folder / "curves.png"

    @property
    def report(self) -> Path:
        """The page with everything in it."""
        return self.folder / "compare.html"

    def trainings(self) -> Iterator[tuple[str, Training]]:
        """Begin one run after the other, each in a folder of its own below `folder`, under the name of its preset."""
        for name in self.presets:
            yield (
                name,
                start(
                    self.source,
                    dataset=self.dataset,
                    preset=name,
                    params=self.params,
                    out=self.folder / name,
                    overwrite=self.overwrite,
                ),
            )

    def write(self, results: Mapping[str, Result]) -> None:
        """Write `results.json`, `curves.png` and `compare.html`.

        Raises MissingPackageError where matplotlib is not installed, after `results.json` has been written.
        """
        content = {name: result.to_json() for name, result in results.items()}
        atomic_write(self.folder / "results.json", json.dumps(content, indent=2, ensure_ascii=False).encode())
        histories = {name: result.history for name, result in results.items()}
        atomic_write(self.curves, draw_learning_curves(histories))
        rows = [{"preset": name, **result.headline()} for name, result in results.items()]
        reports = {name: f"{name}/report.html" for name in results}
        page = comparison_report(f"{len(results)} presets on {self.dataset.name}", rows, histories, reports)
        atomic_write(self.report, page.encode())


def compare(
    source: Source,
    names: Sequence[str],
    *,
    params: Params | None = None,
    out: Path | None = None,
    overwrite: bool = False,
) -> Comparison:
    """Check everything that can be checked before the first preset is trained.

    Args:
        source: where the examples come from.
        names: the presets, each once.
        params: parameters of the task, over those of every preset.
        out: the folder; by default a new one under `runs/`.
        overwrite: replace the runs of these names that `out` already holds.

    Raises:
        InputError: no preset, or one twice, or unknown, or a parameter that is unknown.
        RunFolderError: `out` holds runs already.
    """
    if not names or len(set(names)) < len(names):
        raise InputError(f"wanted presets to compare, each once, but got {', '.join(names) or 'none'}.")
    folder = Path(out) if out else default_folder(Path(source.name).name, "compared")
    taken = [name for name in names if (folder / name).exists()]
    if taken and not overwrite:
        raise RunFolderError(f"{folder} already holds a run of {taken[0]}. Overwrite it, or name another folder.")
    dataset = source.load()
    for name in names:
        build_task(dataset, params or {}, preset=name)
    return Comparison(source, dataset, tuple(names), dict(params or {}), folder, overwrite)
