"""What `tidegate predict` does with a forecaster: files of series in, tables, JSON or a picture of forecasts out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidegate.cli.options import collect_reading
from tidegate.cli.output import emit_json, emit_table, say, show
from tidegate.errors import InputError

if TYPE_CHECKING:
    from tidegate.data.series import Series
    from tidegate.tasks import Forecast, Forecaster


def print_forecasts(
    model: Forecaster, files: list[str], *, reading: list[str] | None, picture: Path | None, json: bool
) -> None:
    """Print a row for each series and time, or a JSON object for each series."""
    from tidegate.data.series_tables import read_again

    options = {name: str(value) for name, value in collect_reading(None, reading).items()}
    if not files or files == ["-"]:
        raise InputError("there is nothing to forecast. Give a CSV, TSV, JSONL or Parquet file of series.")
    for file in files:
        series = read_again(Path(file), model.roles_, options)
        forecasts = model.predict(series)
        if json:
            for forecast in forecasts:
                emit_json(_as_json(forecast))
        else:
            named = any(forecast.name for forecast in forecasts)
            names: list[dict[str, object]] = [{"unique_id": f.name} if named else {} for f in forecasts]
            emit_table([name | dict(row) for name, f in zip(names, forecasts, strict=True) for row in f.rows()])
        if picture:
            _draw(picture, series[0], forecasts[0])


def print_forecast(forecast: Forecast, *, json: bool) -> None:
    """Print one forecast of a series that goes on: a line for each time and then an empty one, or a JSON object."""
    if json:
        emit_json(_as_json(forecast))
        return
    for row in forecast.rows():
        print("\t".join([*([forecast.name] if forecast.name else []), *map(show, row.values())]))
    print()


def _as_json(forecast: Forecast) -> dict[str, Any]:
    return {
        "unique_id": forecast.name,
        "ds": [row["ds"] for row in forecast.rows()],
        "mean": dict(zip(forecast.columns, forecast.mean.T.tolist(), strict=True)),
        "quantiles": {
            f"{level:g}": dict(zip(forecast.columns, values.T.tolist(), strict=True))
            for level, values in forecast.quantiles.items()
        },
    }


def _draw(picture: Path, series: Series, forecast: Forecast) -> None:
    from tidegate.inspect.forecasts import draw_forecast

    kind = picture.suffix.lower().removeprefix(".")
    if kind not in ("png", "svg"):
        raise InputError(f"--picture {picture} is neither a .png nor an .svg file.")
    targets = len(forecast.columns)
    history = (series.times[: series.known], series.values[: series.known, :targets])
    picture.write_bytes(draw_forecast(forecast, history=history, picture="png" if kind == "png" else "svg"))
    say(f"Picture: {picture}")
