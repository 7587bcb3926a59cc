"""Trains several presets on the same data and puts them side by side: a table, a picture and a page."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidegate.durable import atomic_write
from tidegate.errors import InputError, RunFolderError
from tidegate.inspect.curves import draw_learning_curves
from tidegate.inspect.report import comparison_report
from tidegate.lock import LockedFolder
from tidegate.runs.training import build_task, resume, start
from tidegate.tasks.run import RunFolder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tidegate.data import Dataset
    from tidegate.runs.source import Source
    from tidegate.runs.training import Params, Result, Training
    from tidegate.tasks.task import AnyTask


@dataclass(frozen=True, eq=False)
class Comparison:
    """Hold what is to be compared: train each of `trainings()`, then `write` the results.

    >>> comparison = compare(Source("imdb"), ["tutorial-lstm", "tutorial-bilstm"], out="runs/two")  # doctest: +SKIP
    >>> results = {name: training.run() for name, training in comparison.trainings()}  # doctest: +SKIP
    >>> comparison.write(results)  # doctest: +SKIP
    """

    source: Source
    dataset: Dataset
    variants: dict[str, tuple[str, dict[str, Any]]]  # by the name of the run: the preset, and parameters over its own
    hold: LockedFolder
    overwrite: bool
    task: str | None = None

    @property
    def folder(self) -> Path:
        """Where everything is written; nobody else can until the results are, or this object goes."""
        return self.hold.path

    @property
    def curves(self) -> Path:
        """The picture of the learning curves."""
        return self.folder / "curves.png"

    @property
    def report(self) -> Path:
        """The page with everything in it."""
        return self.folder / "compare.html"

    def trainings(self) -> Iterator[tuple[str, Training]]:
        """Begin one run after the other, each in a folder of its own below `folder`.

        Where an interrupted comparison goes on, so do its runs; those that have ended are measured once more.
        """
        for stale in (self.report, self.curves, self.folder / "results.json"):
            stale.unlink(missing_ok=True)
        for name, (preset, params) in self.variants.items():
            out = self.folder / name
            if RunFolder(out).finished and not self.overwrite:
                yield name, resume(out)
                continue
            yield (
                name,
                start(
                    self.source,
                    dataset=self.dataset,
                    task=self.task,
                    preset=preset,
                    params=params,
                    out=out,
                    overwrite=self.overwrite,
                ),
            )

    def write(self, results: Mapping[str, Result]) -> None:
        """Write `results.json`, `curves.png` and `compare.html`.

        Raises MissingPackageError where matplotlib is not installed, after `results.json` has been written.
        """
        content = {name: result.to_json() for name, result in results.items()}
        atomic_write(self.folder / "results.json", json.dumps(content, indent=2).encode())
        histories = {name: result.history for name, result in results.items()}
        atomic_write(self.curves, draw_learning_curves(histories))
        rows = [{"preset": name, **result.headline()} for name, result in results.items()]
        reports = {name: f"{name}/report.html" for name in results}
        page = comparison_report(f"{len(results)} presets on {self.dataset.name}", rows, histories, reports)
        atomic_write(self.report, page.encode(errors="backslashreplace"))
        self.hold.release()


def compare(
    source: Source,
    names: Sequence[str],
    *,
    task: str | None = None,
    params: Params | None = None,
    vary: Mapping[str, Sequence[Any]] | None = None,
    out: Path | None = None,
    overwrite: bool = False,
) -> Comparison:
    """Check everything that can be checked before the first preset is trained.

    Args:
        source: where the examples come from.
        names: the presets, each once.
        task: what to learn, as for `start`.
        params: parameters of the task, over those of every preset.
        vary: parameters of which several values are tried, each with every other and with every preset. A run is then
            named after its preset and these values, such as `tutorial-lstm-sgd`.
        out: the folder; by default a new one under `runs/`. The same comparison that was interrupted there goes on.
        overwrite: replace the runs of these names that `out` already holds.

    Raises:
        InputError: no preset, or one twice, or unknown, or a parameter that is unknown.
        RunFolderError: `out` holds other runs already, or a comparison that has ended, or another process writes there.
    """
    if not names or len(set(names)) < len(names):
        raise InputError(f"wanted presets to compare, each once, but got {', '.join(names) or 'none'}.")
    with ExitStack() as on_failure:
        hold = None
        if out:
            hold = LockedFolder(out)
            on_failure.callback(hold.release)
            hold.lock()
        dataset = source.load()
        variants = _variants(names, dict(params or {}), vary or {})
        models = {name: build_task(dataset, own, task=task, preset=preset) for name, (preset, own) in variants.items()}
        if hold is None:
            hold = LockedFolder.new(Path("runs") / f"{Path(source.name).name}-compared")
            on_failure.callback(hold.release)
        found = Comparison(source, dataset, variants, hold, overwrite, task)
        if not overwrite:
            _check_untaken(found, models)
        on_failure.pop_all()
    return found


def _variants(
    presets: Sequence[str], params: dict[str, Any], vary: Mapping[str, Sequence[Any]]
) -> dict[str, tuple[str, dict[str, Any]]]:
    """Name every run: what is varied takes each of its values with every preset."""
    chosen = list(product(*vary.values()))
    return {
        "-".join([preset, *map(str, values)]): (preset, params | dict(zip(vary, values, strict=True)))
        for preset in presets
        for values in chosen
    }


def _check_untaken(comparison: Comparison, models: Mapping[str, AnyTask]) -> None:
    """Raise RunFolderError unless the runs that are there are what the comparison would make itself."""
    folder, about = comparison.folder, comparison.source.describe(comparison.dataset)
    if comparison.report.exists():
        raise RunFolderError(f"{folder} already holds a comparison. Overwrite it, or name another folder.")
    for name, model in models.items():
        run = RunFolder(folder / name, data=about)
        if run.held() and (other := run.differing(task=model.name, params=model.get_params())):
            told = f"{folder} already holds a run of {name}, and its {other} differs."
            raise RunFolderError(f"{told} Overwrite it, or name another folder.")
