"""Writes what this version leaves on a disk: a model of each task, what it answers, a stream under way, a stopped run.

Run once for each version that is given out, `python -m tests.saved.write FOLDER`; `tests/laws/test_saved.py` lets every
later version read it. What was written is never written again.
"""

from __future__ import annotations

import json
import shutil
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

import tidegate as tg

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from answers import STEPS, TEXTS, WAVE, answer

Json = dict[str, Any]
SENTENCES = [["the", "tide", "rises"], ["a", "boat", "sails", "on"], ["the", "boat", "sinks"]] * 4
TAGS = [["B-x", "I-x", "O"], ["O", "B-x", "I-x", "I-x"], ["B-x", "B-x", "O"]] * 4
LABELS = ["pos", "neg", "pos"] * 5
SMALL: Json = {"hidden_size": 3, "epochs": 3, "batch_size": 4, "seed": 1}
PLAIN: Json = {"evidence": 0, "linear": False, "vocabulary_size": 20_000, "word_dropout": 0.5}
PLAIN |= {"validation_fraction": 0.1}
"""The defaults of the text classifier when the first files were written."""
WHOLE = ("forecaster", "language-model", "translator")
"""Tasks whose streams want no look-ahead."""


def tasks() -> dict[str, tuple[Any, tuple[Any, Any]]]:
    """Give a task that has learned nothing yet under its name, and what it is to learn from."""
    rng = np.random.default_rng(0)
    rows = [rng.standard_normal((4 + index % 3, 2)) + index % 2 for index in range(16)]
    series = np.sin(np.arange(120) / 3)[:, None] * [1.0, 20.0]
    return {
        "text-classifier": (tg.TextClassifier(**SMALL, **PLAIN, embedding_size=4, dropout=0.2), (TEXTS * 5, LABELS)),
        "sequence-classifier": (tg.SequenceClassifier(**SMALL, cell="gru"), (rows, [index % 2 for index in range(16)])),
        "token-tagger": (
            tg.TokenTagger(
                **SMALL,
                min_count=1,
                learn_scheme="bioes",
                embedding_size=4,
                character_embedding_size=3,
                character_hidden_size=2,
                validation_fraction=0,
            ),
            (SENTENCES, TAGS),
        ),
        "forecaster": (tg.Forecaster(**SMALL, lookback=6, horizon=2, quantiles=(0.1, 0.9)), (series[:, :1], None)),
        "language-model": (tg.LanguageModel(**SMALL, cell="lstm"), (TEXTS * 8, None)),
        "transcriber": (tg.Transcriber(**SMALL, num_layers=1, validation_fraction=0.2), spoken()),
        "translator": (
            tg.Translator(**SMALL, embedding_size=4, decoder_size=4, hops=2, units="words", validation_fraction=0),
            counted(),
        ),
    }


def spoken() -> tuple[list[Any], list[str]]:
    """Give signals in which each symbol is seen for four steps, and their texts."""
    texts = ["abc", "cab", "bca", "acb"] * 4
    return [np.repeat(np.eye(3)[["abc".index(symbol) for symbol in text]], 4, axis=0) for text in texts], texts


def counted() -> tuple[list[str], list[str]]:
    """Give small numbers in words, and in digits."""
    texts = ["one two", "two three", "three one", "two"] * 4
    return texts, [text.replace("one", "1").replace("two", "2").replace("three", "3") for text in texts]


def steps(name: str) -> list[Any]:
    """Give what a live stream of a task reads, step after step."""
    if name in ("text-classifier", "language-model"):
        return ["a", "good", "film"]
    if name == "token-tagger":
        return ["the", "boat", "sails", "on"]
    if name == "transcriber":
        return list(spoken()[0][0])
    if name == "translator":
        return ["one", " two", " three"]
    return [[value] for value in WAVE[:9].tolist()] if name == "forecaster" else list(STEPS[0])


def told(answers: Any) -> Any:
    """Bring what streams say into plain values."""
    if isinstance(answers, list | tuple):
        return [told(one) for one in answers]
    if isinstance(answers, np.ndarray):
        return answers.tolist()
    mean = getattr(answers, "mean", None)
    return mean.tolist() if isinstance(mean, np.ndarray) else str(answers)


def write(folder: Path) -> None:
    """Write all of it into `folder`, which must not be there."""
    folder.mkdir(parents=True)
    for name, (task, (X, y)) in tasks().items():
        home = folder / name
        begun = task.fit_steps(X, y, run_dir=home / "stopped")
        list(islice(begun, 2))
        begun.close()
        whole = tasks()[name][0].fit(X, y)
        whole.save(home / "model.safetensors", licence="CC0-1.0", data="made up")
        stream = whole.stream(lookahead=None if name in WHOLE else 1)
        said = told([stream.step(step) for step in steps(name)[:2]])
        (home / "stream.state").write_bytes(stream.state)
        said += told([stream.step(step) for step in steps(name)[2:]])
        expected = {"answers": answer(tg.load(home / "model.safetensors")), "stream": said}
        (home / "expected.json").write_text(json.dumps(expected) + "\n")
        (home / "resumed.json").write_text(json.dumps(_resumed(name, home, folder / "work")) + "\n")


def _resumed(name: str, home: Path, work: Path) -> Any:
    """Let a copy of the stopped run go on to its end, and ask what it learned."""
    shutil.copytree(home / "stopped", work)
    task, (X, y) = tasks()[name]
    for _ in task.fit_steps(X, y, resume=work):
        pass
    shutil.rmtree(work)
    return answer(task)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
