"""How forecasters answer: files of series with tables of what comes next, and rows of live series one by one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tidegate.data.series_tables import read_again, time_columns
from tidegate.data.showing import show
from tidegate.data.times import show_time
from tidegate.errors import DataError
from tidegate.tasks.answers import Answers, Told, Whole
from tidegate.tasks.forecasting import wire
from tidegate.tasks.forecasting.forecast import Forecast
from tidegate.tasks.forecasting.live import ForecasterStream
from tidegate.tasks.live import read_numbers

if TYPE_CHECKING:
    from tidegate.data.series import Series
    from tidegate.tasks.forecasting.forecaster import Forecaster


def answer_file(model: Forecaster, file: Path, reading: Mapping[str, str]) -> Whole:
    """Forecast the series of a file, read as those that were trained on, unless `reading` says otherwise."""
    series = read_again(file, model.roles_, dict(reading))
    forecasts = model.predict(series)
    return Whole(
        rows=_rows(forecasts),
        told=list(map(tell, forecasts)),
        remarks=list(_remarks(forecasts)),
        draw=lambda kind: _draw(series[0], forecasts[0], kind),
    )


def tell(forecast: Forecast) -> Told:
    """Tell one forecast: a line for each time and then an empty one."""
    rows, name = forecast.rows(), [forecast.name] if forecast.name else []
    lines = ("\t".join([*name, *map(show, row.values())]) + "\n" for row in rows)
    return Told("".join(lines), wire.tell(None, forecast))


class SeriesFeed:
    """Answers each row of a series with the forecast from there on, once its look-back is filled.

    A header names the columns that were trained on, and those of the time and of the series; without one a row holds
    the values alone. Where a time does not follow the one before, the series begins anew.
    """

    def __init__(self, model: Forecaster, **_options: Any) -> None:
        self._model, self._roles, self._live = model, model.roles_, dict[str, ForecasterStream]()

    def take(self, _name: str, header: Sequence[str] | None, cells: list[str]) -> tuple[Told | None, str | None]:
        """Take the row of a time; raises InputError where it cannot be read."""
        roles = self._roles
        named = dict(zip(header or roles.columns, cells, strict=False))
        if lacking := [column for column in roles.columns if column not in named]:
            raise DataError(f"it has no {lacking[0]!r}. Begin with a header that names {', '.join(roles.columns)}.")
        name = named.get(roles.name or "unique_id", "")
        start = self._time(named)
        stream, note = self._live.get(name), None
        if stream is not None and start is not None and stream.next_time != stream.read_time(start):
            awaited, came = (show_time(time, stream.zone) for time in (stream.next_time, stream.read_time(start)))
            note = f"{awaited} was to come, not {came}: the series begins anew."
            stream = None
        stream = stream or self._model.stream(start=start, series=name)
        forecast = stream.step(read_numbers([named[column] for column in roles.columns]))
        self._live[name] = stream
        return None if forecast is None else tell(forecast), note

    def clear(self) -> None:
        """Begin all series anew."""
        self._live.clear()

    def _time(self, named: Mapping[str, str]) -> Any:
        """Give the time of a row as it is written; None where it has none."""
        parts = [named.get(column) for column in time_columns(self._roles.time or "ds", list(named))]
        cell = " ".join(part for part in parts if part is not None)
        return (int(cell) if cell.strip().lstrip("-").isdigit() else cell) if cell else None


def _rows(forecasts: list[Forecast]) -> list[dict[str, Any]]:
    """Make a row of each time of each series, with its name where one has a name."""
    named = any(forecast.name for forecast in forecasts)
    names: list[dict[str, Any]] = [{"unique_id": f.name} if named else {} for f in forecasts]
    return [name | dict(row) for name, f in zip(names, forecasts, strict=True) for row in f.rows()]


def _remarks(forecasts: list[Forecast]) -> Iterator[str]:
    """Say where means lie outside of their own quantiles, which no reader expects."""
    if share := sum(forecast.outside for forecast in forecasts) / max(len(forecasts), 1):
        yield (
            f"{share:.0%} of the means lie outside of the quantiles beside them. Train for more epochs; until then "
            "trust neither."
        )


def _draw(series: Series, forecast: Forecast, kind: Literal["png", "svg"]) -> bytes:
    from tidegate.inspect.forecasts import draw_forecast

    history = (series.times[: series.known], series.values[: series.known, : len(forecast.columns)])
    return draw_forecast(forecast, history=history, picture=kind)


ANSWERS = Answers(whole=answer_file, feed=SeriesFeed, wire=wire.WIRE)
