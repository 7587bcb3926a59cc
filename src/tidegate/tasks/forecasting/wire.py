"""How forecasters are asked over a network: tables of series by column, or arrays, and the forecast of each series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tidegate.data.frames import as_columns
from tidegate.data.series import Series
from tidegate.data.series_tables import as_series
from tidegate.data.times import show_times
from tidegate.errors import DataError, InputError
from tidegate.tasks.forecasting.forecast import Forecast
from tidegate.tasks.live import Live
from tidegate.tasks.wire import Array, Json, LiveWire, Tensor, Tensors, Wire, as_bytes, decoded, only

if TYPE_CHECKING:
    from tidegate.tasks.forecasting.forecaster import Forecaster


def read(model: Forecaster, given: Any) -> list[Series]:
    """Read a table of columns by name, or a list of arrays, as a model knows its columns; raises InputError."""
    if isinstance(given, Mapping):
        if bare := [name for name, column in given.items() if not isinstance(column, list | np.ndarray)]:
            raise DataError(f"the column {bare[0]!r} is no list. Give every column as a list, one value for each time.")
        return as_series(dict(given), model.roles_)
    if not isinstance(given, list):
        raise DataError("series come as a table, columns by name, or as a list of arrays.")
    try:
        arrays = [np.asarray(item, np.float64) for item in given]
    except (ValueError, TypeError):
        raise DataError("one of the series is no array [T] or [T, C] of numbers.") from None
    return as_series(arrays, model.roles_)


def cost(given: Any) -> int:
    """Count the values of a table or of arrays.

    >>> cost({"ds": ["2026-01-01", "2026-01-02"], "y": [1.0, 2.0]}), cost([[1.0, 2.0, 3.0]])
    (4, 3)
    """
    columns = given.values() if isinstance(given, Mapping) else given
    return sum(sum(map(_width, column)) for column in columns if hasattr(column, "__len__"))


def _width(cell: Any) -> int:
    return len(cell) if isinstance(cell, list) else 1


def ask(model: Forecaster, inputs: list[Any], _full: bool) -> list[Forecast]:
    """Forecast each series."""
    return model.predict(inputs)


def tell(_model: Any, forecast: Forecast) -> Json:
    """Tell the times, the mean and the quantiles of each column."""
    quantiles = {
        f"{level:g}": dict(zip(forecast.columns, values.T.tolist(), strict=True))
        for level, values in forecast.quantiles.items()
    }
    mean = dict(zip(forecast.columns, forecast.mean.T.tolist(), strict=True))
    times = show_times(forecast.times, forecast.step, forecast.zone)
    return {"unique_id": forecast.name, "ds": times, "mean": mean, "quantiles": quantiles}


def arrays(model: Forecaster, answers: Sequence[Forecast]) -> dict[str, Array]:
    """Give means `[B, H, K]`, quantiles `[B, H, K, Q]`, times `[B, H]` and names `[B]`."""
    shape = (len(answers), model.horizon, len(model.roles_.targets))
    means, quantiles = np.empty(shape), np.empty((*shape, len(model.quantiles)))
    for at, forecast in enumerate(answers):
        means[at] = forecast.mean
        for level, values in enumerate(forecast.quantiles.values()):
            quantiles[at, ..., level] = values
    times = [time for forecast in answers for time in show_times(forecast.times, forecast.step, forecast.zone)]
    named = {"ds": as_bytes(times).reshape(shape[:2]), "unique_id": as_bytes([forecast.name for forecast in answers])}
    return {"mean": means, "quantiles": quantiles, **named}


def tensors(_model: Any, found: Tensors) -> dict[str, Any]:
    """Read a table from arrays by the names of its columns, each `[N]`."""
    table = {}
    for name, array in found.items():
        column = array.ravel().tolist()
        table[name] = [decoded(cell, row) for row, cell in enumerate(column)] if array.dtype.kind == "O" else column
    return table


def steps(model: Forecaster, found: Tensors) -> list[Any]:
    """Read rows from arrays by the names of the columns, each `[n]`."""
    columns = [only(found, name).ravel().tolist() for name in model.roles_.columns]
    if len(set(map(len, columns))) > 1:
        raise DataError("the columns are not of one length.")
    return [list(row) for row in zip(*columns, strict=True)]


def inputs(model: Forecaster) -> list[Tensor]:
    """Name the arrays that columns come in: numbers, and where there are times and names, those as texts."""
    roles = model.roles_
    said = [name for name in (roles.time, roles.name) if name is not None]
    return [*((name, "BYTES", (-1,)) for name in said), *((name, "FP64", (-1,)) for name in roles.columns)]


def spell(X: Any) -> Any:
    """Bring a frame, columns by name, or arrays into a message."""
    if isinstance(X, str | Path):
        raise InputError("a path came. Read the file first, and pass a frame or columns by name.")
    if isinstance(X, np.ndarray):
        return [X.astype(np.float64).tolist()]
    if isinstance(X, list | tuple):
        if any(isinstance(item, Series) for item in X):
            raise InputError("series of Tidegate's own came. Pass the frame, columns by name, or arrays.")
        return [np.asarray(item, np.float64).tolist() for item in X]
    table = X if isinstance(X, Mapping) else as_columns(X, "X", ("ds",))
    return {str(name): _cells(column) for name, column in table.items()}


def _cells(column: Any) -> list[Any]:
    array = np.asarray(column)
    told: list[Any] = (np.datetime_as_string(array) if array.dtype.kind == "M" else array).tolist()
    return told


def hear(_labels: Sequence[Any], answers: Sequence[Json]) -> list[Forecast]:
    """Give forecasts. Their times are as the model writes them, `[H]` texts, where they do not merely count."""
    return [hear_step([], answer) for answer in answers]


def hear_step(_labels: Sequence[Any], answer: Json) -> Forecast:
    """Give the forecast from the last row on."""
    times = [int(time) for time in answer["ds"]] if all(map(str.isdigit, answer["ds"])) else answer["ds"]
    quantiles = {float(level): np.array(list(by.values())).T for level, by in answer["quantiles"].items()}
    mean = np.array(list(answer["mean"].values())).T
    return Forecast(answer["unique_id"], np.array(times), tuple(answer["mean"]), mean, quantiles)


def last(live: Live) -> list[Any]:
    """End; the last row was answered when it came."""
    live.close()
    return []


WIRE = Wire(
    given="series", read=read, cost=cost, ask=ask, tell=tell, arrays=arrays, tensors=tensors, inputs=inputs,
    outputs=(
        ("mean", "FP64", (-1, -1, -1)), ("quantiles", "FP64", (-1, -1, -1, -1)), ("ds", "BYTES", (-1, -1)),
        ("unique_id", "BYTES", (-1,)),
    ),
    spell=spell, hear={"predict": hear},
    live=LiveWire({"start": str | int, "series": str}, tell, last, steps, hear_step),
)  # fmt: skip
