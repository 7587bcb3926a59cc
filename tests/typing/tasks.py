"""What a checker must know of the tasks: never run, only checked."""

from __future__ import annotations

from typing import Any, assert_type

import numpy as np
import numpy.typing as npt

import tidegate as tg
from tidegate.tasks import Forecast

Array = npt.NDArray[Any]


def classify(texts: list[str], labels: list[str]) -> None:
    """Train, ask and keep a classifier of texts."""
    model = tg.TextClassifier(cell="gru", hidden_size=32, pooling=("max", "mean"))
    assert_type(model.fit(texts, labels), tg.TextClassifier)
    assert_type(tg.TextClassifier.from_preset("tutorial-bilstm"), tg.TextClassifier)
    assert_type(model.predict(texts), Array)
    assert_type(model.predict_proba(texts), Array)
    assert_type(model.score(texts, labels), float)
    assert_type(model.weights_, dict[str, Array])
    assert_type(model.network_, tg.Network)
    for step in model.fit_steps(texts, labels):
        assert_type(step.loss, float)
        assert_type(step.end_of_epoch, bool)
    model.save("model.safetensors", licence="CC0-1.0")


def classify_sequences(x: Array) -> None:
    """A classifier of sequences takes arrays, lists of them, and a batch."""
    model = tg.SequenceClassifier().fit(tg.Ragged.from_list([x, x]), [0, 1])
    assert_type(model, tg.SequenceClassifier)
    assert_type(model.predict([x]), Array)


def tag(sentences: list[list[str]], tags: list[list[str]]) -> None:
    """A tagger answers with lists."""
    model = tg.TokenTagger().fit(sentences, tags)
    assert_type(model.predict(["One sentence."]), list[list[str]])
    (words,) = model.predict_words(["One sentence."])
    assert_type(words[0].probability, float)
    (spans,) = model.predict_spans(["One sentence."])
    assert_type(spans[0].start, int)


def forecast(series: Array) -> None:
    """A forecaster answers with one forecast for each series."""
    model = tg.Forecaster(lookback=24, horizon=6, quantiles=(0.1, 0.9)).fit(series)
    assert_type(model.predict(series), list[Forecast])


def write(texts: list[str]) -> None:
    """A language model writes text."""
    model = tg.LanguageModel(tokens="characters").fit(texts)
    assert_type(model.generate("The ", length=10, seed=1), str)


def batch(rows: list[Array]) -> None:
    """A batch is generic in nothing: its values are an array."""
    ragged = tg.Ragged.from_list(rows)
    assert_type(len(ragged), int)
    assert_type(np.asarray(ragged.lengths).sum(), Any)


tg.TextClassifier(cell="transformer")  # type: ignore[arg-type]
tg.TextClassifier(hidden_sizes=3)  # type: ignore[call-arg]
tg.Forecaster(quantiles="all")  # type: ignore[arg-type]
tg.TextClasifier()  # type: ignore[attr-defined]
