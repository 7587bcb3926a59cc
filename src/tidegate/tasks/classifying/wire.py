"""How classifiers are asked over a network: texts or sequences of features, and the probability of every class."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from tidegate.tasks.live import Live
from tidegate.tasks.wire import (
    Array,
    Json,
    LiveWire,
    Wire,
    as_bytes,
    feature_cost,
    feature_inputs,
    feature_steps,
    feature_tensors,
    read_features,
    read_plain_texts,
    text_cost,
    text_inputs,
    text_tensors,
    texts_of,
)


def ask(model: Any, inputs: list[Any], _full: bool) -> list[Array]:
    """Compute the probabilities of each input, B rows [K] float32."""
    return list(model.predict_proba(inputs)) if inputs else []


def tell(model: Any, shares: Array) -> Json:
    """Name the class, or list the labels where there may be several, and give the probability of each."""
    named = dict(zip(map(str, model.classes_.tolist()), shares.tolist(), strict=True))
    answer = model.choose(shares[None]).tolist()[0]
    return {"labels" if model.multilabel_ else "label": answer, "probabilities": named}


def arrays(model: Any, rows: Sequence[Array]) -> dict[str, Array]:
    """Give the probabilities, `[B, K]`, and the classes, `[B]`, or where there may be several a JSON list of labels."""
    shares = np.stack(rows) if rows else np.empty((0, len(model.classes_)), np.float32)
    said = model.choose(shares).tolist()
    return {"probabilities": shares, "label": as_bytes(map(json.dumps, said) if model.multilabel_ else said)}


def sequences_of(X: Any) -> list[Any]:
    """Bring sequences into a message."""
    from tidegate.tasks.classifying.sequences import as_sequences

    return [np.asarray(item, np.float64).tolist() for item in as_sequences(X).to_list()]


def hear_labels(labels: Sequence[Any], answers: Sequence[Json]) -> Array:
    """Give the labels, `[B]`, in their own type; where there may be several, lists of them."""
    if any("labels" in answer for answer in answers):
        lists = np.empty(len(answers), object)
        lists[:] = [answer["labels"] for answer in answers]
        return lists
    return np.array([answer["label"] for answer in answers], dtype=np.asarray(labels).dtype)


def hear_shares(labels: Sequence[Any], answers: Sequence[Json]) -> Array:
    """Give the probabilities, `[B, K]` float32."""
    rows = [[answer["probabilities"][str(label)] for label in labels] for answer in answers]
    return np.array(rows, np.float32).reshape(len(rows), len(labels))


def last(live: Live) -> list[Any]:
    """Say once more what the sequence is, now that it ends."""
    return [live.finish()] if live.steps else []


def hear_step(labels: Sequence[Any], answer: Json) -> Array:
    """Give the probabilities so far, `[K]` float32."""
    return np.asarray(hear_shares(labels, [answer])[0])


OUTPUTS = (("probabilities", "FP32", (-1, -1)), ("label", "BYTES", (-1,)))
HEAR = {"predict": hear_labels, "predict_proba": hear_shares}
TEXT_LIVE = LiveWire({"lookahead": int}, tell, last, text_tensors, hear_step)
FEATURE_LIVE = LiveWire({"lookahead": int}, tell, last, feature_steps, hear_step)
OF_TEXTS = Wire(
    given="texts", read=read_plain_texts, cost=text_cost, ask=ask, tell=tell, arrays=arrays, tensors=text_tensors,
    inputs=text_inputs, outputs=OUTPUTS, spell=texts_of, hear=HEAR, live=TEXT_LIVE,
)  # fmt: skip
OF_SEQUENCES = Wire(
    given="sequences", read=read_features, cost=feature_cost, ask=ask, tell=tell, arrays=arrays,
    tensors=feature_tensors, inputs=feature_inputs, outputs=OUTPUTS,
    spell=sequences_of, hear=HEAR, live=FEATURE_LIVE,
)  # fmt: skip
