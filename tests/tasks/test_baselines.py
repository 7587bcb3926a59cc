"""The simple models that a result is read against: numbers by hand, parity with scikit-learn, and their bounds."""

from __future__ import annotations

import numpy as np
import pytest

import tidegate as tg
from tidegate.data import Examples
from tidegate.tasks.baselines import Baseline
from tidegate.tasks.classifying import baselines as linear
from tidegate.tasks.classifying.labelled import Labelled, hold_out
from tidegate.tasks.tagging.baselines import FrequentTags
from tidegate.tasks.tagging.baselines import fit_baselines as fit_tags

TOPICS = (("sun", "rain", "wind", "cloud"), ("goal", "match", "team", "coach"), ("bank", "loan", "price", "share"))


def noisy(count: int, *, seed: int) -> tuple[list[str], np.ndarray]:
    """Draw texts of seven words, of which each tells with a chance of 2 in 5 of the topic."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, len(TOPICS), count)
    filler = [word for words in TOPICS for word in words] + ["the", "a", "of", "in"]
    texts = [
        " ".join(str(rng.choice(TOPICS[label] if rng.random() < 0.4 else filler)) for _ in range(7)) for label in y
    ]
    return texts, y


def test_the_linear_model_answers_as_that_of_scikit_learn_does() -> None:
    text = pytest.importorskip("sklearn.feature_extraction.text")
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_union

    (x, y), (others, truth) = noisy(300, seed=0), noisy(400, seed=1)
    features = make_union(
        text.TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"\S+"),
        text.TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 5), sublinear_tf=True, min_df=2),
    )
    rival = LogisticRegression(C=10, max_iter=500).fit(features.fit_transform(x), y)
    ours = next(linear.compare_linear(Labelled(x, y), Labelled(others, truth), 3)).value
    theirs = float(np.mean(rival.predict(features.transform(others)) == truth))
    assert ours == pytest.approx(theirs, abs=0.03)
    assert 0.5 < theirs < 0.99  # a task on which the two could differ


@pytest.mark.parametrize("texts", [["   ", "word"], ["unseen words", "日本語"], ["word", "\x00\ud7ff"]])
def test_the_linear_models_answer_texts_of_which_they_know_nothing(texts: list[str]) -> None:
    learn = Labelled(["good film", "bad film", "good", "bad"], np.array([1, 0, 1, 0]))
    found = list(linear.compare_linear(learn, Labelled(texts, np.array([0, 1])), 2))
    assert [each.value in (0.0, 0.5, 1.0) for each in found] == [True, True]


@pytest.mark.parametrize(("limit", "value"), [("MOST_TEXTS", 3), ("MOST_CHARACTERS", 10)])
def test_data_that_are_too_large_are_said_and_not_fitted(
    monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    monkeypatch.setattr(linear, limit, value)
    learn = Labelled(["good film", "bad film", "good", "bad"], np.array([1, 0, 1, 0]))
    for found in linear.compare_linear(learn, learn, 2):
        assert found.value is None
        assert "there are 4 of 24" in found.skipped


def test_characters_of_long_texts_are_left_out_and_the_name_says_so() -> None:
    learn = Labelled([f"{word} film " * 60 for word in ("good", "bad", "good", "bad")], np.array([1, 0, 1, 0]))
    first = next(linear.compare_linear(learn, learn, 2))
    assert (first.name, first.value) == ("TF-IDF of words + logistic regression", 1.0)


def test_reading_in_parts_gives_the_same_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    (x, y), (others, truth) = noisy(60, seed=3), noisy(50, seed=4)

    def values() -> list[float | None]:
        return [found.value for found in linear.compare_linear(Labelled(x, y), Labelled(others, truth), 3)]

    whole = values()
    monkeypatch.setattr(linear, "_AT_ONCE", 3)
    assert values() == whole


def test_the_part_held_out_is_that_of_the_training() -> None:
    x, y = noisy(60, seed=5)
    model = tg.TextClassifier(validation_fraction=0.2, seed=7)
    _, held = hold_out(Labelled(x, y), 0.2, seed=7)
    assert held is not None
    for found in linear.fit_baselines(model, Examples(x, y.tolist()), None):
        assert found.value is not None
        assert found.value * len(held.x) == pytest.approx(round(found.value * len(held.x)))


def test_nothing_is_fitted_where_nothing_is_held_out() -> None:
    x, y = noisy(30, seed=5)
    model = tg.TextClassifier(validation_fraction=0)
    assert list(linear.fit_baselines(model, Examples(x, y.tolist()), None)) == []


def test_a_word_gets_its_most_frequent_tag_and_an_unknown_one_that_of_all() -> None:
    frequent = FrequentTags.learn([["run", "run", "run", "the"], ["the", "a"]], [["V", "N", "V", "D"], ["D", "D"]])
    assert frequent.tag(["run", "the", "dog"]) == ["V", "D", "D"]


@pytest.mark.parametrize(
    ("y", "truth", "measure", "value"),
    [
        ([["D", "N"], ["D", "N"]], [["D", "V"]], "accuracy", 0.5),
        ([["O", "B-x"], ["O", "B-x"]], [["O", "B-x"]], "f1", 1.0),
        ([["O", "B-x"], ["O", "B-x"]], [["B-x", "O"]], "f1", 0.0),
    ],
)
def test_the_most_frequent_tags_are_measured_as_the_tagger_is(
    y: list[list[str]], truth: list[list[str]], measure: str, value: float
) -> None:
    X = [["the", "tide"], ["the", "boat"]]
    tagger = tg.TokenTagger(hidden_size=2, epochs=1, validation_fraction=0).fit(X * 2, y * 2)
    [found] = fit_tags(tagger, Examples(X, y), Examples([["the", "tide"]], truth))
    assert found == Baseline("most frequent tag per word", measure, value, found.seconds)


def test_texts_with_several_labels_get_a_linear_model_for_each_label() -> None:
    text = pytest.importorskip("sklearn.feature_extraction.text")
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import f1_score
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.pipeline import make_union

    def draw(count: int, seed: int) -> tuple[list[str], np.ndarray]:
        (first, y), (second, z) = noisy(count, seed=seed), noisy(count, seed=seed + 10)
        truth = np.zeros((count, len(TOPICS)), np.float32)
        truth[np.arange(count), y] = truth[np.arange(count), z] = 1
        return [f"{a} {b}" for a, b in zip(first, second, strict=True)], truth

    (x, y), (others, truth) = draw(300, 0), draw(300, 1)
    features = make_union(
        text.TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"\S+"),
        text.TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 5), sublinear_tf=True, min_df=2),
    )
    rival = OneVsRestClassifier(LogisticRegression(C=10, max_iter=500)).fit(features.fit_transform(x), y)
    ours = next(linear.compare_linear(Labelled(x, y), Labelled(others, truth), 3))
    theirs = float(f1_score(truth, rival.predict(features.transform(others)), average="micro"))
    assert ours.measure == "micro_f1"
    assert ours.value == pytest.approx(theirs, abs=0.03)
    assert 0.5 < theirs < 0.99


def test_beside_a_classifier_of_several_labels_the_part_held_out_is_measured_by_micro_f1() -> None:
    x, y = noisy(200, seed=0)
    sets = [[f"topic {label}", "even"] if label % 2 == 0 else [f"topic {label}"] for label in y]
    model = tg.TextClassifier(validation_fraction=0.25, epochs=1)
    for found in linear.fit_baselines(model, Examples(x, sets), None):
        assert found.measure == "micro_f1"
        assert found.value is not None
        assert 0.4 < found.value < 1
