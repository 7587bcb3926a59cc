"""Trains a task on a data set into a run folder, from the first step to the report. Prints nothing, minds no signal."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

import tidegate.tasks as tasks
from tidegate.checkpoint import About
from tidegate.data import loading
from tidegate.data.checks import check_writable
from tidegate.data.kinds import KINDS
from tidegate.data.series import Series
from tidegate.durable import atomic_write
from tidegate.errors import InputError, RunFolderError
from tidegate.health import HealthWarning
from tidegate.inspect.report import run_report
from tidegate.lock import LockedFolder
from tidegate.ragged import Ragged
from tidegate.runs.evaluation import evaluate, show_measures
from tidegate.tasks import presets
from tidegate.tasks.cards import CARDS
from tidegate.tasks.loading import card_named
from tidegate.tasks.metrics import kept_epoch, valid_measures
from tidegate.tasks.run import RunFolder

if TYPE_CHECKING:
    from tidegate.data import Dataset, Examples
    from tidegate.tasks.task import AnyTask
    from tidegate.train import Step

_HELD_OUT = 0.1  # of examples without a part to measure on, where a task would learn from all

Params = Mapping[str, Any]
Record = dict[str, Any]


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


@dataclass(frozen=True)
class Result:
    """Hold what a run came to; `valid` and `test` hold measures and the number of examples, or are None.

    chief: the measure that tells how good the model is.
    warnings: what is amiss with the model, on the test part or else the part held out, and what to do.
    """

    task: str
    chief: str
    data: str
    run: str
    model: str
    params: dict[str, Any]
    parameters: int
    epochs: int
    train_seconds: float
    tokens_per_second: float
    valid: dict[str, Any] | None
    test: dict[str, Any] | None
    history: list[Record]
    warnings: list[str]

    def to_json(self) -> dict[str, Any]:
        """Give everything but the history, ready for `json.dumps`."""
        return {name: value for name, value in asdict(self).items() if name != "history"}

    def headline(self) -> dict[str, str]:
        """Give the figures that a reader looks for first, as text under their names."""
        measured: dict[str, str] = {}
        for part, found in (("test", self.test), ("validation", self.valid)):
            numbers = {name: value for name, value in (found or {}).items() if name != "worst_class"}
            for name, value in show_measures(numbers, (found or {}).get("worst_class")).items():
                chief = name == self.chief or name.endswith(f" {self.chief}")  # or that of guesses that need no model
                if chief or name in ("macro f1", "worst recall"):
                    measured[f"{part} {name}"] = value
        return measured | {
            "epochs": str(self.epochs),
            "training": f"{self.train_seconds:.1f} s",
            "tokens per second": f"{self.tokens_per_second:,.0f}",
            "parameters": f"{self.parameters:,}",
        }


@dataclass(frozen=True, eq=False)
class Training:
    """Hold a run under way: read `steps` to the end and `finish`, or `stop` and resume another time.

    Nobody else can train in its folder until then. `note` says how it was found where it does not begin anew.

    >>> training = start(Source("digits"), out="runs/digits", params={"epochs": 1})  # doctest: +SKIP
    >>> for step in training.steps:  # doctest: +SKIP
    ...     print(step.loss)
    >>> training.finish().test["accuracy"]  # doctest: +SKIP
    0.93
    """

    dataset: Dataset
    folder: RunFolder
    model: AnyTask
    steps: Iterator[Step]
    note: str = ""

    def run(self) -> Result:
        """Train to the end and finish, for those who do not want to see the steps."""
        for _ in self.steps:
            pass
        return self.finish()

    def stop(self) -> None:
        """Save the state of the last step that was read; there are no more steps then."""
        if isinstance(self.steps, Generator):
            self.steps.close()
        self.folder.release()

    def finish(self) -> Result:
        """Measure the model on the test part, where there is one; write the report; sum the run up."""
        self.folder.lock()
        try:
            return self._finish()
        finally:
            self.folder.release()

    def _finish(self) -> Result:
        course = self.folder.course()
        history = course.history
        params = self.model.get_params()
        kept = kept_epoch(history, patience=params["patience"])
        valid = valid_measures(history, patience=params["patience"])
        found = None if self.dataset.test is None else evaluate(self.model, self.dataset.test)
        measures = {} if found is None else {**found.measures(), "examples": found.examples}
        self.model.save(
            self.folder.model, licence=self.folder.licence, data=self.dataset.name, metrics={"test": measures}
        )
        neglect = None if found is None else found.neglect
        amiss = _judge(kept, valid | self.model.baselines_, self.model.name) if found is None else found.warnings()
        result = Result(
            task=self.model.name,
            chief=self.model.chief_measure,
            data=self.dataset.name,
            run=str(self.folder.path),
            model=str(self.folder.model),
            params=params,
            parameters=sum(array.size for array in self.model.weights_.values()),
            epochs=len(history),
            train_seconds=history[-1]["seconds"],
            tokens_per_second=course.tokens_per_second,
            valid=valid | self.model.baselines_ | _worst(kept.get("worst_class")) if valid else None,
            test=measures | _worst(neglect.worst if neglect else None) if measures else None,
            history=history,
            warnings=list(map(str, amiss)),
        )
        recipe = self.folder.recipe_file.read_text(encoding="utf-8")
        title = f"{self.folder.path.resolve().name} on {self.dataset.name}"
        page = run_report(title, result.headline(), history, recipe, warnings=[*course.warnings, *result.warnings])
        atomic_write(self.folder.report, page.encode(errors="backslashreplace"))
        return result


def start(
    source: Source,
    *,
    dataset: Dataset | None = None,
    task: str | None = None,
    preset: str | None = None,
    params: Params | None = None,
    out: str | Path | None = None,
    overwrite: bool = False,
    licence: str | None = None,
) -> Training:
    """Begin a run.

    Args:
        source: where the examples come from.
        dataset: what `source.load()` gave, where it has been loaded already.
        task: what to learn, by the name of the task; by default what the kind of the data set is for.
        preset: the name of a set-up to start from.
        params: parameters of the task, over those of the preset.
        out: the run folder; by default a new one under `runs/`, named after the data and the preset or cell. The very
            run that it holds, killed before its end, goes on.
        overwrite: let the new run take the place of the one that `out` already holds, as soon as it has a model.
        licence: what the model file shall say about its licence.

    Raises:
        InputError: the licence is empty or too long.
        OptionError: an unknown data set, preset or parameter.
        DataError: the data cannot be read or learned from.
        RunFolderError: `out` holds another run already, or one that has ended, or another process trains there.
    """
    About().also(licence=licence)
    with ExitStack() as on_failure:
        folder = None
        if out:
            folder = RunFolder(out)
            on_failure.callback(folder.release)
            folder.lock()  # before anything is looked at
        dataset = dataset or source.load()
        model = build_task(dataset, params or {}, task=task, preset=preset)
        if folder is None:
            what = preset or str(model.get_params()["cell"])
            folder = RunFolder.new(Path("runs") / f"{dataset.name}-{what}")
            on_failure.callback(folder.release)
        folder.describe(data=source.describe(dataset), licence=licence)
        training = _begin(folder, dataset, model, overwrite=overwrite)
        on_failure.pop_all()
    return training


def _begin(folder: RunFolder, dataset: Dataset, model: AnyTask, *, overwrite: bool) -> Training:
    """Begin a run in a folder that is locked, or go on with the same one if it was killed there before its end."""
    if overwrite:
        folder.replace()
    elif folder.held():
        other = folder.differing(task=model.name, params=model.get_params())
        if other is not None or folder.report.exists():
            why = f"its {other} differs" if other else "it has ended"
            raise RunFolderError(
                f"{folder.path} already holds a run, and {why}. "
                "Overwrite it, or name another folder; what was interrupted goes on with --resume."
            )
        return _go_on(folder, dataset)
    return Training(dataset, folder, model, model.fit_steps(*_xy(dataset.train), valid=_valid(dataset), run_dir=folder))


def build_task(dataset: Dataset, params: Params, *, task: str | None = None, preset: str | None = None) -> AnyTask:
    """Build the task of a name, or else the one that fits a data set, with a preset and `params` over that.

    Where the data set has no part to measure on, a tenth of the examples is held out for that, unless told otherwise.

    Raises OptionError for a task, preset or parameter that is not known; InputError for a preset of another task, or a
    task for data of another kind.
    """
    found = tasks.for_kind(dataset.kind) if task is None else card_named(task).task()
    if found.reads != dataset.kind:
        raise InputError(
            f"a {found.name} learns from data of the kind {found.reads!r}, but {dataset.name} holds {dataset.kind!r}."
        )
    chosen = (presets.get(preset, task=found.name) if preset else {}) | dict(params)
    model = found().set_params(**chosen)
    unmeasured = dataset.valid is None and dataset.test is None and "validation_fraction" not in chosen
    if unmeasured and model.get_params().get("validation_fraction") == 0:
        model.set_params(validation_fraction=_HELD_OUT)
    return model


def resume(path: str | Path) -> Training:
    """Go on with an interrupted run; one that has ended already has no more steps, and can be finished once more.

    One that was killed before its first step begins as its recipe says.

    Raises:
        RunFolderError: the folder holds no run, or another process trains there, or the data or the parameters are no
            longer those of the run.
        ModelFileError: its state cannot be read.
    """
    folder = RunFolder.open(path)
    with ExitStack() as on_failure:
        on_failure.callback(folder.release)
        folder.lock()
        training = _go_on(folder, source_of(folder.recipe).load())
        on_failure.pop_all()
    return training


def _go_on(folder: RunFolder, dataset: Dataset) -> Training:
    """Go on where a run was interrupted: in the middle, before its first state, or after its last step."""
    if folder.finished:
        note = f"The run in {folder.path} has ended already; its model is measured once more."
        return Training(dataset, folder, tasks.load(folder.path), iter(()), note)
    model, parts = tasks.from_recipe(folder.recipe), _xy(dataset.train)
    if folder.state.exists():
        note = f"The run in {folder.path} was interrupted, and goes on."
        return Training(dataset, folder, model, model.fit_steps(*parts, valid=_valid(dataset), resume=folder), note)
    _check_examples(folder, dataset)
    folder.describe(data=folder.recipe["data"], licence=folder.licence)
    note = f"The run in {folder.path} was interrupted before its first step, and begins anew."
    return Training(dataset, folder, model, model.fit_steps(*parts, valid=_valid(dataset), run_dir=folder), note)


def repeat(path: str | Path, *, out: str | Path | None = None, overwrite: bool = False) -> Training:
    """Train again what a run's recipe says, from the beginning, into another folder.

    Raises:
        RunFolderError: `path` holds no recipe, or the examples are no longer those that it was made with.
    """
    folder = RunFolder.open(path)
    source = source_of(folder.recipe)
    dataset = source.load()
    _check_examples(folder, dataset)
    said = {"task": folder.recipe["task"], "params": folder.recipe["params"], "licence": folder.licence}
    return start(source, dataset=dataset, out=out, overwrite=overwrite, **said)


def _check_examples(folder: RunFolder, dataset: Dataset) -> None:
    if fingerprint(dataset) != folder.recipe["data"].get("sha256"):
        told = f"the examples of {dataset.name} are not those of the run in {folder.path}: train on them afresh."
        raise RunFolderError(told)


def source_of(recipe: Mapping[str, Any]) -> Source:
    """Read where the examples of a recipe come from; raises RunFolderError where it does not say."""
    described: dict[str, Any] = dict(recipe.get("data", {}))
    if "name" not in described:
        raise RunFolderError("the recipe does not name its data: it was not written by `tidegate train`.")
    described.pop("sha256", None)
    return Source(described.pop("name"), described)


F = TypeVar("F", bound=LockedFolder)


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
    if isinstance(part.x, Ragged):
        yield np.ascontiguousarray(part.x.values).tobytes()
        yield np.ascontiguousarray(part.x.offsets).tobytes()
    else:
        for x in part.x:
            yield from x.pieces() if isinstance(x, Series) else [x.encode() if isinstance(x, str) else _json(x)]
    yield _json(part.y.tolist() if isinstance(part.y, np.ndarray) else part.y)


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def _xy(examples: Examples) -> tuple[Any, Any]:
    return examples.x, examples.y


def _valid(dataset: Dataset) -> tuple[Any, Any] | None:
    return None if dataset.valid is None else _xy(dataset.valid)


def _worst(name: str | None) -> dict[str, str]:
    return {} if name is None else {"worst_class": name}


def _judge(kept: Record, measures: Mapping[str, float], task: str) -> list[HealthWarning]:
    """Say what is amiss with a model of which only the part held out in training is known."""
    if not measures:
        return []
    return CARDS[task].scores().judge(kept, measures, "the part held out")
