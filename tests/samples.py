"""A small set-up of every task, with made-up data for it: what the battery of all tasks trains and asks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tidegate.data.series_tables import as_series
from tidegate.tasks import CARDS

SMALL: dict[str, Any] = {"hidden_size": 4, "epochs": 3, "batch_size": 8, "learning_rate": 0.05, "patience": 0}
LIVE = ("wave", "oak", "salt", "tide")
WORDS = {"sea": "wave tide surf salt", "wood": "oak fern moss pine", "sky": "cloud wind star moon"}


def texts(count: int, classes: int = 2, seed: int = 0) -> tuple[list[str], list[str]]:
    """Draw texts of one to nine words, most of them of the words of their class."""
    rng = np.random.default_rng(seed)
    names = list(WORDS)[:classes]
    labels = [names[index % classes] for index in range(count)]
    every = " ".join(WORDS.values()).split()
    drawn = [
        [str(rng.choice(WORDS[label].split() if rng.random() < 0.8 else every)) for _ in range(rng.integers(1, 10))]
        for label in labels
    ]
    return [" ".join(words) for words in drawn], labels


def waves(count: int, classes: int = 2, seed: int = 0) -> tuple[list[Any], list[str]]:
    """Draw noisy sequences [T, 2], T from 1 to 9, whose level tells their class."""
    rng = np.random.default_rng(seed)
    names = list(WORDS)[:classes]
    codes = [index % classes for index in range(count)]
    X = [rng.normal(2.0 * code, 0.5, (rng.integers(1, 10), 2)) * [1, 100] for code in codes]
    return X, [names[code] for code in codes]


def sentences(count: int) -> tuple[list[list[str]], list[list[str]]]:
    """Draw sentences whose words are tagged by their class, spans where two of a class follow each other."""
    found = [text.split() for text in texts(count)[0]]
    classes = {word: name for name, words in WORDS.items() for word in words.split()}
    tags = []
    for words in found:
        names = [classes[word] for word in words]
        before = ["", *names]
        tags.append(
            [
                "O" if name == "sky" else f"{'I' if name == last else 'B'}-{name}"
                for last, name in zip(before, names, strict=False)
            ]
        )
    return found, tags


def series(count: int) -> tuple[list[Any], None]:
    """Make as many series of different lengths, two columns each."""
    steps = [np.arange(60 + 7 * index) + 5 * index for index in range(count)]
    return as_series([np.sin(t / 3)[:, None] * [1.0, 20.0] + t[:, None] * 0.01 for t in steps]), None


def spelled(count: int) -> tuple[list[Any], list[str]]:
    """Draw signals [T, 2] whose steps spell texts of one to four symbols, and the texts."""
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(list("ab"), rng.integers(1, 5))) for _ in range(count)]
    spell = {"a": [[1.0, 0.0]] * 3 + [[0.0, 0.0]] * 2, "b": [[0.0, 1.0]] * 4 + [[0.0, 0.0]] * 2}
    return [np.array([step for symbol in text for step in spell[symbol]]) for text in texts], texts


@dataclass(frozen=True)
class Sample:
    """Hold a small set-up of a task.

    Args:
        params: of the task.
        data: draws so many examples, and their answers where there are any.
        answer: gives the bits of what a model says of each of B inputs.
        live: the steps of a live session.
        live_params: what is changed of the task for one.
        bad: a step that cannot be read.
        lookahead: of the live session.
    """

    params: dict[str, Any]
    data: Callable[[int], tuple[Any, Any]]
    answer: Callable[[Any, Any], list[bytes]]
    live: list[Any]
    bad: Any
    lookahead: int | None = None
    live_params: dict[str, Any] = field(default_factory=dict)
    count: int = field(default=24)

    def examples(self) -> tuple[Any, Any]:
        """Draw what the task learns from."""
        return self.data(self.count)


def probabilities(model: Any, X: Any) -> list[bytes]:
    """Give the bits of the probabilities of each input."""
    return [row.tobytes() for row in model.predict_proba(X)]


def means(model: Any, X: Any) -> list[bytes]:
    """Give the bits of the forecasts of each series."""
    return [
        told.mean.tobytes() + b"".join(rows.tobytes() for rows in told.quantiles.values()) for told in model.predict(X)
    ]


def transcripts(model: Any, X: Any) -> list[bytes]:
    """Give the bits of the frames of each signal, and what they spell."""
    told = model.transcribe(X)
    return [rows.tobytes() + repr(one).encode() for rows, one in zip(model.frames(X), told, strict=True)]


def turned(count: int) -> tuple[list[str], list[str]]:
    """Draw texts of one to four words, and the same words from the end."""
    rng = np.random.default_rng(0)
    drawn = [[str(rng.choice(LIVE)) for _ in range(rng.integers(1, 5))] for _ in range(count)]
    return [" ".join(words) for words in drawn], [" ".join(words[::-1]) for words in drawn]


def translations(model: Any, X: Any) -> list[bytes]:
    """Give the bits of the translations of each text, and of what was read for them."""
    return [
        repr((told.text, told.score, [one.text for one in told.alternatives])).encode()
        + b"".join(hop.tobytes() for hop in told.attention)
        for told in model.translate(X, beam=3, n_best=2, attention=True)
    ]


SAMPLES = {
    "text-classifier": Sample(
        SMALL, texts, probabilities, [*LIVE], 3, lookahead=1, live_params={"evidence": 0, "linear": False}
    ),
    "sequence-classifier": Sample(SMALL, waves, probabilities, [*np.ones((4, 2))], [1.0, np.nan], lookahead=1),
    "token-tagger": Sample(SMALL | {"min_count": 1}, sentences, probabilities, [*LIVE], "", lookahead=1),
    "forecaster": Sample(
        SMALL | {"lookback": 6, "horizon": 2, "quantiles": (0.1, 0.9)},
        series,
        means,
        [*np.ones((9, 2))],
        [1.0, np.nan],
        count=3,
    ),
    "language-model": Sample(
        SMALL | {"validation_fraction": 0.25},
        lambda count: (texts(count)[0], None),
        probabilities,
        [*LIVE],
        -1,
    ),
    "transcriber": Sample(
        SMALL
        | {"num_layers": 1, "window": 3, "stride": 2, "dropout": 0.1, "average": 0.5, "validation_fraction": 0.0},
        spelled,
        transcripts,
        [*np.ones((9, 2))],
        [1.0, np.nan],
        lookahead=1,
    ),
    "translator": Sample(
        SMALL
        | {"embedding_size": 4, "decoder_size": 6, "units": "words", "dropout": 0.1, "word_dropout": 0.0}
        | {"average": 0.5, "validation_fraction": 0.0, "stop_on": "loss"},
        turned,
        translations,
        [*LIVE],
        3,
    ),
}  # fmt: skip


def untrained(name: str, **changes: Any) -> Any:
    """Make the small task of a name."""
    return CARDS[name].task()(**SAMPLES[name].params | changes)
