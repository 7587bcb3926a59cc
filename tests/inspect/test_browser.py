"""Opens the page of `tidegate inspect` in a real browser without a network, points at things and reads what it says."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

import tidegate as tg
from tidegate.cli import main

pytestmark = pytest.mark.xdist_group("browser")  # one browser serves them all

FLAGS = [
    f"--{flag}" for flag in (
        "headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking",
        "disable-component-update", "disable-sync",
    )
]  # fmt: skip
TEXTS = ["a good film", "good, and well made", "what a good story", "bad", "a bad film", "so bad it hurts"] * 4
LABELS = ["<b>pos</b>"] * 3 + ["<i>neg</i>"] * 3
INPUTS = ["so good , <script>document.title='hacked'</script> really", "what a bad film"]
NUMBER = r"([+−]?[\d.]+(?:e[−\d]+)?)"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = shutil.which("chromium")
    if found is None:
        pytest.skip("chromium is not installed: the page is not opened. On Debian: apt install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()


@dataclass(frozen=True)
class Shown:
    """A page that was opened, what it complained about, and what it asked the world for."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def close(self) -> None:
        """Close it; nothing may have gone wrong, and nothing but the file itself may have been asked for."""
        self.page.context.close()
        assert self.complaints == []
        assert [address for address in self.requests if not address.startswith("file:")] == []
        assert len(self.requests) == 1


def open_page(browser: Browser, file: Path, *, theme: Any = "light") -> Shown:
    """Open a file with an empty profile and no network."""
    context = browser.new_context(offline=True, color_scheme=theme, viewport={"width": 1000, "height": 900})
    shown = Shown(context.new_page())
    shown.page.on("console", lambda message: shown.complaints.append(message.text))
    shown.page.on("pageerror", lambda error: shown.complaints.append(str(error)))
    shown.page.on("request", lambda request: shown.requests.append(request.url))
    shown.page.goto(file.as_uri())
    return shown


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both directions of an LSTM of five units."""
    path = tmp_path_factory.mktemp("critic") / "model.safetensors"
    tg.TextClassifier(hidden_size=5, epochs=6, batch_size=8, learning_rate=0.03).fit(TEXTS, LABELS * 4).save(path)
    return path


@pytest.fixture(scope="module")
def report(model: Path) -> Path:
    """The page that the command writes."""
    path = model.with_name("report.html")
    assert main(["inspect", str(model), *INPUTS, "--out", str(path)]) == 0
    return path


@pytest.fixture(scope="module")
def trace(model: Path) -> tg.inspect.Trace:
    """What the page must tell."""
    critic = tg.load(model)
    return tg.inspect.trace(critic, INPUTS, target=critic.predict(INPUTS).tolist())


@pytest.fixture
def shown(browser: Browser, report: Path) -> Iterator[Shown]:
    shown = open_page(browser, report)
    yield shown
    shown.close()


def test_the_answer_is_that_of_the_model(shown: Shown, model: Path) -> None:
    critic = tg.load(model)
    label, row = critic.predict(INPUTS[:1])[0], critic.predict_proba(INPUTS[:1])[0]
    assert shown.page.inner_text("#classes .first >> nth=0") == label
    assert shown.page.inner_text("#classes .first >> nth=1") == f"{100 * row.max():.2f} %"


def test_a_token_that_is_pointed_at_tells_what_it_contributed_through_each_direction(shown: Shown, model: Path) -> None:
    why = tg.inspect.attribute(tg.load(model), INPUTS[:1])
    assert why.steps is not None
    assert why.direction_scores is not None
    for step in (0, 1, 5):
        shown.page.hover(f".token >> nth={step}")
        told = shown.page.inner_text("#tip")
        assert told.splitlines()[0] == f"“{why.steps[step]}”, step {step}"
        scores = [why.scores, *why.direction_scores.values()]
        for name, of in zip(("contribution", *why.direction_scores), scores, strict=True):
            assert read(told, name) == pytest.approx(of[step], rel=2e-3, abs=6e-4)
    shown.page.mouse.move(5, 5)
    assert shown.page.is_hidden("#tip")


def test_the_page_says_what_each_part_said_and_which_n_grams_count(shown: Shown, model: Path) -> None:
    critic = tg.load(model)
    parts = tg.inspect.contributions(critic, INPUTS[:1])
    column = int((parts.network + parts.linear)[0].argmax())
    cells = [shown.page.inner_text(f"#shares tr:nth-child(2) td:nth-child({place})") for place in (1, 2, 3)]
    assert cells[0] == critic.predict(INPUTS[:1])[0]
    for cell, part in zip(cells[1:], (parts.network, parts.linear), strict=True):
        assert float(cell.replace("\u2212", "-")) == pytest.approx(float(part[0, column]), abs=1e-3)
    first = parts.largest(0, column)[0]
    named = shown.page.inner_text("#ngrams > span >> nth=0")
    letters = first.text.replace(" ", "\u2423") + " (characters)"
    assert named == (first.text if first.of == "words" else letters)


def test_tokens_are_coloured_by_the_sign_of_what_they_contributed(shown: Shown, model: Path) -> None:
    why = tg.inspect.attribute(tg.load(model), INPUTS[:1])
    for step in np.argsort(-np.abs(why.scores))[:3]:
        red, _, blue = colour_of(shown.page, f".token >> nth={step}")
        assert (blue > red) == (why.scores[step] > 0), "blue for, orange against"


@pytest.mark.parametrize(
    ("letter", "name"),
    [("f", "forget gate f"), ("g", "candidate g"), ("c", "cell state c"), ("dh", "gradient dL/dh")],
)
@pytest.mark.parametrize("direction", ["layer 0 forward", "layer 0 backward"])
def test_a_cell_of_the_heat_map_tells_the_value_of_the_trace(
    shown: Shown, trace: tg.inspect.Trace, direction: str, letter: str, name: str
) -> None:
    shown.page.select_option("#direction", label=f"{direction} (lstm)")
    shown.page.select_option("#quantity", label=name)
    values = trace.sequence(0).direction(direction).read(letter)
    for step, unit in ((0, 0), (3, 4), (5, 2)):
        point_at(shown.page, step, unit, values.shape)
        told = shown.page.inner_text("#tip")
        assert told.startswith(f"{name} of unit {unit}: ")
        assert f"step {step}" in told
        exact = values[step, unit]
        assert read(told, f"unit {unit}:") == pytest.approx(exact, abs=6e-4, rel=0.06 if abs(exact) < 1e-3 else 0)


def test_a_click_on_a_row_draws_its_unit_and_pointing_at_a_step_reads_all_of_it(
    shown: Shown, trace: tg.inspect.Trace
) -> None:
    found = trace.sequence(0).direction("layer 0 forward")
    point_at(shown.page, 2, 3, found.h.shape, click=True)
    assert shown.page.input_value("#unit") == "3"
    shown.page.hover(".token >> nth=4")
    told = shown.page.locator(".strip .name").all_inner_texts()
    assert len(told) == 8
    for text, letter in zip(told, ("i", "f", "g", "o", "c", "h", "dc", "dh"), strict=True):
        assert number(text.splitlines()[1]) == pytest.approx(found.read(letter)[4, 3], abs=6e-4, rel=0.06)


def test_units_can_be_picked_by_number_and_one_that_is_not_there_is_refused(
    shown: Shown, trace: tg.inspect.Trace
) -> None:
    values = trace.sequence(0).direction("layer 0 forward").gates["i"]
    pick(shown.page, "#units", "4, 1-2")
    point_at(shown.page, 1, 0, (len(values), 3))
    assert read(shown.page.inner_text("#tip"), "unit 4:") == pytest.approx(values[1, 4], abs=6e-4)
    pick(shown.page, "#units", "3-5")
    assert shown.page.inner_text("#problem") == "Unknown unit “3-5”. layer 0 forward has the units 0 to 4."
    pick(shown.page, "#units", "all")
    assert shown.page.inner_text("#problem") == ""
    pick(shown.page, "#unit", "7")
    assert shown.page.inner_text("#problem") == "Unknown unit “7”. layer 0 forward has the units 0 to 4."


def test_the_heat_map_can_be_read_with_the_keyboard(shown: Shown, trace: tg.inspect.Trace) -> None:
    values = trace.sequence(0).direction("layer 0 forward").gates["i"]
    shown.page.focus("#heat")
    for key in ("ArrowRight", "ArrowRight", "ArrowDown"):
        shown.page.keyboard.press(key)
    assert read(shown.page.inner_text("#tip"), "unit 1:") == pytest.approx(values[1, 1], abs=6e-4)
    shown.page.keyboard.press("Enter")
    assert shown.page.input_value("#unit") == "1"


def test_another_input_can_be_picked(shown: Shown, trace: tg.inspect.Trace) -> None:
    shown.page.select_option("#input", "1")
    assert shown.page.locator(".token").all_inner_texts() == ["what", "a", "bad", "film"]
    values = trace.sequence(1).direction("layer 0 forward").gates["i"]
    point_at(shown.page, 3, 2, values.shape)
    assert read(shown.page.inner_text("#tip"), "unit 2:") == pytest.approx(values[3, 2], abs=6e-4)


def test_the_tokens_can_be_coloured_by_one_direction_or_by_one_unit(shown: Shown, trace: tg.inspect.Trace) -> None:
    found = trace.sequence(0).direction("layer 0 forward")
    shown.page.select_option("#quantity", label="cell state c")
    pick(shown.page, "#unit", "2")
    shown.page.select_option("#colour", "unit")
    assert found.c is not None
    for step in np.argsort(-np.abs(found.c[:, 2]))[:2]:
        red, _, blue = colour_of(shown.page, f".token >> nth={step}")
        assert (blue > red) == (found.c[step, 2] > 0)
        shown.page.hover(f".token >> nth={step}")
        assert read(shown.page.inner_text("#tip"), "unit 2:") == pytest.approx(found.c[step, 2], abs=6e-4)
    shown.page.select_option("#colour", "backward")
    assert "for" in shown.page.inner_text("#most")


def test_what_the_page_shows_stays_text(shown: Shown) -> None:
    tokens = shown.page.locator(".token").all_inner_texts()
    assert "".join(tokens).startswith("sogood,<script>document.title='hacked'</script>")
    assert shown.page.title() == "Inside model.safetensors"
    classes = shown.page.locator("#classes span:nth-child(3n + 1)").all_inner_texts()
    assert sorted(classes) == sorted(set(LABELS))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_has_the_theme_of_the_reader(browser: Browser, report: Path, theme: str) -> None:
    shown = open_page(browser, report, theme=theme)
    paper = colour_of(shown.page, "body")
    assert max(paper) < 60 if theme == "dark" else min(paper) == 255
    picture = shown.page.evaluate("document.querySelector('picture img').currentSrc")
    source = shown.page.get_attribute("picture source", "srcset")
    assert (picture == source) == (theme == "dark")
    assert shown.page.evaluate("document.querySelector('picture img').naturalWidth") > 100
    shown.close()


def test_steps_of_features_are_numbered_and_a_cell_without_gates_shows_its_states(
    browser: Browser, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    x = [rng.normal(size=(length, 2)) + length % 2 for length in range(4, 40)]
    model = tg.SequenceClassifier(cell="rnn", bidirectional=False, hidden_size=4, epochs=2)
    model.fit(x, [len(steps) % 2 for steps in x]).save(tmp_path / "model.safetensors")
    assert (
        main(["inspect", str(tmp_path / "model.safetensors"), "[[1, 2], [3, 4]]", "--out", str(tmp_path / "page.html")])
        == 0
    )
    shown = open_page(browser, tmp_path / "page.html")
    assert shown.page.locator(".token").all_inner_texts() == ["0", "1"]
    assert shown.page.locator("#quantity option").all_inner_texts() == ["hidden state h", "gradient dL/dh"]
    assert shown.page.is_hidden("#inputs")
    shown.close()


def point_at(page: Page, step: int, place: int, shape: tuple[int, ...], *, click: bool = False) -> None:
    """Move to the middle of a cell of the heat map, which has `shape` [steps, units]."""
    page.locator("#heat").scroll_into_view_if_needed()
    box = page.locator("#heat").bounding_box()
    assert box is not None
    x, y = (step + 0.5) * box["width"] / shape[0], (place + 0.5) * box["height"] / shape[1]
    page.hover("#heat", position={"x": x, "y": y})
    if click:
        page.mouse.click(box["x"] + x, box["y"] + y)


def pick(page: Page, field: str, text: str) -> None:
    page.fill(field, text)
    page.press(field, "Enter")


def colour_of(page: Page, selector: str) -> list[float]:
    """Red, green and blue of a background."""
    colour = page.locator(selector).evaluate("element => getComputedStyle(element).backgroundColor")
    return [float(part) for part in re.findall(r"[\d.]+", colour)[:3]]


def read(told: str, name: str) -> float:
    """Find the number that follows a name."""
    found = re.search(rf"{re.escape(name)} {NUMBER}", told)
    assert found is not None, told
    return number(found[1])


def number(text: str) -> float:
    return float(text.replace("−", "-"))
