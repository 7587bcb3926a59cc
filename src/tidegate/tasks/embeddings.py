"""What the table of a task's words begins with: drawn numbers, or the vectors of others. Knows no file's form."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import PlainValidator

from tidegate.data import vectors
from tidegate.data.vectors import Vectors, folded
from tidegate.errors import Argument, InputError
from tidegate.health import HealthWarning
from tidegate.network import parameter_shapes
from tidegate.tasks.fitting import Plan, begin_with

Array: TypeAlias = npt.NDArray[Any]


def read_path(value: object) -> str | None:
    """Check the path of a file, as a parameter of a task; raises ValueError for anything else."""
    if value is None:
        return None
    path = os.fspath(value) if isinstance(value, str | os.PathLike) else None
    if not isinstance(path, str) or not path:
        raise ValueError("wanted the path of a file of vectors, such as 'glove.6B.100d.txt', or None")
    return path


VectorFile: TypeAlias = Annotated[str | os.PathLike[str] | None, PlainValidator(read_path)]

FEW = 0.5
"""The share of the tokens below which vectors are thought to be of other texts."""


class Settings(Protocol):
    """Have the parameters that say what words begin with; the tasks say what each means."""

    embeddings: VectorFile
    train_embeddings: bool
    embedding_size: int
    seed: int


@dataclass(frozen=True)
class WordTable:
    """Say how many features words have, and what those begin with.

    path: a file of vectors; None draws them.
    train: whether they move in training.
    asked: the features of a word that the task was told.
    usual: those that it has where it is told nothing.
    seed: of what is drawn.
    """

    path: str | None
    train: bool
    asked: int
    usual: int
    seed: int

    @classmethod
    def of(cls, task: Settings) -> WordTable:
        """Read the parameters of a task; raises InputError where they contradict each other."""
        begun = task.embeddings is not None or getattr(task, "cooccurrence", False) is True
        if not (begun or task.train_embeddings):
            raise InputError(
                "train_embeddings=False keeps vectors as a file has them, and there is no file. Pass ",
                Argument("embeddings"), ", or leave it out.",
            )  # fmt: skip
        usual = type(task).embedding_size
        return cls(read_path(task.embeddings), task.train_embeddings, task.embedding_size, usual, task.seed)

    @property
    def size(self) -> int:
        """Count the features of a word: as many as the file has numbers, if there is one.

        Raises InputError where another number was asked for; DataError where the file is none of vectors.
        """
        if self.path is None:
            return self.asked
        size = vectors.width(self.path)
        if self.asked not in (self.usual, size):
            told = f"embedding_size={self.asked}, but the vectors of {self.path} have {size} numbers"
            raise InputError(f"{told}. Pass ", Argument("embedding_size", size), ", or take vectors of that size.")
        return size

    def begin(self, plan: Plan, words: Sequence[str], counts: Array, *, fold: Callable[[str], str] = folded) -> Plan:
        """Let the first parameter of a network, the table of its words, begin with the vectors of the file, if any.

        Args:
            plan: what is trained.
            words: of the first rows of the table, the unknown word before all others.
            counts: how often the word of each row occurs in the training part.
            fold: brings a word of the file into the form that `words` have.
        """
        if self.path is None:
            return plan
        found = vectors.read(self.path, words, fold=fold)
        name, (rows, _) = next(iter(parameter_shapes(plan.network).items()))
        table = _completed(found, rows, seed=self.seed)
        own = counts[: len(words)]
        shares = {
            "words": float(found.found[1:].sum() / max(len(words) - 1, 1)),
            "tokens": float(own[found.found].sum() / max(own.sum(), 1)),
        }
        told = {
            "file": self.path,
            "sha256": found.sha256,
            "form": found.form,
            "found": shares,
            "made_of_parts": found.made_of_parts,
            "duplicates": found.duplicates,
        }
        begun = begin_with(plan, {name: table}, frozen=frozenset() if self.train else frozenset([name]), told=told)
        warnings = (*plan.background.warnings, *_few(self.path, shares))
        return replace(begun, background=replace(plan.background, warnings=warnings))


def row_of_length_one(size: int) -> float:
    """Say from minus what to what to draw the `size` features of a token, so that its row has about the length one."""
    return float((3 / size) ** 0.5)


def _completed(found: Vectors, rows: int, *, seed: int) -> Array:
    """Draw the rows that a file lacks at the scale of those that it has; return all, [rows, D]."""
    known = found.rows[found.found]
    most = math.sqrt(3 * float(np.mean(np.square(known, dtype=np.float64))))  # uniform numbers that are as large
    table = np.random.default_rng([seed, 0xE]).uniform(-most, most, (rows, found.rows.shape[1])).astype(np.float32)
    table[: len(found.rows)][found.found] = known
    return table


def _few(path: str, shares: dict[str, float]) -> tuple[HealthWarning, ...]:
    if shares["tokens"] >= FEW:
        return ()
    told = f"{path} has vectors for {shares['tokens']:.0%} of the tokens, {shares['words']:.0%} of the words."
    advice = "Take vectors of the same language, whose texts were cut into words as these are."
    return (HealthWarning("few-vectors", told, advice),)
