"""How taggers are asked over a network: texts or lists of words, and the tag, place and probability of each word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from tidegate.data.checks import check_texts
from tidegate.tasks.live import Live
from tidegate.tasks.tagging.reading import TaggedWord, check_words
from tidegate.tasks.wire import Array, Json, LiveWire, Wire, as_bytes, text_cost, text_inputs, text_tensors, texts_of

if TYPE_CHECKING:
    from tidegate.tasks.tagging.tagger import TokenTagger


@dataclass(frozen=True, eq=False)
class Tagged:
    """Hold a text, its words, and where they were asked for the probabilities of all tags, `[T, K]`."""

    text: str
    words: list[TaggedWord]
    shares: Array | None


def read(_model: TokenTagger, given: Any) -> list[Any]:
    """Check that texts or lists of words came; raises InputError, naming what is neither."""
    check_texts([item for item in given if not isinstance(item, list)], allow_empty=True)
    for index, item in enumerate(given):
        if isinstance(item, list):
            check_words(item, f"texts[{index}]", allow_empty=True)
    return list(given)


def ask(model: TokenTagger, inputs: list[Any], full: bool) -> list[Tagged]:
    """Tag the words of each input."""
    texts = [given if isinstance(given, str) else " ".join(given) for given in inputs]
    shares = model.predict_proba(inputs) if full else [None] * len(inputs)
    return [Tagged(*each) for each in zip(texts, model.predict_words(inputs), shares, strict=True)]


def tell(model: TokenTagger, found: Tagged) -> Json:
    """Tell words with their tags, and the spans that these spell out."""
    told: Json = {"words": [dict(vars(word)) for word in found.words]}
    told["spans"] = [vars(span) for span in model.spans_of(found.text, found.words)]
    return told if found.shares is None else told | {"probabilities": found.shares.tolist()}


def arrays(model: TokenTagger, answers: Sequence[Tagged]) -> dict[str, Array]:
    """Give the N words of all texts end to end, and the `offsets` `[B + 1]` where each text begins."""
    words = list(chain.from_iterable(found.words for found in answers))
    rows = [found.shares for found in answers if found.shares is not None and len(found.shares)]
    found = {
        "tag": as_bytes([word.tag for word in words]),
        "word": as_bytes([word.word for word in words]),
        "start": np.array([word.start for word in words], np.int64),
        "end": np.array([word.end for word in words], np.int64),
        "offsets": np.cumsum([0, *(len(found.words) for found in answers)], dtype=np.int64),
    }
    return found | {"probabilities": np.concatenate(rows) if rows else np.empty((0, len(model.tags_)))}


def hear_tags(_labels: Sequence[Any], answers: Sequence[Json]) -> list[list[str]]:
    """Give the tags of each text."""
    return [[word["tag"] for word in answer["words"]] for answer in answers]


def hear_shares(labels: Sequence[Any], answers: Sequence[Json]) -> list[Array]:
    """Give the probabilities of the tags, B arrays [T, K] float64."""
    return [np.array(answer["probabilities"]).reshape(-1, len(labels)) for answer in answers]


def hear_words(_labels: Sequence[Any], answers: Sequence[Json]) -> list[list[TaggedWord]]:
    """Give the words of each text."""
    return [[TaggedWord(**word) for word in answer["words"]] for answer in answers]


def tell_word(_model: Any, word: TaggedWord) -> Json:
    """Tell the word that is answered: its place, its tag, and the probability of that."""
    return dict(vars(word))


def hear_step(_labels: Sequence[Any], answer: Json) -> TaggedWord:
    """Give the word that is answered."""
    return TaggedWord(**{name: answer[name] for name in ("word", "start", "end", "tag", "probability")})


def gather(words: Sequence[TaggedWord]) -> list[Tagged]:
    """Bring the words that steps were answered with into the form of the answer to a text."""
    return [Tagged("", list(words), None)]


def last(live: Live) -> list[TaggedWord]:
    """Answer the words that waited for more."""
    waiting: list[TaggedWord] = live.finish()
    return waiting


OUTPUTS = (
    ("tag", "BYTES", (-1,)), ("word", "BYTES", (-1,)), ("start", "INT64", (-1,)), ("end", "INT64", (-1,)),
    ("offsets", "INT64", (-1,)), ("probabilities", "FP64", (-1, -1)),
)  # fmt: skip
WIRE = Wire(
    given="texts", read=read, cost=text_cost, ask=ask, tell=tell, arrays=arrays, tensors=text_tensors,
    inputs=text_inputs, outputs=OUTPUTS, spell=texts_of,
    hear={"predict": hear_tags, "predict_proba": hear_shares, "predict_words": hear_words},
    live=LiveWire({"lookahead": int}, tell_word, last, text_tensors, hear_step, gather),
)  # fmt: skip
