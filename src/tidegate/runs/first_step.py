"""What a run with texts without labels does before its own first step: it trains the model that the run learns from.

A task that takes a teacher gets one, which then says of each text how likely each class is. Any other that takes a
language model gets that, which learns from the texts, and the task begins with its weights.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidegate.data.labels import hold_several
from tidegate.errors import InputError, RunFolderError
from tidegate.runs.unlabelled import Unlabelled, choose
from tidegate.tasks.parameters import parameter_names
from tidegate.tasks.pretrained import language_model_of
from tidegate.tasks.run import RunFolder

if TYPE_CHECKING:
    from tidegate.data import Dataset
    from tidegate.tasks.task import AnyTask
    from tidegate.train import Crew, Step

_TRIAL = 3.0  # seconds for which updates are timed
_TRIAL_TEXTS = 5000  # with labels, of which the trial counts n-grams: all of them are counted soon enough
_MEASURING = 1.15  # of the time of the updates alone: a tenth of the texts is measured after each pass
_PASSES = 4  # over texts with and without labels, of a classifier that has a teacher
_FOLDERS = {"teacher": "teacher", "pretrained": "language"}
"""Where the model lies in the run folder, by the parameter that names it."""


@dataclass(frozen=True, eq=False)
class FirstStep:
    """Hold the model that comes first, what it learns from, and the texts that the run itself learns from besides.

    Args:
        parameter: of the task, that names the model: `teacher` or `pretrained`.
        folder: of the model.
        model: untrained.
        given: what `fit_steps` takes.
        besides: texts without labels for the run itself.
        section: what the recipe says.
        note: what is to be done, in a sentence or two.
    """

    parameter: str
    folder: RunFolder
    model: AnyTask
    given: Mapping[str, Any]
    besides: list[str]
    section: dict[str, Any]
    note: str

    def steps(self, crew: Crew | None) -> Generator[Step, None, None]:
        """Train the model, or go on where that was interrupted; none where it has ended."""
        if self.folder.finished:
            return
        place: dict[str, Any] = {"resume" if self.folder.state.exists() else "run_dir": self.folder}
        try:
            yield from self.model.fit_steps(**self.given, **place, crew=crew)
        finally:
            self.folder.release()

    def hand_on(self, task: AnyTask) -> None:
        """Tell the task of the run where the model lies."""
        task.set_params(**{self.parameter: str(self.folder.path.resolve())})

    def examples(self, dataset: Dataset) -> tuple[Any, Any]:
        """Give the inputs and labels that the run itself learns from."""
        beside = _beside(dataset, self.besides)
        return beside["X"], beside["y"]


def plan_first_step(
    wanted: Unlabelled, task: AnyTask, dataset: Dataset, run: Path, known: Mapping[str, Any]
) -> FirstStep:
    """Load and choose the texts, and say how many of them or how many passes fit into the time.

    Args:
        wanted: which texts, and how long.
        task: of the run, untrained.
        dataset: of the run. Texts that equal one of its parts to be measured on are not learned from.
        run: the run folder.
        known: what a recipe says of this step, where it was planned before; it is then the same again.

    Raises:
        InputError: the task learns nothing from such texts, or its data or parameters cannot be used.
        DataError: the texts cannot be read.
        RunFolderError: the texts are no longer those of the recipe.
    """
    taught = "teacher" in parameter_names(type(task)) and named_by(known) == "teacher"
    model = _teacher_of(task, dataset.train.y) if taught else language_model_of(task)
    loaded = wanted.load()
    section = wanted.described(loaded)
    if known and section["sha256"] != known.get("sha256"):
        raise RunFolderError(f"the texts of {wanted.name} are not those that the run in {run} was begun with.")
    own, others, dropped = choose(loaded, dataset, seed=task.seed)
    parameter = "teacher" if taught else "pretrained"
    folder = RunFolder(run / _FOLDERS[parameter])
    valid = None if dataset.valid is None else (dataset.valid.x, dataset.valid.y)
    left_out = f" {dropped:,} that equal a test or validation text were left out." if dropped else ""
    lies = f" It lies in {folder.path}."
    if taught:
        given: dict[str, Any] = {"X": dataset.train.x, "y": dataset.train.y, "valid": valid}
        texts = int(known["texts"]) if known else _texts_in(model, given, wanted.minutes * 60, len(others))
        note = f"First a teacher learns from the labelled texts; it then says of {texts:,} others what they are."
        section |= {"texts": texts}
        if model.get_params()["cooccurrence"] is True:
            given |= _beside(dataset, others[:texts])
        return FirstStep(parameter, folder, model, given, others[:texts], section, note + left_out + lies)
    task.fit_steps(dataset.train.x, dataset.train.y, valid=valid).close()  # checks all before minutes go by
    every = [*own, *others]
    epochs, texts = int(known.get("epochs", 0)), int(known.get("texts", 0))
    if not known:
        epochs, texts = _passes_in(model, every, wanted.minutes * 60)
    model.set_params(epochs=epochs)
    passes = f"{epochs} pass{'es' * (epochs > 1)}"
    note = f"First a language model learns from {texts:,} texts without labels, {passes} at most."
    section |= {"epochs": epochs, "texts": texts}
    return FirstStep(parameter, folder, model, {"X": every[:texts]}, [], section, note + left_out + lies)


def _beside(dataset: Dataset, texts: list[str]) -> dict[str, Any]:
    """Put texts without labels behind those of the training part, as `fit` takes them."""
    x, y = dataset.train.x, dataset.train.y
    return {"X": x, "y": y} if not texts else {"X": [*x, *texts], "y": [*y, *[None] * len(texts)]}


def named_by(section: Mapping[str, Any]) -> str:
    """Say which parameter of the task names the model that comes first, by what a recipe says of it.

    >>> named_by({"texts": 100}), named_by({"texts": 100, "epochs": 2})
    ('teacher', 'pretrained')
    """
    return "pretrained" if "epochs" in section else "teacher"


def _teacher_of(task: AnyTask, y: Any) -> AnyTask:
    """Make the teacher of a task, which never sees what is held out: the task is measured on that."""
    params = task._checked().get_params()
    if params["teacher"] is not None:
        raise InputError("a teacher and texts without labels both came: these are for a run that trains its own one.")
    if params["multilabel"] is True or hold_several(list(y)):
        told = "a teacher says which one class a text is of, and these may have several."
        raise InputError(f"{told} Leave the texts without labels out.")
    begun = params["embeddings"] is not None or params["pretrained"] is not None
    near = not begun if params["cooccurrence"] == "auto" else params["cooccurrence"]
    return type(task)().set_params(**params | {"refit": False, "cooccurrence": near})


def _texts_in(teacher: AnyTask, given: Mapping[str, Any], seconds: float, most: int) -> int:
    """Say how many texts a classifier can learn from in a time, beside those that have labels; 1 at least.

    The teacher is begun with some of the texts and thrown away, so that another machine may come to another number: a
    recipe holds it.
    """
    begun = time.perf_counter()
    tried = _some(given["X"], given["y"])
    steps = teacher.fit_steps(*tried)
    first = next(steps)
    rows, some = len(given["X"]), len(tried[0])
    reading = (time.perf_counter() - begun) / some  # of a text, with all that is counted before the first update
    updating = _seconds_each(steps, seconds) * (first.steps / first.epochs) / some
    taught = rows * (reading + updating * teacher.epochs_on(rows))
    near = 2 if teacher.get_params()["cooccurrence"] else 1  # the teacher goes over the others, too
    return int(min(max(1, (seconds - taught) / (near * reading + _PASSES * updating) - rows), most))


def _some(texts: Any, labels: Any) -> tuple[list[Any], list[Any]]:
    """Take so many texts as a trial needs, from all over the data, and at least one of each label."""
    labels = list(labels)
    first = {label: at for at, label in reversed(list(enumerate(labels)))}
    spread = range(0, len(labels), -(-len(labels) // _TRIAL_TEXTS))
    taken = sorted({*spread, *first.values()})
    return [texts[at] for at in taken], [labels[at] for at in taken]


def _passes_in(language: AnyTask, texts: list[str], seconds: float) -> tuple[int, int]:
    """Say how many passes fit into a time, as many as the model takes at most; where not even one does, how many texts.

    As `_texts_in`, it may come to another number on another machine.
    """
    steps = language.fit_steps(texts)
    first = next(steps)
    whole = _seconds_each(steps, seconds) * (first.steps / first.epochs) * _MEASURING
    passes = int(min(seconds / max(whole, 1e-9), first.epochs))
    return (passes, len(texts)) if passes else (1, max(1, int(len(texts) * seconds / whole)))


def _seconds_each(steps: Generator[Step, None, None], seconds: float) -> float:
    """Time updates for a while, and end them."""
    begun, count = time.perf_counter(), 0
    for _ in steps:
        count += 1
        if time.perf_counter() - begun > min(_TRIAL, seconds / 10):
            break
    each = (time.perf_counter() - begun) / max(count, 1)
    steps.close()
    return each
