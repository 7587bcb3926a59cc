"""Learns a language from texts without labels before a run: which texts those are, how long, and where the model lies.

Knows no task by name: any that takes `pretrained` can begin with what was learned.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tidegate.data import loading
from tidegate.data.checks import check_writable
from tidegate.data.rows import KINDS as TABLES
from tidegate.errors import DataError, InputError, RunFolderError
from tidegate.tasks.run import RunFolder

if TYPE_CHECKING:
    from tidegate.data import Dataset, Examples
    from tidegate.tasks.task import AnyTask
    from tidegate.train import Step

FOLDER = "language"
"""Of the language model, in the run folder."""
_TRIAL = 3.0  # seconds for which updates are timed
_MEASURING = 1.15  # of the time of the updates alone: a tenth of the texts is measured after each pass


@dataclass(frozen=True)
class Unlabelled:
    """Say which texts without labels a language model learns from first, and how long that may take.

    name: a data set by name that has such a part, or a file or folder: a .txt file holds a text on every line.
    minutes: for the passes over the texts. How many fit in, the time of some updates says.
    options: those of `data.load` for a corpus, such as the column `text` of a table.
    planned: what a recipe says of the passes and texts, to do the same again; empty to find out.
    """

    name: str
    minutes: float = 10.0
    options: Mapping[str, str] = field(default_factory=dict)
    planned: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not (isfinite(self.minutes) and self.minutes > 0):
            raise InputError(f"a budget of {self.minutes} minutes came; wanted a number above zero, such as 10.")

    def load(self) -> list[str]:
        """Load the texts; raises as `data.load` does."""
        options: dict[str, Any] = dict(self.options)
        if self.name in loading.names():
            found = loading.load(self.name, unlabelled=True, **options).unlabelled
            assert found is not None, "it was asked for"
            return found
        place, table = Path(self.name), Path(self.name).suffix.lower() in TABLES
        if not (table or place.is_dir()):
            options.setdefault("documents", "line")
        try:
            return list(loading.load(self.name, kind="corpus", **options).train.x)
        except DataError as error:
            raise error.about(self.name) from None

    def described(self, texts: list[str]) -> dict[str, Any]:
        """Write down for a recipe where the texts came from, how long to learn, and by a hash which texts they are."""
        name = self.absolute().name
        check_writable(Path(name).parts, "file name")
        return {"name": name, **self.options, "minutes": float(self.minutes), "sha256": _hash(texts)}

    def absolute(self) -> Unlabelled:
        """Name a file or folder by its whole path."""
        name = self.name if self.name in loading.names() else str(Path(self.name).resolve())
        return replace(self, name=name)


@dataclass(frozen=True)
class Effort:
    """Say how much is learned: passes over the texts, how many texts they are, and how many were left out.

    dropped: texts that equal one of the test or validation part.
    """

    epochs: int
    texts: int
    dropped: int


@dataclass(frozen=True, eq=False)
class FirstStep:
    """Hold what a language model will learn from, before the run that begins with it.

    texts: [effort.texts], those of the training part first.
    section: what the recipe says of it.
    """

    folder: RunFolder
    model: AnyTask
    texts: list[str]
    effort: Effort
    section: dict[str, Any]

    @property
    def note(self) -> str:
        """Say in a sentence or two what comes first."""
        passes = f"{self.effort.epochs} pass{'es' * (self.effort.epochs > 1)}"
        note = f"First a language model learns from {len(self.texts):,} texts without labels, {passes} at most."
        if self.effort.dropped:
            note += f" {self.effort.dropped:,} that equal a test or validation text were left out."
        return f"{note} It lies in {self.folder.path}."

    def steps(self) -> Generator[Step, None, None]:
        """Train the language model, or go on where that was interrupted; none where it has ended."""
        if self.folder.finished:
            return
        try:
            if self.folder.state.exists():
                yield from self.model.fit_steps(self.texts, resume=self.folder)
            else:
                yield from self.model.fit_steps(self.texts, run_dir=self.folder)
        finally:
            self.folder.release()


def plan_first_step(
    wanted: Unlabelled, language: AnyTask, dataset: Dataset, run: Path, known: Mapping[str, Any]
) -> FirstStep:
    """Load and choose the texts, and say how many passes fit into the time.

    Args:
        wanted: which texts, and how long.
        language: the language model, untrained.
        dataset: of the task that shall begin with it: the texts of the training part are learned from, too; those that
            equal a text of another part are not.
        run: the run folder.
        known: what a recipe says of this step, where it was planned before; it is then the same again.

    Raises:
        DataError: the texts cannot be read.
        RunFolderError: the texts are no longer those of the recipe.
    """
    loaded = wanted.load()
    section = wanted.described(loaded)
    texts, dropped = _choose(loaded, dataset, seed=language.seed)
    if known:
        if section["sha256"] != known.get("sha256"):
            raise RunFolderError(f"the texts of {wanted.name} are not those that the run in {run} was begun with.")
        effort = Effort(int(known["epochs"]), int(known["texts"]), dropped)
    else:
        effort = replace(_affordable(language, texts, wanted.minutes * 60), dropped=dropped)
    language.set_params(epochs=effort.epochs)
    section |= {"epochs": effort.epochs, "texts": effort.texts}
    return FirstStep(RunFolder(run / FOLDER), language, texts[: effort.texts], effort, section)


def read_section(section: Mapping[str, Any], *, planned: bool = False) -> Unlabelled:
    """Read what a recipe says of texts without labels, with what was planned only where it shall be done again.

    Raises RunFolderError for what is no such section.
    """
    options = {name: value for name, value in section.items() if name not in _OWN}
    try:
        return Unlabelled(str(section["name"]), float(section["minutes"]), options, section if planned else {})
    except (KeyError, TypeError, ValueError):
        raise RunFolderError("the recipe does not say from which texts without labels it begins.") from None


_OWN = ("name", "minutes", "sha256", "epochs", "texts")


def _choose(loaded: list[str], dataset: Dataset, *, seed: int) -> tuple[list[str], int]:
    """Leave out what equals a text to be measured on; return the texts, those of training first, and how many went."""
    measured = {_key(text) for part in (dataset.valid, dataset.test) for text in _texts(part)}
    own = [text for text in _texts(dataset.train) if _key(text) not in measured]
    others = [text for text in loaded if text.strip() and _key(text) not in measured]
    order = np.random.default_rng([seed, 0x7E47]).permutation(len(others))
    return [*own, *(others[index] for index in order)], sum(_key(text) in measured for text in loaded)


def _key(text: str) -> str:
    """Give what two texts have in common that are the same but for case and white space, as of words cut apart."""
    return "".join(text.split()).casefold()


def _texts(part: Examples | None) -> Iterator[str]:
    """Give the examples of a part as texts; words of a sentence are joined."""
    for x in () if part is None else part.x:
        yield x if isinstance(x, str) else " ".join(x)


def _affordable(language: AnyTask, texts: list[str], seconds: float) -> Effort:
    """Say how many passes fit into a time, as many as the model takes at most; where not even one does, how many texts.

    Some updates of a model that is thrown away are timed, so that another machine may come to another number: a recipe
    holds it.
    """
    steps = language.fit_steps(texts)
    first = next(steps)
    begun, count = time.perf_counter(), 0
    for _ in steps:
        count += 1
        if time.perf_counter() - begun > min(_TRIAL, seconds / 10):
            break
    each = (time.perf_counter() - begun) / max(count, 1)
    steps.close()
    whole = each * (first.steps / first.epochs) * _MEASURING
    passes = int(min(seconds / max(whole, 1e-9), first.epochs))
    if passes:
        return Effort(passes, len(texts), 0)
    return Effort(1, max(1, int(len(texts) * seconds / whole)), 0)


def _hash(texts: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for text in texts:
        piece = text.encode()
        digest.update(len(piece).to_bytes(8, "little"))
        digest.update(piece)
    return digest.hexdigest()
