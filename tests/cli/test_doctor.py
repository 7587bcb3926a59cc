"""`tidegate data`, `doctor` and `demo`, called as `main(argv)`: what is here, and what is done where it is not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from commands import Cli
from tidegate import data, kernels
from tidegate.errors import DownloadError


@pytest.fixture
def no_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Leave no data set on this machine but the one that a package brings along."""
    monkeypatch.setenv("TIDEGATE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("TIDEGATE_CACHE", str(tmp_path / "cache"))
    return tmp_path


def test_data_lists_names_and_where_they_are(cli: Cli, no_data: Path) -> None:
    rows = {row["name"]: row for row in json.loads(cli("data", "list", "--json").out)}
    assert list(rows) == data.names()
    assert rows["wnut17"]["citation"].startswith("Leon Derczynski")
    assert rows["imdb"]["path"] is None
    assert cli("data", "path", "digits").out == rows["digits"]["path"] + "\n"
    assert cli("data", "get", "digits").out == rows["digits"]["path"] + "\n"
    table = cli("data", "list").out.splitlines()
    assert table[0].split() == ["name", "kind", "licence", "path"]
    assert table[2].endswith("not here yet")


def test_data_that_is_not_here_has_no_path(cli: Cli, no_data: Path) -> None:
    answer = cli("data", "path", "imdb")
    assert (answer.code, answer.out) == (1, "")
    assert "tidegate data get imdb" in answer.err


def test_doctor_says_what_runs(cli: Cli, no_data: Path) -> None:
    found = json.loads(cli("doctor", "--json").out)
    assert found["kernels"]["isa"] == kernels.active_isa()
    assert found["kernels"]["available"] == list(kernels.available_isas())
    assert found["packages"]["numpy"] == np.__version__
    assert found["data"]["cache"] == str(no_data / "cache")
    assert f"isa             {kernels.active_isa()}" in cli("doctor").out


def test_doctor_speaks_where_the_kernels_do_not_load(no_data: Path) -> None:
    environment = {**os.environ, "TIDEGATE_ISA": "abacus"}
    line = [sys.executable, "-m", "tidegate", "doctor", "--json"]
    done = subprocess.run(line, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "abacus" in json.loads(done.stdout)["kernels"]["error"]


def test_demo_falls_back_to_digits_and_says_so(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(name: str) -> Path:
        raise DownloadError(f"{name} could not be fetched")

    monkeypatch.setattr("tidegate.data.loading.get", offline)
    answer = cli("demo", "--out", tmp_path / "run")
    assert answer.code == 0
    assert "imdb could not be fetched" in answer.err
    accuracy = {line.split("  ")[0]: float(line.split()[-2].rstrip("%")) for line in answer.out.splitlines()[1:4]}
    assert list(accuracy) == ["BiLSTM", "majority class", "logistic regression on flattened values"]
    assert accuracy["majority class"] == pytest.approx(10.14)
    assert accuracy["BiLSTM"] > accuracy["majority class"]
    assert answer.out.count("-> ") == 3
    assert f"tidegate evaluate {tmp_path / 'run'} digits" in answer.err
