"""What a run begins with: what followed from the data, and the vectors of others. Knows recipes, trains nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tidegate.data import vectors
from tidegate.errors import RunFolderError
from tidegate.tasks.run import RunFolder


def told_of_beginning(recipe: Mapping[str, Any]) -> str:
    """Say what followed from the data, and what words begin with: the vectors of a file, or what they stand near."""
    chosen, begin = recipe.get("chosen", {}), recipe.get("begin", {})
    told = [f"follows from the data: {', '.join(f'{name} {value}' for name, value in chosen.items())}"] * bool(chosen)
    if "found" in begin:
        found, name = begin["found"], Path(begin["file"]).name
        parts = f" ({begin['made_of_parts']:,} are made of n-grams)" if begin["made_of_parts"] else ""
        told.append(
            f"{name} has vectors for {found['words']:.1%} of the words{parts}, {found['tokens']:.1%} of the tokens."
        )
    if "texts" in begin:
        told.append(f"words begin with which others they stand near in {begin['texts']:,} texts.")
    return "\n".join(told)


def check_vectors(folder: RunFolder) -> None:
    """Raise RunFolderError unless the vectors that a run began with, if there were any, are still those."""
    begin = folder.recipe.get("begin", {})
    if "file" in begin and vectors.sha256(begin["file"]) != begin["sha256"]:
        told = f"the vectors of {begin['file']} are not those of the run in {folder.path}: train with them afresh."
        raise RunFolderError(told)
