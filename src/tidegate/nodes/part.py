"""What every node of a network has: fields that are checked, parameters, and a place where it fits."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

Array: TypeAlias = npt.NDArray[Any]
Shapes: TypeAlias = dict[str, tuple[int, ...]]
"""Of each parameter, by its name within the node, in order."""

Size = Annotated[int, Field(ge=1, le=2**16)]
Probability = Annotated[float, Field(ge=0.0, lt=1.0)]


@dataclass(frozen=True)
class Place:
    """Say where a node stands, and what reaches it.

    nodes: of the whole network.
    index: of the node among them.
    width: features of each row; None where no node before has stated it.
    pooled: whether each sequence is one row by now.
    """

    nodes: Sequence[Part]
    index: int
    width: int | None
    pooled: bool

    @property
    def name(self) -> str:
        """Name the node, for errors."""
        return f"node {self.index} ({self.nodes[self.index].kind})"

    @property
    def before(self) -> Part | None:
        """Return the node right before, if any."""
        return self.nodes[self.index - 1] if self.index else None

    @property
    def first(self) -> Part:
        """Return the node that the network begins with."""
        return self.nodes[0]

    @property
    def is_last(self) -> bool:
        """Tell whether the network ends here."""
        return self.index + 1 == len(self.nodes)

    def known(self) -> int:
        """Return the width; raises ValueError where nothing has stated it."""
        if self.width is None:
            raise ValueError(f"{self.name} cannot come first: start with embed, recurrent or dense")
        return self.width

    def must_be(self, wanted: int) -> None:
        """Raise ValueError where rows come that have another width."""
        if self.width is not None and self.width != wanted:
            raise ValueError(f"{self.name} wants {wanted} features but gets {self.width} from the node before it")

    def must_come_first(self, why: str) -> None:
        """Raise ValueError where a node stands before."""
        if self.index > 0:
            raise ValueError(f"{self.name} must come first: it {why}")

    def must_have_steps(self, after: str = "a pool") -> None:
        """Raise ValueError where each sequence is one row by now."""
        if self.pooled:
            raise ValueError(f"{self.name} cannot follow {after}: no steps are left")


@dataclass(frozen=True)
class Start:
    """Say how weights are drawn to begin with; `train.initial_weights` tells what its fields mean."""

    embedding_scale: float
    forget_bias: float
    chrono: int | None


class Part(BaseModel):
    """Hold the fields of a node, and answer for its kind."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: str
    live: ClassVar[bool] = True
    """Whether a sequence can be fed to it step by step, rather than as a whole."""
    later: ClassVar[tuple[str, ...]] = ()
    """Fields that came later, which are not written where they are as they were in effect before: the default."""
    pools: ClassVar[bool] = False
    """Whether it makes one row of each sequence."""

    @model_serializer(mode="wrap")
    def _written(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields = type(self).model_fields
        left_out = {name for name in self.later if getattr(self, name) == fields[name].default}
        return {name: value for name, value in write(self).items() if name not in left_out}

    @abstractmethod
    def fit(self, place: Place) -> int:
        """Return the features of each row that it hands on; raises ValueError where it does not fit."""

    def shapes(self) -> Shapes:
        """List its parameters."""
        return {}

    def owner(self, parameter: str) -> tuple[Part, str]:
        """Find the node that a parameter belongs to, of itself and those that it holds, and its name there."""
        return self, parameter

    def draw(self, parameter: str, shape: tuple[int, ...], rng: np.random.Generator, start: Start) -> Array:
        """Draw the numbers that a parameter of its own begins with, zeros where nothing else is said."""
        return np.zeros(shape)

    @property
    def incoming(self) -> int:
        """Count what one step of input may be where it comes first: features, or ids of a vocabulary."""
        raise AssertionError("a network that begins with it was refused")

    @property
    def layers_back(self) -> int:
        """Count the layers that run from the end, whose every step depends on those that follow."""
        return 0


def output_size(nodes: Sequence[Part]) -> int:
    """Walk the nodes, check that each fits what stands before it, and return the features that leave the last."""
    width: int | None = None
    pooled = False
    for index, node in enumerate(nodes):
        width = node.fit(Place(nodes, index, width, pooled))
        pooled = pooled or node.pools
    assert width is not None, "there is at least one node"
    return width


def shapes_of(nodes: Sequence[Part]) -> Shapes:
    """List the parameters of nodes: index of the node, a dot, the name within it."""
    return {f"{index}.{name}": shape for index, node in enumerate(nodes) for name, shape in node.shapes().items()}


def owner_of(nodes: Sequence[Part], name: str) -> tuple[Part, str]:
    """Find the node that a parameter belongs to, and its name there."""
    index, _, rest = name.partition(".")
    return nodes[int(index)].owner(rest)
