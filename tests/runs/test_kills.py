"""A training may be killed, or fail, at any operation on a file: what lies there is whole, of one run, and goes on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCENARIOS = ("first", "overwrite", "overwrite-interrupted", "resume-interrupted", "resume-done")


def faults(folder: Path, how: str, scenario: str, amount: int) -> dict[str, int]:
    """Run `kills.py` and return what it counted, but for what is as it should be; at least one trial was made."""
    command = [sys.executable, str(Path(__file__).parents[1] / "kills.py"), str(folder), how, scenario, str(amount)]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr[-2000:]
    tally: dict[str, int] = json.loads(told.stdout)
    assert tally.pop("trials" if how != "random" else "kills") > 0
    return {name: number for name, number in tally.items() if name not in ("operations", "runs")}


@pytest.mark.parametrize("scenario", ["first", "overwrite"])
def test_some_kills_leave_a_whole_run_that_goes_on(tmp_path: Path, scenario: str) -> None:
    assert faults(tmp_path, "kill", scenario, 11) == {}


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_kill_at_any_operation_leaves_a_whole_run_that_goes_on(tmp_path: Path, scenario: str) -> None:
    assert faults(tmp_path, "kill", scenario, 1) == {}


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_an_operation_that_fails_is_told_and_the_run_goes_on(tmp_path: Path, scenario: str) -> None:
    assert faults(tmp_path, "fail", scenario, 1) == {}


@pytest.mark.slow
@pytest.mark.parametrize("scenario", ["first", "overwrite"])
def test_random_kills_lead_to_the_same_model(tmp_path: Path, scenario: str) -> None:
    assert faults(tmp_path, "random", scenario, 200) == {}
