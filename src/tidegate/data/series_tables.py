"""Series out of tables: long (a row for each series and time) or wide (a column for each series); files and frames.

Knows columns and their usual names; `tables` knows the formats, `series` what makes a series fit to be learned from.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from tidegate.data.checks import Where
from tidegate.data.dataset import Dataset, Examples
from tidegate.data.frames import as_columns
from tidegate.data.kinds import Layout
from tidegate.data.numbers import read_numbers
from tidegate.data.series import Roles, Series, check_repair, make_series
from tidegate.data.tables import FORM, Form, listing, read_table, usual
from tidegate.data.time_columns import PARTS, TimeColumn, join_parts, read_times
from tidegate.data.zones import check_zone
from tidegate.errors import Argument, DataError, InputError, ShapeError

_TIME_NAMES = ("ds", "date", "datetime", "timestamp", "time", "date_time")
_SERIES_NAMES = ("unique_id", "series_id", "item_id", "series")

_UNNAMED = ("", "unnamed: 0", "__index_level_0__", "index")  # what pandas makes of an index when it writes a file
_CLOCKS = ("time", "hour", "hr")  # what may stand beside a column of dates

COLUMNS = (
    "target_columns", "past_columns", "future_columns", "time_column", "id_column", "repair", "time_format", "zone",
    "decimal", *FORM,
)  # fmt: skip
"""What can be chosen of a table of series, as arguments of `load_series`."""


@dataclass(frozen=True)
class Choice:
    """Say which columns are what; None stands for what usual names say.

    target_columns: what to forecast: names with commas between them, or `all`; by default `y` where there is one, else
        all.
    past_columns: known up to now only; `all` are those left over.
    future_columns: known in the future too.
    time_column, id_column: the time stamps, where they stand in several columns with commas between these; the names of
        several series in one table.
    time_format: how times are written, see `time_columns.read_times`.
    zone: where clocks stand that show times without an offset.
    """

    target_columns: str | None = None
    past_columns: str | None = None
    future_columns: str | None = None
    time_column: str | None = None
    id_column: str | None = None
    time_format: str | None = None
    zone: str | None = None

    def roles(self, found: Sequence[str], where: str) -> Roles:
        """Settle what the columns of a table are.

        Raises DataError for a column that is not there, or twice; InputError for one with two roles.

        >>> roles = Choice(future_columns="holiday").roles(["unique_id", "ds", "y", "holiday", "note"], "sales.csv")
        >>> roles.targets, roles.future, roles.time, roles.name
        (('y',), ('holiday',), 'ds', 'unique_id')
        """
        time = self.time_column or _time_column(found)
        name = self.id_column or usual(_SERIES_NAMES, found)
        taken = [*time_columns(time, found), *([] if name is None else [name])]
        if time is not None and time.strip().lower() not in _UNNAMED:  # row numbers that pandas wrote
            found = [column for column in found if column.strip().lower() not in _UNNAMED[:-1]]
        future = _listed(self.future_columns, [])
        past = [] if self.past_columns == "all" else _listed(self.past_columns, [])
        left = [column for column in found if column not in (*taken, *future, *past)]
        default = ["y"] if "y" in left else left
        targets = left if self.target_columns == "all" else _listed(self.target_columns, default)
        if self.past_columns == "all":
            past = [column for column in left if column not in targets]
        if absent := [column for column in (*taken, *targets, *past, *future) if column not in found]:
            raise DataError(f"{where} has no column {absent[0]!r}. {listing(found)}")
        every = [*taken, *targets, *past, *future]
        if doubled := [column for column in every if every.count(column) > 1]:
            raise InputError(f"the column {doubled[0]!r} cannot be two things at once. {listing(found)}")
        if several := [column for column in every if list(found).count(column) > 1]:
            raise DataError(f"{where} has more than one column named {several[0]!r}. Rename all but one.")
        if not targets:
            raise DataError(
                f"{where} has no column to forecast. {listing(found)} Name them: ", Argument("target_columns")
            )
        zone = None if self.zone is None else check_zone(self.zone)
        return Roles(tuple(targets), tuple(past), tuple(future), time, name, self.time_format, zone)


@dataclass(frozen=True)
class Reading:
    """Say how a table is to be read: how faults are repaired, decimals are written, and the file is.

    repair: see `make_series`; words with commas between them.
    decimal: `.` or `,`; see `numbers.read_numbers`.
    encoding, delimiter: see `tables.Form`.
    """

    repair: str | None = None
    decimal: str | None = None
    encoding: str | None = None
    delimiter: str | None = None


def choices(options: Mapping[str, str]) -> tuple[Choice, Reading]:
    """Part the arguments of `load_path`, or of a data set by name, into those of both."""
    reading = {field.name: options[field.name] for field in fields(Reading) if field.name in options}
    return Choice(**{name: value for name, value in options.items() if name not in reading}), Reading(**reading)


def load_path(path: Path, *, unlabelled: bool = False, **options: str) -> Dataset:
    """Load the series of a CSV, TSV, JSONL or Parquet file; the options are those of `Choice` and `Reading`.

    Raises:
        DataError: something cannot be used; the row is named.
        InputError: the path is a folder, or unlabelled examples are wanted.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder; series come in one file. Name the file.")
    if unlabelled:
        raise InputError("series have no unlabelled part.")
    found = read_series(path, *choices(options))
    return Dataset(path.resolve().name, "series", (), Examples(found.series, None), taken=found.taken)


@dataclass(frozen=True)
class Found:
    """Hold the series of a table, and what was taken for them, in words."""

    series: list[Series]
    taken: dict[str, str]


def read_series(path: Path, choice: Choice | Roles, reading: Reading | None = None) -> Found:
    """Read the series of a file, in the order in which their names first come; raises as `load_path` does."""
    settled: list[Roles] = []
    reading = reading or Reading()

    def pick(found: Sequence[str], path: Path) -> Sequence[str]:
        if isinstance(choice, Choice):
            _check_header(found, path)
        settled.append(choice if isinstance(choice, Roles) else choice.roles(found, str(path)))
        wanted = _wanted(settled[0], found)
        if absent := [column for column in wanted if column not in found]:
            raise DataError(f"{path} has no column {absent[0]!r}. {listing(found)}")
        return wanted

    table = read_table(path, pick, Form(reading.encoding, reading.delimiter))
    columns = dict(zip(table.names, table.columns, strict=True))
    return _assemble(columns, settled[0], table.where, reading)


def read_again(path: Path, roles: Roles, options: Mapping[str, str]) -> list[Series]:
    """Read the series of a file as a model knows its columns; the options say how it is written, and what to repair.

    Raises InputError for an option that names a column, and what `read_series` does.
    """
    known = ("time_format", "zone", *(field.name for field in fields(Reading)))
    if stray := [name for name in options if name not in known]:
        raise InputError(
            f"{stray[0]} cannot be chosen here: a model knows its columns. To choose are {', '.join(known)}."
        )
    choice, reading = choices(options)
    if choice.zone is not None:
        roles = replace(roles, zone=check_zone(choice.zone))
    return read_series(path, replace(roles, time_format=choice.time_format or roles.time_format), reading).series


def as_series(
    X: Any,
    choice: Choice | Roles | None = None,
    *,
    name: str = "X",
    repair: str | None = None,
    reading: Reading | None = None,
) -> list[Series]:
    """Make series of what a caller passed.

    Args:
        X: series; a path; a frame of any library that narwhals knows, or columns by name; an array [T] or [T, C]; or a
            list or iterator of such arrays, one for each series.
        choice: which columns are what; arrays have targets alone, called `0`, `1` and so on.
        name: what the argument is called.
        repair: see `make_series`; words with commas between them.
        reading: of a file.

    Raises:
        DataError, ShapeError, InputError: it cannot be used.
        MissingPackageError: a frame came, and narwhals is not installed.

    >>> as_series({"ds": ["2020-01-01", "2020-01-02"], "y": [1, 2]})
    [Series('', 2 steps of 1 day, y)]
    """
    reading = reading or Reading(repair)
    if isinstance(X, Series):
        return [X]
    if isinstance(X, str | Path):
        return read_series(Path(X), choice or Choice(), reading).series
    if isinstance(X, np.ndarray):
        return [_from_array(X, "", name)]
    if isinstance(X, list | tuple | Iterator):
        items = list(X)
        if all(isinstance(item, Series) for item in items):
            return items
        return [_from_array(np.asarray(item), str(index), f"{name}[{index}]") for index, item in enumerate(items)]
    known = choice.time if isinstance(choice, Roles) else None
    columns = dict(X) if isinstance(X, Mapping) else as_columns(X, name, _TIME_NAMES, known)
    roles = choice if isinstance(choice, Roles) else (choice or Choice()).roles(list(columns), name)
    wanted = _wanted(roles, columns)
    if absent := [column for column in wanted if column not in columns]:
        raise DataError(f"{name} has no column {absent[0]!r}. {listing(list(columns))}")
    if len({_length(columns[column]) for column in wanted}) > 1:
        raise ShapeError(f"the columns of {name} are not of one length.")
    return _assemble({c: columns[c] for c in wanted}, roles, lambda i: f"{name}, row {i}", reading).series


def time_columns(time: str | None, found: Collection[str]) -> list[str]:
    """List the columns in which times stand: one, or several that are named with commas between them."""
    if time is None:
        return []
    return [time] if time in found else [name.strip() for name in time.split(",")]


def _time_column(found: Sequence[str]) -> str | None:
    """Find the column of the times by its name, or the columns of their parts."""
    lowered = {name.strip().lower(): name for name in reversed(found)}
    if {"year", "month"} <= lowered.keys() and not usual(_TIME_NAMES, found):
        return ",".join(lowered[part] for part in PARTS if part in lowered)
    dates = next((name for name in ("date", "day") if name in lowered), None)
    clocks = next((name for name in _CLOCKS if name in lowered), None)
    if dates and clocks and not usual(("ds", "datetime", "timestamp", "date_time"), found):
        return f"{lowered[dates]},{lowered[clocks]}"
    return usual(_TIME_NAMES, found) or usual(_UNNAMED, found)


def _check_header(found: Sequence[str], path: Path) -> None:
    """Refuse a first line that holds values and no names (DataError)."""
    numbers = [name for name in found if re.fullmatch(r"[+-]?\d+[.,]\d+", name.strip())]
    times = [name for name in found[:1] if re.match(r"\d{4}-\d\d-\d\d|\d\d?[./]\d\d?[./]\d{4}", name.strip())]
    if value := [*times, *numbers]:
        raise DataError(
            f"{path} begins with {value[0]!r}, which is a value and no name of a column. Write a first line with the "
            "names, such as ds,y."
        )


def _assemble(columns: Mapping[str, Any], roles: Roles, where: Where, reading: Reading) -> Found:
    """Part the rows of a table into series."""
    repair = _listed(reading.repair, [])
    check_repair(repair)
    count = _length(columns[roles.targets[0]])
    times = _read_time(columns, roles, where) if roles.time is not None else TimeColumn(np.arange(count))
    if times.note.startswith(("day", "month")) and roles.time_format is None and roles.time is not None:
        roles = replace(roles, time_format="dayfirst" if times.note.startswith("day ") else "monthfirst")
    numbers = {name: columns[name] for name in roles.columns}
    values, sign = read_numbers(numbers, where=where, decimal=reading.decimal, leave_out=Argument("target_columns"))
    if roles.name is None:
        rows = {"": list(range(count))}
    else:
        rows = {}
        for index, item in enumerate(columns[roles.name]):
            rows.setdefault(str(item), []).append(index)
        if roles.time is None:
            raise DataError(
                f"{where(0)} names a series but no time. Name the column of the times: ", Argument("time_column")
            )
    series = []
    for name, at in rows.items():
        row = _within(where, at)
        own, zone = times.settle(at, roles.zone, row)
        series.append(make_series(name, own, values[at], roles, where=row, repair=repair, zone=zone))
    return Found(series, _taken(roles, times, sign))


def _read_time(columns: Mapping[str, Any], roles: Roles, where: Where) -> TimeColumn:
    parts = {name: columns[name] for name in time_columns(roles.time, columns)}
    whole = next(iter(parts.values())) if len(parts) == 1 else join_parts(parts)
    try:
        return read_times(whole, where=where, form=roles.time_format)
    except DataError as error:
        if len(parts) > 1:
            error.args = (
                *error.args,
                f" Its parts stand in {' and '.join(map(repr, parts))}; name one column, or others: ",
                Argument("time_column"),
            )
        raise


def _taken(roles: Roles, times: TimeColumn, sign: str) -> dict[str, str]:
    """Say which columns were taken for what, and how they were read where that was not plain to see."""
    named = {
        "time": "(without a name)" if roles.time == "" else roles.time,
        "series": roles.name,
        "targets": ", ".join(roles.targets),
    }
    named |= {"past": ", ".join(roles.past), "future": ", ".join(roles.future)}
    notes = {"times": times.note, "zone": roles.zone, "decimals": "commas" if sign == "," else ""}
    return {what: column for what, column in (named | notes).items() if column}


def _within(where: Where, rows: Sequence[int]) -> Where:
    return lambda index: where(rows[index])


def _from_array(array: np.ndarray[Any, Any], series: str, name: str) -> Series:
    """Make a series of an array [T] or [T, C] whose steps are merely counted."""
    values = array[:, None] if array.ndim == 1 else array
    if values.ndim != 2 or values.dtype.kind not in "fiub":
        raise ShapeError(f"{name} is {array.dtype} {list(array.shape)}; wanted numbers [T] or [T, C].")
    roles = Roles(tuple(map(str, range(values.shape[1]))))
    where: Where = lambda index: f"{name}[{index}]"  # noqa: E731
    return make_series(series, np.arange(len(values)), values.astype(np.float64), roles, where=where)


def _wanted(roles: Roles, found: Collection[str]) -> list[str]:
    return [*time_columns(roles.time, found), *([] if roles.name is None else [roles.name]), *roles.columns]


def _length(column: Any) -> int:
    return len(column.clock if isinstance(column, TimeColumn) else column)


def _listed(names: str | None, default: Sequence[str]) -> list[str]:
    return list(default) if names is None else [name.strip() for name in names.split(",") if name.strip()]


LAYOUT = Layout(load_path, COLUMNS)
