"""Learning curves and reports: what stands in the pictures and pages."""

from __future__ import annotations

import io
import re
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from matplotlib import image

from tidegate.errors import InputError, MissingPackageError
from tidegate.inspect.curves import draw_learning_curves
from tidegate.inspect.report import comparison_report, run_report

HISTORY = [
    {"epoch": 1, "train_loss": 0.7, "valid_loss": 0.6, "valid_accuracy": 0.71},
    {"epoch": 2, "train_loss": 0.5, "valid_loss": 0.4, "valid_accuracy": 0.83},
]


def test_curves_name_their_axes_units_and_runs() -> None:
    svg = draw_learning_curves({"lstm": HISTORY, "gru": HISTORY}, picture="svg").decode()
    texts = set(re.findall(r"<text[^>]*>([^<]*)</text>", svg))
    assert {"Accuracy", "Loss", "epoch", "accuracy, % of examples", "cross-entropy, nats"} <= texts
    assert {"lstm, validation", "lstm, training", "gru, validation", "gru, training"} <= texts


def test_curves_stand_where_the_numbers_say() -> None:
    flat = [{"epoch": epoch, "valid_accuracy": 0.5} for epoch in (1, 2, 3)]
    rising = [{"epoch": epoch, "valid_accuracy": 0.1 * epoch} for epoch in (1, 2, 3)]
    heights, ticks = {}, {}
    for name, history in {"flat": flat, "rising": rising}.items():
        svg = draw_learning_curves({name: history}, picture="svg").decode()
        path = next(
            found for found in re.findall(r'<path d="([^"]*)"[^>]*stroke: #0072b2', svg, re.IGNORECASE | re.DOTALL)
        )
        ticks[name] = [float(text) for text in re.findall(r">([0-9.]+)</text>", svg)]
        heights[name] = [float(y) for _, y in re.findall(r"[ML] (\S+) (\S+)", path)]
    assert max(ticks["rising"]) == 30, "an accuracy is shown in per cent"
    assert len(heights["flat"]) == 3
    assert len(set(heights["flat"])) == 1
    first, second, third = heights["rising"]
    assert first - second == pytest.approx(second - third, abs=1e-3)
    assert first > second, "in SVG, up is a smaller y"


def test_a_quantity_that_nobody_recorded_gets_no_panel() -> None:
    svg = draw_learning_curves({"lstm": [{"epoch": 1, "train_loss": 0.7}]}, picture="svg").decode()
    assert "Loss" in svg
    assert "Accuracy" not in svg


def test_a_picture_is_light_and_always_the_same() -> None:
    first = draw_learning_curves({"lstm": HISTORY})
    assert first == draw_learning_curves({"lstm": HISTORY})
    svg = draw_learning_curves({"lstm": HISTORY}, picture="svg")
    assert svg == draw_learning_curves({"lstm": HISTORY}, picture="svg")
    pixels = image.imread(io.BytesIO(first))
    assert pixels.shape[1] > pixels.shape[0] > 400
    assert np.mean(pixels[..., :3]) > 0.9


def test_nothing_recorded_cannot_be_drawn() -> None:
    with pytest.raises(InputError, match="at least one epoch"):
        draw_learning_curves({"lstm": []})


def test_a_report_holds_numbers_epochs_recipe_and_curve_and_needs_nothing_else() -> None:
    page = run_report("lstm on imdb", {"test accuracy": "87.65%"}, HISTORY, 'name = "<imdb>"')
    for text in ("lstm on imdb", "87.65%", "0.8300", "valid accuracy", "&lt;imdb&gt;", "data:image/svg+xml"):
        assert text in page
    assert "<imdb>" not in page
    assert addresses(page) == []


def test_a_report_lists_what_was_wrong_and_is_silent_where_nothing_was() -> None:
    page = run_report("lstm", {}, HISTORY, "", warnings=["It has <pad> in it.", "Gradients vanish."])
    assert "<h2>Warnings</h2>" in page
    assert "<li>It has &lt;pad&gt; in it.</li><li>Gradients vanish.</li>" in page
    assert "Warnings" not in run_report("lstm", {}, HISTORY, "")


def test_a_report_says_when_there_is_nothing_to_draw_or_nothing_to_draw_with(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "No epoch was completed" in run_report("lstm", {}, [], "")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert "pip install &#x27;tidegate[plot]&#x27;" in run_report("lstm", {}, HISTORY, "")
    with pytest.raises(MissingPackageError, match=r"tidegate\[plot\]"):
        draw_learning_curves({"lstm": HISTORY})


def test_a_comparison_leads_to_the_reports_of_its_runs() -> None:
    rows = [{"preset": "a<b", "test accuracy": "80%"}, {"preset": "c", "test accuracy": "81%"}]
    page = comparison_report(
        "two", rows, {"a<b": HISTORY, "c": HISTORY}, {"a<b": "a/report.html", "c": "c/report.html"}
    )
    assert addresses(page) == ["a/report.html", "c/report.html"]
    assert "a<b" not in page
    assert page.index("80%") < page.index("81%")


def addresses(page: str) -> list[str]:
    """List everything that a browser would fetch, or offer to open."""
    found: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.extend(
                value or ""
                for name, value in attrs
                if name in ("src", "srcset", "href", "xlink:href") and not (value or "").startswith(("#", "data:"))
            )

    Reader().feed(page)
    return found
