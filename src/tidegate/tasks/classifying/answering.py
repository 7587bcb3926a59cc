"""What a fitted classifier does with inputs: answers, streams, a look inside, and what surrounds an exported graph."""

from __future__ import annotations

from typing import Any

import numpy as np

from tidegate.export import ImageInterface, Interface, SequenceInterface
from tidegate.export.interface import Ending
from tidegate.runtime import Prepared, run_sorted
from tidegate.tasks.classifying.classifier import Classes, Sequences
from tidegate.tasks.classifying.labelled import Inputs, pair_known
from tidegate.tasks.fitted import Fitted
from tidegate.tasks.task import Array, Json
from tidegate.tasks.weights import read_sample_weight


def logits(fitted: Fitted[Classes], inputs: Inputs) -> Array:
    """Compute the score of each class, `[B, K]`; those of one input depend, to the bit, on that input alone."""
    x = fitted.learned.preparation.encode(inputs)
    return run_sorted(fitted.executor, x)


def probabilities(fitted: Fitted[Classes], inputs: Inputs) -> Array:
    """Compute the probability of each class, or of each label by itself, `[B, K]`."""
    return fitted.learned.likely(logits(fitted, inputs))


def answers(fitted: Fitted[Classes], inputs: Inputs) -> Array:
    """Name the class of each input, `[B]`, or list its labels."""
    return fitted.learned.choose(probabilities(fitted, inputs))


def accuracy(fitted: Fitted[Classes], inputs: Inputs, y: Any, sample_weight: Any) -> float:
    """Compute the share of inputs whose label, or whole set of labels, is right.

    Raises DataError for a label that is no class.
    """
    learned = fitted.learned
    truth = pair_known(inputs, y, learned.classes, name="y", several=learned.several).y
    right = learned.decide(probabilities(fitted, inputs)) == truth
    right = right.all(axis=1) if learned.several else right
    return float(np.average(right, weights=read_sample_weight(sample_weight, len(right))))


def looked_into(fitted: Fitted[Classes], inputs: Inputs) -> tuple[Sequences, list[str] | None]:
    """Return inputs as the network reads them, and the N steps as text where they are text."""
    preparation = fitted.learned.preparation
    return preparation.encode(inputs), preparation.spell(inputs)


def prepared(fitted: Fitted[Classes], lookahead: int | None) -> Prepared:
    """Pack the weights for streams, which answer each step with the probability of each class so far, `[K]`."""
    return Prepared(fitted.executor, lookahead, read=fitted.learned.preparation.read, say=fitted.learned.likely)


def interface(
    fitted: Fitted[Classes], described: Json, reading: Json, *, scaling: tuple[Array, Array] | None = None
) -> Interface:
    """Name the classes in an exported graph, and say how input is prepared."""
    learned = fitted.learned
    about = {**described, "labels": learned.classes.tolist(), **reading}
    if learned.thresholds is not None:
        about["thresholds"] = list(learned.thresholds)
    ending: Ending = "labels" if learned.several else "classes"
    kind = ImageInterface if fitted.network.reads_images else SequenceInterface
    return kind(fitted.network, fitted.weights, about, ending=ending, scaling=scaling)


def tagged(tags: Any) -> Any:
    """Say in scikit-learn's tags of a task that it is a classifier."""
    from sklearn.utils import ClassifierTags

    tags.estimator_type, tags.classifier_tags = "classifier", ClassifierTags()
    tags.target_tags.required, tags.input_tags.string = True, True
    return tags
