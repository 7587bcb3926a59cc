"""What workers are and bring is measured by the links that train, and told in the units that it says."""

from __future__ import annotations

import json
import os
import socket
import time

import numpy as np
import pytest

from commands import Cli
from tidegate import kernels
from tidegate.errors import WorkerError
from tidegate.scale import Workers, survey
from tidegate.scale.machine import interface_of
from tidegate.scale.team import Team


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


def test_workers_are_asked_what_they_are_and_timed_in_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    trade = Team.trade

    def slow_trade(self: Team, other: int, numbers: int, rounds: int) -> list[float]:
        if numbers == 0:
            time.sleep(0.01)  # of which nobody's seconds are but the first, which are not told
        return trade(self, other, numbers, rounds)

    monkeypatch.setattr(Team, "trade", slow_trade)
    with Workers(3) as crew:
        found = survey.survey(crew)
        assert len(crew.trade(1, 2, 10, 4)) == 4
    assert [machine["worker"] for machine in found.machines] == [0, 1, 2]
    assert len({machine["process"] for machine in found.machines}) == 3
    assert found.machines[0]["process"] == os.getpid()
    assert {machine["host"] for machine in found.machines} == {socket.gethostname()}
    assert {machine["isa"] for machine in found.machines} == {kernels.active_isa()}
    assert [way.workers for way in found.ways] == [(0, 1), (0, 2)]
    assert all(0 < way.latency < way.exchange for way in found.ways)
    words = len(np.unique(survey.reference()[1].batch.values))
    layer, dense = 2 * 4 * 32 * (32 + 32 + 2), 64 * 2 + 2
    assert found.sent == 4 * (32 * words + layer + dense)
    assert 0 < found.repeated < found.alone


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
