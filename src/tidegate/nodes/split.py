"""A sequence of each channel."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from tidegate.nodes.part import Part, Place, Rows, Size


class Split(Part):
    """Make a sequence of each channel: `[N, channels * size + shared]` -> `[N * channels, size + shared]`.

    A row holds the `size` features of each channel in turn, then `shared` features that every channel is given. B
    sequences become B * channels, those of one sequence next to each other.
    """

    live: ClassVar[bool] = False
    kind: Literal["split"] = "split"
    channels: Size
    size: Size
    shared: Annotated[int, Field(ge=0, le=2**16)] = 0

    @property
    def input_size(self) -> int:
        """Count the features of a row before it is split."""
        return self.channels * self.size + self.shared

    @property
    def incoming(self) -> int:
        """Count the features of a row of all channels."""
        return self.input_size

    def fit(self, place: Place) -> int:
        """Return the features of a row of one channel; raises ValueError where it does not come first."""
        place.must_come_first("parts the features of the input")
        return self.size + self.shared

    def gives(self, read: Rows, width: int) -> Rows:
        """Say which rows it makes: those of a sequence of each channel."""
        return replace(super().gives(read, width), channels=self.channels, **read.without_image)
