"""What `tidegate predict` does with a forecaster: files of series in, tables, JSON or a picture of forecasts out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidegate.cli.files import Wish, choose_targets
from tidegate.cli.output import emit_json, emit_table, say, show
from tidegate.errors import InputError

if TYPE_CHECKING:
    from tidegate.data.series import Series
    from tidegate.tasks import Forecast, Forecaster


def forecast_files(model: Forecaster, files: list[Path], wish: Wish, *, picture: Path | None, json: bool) -> None:
    """Print a row for each series and time, or a JSON object for each series; or write the rows as a table."""
    from tidegate.data.rows import spell_table
    from tidegate.data.series_tables import read_again
    from tidegate.durable import atomic_write

    options = {name: str(value) for name, value in (wish.reading or {}).items()}
    if wish.text is not None or (wish.out and json):
        raise InputError(f"{'--text is not for forecasters' if wish.text else '-o writes a table'}. Leave one out.")
    if not files:
        raise InputError("there is nothing to forecast. Give a CSV, TSV, JSONL or Parquet file of series.")
    targets = choose_targets(files, wish.out, overwrite=wish.overwrite) if wish.out else [None] * len(files)
    for file, target in zip(files, targets, strict=True):
        series = read_again(file, model.roles_, options)
        forecasts = model.predict(series)
        _remark_on_means(forecasts)
        if json:
            for forecast in forecasts:
                emit_json(_as_json(forecast))
        elif target:
            table = _rows(forecasts)
            atomic_write(target, spell_table(table, file.suffix.lower()))
            say(f"{file}: {len(table):,} rows forecast, in {target}")
        else:
            emit_table(_rows(forecasts))
        if picture:
            _draw(picture, series[0], forecasts[0])


def _rows(forecasts: list[Forecast]) -> list[dict[str, object]]:
    """Make a row of each time of each series, with its name where one has a name."""
    named = any(forecast.name for forecast in forecasts)
    names: list[dict[str, object]] = [{"unique_id": f.name} if named else {} for f in forecasts]
    return [name | dict(row) for name, f in zip(names, forecasts, strict=True) for row in f.rows()]


def _remark_on_means(forecasts: list[Forecast]) -> None:
    """Say where means lie outside of their own quantiles, which no reader expects."""
    if share := sum(forecast.outside for forecast in forecasts) / max(len(forecasts), 1):
        say(
            f"warning: {share:.0%} of the means lie outside of the quantiles beside them. Train for more epochs; until "
            "then trust neither."
        )


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
