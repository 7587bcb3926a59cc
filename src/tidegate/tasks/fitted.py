"""What `fit` leaves behind: the network, its weights, and what else was learned. Knows no task."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

import numpy.typing as npt

from tidegate.checkpoint import About
from tidegate.network import Network
from tidegate.runtime import Executor

Array: TypeAlias = npt.NDArray[Any]
Json: TypeAlias = dict[str, Any]


class Learned(Protocol):
    """What a task learned from its training part besides the weights, such as a vocabulary and the classes."""

    def to_json(self) -> Json:
        """Write it for the model file; `params`, `name` and `arrays` are taken."""


L = TypeVar("L", bound=Learned)


@dataclass(frozen=True)
class Fitted(Generic[L]):
    """Hold what `fit` learned, and the parameters that it learned it with."""

    params: Json
    network: Network
    weights: dict[str, Array]
    learned: L
    history: list[Json]
    about: About

    _made: list[tuple[dict[str, Array], Executor]] = field(default_factory=list, init=False, repr=False, compare=False)

    @property
    def executor(self) -> Executor:
        """What runs the network; its weights are packed once, and again where an array took the place of another."""
        given, made = self._made[0] if self._made else ({}, None)
        if made is None or any(given.get(name) is not array for name, array in self.weights.items()):
            made = Executor(self.network, self.weights)
            self._made[:] = [(dict(self.weights), made)]
        return made
