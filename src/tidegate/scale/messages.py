"""What workers say to each other, besides the sums of what they found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy.typing as npt

from tidegate.engine import Batch, Loss, Rule
from tidegate.engine.gauge import Seen
from tidegate.network import Network
from tidegate.scale.wire import Address

Array: TypeAlias = npt.NDArray[Any]


@dataclass(frozen=True)
class Hello:
    """Say who has come: the number of the worker, if it has one, where it runs, and where others may link to it."""

    rank: int | None
    host: str
    process: int
    version: str
    address: Address


@dataclass(frozen=True)
class Meet:
    """Say which number a worker has, and where all others are; each links to those before it."""

    rank: int
    addresses: Mapping[int, Address]
    threads: int | None
    timeout: float


@dataclass(frozen=True)
class Begin:
    """Hand over what is trained, as it stands between two updates."""

    network: Network
    weights: Mapping[str, Array]
    rule: Rule
    frozen: frozenset[str]
    step: int
    moments: Mapping[str, Mapping[str, Array]]


@dataclass(frozen=True)
class Find:
    """Ask for the gradient of a batch. With `look`, gates are looked at, and weights compared."""

    batch: Batch
    loss: Loss
    seed: int
    step: int
    states: Mapping[str, Array] | None
    look: bool


@dataclass(frozen=True)
class Found:
    """Answer with what was found of one's own lanes: losses of their sequences, and the states at their ends."""

    losses: Array
    ends: Mapping[str, Array]
    seen: Seen
    digest: bytes


@dataclass(frozen=True)
class Apply:
    """Let the weights move."""

    rate: float
    scale: float


@dataclass(frozen=True)
class Describe:
    """Ask what a worker runs on."""


@dataclass(frozen=True)
class Trade:
    """Let a worker exchange so many numbers with another one, so many times, and say how long each time took."""

    other: int
    numbers: int
    rounds: int


@dataclass(frozen=True)
class End:
    """Send a worker home."""


@dataclass(frozen=True)
class Trouble:
    """Say why a worker cannot go on: another one was `lost` or `late`, by number, or it `failed` itself."""

    kind: Literal["lost", "late", "failed"]
    rank: int
    told: str = ""
