"""Trains a task on a data set into a run folder, from the first step to the report. Prints nothing, minds no signal."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tidegate.tasks as tasks
from tidegate.checkpoint import About
from tidegate.durable import atomic_write
from tidegate.errors import InputError, RunFolderError
from tidegate.health import HealthWarning
from tidegate.inspect.report import run_report
from tidegate.runs.beginning import check_vectors, told_of_beginning
from tidegate.runs.evaluation import evaluate, show_measure, show_measures
from tidegate.runs.first_step import FirstStep, named_by, plan_first_step
from tidegate.runs.source import Source, fingerprint, source_of
from tidegate.runs.unlabelled import Unlabelled, read_section
from tidegate.tasks import presets
from tidegate.tasks.baselines import Baseline
from tidegate.tasks.cards import CARDS
from tidegate.tasks.fitting import versions
from tidegate.tasks.loading import card_named
from tidegate.tasks.measures import is_less_better
from tidegate.tasks.metrics import BEFORE_REFIT, VALIDATION, kept_epoch, refitted, valid_measures
from tidegate.tasks.pretrained import check_same_weights
from tidegate.tasks.run import RunFolder, as_stored

if TYPE_CHECKING:
    from tidegate.data import Dataset, Examples
    from tidegate.tasks.task import AnyTask
    from tidegate.train import Crew, Step

_BESIDE = (
    "macro f1",
    "worst recall",
    "ece",
    "uncalibrated ece",
    "wer",
    "beam wer",
)  # measures that stand at the top with the chief one
_HELD_OUT = 0.1  # of examples without a part to measure on, where a task would learn from all

Params = Mapping[str, Any]
Record = dict[str, Any]


@dataclass(frozen=True)
class Result:
    """Hold what a run came to; `valid` and `test` hold measures and the number of examples, or are None.

    chief: the measure that tells how good the model is.
    warnings: what is amiss with the model, on the test part or else the part held out, and what to do; also that a
        simple model is better than it.
    baselines: what simple models reached on the same part.
    reliability: how certain answers on that part are, how often they are right, and how many there are, bin by bin; of
        classifiers alone.
    refitted: whether the model was trained anew on all rows. What `valid` says is then of the model before that, which
        chose the number of epochs.
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
    baselines: list[Baseline] = field(default_factory=list)
    reliability: list[list[float]] = field(default_factory=list)
    refitted: bool = False

    def to_json(self) -> dict[str, Any]:
        """Give everything but the history, ready for `json.dumps`."""
        return {name: value for name, value in asdict(self).items() if name != "history"}

    def headline(self) -> dict[str, str]:
        """Give the figures that a reader looks for first, as text under their names."""
        measured: dict[str, str] = {}
        for part, numbers_of in (("test", self.test), (BEFORE_REFIT if self.refitted else VALIDATION, self.valid)):
            numbers = {name: value for name, value in (numbers_of or {}).items() if name != "worst_class"}
            for name, value in show_measures(numbers, (numbers_of or {}).get("worst_class")).items():
                wanted = self.chief.replace("_", " ")
                chief = name == wanted or name.endswith(f" {wanted}")  # or that of guesses that need no model
                if chief or name in _BESIDE:
                    measured[f"{part} {name}"] = value
        part = "validation" if self.test is None else "test"
        for found in self.baselines:
            told = f"skipped: {found.skipped}"
            if found.value is not None:
                told = f"{show_measure(found.measure, found.value)} ({found.seconds:.1f} s)"
            measured[f"{part} {found.measure} of {found.name}"] = told
        return measured | {
            "epochs": self._epochs(),
            "training": f"{self.train_seconds:.1f} s",
            "tokens per second": f"{self.tokens_per_second:,.0f}",
            "parameters": f"{self.parameters:,}",
        }

    def _epochs(self) -> str:
        again = sum("refit" in record for record in self.history)
        return f"{self.epochs - again}, then {again} on all rows" if again else str(self.epochs)


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

    def run(self, *, baselines: bool = False) -> Result:
        """Train to the end and finish, for those who do not want to see the steps; fit baselines, too, if wanted."""
        for _ in self.steps:
            pass
        return self.finish(list(self.baselines()) if baselines else [])

    def baselines(self) -> Iterator[Baseline]:
        """Fit simple models to the training part after the last step, and measure them where the model is measured.

        That is the test part, or where there is none the part held out; where there is neither, none is fitted. Which
        models there are is up to the task: two linear ones of texts, the most frequent tag of each word of taggers.
        """
        fit = CARDS[self.model.name].baselines()
        if fit is not None:
            measured = self.dataset.valid if self.dataset.test is None else self.dataset.test
            yield from fit(self.model, self.dataset.train, measured)

    def stop(self) -> None:
        """Save the state of the last step that was read; there are no more steps then."""
        if isinstance(self.steps, Generator):
            self.steps.close()
        self.folder.release()

    def finish(self, baselines: Sequence[Baseline] = ()) -> Result:
        """Measure the model on the test part, where there is one; write the report; sum the run up.

        What `baselines()` gave is said beside it, in the metrics, too.
        """
        self.folder.lock()
        try:
            return self._finish(baselines)
        finally:
            self.folder.release()

    def _finish(self, baselines: Sequence[Baseline]) -> Result:
        course = self.folder.course()
        history = course.history
        params = self.model.get_params()
        kept = kept_epoch(history, patience=params["patience"])
        valid = valid_measures(history, patience=params["patience"])
        found = None if self.dataset.test is None else evaluate(self.model, self.dataset.test, self.dataset.train)
        measures = {} if found is None else {**found.measures(), "examples": found.examples}
        self.model.save(
            self.folder.model, licence=self.folder.licence, data=self.dataset.name, metrics={"test": measures}
        )
        neglect = None if found is None else found.neglect
        amiss = _judge(kept, valid | self.model.baselines_, self.model.name) if found is None else found.warnings()
        if baselines:
            part = "valid" if found is None else "test"
            self.folder.log_baselines([each.to_record(part) for each in baselines])
        better = _better(baselines, self.model.chief_measure, measures or valid)
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
            warnings=[*map(str, amiss), *better],
            baselines=list(baselines),
            reliability=kept.get("reliability", []) if found is None else found.to_json().get("reliability", []),
            refitted=refitted(history),
        )
        recipe = self.folder.recipe_file.read_text(encoding="utf-8")
        title = f"{self.folder.path.resolve().name} on {self.dataset.name}"
        warnings = [*course.warnings, *result.warnings]
        page = run_report(title, result.headline(), history, recipe, warnings=warnings, bins=result.reliability)
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
    unlabelled: Unlabelled | None = None,
    crew: Crew | None = None,
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
        unlabelled: texts without labels. The first steps are then those of another model, whose run folder lies in that
            of the run: of a classifier a teacher, which learns from the labelled texts and says of the others what they
            are; else a language model, which learns from all, and with whose weights the task begins.
        crew: others who find gradients with us, to the same bits; see `tidegate.scale`.

    Raises:
        InputError: the licence is empty or too long, or the task learns nothing from texts without labels.
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
        described = source.describe(dataset)
        folder.describe(data=described, licence=licence)
        if unlabelled is None:
            training = _begin(folder, dataset, model, overwrite=overwrite, crew=crew)
        else:
            _refuse_another(folder, overwrite=overwrite)
            first = plan_first_step(unlabelled, model, dataset, folder.path, _planned(folder, unlabelled))
            folder.describe(data=described, licence=licence, unlabelled=first.section)
            training = _begin_with(first, folder, dataset, model, crew)
        on_failure.pop_all()
    return training


def _begin(folder: RunFolder, dataset: Dataset, model: AnyTask, *, overwrite: bool, crew: Crew | None) -> Training:
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
        return _go_on(folder, dataset, crew)
    steps = model.fit_steps(*_xy(dataset.train), valid=_valid(dataset), run_dir=folder, crew=crew)
    return Training(dataset, folder, model, steps, told_of_beginning(folder.recipe))


def _refuse_another(folder: RunFolder, *, overwrite: bool) -> None:
    """Raise RunFolderError where a run of two steps would take the place of another one."""
    if held := folder.held():
        advice = "A run of two steps overwrites none: name another folder." if overwrite else "Name another folder."
        raise RunFolderError(f"{folder.path} already holds a run ({held[0]}). {advice} To go on with it: --resume.")


def _planned(folder: RunFolder, unlabelled: Unlabelled) -> Mapping[str, Any]:
    """Read what was planned of the very same first step, if a run was killed in it; else nothing."""
    section: Mapping[str, Any] = folder.recipe.get("unlabelled", {}) if folder.recipe_file.exists() else {}
    return section if section and read_section(section) == unlabelled.absolute() else unlabelled.planned


def _begin_with(first: FirstStep, folder: RunFolder, dataset: Dataset, model: AnyTask, crew: Crew | None) -> Training:
    """Begin with the model that comes first, or go on with it; the run itself begins as soon as that has ended."""
    first.hand_on(model)
    params = {name: value for name, value in as_stored(model.get_params()).items() if value is not None}
    folder.write_recipe(task=model.name, params=params, versions=versions())

    def steps() -> Generator[Step, None, None]:
        yield from first.steps(crew)
        yield from model.fit_steps(*first.examples(dataset), valid=_valid(dataset), run_dir=folder, crew=crew)

    return Training(dataset, folder, model, steps(), first.note)


def build_task(dataset: Dataset, params: Params, *, task: str | None = None, preset: str | None = None) -> AnyTask:
    """Build the task of a name, or else the one that fits a data set, with a preset and `params` over that.

    Where the data set has no part to measure on, a tenth of the examples is held out for that, unless told otherwise.

    Raises OptionError for a task, preset or parameter that is not known; InputError for a preset of another task, or a
    task for data of another kind.
    """
    found = tasks.for_kind(dataset.kind) if task is None else card_named(task).task()
    if found.kind != dataset.kind:
        raise InputError(
            f"a {found.name} learns from data of the kind {found.kind!r}, but {dataset.name} holds {dataset.kind!r}."
        )
    chosen = (presets.get(preset, task=found.name) if preset else {}) | dict(params)
    if preset is None:
        chosen = found.params_for(dataset.train.x) | chosen
    chosen = found.params_of(dataset.taken) | chosen
    model = found().set_params(**chosen)
    unmeasured = dataset.valid is None and (dataset.test is None or chosen.get("refit") or chosen.get("thresholds"))
    if unmeasured and "validation_fraction" not in chosen and model.get_params().get("validation_fraction") == 0:
        model.set_params(validation_fraction=_HELD_OUT)
    return model


def resume(path: str | Path, *, crew: Crew | None = None) -> Training:
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
        training = _go_on(folder, source_of(folder.recipe).load(), crew)
        on_failure.pop_all()
    return training


def _go_on(folder: RunFolder, dataset: Dataset, crew: Crew | None) -> Training:
    """Go on where a run was interrupted: in the middle, before its first state, or after its last step."""
    if folder.finished:
        note = f"The run in {folder.path} has ended already; its model is measured once more."
        return Training(dataset, folder, tasks.load(folder.path), iter(()), note)
    model, parts = tasks.from_recipe(folder.recipe), _xy(dataset.train)
    section = folder.recipe.get("unlabelled", {})
    if section:
        _check_examples(folder, dataset)
        folder.describe(data=folder.recipe["data"], licence=folder.licence, unlabelled=section)
        fresh = tasks.from_recipe(folder.recipe).set_params(**{named_by(section): None})
        first = plan_first_step(read_section(section), fresh, dataset, folder.path, section)
        if not first.folder.finished:
            return _begin_with(first, folder, dataset, fresh, crew)
        parts = first.examples(dataset)
    if folder.state.exists():
        note = f"The run in {folder.path} was interrupted, and goes on."
        steps = model.fit_steps(*parts, valid=_valid(dataset), resume=folder, crew=crew)
        return Training(dataset, folder, model, steps, note)
    _check_examples(folder, dataset)
    folder.describe(data=folder.recipe["data"], licence=folder.licence, unlabelled=section)
    note = f"The run in {folder.path} was interrupted before its first step, and begins anew."
    return Training(
        dataset, folder, model, model.fit_steps(*parts, valid=_valid(dataset), run_dir=folder, crew=crew), note
    )


def repeat(
    path: str | Path, *, out: str | Path | None = None, overwrite: bool = False, crew: Crew | None = None
) -> Training:
    """Train again what a run's recipe says, from the beginning, into another folder.

    Raises:
        RunFolderError: `path` holds no recipe, or the examples are no longer those that it was made with.
    """
    folder = RunFolder.open(path)
    source = source_of(folder.recipe)
    dataset = source.load()
    _check_examples(folder, dataset)
    check_vectors(folder)
    said = {"task": folder.recipe["task"], "params": folder.recipe["params"], "licence": folder.licence}
    if section := folder.recipe.get("unlabelled"):
        own = said["params"] | {named_by(section): None}
        said |= {"params": own, "unlabelled": read_section(section, planned=True)}
    elif "model" in (begin := folder.recipe.get("begin", {})):
        check_same_weights(begin, said["params"]["pretrained"])
    return start(source, dataset=dataset, out=out, overwrite=overwrite, crew=crew, **said)


def _check_examples(folder: RunFolder, dataset: Dataset) -> None:
    if fingerprint(dataset) != folder.recipe["data"].get("sha256"):
        told = f"the examples of {dataset.name} are not those of the run in {folder.path}: train on them afresh."
        raise RunFolderError(told)


def _xy(examples: Examples) -> tuple[Any, Any]:
    return examples.x, examples.y


def _valid(dataset: Dataset) -> tuple[Any, Any] | None:
    return None if dataset.valid is None else _xy(dataset.valid)


def _worst(name: str | None) -> dict[str, str]:
    return {} if name is None else {"worst_class": name}


def _better(baselines: Sequence[Baseline], chief: str, reached: Mapping[str, float]) -> list[str]:
    """Say which simple models are better than the network."""
    part = "the test part" if "examples" in reached else "the part held out"
    return [
        f"{each.name} reaches {show_measure(chief, each.value)} on {part}, the network "
        f"{show_measure(chief, reached[chief])}: take the simple model, or train longer, on more data or otherwise."
        for each in baselines
        if each.value is not None and chief in reached and _is_better(chief, each.value, reached[chief])
    ]


def _is_better(measure: str, one: float, other: float) -> bool:
    return one < other if is_less_better(measure) else one > other


def _judge(kept: Record, measures: Mapping[str, float], task: str) -> list[HealthWarning]:
    """Say what is amiss with a model of which only the part held out in training is known."""
    if not measures:
        return []
    return CARDS[task].scores().judge(kept, measures, "the part held out")
