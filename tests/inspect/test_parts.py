"""What is seen inside a classifier that also looks at n-grams of whole texts: what each of its parts added."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tidegate as tg
from tidegate import kernels

TEXTS = ["good fun", "so good, so good", "a bore", "dull <b> and bad"] * 6
LABELS = ["pos", "pos", "neg", "neg"] * 6
ASKED = ["so good fun", "a bad <b> bore , bad", "never seen"]


@pytest.fixture(scope="module")
def critic() -> tg.TextClassifier:
    return tg.TextClassifier(hidden_size=4, epochs=6).fit(TEXTS, LABELS)


def test_the_output_of_a_trace_is_that_of_the_whole_model(critic: tg.TextClassifier) -> None:
    found = tg.inspect.trace(critic, ASKED, target="pos")
    assert kernels.softmax(found.output).tobytes() == critic.predict_proba(ASKED).tobytes()
    assert found.sequence(0).steps == ["so", "good", "fun"]


@pytest.mark.parametrize("method", ["integrated_gradients", "occlusion"])
def test_contributions_lead_from_baseline_to_output_through_the_network_alone(
    critic: tg.TextClassifier, method: Any
) -> None:
    found = tg.inspect.attribute(critic, ASKED, method=method, target="pos")
    np.testing.assert_allclose(found.output, tg.inspect.trace(critic, ASKED).output[:, 1], atol=1e-5)
    parts = critic.inside().parts
    assert parts is not None
    told = parts(ASKED)
    assert told is not None
    if method == "occlusion":
        blank = found.baseline - [part["linear"]["pos"] for part in told]
        np.testing.assert_allclose(blank, blank[0], atol=1e-4)  # with nothing to read the network says the same of all
    else:
        sums = [found.scores[a:b].sum() for a, b in zip(found.offsets[:-1], found.offsets[1:], strict=True)]
        np.testing.assert_allclose(sums, found.output - found.baseline, rtol=0.011, atol=1e-6)


def test_network_and_n_grams_add_up_to_the_scores(critic: tg.TextClassifier) -> None:
    found = tg.inspect.examine(critic, ASKED)
    outputs = tg.inspect.trace(critic, ASKED).output
    for record, output in zip(found.to_json(), outputs, strict=True):
        parts = record["parts"]
        both = [parts["network"][name] + parts["linear"][name] for name in ("neg", "pos")]
        np.testing.assert_allclose(both, output, atol=1e-4)
        assert all(abs(each["neg"] + each["pos"]) < 0.5 for each in parts["features"])


def test_the_n_grams_that_told_most_are_named(critic: tg.TextClassifier) -> None:
    first, second, third = (record["parts"] for record in tg.inspect.examine(critic, ASKED).to_json())
    assert first["linear"]["pos"] > first["linear"]["neg"]
    assert second["linear"]["neg"] > second["linear"]["pos"]
    names = {each["feature"]: each for each in first["features"]}
    assert {"so good", "good"} & names.keys()
    assert all(each["pos"] > each["neg"] for name, each in names.items() if "good" in name)
    assert all("'" in each["feature"] for each in third["features"])  # only letters are known of these words


def test_the_page_shows_them_as_text(critic: tg.TextClassifier) -> None:
    page = tg.inspect.examine(critic, ASKED[1:2]).to_html()
    assert "What the network and the n-grams added" in page
    assert "<b>" not in page.partition("What the network and the n-grams added")[2].partition("</table>")[0]


def test_a_network_alone_has_no_parts() -> None:
    plain = tg.TextClassifier(evidence=0, linear=False, hidden_size=2, epochs=1).fit(TEXTS, LABELS)
    assert "parts" not in tg.inspect.examine(plain, ASKED).to_json()[0]


def test_evidence_alone_is_looked_into_too() -> None:
    model = tg.TextClassifier(linear=False, hidden_size=2, epochs=1).fit(TEXTS, LABELS)
    found = tg.inspect.trace(model, ASKED)
    assert kernels.softmax(found.output).tobytes() == model.predict_proba(ASKED).tobytes()
