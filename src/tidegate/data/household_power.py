"""Household power: four years of electric power of one household in France, brought from minutes to hours.

An hour is the mean of the minutes of it that were measured; hours without any, a few days in all, are drawn in a line
from the one before to the one after. Split in time: 70 % to learn from, 15 % to tune on, 15 % to measure on.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tidegate.data.dataset import Dataset, Examples
from tidegate.data.series_tables import COLUMNS, choices, read_series
from tidegate.data.source import Source
from tidegate.durable import atomic_write, sweep_drafts
from tidegate.errors import DataError, DownloadError, InputError
from tidegate.fetch.cache import cache_folder, find_file
from tidegate.fetch.files import fetch_remote
from tidegate.fetch.progress import Progress
from tidegate.fetch.remote import Remote

_NAME = "household_power"
_HOURLY = "household_power_consumption_hourly.csv"
_MINUTES = "household_power_consumption.txt"
_ARCHIVE = "household_power_consumption.zip"
_HEADER = (
    "Global_active_power", "Global_reactive_power", "Voltage", "Global_intensity",
    "Sub_metering_1", "Sub_metering_2", "Sub_metering_3",
)  # fmt: skip
_SHARES = (0.70, 0.85)  # where tuning and where measuring begin, as the published figures have it

# Upstream packs the archive; what is known by its checksum is the table in it.
REMOTE = Remote(
    url="https://archive.ics.uci.edu/ml/machine-learning-databases/00235/household_power_consumption.zip",
    size=20_640_916,
    sha256=None,
)
MINUTES_SHA256 = "4259c9d7ece5dbee9ab8d53682baac68d791c864f0f64a52b4043cb3b90894b7"


def find() -> Path | None:
    """Find the hourly table on this machine, else upstream's table of minutes or its archive."""
    return next((file for name in (_HOURLY, _MINUTES, _ARCHIVE) if (file := find_file(_NAME, name))), None)


def fetch(progress: Progress) -> Path:
    """Return the hourly table; it is made, once, of upstream's minutes, which are downloaded if they are not here."""
    found = find()
    if found is not None and found.name == _HOURLY:
        return found
    if found is not None and found.name == _MINUTES:
        return _write_hours(found.read_bytes(), str(found))
    if found is not None:
        return _write_hours(_unpack(found), str(found))
    archive = fetch_remote(_NAME, REMOTE, progress)
    minutes = _unpack(archive)
    if (digest := hashlib.sha256(minutes).hexdigest()) != MINUTES_SHA256:
        archive.unlink()
        raise DownloadError(
            f"{_NAME}: {_MINUTES} from {REMOTE.url} has SHA-256 {digest}, wanted {MINUTES_SHA256}. The archive was "
            "deleted. Try again, and if this repeats, do not trust that connection."
        )
    return _write_hours(minutes, str(archive))


def load(*, unlabelled: bool, progress: Progress, **columns: str) -> Dataset:
    """Load the hours: by default the active power is to be forecast, and the other six columns are its past."""
    if unlabelled:
        raise InputError(f"{_NAME} has no unlabelled part.")
    defaults = {"target_columns": _HEADER[0], "past_columns": "all"} if not columns.get("target_columns") else {}
    found = read_series(fetch(progress), *choices(defaults | columns))
    (series,) = found.series
    tune, measure = (round(share * len(series)) for share in _SHARES)
    return Dataset(
        name=_NAME,
        kind="series",
        classes=(),
        train=Examples([series.cut(0, tune)], None),
        valid=Examples([series.cut(tune, measure)], None),
        test=Examples([series.cut(measure, len(series))], None),
        licence=SOURCE.licence,
        citation=SOURCE.citation,
        taken=found.taken,
    )


def to_hours(lines: Iterable[str], where: str) -> str:
    """Bring upstream's table of minutes, its header first, to an hourly CSV table.

    >>> lines = ["Date;Time;...", "1/2/2007;23:58:00;1;0;240;4;0;0;0", "1/2/2007;23:59:00;2;0;241;4;0;0;0",
    ...     "2/2/2007;00:00:00;?;?;?;?;?;?;", "2/2/2007;01:00:00;3.5;0;240;4;0;0;0"]
    >>> for row in to_hours(lines, "minutes").splitlines()[1:]:
    ...     print(row)
    2007-02-01 23:00:00,1.5,0.0,240.5,4.0,0.0,0.0,0.0
    2007-02-02 00:00:00,2.5,0.0,240.25,4.0,0.0,0.0,0.0
    2007-02-02 01:00:00,3.5,0.0,240.0,4.0,0.0,0.0,0.0
    """
    sums: dict[str, list[float]] = {}  # of the minutes of an hour, and how many there are
    rows = iter(lines)
    next(rows, None)
    for number, line in enumerate(rows, 2):
        date, _, rest = line.rstrip().partition(";")
        time, *fields = rest.split(";")
        if len(fields) != len(_HEADER):
            raise DataError(f"{where}, line {number} is not of the form Date;Time and {len(_HEADER)} numbers.")
        hour = sums.setdefault(f"{date} {time[:2]}", [0.0] * (len(_HEADER) + 1))
        if "?" not in fields and "" not in fields:
            for column, field in enumerate((*fields, "1")):
                hour[column] += float(field)
    if not sums:
        raise DataError(f"{where} holds no minutes; it is not the table of UCI 235.")
    return _as_csv([datetime.strptime(hour, "%d/%m/%Y %H") for hour in sums], np.array(list(sums.values())))


def _as_csv(found: list[datetime], sums: npt.NDArray[np.float64]) -> str:
    """Write every hour from the first to the last, [T], of sums and counts [K, C + 1] of those that were found."""
    begin = min(found)
    places = np.array([(hour - begin) // timedelta(hours=1) for hour in found])
    measured = sums[:, -1] > 0
    means = sums[measured, :-1] / sums[measured, -1:]
    every = np.arange(places.max() + 1)
    order = np.argsort(places[measured])
    columns = [np.interp(every, places[measured][order], column[order]).tolist() for column in means.T]
    lines = [",".join(("Datetime", *_HEADER))]
    for place, row in enumerate(zip(*columns, strict=True)):
        lines.append(",".join((str(begin + timedelta(hours=place)), *map(repr, row))))
    return "\n".join(lines) + "\n"


def _unpack(archive: Path) -> bytes:
    try:
        with zipfile.ZipFile(archive) as packed:
            return packed.read(_MINUTES)
    except (zipfile.BadZipFile, KeyError, OSError) as error:
        raise DataError(f"{archive} is damaged, or holds no {_MINUTES}: {error}. Delete it and try again.") from error


def _write_hours(minutes: bytes, where: str) -> Path:
    """Write the hourly table into the cache, whole or not at all."""
    target = cache_folder() / _NAME / _HOURLY
    content = to_hours(minutes.decode("ascii", errors="replace").splitlines(), where)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        sweep_drafts(target)
        atomic_write(target, content.encode("ascii"))
    except OSError as error:
        raise DownloadError(f"{_NAME} could not be stored in {target.parent}: {error}.") from error
    return target


SOURCE = Source(
    name=_NAME,
    title="Individual household electric power consumption: how much power in the next hour?",
    kind="series",
    licence="CC BY 4.0 (UCI Machine Learning Repository, data set 235)",
    citation=(
        "Georges Hebrail and Alice Berard. Individual Household Electric Power Consumption. UCI, 2006. "
        "doi:10.24432/C58K54"
    ),
    homepage="https://archive.ics.uci.edu/dataset/235",
    find=find,
    fetch=fetch,
    load=load,
    columns=COLUMNS,
)
