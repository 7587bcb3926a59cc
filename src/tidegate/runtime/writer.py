"""A text under way: a network that foresees tokens reads and writes one after the other. Knows ids, not words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, repeat
from math import inf, isfinite
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.engine import Runner
from tidegate.engine.recording import matrix_name
from tidegate.errors import InputError
from tidegate.kernels import Sampler
from tidegate.kernels.streams import Streams
from tidegate.network import Dense, Dropout, Embed, Network, Recurrent, Tied, check_shapes, parameter_shapes

Array: TypeAlias = npt.NDArray[Any]
State: TypeAlias = tuple[Array, Array | None]
"""The state of all layers, and what enters the output."""

_DRAWN = 256  # random numbers at a time


@dataclass(frozen=True)
class Sampling:
    """Say how the next token is chosen.

    Args:
        temperature: 1 takes the probabilities as they are, less sharpens them; 0 always takes the most probable token.
        top_k: choose among so many of the most probable tokens; 0 among all.
        top_p: choose among the fewest of the most probable tokens that have this share together (Holtzman et al. 2020).
        seed: all randomness follows from it.

    Raises InputError for a number out of its range.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not (isfinite(self.temperature) and self.temperature >= 0):
            raise InputError(f"temperature={self.temperature}; wanted a number of at least 0, such as 0.8.")
        if self.top_k < 0 or self.seed < 0:
            raise InputError(f"top_k={self.top_k} and seed={self.seed}; both must be at least 0.")
        if not 0 < self.top_p <= 1:
            raise InputError(f"top_p={self.top_p}; wanted a share above 0 and up to 1, such as 0.9.")

    @property
    def how(self) -> dict[str, Any]:
        """What `kernels.sample` takes of it."""
        return {"temperature": self.temperature, "top_k": self.top_k, "top_p": self.top_p}


class Writer:
    """Run a network from token to token.

    Args:
        network: an embedding, recurrent nodes of one direction, and at the end a dense node or a tied one.
        weights: its arrays, as for `Executor`.
        barred: tokens that are never written.
        num_threads: for the kernels; the texts do not depend on it.

    Raises:
        ShapeError: the weights do not fit the network.
        InputError: the network is of another kind.

    >>> network = Network.of(
    ...     Embed(vocabulary_size=3, size=2), Recurrent(cell="rnn_relu", input_size=2, hidden_size=3),
    ...     Dense(in_features=3, out_features=3))
    >>> names = ("0.weight", "1.weight_ih_l0", "1.weight_hh_l0", "1.bias_ih_l0", "1.bias_hh_l0", "2.weight", "2.bias")
    >>> arrays = (np.eye(3)[:, :2], np.eye(3)[:, :2], np.eye(3), np.zeros(3), np.zeros(3), np.eye(3), np.zeros(3))
    >>> writer = Writer(network, dict(zip(names, arrays)))
    >>> writer.read([0])
    >>> list(writer.write(4, Sampling(temperature=0)))
    [0, 0, 0, 0]
    """

    def __init__(
        self,
        network: Network,
        weights: Mapping[str, Array],
        *,
        barred: Iterable[int] = (),
        num_threads: int | None = None,
    ) -> None:
        check_shapes(network, {name: array.shape for name, array in weights.items()})
        first, last = network.nodes[0], network.nodes[-1]
        plain = all(isinstance(node, Recurrent | Dropout) for node in network.nodes[1:-1])
        onward = not any(node.layers_back for node in network.nodes)
        if not (isinstance(first, Embed) and isinstance(last, Dense | Tied) and plain and onward):
            raise InputError("a writer needs an embedding, recurrent nodes that read forwards, and one output node.")
        below = Network.of(*network.nodes[:-1])
        runner = Runner(below, {name: weights[name] for name in parameter_shapes(below)})
        self._streams = Streams(runner.live(), num_threads=num_threads)
        end = len(network.nodes) - 1
        bias = weights[f"{end}.bias"].copy()
        bias[list(barred)] = -inf
        matrix = np.ascontiguousarray(weights[matrix_name(last, end)])
        self._sampler = Sampler(matrix, bias, num_threads=num_threads)
        self._above: Array | None = None  # [H], what enters the output

    def read(self, tokens: Iterable[int]) -> None:
        """Go on over tokens that are given. Raises InputError for an id that the network does not know."""
        for token in tokens:
            self._step(int(token))

    def write(self, count: int, sampling: Sampling) -> Iterator[int]:
        """Choose `count` tokens one after the other, each read before the next is chosen, and yield them as they come.

        Raises InputError where nothing was read before.
        """
        if self._above is None:
            raise InputError("nothing was read yet. Read a first token, such as the start of a text, before writing.")
        rng = np.random.default_rng([sampling.seed, 0x3A7])
        drawn = chain.from_iterable(rng.random(_DRAWN).tolist() for _ in repeat(None))
        how = sampling.how
        for _, u in zip(range(count), drawn, strict=False):
            token = self._sampler.choose(self._above, u, **how)
            self._step(token)
            yield token

    @property
    def state(self) -> State:
        """What has been read, as a copy; assign it to go on from there."""
        return self._streams.read()[0], self._above

    @state.setter
    def state(self, state: State) -> None:
        numbers, self._above = state
        self._streams.write(numbers, 0)

    def _step(self, token: int) -> None:
        self._above = self._streams.step_token(token)
