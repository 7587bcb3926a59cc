"""Writes the reports of runs. Knows numbers and records, not tasks or run folders."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

from tidegate.inspect.charts import draw_reliability
from tidegate.inspect.curves import History, draw_learning_curves
from tidegate.inspect.page import Markup, figure, page, section

Row = Mapping[str, str]
"""One line of a table: the text of each cell under its heading; the rows of one table share their headings."""


def run_report(
    title: str,
    figures: Row,
    history: History,
    recipe: str,
    *,
    warnings: Sequence[str] = (),
    bins: Sequence[Sequence[float]] = (),
) -> str:
    """Write the report of one run: its numbers, its learning curve, every epoch and the recipe.

    Args:
        title: what was trained on what.
        figures: what stands at the top, as text under their names.
        history: one record per epoch.
        recipe: the text of `recipe.toml`.
        warnings: what was wrong while it trained; nothing is said of it where there are none.
        bins: how certain answers are, and how often right, as `draw_reliability` takes them; none are not drawn.

    >>> page = run_report("lstm on digits", {"test accuracy": "97.2 %"}, [{"epoch": 1, "valid_loss": 0.4}], "seed = 0")
    >>> page.startswith("<!doctype html>"), "97.2 %" in page, "<picture>" in page
    (True, True, True)
    """
    said = dict.fromkeys(key for record in history for key, value in record.items() if not isinstance(value, list))
    epochs = [{key.replace("_", " "): _figure(key, record.get(key, "")) for key in said} for record in history]
    first = [record for record in history if not record.get("refit")]
    body = [
        numbers(figures),
        *([section("Warnings", _list(warnings))] if warnings else []),
        section("Learning curve", _curves({"this run": first})),
        *([section("Reliability", _reliability(bins))] if bins else []),
        section("Epochs", table(epochs)),
        section("Recipe", f"<pre>{html.escape(recipe)}</pre>"),
    ]
    return page(title, body)


def comparison_report(
    title: str, rows: Sequence[Row], histories: Mapping[str, History], reports: Mapping[str, str]
) -> str:
    """Write the report of several runs side by side: one table, one picture, and the way to each run's own report.

    Args:
        title: what was compared on what.
        rows: one row per run.
        histories: the records of each run under its name.
        reports: the relative address of each run's report under its name.

    >>> histories = {"a": [{"epoch": 1, "valid_loss": 0.4}]}
    >>> page = comparison_report("Compared", [{"preset": "a"}], histories, {"a": "a/report.html"})
    >>> '<a href="a/report.html">a</a>' in page
    True
    """
    links = " · ".join(f'<a href="{html.escape(href)}">{html.escape(name)}</a>' for name, href in reports.items())
    body = [
        section("Results", table(rows)),
        section("Learning curves", _curves(histories)),
        section("Reports of the runs", f"<p>{links}</p>"),
    ]
    return page(title, body)


def _curves(histories: Mapping[str, History]) -> Markup:
    """Draw the curves into the page; where there is nothing to draw them from, the page says so."""
    if not any(histories.values()):
        return "<p>No epoch was completed.</p>"
    return figure(
        lambda theme: draw_learning_curves(histories, picture="svg", theme=theme),
        "Accuracy and loss of training and validation over the epochs",
    )


def _reliability(bins: Sequence[Sequence[float]]) -> Markup:
    return figure(
        lambda theme: draw_reliability(bins, picture="svg", theme=theme),
        "How often answers are right, against how certain they are",
    )


def _figure(key: str, value: float | str) -> str:
    if isinstance(value, bool):
        return "yes" if value else ""
    if isinstance(value, str):
        return value
    decimals = {"epoch": 0, "seconds": 1}.get(key, 4)
    return f"{value:.{decimals}f}"


def numbers(row: Row) -> Markup:
    """Write the figures that stand at the top of a page, each in a box under its name."""
    boxes = "".join(
        f"<div><dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd></div>" for name, value in row.items()
    )
    return f"<dl>{boxes}</dl>"


def _list(items: Sequence[str]) -> Markup:
    return f"<ul>{''.join(f'<li>{html.escape(item)}</li>' for item in items)}</ul>"


def table(rows: Sequence[Row]) -> Markup:
    """Write rows under the headings of the first one."""
    if not rows:
        return "<p>None.</p>"
    head = "".join(f"<th>{html.escape(name)}</th>" for name in rows[0])
    lines = ("".join(f"<td>{html.escape(value)}</td>" for value in row.values()) for row in rows)
    return f"<table><tr>{head}</tr>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"
