"""What is known of a sequence as a whole, such as which n-grams a text holds."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tidegate.nodes.part import Part, Place, Shapes, Size


class Wide(Part):
    """Add to the row of each sequence a sparse row of features times a matrix: `[B, outputs]` -> `[B, outputs]`.

    The features of sequence b are numbers `value` under ids, `feature`, and what is added is
    `bias + sum(value * weight[feature])`, so that a network and a linear model answer together (Cheng et al. 2016).
    """

    kind: Literal["wide"] = "wide"
    features: Annotated[int, Field(ge=1, le=2**24)]
    outputs: Size

    def fit(self, place: Place) -> int:
        """Return the numbers of each row; raises ValueError where it is not last, behind a pool and token ids."""
        if not (place.read.pooled and place.is_last):
            raise ValueError(f"{place.name} must come last, after a pool: it adds to the one row of each sequence")
        if place.nodes[0].kind != "embed":
            raise ValueError(f"{place.name} needs an embed node at the beginning: features come with token ids alone")
        place.must_be(self.outputs)
        return self.outputs

    def shapes(self) -> Shapes:
        """List its matrix and its bias."""
        return {"weight": (self.features, self.outputs), "bias": (self.outputs,)}
