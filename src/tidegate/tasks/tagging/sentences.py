"""Sentences with their tags, as a tagger learns from them and is measured on them. Knows no networks."""

from __future__ import annotations

import warnings
from collections import Counter
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.data.labels import warn_of_twins
from tidegate.data.schemes import Scheme
from tidegate.data.split import stratified_split
from tidegate.errors import DataError
from tidegate.tasks.tagging.reading import check_sentences, check_tags, settle_tags
from tidegate.tasks.weights import Weights, read_sample_weight


@dataclass(frozen=True)
class Sentences:
    """Hold sentences, the tags of their words, where not all count the same their weights, and their rows.

    weights: [B] how much each counts; none is zero.
    rows: [B] which of the user's each is.
    """

    words: list[list[str]]
    tags: list[list[str]]
    weights: Weights | None
    rows: npt.NDArray[np.int64]

    @classmethod
    def check(cls, X: Any, y: Any, sample_weight: Any = None, *, part: str = "") -> Sentences:
        """Check sentences and tags, and leave those of weight zero out as if they had not come; raises as they do."""
        words = check_sentences(X, name=f"{part}X")
        tags = check_tags(words, y, name=f"{part}y")
        weights = read_sample_weight(sample_weight, len(words), of="sentences")
        whole = cls(words, tags, weights, np.arange(len(words)))
        return whole if weights is None else whole.select(np.flatnonzero(weights))

    def select(self, indices: npt.NDArray[np.int64]) -> Sentences:
        """Take the sentences at `indices`, in that order."""
        words, tags = ([part[i] for i in indices] for part in (self.words, self.tags))
        return Sentences(words, tags, None if self.weights is None else self.weights[indices], self.rows[indices])

    def settle(self, scheme: Scheme | None, *, found_out: bool, part: str = "") -> Sentences:
        """Make tags of them that the scheme allows where they stand; raises and warns as `settle_tags` does."""
        return replace(self, tags=settle_tags(self.tags, scheme, name=f"{part}y", found_out=found_out))

    def hold_out(self, fraction: float, *, seed: int) -> tuple[Sentences, Sentences | None]:
        """Split off a share to measure on; None where the share is zero or, with a warning, less than a sentence."""
        if not fraction:
            return self, None
        try:
            kept, held = stratified_split(np.zeros(len(self.words)), fraction, seed=seed)
        except DataError:
            warnings.warn(
                f"{len(self.words)} sentences are too few to hold out {fraction:.0%} of them: all are trained on, and "
                "nothing is measured meanwhile. Pass more, or valid=(X, y), or say that this is meant: "
                "validation_fraction=0.",
                stacklevel=3,
            )
            return self, None
        return self.select(kept), self.select(held)

    def warn_of_twins(self) -> None:
        """Warn of tags that look alike and are different ones."""
        warn_of_twins(Counter(chain.from_iterable(self.tags)), "tag")
