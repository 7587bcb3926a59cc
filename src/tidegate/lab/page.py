"""The page of a visit to the memory lab: what was trained, what it came to, and the pictures of that."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tidegate.inspect.charts import draw_gradient_flow
from tidegate.inspect.page import figure, page, section
from tidegate.inspect.report import Row, numbers, table
from tidegate.inspect.style import Theme
from tidegate.lab.outcome import Outcome
from tidegate.lab.pictures import draw_memory_curves, draw_memory_success

if TYPE_CHECKING:
    from tidegate.inspect.flow import GradientFlow


def memory_report(
    title: str, facts: Row, outcomes: Sequence[Outcome], flows: Mapping[str, GradientFlow], *, measure: str
) -> str:
    """Write the page of a visit to the lab: what was trained, the table, the pictures.

    Args:
        title: what was tried.
        facts: the set-up, as text under its names.
        outcomes: what every cell came to at every length; at least one that was checked.
        flows: the gradient flow of trained cells, by a name each; none leaves that picture out.
        measure: what the level is, with its unit.
    """
    body = [
        numbers(facts),
        section("Results", table([_texts(outcome.headline()) for outcome in outcomes])),
        section(
            "Success against the length", figure(_svg(draw_memory_success, outcomes), "Level reached by each cell")
        ),
        section(
            "Learning",
            figure(_svg(draw_memory_curves, outcomes, measure=measure), "Level of each cell over the updates"),
        ),
    ]
    if flows:
        body.append(section("Gradient flow", figure(_svg(draw_gradient_flow, flows), "Gradient against the distance")))
    return page(title, body)


def _svg(draw_it: Callable[..., bytes], *what: Any, **options: Any) -> Callable[[Theme], bytes]:
    return lambda theme: draw_it(*what, **options, picture="svg", theme=theme)


def _texts(row: Mapping[str, Any]) -> dict[str, str]:
    return {name: _text(value) for name, value in row.items()}


def _text(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
