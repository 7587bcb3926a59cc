"""Rows side by side."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Field

from tidegate.nodes.part import WIDEST, Part, Place, Rows, Size

Reach = Annotated[int, Field(ge=1, le=2**12)]


class Window(Part):
    """Put rows that follow each other side by side, every `stride` steps: `[N, F]` -> `[N', width * F]`.

    Frame f of a sequence is its rows f * stride to f * stride + width - 1, zeros where it has ended, so that T rows
    become ceil(T / stride) frames; none crosses into another sequence. With a `Dense` behind it, it is a convolution
    over steps. The strides of nodes that follow each other multiply, to 2**20 steps of the input at most.

    size: features of a row; needed where it is the first that reads them.
    """

    kind: Literal["window"] = "window"
    width: Reach
    stride: Reach
    size: Size | None = None

    @property
    def incoming(self) -> int | None:
        """Count the features of a row, where they are stated."""
        return self.size

    @property
    def withheld(self) -> int:
        """Count the rows that must follow the first of a frame before it is known."""
        return self.width - 1

    def fit(self, place: Place) -> int:
        """Return the features of a frame; raises ValueError where no steps come, or rows of another width."""
        place.must_have_steps()
        if self.size is not None:
            place.must_be(self.size)
        width = place.known() * self.width
        if width > WIDEST:
            raise ValueError(f"{place.name} makes rows of {width:,} features; at most {WIDEST:,} are allowed")
        return width

    def gives(self, read: Rows, width: int) -> Rows:
        """Say which rows it makes: one of every so many steps."""
        steps, stride = self.count(read.steps), read.stride * self.stride
        return replace(super().gives(read, width), stride=stride, steps=steps, **read.without_image)

    def count(self, rows: Any) -> Any:
        """Count the frames of a sequence of so many rows."""
        return -(-rows // self.stride)
