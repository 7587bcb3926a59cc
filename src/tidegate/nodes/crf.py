"""Sequences of tags as wholes."""

from __future__ import annotations

from typing import Literal

from tidegate.nodes.part import Part, Place, Shapes, Size


class Crf(Part):
    """Score sequences of tags as wholes: `[N, tags]` -> `[N, tags]`, the scores of each token passed on as they are.

    What it adds are parameters, for `tidegate.crf`: what it costs to begin with a tag, to go from one to the next, and
    to end with one.
    """

    kind: Literal["crf"] = "crf"
    tags: Size

    @property
    def incoming(self) -> int:
        """Count the tags."""
        return self.tags

    def fit(self, place: Place) -> int:
        """Return the number of tags; raises ValueError where it does not end a network of steps."""
        if place.read.pooled or not place.is_last:
            raise ValueError(f"{place.name} must come last and not follow a pool: it scores the tag of each step")
        place.must_be(self.tags)
        return self.tags

    def shapes(self) -> Shapes:
        """List what moves, beginnings and ends cost."""
        return {"transitions": (self.tags, self.tags), "start": (self.tags,), "end": (self.tags,)}
