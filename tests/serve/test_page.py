"""Opens the page of a server in a real browser, with nothing else in reach, and plays with it as a person would."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

import tidegate as tg
from serving import ask, serving
from tidegate.serve.server import Server

pytestmark = pytest.mark.xdist_group("browser")  # one browser serves them all

FLAGS = [f"--{flag}" for flag in ("headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run")]
TOKEN = "a-token-for-the-page"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = shutil.which("chromium")
    if found is None:
        pytest.skip("chromium is not installed: the page is not opened. On Debian: apt install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def opened(browser: Browser, server: Server, *, allowed: str = "", path: str = "/", **options: Any) -> Iterator[Page]:
    """Open the page; nothing may go wrong in it, and nothing but the server may be asked."""
    context = browser.new_context(**options)
    page, wrong, asked = context.new_page(), list[str](), list[str]()
    page.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.set_default_timeout(20_000)
    page.goto(server.url + path)
    yield page
    context.close()
    assert [text for text in wrong if not (allowed and allowed in text)] == []
    assert [url for url in asked if not url.startswith((server.url, "data:"))] == []


def choose(page: Page, name: str) -> None:
    expect(page.locator("#model option")).not_to_have_count(0)
    page.select_option("#model", name)


def shown(page: Page) -> dict[str, float]:
    """Read the bars of the answer."""
    rows = page.locator("#answer .bars > *").all_text_contents()
    return {name: float(share.removesuffix(" %")) for name, _, share in zip(*[iter(rows)] * 3, strict=True)}


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 390)])
def test_the_answer_the_gates_and_the_contributions_move_with_each_key(
    browser: Browser, server: Server, models: dict[str, Path], theme: Any, width: int
) -> None:
    model = tg.load(models["text-classifier"])
    with opened(browser, server, color_scheme=theme, viewport={"width": width, "height": 800}) as page:
        choose(page, "text-classifier")
        page.locator("#text").fill("")
        for text in ("oak", "oak moss", "oak moss wave"):
            page.locator("#text").press_sequentially(text[len(page.locator("#text").input_value()) :])
            expect(page.locator("#contributions rect")).to_have_count(len(text.split()))
            expect(page.locator("#gates figure")).to_have_count(6)
            wanted = dict(
                zip(model.classes_.tolist(), (100 * model.predict_proba([text])[0]).round(1).tolist(), strict=True)
            )
            for name, share in wanted.items():
                expect(page.locator("#answer")).to_contain_text(f"{name}{share:.1f} %")
            assert shown(page) == pytest.approx(wanted, abs=0.051)
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert ground == ("rgb(251, 250, 247)" if theme == "light" else "rgb(20, 24, 28)")


@pytest.mark.parametrize(
    "name", ["sequence-classifier", "forecaster", "text-classifier", "token-tagger", "language-model"]
)
def test_a_stream_whose_wire_is_cut_goes_on_by_its_token_and_misses_no_step(
    browser: Browser, server: Server, name: str
) -> None:
    with opened(browser, server) as page:
        choose(page, name)
        expect(page.locator("#rows")).not_to_be_empty()
        if name in ("text-classifier", "token-tagger", "language-model"):
            page.locator("#rows").fill("wave tide oak fern " * 10)
        page.locator("#rows").evaluate("area => area.value = area.value.trim().split(/\\n/).slice(0, 40).join('\\n')")
        page.click("#feed")
        expect(page.locator("#live-answer")).to_have_attribute("data-heard", re.compile(r"\b1[0-9] "))
        page.click("#cut")
        expect(page.locator("#wire")).to_contain_text("cut")
        page.wait_for_timeout(400)  # steps come meanwhile
        page.click("#cut")
        expect(page.locator("#wire")).to_contain_text("by its token")
        expect(page.locator("#live-answer")).to_have_attribute("data-heard", re.compile(r"\b40 $"))
        heard = [int(step) for step in (page.locator("#live-answer").get_attribute("data-heard") or "").split()]
        assert heard == list(range(heard[0], 41))
        if name == "forecaster":
            expect(page.locator("#curve path")).to_have_count(3)  # what was, what is to come, and its band


def test_spans_of_a_tagger_stand_in_the_text(browser: Browser, server: Server, models: dict[str, Path]) -> None:
    text = "🌊 wave oak cloud oak"
    (spans,) = tg.load(models["token-tagger"]).predict_spans([text])
    assert spans
    with opened(browser, server) as page:
        choose(page, "token-tagger")
        page.locator("#text").fill(text)
        expect(page.locator("#answer mark")).to_have_count(len(spans))
        marks = page.locator("#answer mark").all_text_contents()
        assert marks == [f"{span.text}{span.label}" for span in spans]


def test_a_language_model_writes_on_where_the_text_ends(browser: Browser, server: Server) -> None:
    asked = {"model": "language-model", "prompt": "wave", "max_tokens": 40, "temperature": 0.8}
    written = (ask(server, "/v1/completions", asked | {"seed": seed})[1]["choices"][0]["text"] for seed in range(50))
    seed, more = next((seed, text) for seed, text in enumerate(written) if text)  # some end where they begin
    with opened(browser, server) as page:
        choose(page, "language-model")
        page.evaluate(f"Math.random = () => {seed} / 2 ** 31")
        page.locator("#text").fill("wave")
        page.click("#write")
        expect(page.locator("#text")).to_have_value("wave" + more)
        assert len(shown(page)) == 5


@pytest.mark.parametrize("by", ["pointer", "keys"])
def test_a_digit_is_drawn(browser: Browser, tmp_path: Path, by: str) -> None:
    rng = np.random.default_rng(0)
    X = [rng.random((28, 28)) * (at % 2) for at in range(12)]
    model = tg.SequenceClassifier(hidden_size=4, epochs=3, batch_size=4, validation_fraction=0.0)
    model.fit(X, ["ink" if at % 2 else "none" for at in range(12)]).save(tmp_path / "pad.safetensors")
    with serving({"pad": tmp_path / "pad.safetensors"}) as server, opened(browser, server) as page:
        expect(page.locator("#answer .bars")).to_be_visible()
        blank = shown(page)
        assert blank["ink"] == pytest.approx(100 * model.predict_proba([np.zeros((28, 28))])[0][0], abs=0.051)
        box = page.locator("#pad").bounding_box()
        assert box is not None
        if by == "pointer":
            page.mouse.move(box["x"] + 30, box["y"] + 30)
            page.mouse.down()
            page.mouse.move(box["x"] + 150, box["y"] + 150, steps=10)
            page.mouse.up()
        else:
            page.locator("#pad").focus()
            page.keyboard.press("Space")
            for _ in range(15):
                page.keyboard.press("ArrowDown")
            page.keyboard.press("Space")
        page.wait_for_timeout(500)
        data = page.locator("#pad").evaluate("pad => [...pad.getContext('2d').getImageData(0, 0, 28, 28).data]")
        drawn = np.array(data).reshape(28, 28, 4)[..., 0] / 255
        assert (drawn > 0.5).sum() > 10
        assert shown(page)["ink"] == pytest.approx(100 * model.predict_proba([drawn])[0][0], abs=0.051)


def test_a_token_is_asked_for_and_serves(browser: Browser, models: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text(TOKEN)
    only = {"text-classifier": models["text-classifier"]}
    with serving(only, token_file=tmp_path / "tokens") as server, opened(browser, server, allowed="401") as page:
        expect(page.locator("#problem")).to_contain_text("bearer token")
        page.locator("#token").fill(TOKEN)
        page.locator("#token").press("Enter")
        expect(page.locator("#answer .bars")).to_be_visible()
        expect(page.locator("#problem")).to_be_hidden()
        page.locator("#rows").fill("wave oak")
        page.click("#feed")
        expect(page.locator("#live-answer")).to_have_attribute("data-heard", "1 2 ")


def test_what_cannot_be_answered_is_told_and_the_page_goes_on(browser: Browser, server: Server) -> None:
    with opened(browser, server, allowed="422") as page:
        choose(page, "sequence-classifier")
        page.locator("#rows").fill("1,2\n1,2,3")
        page.click("#feed")
        expect(page.locator("#wire")).to_contain_text("trained on")
        page.locator("#rows").fill("1,2\n3,4")
        page.click("#feed")
        expect(page.locator("#live-answer")).to_have_attribute("data-heard", re.compile("2 $"))


def test_what_can_be_asked_is_drawn_and_sent_from_its_page(browser: Browser, server: Server) -> None:
    document = ask(server, "/openapi.json")[1]
    with opened(browser, server, allowed="422", path="/docs") as page:
        routes = page.locator("#routes details")
        expect(routes).to_have_count(sum(map(len, document["paths"].values())))
        predict = page.locator("details", has_text="/v1/predict").first
        predict.locator("summary").click()
        expect(predict).to_contain_text("sequences?: [[[number | [number]]] | string] | null")
        said = predict.locator(".said")
        predict.locator("textarea").fill('{"model": "text-classifier", "texts": ["wave"]}')
        predict.locator("button").click()
        expect(said).to_contain_text('"label": "sea"')
        predict.locator("textarea").fill('{"model": "text-classifier"}')
        predict.locator("button").click()
        expect(said).to_contain_text("no inputs came")
        predict.locator("textarea").fill("{")
        predict.locator("button").click()
        expect(said).to_contain_text("JSON")
        models = page.locator("details", has_text="/v1/models").first
        models.locator("summary").click()
        models.locator("button").click()
        expect(models.locator(".said")).to_contain_text("language-model")
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_all_of_it_is_reached_by_the_keyboard(browser: Browser, server: Server) -> None:
    with opened(browser, server) as page:
        choose(page, "text-classifier")
        expect(page.locator("#live")).to_be_visible()
        page.locator("#model").focus()
        reached = []
        for _ in range(8):
            reached.append(page.evaluate("document.activeElement.id"))
            page.keyboard.press("Tab")
        assert [name for name in reached if name][:4] == ["model", "text", "feed", "rows"]
        for control in page.locator("select, textarea, button, canvas").all():
            named = control.evaluate(
                "it => !!(it.labels?.length || it.textContent.trim() || it.getAttribute('aria-labelledby'))"
            )
            assert named, "every control has a name"


def test_how_busy_the_server_is_is_drawn(browser: Browser, server: Server) -> None:
    with opened(browser, server) as page:
        expect(page.locator("#latency path")).to_have_count(1)
        expect(page.locator("#queue figcaption")).to_contain_text("live sessions: ")
        told = ask(server, "/v1/load")[1]
        assert told["jobs"] >= told["batches"] > 0
        assert told["sessions"] == len(server.sessions)


def test_the_page_forbids_what_it_does_not_need(server: Server) -> None:
    for path in ("/", "/docs", "/page/app.js", "/page/style.css"):
        status, _, headers = ask(server, path)
        assert (status, headers["content-security-policy"].startswith("default-src 'none'")) == (200, True)
    for path in ("/page/nothing.js", "/page/../server.py", "/page/%2e%2e%2fserver.py", "/page/page.py"):
        assert ask(server, path)[0] == 404


def test_a_look_inside_tells_what_inspect_does(server: Server, models: dict[str, Path]) -> None:
    name, text = "text-classifier", "wave oak moss"
    model = tg.load(models[name])
    _, told, _ = ask(server, "/v1/look", {"model": name, "texts": [text]})
    seen = tg.inspect.trace(model, [text])
    assert told["steps"] == list(seen.steps or [])
    wanted = tg.inspect.attribute(model, [text], steps=16).scores
    assert told["contributions"] == np.asarray(wanted).tolist()
    for direction, each in zip(told["directions"], seen.directions, strict=True):
        assert direction["name"] == each.name
        means = {gate: values.mean(axis=1) for gate, values in each.gates.items()}
        assert direction["gates"] == {gate: pytest.approx(rows, abs=1e-4) for gate, rows in means.items()}
    empty: dict[str, list[Any]] = {"steps": [], "directions": [], "contributions": []}
    assert ask(server, "/v1/look", {"model": name, "texts": [" "]})[1] == empty
    for wrong in ({"model": name, "texts": ["a", "b"]}, {"model": "forecaster", "series": [[[1.0, 2.0]] * 9]}):
        assert ask(server, "/v1/look", wrong)[0] == 422
