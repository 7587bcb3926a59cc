"""The pictures and the page of the memory lab: what stands in them, and where."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from tidegate.errors import InputError
from tidegate.inspect.flow import Clipping, Flow, GradientFlow
from tidegate.inspect.style import Look, look_of
from tidegate.lab import Check, Outcome, draw_memory_curves, draw_memory_success, memory_report, pictures

GOAL, TRIVIAL = 0.01, 0.16


def outcome(cell: str, length: int, *levels: float) -> Outcome:
    """Make the outcome of a training that was checked every 50 updates."""
    curve = tuple(Check(50 * number, level, level) for number, level in enumerate(levels, start=1))
    return Outcome(
        cell=cell, length=length, trivial_level=TRIVIAL, goal=GOAL, curve=curve,
        updates=50 * len(levels), seconds=1.5, parameters=99,
    )  # fmt: skip


OUTCOMES = [
    outcome("rnn", 50, 0.1, 0.02),
    outcome("rnn", 800, 0.16, 0.16),
    outcome("lstm", 50, 0.005),
    outcome("lstm", 800, 0.1, 0.004),
]


def texts(svg: bytes) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg.decode())


def test_curves_name_lengths_cells_levels_and_units() -> None:
    found = texts(draw_memory_curves(OUTCOMES, measure="mean squared error", picture="svg"))
    assert [text for text in found if text.startswith("T = ")] == ["T = 50 steps", "T = 800 steps"]
    assert {"updates", "mean squared error", "rnn", "lstm", "trivial level", "goal"} <= set(found)
    assert found.count("rnn") == 1, "one legend for all panels"


def test_success_names_axes_cells_and_the_trivial_level() -> None:
    found = set(texts(draw_memory_success(OUTCOMES, picture="svg")))
    assert {"Level reached", "Updates until solved", "T, steps", "level / trivial level", "updates"} <= found
    assert {"rnn", "lstm", "trivial level", "50", "800"} <= found


def drawn(monkeypatch: pytest.MonkeyPatch, draw: Callable[[], bytes]) -> list[Axes]:
    """Draw, and hand out matplotlib's own axes in place of the picture."""
    kept: list[Axes] = []

    def keep(size: object, paint: Callable[[Figure, Look], None], **options: object) -> bytes:
        figure = Figure()
        paint(figure, look_of("light"))
        kept.extend(figure.axes)
        return b""

    monkeypatch.setattr(pictures, "draw", keep)
    draw()
    return kept


def points(line: Line2D) -> list[list[float]]:
    found: list[list[float]] = np.asarray(line.get_xydata()).tolist()
    return found


def test_success_stands_where_the_numbers_say(monkeypatch: pytest.MonkeyPatch) -> None:
    left, right = drawn(monkeypatch, lambda: draw_memory_success(OUTCOMES))
    lines = {str(line.get_label()): points(line) for line in left.lines}
    assert lines["rnn"] == [[50, 0.125], [800, 1.0]]
    assert lines["lstm"] == [[50, 0.03125], [800, 0.025]]
    hollow = [points(line) for line in left.lines if line.get_markerfacecolor() == left.get_facecolor()]
    assert hollow == [[[50, 0.125], [800, 1.0]]], "what was not solved, and nothing else"
    assert [points(line) for line in right.lines] == [[], [[50, 50], [800, 100]]]


def test_curves_stand_where_the_numbers_say(monkeypatch: pytest.MonkeyPatch) -> None:
    _, long = drawn(monkeypatch, lambda: draw_memory_curves(OUTCOMES, measure="level"))
    lines = {str(line.get_label()): points(line) for line in long.lines}
    assert lines["rnn"] == [[50, 0.16], [100, 0.16]]
    assert lines["lstm"] == [[50, 0.1], [100, 0.004]]
    assert {y for _, y in lines["trivial level"]} == {0.16}
    assert {y for _, y in lines["goal"]} == {0.01}


def test_a_cell_keeps_its_colour_where_others_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    rnn_long_only = OUTCOMES[1:]
    short, long = drawn(monkeypatch, lambda: draw_memory_curves(rnn_long_only, measure="level"))
    colours = [{line.get_label(): line.get_color() for line in axes.lines} for axes in (short, long)]
    assert colours[0]["lstm"] == colours[1]["lstm"] != colours[1]["rnn"]


def test_trainings_that_were_never_checked_are_left_out_or_refused() -> None:
    svg = draw_memory_success([*OUTCOMES, outcome("gru", 50)], picture="svg")
    assert "gru" in texts(svg)
    for draw in (draw_memory_success, lambda outcomes: draw_memory_curves(outcomes, measure="level")):
        with pytest.raises(InputError, match="nothing can be drawn: no training was checked even once"):
            draw([outcome("gru", 50)])


def test_the_page_holds_the_set_up_the_table_and_the_pictures() -> None:
    steps = np.arange(5)
    flow = GradientFlow(
        (Flow("layer 0 forward", "rnn_tanh", steps, 0.5**steps, None, steps + 1),), Clipping(1.0, 1.0, 1.0)
    )
    page = memory_report(
        "Memory lab: adding", {"batch size": "24"}, OUTCOMES, {"rnn": flow}, measure="mean squared error"
    )
    for text in (
        "Memory lab: adding",
        "<dt>batch size</dt><dd>24</dd>",
        "<td>lstm</td><td>800</td><td>yes</td><td>0.004</td>",
    ):
        assert text in page
    assert page.count("<picture>") == 3
    assert memory_report("Memory lab", {}, OUTCOMES, {}, measure="level").count("<picture>") == 2


def test_the_headline_shows_the_share_of_right_answers_where_there_is_one() -> None:
    row = outcome("rnn", 50, 0.1, 0.02).headline()
    assert row == {
        "cell": "rnn",
        "T": 50,
        "solved": "no",
        "level": 0.02,
        "trivial level": 0.16,
        "updates": 100,
        "seconds": 1.5,
    }
