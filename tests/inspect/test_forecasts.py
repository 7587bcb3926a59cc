"""Pictures of forecasts: what is drawn lies where the numbers say, in both kinds and themes."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from tidegate.errors import InputError, OptionError
from tidegate.inspect import forecasts, style
from tidegate.inspect.forecasts import draw_forecast

TIMES = np.datetime64("2020-01-01", "ms") + np.arange(60) * np.timedelta64(3_600_000, "ms")


def forecast(**changes: Any) -> Any:
    mean = np.stack([np.linspace(1, 2, 6), np.linspace(5, 4, 6)], axis=1)
    quantiles = {level: mean + shift for level, shift in ((0.1, -1.0), (0.25, -0.5), (0.75, 0.5), (0.9, 1.0))}
    whole = {"name": "a", "times": TIMES[54:], "columns": ("u", "v"), "mean": mean, "quantiles": quantiles}
    return SimpleNamespace(**whole | {"truth": mean + 0.25} | changes)


HISTORY = (TIMES[:54], np.arange(108.0).reshape(54, 2))


@pytest.fixture
def figure(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Keep every figure that is drawn."""
    kept: list[Any] = []

    def keep(size: Any, paint: Any, **options: Any) -> bytes:
        def and_keep(figure: Any, look: Any) -> None:
            paint(figure, look)
            kept.append(figure)

        return style.draw(size, and_keep, **options)

    monkeypatch.setattr(forecasts, "draw", keep)
    return kept


def test_lines_and_bands_lie_where_the_numbers_say(figure: list[Any]) -> None:
    draw_forecast(forecast(), history=HISTORY, steps=12)
    panels = figure[0].axes
    assert [axes.get_ylabel() for axes in panels] == ["u", "v"]
    assert panels[-1].get_xlabel() == "time"
    lines = {line.get_label(): line.get_ydata().tolist() for line in panels[1].lines}
    assert lines["before"] == HISTORY[1][-12:, 1].tolist()
    assert lines["forecast"] == forecast().mean[:, 1].tolist()
    assert lines["what came"] == (forecast().mean[:, 1] + 0.25).tolist()
    bands = {band.get_label(): band.get_paths()[0].get_extents() for band in panels[0].collections}
    assert list(bands) == ["10% to 90%", "25% to 75%"]
    assert (bands["10% to 90%"].y0, bands["10% to 90%"].y1) == (0.0, 3.0)
    assert (bands["25% to 75%"].y0, bands["25% to 75%"].y1) == (0.5, 2.5)


def test_lines_differ_in_more_than_colour(figure: list[Any]) -> None:
    draw_forecast(forecast(), history=HISTORY)
    pens = {line.get_label(): (line.get_linestyle(), line.get_marker()) for line in figure[0].axes[0].lines}
    assert len(set(pens.values())) == 3


def test_columns_can_be_chosen_and_what_is_not_there_is_left_out(figure: list[Any]) -> None:
    draw_forecast(forecast(quantiles={0.5: forecast().mean}, truth=None), columns=("v",))
    (axes,) = figure[0].axes
    assert [line.get_label() for line in axes.lines] == ["forecast"]
    assert not axes.collections
    with pytest.raises(OptionError, match="unknown column 'w'"):
        draw_forecast(forecast(), columns=("w",))
    many = forecast(columns=tuple("abcdefghi"))
    with pytest.raises(InputError, match="there are 9 columns, and room for 8"):
        draw_forecast(many)


def test_both_kinds_and_themes_are_drawn_the_same_each_time() -> None:
    png = draw_forecast(forecast(), history=HISTORY)
    assert png.startswith(b"\x89PNG")
    assert draw_forecast(forecast(), history=HISTORY) == png
    svg = draw_forecast(forecast(times=np.arange(6)), picture="svg", theme="dark").decode()
    assert re.search(r">Forecast of a<", svg)
    assert style.look_of("dark").paper.lower() in svg.lower()
