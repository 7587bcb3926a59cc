"""Draws what the memory lab found: curves of learning, and success against the length.

Knows outcomes, and nothing of how they were trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tidegate.errors import InputError
from tidegate.inspect.style import Look, Picture, Theme, add_legend, draw
from tidegate.lab.outcome import Outcome

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw_memory_curves(
    outcomes: Sequence[Outcome], *, measure: str, picture: Picture = "png", theme: Theme = "light"
) -> bytes:
    """Draw the level over the updates: a panel per length, a line per cell, the trivial level and the goal beside them.

    Args:
        outcomes: what is to be drawn.
        measure: what the level is, with its unit.
        picture: `png` at 160 dots per inch, or `svg`, whose text stays text.
        theme: `light` or `dark`.

    Raises:
        InputError: no outcome has been checked even once.
        MissingPackageError: matplotlib is not installed.
    """
    cells, lengths = _names_and_lengths(outcomes)
    most = 1.03 * max(outcome.updates for outcome in outcomes)
    columns = min(3, len(lengths))
    rows = -(-len(lengths) // columns)

    def paint(figure: Figure, look: Look) -> None:
        panels = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
        for number, (axes, length) in enumerate(zip(panels, lengths, strict=False)):
            _draw_levels(axes, look, cells, [outcome for outcome in outcomes if outcome.length == length])
            axes.set(title=f"T = {length:,} steps", yscale="log", xlabel="updates", xlim=(0, most))
            axes.set_ylabel(measure if number % columns == 0 else "")
        for axes in panels[len(lengths) :]:
            axes.remove()
        add_legend(figure, columns=4)

    return draw((max(5.0, 3.6 * columns), 2.8 * rows + 0.9), paint, picture=picture, theme=theme)


def draw_memory_success(outcomes: Sequence[Outcome], *, picture: Picture = "png", theme: Theme = "light") -> bytes:
    """Draw success against the length: the level reached as a share of the trivial one, and the updates until solved.

    A task that was not solved is a hollow mark on the left, and has none on the right.

    Args:
        outcomes: what is to be drawn.
        picture: `png` at 160 dots per inch, or `svg`, whose text stays text.
        theme: `light` or `dark`.

    Raises:
        InputError: no outcome has been checked even once.
        MissingPackageError: matplotlib is not installed.
    """
    cells, lengths = _names_and_lengths(outcomes)

    def paint(figure: Figure, look: Look) -> None:
        left, right = figure.subplots(1, 2)
        for number, cell in enumerate(cells):
            mine = [outcome for outcome in outcomes if outcome.cell == cell and outcome.level is not None]
            _draw_reached(left, look.pen(number), cell, mine)
            solved = [(outcome.length, outcome.updates) for outcome in mine if outcome.solved]
            right.plot(*zip(*solved, strict=True) if solved else ((), ()), **look.pen(number))
        left.axhline(1.0, color=look.ink, linewidth=1.0, linestyle=":", label="trivial level")
        left.set(title="Level reached", ylabel="level / trivial level", yscale="log")
        right.set(title="Updates until solved", ylabel="updates", ylim=(0, None))
        for axes in (left, right):
            axes.set(xlabel="T, steps", xscale="log", xlim=(lengths[0] / 1.2, lengths[-1] * 1.2))
            axes.set_xticks(lengths, [str(length) for length in lengths])
            axes.minorticks_off()
        add_legend(figure, columns=4)

    return draw((8.6, 4.0), paint, picture=picture, theme=theme)


def _draw_levels(axes: Axes, look: Look, cells: Sequence[str], outcomes: Sequence[Outcome]) -> None:
    """Draw the curves of one length; a cell keeps its colour and mark in every panel."""
    for outcome in outcomes:
        points = [(check.update, check.level) for check in outcome.curve]
        if points:
            pen = look.pen(cells.index(outcome.cell), points=len(points))
            axes.plot(*zip(*points, strict=True), label=outcome.cell, **pen)
    for name, level, dash in (("trivial level", outcomes[0].trivial_level, ":"), ("goal", outcomes[0].goal, "--")):
        axes.axhline(level, color=look.ink, linewidth=1.0, linestyle=dash, label=name)


def _draw_reached(axes: Axes, pen: dict[str, Any], cell: str, outcomes: Sequence[Outcome]) -> None:
    """Draw the level that one cell reached at each length, hollow where it did not solve the task."""
    share = [(outcome.level or 0.0) / outcome.trivial_level for outcome in outcomes]
    (line,) = axes.plot([outcome.length for outcome in outcomes], share, label=cell, **pen)
    unsolved = [(outcome.length, part) for outcome, part in zip(outcomes, share, strict=True) if not outcome.solved]
    if unsolved:
        hollow = pen | {"linestyle": "", "markerfacecolor": axes.get_facecolor(), "zorder": line.get_zorder() + 1}
        axes.plot(*zip(*unsolved, strict=True), **hollow)


def _names_and_lengths(outcomes: Sequence[Outcome]) -> tuple[list[str], list[int]]:
    """List the cells in their order, and the lengths from short to long; refuse to draw nothing."""
    if not any(outcome.curve for outcome in outcomes):
        raise InputError("nothing can be drawn: no training was checked even once. Let one run up to its first check.")
    return list(dict.fromkeys(outcome.cell for outcome in outcomes)), sorted({outcome.length for outcome in outcomes})
