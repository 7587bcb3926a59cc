"""`tidegate predict`: what a model says about texts or sequences, one line for each."""

import json as jsonlib
import os
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from tidegate.cli.options import Json, ModelPath
from tidegate.cli.output import emit_json
from tidegate.cli.tagging import print_tags
from tidegate.errors import DataError, InputError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from tidegate.tasks._classifier import Classifier

Texts = Annotated[
    list[str] | None,
    typer.Argument(metavar="TEXT|-", help="What to answer; without it, or with -, every line of stdin."),
]


Spans = Annotated[
    bool, typer.Option("--spans", help="Of a tagger: print spans of words and where they stand, not each word.")
]


def predict(model: ModelPath, texts: Texts = None, spans: Spans = False, json: Json = False) -> None:
    """Classify texts or sequences, or tag the words of texts.

    Each gets a line: the label, its probability, and the text. A model of sequences takes each as JSON, a list of
    steps, every step a list of numbers. A tagger prints a line for each word: the word, its tag, and the probability
    of the tag; with --spans a line for each span: its label, where it begins and ends in the text, the least
    probability of its tags, and the words. Lines from a pipe are answered as they come.

    Examples:
      tidegate predict runs/imdb-tutorial-bilstm "I laughed, I cried, and I would see it again."
      tidegate predict runs/wnut17-lstm --spans "Ada Lovelace lived in London."
      cut -f 2 reviews.tsv | tidegate predict runs/imdb-tutorial-bilstm --json
    """
    import tidegate

    loaded = tidegate.load(model)
    is_tagger = isinstance(loaded, tidegate.TokenTagger)
    if spans and not is_tagger:
        raise InputError(f"--spans is for taggers, but {model} is a {loaded.name}.")
    for batch in _stdin_batches() if texts in (None, [], ["-"]) else [texts]:
        if is_tagger:
            print_tags(loaded, batch, spans=spans, json=json)
        else:
            _print_labels(loaded, batch, json=json)
        sys.stdout.flush()


def _print_labels(classifier: "Classifier", batch: list[str], *, json: bool) -> None:
    for text, row in zip(batch, _probabilities(classifier, batch), strict=True):
        _print_one(text, dict(zip(classifier.classes_.tolist(), row.tolist(), strict=True)), json=json)


def _probabilities(classifier: "Classifier", batch: list[str]) -> "npt.NDArray[np.float32]":
    from tidegate.tasks import TextClassifier

    return classifier.predict_proba(batch if isinstance(classifier, TextClassifier) else list(map(_sequence, batch)))


def _sequence(line: str) -> list[list[float]]:
    try:
        steps: list[list[float]] = jsonlib.loads(line)
        return steps
    except (ValueError, RecursionError):
        raise DataError(f"{_short(line)!r} is not a sequence. Write JSON such as [[0.1, 0.2], [0.3, 0.4]].") from None


def _print_one(text: str, probabilities: dict[object, float], *, json: bool) -> None:
    label = max(probabilities, key=probabilities.__getitem__)
    if json:
        named = {str(name): value for name, value in probabilities.items()}
        emit_json({"input": text, "label": label, "probabilities": named})
    else:
        print(f"{label}\t{probabilities[label]:.4f}\t{_short(text)}")


def _short(text: str, width: int = 80) -> str:
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 1] + "…"


def _stdin_batches() -> Iterator[list[str]]:
    """Give the complete lines of stdin as soon as they are there, as many together as there are."""
    if sys.stdin is None or sys.stdin.isatty():
        raise InputError("there is nothing to answer. Give texts, or pipe lines into stdin.")
    rest, number = b"", 1
    while chunk := os.read(sys.stdin.fileno(), 2**16):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from _decoded(lines, number)
        number += len(lines)
    if rest:
        yield from _decoded([rest], number)


def _decoded(lines: Iterable[bytes], number: int) -> Iterator[list[str]]:
    """Decode one batch of lines; what stands before a line that is not UTF-8 is still given."""
    batch: list[str] = []
    for offset, line in enumerate(lines):
        try:
            batch.append(_decode(line, f"line {number + offset} of stdin"))
        except DataError:
            if batch:
                yield batch
            raise
    if batch:
        yield batch


def _decode(line: bytes, where: str) -> str:
    try:
        text = line.removesuffix(b"\r").decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{where} is not UTF-8: byte {error.start} is 0x{line[error.start]:02x}.") from None
    if not text.strip():
        raise DataError(f"{where} is empty. Leave empty lines out.")
    return text
