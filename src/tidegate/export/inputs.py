"""Prepares what an exported graph reads, from what the model itself reads. Does not need the package onnx."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.documents import Documents
from tidegate.errors import InputError
from tidegate.offers import Inspectable
from tidegate.ragged import Ragged
from tidegate.words import Words

Array: TypeAlias = npt.NDArray[Any]


def graph_inputs(model: Any, X: Any) -> dict[str, Array]:
    """Turn inputs of a task that reads text into the arrays that its exported graph reads, by name.

    A graph holds a network and no tables of n-grams, so whoever feeds one calls this where Tidegate is installed. Rows
    come padded with zeros.

    Args:
        model: a fitted task that reads texts or words, the one that was exported.
        X: B inputs, as `predict` takes them.

    Raises:
        InputError: the model is not fitted, or reads features: those are padded as they are measured.

    >>> import tidegate as tg
    >>> texts, labels = ["good fun", "so good", "bad", "so bad"] * 4, ["pos", "pos", "neg", "neg"] * 4
    >>> model = tg.TextClassifier(hidden_size=4, epochs=1).fit(texts, labels)
    >>> inputs = graph_inputs(model, ["good", "so bad"])
    >>> sorted(inputs)
    ['beside', 'feature_ids', 'feature_lens', 'feature_values', 'sequence_lens', 'tokens']
    >>> inputs["sequence_lens"]
    array([1, 2], dtype=int32)
    """
    if not isinstance(model, Inspectable):
        raise InputError(f"a {type(model).__name__} prepares nothing. Pass a fitted task that reads text.")
    x, _ = model.inside().prepare(X)
    if isinstance(x, Documents):
        return _padded_ids("tokens", "sequence_lens", x.tokens) | _beside(x) | _features(x)
    if isinstance(x, Words):
        spelling, _ = x.tokens.with_values(np.asarray(x.spelling, np.int64)).to_padded()
        words = _padded_ids("tokens", "sequence_lens", x.tokens) | {"spelling": spelling}
        return words | _padded_ids("characters", "character_lens", x.spellings)
    if x.values.ndim != 1:
        raise InputError("the model reads features, which its graph takes as they are measured. Pad them.")
    return _padded_ids("tokens", "sequence_lens", x)


def _padded_ids(name: str, lengths_name: str, ids: Ragged) -> dict[str, Array]:
    padded, lengths = ids.to_padded()
    return {name: padded.astype(np.int64), lengths_name: lengths.astype(np.int32)}


def _beside(documents: Documents) -> dict[str, Array]:
    if not documents.beside.shape[1]:
        return {}
    padded, _ = documents.tokens.with_values(documents.beside).to_padded()
    return {"beside": padded}


def _features(documents: Documents) -> dict[str, Array]:
    if documents.features is None:
        return {}
    columns = documents.features.columns
    values, _ = columns.with_values(documents.features.values).to_padded()
    return _padded_ids("feature_ids", "feature_lens", columns) | {"feature_values": values}
