"""What workers are and bring is measured by the links that train, and told in the units that it says."""

from __future__ import annotations

import json
import os
import socket
import time
from typing import Any

import numpy as np
import pytest

from commands import Cli
from tidegate import kernels
from tidegate.engine import Lost
from tidegate.errors import WorkerError
from tidegate.scale import Workers, survey
from tidegate.scale.machine import interface_of
from tidegate.train import State
from tidegate.train.work import Asked


@pytest.mark.parametrize(
    ("workers", "exchange", "wanted"),
    [(2, 0.0, 100 / 60), (2, 0.04, 1.0), (4, 0.0, 2.5), (4, 0.01, 100 / 60), (8, 0.01, 100 / 60), (16, 0.0, 4.0)],
)
def test_several_are_as_fast_as_what_each_repeats_its_part_and_the_exchanges(
    workers: int, exchange: float, wanted: float
) -> None:
    assert survey.speed_up(0.1, 0.02, workers, exchange) == pytest.approx(wanted)


@pytest.mark.parametrize(("workers", "wanted"), [(2, 0.04), (4, 0.03), (16, 0.01875)])
def test_an_exchange_of_the_break_even_leaves_several_as_fast_as_one(workers: int, wanted: float) -> None:
    assert survey.break_even(0.1, 0.02, workers) == pytest.approx(wanted)
    assert survey.speed_up(0.1, 0.02, workers, wanted) == pytest.approx(1)


def test_workers_are_asked_what_they_are_and_trade_in_pairs() -> None:
    with Workers(3) as crew:
        found = survey.survey(crew)
        assert len(crew.trade(1, 2, 10, 4)) == 4
    assert [machine["worker"] for machine in found.machines] == [0, 1, 2]
    assert len({machine["process"] for machine in found.machines}) == 3
    assert found.machines[0]["process"] == os.getpid()
    assert {machine["host"] for machine in found.machines} == {socket.gethostname()}
    assert {machine["isa"] for machine in found.machines} == {kernels.active_isa()}
    assert [way.workers for way in found.ways] == [(0, 1), (0, 2)]
    words = len(np.unique(survey.texts().values))
    layer, dense = 2 * 4 * 32 * (32 + 32 + 2), 64 * 2 + 2
    assert found.sent == 4 * (32 * words + layer + dense)


def test_what_lies_between_is_told_in_seconds_and_bytes_a_second() -> None:
    class Slow(Workers):
        def gradient(self, state: State, asked: Asked, **options: Any) -> Lost:
            time.sleep(0.2)
            return state.program.gradient(asked.batch, asked.loss, seed=0, step=state.step)

        def apply(self, state: State, rate: float, scale: float) -> None:
            return

        def describe(self) -> list[dict[str, Any]]:
            return [{"host": "here"}, {"host": "there"}]

        def trade(self, one: int, other: int, numbers: int, rounds: int) -> list[float]:
            return {0: [0.001, 0.002, 0.009], 1_000_000: [0.5, 0.4, 0.1]}.get(numbers, [0.03, 0.05, 0.01])

    found = survey.survey(Slow(2))
    assert found.ways == (survey.Way((0, 1), latency=0.002, bandwidth=10e6, exchange=0.03),)
    assert found.exchange == 0.03
    assert found.machines == ({"worker": 0, "host": "here"}, {"worker": 1, "host": "there"})
    assert found.together > 0.2
    assert found.expected()[4] == pytest.approx(
        found.alone / (found.repeated + (found.alone - found.repeated) / 4 + 2 * 0.03)
    )


def test_a_worker_that_is_lost_while_it_is_asked_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with Workers(2) as crew:
        crew.describe()
        for process in crew._place._processes.values():  # type: ignore[attr-defined]
            process.kill()
            process.wait()
        with pytest.raises(WorkerError, match=rf"worker 1 \(process .* on {socket.gethostname()}\) is lost"):
            crew.trade(0, 1, 10, 1)


def test_an_interface_is_found_by_its_address() -> None:
    assert interface_of("192.0.2.123") == ""
    assert interface_of("") == ""


def test_the_doctor_says_it(cli: Cli) -> None:
    answer = cli("doctor", "--workers", 2, "--json")
    found = json.loads(answer.out)
    assert [way["workers"] for way in found["ways"]] == [[0, 1]]
    assert set(found["expected"]) == {"2", "4", "8", "16"}
    assert found["expected"]["2"] == pytest.approx(
        survey.speed_up(found["alone"], found["repeated"], 2, found["ways"][0]["exchange"])
    )
    told = cli("doctor", "--workers", 1)
    assert told.out.split()[:2] == ["worker", "0"]
    assert "1 workers are 1.00 times as fast as one" in told.out
