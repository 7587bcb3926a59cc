"""How language models are asked over a network: texts, and the tokens that likely come next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tidegate.tasks.live import Live
from tidegate.tasks.wire import (
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
    from tidegate.tasks.language.model import LanguageModel

NEXT = 5  # tokens that are named


@dataclass(frozen=True, eq=False)
class Foreseen:
    """Hold the probability of each token to come next, `[V]` float32, and whether all of them were asked for."""

    shares: Array
    full: bool = False


def ask(model: LanguageModel, inputs: list[Any], full: bool) -> list[Foreseen]:
    """Foresee what comes after each text."""
    return [Foreseen(row, full) for row in model.predict_proba(inputs)] if inputs else []


def tell(model: LanguageModel, found: Foreseen) -> Json:
    """Name the likeliest tokens, the end of the text as an empty one; all probabilities where these were asked for."""
    best = np.argsort(-found.shares, kind="stable")[:NEXT]
    told: Json = {
        "next": [{"token": model.vocabulary_.spell(int(k)), "probability": float(found.shares[k])} for k in best]
    }
    return told | ({"probabilities": found.shares.tolist()} if found.full else {})


def arrays(model: LanguageModel, answers: Sequence[Foreseen]) -> dict[str, Array]:
    """Give the probabilities, `[B, V]`, and the likeliest tokens, `[B]`."""
    shares = (
        np.stack([found.shares for found in answers]) if answers else np.empty((0, model.vocabulary_.size), np.float32)
    )
    best = shares.argmax(axis=1).tolist() if len(answers) else []
    return {"probabilities": shares, "token": as_bytes([model.vocabulary_.spell(k) for k in best])}


def tell_step(model: LanguageModel, shares: Array) -> Json:
    """Name what likely follows the text so far."""
    return tell(model, Foreseen(shares))


def hear_step(_labels: Sequence[Any], answer: Json) -> list[tuple[str, float]]:
    """Give the likeliest tokens, each with its probability."""
    return [(each["token"], each["probability"]) for each in answer["next"]]


def gather(rows: Sequence[Array]) -> list[Foreseen]:
    """Bring the answers to steps into the form of those to whole texts."""
    return list(map(Foreseen, rows))


def last(live: Live) -> list[Any]:
    """End; nothing waits."""
    live.finish()
    return []


def hear_tokens(_labels: Sequence[Any], answers: Sequence[Json]) -> list[str]:
    """Give the likeliest tokens."""
    return [answer["next"][0]["token"] for answer in answers]


def hear_shares(labels: Sequence[Any], answers: Sequence[Json]) -> Array:
    """Give the probabilities, `[B, V]` float32."""
    rows = [answer["probabilities"] for answer in answers]
    return np.array(rows, np.float32).reshape(len(rows), len(labels))


WIRE = Wire(
    given="texts", read=read_plain_texts, cost=text_cost, ask=ask, tell=tell, arrays=arrays, tensors=text_tensors,
    inputs=text_inputs, outputs=(("probabilities", "FP32", (-1, -1)), ("token", "BYTES", (-1,))),
    spell=texts_of, hear={"predict": hear_tokens, "predict_proba": hear_shares},
    live=LiveWire({}, tell_step, last, text_tensors, hear_step, gather),
)  # fmt: skip
