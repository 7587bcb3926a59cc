"""A search: trials are drawn one after the other, trained by several processes, and kept in a journal.

One process draws, notes and judges; Optuna says what to try next and what to end early. What is drawn depends on the
seed and on the trials that have ended by then alone, so that a search that goes on draws as one that never stopped;
with several processes it also hangs on which trial ends first. A trial by itself is a run like any other.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, closing
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

import tidegate.runs as runs
from tidegate.durable import atomic_write
from tidegate.errors import InputError, MissingPackageError, RunFolderError, TrainingError, WorkerError
from tidegate.kernels.threads import get_num_threads
from tidegate.lock import LockedFolder
from tidegate.runs.training import build_task
from tidegate.scale.cluster import Cluster
from tidegate.search.report import search_report
from tidegate.search.space import Space
from tidegate.search.trials import Lost, Setting, Trainer, Tried, begin_here, begin_there
from tidegate.tasks.cards import CARDS
from tidegate.tasks.measures import is_less_better

if TYPE_CHECKING:
    from optuna import Study, Trial

_JOURNAL, _ABOUT = "journal.log", "search.json"
_LOSSES = 3  # of processes, at one trial
_HELD_OUT = 0.1  # of the examples, where there is nothing else to measure on


class Search:
    """Hold a search under way; made by `open_search`.

    >>> search = open_search(runs.Source("digits"), space, out="runs/search")  # doctest: +SKIP
    >>> for tried in search.run(trials=20, workers=2):  # doctest: +SKIP
    ...     print(tried.params, tried.value)
    >>> search.write()  # doctest: +SKIP
    """

    def __init__(self, study: Study, space: Space, setting: Setting, hold: LockedFolder, seed: int) -> None:
        self.study, self.space, self.setting, self.seed = study, space, setting, seed
        self._hold, self._drawing, self._stopped = hold, threading.Lock(), False
        self._trainers, self._idle, self._taking = set[Trainer](), list[Trainer](), threading.Lock()

    @property
    def folder(self) -> Path:
        """Where everything is written; nobody else can until `close`."""
        return self._hold.path

    @property
    def page(self) -> Path:
        """The page with the table and the pictures."""
        return self.folder / "search.html"

    @property
    def less_is_better(self) -> bool:
        """Tell which way the measure goes."""
        return is_less_better(self.setting.measure)

    @property
    def tried(self) -> list[Tried]:
        """What all trials came to that have ended, in the order in which they were drawn."""
        found = []
        for trial in self.study.get_trials(deepcopy=False):
            why = trial.user_attrs.get("why")
            if trial.state.name in ("COMPLETE", "PRUNED") or why:
                values = dict(trial.intermediate_values)
                best = self._best_of(values)
                found.append(Tried(trial.number, dict(trial.params), best, trial.state.name.lower(), values, why))
        return found

    @property
    def best(self) -> Tried | None:
        """The best trial that was trained to its end; None where there is none."""
        sign = 1 if self.less_is_better else -1
        complete = [one for one in self.tried if one.ended == "complete"]
        return min(complete, key=lambda one: sign * (one.value or 0.0), default=None)

    def folder_of(self, number: int) -> Path:
        """Name the run folder of a trial, whose recipe trains it again."""
        return self.folder / "trials" / str(number)

    def run(self, *, trials: int, workers: int = 1, cluster: Cluster | None = None) -> Generator[Tried, None, None]:
        """Train until so many trials have ended, those of earlier calls among them, yielding each.

        A trial whose loss is not finite counts as one that failed.

        Args:
            trials: how many.
            workers: processes that train at the same time; they share the cores.
            cluster: take the cores of its machines, which must find data and folder under the same paths.

        Raises:
            TidegateError: a trial cannot be trained at all, such as with a parameter that the task does not have.
            WorkerError: the process of one trial was killed again and again.
        """
        if trials < 1 or workers < 1:
            raise InputError(f"{trials} trials by {workers} workers: wanted 1 or more of each.")
        self._stopped = False
        begin, left = self._beginning(workers, cluster), trials - len(self.tried)
        with ThreadPoolExecutor(workers) as pool:
            under_way = set[Future[Tried]]()
            try:
                while left > 0 or under_way:
                    while left > 0 and len(under_way) < workers:
                        under_way.add(pool.submit(self._try, begin))
                        left -= 1
                    ended, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                    for one in ended:
                        yield one.result()
            finally:
                self._stop()

    def _beginning(self, workers: int, cluster: Cluster | None) -> Callable[[], Trainer]:
        """Say how one of so many processes is begun."""
        if cluster is None:
            return partial(begin_here, self.setting, max(1, get_num_threads() // workers))
        options: dict[str, Any] = {"within": self.folder, "goes_on": lambda: not self._stopped}
        return partial(begin_there, cluster, self.setting, cluster.share(workers), **options)

    def _stop(self) -> None:
        """End all processes; nobody begins another one."""
        with self._taking:
            self._stopped = True
            for trainer in self._trainers:
                trainer.close()
            self._trainers.clear()
            self._idle.clear()

    def write(self) -> None:
        """Write `results.json` and the page about all trials so far."""
        tried, best = self.tried, self.best
        told = {
            "measure": self.setting.measure,
            "best": best and asdict(best),
            "trials": [asdict(one) for one in tried],
        }
        atomic_write(self.folder / "results.json", json.dumps(told, indent=2).encode())
        title = f"{len(tried)} trials on {Path(self.setting.source.name).name}"
        page = search_report(title, self.setting.measure, tried, best, self._importances())
        atomic_write(self.page, page.encode(errors="backslashreplace"))

    def close(self) -> None:
        """Let others in."""
        self._hold.release()

    def _importances(self) -> dict[str, float]:
        """Say how much of the differences between good trials and others hangs on each parameter (Watanabe 2023)."""
        from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

        if len({one.value for one in self.tried if one.ended == "complete"}) < 2:
            return {}
        try:
            return dict(get_param_importances(self.study, evaluator=PedAnovaImportanceEvaluator()))
        except (RuntimeError, ValueError):  # where trials are too few, or all alike
            return {}

    def _try(self, begin: Callable[[], Trainer]) -> Tried:
        """Draw a trial and train it to its end, or until it is not worth going on; again where its process is lost."""
        trial, params = self._draw()
        for loss in range(_LOSSES + 1):
            try:
                return self._train(trial, params, begin)
            except Lost:
                if self._stopped or loss == _LOSSES:
                    break
        told = f"the process of trial {trial.number} was killed {_LOSSES + 1} times, with {params}."
        raise WorkerError(f"{told} The memory may not be enough: take fewer workers.")

    def _draw(self) -> tuple[Trial, dict[str, Any]]:
        from optuna.samplers import TPESampler

        with self._drawing:
            alive = [one for one in self.study.get_trials(deepcopy=False) if one.state.name != "FAIL"]
            failed = sum(one.ended == "fail" for one in self.tried)
            own = int(np.random.SeedSequence([self.seed, len(alive) + failed]).generate_state(1)[0])
            self.study.sampler = TPESampler(seed=own)
            trial = self.study.ask()
            return trial, self.space.choose(trial)

    def _train(self, trial: Trial, params: Mapping[str, Any], begin: Callable[[], Trainer]) -> Tried:
        values, ended, why = dict[int, float](), "COMPLETE", None
        trainer = self._take(begin)
        try:
            with closing(trainer.train(params, self.folder_of(trial.number))) as epochs:
                for epoch, value in enumerate(epochs, 1):
                    values[epoch] = value
                    if self._is_poor(trial, epoch, value):
                        ended = "PRUNED"
                        break
        except TrainingError as error:
            ended, why = "FAIL", str(error)
        self._give_back(trainer)
        self._tell(trial, self._best_of(values), ended, why)
        return Tried(trial.number, dict(trial.params), self._best_of(values), ended.lower(), values, why)

    def _take(self, begin: Callable[[], Trainer]) -> Trainer:
        """Take a process that has nothing to do, or begin one; raises Lost where all were ended."""
        with self._taking:
            if self._stopped:
                raise Lost
            if self._idle:
                return self._idle.pop()
        trainer = begin()
        with self._taking:
            self._trainers.add(trainer)
        if self._stopped:  # meanwhile
            trainer.close()
            raise Lost
        return trainer

    def _give_back(self, trainer: Trainer) -> None:
        with self._taking:
            if not self._stopped:
                self._idle.append(trainer)

    def _is_poor(self, trial: Trial, epoch: int, value: float) -> bool:
        """Note what an epoch reached, and say whether the trial is to end there."""
        with self._drawing:
            if epoch not in self.study.get_trials(deepcopy=False)[trial.number].intermediate_values:
                trial.report(value, epoch)
            return bool(trial.should_prune())

    def _tell(self, trial: Trial, value: float | None, ended: str, why: str | None) -> None:
        from optuna.trial import TrialState

        with self._drawing:
            if why is not None:
                trial.set_user_attr("why", why)
            self.study.tell(trial, value if ended == "COMPLETE" else None, state=TrialState[ended])

    def _best_of(self, values: Mapping[int, float]) -> float | None:
        return (min if self.less_is_better else max)(values.values(), default=None)


def open_search(
    source: runs.Source,
    space: Space,
    *,
    out: str | Path,
    task: str | None = None,
    preset: str | None = None,
    measure: str | None = None,
    prune: bool = True,
    seed: int = 0,
) -> Search:
    """Begin a search, or go on with the same one that was ended, or killed, in its folder.

    Args:
        source: where the examples come from.
        space: what may be chosen.
        out: the folder: a journal, a run folder for each trial, and the page.
        task: what to learn, as for `runs.start`.
        preset: a set-up to start from.
        measure: what is to be best on the part held out; by default what tells how good such a model is.
        prune: end trials early that are worse after some epochs than two thirds of the others, by successive halving
            (Li et al. 2020); with several processes it hangs on their speed which those are.
        seed: what is drawn follows from it.

    Raises:
        MissingPackageError: Optuna is not installed.
        InputError, DataError: the parameters, the measure or the data cannot be used.
        RunFolderError: `out` holds another search, or another process writes there.
    """
    try:
        import optuna
        from optuna.storages.journal import JournalFileBackend
    except ImportError:
        raise MissingPackageError.of("optuna", "search", "a search for parameters") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with ExitStack() as on_failure:
        hold = LockedFolder(out)
        on_failure.callback(hold.release)
        hold.lock()
        dataset = source.load()
        model = build_task(dataset, space.fixed, task=task, preset=preset)
        if dataset.valid is None and model.get_params().get("validation_fraction") == 0:
            space = Space(space.chosen, dict(space.fixed) | {"validation_fraction": _HELD_OUT})
        setting = Setting(source, task, preset, measure or CARDS[model.name].chief)
        direction: Literal["minimize", "maximize"] = "minimize" if is_less_better(setting.measure) else "maximize"
        about = {"space": space.to_json(), "data": source.describe(dataset), "seed": seed, "prune": prune}
        _note(hold.path, about | {"task": model.name, "preset": preset, "measure": setting.measure})
        (hold.path / f"{_JOURNAL}.lock").unlink(missing_ok=True)  # of a process that was killed: the folder is ours
        study = optuna.create_study(
            study_name="search",
            storage=optuna.storages.JournalStorage(JournalFileBackend(str(hold.path / _JOURNAL))),
            direction=direction,
            pruner=optuna.pruners.SuccessiveHalvingPruner(reduction_factor=3) if prune else optuna.pruners.NopPruner(),
            load_if_exists=True,
        )
        for trial in study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.RUNNING]):
            study.tell(trial.number, state=optuna.trial.TrialState.FAIL)  # its process is gone; it is drawn again
        on_failure.pop_all()
    return Search(study, space, setting, hold, seed)


def _note(folder: Path, about: Mapping[str, Any]) -> None:
    """Write down what is searched for; raises RunFolderError where that is something else by now."""
    file, told = folder / _ABOUT, json.loads(json.dumps(about))
    if not file.exists():
        atomic_write(file, json.dumps(told, indent=2).encode())
        return
    found = json.loads(file.read_bytes())
    for name in told:
        if found.get(name) != told[name]:
            raise RunFolderError(f"{folder} holds another search, and its {name} differs. Name another folder.")
