"""Learns from texts without labels what another classifier says of them: its teacher. Knows no networks.

The teacher's probabilities stand in the place of labels, none of them sharpened or left out, and n-grams are counted
over all texts anew: what stands in a few labelled texts is then met in many (self-training; Xie et al. 2020 tell of it
with images).
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tidegate.data.checks import check_same_length
from tidegate.data.labels import find_missing
from tidegate.errors import InputError
from tidegate.tasks.classifying.labelled import Labelled, learn_classes
from tidegate.tasks.loading import load, model_file
from tidegate.tasks.weights import Weights, read_sample_weight

Array = npt.NDArray[Any]

_AT_ONCE = 1000  # texts that the teacher reads together
_CRUMB = 0.01  # a probability below this is none: it would double what is counted, and tells nothing


@dataclass(frozen=True, eq=False)
class Unlabelled:
    """Hold texts without labels.

    rows: [B] where they stand in the user's data.
    weights: [B] how much each counts, where not all count the same.
    """

    x: list[str]
    rows: npt.NDArray[np.int64]
    weights: Weights | None


def set_apart(texts: list[str], y: Any, sample_weight: Any) -> tuple[Labelled, Array, Unlabelled]:
    """Pair texts with the labels that they have; return them, the classes, and the texts that have none.

    Raises as `learn_classes` does.
    """
    labels, missing = find_missing(y)
    check_same_length(len(texts), len(labels))
    weights = read_sample_weight(sample_weight, len(labels))
    known, unknown = np.flatnonzero(~missing), np.flatnonzero(missing)
    if len(unknown) and not len(known):
        raise InputError(f"none of the {len(unknown)} texts has a label, and a classifier learns from those that do.")
    own, theirs = None, None
    if weights is not None:
        unknown = unknown[weights[unknown] > 0]
        own, theirs = weights[known], weights[unknown]
    examples, classes = learn_classes([texts[row] for row in known], [labels[row] for row in known], own)
    examples = replace(examples, rows=known if examples.rows is None else known[examples.rows])
    return examples, classes, Unlabelled([texts[row] for row in unknown], unknown, theirs)


class Answering(Protocol):
    """Say how likely each class of a text is."""

    @property
    def classes_(self) -> Array:
        """The labels `[K]`, sorted."""

    def predict_proba(self, X: Any) -> Array:
        """Compute the probability of each class, `[B, K]`."""


@dataclass(frozen=True, eq=False)
class Teacher:
    """Hold a trained classifier, which teaches another one."""

    model: Answering

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, task: str) -> Teacher:
        """Load one from a run folder or model file.

        Args:
            path: of either.
            task: the name of the task that it must be.

        Raises:
            InputError: there is no such file, or it holds the model of another task.
            ModelFileError: the file is truncated or altered.
        """
        file = model_file(path)
        if not file.is_file():
            raise InputError(f"teacher={os.fspath(path)!r}: there is no model file {file}. Name a trained {task}.")
        model = load(file)
        if getattr(model, "name", None) != task:
            raise InputError(f"teacher={os.fspath(path)!r} holds no {task}. Name the run folder or model file of one.")
        return cls(model)

    def teach(self, learn: Labelled, others: Unlabelled, classes: Array) -> Labelled:
        """Put texts without labels behind those with labels, and say of each how likely each class is.

        Raises InputError where the teacher tells other classes apart.
        """
        if self.model.classes_.tolist() != classes.tolist():
            raise InputError(
                f"the teacher tells {_few(self.model.classes_)} apart, and the labels are {_few(classes)}. Train it on "
                "the same labels."
            )
        texts = learn.x
        assert isinstance(texts, list)
        if not others.x:
            return learn
        parts = [others.x[at : at + _AT_ONCE] for at in range(0, len(others.x), _AT_ONCE)]
        said = np.concatenate([self.model.predict_proba(part) for part in parts])
        said[said < _CRUMB] = 0
        truth = np.concatenate([learn.truth(len(classes)), said / said.sum(axis=1, keepdims=True)])
        rows = np.concatenate([np.arange(len(learn.y)) if learn.rows is None else learn.rows, others.rows])
        weights = None
        if learn.weights is not None and others.weights is not None:
            weights = np.concatenate([learn.weights, others.weights])
        return Labelled([*texts, *others.x], truth.argmax(axis=1), rows, weights, truth)


def _few(classes: Array) -> str:
    listed = classes.tolist()
    return f"{len(listed)} classes ({', '.join(map(repr, listed[:5]))}{', ...' if len(listed) > 5 else ''})"
