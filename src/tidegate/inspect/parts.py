"""Says what each part of a classifier contributed: the network, the linear part, and the n-grams that they read.

Knows n-grams by the names that a task gives them. Draws nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.documents import Documents
from tidegate.errors import InputError
from tidegate.inspect.subject import Subject, find_subject
from tidegate.network import Network
from tidegate.offers import Inside, Inspectable, Names, Told
from tidegate.runtime import Executor, run_sorted

Array: TypeAlias = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class NGram:
    """Hold what one n-gram of an input adds to the output.

    Args:
        of: what it is made of, `words` or `characters`.
        text: the n-gram itself.
        value: how much of it there is in the input.
        adds: [K] to the output of each class: the value times the weight.
    """

    of: str
    text: str
    value: float
    adds: Array


@dataclass(frozen=True, eq=False)
class Parts:
    """Hold what each part of a classifier contributed to its output before softmax.

    Args:
        classes: K labels.
        network: [B, K] of the network.
        linear: [B, K] of the linear part; zeros where there is none. The two add up to the output, to the bit.
        bias: [K], what the linear part adds to any input.
        ngrams: of each input, all n-grams that the linear part knows, in the order of their numbers; their `adds` and
            `bias` add up to `linear`.
        evidence: of each input and each step, the n-grams that end there and what they tell of the classes: the
            logarithm of how much more often they stand in training texts of a class. Empty where none is read.
    """

    classes: Sequence[Any]
    network: Array
    linear: Array
    bias: Array
    ngrams: list[list[NGram]]
    evidence: list[list[list[Told]]]

    def largest(self, index: int, column: int, most: int = 10) -> list[NGram]:
        """Return the n-grams of an input that add the most to a class, or take the most from it, the largest first."""
        return sorted(self.ngrams[index], key=lambda ngram: -abs(float(ngram.adds[column])))[:most]


def contributions(model: Any, inputs: Any) -> Parts:
    """Find out what the network and the linear part of a classifier of texts contributed, and which n-grams.

    Args:
        model: a fitted classifier that counts n-grams.
        inputs: B texts.

    Raises:
        InputError: the model counts none, is not fitted, or there is no step to look at.

    >>> import tidegate as tg
    >>> texts, labels = ["good fun", "really good", "so bad", "bad film"] * 4, ["pos", "pos", "neg", "neg"] * 4
    >>> critic = tg.TextClassifier(hidden_size=4, epochs=2).fit(texts, labels)
    >>> found = contributions(critic, ["good film"])
    >>> found.largest(0, column=1, most=1)[0].text
    'good'
    >>> bool((found.network + found.linear == tg.inspect.trace(critic, ["good film"]).output).all())
    True
    """
    inside = model.inside() if isinstance(model, Inspectable) else None
    if inside is None or inside.names is None:
        raise InputError(f"this {type(model).__name__} is one part alone: it counts no n-grams.")
    subject = find_subject(model, inputs)
    rows = run_sorted(Executor(subject.network, subject.weights), subject.x)
    return parts_of(inside, subject, rows, inputs)


def parts_of(inside: Inside, subject: Subject, rows: Array, inputs: Any) -> Parts:
    """Put together what `contributions` finds, given what the network alone makes of the inputs, `[B, K]`."""
    assert inside.names is not None, "the caller asked"
    documents, _ = inside.prepare(inputs)
    linear = np.zeros_like(rows) if subject.linear is None else subject.linear
    bias, ngrams = np.zeros(rows.shape[1], rows.dtype), [list[NGram]() for _ in rows]
    if isinstance(documents, Documents) and documents.features is not None:
        bias, ngrams = _ngrams(inside.network, inside, documents, inside.names)
    told, offsets = inside.names.evidence(inputs), np.asarray(subject.x.offsets)
    evidence = [told[begin:end] for begin, end in pairwise(offsets)]
    return Parts(list(inside.classes or ()), rows, linear, bias, ngrams, evidence)


def _ngrams(network: Network, inside: Inside, documents: Documents, names: Names) -> tuple[Array, list[list[NGram]]]:
    """Name all features of documents, with what each adds."""
    last, features = len(network.nodes) - 1, documents.features
    assert features is not None, "the caller asked"
    weight, bias = inside.weights[f"{last}.weight"], inside.weights[f"{last}.bias"]
    ids, offsets = np.asarray(features.columns.values), np.asarray(features.columns.offsets)
    found = [
        NGram(*names.feature(int(number)), float(value), value * weight[number])
        for number, value in zip(ids, features.values, strict=True)
    ]
    return bias, [found[begin:end] for begin, end in pairwise(offsets)]
