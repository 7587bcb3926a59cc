"""The memory lab: several cells, a task, several lengths; what each came to as a table, pictures and a page."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tidegate.durable import atomic_write
from tidegate.errors import InputError, OptionError, RunFolderError
from tidegate.inspect.charts import draw_gradient_flow
from tidegate.lab import problems
from tidegate.lab.outcome import Outcome
from tidegate.lab.page import memory_report
from tidegate.lab.pictures import draw_memory_curves, draw_memory_success
from tidegate.lab.problems import MemoryTask
from tidegate.lab.setup import CELLS, LAB_CELLS, LENGTHS, SETUPS, LabSetup
from tidegate.lab.trial import Trial
from tidegate.lock import LockedFolder

_PICTURES = ("curves.png", "success.png", "gradient-flow.png")


@dataclass(frozen=True)
class Lab:
    """Hold what is to be tried: train each of `trials()`, then `write` what they came to.

    >>> visit = lab("adding", cells=["rnn", "gru"], lengths=[100], out="runs/adding")  # doctest: +SKIP
    >>> trials = list(visit.trials())  # doctest: +SKIP
    >>> for trial in trials:  # doctest: +SKIP
    ...     for step in trial.steps():
    ...         print(step.loss)
    >>> visit.write(trials)  # doctest: +SKIP
    """

    task: MemoryTask
    cells: tuple[str, ...]
    lengths: tuple[int, ...]
    setup: LabSetup
    hold: LockedFolder

    @property
    def folder(self) -> Path:
        """Where everything is written; nobody else can until `release`."""
        return self.hold.path

    def release(self) -> None:
        """Let others write into the folder; one that nothing was written into goes."""
        self.hold.release()

    @property
    def results(self) -> Path:
        """What every trial came to, with its curve, as JSON."""
        return self.folder / "results.json"

    @property
    def report(self) -> Path:
        """The page with everything in it."""
        return self.folder / "lab.html"

    @property
    def count(self) -> int:
        """The number of trials."""
        return len(self.cells) * len(self.lengths)

    def trials(self) -> Iterator[Trial]:
        """Yield every trial, from the shortest length to the longest, and for each length all cells."""
        for length in sorted(self.lengths):
            for cell in self.cells:
                yield Trial(self.task, cell, length, self.setup)

    def ranked(self, trials: Sequence[Trial]) -> list[Outcome]:
        """List what trials came to, cell by cell, each from the shortest length to the longest."""
        outcomes = [trial.outcome() for trial in trials]
        return sorted(outcomes, key=lambda outcome: (self.cells.index(outcome.cell), outcome.length))

    def save(self, trials: Sequence[Trial]) -> None:
        """Write `results.json` of the trials that have ended so far; pages and pictures of others go."""
        content = {
            "task": self.task.name,
            "measure": self.task.measure,
            "setup": asdict(self.setup),
            "outcomes": [outcome.to_json() for outcome in self.ranked(trials)],
        }
        for stale in (self.report, *map(self.folder.joinpath, _PICTURES)):
            stale.unlink(missing_ok=True)
        atomic_write(self.results, json.dumps(content, indent=1).encode())

    def write(self, trials: Sequence[Trial]) -> None:
        """Write `results.json`, the pictures `curves.png`, `success.png` and `gradient-flow.png`, and `lab.html`.

        The flow is that of every cell at the greatest length that it was trained on.

        Where no trial was checked even once, there is nothing to be shown, and only `results.json` is written.

        Raises:
            MissingPackageError: matplotlib is not installed; `results.json` has been written.
        """
        try:
            self.save(trials)
            self._draw(trials)
        finally:
            self.release()

    def _draw(self, trials: Sequence[Trial]) -> None:
        outcomes, measure = self.ranked(trials), self.task.measure
        if not any(outcome.curve for outcome in outcomes):
            return
        longest = {trial.cell: trial for trial in sorted(trials, key=lambda trial: trial.length)}
        flows = {f"{cell}, T = {trial.length}": trial.flow() for cell, trial in longest.items()}
        drawn = (
            draw_memory_curves(outcomes, measure=measure),
            draw_memory_success(outcomes),
            draw_gradient_flow(flows),
        )
        for name, picture in zip(_PICTURES, drawn, strict=True):
            atomic_write(self.folder / name, picture)
        facts = {"task": self.task.name} | {name.replace("_", " "): str(v) for name, v in asdict(self.setup).items()}
        page = memory_report(f"Memory lab: {self.task.name}", facts, outcomes, flows, measure=measure)
        atomic_write(self.report, page.encode(errors="backslashreplace"))


def lab(
    task: str = "adding",
    *,
    cells: Sequence[str] = CELLS,
    lengths: Sequence[int] = LENGTHS,
    settings: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    overwrite: bool = False,
) -> Lab:
    """Check everything that can be checked before the first cell is trained.

    Args:
        task: one of `lab.problems.names()`.
        cells: names of `lab_cells()`, each once.
        lengths: T, how many steps back the answer lies, each once.
        settings: what of the set-up, which the task brings along, shall be otherwise: names and values of `LabSetup`.
        out: the folder; by default a new one under `runs/`.
        overwrite: replace the results that `out` already holds.

    Raises:
        OptionError: an unknown task, cell or setting; those that exist are named.
        InputError: no cell or length, or one of them twice; a length that the task cannot have; a setting that is not
            above zero.
        RunFolderError: `out` holds results already, or another process writes there.
    """
    found = problems.get(task)
    for what, given in (("cells", cells), ("lengths", lengths)):
        if not given or len(set(given)) < len(given):
            raise InputError(f"wanted {what} to try, each once, but got {', '.join(map(str, given)) or 'none'}.")
    for cell in cells:
        if cell not in LAB_CELLS:
            raise OptionError.unknown("cell", cell, LAB_CELLS)
    for length in lengths:
        found.check_length(length)
    setup = _changed(SETUPS[task], settings or {})
    if out:
        hold = LockedFolder(out)
        hold.lock()
    else:
        hold = LockedFolder.new(Path("runs") / f"lab-{task}")
    visit = Lab(found, tuple(cells), tuple(lengths), setup, hold)
    if visit.results.exists() and not overwrite:
        hold.release()
        raise RunFolderError(f"{out} already holds {visit.results.name}. Overwrite it, or name another folder.")
    return visit


def lab_cells() -> tuple[str, ...]:
    """List the cells that can be tried: a name, and what it starts from.

    `lstm` and `bilstm` start with a forget bias of one, `lstm-0` with none; `-chrono` means chrono initialisation for
    memories of up to T steps.
    """
    return tuple(LAB_CELLS)


def _changed(setup: LabSetup, settings: Mapping[str, Any]) -> LabSetup:
    defaults = asdict(setup)
    for name, value in settings.items():
        if name not in defaults:
            raise OptionError.unknown("setting", name, defaults)
        whole = isinstance(defaults[name], int)
        least = 0 if name in ("mixed", "seed") else 1 if whole else math.ulp(0.0)
        if not isinstance(value, int if whole else int | float) or not value >= least:
            kind = "whole number" if whole else "number"
            raise InputError(f"{name}={value!r}, but a {kind} {'from 0' if least == 0 else 'above 0'} was wanted.")
    return replace(setup, **settings)
