"""A run between two updates, and how it goes through a file."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TypeAlias

import numpy.typing as npt

from tidegate.engine import Optimiser, Program
from tidegate.health import Watch
from tidegate.network import Network
from tidegate.train.recipe import Recipe

Array: TypeAlias = npt.NDArray[Any]


@dataclass
class State:
    """Hold a run between two updates: `fit` moves it forward, `pack` and `unpack` carry it through a file."""

    program: Program
    optimiser: Optimiser
    step: int = 0
    seconds: float = 0.0
    loss_sum: float = 0.0  # over the sequences of the running epoch, or the tokens of streams
    sequences: int = 0
    watch: Watch = field(default_factory=Watch)
    carried: dict[str, Array] = field(default_factory=dict)  # by the streams, within an epoch
    average: dict[str, Array] = field(default_factory=dict)  # of the weights by name, where the recipe wants one


_PACKED = ("step", "seconds", "loss_sum", "sequences")


def start(
    network: Network, weights: Mapping[str, Array], recipe: Recipe, *, frozen: Collection[str] = frozenset()
) -> State:
    """Begin a run: a network with the weights that it starts from, which are copied, and the optimiser of the recipe.

    Args:
        network: what is trained.
        weights: by name, all of them.
        recipe: how.
        frozen: the names of parameters that stay as they are, the first ones of the network.

    Raises:
        ShapeError: the weights are not those of the network.
        InputError: what is frozen are not its first parameters.
    """
    program = Program(network, weights)
    return State(program, Optimiser(program, recipe.rule, frozen=frozen))


def pack(state: State) -> tuple[dict[str, Array], dict[str, Any]]:
    """Copy a state into arrays by name and a JSON object, for `checkpoint.save_training`."""
    arrays = {f"weight.{name}": array.copy() for name, array in state.program.weights.items()}
    for moment, found in state.optimiser.moments.items():
        arrays |= {f"optimizer.{moment}.{name}": array.copy() for name, array in found.items()}
    for prefix, kept in (("carried", state.carried), ("average", state.average)):
        arrays |= {f"{prefix}.{name}": array.copy() for name, array in kept.items()}
    info = {key: getattr(state, key) for key in _PACKED}
    return arrays, info | {"watch": asdict(state.watch)}


def unpack(state: State, arrays: Mapping[str, Array], info: Mapping[str, Any]) -> None:
    """Bring a state that was just begun to where the packed one stood; that of a run of version 0.1 goes on, too."""
    for name, array in state.program.weights.items():
        array[...] = arrays[f"weight.{name}"]
    moments = {moment: _named(arrays, f"optimizer.{moment}.") for moment in state.optimiser.moments}
    state.optimiser.restore(info["step"], moments)
    state.carried, average = (_named(arrays, prefix) for prefix in ("carried.", "average."))
    state.average = {name: average[name] for name in state.program.weights if name in average}  # in its order
    for key in _PACKED:
        setattr(state, key, info[key])
    state.watch = Watch(**info.get("watch", {}))  # a state of version 0.1 has none


def weights(state: State) -> dict[str, Array]:
    """Return the weights to measure and to keep, by name: the average where the recipe wants one; they may be views."""
    return state.average or state.program.weights


def _named(arrays: Mapping[str, Array], prefix: str) -> dict[str, Array]:
    return {name.removeprefix(prefix): array.copy() for name, array in arrays.items() if name.startswith(prefix)}
