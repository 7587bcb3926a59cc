"""What each part of a classifier of texts contributed: network, linear part and n-grams, against sums by hand."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import tidegate as tg
from classifiers import PLAIN
from tidegate.errors import InputError
from tidegate.inspect.parts import NGram

TEXTS = ["a good film", "good, and well made", "what a good story", "bad", "a bad film", "so bad it hurts"] * 4
LABELS = ["pos", "pos", "pos", "neg", "neg", "neg"] * 4
INPUTS = ["a good film", "so bad, so very bad", "never heard"]


def critic(**options: Any) -> tg.TextClassifier:
    return tg.TextClassifier(hidden_size=4, epochs=3, **options).fit(TEXTS, LABELS)


@pytest.fixture(scope="module")
def counting() -> tg.TextClassifier:
    return critic()


def named(ngrams: list[NGram], of: str) -> list[str]:
    return [ngram.text for ngram in ngrams if ngram.of == of]


def test_the_network_and_the_linear_part_add_up_to_the_output_to_the_bit(counting: tg.TextClassifier) -> None:
    found = tg.inspect.contributions(counting, INPUTS)
    whole = tg.inspect.trace(counting, INPUTS).output
    assert (found.network + found.linear).tobytes() == whole.tobytes()
    assert tg.inspect.examine(counting, INPUTS).probabilities.tobytes() == counting.predict_proba(INPUTS).tobytes()


def test_n_grams_and_the_bias_add_up_to_the_linear_part(counting: tg.TextClassifier) -> None:
    found = tg.inspect.contributions(counting, INPUTS)
    for index, ngrams in enumerate(found.ngrams):
        added = np.sum([ngram.adds for ngram in ngrams], axis=0, dtype=np.float64) + found.bias
        np.testing.assert_allclose(added, found.linear[index], atol=1e-6)


def test_n_grams_are_spelled_as_they_stand_in_the_text(counting: tg.TextClassifier) -> None:
    good, bad, _ = tg.inspect.contributions(counting, INPUTS).ngrams
    assert sorted(named(good, "words")) == ["a", "a good", "a good film", "film", "good", "good film"]
    assert set(named(bad, "words")) == {"so", "bad", ",", "so bad"}
    letters = named(good, "characters")
    assert {" a ", "good ", " film"} <= set(letters)
    assert all(text in " a  good  film " for text in letters)
    assert all(len(text) <= 5 for text in letters)


def test_evidence_says_which_n_gram_ends_at_a_word_and_what_it_tells(counting: tg.TextClassifier) -> None:
    first, second, _ = tg.inspect.contributions(counting, INPUTS).evidence
    assert [[told.ngram for told in step] for step in first] == [
        ["a"],
        ["good", "a good"],
        ["film", "good film", "a good film"],
    ]
    assert [[told.ngram for told in step] for step in second][:2] == [["so"], ["bad", "so bad"]]
    assert second[4] == [], "a word that never stood in a text"
    told = first[1][0].tells
    assert told is not None
    # "good" stands in 12 of 24 texts, all of them positive; half of all texts are.
    np.testing.assert_allclose(told, np.log([0.5 / 13 / 0.5, 12.5 / 13 / 0.5]), rtol=2e-3)


def test_what_counts_most_comes_first_whichever_way(counting: tg.TextClassifier) -> None:
    found = tg.inspect.contributions(counting, INPUTS)
    largest = found.largest(1, column=1, most=4)
    sizes = [abs(float(ngram.adds[1])) for ngram in largest]
    every = sorted((abs(float(ngram.adds[1])) for ngram in found.ngrams[1]), reverse=True)
    assert sizes == every[:4]
    assert largest[0].text == "bad"
    assert largest[0].adds[1] < 0 < largest[0].adds[0]


@pytest.mark.parametrize("options", [{"evidence": 0}, {"linear": False}])
def test_a_part_that_is_not_there_adds_nothing(options: dict[str, Any]) -> None:
    model = critic(**options)
    found = tg.inspect.contributions(model, INPUTS)
    assert (found.network + found.linear).tobytes() == tg.inspect.trace(model, INPUTS).output.tobytes()
    assert bool(found.linear.any()) is ("evidence" in options)
    assert bool(found.ngrams[0]) is ("evidence" in options)
    assert bool(found.evidence[0]) is ("linear" in options)
    record = tg.inspect.examine(model, INPUTS).to_json()[0]
    assert set(record["parts"]) == {"network", "linear"}


def test_of_many_classes_the_evidence_names_n_grams_alone() -> None:
    words = [f"{chr(97 + index)}{chr(97 + index)}" for index in range(18)]
    model = tg.TextClassifier(hidden_size=3, epochs=1).fit(words * 2, list(range(18)) * 2)
    ((told,),) = tg.inspect.contributions(model, ["cc"]).evidence[0]
    assert (told.ngram, told.tells) == ("cc", None)
    record = tg.inspect.examine(model, ["cc"]).to_json()[0]
    assert record["evidence"] == [[{"text": "cc", "tells": None}]]


def test_a_model_that_counts_nothing_has_no_parts() -> None:
    model = critic(**PLAIN)
    with pytest.raises(InputError, match="one part alone"):
        tg.inspect.contributions(model, INPUTS)
    record = tg.inspect.examine(model, INPUTS).to_json()[0]
    assert (record["parts"], record["ngrams"], record["evidence"]) == (None, None, None)


def test_the_page_and_the_record_hold_what_was_found(counting: tg.TextClassifier) -> None:
    found = tg.inspect.examine(counting, INPUTS[:2])
    for index, record in enumerate(found.to_json()):
        column = ["neg", "pos"].index(record["explained"])
        parts = tg.inspect.contributions(counting, INPUTS[:2])
        assert record["parts"]["network"]["pos"] == float(parts.network[index, 1])
        assert record["parts"]["linear"]["neg"] == float(parts.linear[index, 0])
        largest = parts.largest(index, column, 12)
        assert [ngram["text"] for ngram in record["ngrams"]] == [ngram.text for ngram in largest]
        assert record["ngrams"][0]["contribution"] == float(largest[0].adds[column])
        assert [len(told) for told in record["evidence"]] == [len(told) for told in parts.evidence[index]]
    held = json.loads(found.to_html().partition('id="data">')[2].partition("</script>")[0])["inputs"]
    for one, record in zip(held, found.to_json(), strict=True):
        assert {name: one[name] for name in ("parts", "ngrams", "evidence")} == {
            name: record[name] for name in ("parts", "ngrams", "evidence")
        }


def test_an_n_gram_that_looks_like_markup_stays_text() -> None:
    texts = ["good fun", "so good", "a bore", "dull <b> and bad"] * 6
    model = tg.TextClassifier(hidden_size=2, epochs=1).fit(texts, ["pos", "pos", "neg", "neg"] * 6)
    found = tg.inspect.examine(model, ["<b> and bad"])
    assert "<" in [ngram["text"] for ngram in found.to_json()[0]["ngrams"]]
    assert "<b>" not in found.to_html()


@pytest.mark.parametrize("method", ["integrated_gradients", "occlusion"])
def test_scores_are_of_the_network_and_the_baseline_holds_the_linear_part(
    counting: tg.TextClassifier, method: Any
) -> None:
    found = tg.inspect.attribute(counting, INPUTS, method=method, target="pos")
    parts = tg.inspect.contributions(counting, INPUTS)
    np.testing.assert_allclose(found.output, (parts.network + parts.linear)[:, 1], atol=1e-5)
    if method == "occlusion":
        blank = found.baseline - parts.linear[:, 1]
        np.testing.assert_allclose(blank, blank[0], atol=1e-5)  # with nothing to read the network says the same of all
    else:
        sums = np.add.reduceat(found.scores, found.offsets[:-1])
        np.testing.assert_allclose(sums, found.output - found.baseline, rtol=0.011, atol=1e-6)
