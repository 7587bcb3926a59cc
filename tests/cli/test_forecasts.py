"""Forecasts at the command line: from a table of series to a run, its measures, a table of forecasts, a picture."""

from __future__ import annotations

import json
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

import tidegate as tg
from tidegate.cli import main

SMALL = ("--lookback", "24", "--horizon", "4", "--hidden-size", "4", "--epochs", "1", "--set", "quantiles=[0.1, 0.9]")


def write_series(path: Path, *, rows: int = 160, extra: str = "") -> Path:
    """Write two series of hours in long form."""
    hours = np.datetime64("2020-01-01T00") + np.arange(rows)
    lines = [
        f"{name},{str(hour).replace('T', ' ')}:00:00,{level + np.sin(index / 24 * 2 * np.pi):.4f}"
        for name, level in (("north", 5), ("south", 50))
        for index, hour in enumerate(hours)
    ]
    path.write_text("\n".join(["unique_id,ds,y", *lines, extra]).strip() + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_series(tmp_path_factory.mktemp("data") / "loads.csv")


@pytest.fixture(scope="session")
def run(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "loads"
    assert main(["train", str(table), "--task", "forecast", "--split", "0.2", *SMALL, "--out", str(folder)]) == 0
    return folder


def test_training_ends_with_the_model_beside_the_guesses(
    table: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code = main(["train", str(table), "--task", "forecast", "--split", "0.2", *SMALL, "--out", str(tmp_path / "run")])
    out, err = capfd.readouterr()
    assert code == 0
    names = [line.split("  ")[0] for line in out.splitlines()]
    assert names[:6] == [
        f"{part} {guess}mse" for part in ("test", "validation") for guess in ("", "naive ", "seasonal naive ")
    ]
    assert f"Next: tidegate predict {tmp_path / 'run'} series.csv" in err
    recipe = tomllib.loads((tmp_path / "run/recipe.toml").read_text())
    assert (recipe["task"], recipe["data"]["kind"], recipe["data"]["split"]) == ("forecaster", "series", 0.2)
    report = (tmp_path / "run/report.html").read_text()
    assert "test seasonal naive mse" in report


def test_a_recipe_trains_the_same_forecaster_again(run: Path, tmp_path: Path) -> None:
    assert main(["train", "--recipe", str(run), "--out", str(tmp_path / "again")]) == 0
    assert (tmp_path / "again/model.safetensors").read_bytes() == (run / "model.safetensors").read_bytes()


def test_evaluate_prints_the_guesses_and_a_row_for_each_column(
    run: Path, table: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(run), str(table), "--split", "0.2"]) == 0
    out, err = capfd.readouterr()
    assert "on 58 examples of loads.csv (test)" in err  # two series, 32 steps of the test part each, 4 of them ahead
    for name in ("mse", "naive mse", "seasonal naive mse", "rmse", "seasonal naive rmse", "below the 10% quantile"):
        assert any(line.startswith(f"{name}  ") for line in out.splitlines()), name
    heads, row = out.splitlines()[-2:]
    assert heads.split() == ["column", "mae", "rmse", "naive", "rmse", "seasonal", "naive", "rmse"]
    assert row.split()[0] == "y"
    assert main(["evaluate", str(run), str(table), "--split", "0.2", "--json"]) == 0
    spoken = json.loads(capfd.readouterr().out)
    assert spoken["scaled"]["seasonal naive mse"] < 1e-6 < spoken["scaled"]["naive mse"]  # a day is as the day before
    assert (spoken["season"], spoken["horizon"]) == (24, 4)


def test_predict_prints_what_comes_after_the_last_row(
    run: Path, table: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", str(run), str(table), "--picture", str(tmp_path / "next.svg")]) == 0
    out = capfd.readouterr().out
    lines = [line.split() for line in out.splitlines()]
    assert lines[0] == ["unique_id", "ds", "y", "y", "10%", "y", "90%"]
    assert [line[:3] for line in lines[1:5]] == [["north", "2020-01-07", f"{hour}:00:00"] for hour in (16, 17, 18, 19)]
    assert len(lines) == 9
    assert (tmp_path / "next.svg").read_text().startswith("<?xml")
    forecasts = tg.load(run).predict(table)
    assert [float(line[3]) for line in lines[1:5]] == [float(f"{v:.4g}") for v in forecasts[0].mean[:, 0]]

    assert main(["predict", str(run), str(table), "--json"]) == 0
    north, south = map(json.loads, capfd.readouterr().out.splitlines())
    assert (north["unique_id"], south["unique_id"]) == ("north", "south")
    assert south["mean"]["y"] == forecasts[1].mean[:, 0].tolist()
    assert south["quantiles"]["0.9"]["y"] == forecasts[1].quantiles[0.9][:, 0].tolist()


MISUSE = {
    "no file": ((), "there is nothing to forecast"),
    "another picture": (("{table}", "--picture", "next.gif"), "neither a .png nor an .svg"),
    "columns at prediction": (("{table}", "--read", "target_columns=y"), "a model knows its columns"),
    "not key=value": (("{table}", "--read", "sort"), "--read sort is not KEY=VALUE"),
    "no such file": (("no-such.csv",), "there is no file no-such.csv"),
}


@pytest.mark.parametrize(("arguments", "fragment"), MISUSE.values(), ids=MISUSE.keys())
def test_misuse_of_predict_is_told(
    run: Path, table: Path, arguments: tuple[str, ...], fragment: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", str(run), *(part.format(table=table) for part in arguments)]) == 2
    assert fragment in capfd.readouterr().err


FAULTS = {
    "a time twice": ("south,2020-01-07 15:00:00,1", (), "row 321 (line 322): the series 'south' has the time", "last"),
    "a gap": ("south,2020-01-07 18:00:00,1", (), "has a gap of 2 steps of 1 hour", "previous"),
    "no value": ("south,2020-01-07 16:00:00,", (), "row 321 (line 322): the series 'south' has no 'y'", "interpolate"),
    "out of order": ("north,2020-01-07 16:00:00,1\nnorth,2019-12-31 23:00:00,1", (), "times must ascend", "sort"),
}


@pytest.mark.parametrize(("extra", "more", "fragment", "repair"), FAULTS.values(), ids=FAULTS.keys())
def test_faults_are_named_and_repaired_when_told(
    tmp_path: Path, extra: str, more: tuple[str, ...], fragment: str, repair: str, capfd: pytest.CaptureFixture[str]
) -> None:
    file = write_series(tmp_path / "loads.csv", extra=extra)
    command = ["train", str(file), "--task", "forecast", *SMALL, *more, "--out", str(tmp_path / "run")]
    assert main(command) == 2
    err = capfd.readouterr().err
    assert fragment in err
    assert f"--read repair={repair}" in err  # the message says what to type
    assert "loads.csv, row" in err
    assert not (tmp_path / "run").exists()
    assert main([*command, "--read", f"repair={repair}"]) == 0


def test_data_list_shows_kind_and_licence(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "list", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capfd.readouterr().out)}
    assert (rows["ett"]["kind"], rows["ett"]["licence"]) == ("series", "CC BY-ND 4.0")
    assert rows["household_power"]["licence"].startswith("CC BY 4.0")


def test_an_unknown_task_suggests_the_nearest(table: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["train", str(table), "--task", "forcast"]) == 2
    assert "Did you mean 'forecast'?" in capfd.readouterr().err


def hourly(path: Path, form: str, *, sign: str = ".", separator: str = ",", rows: int = 80) -> Path:
    """Write hours from 2024-03-29 22:00 of UTC on, as clocks of Berlin show them, in a form of `strftime`."""
    moments = [datetime(2024, 3, 29, 22, tzinfo=UTC) + timedelta(hours=hour) for hour in range(rows)]
    local = [moment.astimezone(ZoneInfo("Europe/Berlin")) for moment in moments]
    values = [f"{50 + 10 * np.sin(hour / 4):.2f}".replace(".", sign) for hour in range(rows)]
    times = [str(int(time.timestamp())) if form == "seconds" else time.strftime(form) for time in local]
    lines = [separator.join((time, value)) for time, value in zip(times, values, strict=True)]
    path.write_text("\n".join([separator.join(("ds", "y")), *lines]) + "\n")
    return path


@pytest.mark.parametrize(
    ("form", "reading", "first"),
    [
        ("%Y-%m-%dT%H:%M:%S%z", (), "2024-04-02 08:00:00+02:00"),
        ("%Y-%m-%d %H:%M", ("--read", "zone=Europe/Berlin"), "2024-04-02 08:00:00+02:00"),
        ("%d.%m.%Y %H:%M", ("--read", "zone=Europe/Berlin"), "2024-04-02 08:00:00+02:00"),
        (
            "%d/%m/%Y %H:%M",
            ("--read", "zone=Europe/Berlin", "--read", "time_format=dayfirst"),
            "2024-04-02 08:00:00+02:00",
        ),
        ("seconds", (), "2024-04-02 06:00:00Z"),
    ],
)
def test_forecasts_are_written_in_the_zone_that_the_times_came_in(
    form: str, reading: tuple[str, ...], first: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = hourly(tmp_path / "loads.csv", form, sign=",", separator=";")
    assert main(["train", str(file), "--task", "forecast", *SMALL, *reading, "--out", str(tmp_path / "run")]) == 0
    capfd.readouterr()
    assert main(["predict", str(tmp_path / "run"), str(file), "--json"]) == 0
    spoken = json.loads(capfd.readouterr().out)
    assert spoken["ds"][0] == first
    assert len({len(time) for time in spoken["ds"]}) == 1
    assert main(["predict", str(tmp_path / "run"), str(file)]) == 0
    assert capfd.readouterr().out.splitlines()[1].startswith(first)


def test_how_a_file_is_written_can_be_told_when_it_is_forecast(
    run: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "new.csv"
    rows = "\n".join(f"Nord;{day:02d}/02/2024 {hour:02d}:00;{hour},5" for day in (1, 2) for hour in range(24))
    file.write_text(f"unique_id;ds;y\n{rows}\n", encoding="utf-16")
    given = ["encoding=utf-16", "time_format=monthfirst", "repair=interpolate", "decimal=,", "delimiter=semicolon"]
    reading = [part for option in given for part in ("--read", option)]
    assert main(["predict", str(run), str(file), *reading[:-6], "--read", "decimal=,", "--json"]) == 2
    assert "gap of" in capfd.readouterr().err
    assert main(["predict", str(run), str(file), *reading, "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["ds"][0] == "2024-02-03 00:00:00"
