"""How translators are asked over a network: texts, and their translations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np

from tidegate.errors import InputError
from tidegate.tasks.live import Live
from tidegate.tasks.translating.live import MOST_TOKENS
from tidegate.tasks.translating.translations import Translation
from tidegate.tasks.wire import (
    CHARACTERS,
    Array,
    Json,
    LiveWire,
    Wire,
    as_bytes,
    read_plain_texts,
    text_cost,
    text_inputs,
    text_tensors,
    texts_of,
)

if TYPE_CHECKING:
    from tidegate.tasks.translating.translator import Translator

_STEPS = 3  # about as many rows of a beam as tokens of a text, each of a beam of five
_LIVE_STEPS = 2  # a row of the source and one of the most probable tokens for each token of a text


def cost(texts: Any) -> int:
    """Guess the rows that translating takes by the tokens that come."""
    return _STEPS * text_cost(texts)


def read(model: Translator, given: Any) -> list[Any]:
    """Check that texts came; raises DataError, naming the one that is none, and InputError for one that is too long."""
    texts = read_plain_texts(model, given)
    for index, text in enumerate(texts):
        if (count := model.reading_.count(text)) > MOST_TOKENS:
            raise InputError(
                f"text {index} has {count:,} tokens; {MOST_TOKENS:,} at most are translated here. Send it in parts."
            )
    return texts


def ask(model: Translator, inputs: list[Any], full: bool) -> list[Translation]:
    """Translate texts; with `full` what was read for each token is kept."""
    return model.translate(inputs, attention=full)


def tell(_model: Any, told: Translation) -> Json:
    """Say a translation, and what was read for each token where that was asked for."""
    said: Json = {"translation": told.text, "score": told.score, "cut": told.cut, "unknown": told.unknown}
    if not told.attention:
        return said
    hops = [hop.astype(np.float64).tolist() for hop in told.attention]
    return said | {"tokens": list(told.tokens), "source": list(told.source), "attention": hops}


def arrays(_model: Any, answers: Sequence[Translation]) -> dict[str, Array]:
    """Give translations and their scores, `[B]`."""
    scores = np.array([told.score for told in answers], np.float64)
    return {"translation": as_bytes([told.text for told in answers]), "score": scores}


def last(live: Live) -> list[Any]:
    """End with the translation of the whole."""
    return [live.finish()]


def kept(live: Any) -> int:
    """Count the characters of the text so far, all of which a session keeps."""
    return len(live.text)


def live_cost(steps: Sequence[Any], end: bool, kept: Callable[[], int]) -> int:
    """Guess the rows that a session takes: all that came so far is translated at each piece, and once more at the end.

    >>> live_cost(["A dog", " barks"], True, lambda: 0), live_cost([" loud"], False, lambda: 4000)
    (17, 2001)
    """
    sizes = [len(piece) if isinstance(piece, str | bytes) else 0 for piece in steps] + [0] * end
    wholes = accumulate(sizes, initial=kept())
    next(wholes)
    return 1 + sum(_LIVE_STEPS * min(whole // CHARACTERS + 1, MOST_TOKENS) for whole in wholes)


def hear_step(_labels: Sequence[Any], answer: Json) -> str:
    """Give the translation so far."""
    return str(answer["translation"])


def hear(_labels: Sequence[Any], answers: Sequence[Json]) -> list[str]:
    """Give the translations."""
    return [answer["translation"] for answer in answers]


WIRE = Wire(
    given="texts", read=read, cost=cost, ask=ask, tell=tell, arrays=arrays, tensors=text_tensors,
    inputs=text_inputs, outputs=(("translation", "BYTES", (-1,)), ("score", "FP64", (-1,))),
    spell=texts_of, hear={"predict": hear},
    live=LiveWire({}, tell, last, text_tensors, hear_step, kept=kept, cost=live_cost),
)  # fmt: skip
