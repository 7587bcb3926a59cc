"""Any number of workers leaves the model file and the steps of one process; whoever is lost or late is named."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

import tidegate as tg
from samples import SAMPLES, untrained
from tidegate import runs, scale
from tidegate.errors import InputError, WorkerError
from tidegate.scale import Here, Workers, crew
from tidegate.train import Step

CHANGES: dict[str, dict[str, Any]] = {  # so that all is dropped that can be, and steps are few
    "text-classifier": {"refit": True, "validation_fraction": 0.25},
    "token-tagger": {"characters": True},
    "forecaster": {"batch_size": 256, "epochs": 1},
}


def trained(name: str, folder: Path, workers: Workers | None) -> tuple[bytes, list[dict[str, Any]]]:
    """Train the small task of a name; return its file, and what each step said, but for the time."""
    X, y = SAMPLES[name].data(40)
    model = untrained(name, **CHANGES.get(name, {}))
    steps = [told(step) for step in model.fit_steps(X, y, crew=workers)]
    model.save(folder / "model.safetensors")
    return (folder / "model.safetensors").read_bytes(), steps


def told(step: Step) -> dict[str, Any]:
    return {name: value for name, value in asdict(step).items() if name != "seconds"}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[bytes, list[dict[str, Any]]]]:
    return {name: trained(name, tmp_path_factory.mktemp("alone"), None) for name in SAMPLES}


@pytest.mark.parametrize("count", [1, 2, 3, 4, 8])
def test_workers_leave_the_model_and_the_steps_of_one_process(alone: Any, count: int, tmp_path: Path) -> None:
    with Workers(count) as workers:
        for name in SAMPLES:
            assert trained(name, tmp_path, workers) == alone[name], name


def waves(**changes: Any) -> tuple[Any, Any, Any]:
    """Give a small classifier whose training is short, and what it learns from."""
    return untrained("sequence-classifier", **changes), *SAMPLES["sequence-classifier"].data(40)


@pytest.fixture(scope="module")
def undisturbed() -> dict[str, Any]:
    model, X, y = waves()
    weights: dict[str, Any] = model.fit(X, y).weights_
    return weights


def same(weights: dict[str, Any], others: dict[str, Any]) -> bool:
    return all(weights[name].tobytes() == others[name].tobytes() for name in {*weights, *others})


def pids(workers: Workers) -> list[int]:
    return [process.pid for process in workers._place._processes.values()]  # type: ignore[attr-defined]


def test_a_run_goes_on_with_another_number_of_workers(undisturbed: dict[str, Any], tmp_path: Path) -> None:
    model, X, y = waves()
    with Workers(2) as two:
        steps = model.fit_steps(X, y, run_dir=tmp_path / "run", crew=two)
        for _, _ in zip(range(7), steps, strict=False):
            pass
        steps.close()
    with Workers(3) as three:
        last = [step.step for step in model.fit_steps(X, y, resume=tmp_path / "run", crew=three)]
    assert last[0] == 8
    assert same(tg.load(tmp_path / "run").weights_, undisturbed)


def test_a_run_on_a_data_set_stops_goes_on_and_ends_as_one_process_ends_it(tmp_path: Path) -> None:
    texts, labels = SAMPLES["text-classifier"].data(40)
    data = tmp_path / "texts.csv"
    lines = (f"{text},{label}" for text, label in zip(texts, labels, strict=True))
    data.write_text("\n".join(["text,label", *lines]) + "\n", encoding="utf-8")
    params = SAMPLES["text-classifier"].params
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tidegate.runs.training.run_report", lambda *_, **__: "")
        alone = runs.start(runs.Source(str(data)), out=tmp_path / "alone", params=params)
        wanted = [told(step) for step in alone.steps]
        alone.finish()
        steps = scale.train(str(data), workers=2, out=tmp_path / "run", params=params)
        found = [told(next(steps)) for _ in range(2)]
        steps.close()
        found += [told(step) for step in scale.train(str(data), workers=3, out=tmp_path / "run", resume=True)]
    assert found == wanted
    models = [(tmp_path / folder / "model.safetensors").read_bytes() for folder in ("alone", "run")]
    assert models[0] == models[1]


def test_a_worker_that_is_killed_costs_no_update_and_no_bit(undisturbed: dict[str, Any]) -> None:
    model, X, y = waves()
    with Workers(3) as workers:
        steps = model.fit_steps(X, y, crew=workers)
        next(steps)
        os.kill(pids(workers)[1], signal.SIGKILL)
        with pytest.warns(UserWarning, match=f"worker 2 .* on {socket.gethostname()}.* was lost; another one"):
            rest = list(steps)
    assert [step.step for step in rest] == list(range(2, 16))
    assert workers.lost == 1
    assert same(model.weights_, undisturbed)


def test_one_who_is_lost_again_and_again_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    model, X, y = waves()
    with Workers(2) as workers:
        met = Workers._meet

        def meet(self: Workers) -> Any:
            team = met(self)
            os.kill(pids(self)[0], signal.SIGKILL)
            return team

        monkeypatch.setattr(Workers, "_meet", meet)
        lost = pytest.raises(WorkerError, match=r"worker 1 .* was lost, after 3 others in the same update")
        with pytest.warns(UserWarning, match="takes its place"), lost:
            list(model.fit_steps(X, y, crew=workers))


@pytest.fixture
def stopped() -> Iterator[list[int]]:
    """Collect processes that are stopped, and end them."""
    found: list[int] = []
    yield found
    for process in found:
        os.kill(process, signal.SIGKILL)


def test_one_who_is_late_is_named_and_the_run_goes_on(
    undisturbed: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stopped: list[int]
) -> None:
    monkeypatch.setattr("tidegate.scale.places._ENDING", 0.1)
    model, X, y = waves()
    with Workers(3, timeout=4.0) as workers:
        steps = model.fit_steps(X, y, run_dir=tmp_path / "run", crew=workers)
        next(steps)
        late = pids(workers)[1]
        os.kill(late, signal.SIGSTOP)
        told = rf"worker 2 \(process {late} on {socket.gethostname()}\) was waited for longer than 4 s"
        with pytest.raises(WorkerError, match=told):
            list(steps)
    steps = model.fit_steps(X, y, resume=tmp_path / "run")
    assert next(steps).step == 2
    list(steps)
    assert same(tg.load(tmp_path / "run").weights_, undisturbed)


def test_weights_that_differ_end_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    model, X, y = waves()
    monkeypatch.setattr(crew, "digest", lambda array: b"others")
    with Workers(2) as workers, pytest.raises(WorkerError, match=r"worker 1 .* has other weights after 0 updates"):
        list(model.fit_steps(X, y, crew=workers))


def test_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model, X, y = waves()
    monkeypatch.setattr(crew, "__version__", "9.9")
    with Workers(2) as workers, pytest.raises(WorkerError, match=r"worker 1 .* has Tidegate 0.* worker 0 has 9\.9"):
        list(model.fit_steps(X, y, crew=workers))


def test_a_worker_that_does_not_begin_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    model, X, y = waves()
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with Workers(2) as workers, pytest.raises(WorkerError, match=r"worker 1 .* ended as it began, with exit code 1"):
        list(model.fit_steps(X, y, crew=workers))


def test_a_worker_that_is_killed_as_it_begins_is_replaced(
    undisturbed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, X, y = waves()
    start, killed = Here.start, list[int]()

    def start_and_kill(self: Here, *args: Any) -> None:
        start(self, *args)
        if not killed:
            killed.append(self._processes[args[0]].pid)
            os.kill(killed[0], signal.SIGKILL)

    monkeypatch.setattr(Here, "start", start_and_kill)
    with Workers(2) as workers, pytest.warns(UserWarning, match="worker 1 was lost"):
        list(model.fit_steps(X, y, crew=workers))
    assert len(killed) == 1
    assert same(model.weights_, undisturbed)


def test_a_worker_that_is_killed_once_it_has_come_is_replaced(
    undisturbed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, X, y = waves()
    greet, killed = Workers._greet, list[int]()

    def greet_and_kill(self: Workers, hellos: Any) -> None:
        greet(self, hellos)
        if not killed:
            victim = self._place._processes[2]  # type: ignore[attr-defined]
            killed.append(victim.pid)
            victim.kill()
            victim.wait()

    monkeypatch.setattr(Workers, "_greet", greet_and_kill)
    with Workers(3) as workers, pytest.warns(UserWarning, match=r"worker 2 \(process .*was lost"):
        list(model.fit_steps(X, y, crew=workers))
    assert len(killed) == 1
    assert same(model.weights_, undisturbed)


def test_whatever_goes_wrong_while_workers_come_sends_them_home(
    undisturbed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, X, y = waves()
    come = list[int]()

    def fail(self: Workers, hellos: Any) -> None:
        come.extend(pids(self))
        raise RuntimeError("nobody thought of it")

    with Workers(3) as workers:
        with monkeypatch.context() as patch:
            patch.setattr(Workers, "_greet", fail)
            with pytest.raises(RuntimeError, match="nobody thought of it"):
                list(model.fit_steps(X, y, crew=workers))
        assert len(come) == 2
        for process in come:
            with pytest.raises(ProcessLookupError):
                os.kill(process, 0)
        list(model.fit_steps(X, y, crew=workers))
    assert same(model.weights_, undisturbed)


def test_what_cannot_be_trained_is_told_as_without_workers() -> None:
    model, X, y = waves(learning_rate=1e38, max_grad_norm=0)
    with pytest.raises(tg.errors.TrainingError) as alone:
        model.fit(X, y)
    with Workers(2) as workers, pytest.raises(tg.errors.TrainingError) as together:
        list(model.fit_steps(X, y, crew=workers))
    assert str(together.value) == str(alone.value)


def test_nobody_is_left_behind() -> None:
    model, X, y = waves(epochs=1)
    workers = Workers(3)
    list(model.fit_steps(X, y, crew=workers))
    left = pids(workers)
    workers.close()
    assert len(left) == 2
    for process in left:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


@pytest.mark.parametrize(("count", "timeout", "told"), [(0, 1, "from 1 to 16"), (17, 1, "at most 16"), (2, 0, "more")])
def test_numbers_that_cannot_be_are_refused(count: int, timeout: float, told: str) -> None:
    with pytest.raises(InputError, match=told):
        Workers(count, timeout=timeout)
