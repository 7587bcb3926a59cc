"""How classifiers are asked over a network: texts or sequences of features, and the probability of every class."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from tidegate.data.transcribed.images import read_picture
from tidegate.errors import DataError
from tidegate.grid import Grid
from tidegate.ragged import Ragged
from tidegate.tasks.live import Live
from tidegate.tasks.wire import (
    Array,
    Json,
    LiveWire,
    Tensors,
    Wire,
    as_bytes,
    feature_cost,
    feature_inputs,
    feature_steps,
    feature_tensors,
    read_features,
    read_images,
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


def read(model: Any, given: Any) -> list[Array]:
    """Read sequences, or where the model scans such, images; raises DataError or ShapeError, naming the one."""
    return read_images(given) if model.network_.reads_images else read_features(model, given)


def tensors(model: Any, came: Tensors) -> list[Array]:
    """Read sequences from arrays as `feature_tensors` does; where the model scans images, also `[B, H, W, C]`."""
    values = came.get("values")
    if model.network_.reads_images and values is not None and values.ndim == 4 and values.dtype.kind in "fiub":
        return list(values)
    return feature_tensors(model, came)


def unfold(model: Any, content: bytes, where: str) -> Array | None:
    """Read a picture as from a disk where the model scans images; None where it reads sequences.

    Raises DataError where it cannot be read, or is a sound.
    """
    if not model.network_.reads_images:
        return None
    if content[:4] == b"RIFF":
        raise DataError(f"{where} is a sound; this model reads images. Send PNG files.")
    return read_picture(content, where).astype(np.float32) / np.float32(255)


def sequences_of(X: Any) -> list[Any]:
    """Bring sequences, or images, into a message."""
    from tidegate.tasks.classifying.sequences import as_sequences

    if isinstance(X, Grid):
        return [np.asarray(image, np.float64).tolist() for image in X]
    if not isinstance(X, Ragged):
        items = [np.asarray(item) for item in X]
        if any(item.ndim == 3 for item in items) or len({item.shape[1:] for item in items if item.ndim == 2}) > 1:
            return [item.astype(np.float64).tolist() for item in items]
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
    given="sequences", read=read, cost=feature_cost, ask=ask, tell=tell, arrays=arrays,
    tensors=tensors, inputs=feature_inputs, outputs=OUTPUTS,
    spell=sequences_of, hear=HEAR, live=FEATURE_LIVE, unfold=unfold,
)  # fmt: skip
