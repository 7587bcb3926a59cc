"""Series out of tables: long (a row for each series and time) or wide (a column for each series); files and frames.

Knows columns and their usual names; `tables` knows the formats, `series` what makes a series fit to be learned from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tidegate.data.checks import Where
from tidegate.data.dataset import Dataset, Examples
from tidegate.data.series import Roles, Series, Values, check_repair, make_series
from tidegate.data.tables import listing, read_table, usual
from tidegate.data.times import read_times
from tidegate.errors import DataError, InputError, MissingPackageError, ShapeError

_TIME_NAMES = ("ds", "date", "datetime", "timestamp", "time", "date_time")
_SERIES_NAMES = ("unique_id", "series_id", "item_id", "series")
_MISSING = {"", "na", "nan", "null", "none", "?"}

COLUMNS = ("target_columns", "past_columns", "future_columns", "time_column", "id_column", "repair")
"""What can be chosen of a table of series, as arguments of `load_series`."""


@dataclass(frozen=True)
class Choice:
    """Say which columns are what; None stands for what usual names say.

    target_columns: what to forecast: names with commas between them, or `all`; by default `y` where there is one, else
        all.
    past_columns: known up to now only; `all` are those left over.
    future_columns: known in the future too.
    time_column, id_column: the time stamps; the names of several series in one table.
    """

    target_columns: str | None = None
    past_columns: str | None = None
    future_columns: str | None = None
    time_column: str | None = None
    id_column: str | None = None

    def roles(self, found: Sequence[str], where: str) -> Roles:
        """Settle what the columns of a table are.

        Raises DataError for a column that is not there, or twice; InputError for one with two roles.

        >>> Choice(future_columns="holiday").roles(["unique_id", "ds", "y", "holiday", "note"], "sales.csv")
        Roles(targets=('y',), past=(), future=('holiday',), time='ds', name='unique_id')
        """
        time = self.time_column or usual(_TIME_NAMES, found)
        name = self.id_column or usual(_SERIES_NAMES, found)
        taken = [column for column in (time, name) if column is not None]
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
            raise DataError(f"{where} has no column to forecast. {listing(found)} Name them: target_columns=...")
        return Roles(tuple(targets), tuple(past), tuple(future), time, name)


def load_path(path: Path, *, unlabelled: bool = False, repair: str | None = None, **columns: str) -> Dataset:
    """Load the series of a CSV, TSV, JSONL or Parquet file.

    Raises:
        DataError: something cannot be used; the row is named.
        InputError: the path is a folder, or unlabelled examples are wanted.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder; series come in one file. Name the file.")
    if unlabelled:
        raise InputError("series have no unlabelled part.")
    series = read_series(path, Choice(**columns), repair=repair)
    return Dataset(name=path.resolve().name, kind="series", classes=(), train=Examples(series, None))


def read_series(path: Path, choice: Choice | Roles, *, repair: str | None = None) -> list[Series]:
    """Read the series of a file, in the order in which their names first come; raises as `load_path` does."""
    settled: list[Roles] = []

    def pick(found: Sequence[str], path: Path) -> Sequence[str]:
        settled.append(choice if isinstance(choice, Roles) else choice.roles(found, str(path)))
        wanted = _wanted(settled[0])
        if absent := [column for column in wanted if column not in found]:
            raise DataError(f"{path} has no column {absent[0]!r}. {listing(found)}")
        return wanted

    table = read_table(path, pick)
    columns = dict(zip(table.names, table.columns, strict=True))
    return _assemble(columns, settled[0], table.where, _words(repair))


def as_series(
    X: Any, choice: Choice | Roles | None = None, *, name: str = "X", repair: str | None = None
) -> list[Series]:
    """Make series of what a caller passed.

    Args:
        X: series; a path; a frame of any library that narwhals knows, or columns by name; an array [T] or [T, C]; or a
            list of such arrays, one for each series.
        choice: which columns are what; arrays have targets alone, called `0`, `1` and so on.
        name: what the argument is called.
        repair: see `make_series`; words with commas between them.

    Raises:
        DataError, ShapeError, InputError: it cannot be used.
        MissingPackageError: a frame came, and narwhals is not installed.

    >>> as_series({"ds": ["2020-01-01", "2020-01-02"], "y": [1, 2]})
    [Series('', 2 steps of 1 day, y)]
    """
    if isinstance(X, Series):
        return [X]
    if isinstance(X, str | Path):
        return read_series(Path(X), choice or Choice(), repair=repair)
    if isinstance(X, np.ndarray):
        return [_from_array(X, "", name)]
    if isinstance(X, list | tuple):
        if all(isinstance(item, Series) for item in X):
            return list(X)
        return [_from_array(np.asarray(item), str(index), f"{name}[{index}]") for index, item in enumerate(X)]
    columns = X if isinstance(X, Mapping) else _from_frame(X, name)
    roles = choice if isinstance(choice, Roles) else (choice or Choice()).roles(list(columns), name)
    wanted = _wanted(roles)
    if absent := [column for column in wanted if column not in columns]:
        raise DataError(f"{name} has no column {absent[0]!r}. {listing(list(columns))}")
    if len({len(columns[column]) for column in wanted}) > 1:
        raise ShapeError(f"the columns of {name} are not of one length.")
    return _assemble({c: columns[c] for c in wanted}, roles, lambda i: f"{name}, row {i}", _words(repair))


def _assemble(columns: Mapping[str, Any], roles: Roles, where: Where, repair: Sequence[str]) -> list[Series]:
    """Part the rows of a table into series."""
    check_repair(repair)
    count = len(columns[roles.targets[0]])
    times = np.arange(count) if roles.time is None else read_times(columns[roles.time], where=where)
    values = np.stack([_numbers(columns[c], c, where) for c in roles.columns], axis=1)  # [T, C]
    if roles.name is None:
        return [make_series("", times, values, roles, where=where, repair=repair)]
    names = [str(item) for item in columns[roles.name]]
    rows: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        rows.setdefault(name, []).append(index)
    if roles.time is None:
        raise DataError(f"{where(0)} names a series but no time. Name the column of the times: time_column=...")
    return [
        make_series(n, times[at], values[at], roles, where=_within(where, at), repair=repair) for n, at in rows.items()
    ]


def _within(where: Where, rows: Sequence[int]) -> Where:
    return lambda index: where(rows[index])


def _numbers(column: Sequence[object], name: str, where: Where) -> Values:
    """Read a column of numbers [T]; what is empty becomes NaN."""
    try:
        return np.array(column, np.float64)
    except (ValueError, TypeError):
        pass
    out = np.empty(len(column))
    for index, item in enumerate(column):
        try:
            out[index] = np.nan if item is None or str(item).strip().lower() in _MISSING else float(str(item))
        except ValueError:
            raise DataError(
                f"{where(index)} has {item!r:.40} in the column {name!r}, which is no number. Mend it, or leave that "
                "column out: target_columns=..."
            ) from None
    return out


def _from_array(array: np.ndarray[Any, Any], series: str, name: str) -> Series:
    """Make a series of an array [T] or [T, C] whose steps are merely counted."""
    values = array[:, None] if array.ndim == 1 else array
    if values.ndim != 2 or values.dtype.kind not in "fiub":
        raise ShapeError(f"{name} is {array.dtype} {list(array.shape)}; wanted numbers [T] or [T, C].")
    roles = Roles(tuple(map(str, range(values.shape[1]))))
    where: Where = lambda index: f"{name}[{index}]"  # noqa: E731
    return make_series(series, np.arange(len(values)), values.astype(np.float64), roles, where=where)


def _from_frame(frame: Any, name: str) -> dict[str, Any]:
    try:
        import narwhals
    except ImportError as error:
        raise MissingPackageError.of("narwhals", "data", "reading a frame") from error
    try:
        found = narwhals.from_native(frame, eager_only=True)
    except TypeError:
        raise InputError(
            f"{name} is a {type(frame).__name__}; wanted series, a path, a frame, columns by name, or arrays [T, C]."
        ) from None
    return {column: found[column].to_list() for column in found.columns}


def _wanted(roles: Roles) -> list[str]:
    return [column for column in (roles.time, roles.name) if column is not None] + list(roles.columns)


def _listed(names: str | None, default: Sequence[str]) -> list[str]:
    return list(default) if names is None else [name.strip() for name in names.split(",") if name.strip()]


def _words(repair: str | None) -> list[str]:
    return _listed(repair, [])
