"""The memory lab: what is tried, what is left behind, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tidegate import runs
from tidegate.errors import InputError, OptionError, RunFolderError
from tidegate.lab import LabSetup

SMALL = LabSetup(hidden_size=8, batch_size=12, updates=60, check_every=20)


def test_a_lab_tries_every_cell_at_every_length_and_lists_them_cell_by_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    visit = runs.lab("first-token", cells=["lstm", "gru"], lengths=[4, 2], settings=vars(SMALL))
    assert (visit.setup, visit.count) == (SMALL, 4)
    trials = list(visit.trials())
    assert [(trial.length, trial.cell) for trial in trials] == [(2, "lstm"), (2, "gru"), (4, "lstm"), (4, "gru")]
    ranked = [(outcome.cell, outcome.length) for outcome in visit.ranked(trials)]
    assert ranked == [("lstm", 2), ("lstm", 4), ("gru", 2), ("gru", 4)]
    assert visit.folder == Path("runs/lab-first-token")


def test_a_lab_leaves_results_pictures_and_a_page(tmp_path: Path) -> None:
    visit = runs.lab("first-token", cells=["rnn", "bilstm"], lengths=[3], settings=vars(SMALL), out=tmp_path / "lab")
    trials = list(visit.trials())
    for trial in trials:
        for _ in trial.steps():
            pass
    visit.write(trials)
    results = json.loads(visit.results.read_text(encoding="utf-8"))
    assert (results["task"], results["measure"]) == ("first-token", "cross-entropy, nats")
    assert results["setup"] == vars(SMALL)
    for found, trial in zip(results["outcomes"], trials, strict=True):
        outcome = trial.outcome()
        assert (found["cell"], found["length"], found["level"]) == (trial.cell, 3, outcome.level)
        assert found["curve"] == [vars(check) for check in outcome.curve]
        assert f"{outcome.level:.4g}" in visit.report.read_text(encoding="utf-8")
    for name in ("curves.png", "success.png", "gradient-flow.png"):
        assert (tmp_path / "lab" / name).read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(RunFolderError, match=r"already holds results\.json\. Overwrite it, or name another folder"):
        runs.lab("first-token", out=tmp_path / "lab")
    assert runs.lab("first-token", out=tmp_path / "lab", overwrite=True).folder == tmp_path / "lab"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"task": "adding up"}, OptionError, r"unknown task 'adding up'\. Did you mean 'adding'\?"),
        (
            {"cells": ["lstm", "lstn"]},
            OptionError,
            r"unknown cell 'lstn'\. Did you mean 'lstm'\? Known: bigru, .* rnn\.",
        ),
        ({"cells": []}, InputError, "wanted cells to try, each once, but got none"),
        ({"cells": ["gru", "gru"]}, InputError, "wanted cells to try, each once, but got gru, gru"),
        ({"lengths": []}, InputError, "wanted lengths to try, each once, but got none"),
        ({"lengths": [5, 0]}, InputError, "'adding' of 0 steps cannot be made: it needs at least 2"),
        ({"task": "temporal-order", "lengths": [9]}, InputError, "it needs at least 10"),
        ({"settings": {"updates": 0}}, InputError, "updates=0, but a whole number above 0 was wanted"),
        ({"settings": {"batch_size": 2.5}}, InputError, "batch_size=2.5, but a whole number above 0 was wanted"),
        ({"settings": {"learning_rate": float("nan")}}, InputError, "learning_rate=nan, but a number above 0"),
        ({"settings": {"seed": -1}}, InputError, "seed=-1, but a whole number from 0 was wanted"),
        ({"settings": {"updatse": 3}}, OptionError, "unknown setting 'updatse'. Did you mean 'updates'"),
    ],
)
def test_what_cannot_be_tried_is_refused_before_anything_is_trained(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        runs.lab(**options)


def test_a_seed_of_zero_is_a_seed() -> None:
    assert runs.lab(settings={"seed": 0, "learning_rate": 1}).setup == LabSetup(learning_rate=1)


def test_a_lab_where_nothing_was_checked_leaves_the_results_alone(tmp_path: Path) -> None:
    settings = vars(SMALL) | {"learning_rate": 1e38}
    visit = runs.lab("adding", cells=["rnn"], lengths=[5], settings=settings, out=tmp_path)
    (trial,) = visit.trials()
    for _ in trial.steps():
        pass
    visit.write([trial])
    assert json.loads(visit.results.read_text(encoding="utf-8"))["outcomes"][0]["level"] is None
    assert [file.name for file in tmp_path.iterdir()] == ["results.json"]
