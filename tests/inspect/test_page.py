"""The page of an examination: what stands in it as data, what it leaves out, what it refuses."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import tidegate as tg
from tidegate.errors import InputError, OptionError, ShapeError
from tidegate.inspect import examination
from tidegate.inspect.page import figure, page
from tidegate.offers import Inside

Array = npt.NDArray[Any]
TEXTS = ["a good film", "good, and well made", "what a good story", "bad", "a bad film", "so bad it hurts"] * 4
LABELS = ["pos", "pos", "pos", "neg", "neg", "neg"] * 4
INPUTS = ["a good film", "so bad, so very bad"]


@pytest.fixture(scope="module")
def critic() -> tg.TextClassifier:
    """Both directions of an LSTM."""
    return tg.TextClassifier(hidden_size=5, epochs=6, batch_size=8, learning_rate=0.03).fit(TEXTS, LABELS)


@pytest.fixture(scope="module")
def sensor() -> tg.SequenceClassifier:
    """One direction of a SimpleRNN over two features."""
    rng = np.random.default_rng(0)
    x = [rng.normal(size=(length, 2)) + length % 2 for length in range(4, 40)]
    classifier = tg.SequenceClassifier(cell="rnn", bidirectional=False, hidden_size=4, epochs=2)
    return classifier.fit(x, [len(steps) % 2 for steps in x])


# --- the record ---------------------------------------------------------------------------------------------------


def test_the_record_says_what_the_model_says(critic: tg.TextClassifier) -> None:
    records = tg.inspect.examine(critic, INPUTS).to_json()
    assert [record["label"] for record in records] == critic.predict(INPUTS).tolist()
    rows = [list(record["probabilities"].values()) for record in records]
    np.testing.assert_array_equal(np.array(rows, np.float32), critic.predict_proba(INPUTS))
    assert [list(record["probabilities"]) for record in records] == [["neg", "pos"]] * 2
    assert [record["steps"] for record in records] == [["a", "good", "film"], ["so", "bad", ",", "so", "very", "bad"]]
    assert json.loads(json.dumps(records, allow_nan=False)) == records


@pytest.mark.parametrize("target", [None, "neg"])
def test_contributions_lead_from_the_baseline_to_the_logit(critic: tg.TextClassifier, target: str | None) -> None:
    for record in tg.inspect.examine(critic, INPUTS, target=target).to_json():
        moved = record["logit"] - record["baseline"]
        assert record["explained"] == (target or record["label"])
        assert sum(record["contributions"]) == pytest.approx(moved, rel=0.01)
        assert sum(record["directions"].values()) == pytest.approx(moved, rel=0.01)
        for name, scores in record["direction_contributions"].items():
            assert sum(scores) == pytest.approx(record["directions"][name], rel=0.01, abs=1e-6)


def test_what_is_found_out_about_an_input_does_not_depend_on_those_beside_it(critic: tg.TextClassifier) -> None:
    together = tg.inspect.examine(critic, INPUTS).to_json()
    assert together == [tg.inspect.examine(critic, [text]).to_json()[0] for text in INPUTS]
    inside = [content(tg.inspect.examine(critic, texts).to_html())["inputs"] for texts in (INPUTS, INPUTS[1:])]
    assert inside[0][1] == inside[1][0]


def test_steps_without_a_token_have_no_name_and_one_direction_is_not_told_apart(sensor: tg.SequenceClassifier) -> None:
    (record,) = tg.inspect.examine(sensor, [np.ones((3, 2))]).to_json()
    assert record["steps"] is None
    assert record["directions"] is None
    assert len(record["contributions"]) == 3


# --- the data of the page -----------------------------------------------------------------------------------------


def test_the_page_holds_every_value_of_the_trace(critic: tg.TextClassifier) -> None:
    found = tg.inspect.examine(critic, INPUTS)
    trace = tg.inspect.trace(critic, INPUTS, target=critic.predict(INPUTS).tolist())
    for index, one in enumerate(content(found.to_html())["inputs"]):
        rows = slice(trace.offsets[index], trace.offsets[index + 1])
        assert [part["name"] for part in one["insides"]] == ["layer 0 forward", "layer 0 backward"]
        for part, direction in zip(one["insides"], trace.directions, strict=True):
            states = {"h": direction.h, "c": direction.c, "dh": direction.dh, "dc": direction.dc}
            known = {letter: values for letter, values in (direction.gates | states).items() if values is not None}
            assert [quantity["letter"] for quantity in part["quantities"]] == ["i", "f", "g", "o", "c", "h", "dc", "dh"]
            for quantity in part["quantities"]:
                exact = known[quantity["letter"]][rows]
                np.testing.assert_allclose(
                    unpacked(quantity, exact.shape), exact, rtol=0, atol=np.abs(exact).max() / 65_534 + 1e-7
                )


def test_a_cell_without_gates_shows_its_states(sensor: tg.SequenceClassifier) -> None:
    (one,) = content(tg.inspect.examine(sensor, [np.ones((3, 2))]).to_html())["inputs"]
    (part,) = one["insides"]
    assert [quantity["letter"] for quantity in part["quantities"]] == ["h", "dh"]
    assert (one["texts"], one["steps"]) == (False, ["0", "1", "2"])


# --- what does not fit --------------------------------------------------------------------------------------------


def test_of_a_long_input_the_page_shows_a_part_and_says_so(critic: tg.TextClassifier) -> None:
    long = tg.TextClassifier(hidden_size=2, epochs=1, max_tokens=900).fit(TEXTS, LABELS)
    found = tg.inspect.examine(long, [" ".join(f"w{step}" for step in range(620))])
    for begin, first, last in ((0, 0, 499), (-100, 520, 619)):
        note = f"steps {first} to {last} of 620; {620 - (last - first + 1)} are left out"
        with pytest.warns(UserWarning, match=f"input 0: {note}"):
            (one,) = content(found.to_html(begin=begin))["inputs"]
        assert one["left_out"] == note
        assert one["begin"] == first
        assert one["steps"] == [f"w{step}" for step in range(first, last + 1)]
        shown = unpacked(one["insides"][0]["quantities"][-1], (last - first + 1, 2))
        exact = found.trace.directions[0].dh
        assert exact is not None
        np.testing.assert_allclose(shown, exact[first : last + 1], rtol=0, atol=np.abs(exact).max() / 65_534)
        assert len(found.to_json()[0]["contributions"]) == 620, "the record is whole"
    with pytest.raises(InputError, match="no step 620 to begin at"):
        found.to_html(begin=620)


def test_of_many_units_the_page_shows_the_first_and_says_so(
    critic: tg.TextClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examination, "MAX_UNITS", 3)
    with pytest.warns(UserWarning, match="input 0, layer 0 forward: units 0 to 2 of 5; 2 are left out"):
        (one,) = content(tg.inspect.examine(critic, INPUTS[:1]).to_html())["inputs"]
    assert [part["units"] for part in one["insides"]] == [3, 3]


def test_a_page_that_is_full_leaves_the_insides_of_later_inputs_out(
    critic: tg.TextClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examination, "MAX_VALUES", 3 * 5 * 8 * 2)  # steps, units, quantities, directions
    with pytest.warns(UserWarning, match="input 1, layer 0 forward: left out: the page is full"):
        first, second = content(tg.inspect.examine(critic, INPUTS).to_html())["inputs"]
    assert [len(part["quantities"]) for part in first["insides"]] == [8, 8]
    assert [len(part["quantities"]) for part in second["insides"]] == [0, 0]
    assert len(second["contributions"]["all"]) == 6


def test_a_page_is_no_larger_than_is_said() -> None:
    per_value = 2 * 4 / 3  # two bytes, in base64
    assert examination.MAX_VALUES * per_value < 9e6


# --- a page needs nothing, and runs nothing that it did not bring --------------------------------------------------

HOSTILE = ["</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<!-- & ' \" \u2028"]


def test_what_a_page_shows_stays_text() -> None:
    labels = [HOSTILE[0], HOSTILE[1]] * 6
    texts = [f"good {HOSTILE[0]}", f"bad {HOSTILE[1]}"] * 6
    model = tg.TextClassifier(hidden_size=2, epochs=1, validation_fraction=0).fit(texts, labels)
    found = tg.inspect.examine(model, [*HOSTILE, texts[0]]).to_html(title=HOSTILE[0])
    opened = elements(found)
    assert opened.count("script") == 2, "the data, and our own script"
    assert opened.count("img") == 1, "the picture of the gradient flow"
    data = content(found)
    assert set(data["inputs"][0]["probabilities"]) == set(labels)
    assert "".join(data["inputs"][0]["steps"]) == "</script><script>alert(1)</script>"


def test_a_page_forbids_itself_every_request_and_every_foreign_script(critic: tg.TextClassifier) -> None:
    found = tg.inspect.examine(critic, INPUTS).to_html()
    rules = re.search(r'Content-Security-Policy" content="([^"]*)"', found)
    assert rules is not None
    policy = dict(rule.split(" ", 1) for rule in rules[1].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["img-src"] == "data:"
    assert re.fullmatch(r"'sha256-[A-Za-z0-9+/]{43}='", policy["script-src"])
    assert re.search(r"https?://(?!www\.w3\.org/2000/svg)", found) is None


def test_a_picture_that_cannot_be_drawn_is_told_in_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(theme: str) -> bytes:
        raise tg.errors.MissingPackageError.of("matplotlib", "plot", "drawing <a> picture")

    assert figure(fail, "a picture") == (
        "<p>Not drawn: drawing &lt;a&gt; picture needs the package &#x27;matplotlib&#x27;, which is not installed. "
        "Run: pip install &#x27;tidegate[plot]&#x27;</p>"
    )


def test_a_description_and_a_title_are_escaped() -> None:
    assert 'alt="&quot;&lt;b&gt;"' in figure(lambda theme: b"<svg/>", '"<b>')
    assert "<title>&lt;b&gt;</title>" in page("<b>", [])


# --- bad input ----------------------------------------------------------------------------------------------------


def test_bad_input_is_told(critic: tg.TextClassifier, sensor: tg.SequenceClassifier) -> None:
    with pytest.raises(InputError, match="there is nothing to inspect: pass at least one input"):
        tg.inspect.examine(critic, [])
    with pytest.raises(InputError, match="input 1 has no step"):
        tg.inspect.examine(sensor, [np.ones((3, 2)), np.ones((0, 2))])
    with pytest.raises(OptionError, match=r"unknown label 'positive'.*Known: neg, pos"):
        tg.inspect.examine(critic, INPUTS, target="positive")
    with pytest.raises(InputError, match="a Ragged gives no class to a whole input"):
        tg.inspect.examine(tg.Ragged.from_list([[1.0]]), INPUTS)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="not fitted"):
        tg.inspect.examine(tg.TextClassifier(), INPUTS)
    with pytest.raises(ShapeError):
        tg.inspect.examine(sensor, [np.ones((3, 5))])


def test_whatever_offers_a_look_inside_is_examined(critic: tg.TextClassifier) -> None:
    class Renamed:
        """No task, but the network of one with other names for its classes."""

        def inside(self) -> Inside:
            return replace(critic.inside(), classes=["thumb down", "thumb up"], max_grad_norm=None)

    [found] = tg.inspect.examine(Renamed(), ["good good"]).to_json()
    [known] = tg.inspect.examine(critic, ["good good"]).to_json()
    assert (known["label"], found["label"]) == ("pos", "thumb up")
    assert found["contributions"] == known["contributions"]


def test_a_model_that_answers_every_step_is_told() -> None:
    tagger = tg.TokenTagger(hidden_size=2, epochs=1).fit([["Ada", "sleeps"]] * 12, [["B-PER", "O"]] * 12)
    with pytest.raises(InputError, match="a TokenTagger gives no class to a whole input"):
        tg.inspect.examine(tagger, [["Ada"]])


def test_a_label_may_be_written_as_text(sensor: tg.SequenceClassifier) -> None:
    (record,) = tg.inspect.examine(sensor, [np.ones((3, 2))], target="1").to_json()
    assert record["explained"] == 1


# --- reading a page -----------------------------------------------------------------------------------------------


def content(html: str) -> Any:
    """The data of a page, read as a browser reads it."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def unpacked(quantity: dict[str, Any], shape: tuple[int, ...]) -> Array:
    """The values [steps, units] of a quantity."""
    whole = np.frombuffer(base64.b64decode(quantity["values"]), "<i2")
    return whole.reshape(shape) * np.float64(quantity["scale"])


def elements(html: str) -> list[str]:
    """The name of every element that a browser would open."""
    names: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            names.append(tag)

    Reader().feed(html)
    return names
