"""Frames, series and columns of other libraries, as plain columns and lists. Knows none of those libraries by itself.

What they are is told by narwhals, where it is installed, and by what pandas alone has: an index.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tidegate.data.time_columns import TimeColumn
from tidegate.data.zones import check_zone, offsets_at
from tidegate.errors import InputError, MissingPackageError, OptionError

INDEX, SERIES = "ds", "unique_id"
"""What levels of an index without a name are called: of times, and of the names of series."""


def as_columns(X: Any, name: str, time_names: Sequence[str], time: str | None = None) -> dict[str, Any]:
    """Make columns by name of a frame, or of a single column, of any library that narwhals knows.

    Times in the index of a pandas frame become a column called `time`, or by its own name where that is one of
    `time_names`, or `ds`. A column without a name is called `y`.

    Raises:
        InputError: it is something else, or has two columns of one name, or times in its index and in a column.
        MissingPackageError: narwhals is not installed.
    """
    try:
        import narwhals
    except ImportError as error:
        raise MissingPackageError.of("narwhals", "data", "reading a frame") from error
    try:
        found = narwhals.from_native(_indexed(X, name, time_names, time), eager_only=True, allow_series=True)
        if isinstance(found, narwhals.Series):
            found = found.alias(found.name or "y").to_frame()
    except (TypeError, narwhals.exceptions.NarwhalsError) as error:
        if isinstance(error, narwhals.exceptions.DuplicateError):
            raise InputError(f"{name} has two columns of one name. Rename one.") from None
        raise InputError(
            f"{name} is a {type(X).__name__}; wanted series, a path, a frame, columns by name, or arrays [T, C]."
        ) from None
    return {str(column): _values(found[column]) for column in found.columns}


def as_list(X: Any, name: str, what: str) -> list[Any]:
    """Make a list of a column of any kind: a list, an array, a frame of one column, a generator.

    Args:
        X: what came.
        name: what the argument is called.
        what: it should hold, such as `texts`.

    Raises InputError for what has several columns, or no order.

    >>> as_list((word for word in ("one", "two")), "X", "texts")
    ['one', 'two']
    """
    wanted = f"wanted a list of {what}, one for each example"
    if isinstance(X, set | frozenset):
        raise InputError(f"{name} is a {type(X).__name__}, which has no order; {wanted}.")
    if isinstance(X, str | bytes):
        came = "string" if isinstance(X, str) else "piece of bytes"
        raise InputError(f"a single {came} came where a list of {what} is wanted. Put it into a list: [...].")
    columns = X if isinstance(X, Mapping) else _columns_of(X)
    if columns is not None:
        if len(columns) != 1:
            names = ", ".join(map(repr, columns))
            raise InputError(f"{name} is a {type(X).__name__} with the columns {names}; {wanted}. Pass one column.")
        return as_list(next(iter(columns.values())), name, what)
    if hasattr(X, "to_pylist"):
        return list(X.to_pylist())
    if isinstance(X, np.ndarray) and X.ndim == 2 and X.shape[1] == 1:
        return list(X[:, 0])
    if isinstance(X, Iterator) or hasattr(X, "__iter__"):
        return list(X)
    raise InputError(f"{name} is a {type(X).__name__}; {wanted}.")


def _columns_of(X: Any) -> dict[str, Any] | None:
    """Give the columns of a frame of pandas, polars or Arrow; None for anything else."""
    names = getattr(X, "column_names", None) or getattr(X, "columns", None)
    if names is None or isinstance(X, np.ndarray) or not hasattr(X, "shape") or len(X.shape) != 2:
        return None
    return {str(column): X[column] for column in names}


def _indexed(X: Any, name: str, time_names: Sequence[str], time: str | None) -> Any:
    """Bring the times in the index of a pandas object among its columns; leave everything else as it is."""
    index: Any = getattr(X, "index", None)
    if not hasattr(index, "names"):
        return X
    frame = X if hasattr(X, "columns") else X.to_frame("y" if X.name is None else X.name)
    levels = getattr(index, "levels", [index])
    if any(type(level).__name__ == "TimedeltaIndex" for level in levels):
        raise InputError(f"{name} has durations in its index, and no times. Make times of them, or reset_index().")
    names = ["" if label is None else str(label) for label in index.names]
    timed = [
        type(level).__name__ in ("DatetimeIndex", "PeriodIndex") or label.strip().lower() in time_names
        for level, label in zip(levels, names, strict=True)
    ]
    if not any(timed):
        return frame
    if taken := [column for column in map(str, frame.columns) if column.strip().lower() in time_names]:
        raise InputError(
            f"{name} has times in its index and in the column {taken[0]!r}. Drop one of them: the index by "
            "reset_index(drop=True)."
        )
    if hasattr(index, "to_timestamp"):
        frame = frame.set_axis(index.to_timestamp(), axis=0)
    labels = [
        (time or (label if label.strip().lower() in time_names else INDEX)) if is_time else label or SERIES
        for label, is_time in zip(names, timed, strict=True)
    ]
    return frame.rename_axis(index=labels).reset_index()


def _values(column: Any) -> Any:
    """Give a column of narwhals as a list; times with a zone as `TimeColumn`."""
    import narwhals

    if not isinstance(column.dtype, narwhals.Datetime) or column.null_count():
        return column.to_list()
    zone = column.dtype.time_zone
    if zone is None:
        return column.to_numpy().astype("datetime64[ms]")
    utc = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None).to_numpy().astype("datetime64[ms]")
    try:
        known = check_zone(str(zone).removeprefix("UTC") or "Z")
    except OptionError:
        return column.to_list()
    offsets = offsets_at(utc, known)
    return TimeColumn(utc + offsets.astype("timedelta64[ms]"), offsets, known)
