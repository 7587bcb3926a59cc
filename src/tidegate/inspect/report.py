"""Writes reports as single HTML files that need nothing else. Knows numbers and records, not tasks or run folders."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

from tidegate.errors import MissingPackageError
from tidegate.inspect.curves import History, draw_learning_curves

Row = Mapping[str, str]
"""One line of a table: the text of each cell under its heading; the rows of one table share their headings."""


def run_report(title: str, numbers: Row, history: History, recipe: str, *, warnings: Sequence[str] = ()) -> str:
    """Write the report of one run: its numbers, its learning curve, every epoch and the recipe.

    Args:
        title: what was trained on what.
        numbers: the figures that stand at the top, as text under their names.
        history: one record per epoch.
        recipe: the text of `recipe.toml`.
        warnings: what was wrong while it trained; nothing is said of it where there are none.

    >>> page = run_report("lstm on digits", {"test accuracy": "97.2 %"}, [{"epoch": 1, "valid_loss": 0.4}], "seed = 0")
    >>> page.startswith("<!doctype html>"), "97.2 %" in page, "<svg" in page
    (True, True, True)
    """
    epochs = [{key.replace("_", " "): _figure(key, value) for key, value in record.items()} for record in history]
    body = [
        _numbers(numbers),
        *([_section("Warnings", _list(warnings))] if warnings else []),
        _section("Learning curve", _curves({"this run": history})),
        _section("Epochs", _table(epochs)),
        _section("Recipe", f"<pre>{html.escape(recipe)}</pre>"),
    ]
    return _page(title, body)


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
        _section("Results", _table(rows)),
        _section("Learning curves", _curves(histories)),
        _section("Reports of the runs", f"<p>{links}</p>"),
    ]
    return _page(title, body)


def _curves(histories: Mapping[str, History]) -> str:
    """Draw the curves into the page; where there is nothing to draw them from or with, the page says so."""
    if not any(histories.values()):
        return "<p>No epoch was completed.</p>"
    try:
        picture = draw_learning_curves(histories, picture="svg").decode()
    except MissingPackageError as error:
        return f"<p>Not drawn: {html.escape(str(error))}</p>"
    return f"<figure>{picture[picture.index('<svg') :]}</figure>"


def _figure(key: str, value: float) -> str:
    decimals = {"epoch": 0, "seconds": 1}.get(key, 4)
    return f"{value:.{decimals}f}"


def _numbers(numbers: Row) -> str:
    boxes = "".join(
        f"<div><dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd></div>" for name, value in numbers.items()
    )
    return f"<dl>{boxes}</dl>"


def _list(items: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{html.escape(item)}</li>' for item in items)}</ul>"


def _table(rows: Sequence[Row]) -> str:
    if not rows:
        return "<p>None.</p>"
    head = "".join(f"<th>{html.escape(name)}</th>" for name in rows[0])
    lines = ("".join(f"<td>{html.escape(value)}</td>" for value in row.values()) for row in rows)
    return f"<table><tr>{head}</tr>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


def _section(title: str, content: str) -> str:
    return f"<h2>{html.escape(title)}</h2>\n{content}"


def _page(title: str, body: Sequence[str]) -> str:
    name = html.escape(title)
    return _PAGE.format(title=name, style=_STYLE, body="\n".join(body))


_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>{style}</style>
<main>
<h1>{title}</h1>
{body}
</main>
</html>
"""

_STYLE = """
body { margin: 0; background: #fff; color: #1b1b1b; font: 15px/1.5 system-ui, sans-serif }
main { max-width: 60rem; margin: 0 auto; padding: 1.5rem }
h1 { font-size: 1.5rem; margin: 0 0 1rem } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem }
dl { display: flex; flex-wrap: wrap; gap: .75rem; margin: 0 }
dl div { border: 1px solid #ddd; border-radius: 6px; padding: .5rem .9rem }
dt { color: #666; font-size: .8rem } dd { margin: 0; font-size: 1.25rem; font-variant-numeric: tabular-nums }
figure { margin: 0 } figure svg { width: 100%; height: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .3rem .9rem .3rem 0; border-bottom: 1px solid #e4e4e4; text-align: left }
th { color: #666; font-weight: 600 }
pre { background: #f6f6f6; border-radius: 6px; padding: .9rem; overflow: auto; font-size: .85rem }
"""
