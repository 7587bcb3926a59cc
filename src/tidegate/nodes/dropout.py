"""Features that are zeroed in training."""

from __future__ import annotations

from typing import ClassVar, Literal

from tidegate.nodes.part import Part, Place, Probability


class Dropout(Part):
    """Zero features at random in training; do nothing otherwise.

    With `per_sequence` a sequence loses the same features at all of its steps (Gal & Ghahramani 2016).
    """

    by_row: ClassVar[bool] = True
    kind: Literal["dropout"] = "dropout"
    p: Probability
    per_sequence: bool = False

    def fit(self, place: Place) -> int:
        """Return the features that come; raises ValueError where none are known, or steps are wanted and none left."""
        if self.per_sequence and place.read.pooled:
            raise ValueError(f"{place.name} with per_sequence cannot follow a pool: no steps are left")
        return place.known()
