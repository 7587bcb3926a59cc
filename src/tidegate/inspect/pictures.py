"""Draws what happened inside one sequence: gates as heat maps, states as lines, contributions as bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.errors import InputError
from tidegate.inspect.quantities import (
    Quantity,
    Stepped,
    Window,
    check_units,
    gates,
    most_moving,
    states,
    step_names,
    steps_to_draw,
    warn_of,
)
from tidegate.inspect.style import Look, Picture, Theme, add_legend, draw
from tidegate.inspect.tracing import DirectionTrace, Trace

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from tidegate.inspect.attribution import Attribution

Array: TypeAlias = npt.NDArray[Any]

MAX_STEPS = 80
"""Steps that a picture has room for: as many names can stand side by side below it."""

MAX_UNITS = 128
"""Units that a heat map has room for."""

_LINES = 6  # units that are drawn when none are named


def draw_gates(
    trace: Trace,
    direction: str = "layer 0 forward",
    *,
    units: Sequence[int] | None = None,
    begin: int = 0,
    picture: Picture = "png",
    theme: Theme = "light",
) -> bytes:
    """Draw the gates of one direction over one sequence: a heat map per gate, a row per unit, a column per step.

    Brightness tells the value, so that the picture can be printed in grey.

    Args:
        trace: of one sequence, as `Trace.sequence` gives it.
        direction: its name, such as `layer 0 forward`.
        units: which units, from top to bottom; by default all, at most 128.
        begin: the first step to show; a negative one counts from the end. At most 80 steps are shown, and a warning
            and the picture say what is left out.
        picture: `png` at 160 dots per inch, or `svg`, whose text stays text.
        theme: `light` or `dark`.

    Raises:
        OptionError: an unknown direction or unit; those that exist are named.
        InputError: the cell has no gates, or the trace is not of one sequence with at least one step.
        MissingPackageError: matplotlib is not installed.

    >>> from tidegate.inspect.tracing import trace
    >>> from tidegate.network import Network, Recurrent
    >>> network = Network.of(Recurrent(cell="gru", input_size=1, hidden_size=2, bias=False))
    >>> weights = {"0.weight_ih_l0": np.ones((6, 1)), "0.weight_hh_l0": np.ones((6, 2))}
    >>> draw_gates(trace((network, weights), [np.ones((3, 1))]))[1:4]
    b'PNG'
    """
    chosen = trace.direction(direction)
    found = gates(chosen)
    steps = steps_to_draw(trace, begin=begin, limit=MAX_STEPS)
    named, note = _heat_units(chosen, units)
    left_out = warn_of(steps.left_out("steps"), note)

    def paint(figure: Figure, look: Look) -> None:
        panels = figure.subplots(len(found), 1, sharex=True, squeeze=False)[:, 0]
        for axes, gate in zip(panels, found, strict=True):
            _paint_heat(figure, axes, gate, steps, named)
        _name_steps(panels[-1], trace, steps)
        figure.suptitle(_title(chosen, left_out), fontsize=10)

    height = len(found) * min(2.4, max(1.2, 0.5 + 0.07 * len(named))) + 1.2
    return draw((_width(steps), height), paint, picture=picture, theme=theme)


def draw_states(
    trace: Trace,
    direction: str = "layer 0 forward",
    *,
    units: Sequence[int] | None = None,
    begin: int = 0,
    picture: Picture = "png",
    theme: Theme = "light",
) -> bytes:
    """Draw the cell state, where there is one, and the hidden state of some units over one sequence, as lines.

    Args:
        trace: of one sequence, as `Trace.sequence` gives it.
        direction: its name, such as `layer 0 forward`.
        units: which units; by default the six whose state moves most.
        begin: the first step to show; a negative one counts from the end. At most 80 steps are shown, and a warning
            and the picture say what is left out.
        picture: `png` at 160 dots per inch, or `svg`, whose text stays text.
        theme: `light` or `dark`.

    Raises:
        OptionError: an unknown direction or unit; those that exist are named.
        InputError: the trace is not of one sequence with at least one step.
        MissingPackageError: matplotlib is not installed.

    >>> from tidegate.inspect.tracing import trace
    >>> from tidegate.network import Network, Recurrent
    >>> network = Network.of(Recurrent(cell="rnn_tanh", input_size=1, hidden_size=2, bias=False))
    >>> weights = {"0.weight_ih_l0": np.ones((2, 1)), "0.weight_hh_l0": np.eye(2)}
    >>> draw_states(trace((network, weights), [np.ones((3, 1))]), units=[1])[1:4]
    b'PNG'
    """
    chosen = trace.direction(direction)
    found = states(chosen)
    steps = steps_to_draw(trace, begin=begin, limit=MAX_STEPS)
    named = most_moving(found[0].values)[:_LINES] if units is None else check_units(units, chosen)
    left_out = warn_of(steps.left_out("steps"))

    def paint(figure: Figure, look: Look) -> None:
        panels = figure.subplots(len(found), 1, sharex=True, squeeze=False)[:, 0]
        for axes, state in zip(panels, found, strict=True):
            for number, unit in enumerate(named):
                line = state.values[steps.rows, unit]
                pen = look.pen(number, points=len(line))
                axes.plot(range(steps.begin, steps.end), line, label=f"unit {unit}", **pen)
            axes.axhline(0.0, color=look.ink, linewidth=0.8)
            axes.set(title=state.name.capitalize(), ylabel="value, no unit")
        _name_steps(panels[-1], trace, steps)
        figure.suptitle(_title(chosen, left_out), fontsize=10)
        add_legend(figure, columns=int(_width(steps) / 1.5))

    return draw((_width(steps), 2.3 * len(found) + 1.4), paint, picture=picture, theme=theme)


def draw_attribution(
    attribution: Attribution,
    *,
    by_direction: bool = False,
    begin: int = 0,
    picture: Picture = "png",
    theme: Theme = "light",
) -> bytes:
    """Draw how much each step of one sequence moved the prediction: a bar up for more, a bar down for less.

    Args:
        attribution: of one sequence.
        by_direction: draw a bar for each direction instead of their sum.
        begin: the first step to show; a negative one counts from the end. At most 80 steps are shown, and a warning
            and the picture say what is left out.
        picture: `png` at 160 dots per inch, or `svg`, whose text stays text.
        theme: `light` or `dark`.

    Raises:
        InputError: the attribution is not of one sequence with at least one step, or knows no directions.
        MissingPackageError: matplotlib is not installed.

    >>> from tidegate.inspect.attribution import attribute
    >>> from tidegate.network import Network, Pool, Recurrent
    >>> network = Network.of(Recurrent(cell="rnn_relu", input_size=1, hidden_size=1, bias=False), Pool(modes=("last",)))
    >>> weights = {"0.weight_ih_l0": np.ones((1, 1)), "0.weight_hh_l0": np.ones((1, 1))}
    >>> draw_attribution(attribute((network, weights), [np.ones((3, 1))]))[1:4]
    b'PNG'
    """
    steps = steps_to_draw(attribution, begin=begin, limit=MAX_STEPS)
    bars = _scores_by_direction(attribution) if by_direction else {"all": attribution.scores}
    left_out = warn_of(steps.left_out("steps"))

    def paint(figure: Figure, look: Look) -> None:
        axes = figure.subplots()
        for number, (name, scores) in enumerate(bars.items()):
            _paint_bars(axes, look, scores[steps.rows], steps, (number, len(bars)), name)
        axes.axhline(0.0, color=look.ink, linewidth=0.8)
        axes.set(title=f"What moved the prediction {attribution.target[0]!s}", ylabel="contribution to the logit")
        axes.grid(visible=False, axis="x")
        _name_steps(axes, attribution, steps)
        if left_out:
            figure.suptitle(left_out, fontsize=10)
        if by_direction:
            add_legend(figure, columns=2)

    return draw((_width(steps), 3.6), paint, picture=picture, theme=theme)


def _paint_heat(figure: Figure, axes: Axes, gate: Quantity, steps: Window, units: Sequence[int]) -> None:
    """Draw one heat map, on the scale that its gate can reach."""
    values = gate.values[steps.rows][:, list(units)].T  # [units, steps]
    edges = (steps.begin - 0.5, steps.end - 0.5, len(units) - 0.5, -0.5)
    image = axes.imshow(
        values, cmap="cividis", vmin=gate.low, vmax=gate.high, aspect="auto", interpolation="nearest", extent=edges
    )
    axes.grid(visible=False)
    axes.set(title=f"{gate.name.capitalize()}", ylabel="unit")
    ticks = range(0, len(units), -(-len(units) // 5))
    axes.set_yticks(ticks, [str(units[tick]) for tick in ticks])
    figure.colorbar(
        image,
        ax=axes,
        label="value, no unit",
        pad=0.01,
        aspect=12,
        ticks=(gate.low, 0.5 * (gate.low + gate.high), gate.high),
    )


def _paint_bars(axes: Axes, look: Look, scores: Array, steps: Window, place: tuple[int, int], name: str) -> None:
    """Draw one bar per step; `place` is the number of the bar among those that share a step."""
    number, together = place
    thick = 0.8 / together
    at = np.arange(steps.begin, steps.end) + (number - (together - 1) / 2) * thick
    colours = [look.more if score > 0 else look.less for score in scores]
    axes.bar(at, scores, thick, color=colours, hatch="////" * number)
    axes.bar(0, 0, color="#888888", hatch="////" * number, label=name)  # for the legend: a direction has no colour


def _scores_by_direction(attribution: Attribution) -> dict[str, Array]:
    if attribution.direction_scores is None:
        raise InputError(
            "this attribution does not tell directions apart. That takes integrated gradients through a bidirectional "
            "layer."
        )
    return attribution.direction_scores


def _heat_units(direction: DirectionTrace, units: Sequence[int] | None) -> tuple[list[int], str]:
    """Choose the rows of a heat map, and say which units were left out for want of room."""
    if units is not None:
        return check_units(units, direction), ""
    window = Window.of(direction.h.shape[1], limit=MAX_UNITS)
    return list(range(window.begin, window.end)), window.left_out("units")


def _name_steps(axes: Axes, of: Stepped, steps: Window) -> None:
    """Write the tokens below the axes, or let matplotlib number the steps; a token is never read as mathematics."""
    if of.steps is None:
        axes.set_xlabel("step, counted from 0")
        axes.locator_params(axis="x", integer=True)
    else:
        places = range(steps.begin, steps.end)
        axes.set_xticks(places, step_names(of, steps), rotation=90, fontsize=8, parse_math=False)
        axes.set_xlabel("token, in the order of the text")
    axes.set_xlim(steps.begin - 0.6, steps.end - 0.4)


def _title(direction: DirectionTrace, left_out: str) -> str:
    return f"{direction.name} ({direction.cell})" + (f"; {left_out}" if left_out else "")


def _width(steps: Window) -> float:
    return min(14.0, max(5.5, 2.5 + 0.16 * (steps.end - steps.begin)))
