"""The folder that a training run leaves: model, metrics, recipe, and while it lasts the state to resume from.

Knows files and their names, and lets one process at a time write them. Knows no task and no torch; `fit_steps` and the
command line both write through it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeAlias

from tidegate.durable import atomic_write, flush_folder
from tidegate.errors import RunFolderError
from tidegate.lock import LockedFolder
from tidegate.tasks.chosen import Choice, as_table
from tidegate.tasks.metrics import Course, append_record, flush_records, read_course, replace_baselines, rewind_records

Json: TypeAlias = dict[str, Any]

MODEL, METRICS, RECIPE, REPORT, STATE = (
    "model.safetensors",
    "metrics.jsonl",
    "recipe.toml",
    "report.html",
    "state.safetensors",
)
_NEW = ".tidegate.new"  # a run that shall take the place of another, while it has no model yet
_READY = ".tidegate.ready"  # the same once it has one: from here on it is the run of the folder


class RunFolder(LockedFolder):
    """Name the files of one run and write them so that a kill at any moment leaves each of them whole.

    One that overwrites another run lies in a folder of its own until it has a model. Renaming that folder is the step
    by which the folder goes from the old run to the new one; whoever locks the folder next carries out what was left.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, data: Mapping[str, Any] | None = None, licence: str | None = None
    ) -> None:
        super().__init__(path)
        self._data = dict(data or {})
        self._licence = licence
        self._unlabelled: dict[str, Any] = {}
        self._is_draft = False

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        *,
        overwrite: bool = False,
        data: Mapping[str, Any] | None = None,
        licence: str | None = None,
    ) -> RunFolder:
        """Make a folder for a new run and lock it.

        Args:
            path: the folder; it is made when it is not there.
            overwrite: let the new run take the place of the one that it holds already, as soon as there is a model of
                the new one; files of other names are left alone.
            data: what the recipe shall say about where the data came from.
            licence: what the model files of the run shall say about theirs.

        Raises:
            RunFolderError: the folder holds a run already, is in use by another process, or is no folder.
        """
        run = cls(path, data=data, licence=licence)
        run.lock()
        held = run.held()
        if held and not overwrite:
            run.release()
            raise RunFolderError(
                f"{path} already holds a run ({held[0]}). Resume it, overwrite it, or name another folder."
            )
        run.replace()
        return run

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> RunFolder:
        """Open the folder of a run that was begun, to look at it; raises RunFolderError where there is none."""
        run = cls(path)
        if not run.recipe_file.is_file():
            raise RunFolderError(f"{path} holds no run: there is no {RECIPE} in it.")
        return run

    @property
    def model(self) -> Path:
        """The best model so far."""
        return self._at(MODEL)

    @property
    def metrics(self) -> Path:
        """One line of JSON for each step."""
        return self._at(METRICS)

    @property
    def recipe_file(self) -> Path:
        """What is needed to run it again."""
        return self._at(RECIPE)

    @property
    def report(self) -> Path:
        """The page about a run that has ended."""
        return self._at(REPORT)

    @property
    def state(self) -> Path:
        """What is needed to go on, while the run is not finished."""
        return self._at(STATE)

    def _at(self, name: str) -> Path:
        if self._is_draft:
            return self.path / _NEW / name
        ready = self.path / _READY / name
        return ready if ready.exists() else self.path / name

    def lock(self, *, made: bool = False) -> bool:
        """Make the folder where it is not there, keep others out, and put in order what a killed process left."""
        if taken := super().lock(made=made):
            self._put_in_order()
        return taken

    def held(self) -> list[str]:
        """List the files of a run that are there; a recipe alone is none, for nothing has been made by it."""
        return [name for name in (STATE, MODEL, METRICS, REPORT) if (self.path / name).exists()]

    def describe(
        self, *, data: Mapping[str, Any], licence: str | None, unlabelled: Mapping[str, Any] | None = None
    ) -> None:
        """Say what the recipe shall say about where the data came from, and under which licence models are.

        `unlabelled` says which texts without labels are learned from first, if any.
        """
        self._data, self._licence, self._unlabelled = dict(data), licence, dict(unlabelled or {})

    def differing(self, *, task: str, params: Mapping[str, Any]) -> str | None:
        """Name the first thing in which the run that is there differs from one that was described; None if nothing."""
        mine = {"task": task, "params": as_stored(params), "data": self._data, "unlabelled": self._unlabelled}
        return differing(self.recipe, mine if self._licence is None else mine | {"licence": self._licence})

    def replace(self) -> None:
        """Write from now on beside the run that the folder holds, if it holds any, until `publish`."""
        self._is_draft = bool(self.held()) or (self.path / RECIPE).exists()

    def publish(self) -> None:
        """Let the run take the place of the one that it overwrites, in one step; where it overwrites none, do nothing.

        Called as soon as there is a model.
        """
        if self._is_draft:
            (self.path / _NEW).rename(self.path / _READY)
            self._is_draft = False
            flush_folder(self.path)
            self._move_in()

    def _put_in_order(self) -> None:
        if (self.path / _READY).exists():
            self._move_in()
        if (self.path / _NEW).exists():
            shutil.rmtree(self.path / _NEW)
        for name in (MODEL, METRICS, RECIPE, REPORT, STATE):
            for draft in self.path.glob(f".{name}.????????.tmp"):
                draft.unlink()

    def _move_in(self) -> None:
        """Move the files of a run that is ready to their place; done twice, or half before, it comes to the same.

        The model goes first and comes last, so that no recipe ever lies beside the model of another.
        """
        ready = self.path / _READY
        (self.path / REPORT).unlink(missing_ok=True)
        for name in (MODEL, STATE):
            if (ready / name).exists():
                (self.path / name).unlink(missing_ok=True)
        for name in (RECIPE, METRICS, STATE, MODEL):
            if (ready / name).exists():
                (ready / name).replace(self.path / name)
        flush_folder(self.path)
        shutil.rmtree(ready)

    @property
    def finished(self) -> bool:
        """Tell whether the run came to its end: the model is there, and no state to resume from."""
        return self.model.is_file() and not self.state.exists()

    @property
    def licence(self) -> str | None:
        """What the model files of the run say about their licence: as it was created with, or as its recipe has it."""
        if self._licence is None and self.recipe_file.is_file():
            return str(found) if (found := self.recipe.get("licence")) else None
        return self._licence

    @property
    def recipe(self) -> Json:
        """Read the recipe: `task`, `params`, `data` and `versions`.

        Raises RunFolderError when the file cannot be read as one.
        """
        import tomllib

        try:
            recipe = tomllib.loads(self.recipe_file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise RunFolderError(f"{self.recipe_file} is not a readable recipe: {error}") from None
        if not isinstance(recipe.get("task"), str) or not isinstance(recipe.get("params"), dict):
            raise RunFolderError(f"{self.recipe_file} is not a recipe: it names no task or no params.")
        return recipe

    def write_recipe(
        self,
        *,
        task: str,
        params: Mapping[str, Any],
        versions: Mapping[str, str],
        begin: Mapping[str, Any] | None = None,
        chosen: Sequence[Choice] = (),
    ) -> None:
        """Write everything that is needed to run it again, as TOML.

        `begin` says what weights began with, if told, and `chosen` what followed from the data, for people to read.

        Raises RunFolderError where the folder holds the recipe of another run, which was never begun.
        """
        import tomlkit

        document = tomlkit.document()
        document.add("task", tomlkit.item(task))
        if self._licence is not None:
            document.add("licence", tomlkit.item(self._licence))
        parts = {"params": params, "data": self._data, "unlabelled": self._unlabelled, "begin": begin or {}}
        for name, part in (parts | {"versions": versions}).items():
            if part or name not in ("unlabelled", "begin"):
                document.add(name, tomlkit.item(dict(part)))
        if chosen:
            document.add("chosen", as_table(chosen))
        if self._is_draft:
            (self.path / _NEW).mkdir(exist_ok=True)
        elif self.recipe_file.exists() and (found := differing(self.recipe, document.unwrap())):
            told = f"{self.path} holds the recipe of another run: its {found} differs."
            raise RunFolderError(f"{told} Overwrite it, or name another folder.")
        atomic_write(self.recipe_file, tomlkit.dumps(document).encode())

    def log(self, record: Json) -> None:
        """Append one record to the metrics, as one line of JSON."""
        append_record(self.metrics, record)

    def log_baselines(self, records: Sequence[Json]) -> None:
        """Put what simple models reached at the end of the metrics; called once the run came to its end."""
        replace_baselines(self.metrics, records)

    def flush_metrics(self) -> None:
        """Bring the metrics to the disk: to be called before a state that is as far is saved."""
        flush_records(self.metrics)

    def rewind(self, step: int, *, epochs: Sequence[Json] = ()) -> None:
        """Make the metrics those of the first `step` steps; see `rewind_records`."""
        rewind_records(self.metrics, step, epochs=epochs)

    def course(self) -> Course:
        """Sum up the metrics of a run that came to its end; raises RunFolderError where they do not tell of one."""
        return read_course(self.metrics)


def as_stored(params: Mapping[str, Any]) -> Json:
    """Bring parameters into the form in which a recipe or a model file gives them back.

    >>> as_stored({"pooling": ("max",), "class_weight": {1: 2.0}})
    {'pooling': ['max'], 'class_weight': {'1': 2.0}}
    """
    return {name: _plain(value) for name, value in params.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): each for key, each in value.items()}
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return list(value) if isinstance(value, tuple) else value


def differing(recipe: Mapping[str, Any], other: Mapping[str, Any]) -> str | None:
    """Name the first thing in which two recipes differ, the versions of packages aside; None where they are the same.

    >>> differing({"task": "t", "params": {"seed": 1}}, {"task": "t", "params": {"seed": 2}})
    'seed'
    """
    for part in ("task", "licence"):
        if recipe.get(part) != other.get(part):
            return part
    for part in ("params", "data", "unlabelled", "begin"):
        mine, its = recipe.get(part, {}), other.get(part, {})
        if part == "begin" and not (mine and its):
            continue  # a path in params says the same, until the file has been read
        for name in sorted({*mine, *its}):
            if mine.get(name) != its.get(name):
                return name if part == "params" else "data" if name == "sha256" else f"{part} {name}"
    return None


Folder: TypeAlias = str | os.PathLike[str] | RunFolder


def hold_new(run_dir: Folder, release: ExitStack) -> RunFolder:
    """Make and lock a folder for a run; one that was handed over is its owner's to release."""
    if isinstance(run_dir, RunFolder):
        run_dir.lock()
        return run_dir
    folder = RunFolder.create(run_dir)
    release.callback(folder.release)
    return folder


def hold(resume: Folder, release: ExitStack) -> RunFolder:
    """Open and lock the folder of a run that was begun."""
    if isinstance(resume, RunFolder):
        resume.lock()
        return resume
    folder = RunFolder.open(resume)
    folder.lock()
    release.callback(folder.release)
    return folder
