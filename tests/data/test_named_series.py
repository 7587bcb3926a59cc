"""ETT and household power: found, downloaded from a loopback server, checked, split as published."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from server import QUICK, Server
from surroundings import absent
from tidegate import data
from tidegate.data import ett, household_power
from tidegate.data.household_power import to_hours
from tidegate.errors import DataError, DownloadError, InputError, OptionError
from tidegate.fetch.remote import Remote

COLUMNS = "HUFL,HULL,MUFL,MULL,LUFL,LULL,OT"
HOURS = 14_400 + 20  # 20 months of 30 days, and some


@pytest.fixture(autouse=True)
def no_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TIDEGATE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TIDEGATE_DATA", raising=False)
    monkeypatch.setattr("tidegate.fetch.download.Patience", lambda: QUICK)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "*")
    with Server() as running:
        yield running


def table(rows: int = HOURS, minutes: int = 60) -> bytes:
    """Write a table like ETT's, in which each column counts the rows."""
    times = np.datetime64("2016-07-01T00:00") + np.arange(rows) * np.timedelta64(minutes, "m")
    lines = [f"{str(time).replace('T', ' ')}:00," + ",".join([f"{row}.5"] * 7) for row, time in enumerate(times)]
    return "\n".join([f"date,{COLUMNS}", *lines, ""]).encode()


def minutes() -> bytes:
    """Write a table like UCI's: two hours, an hour without a measurement, and one minute."""
    lines = ["Date;Time;" + ";".join(household_power._HEADER)]
    for hour, level in ((22, 1.0), (23, 3.0)):
        lines += [f"16/12/2006;{hour}:{m:02d}:00;{level + m % 2};0.1;240;4;0;1;17" for m in range(60)]
    lines += [f"17/12/2006;00:{m:02d}:00;?;?;?;?;?;?;" for m in range(60)]
    lines.append("17/12/2006;01:00:00;5.5;0.3;250;6;0;3;19")
    return "\r\n".join(lines).encode()


def packed(content: bytes, name: str = "household_power_consumption.txt") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


def serve(server: Server, content: bytes, *, file: str = "ETTh1.csv", sha256: str | None = "") -> Remote:
    server.content = content
    digest = hashlib.sha256(content).hexdigest() if sha256 == "" else sha256
    url = server.remote.url.replace("file.bin", file)
    return replace(server.remote, url=url, size=len(content), sha256=digest)


# --- ETT ---------------------------------------------------------------------------------------------------------


def test_ett_is_downloaded_checked_and_then_found(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ett.REMOTES, "ETTh1", serve(server, table()))
    assert data.path("ett") is None
    dataset = data.load("ett")
    assert dataset.test is not None
    (series,) = dataset.test.x
    assert data.path("ett") == data.cache_folder() / "ett" / "ETTh1.csv"
    assert len(server.ranges) == 1
    data.load("ett")
    assert len(server.ranges) == 1
    assert (dataset.licence, series.roles.targets) == ("CC BY-ND 4.0", tuple(COLUMNS.split(",")))


def test_ett_is_split_by_months_of_30_days(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ett.REMOTES, "ETTh1", serve(server, table()))
    dataset = data.load("ett", target_columns="OT")
    assert dataset.valid is not None
    assert dataset.test is not None
    bounds = [(part.x[0].begin, len(part.x[0])) for part in (dataset.train, dataset.valid, dataset.test)]
    assert bounds == [(0, 8640), (8640, 11520), (11520, 14400)]  # as in the published experiments since Informer
    assert dataset.test.x[0].values[11520].tolist() == [11520.5]


def test_a_table_of_quarters_of_an_hour_is_four_times_as_long(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ett.REMOTES, "ETTm2", serve(server, table(57_600, 15), file="ETTm2.csv"))
    dataset = data.load("ett", table="ETTm2")
    assert dataset.test is not None
    (series,) = dataset.test.x
    assert (series.begin, len(series), str(series.step)) == (46_080, 57_600, "15 minutes")


def test_an_altered_ett_is_refused(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ett.REMOTES, "ETTh1", serve(server, table(), sha256="0" * 64))
    with pytest.raises(DownloadError, match=r"SHA-256 .* wanted 0000"):
        data.load("ett")
    assert data.path("ett") is None


def test_ett_refuses_what_it_does_not_have(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ett.REMOTES, "ETTh1", serve(server, table(100)))
    with pytest.raises(DataError, match="has 100 rows; the 20 months of ETTh1 are 14,400"):
        data.load("ett")
    with pytest.raises(OptionError, match=r"unknown table of ett 'ETTh3'.*Known: ETTh1, ETTh2, ETTm1, ETTm2"):
        data.load("ett", table="ETTh3")
    with pytest.raises(InputError, match="ett has no unlabelled part"):
        data.load("ett", unlabelled=True)
    with pytest.raises(InputError, match="kind 'series', not 'text'"):
        data.load("ett", kind="text")


# --- household power ---------------------------------------------------------------------------------------------


def test_minutes_become_means_of_hours_and_empty_hours_a_line_between() -> None:
    rows = [line.split(",") for line in to_hours(minutes().decode().splitlines(), "minutes").splitlines()]
    assert rows[0][:2] == ["Datetime", "Global_active_power"]
    assert [row[0] for row in rows[1:]] == [
        "2006-12-16 22:00:00",
        "2006-12-16 23:00:00",
        "2006-12-17 00:00:00",
        "2006-12-17 01:00:00",
    ]
    assert [float(row[1]) for row in rows[1:]] == [1.5, 3.5, 4.5, 5.5]
    assert [float(row[3]) for row in rows[1:]] == [240, 240, 245, 250]


def test_household_power_is_downloaded_checked_inside_and_brought_to_hours_once(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        household_power, "REMOTE", serve(server, packed(minutes()), file=household_power.REMOTE.file, sha256=None)
    )
    monkeypatch.setattr(household_power, "MINUTES_SHA256", hashlib.sha256(minutes()).hexdigest())
    dataset = data.load("household_power")
    assert dataset.train.x[0].values[:, 0].tolist() == [1.5, 3.5, 4.5]
    assert dataset.train.x[0].roles.past[0] == "Global_reactive_power"
    assert data.path("household_power") == (
        data.cache_folder() / "household_power" / "household_power_consumption_hourly.csv"
    )
    data.load("household_power")
    assert len(server.ranges) == 1


def test_an_archive_of_other_content_is_refused_and_deleted(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        household_power, "REMOTE", serve(server, packed(minutes()), file=household_power.REMOTE.file, sha256=None)
    )
    with pytest.raises(DownloadError, match=r"has SHA-256 .* wanted 4259c9d7.*The archive was deleted"):
        data.load("household_power")
    assert data.path("household_power") is None


@pytest.mark.parametrize("name", ["household_power_consumption.txt", "household_power_consumption.zip"])
def test_upstreams_own_files_are_found(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "mine" / "household_power"
    folder.mkdir(parents=True)
    (folder / name).write_bytes(packed(minutes()) if name.endswith("zip") else minutes())
    monkeypatch.setenv("TIDEGATE_DATA", str(tmp_path / "mine"))
    assert data.load("household_power").train.x[0].values[:, 0].tolist() == [1.5, 3.5, 4.5]


def test_minutes_that_are_none_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="minutes, line 3 is not of the form Date;Time and 7 numbers"):
        to_hours(["Date;Time", "1/2/2007;00:00:00;1;1;1;1;1;1;1", "1/2/2007;00:01:00;1"], "minutes")
    with pytest.raises(DataError, match="holds no minutes"):
        to_hours(["Date;Time"], "minutes")
    folder = tmp_path / "household_power"
    folder.mkdir()
    (folder / "household_power_consumption.zip").write_bytes(packed(b"", "other.txt"))
    monkeypatch.setenv("TIDEGATE_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"is damaged, or holds no household_power_consumption.txt"):
        data.load("household_power")


# --- the real files, where they are ------------------------------------------------------------------------------

REAL = os.environ.get("TIDEGATE_DATA")


@pytest.mark.parametrize("name", ["ett", "household_power"])
def test_the_real_file_is_read_whole(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if not REAL or not (Path(REAL) / name).is_dir():
        absent(f"TIDEGATE_DATA holds no {name}")
    monkeypatch.setenv("TIDEGATE_DATA", REAL)
    dataset = data.load(name)
    assert dataset.test is not None
    (series,) = dataset.test.x
    if name == "ett":
        assert series.values[0].tolist()[:2] == [5.827000141143799, 2.009000062942505]
        content = (Path(REAL) / name / "ETTh1.csv").read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (
            ett.REMOTES["ETTh1"].size,
            ett.REMOTES["ETTh1"].sha256,
        )
    else:
        # UCI counts 2,075,259 minutes from 16 December 2006, 17:24, to 26 November 2010, 21:02.
        assert (len(series), str(series.times[0]), str(series.times[-1])) == (
            34_589,
            "2006-12-16T17:00:00.000",
            "2010-11-26T21:00:00.000",
        )
        truth = series.values[series.begin :, 0]
        persistence = series.values[series.begin - 1 : -1, 0]
        assert np.sqrt(((truth - persistence) ** 2).mean()) == pytest.approx(0.575, abs=5e-4)  # as published
