"""The folder that a training run leaves: model, metrics, recipe, and while it lasts the state to resume from.

Knows files and their names. Knows no task and no torch; `fit_steps` and the command line both write through it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from tidegate.checkpoint import atomic_write
from tidegate.errors import RunFolderError

Json: TypeAlias = dict[str, Any]

MODEL, METRICS, RECIPE, REPORT, STATE = (
    "model.safetensors",
    "metrics.jsonl",
    "recipe.toml",
    "report.html",
    "state.safetensors",
)


class RunFolder:
    """Name the files of one run and write them so that a kill at any moment leaves each of them whole."""

    def __init__(
        self, path: str | os.PathLike[str], *, data: Mapping[str, Any] | None = None, licence: str | None = None
    ) -> None:
        self.path = Path(path)
        self.model = self.path / MODEL
        self.metrics = self.path / METRICS
        self.recipe_file = self.path / RECIPE
        self.report = self.path / REPORT
        self.state = self.path / STATE
        self._data = dict(data or {})
        self._licence = licence

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        *,
        overwrite: bool = False,
        data: Mapping[str, Any] | None = None,
        licence: str | None = None,
    ) -> RunFolder:
        """Make a folder for a new run.

        Args:
            path: the folder; it is made when it is not there.
            overwrite: delete the files of the run that it holds already; files of other names are left alone.
            data: what the recipe shall say about where the data came from.
            licence: what the model files of the run shall say about theirs.

        Raises:
            RunFolderError: the folder holds a run already, or is no folder.
        """
        run = cls(path, data=data, licence=licence)
        try:
            run.path.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise RunFolderError(f"{path} is not a folder; name one to write the run to.") from None
        old = [run.path / name for name in (STATE, MODEL, METRICS, RECIPE, REPORT) if (run.path / name).exists()]
        if old and not overwrite:
            raise RunFolderError(
                f"{path} already holds a run ({old[0].name}). Resume it, overwrite it, or name another folder."
            )
        for file in old:
            file.unlink()
        return run

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> RunFolder:
        """Open the folder of a run that was begun; raises RunFolderError where there is none."""
        run = cls(path)
        if not run.recipe_file.is_file():
            raise RunFolderError(f"{path} holds no run: there is no {RECIPE} in it.")
        return run

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

    def write_recipe(self, *, task: str, params: Mapping[str, Any], versions: Mapping[str, str]) -> None:
        """Write everything that is needed to run it again, as TOML."""
        import tomlkit

        document = tomlkit.document()
        document.add("task", tomlkit.item(task))
        if self._licence is not None:
            document.add("licence", tomlkit.item(self._licence))
        for name, part in (("params", params), ("data", self._data), ("versions", versions)):
            document.add(name, tomlkit.item(dict(part)))
        atomic_write(self.recipe_file, tomlkit.dumps(document).encode())

    def log(self, record: Json) -> None:
        """Append one record to the metrics, as one line of JSON."""
        with self.metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def rewind(self, step: int) -> None:
        """Drop the metrics of later steps, and a last line that a kill cut short."""
        kept = []
        for line in self.metrics.read_bytes().splitlines(keepends=True) if self.metrics.exists() else []:
            try:
                if not line.endswith(b"\n") or json.loads(line)["step"] > step:
                    break
            except (ValueError, KeyError, TypeError):
                break
            kept.append(line)
        atomic_write(self.metrics, b"".join(kept))
