"""The page of a search, and its pictures. Knows trials as numbers, and nothing of how they were trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tidegate.errors import InputError
from tidegate.inspect.page import figure, page, section
from tidegate.inspect.report import Row, numbers, table
from tidegate.inspect.style import Look, Picture, Theme, draw
from tidegate.search.trials import Tried

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Paint = Callable[["Figure", Look], None]


def search_report(
    title: str, measure: str, tried: Sequence[Tried], best: Tried | None, importances: Mapping[str, float]
) -> str:
    """Write the page: the best trial, all of them as a table, and three pictures.

    Args:
        title: what was tried on what.
        measure: the name of what is to be best.
        tried: the trials that have ended.
        best: the best one; None where none came to its end.
        importances: how much each parameter matters, from 0 to 1; empty where that is not known.
    """
    top = {"trials": str(len(tried))}
    if best is not None:
        top |= {f"best {measure}": show(best.value), "of trial": str(best.number)}
        top |= {name: show(value) for name, value in best.params.items()}
    body = [numbers(top), section("Trials", table(rows_of(tried, measure)))]
    if any(one.value is not None for one in tried):
        pictures = {
            "Parallel coordinates": (draw_coordinates, "A line for each trial through its parameters to its measure"),
            "Learning curves": (draw_curves, "The measure of each trial over the epochs"),
        }
        for name, (paint, told) in pictures.items():
            body.append(section(name, figure(_svg(paint, tried, measure, best), told)))
    if importances:
        told = "How much of the difference between trials hangs on each parameter"
        body.append(section("Importance", figure(_svg(draw_importances, importances), told)))
    return page(title, body)


def rows_of(tried: Sequence[Tried], measure: str) -> list[Row]:
    """Say in a line of text for each trial what was tried, and what it came to."""
    names = list(dict.fromkeys(name for one in tried for name in one.params))
    return [
        {"trial": str(one.number)}
        | {name: show(one.params.get(name)) for name in names}
        | {measure: show(one.value), "epochs": str(len(one.values)), "ended": one.ended}
        for one in tried
    ]


def show(value: object) -> str:
    """Say a number in four digits, and anything else as it is.

    >>> show(0.123456), show(12), show("gru"), show(None)
    ('0.1235', '12', 'gru', '-')
    """
    return "-" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def draw_coordinates(
    tried: Sequence[Tried], measure: str, best: Tried | None, *, picture: Picture = "png", theme: Theme = "light"
) -> bytes:
    """Draw a line for each trial: an upright axis for each parameter, and one for the measure, at the right.

    Raises:
        InputError: no trial was measured.
        MissingPackageError: matplotlib is not installed.
    """
    measured = _measured(tried)
    names = list(dict.fromkeys(name for one in measured for name in one.params))
    scales = [_Scale([one.params.get(name) for one in measured]) for name in names]
    scales.append(_Scale([one.value for one in measured]))

    def paint(figure: Figure, look: Look) -> None:
        axes = figure.subplots()
        for one in measured:
            values = [*(one.params.get(name) for name in names), one.value]
            heights = [scale.height(value) for scale, value in zip(scales, values, strict=True)]
            axes.plot(range(len(scales)), heights, **_line(look, one, best))
        for place, scale in enumerate(scales):
            axes.axvline(place, color=look.ink, linewidth=0.8)
            for height, text in scale.marks():
                box = {"boxstyle": "round,pad=0.1", "facecolor": look.paper, "edgecolor": "none", "alpha": 0.8}
                axes.annotate(
                    text, (place, height), (4, 0), textcoords="offset points", fontsize=8, va="center", bbox=box
                )
        axes.set_xticks(range(len(scales)), [*names, measure])
        axes.set(yticks=[], ylim=(-0.06, 1.06), xlim=(-0.2, len(scales) - 0.5))
        axes.grid(visible=False)
        axes.spines["left"].set_visible(False)

    return draw((max(6.0, 1.5 * len(scales)), 3.8), paint, picture=picture, theme=theme)


def draw_curves(
    tried: Sequence[Tried], measure: str, best: Tried | None, *, picture: Picture = "png", theme: Theme = "light"
) -> bytes:
    """Draw the measure of each trial over the epochs, the best trial above the others; errors as above."""
    measured = _measured(tried)

    def paint(figure: Figure, look: Look) -> None:
        axes: Axes = figure.subplots()
        for one in measured:
            axes.plot(list(one.values), list(one.values.values()), marker="o", markersize=3, **_line(look, one, best))
        axes.set(xlabel="epochs", ylabel=measure)

    return draw((6.4, 3.7), paint, picture=picture, theme=theme)


def draw_importances(importances: Mapping[str, float], *, picture: Picture = "png", theme: Theme = "light") -> bytes:
    """Draw how much each parameter matters, as bars; raises MissingPackageError where matplotlib is not installed."""
    names = sorted(importances, key=lambda name: importances[name])

    def paint(figure: Figure, look: Look) -> None:
        axes = figure.subplots()
        axes.barh(names, [importances[name] for name in names], color=look.lines[0], height=0.6)
        axes.set(xlabel="importance", xlim=(0, 1))
        axes.grid(visible=False, axis="y")

    return draw((6.4, 0.9 + 0.35 * len(names)), paint, picture=picture, theme=theme)


class _Scale:
    """Put values on an upright axis from 0 to 1: numbers by their size or its logarithm, others by their order."""

    def __init__(self, values: Sequence[Any]) -> None:
        plain = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
        self.numbers = len(plain) == len(values)
        self.known: list[Any] = sorted(set(plain)) if self.numbers else list(dict.fromkeys(map(str, values)))
        self.low: Any
        self.high: Any
        self.low, self.high = (self.known[0], self.known[-1]) if self.numbers else (0, len(self.known) - 1)
        self.log = self.numbers and self.low > 0 and self.high / self.low > 20

    def height(self, value: Any) -> float:
        """Say where a value is."""
        from math import log

        place = value if self.numbers else self.known.index(str(value))
        if self.high == self.low:
            return 0.5
        if self.log:
            return log(place / self.low) / log(self.high / self.low)
        return float((place - self.low) / (self.high - self.low))

    def marks(self) -> list[tuple[float, str]]:
        """List what is written beside the axis: the ends of numbers, and all of the others."""
        ends = [self.low, self.high] if self.low != self.high else [self.low]
        return [(self.height(value), show(value)) for value in (ends if self.numbers else self.known)]


def _line(look: Look, one: Tried, best: Tried | None) -> dict[str, Any]:
    if best is not None and one.number == best.number:
        return {"color": look.more, "linewidth": 2.4, "zorder": 3}
    return {"color": look.ink, "linewidth": 0.9, "alpha": 0.35, "linestyle": ":" if one.ended == "pruned" else "-"}


def _measured(tried: Sequence[Tried]) -> list[Tried]:
    found = [one for one in tried if one.value is not None]
    if not found:
        raise InputError("nothing can be drawn: no trial was measured. Let one train for an epoch.")
    return found


def _svg(draw_it: Callable[..., bytes], *what: Any) -> Callable[[Theme], bytes]:
    return lambda theme: draw_it(*what, picture="svg", theme=theme)
