"""Draws a forecast: what was, what is expected with its intervals, and what came. Knows arrays, not models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy.typing as npt

from tidegate.errors import InputError, OptionError
from tidegate.inspect.style import Look, Picture, Theme, add_legend, draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array: TypeAlias = npt.NDArray[Any]

MAX_COLUMNS = 8
"""Columns that a picture has room for."""


class Drawable(Protocol):
    """What is drawn: H times, and of K columns the mean, quantiles by their level, and the truth where it is known."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def times(self) -> Array: ...  # noqa: D102
    @property
    def columns(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def mean(self) -> Array: ...  # noqa: D102
    @property
    def quantiles(self) -> dict[float, Array]: ...  # noqa: D102
    @property
    def truth(self) -> Array | None: ...  # noqa: D102


def draw_forecast(
    forecast: Drawable,
    *,
    history: tuple[Array, Array] | None = None,
    columns: tuple[str, ...] | None = None,
    steps: int | None = None,
    picture: Picture = "png",
    theme: Theme = "light",
) -> bytes:
    """Draw one forecast, a panel for each column over one axis of time.

    Bands lie between the lowest and the highest quantile, the next lowest and the next highest, and so on.

    Args:
        forecast: of one series from one origin, such as `Forecaster.predict` and `backtest` give.
        history: what was before: times [T] and values [T, K].
        columns: which to draw, from top to bottom; by default all, at most 8.
        steps: how much of the history to draw; by default twice the horizon, at least 24.
        picture: `png` at 160 dots per inch, or `svg`, whose text stays text.
        theme: `light` or `dark`.

    Raises:
        OptionError: a column that the forecast does not have.
        InputError: more columns than there is room for.
        MissingPackageError: matplotlib is not installed.

    >>> import numpy as np
    >>> from types import SimpleNamespace
    >>> one = SimpleNamespace(
    ...     name="a", times=np.arange(2), columns=("y",), mean=np.ones((2, 1)), quantiles={}, truth=None)
    >>> draw_forecast(one)[1:4]
    b'PNG'
    """
    chosen = forecast.columns if columns is None else columns
    if unknown := [name for name in chosen if name not in forecast.columns]:
        raise OptionError.unknown("column", unknown[0], forecast.columns)
    if len(chosen) > MAX_COLUMNS:
        raise InputError(
            f"there are {len(chosen)} columns, and room for {MAX_COLUMNS} in a picture. Name those to draw: columns=..."
        )
    shown = steps or max(2 * len(forecast.times), 24)

    def paint(figure: Figure, look: Look) -> None:
        panels = figure.subplots(len(chosen), 1, squeeze=False, sharex=True)[:, 0]
        for name, axes in zip(chosen, panels, strict=True):
            _paint_column(axes, look, forecast, forecast.columns.index(name), history, shown)
        panels[0].set_title(f"Forecast of {forecast.name}" if forecast.name else "Forecast")
        panels[-1].set_xlabel("time")
        if forecast.times.dtype.kind == "M":
            _tell_dates(panels[-1])
        add_legend(figure, columns=4)

    return draw((8.2, 1.4 + 1.7 * len(chosen)), paint, picture=picture, theme=theme)


def _paint_column(
    axes: Axes, look: Look, forecast: Drawable, column: int, history: tuple[Array, Array] | None, shown: int
) -> None:
    colour = look.lines[0]
    if history is not None:
        times, values = history[0][-shown:], history[1][-shown:, column]
        axes.plot(times, values, color=look.ink, linewidth=1.2, label="before")
    levels = sorted(forecast.quantiles)
    for low, high in zip(levels, reversed(levels), strict=True):
        if low < high:
            below, above = (forecast.quantiles[level][:, column] for level in (low, high))
            label = f"{100 * low:.4g}% to {100 * high:.4g}%"
            axes.fill_between(forecast.times, below, above, color=colour, alpha=0.2, linewidth=0, label=label)
    marks: dict[str, Any] = {"marker": "o", "markersize": 3.5} if len(forecast.times) <= 48 else {}
    axes.plot(forecast.times, forecast.mean[:, column], color=colour, linewidth=2.2, label="forecast", **marks)
    if forecast.truth is not None:
        truth = forecast.truth[:, column]
        axes.plot(forecast.times, truth, color=look.lines[1], linewidth=1.4, linestyle="--", label="what came")
    axes.set_ylabel(forecast.columns[column])


def _tell_dates(axes: Axes) -> None:
    """Write dates as short as they can be understood."""
    from matplotlib import dates

    locator = dates.AutoDateLocator(maxticks=9)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
