"""What a fitted task offers to the rooms below it, which know no task: a look inside, and what surrounds its network.

Whoever asks for either asks by these protocols alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy.typing as npt

from tidegate.documents import Documents
from tidegate.network import Network
from tidegate.ragged import Ragged
from tidegate.words import Words

Array: TypeAlias = npt.NDArray[Any]
Prepare: TypeAlias = Callable[[Any], tuple[Ragged | Words | Documents, list[str] | None]]
"""Returns inputs as the network reads them, and the N steps as text where they are text."""


@dataclass(frozen=True, eq=False)
class Told:
    """Say which n-gram ends at a token, and what it tells of the K classes, `[K]`, as logarithms; None if not known."""

    ngram: str
    tells: Array | None


class Names(Protocol):
    """Say in words what n-grams tell."""

    def feature(self, number: int) -> tuple[str, str]:
        """Name a feature of a whole input: of what it is made, such as `words`, and what it is."""

    def evidence(self, texts: Any) -> list[list[Told]]:
        """List what ends at each step of inputs; nothing where no evidence is read."""


@dataclass(frozen=True, eq=False)
class Inside:
    """Hold what can be looked into.

    Args:
        network: what was trained.
        weights: its arrays by name.
        prepare: turns inputs into what the network reads.
        classes: what each of the K columns of the output stands for; None where they have no names.
        max_grad_norm: the length that training clipped the gradient to, 0 for none; None where that is not known.
        several: whether several of the classes may be right at once, each with a probability of its own.
        names: says what stands beside tokens, and which features there are; None where inputs are but steps.
        top_down: whether features are rows of pixels, the first of them the uppermost.
    """

    network: Network
    weights: Mapping[str, Array]
    prepare: Prepare
    classes: Sequence[Any] | None = None
    max_grad_norm: float | None = None
    names: Names | None = None
    several: bool = False
    top_down: bool = False


@runtime_checkable
class Inspectable(Protocol):
    """Let others look inside, as `inspect` does."""

    def inside(self) -> Inside:
        """Say what can be looked into; raises InputError before `fit`."""


@runtime_checkable
class Exportable(Protocol):
    """Be written as a graph, as `export` does."""

    def interface(self) -> Any:
        """Say what surrounds the network in a graph, an `export.Interface`; raises InputError before `fit`."""
