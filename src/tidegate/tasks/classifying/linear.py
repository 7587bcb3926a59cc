"""The linear part of a classifier of texts: by which rule it is fitted, and how it answers beside the network.

Knows features of whole texts and classes, no texts.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidegate.documents import Sparse
from tidegate.engine.linear import Linear, fit_linear
from tidegate.network import Network, Wide
from tidegate.tasks.chosen import Choice
from tidegate.tasks.classifying.bags import naive_bayes
from tidegate.tasks.classifying.classifier import Whole
from tidegate.tasks.classifying.labelled import MANY_CLASSES, Labelled
from tidegate.tasks.task import Array

VERY_FEW = 500  # texts, from which next to nothing is learned by counting
FEW = 2000  # texts, up to which characters are features, too, and the linear part has the larger share in the answer

_LOG = logging.getLogger(__name__)


def tell(texts: int, doing: str) -> None:
    """Log what goes on before the first update, for information where there are so many texts that it takes a while."""
    _LOG.log(logging.INFO if texts > FEW else logging.DEBUG, "%s texts: %s", f"{texts:,}", doing)


@dataclass(frozen=True)
class LinearRule:
    """Say how the linear part is fitted, and how much it has to say.

    counted: whether features count by the roots of their naive-Bayes ratios rather than all the same.
    C: how little large weights cost.
    share: of it in the answer.
    """

    counted: bool
    C: float
    share: float

    @classmethod
    def of(cls, texts: int, classes: int, *, several: bool = False, taught: bool = False) -> LinearRule:
        """Choose for so many texts and classes, by whether a text may be of several, and whether a teacher says which.

        Of a few hundred texts, or a few dozen of each class, the counts tell little, and a network learns less than a
        linear model does. What a teacher says holds the teacher's own linear part already.

        >>> LinearRule.of(300, 2).share, LinearRule.of(2000, 2).share, LinearRule.of(5000, 2).share
        (0.9, 0.7, 0.5)
        >>> LinearRule.of(5000, 50)
        LinearRule(counted=False, C=30.0, share=0.8)
        """
        if texts <= VERY_FEW:
            return cls(False, 100.0, 0.9)
        if classes > MANY_CLASSES:
            return cls(False, 30.0, 0.5 if several else 0.8)
        if texts <= FEW:
            return cls(True, 10.0, 0.7)
        return cls(True, 10.0, 0.3 if taught else 0.5)

    def fit(
        self,
        features: Sparse,
        examples: Labelled,
        counts: NDArray[np.float32],
        weights: NDArray[np.float32] | None,
        *,
        width: int,
        classes: int,
    ) -> Linear:
        """Fit the linear part to `width` features of B texts.

        counts: `[B, K]`, or one column more, how likely each class is of each text, times how much the text counts.
        weights: `[B]` of the texts in the loss.
        """
        tell(len(features), f"fitting the linear part: {width:,} features, {classes} classes")
        ratios = np.ones((width, classes), np.float32)
        if self.counted:
            ratios = np.sqrt(np.abs(naive_bayes(features, counts, width)[:, :classes]))
        truth = examples.truth(classes)
        return fit_linear(features, truth, ratios=ratios, weights=weights, C=self.C, apart=examples.several)

    def choices(self) -> tuple[Choice, ...]:
        """Tell of each part of it how it follows from the data."""
        many = f"above {VERY_FEW} texts with more than {MANY_CLASSES} classes"
        shares = f"0.9 up to {VERY_FEW} texts, 0.8 {many} (0.5 where a text has several), 0.7 up to {FEW:,}, else "
        shares += "0.5, with a teacher 0.3"
        return (
            Choice("linear_naive_bayes", self.counted, f"false up to {VERY_FEW} texts and {many}, else true"),
            Choice("linear_C", self.C, f"100 up to {VERY_FEW} texts, 30 {many}, else 10"),
            Choice("linear_share", self.share, shares),
        )


def answering_together(linear: Linear, share: float) -> Whole:
    """Let the network and the linear model answer together, the latter with a share.

    The answer is the mean of their log-probabilities, weighed so, but for a constant.
    """

    def whole(network: Network, weights: dict[str, Array]) -> tuple[Network, dict[str, Array]]:
        features, outputs = linear.weight.shape
        last = len(network.nodes) - 1
        both = dict(weights)
        for name in ("weight", "bias"):
            both[f"{last}.{name}"] = weights[f"{last}.{name}"] * np.float32(1 - share)
        both[f"{last + 1}.weight"] = linear.weight * np.float32(share)
        both[f"{last + 1}.bias"] = linear.bias * np.float32(share)
        return Network.of(*network.nodes, Wide(features=features, outputs=outputs)), both

    return whole
