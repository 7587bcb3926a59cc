"""Steps that go on from the state in which others ended."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from tidegate.nodes.part import Array, Part, Place, Rows, Shapes, Size, Start
from tidegate.nodes.recurrent import Recurrent


class Decode(Part):
    """Go on from the state of the recurrent node that it reads, `steps` steps at once: -> `[B * steps, hidden_size]`.

    Each step is one step of that node's own cell from its final state, its input an embedding of the step and, where
    there are several channels, of the channel: the parallel multi-step forecasting of SegRNN (Lin et al. 2023,
    arXiv:2308.11200, section 3.3). Sequence b is of the channel b % channels, as `Split` leaves them.
    """

    live: ClassVar[bool] = False
    kind: Literal["decode"] = "decode"
    steps: Size
    channels: Size = 1
    size: Annotated[int, Field(ge=2, le=2**16)]

    @property
    def channel_size(self) -> int:
        """Count the features of the embedding that tell the channel: half of them, or none where there is but one."""
        return self.size // 2 if self.channels > 1 else 0

    def fit(self, place: Place) -> int:
        """Return the features of each step; raises ValueError where no cells stand before that it can go on with."""
        before, channels = place.read.node, place.read.channels
        if not isinstance(before, Recurrent) or before.bidirectional or before.reverse:
            raise ValueError(
                f"{place.name} must stand right after a recurrent node of one direction, from first to last step, "
                "or read one"
            )
        if before.input_size != self.size:
            raise ValueError(
                f"{place.name} embeds in {self.size} features, but the recurrent node reads {before.input_size}"
            )
        if self.channels > 1 and channels != self.channels:
            raise ValueError(f"{place.name} of {self.channels} channels wants a split into as many at the beginning")
        return before.hidden_size

    def gives(self, read: Rows, width: int) -> Rows:
        """Say which rows it makes: as many of each sequence as there are steps."""
        return replace(super().gives(read, width), steps=self.steps, stride=1, cell=(0, 0), came=())

    def count(self, rows: Any) -> Any:
        """Count the rows that it makes of a sequence: one for each of its own steps."""
        return rows * 0 + self.steps

    def shapes(self) -> Shapes:
        """List the embeddings of steps and of channels."""
        shapes: Shapes = {"position": (self.steps, self.size - self.channel_size)}
        return shapes | ({"channel": (self.channels, self.channel_size)} if self.channel_size else {})

    def draw(self, parameter: str, shape: tuple[int, ...], rng: np.random.Generator, start: Start) -> Array:
        """Draw from the normal distribution, as published."""
        return rng.standard_normal(shape)
