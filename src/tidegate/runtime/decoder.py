"""Targets of pairs, such as translations, that are made token by token, many at a time. Knows ids, not what they mean.

How the next token is chosen is the caller's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.engine import Runner
from tidegate.errors import InputError, ShapeError
from tidegate.network import Network
from tidegate.pairs import Pairs
from tidegate.ragged import Ragged

Array: TypeAlias = npt.NDArray[Any]
MOST_SLOTS = 2**20


class Decoder:
    """Read sources as wholes, and take targets of them on token by token, each in a slot of its own.

    A source is read once and may have any number of targets, as those of a beam. What a step answers depends, to the
    bit, on the source and on the tokens of its target alone: the scores after t tokens are row t - 1 of what the whole
    network gives for that pair. One thread may use a decoder at a time.

    Args:
        network: which reads pairs, and gives a row for each token of a target.
        weights: of the network, all float32 or all float64.
        capacity: how many slots there are.
        threads: at most so many; None takes the setting of the kernels. The numbers do not depend on it.

    Raises:
        InputError: the network answers no targets of pairs, or its targets are read as wholes; or `capacity` is not
            from 1 to 1,048,576.
        ShapeError: the weights do not fit the network.

    >>> from tidegate.network import Attend, Dense, Embed, Join, Recurrent, Take, parameter_shapes
    >>> network = Network.of(
    ...     Embed(vocabulary_size=9, size=4, name="words"),
    ...     Take(side="source"),
    ...     Recurrent(cell="gru", input_size=4, hidden_size=4, bidirectional=True, name="encoder"),
    ...     Take(side="target", reads="words"),
    ...     Recurrent(cell="gru", input_size=4, hidden_size=4, name="decoder"),
    ...     Attend(memory="encoder", query_size=4, memory_size=8, name="context"),
    ...     Join(reads=("decoder", "context")),
    ...     Dense(in_features=12, out_features=9),
    ... )
    >>> rng = np.random.default_rng(0)
    >>> weights = {name: rng.standard_normal(shape) for name, shape in parameter_shapes(network).items()}
    >>> decoder = Decoder(network, weights, capacity=2)
    >>> first, second = decoder.open(Ragged.from_list([[3, 4, 5], [6]]))
    >>> decoder.start([0, 1], [first, second])
    >>> decoder.step([0, 1], [1, 1]).shape
    (2, 9)
    >>> [weights.shape for weights in decoder.attention()[0]]
    [(3,), (1,)]
    """

    def __init__(
        self, network: Network, weights: Mapping[str, Array], capacity: int, *, threads: int | None = None
    ) -> None:
        if type(capacity) is not int or not 1 <= capacity <= MOST_SLOTS:
            raise InputError(f"capacity={capacity!r:.40}; wanted the number of slots, from 1 to {MOST_SLOTS:,}.")
        runner = Runner(network, weights, num_threads=threads)
        self.network, self.capacity = network, capacity
        try:
            self._live, self._compiled = runner.decoder(capacity)
        except ValueError as error:
            raise InputError(f"this network cannot be decoded token by token: {error}.") from None
        self._kind, self._size = runner.dtype, network.output_size

    def open(self, sources: Ragged) -> list[int]:
        """Read sources, ids [N] of B sequences, as one batch, and return the number of each.

        Any may be empty; what a source is read to does not depend on the others. It is held until `close`.

        Raises:
            ShapeError, InputError: the sources do not hold ids of the vocabulary.
            MemoryError: there is too little memory. Whatever is raised, none of the sources is open then.
        """
        none = Ragged(np.empty(0, np.int32), np.zeros(len(sources.offsets), np.int64))
        pairs = Pairs(sources, none)
        values, offsets = self._compiled.enter(pairs)
        with self._compiled.naming(pairs):
            return [int(number) for number in self._live.open(values, offsets)]

    def close(self, source: int) -> None:
        """Forget a source; the slots that have it must be started anew. Raises InputError where it is not open."""
        self._live.close(source)

    def start(self, slots: Iterable[int], sources: Iterable[int]) -> None:
        """Put slots at the beginning of targets, one source each.

        Raises InputError where a slot is out of range or named twice, or a source not open; nothing has changed then.
        """
        chosen, of = _numbers("slots", slots), _numbers("sources", sources)
        _check_length("sources", of, "slots", chosen)
        self._live.start(chosen, of)

    def copy(self, from_slots: Iterable[int], to_slots: Iterable[int]) -> None:
        """Make each of `to_slots` what that of `from_slots` was before the call, its source included.

        So the rows of a beam are put in a new order: one may become several.

        Raises InputError where a slot is out of range, or one is to become two; nothing has changed then.
        """
        before, after = _numbers("from_slots", from_slots), _numbers("to_slots", to_slots)
        _check_length("from_slots", before, "to_slots", after)
        self._live.copy(before, after)

    def step(self, slots: Iterable[int], ids: Iterable[int], out: Array | None = None) -> Array:
        """Take slots on by one token each, and return the scores of the next, `[n, V]`.

        Args:
            slots: [n], any of those that were started.
            ids: [n], the token that each target goes on with; what it begins with is the caller's choice.
            out: [n, V] of the type of the weights, to write to.

        Raises InputError where a slot is out of range, named twice or not started, or an id is out of range; ShapeError
        where there is not one id for each slot, or `out` does not fit. No target has gone on then.
        """
        chosen, tokens = _numbers("slots", slots), _numbers("ids", ids)
        _check_length("ids", tokens, "slots", chosen)
        shape = (len(chosen), self._size)
        scores = np.empty(shape, self._kind) if out is None else out
        if scores.shape != shape or scores.dtype != self._kind or not scores.flags.c_contiguous:
            raise ShapeError(
                f"out is {scores.dtype} {list(scores.shape)}; contiguous {self._kind} {list(shape)} is wanted."
            )
        outside = np.flatnonzero((tokens < 0) | (tokens >= self.network.input_size))
        if len(outside):
            at = int(outside[0])
            size = self.network.input_size
            raise InputError(
                f"token id {tokens[at]} of slot {chosen[at]} is out of range; the vocabulary has {size} ids."
            )
        self._live.step(chosen, tokens.astype(np.int32), scores)
        return scores

    def attention(self) -> list[list[Array]]:
        """Return how much each row of the last step attended to the tokens of its source: by hop, by slot, [source].

        Hops are the `Attend` nodes, in their order. The weights of a row add up to one; of an empty source there are
        none.
        """
        return self._live.attention()


def _numbers(name: str, numbers: Iterable[int]) -> Array:
    array = np.asarray(numbers if isinstance(numbers, np.ndarray) else list(numbers))
    if array.ndim != 1 or (len(array) and array.dtype.kind not in "iu"):
        raise ShapeError(f"{name} are {array.dtype} {list(array.shape)}; whole numbers [n] are wanted.")
    return np.ascontiguousarray(array, np.int64)


def _check_length(name: str, array: Array, other: str, whole: Array) -> None:
    if len(array) != len(whole):
        raise ShapeError(f"{len(array)} {name} came for {len(whole)} {other}; as many are wanted.")
