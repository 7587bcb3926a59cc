"""Many live sequences of one model: whoever has input steps, all in one call of the kernels."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.errors import InputError, ShapeError
from tidegate.runtime.stream import Prepared

Array: TypeAlias = npt.NDArray[Any]


MOST_STREAMS = 2**20


class Streamable(Protocol):
    """What can be streamed: a fitted task, or an `Executor`."""

    def prepare_stream(self, *, lookahead: int | None = None) -> Prepared:
        """Pack its weights, and tell what steps and answers are."""


class StreamPool:
    """Feed many live sequences to one model, each in a slot of its own, by key.

    What a sequence is answered depends, to the bit, on its own steps alone: a pool gives what `model.stream()` does for
    each. Steps and answers are those of the model's stream. One thread may use a pool at a time.

    Args:
        model: a fitted task, or an `Executor`.
        capacity: sequences that may be open together.
        lookahead: as for the stream of the model.

    Raises:
        InputError: `capacity` is below 1, or the model cannot be streamed, or not without `lookahead`.

    >>> from tidegate.network import Network, Recurrent, parameter_shapes
    >>> from tidegate.runtime import Executor
    >>> network = Network.of(Recurrent(cell="rnn_relu", input_size=1, hidden_size=1, bias=False))
    >>> weights = {name: np.ones(shape, np.float32) for name, shape in parameter_shapes(network).items()}
    >>> pool = StreamPool(Executor(network, weights), capacity=2)
    >>> pool.open("a"), pool.open("b")
    ('a', 'b')
    >>> pool.step({"a": [1.0], "b": [5.0]})["a"], pool.step({"a": [2.0]})["a"]
    (array([1.], dtype=float32), array([3.], dtype=float32))
    """

    def __init__(self, model: Streamable, capacity: int, *, lookahead: int | None = None) -> None:
        if type(capacity) is not int or not 1 <= capacity <= MOST_STREAMS:
            raise InputError(
                f"capacity={capacity!r:.40}; wanted the number of sequences that may be open together, from 1 to "
                f"{MOST_STREAMS:,}."
            )
        if not hasattr(model, "prepare_stream"):
            raise InputError(
                f"a {type(model).__name__} has no pool of streams: it answers each sequence for itself. Call stream() "
                "for each."
            )
        self._prepared = model.prepare_stream(lookahead=lookahead)
        self._streams = self._prepared.streams(capacity)
        self._slots: dict[Hashable, int] = {}
        self._free = list(range(capacity - 1, -1, -1))
        self._open = np.zeros(capacity, bool)
        self._offsets = np.arange(capacity + 1)
        network = self._prepared.network
        self._waits = network.lookahead > 0 and not network.pooled

    def open(self, key: Hashable = None, *, state: bytes | None = None) -> Hashable:
        """Begin a sequence and return its key: the one that was passed, else the number of its slot.

        Args:
            key: anything that can be a key of a dict, and is not open.
            state: where to go on, as `state` or `Stream.state` gave it.

        Raises:
            InputError: the pool is full, or the key is open.
            StateError: the state is truncated, altered or of another model.
        """
        if key in self._slots:
            raise InputError(f"a stream {key!r} is open already. Close it first, or choose another key.")
        if not self._free:
            raise InputError(f"the pool is full: {self.capacity} streams are open. Close one, or make a larger pool.")
        slot = self._free[-1]
        key = slot if key is None else key
        if key in self._slots:
            raise InputError(f"slot {slot} is free, but its number is the key of another stream. Pass a key.")
        self._prepared.open(self._streams, slot, state)
        self._slots[key] = self._free.pop()
        self._open[slot] = True
        return key

    def close(self, key: Hashable) -> None:
        """End a sequence, and drop what waits for steps to come. Raises InputError where it is not open."""
        slot = self.slot(key)
        del self._slots[key]
        self._open[slot] = False
        self._free.append(slot)

    def finish(self, key: Hashable) -> Array:
        """End a sequence, and return the answers that waited, `[n, K]`; pooled, the last, `[K]`."""
        slot, none = np.array([self.slot(key)]), self._prepared.no_rows
        rows, _ = self._streams.run(slot, none, np.array([0, 0]), ending=True)
        self.close(key)
        return self._answers(self._prepared.answer(rows))

    def step(self, inputs: Mapping[Any, Any]) -> dict[Any, Array | None]:
        """Take sequences one step on, by key, and return the answer of each, `[K]`, None where none is due yet.

        Raises InputError where a key is not open or a step is refused, which is named; no sequence has gone on then.
        """
        answers = self._run({key: self._prepared.one(x) for key, x in inputs.items()})
        return {key: found[-1] if len(found) else None for key, found in answers.items()}

    def push(self, inputs: Mapping[Any, Any]) -> dict[Any, Array]:
        """Take sequences any number of steps on, and return what each is answered, `[n, K]`; pooled, `[K]`.

        Raises as `step` does.
        """
        answers = self._run({key: self._prepared.rows(chunk) for key, chunk in inputs.items()})
        return {key: self._answers(found) for key, found in answers.items()}

    def step_slots(self, slots: Any, x: Any, *, out: Array | None = None) -> Array:
        """Take the sequences in some slots one step on: arrays in, arrays out, and no look up of keys.

        Args:
            slots: [n] whole numbers, each once; see `slot`.
            x: [n, C] rows, or [n] token ids, as the network reads them: a task's own preparation is not applied.
            out: [n, K] to be filled and returned.

        Returns:
            The rows of output of the network, [n, K]: a task's own reading of them is not applied.

        Raises:
            InputError: a slot is not open or named twice, a step is refused, or the model looks ahead and pools not,
                so that no row might be due.
            ShapeError: there is not one step for each slot.
        """
        if (given := np.asarray(slots)).dtype.kind not in "iu" and given.size:
            raise ShapeError(f"the slots are {given.dtype}; wanted whole numbers.")
        slots = np.ascontiguousarray(given, np.int64)
        if self._waits:
            raise InputError("the model looks ahead, so that a step may have no answer yet. Step it by key.")
        values = self._prepared.network_rows(x)
        if slots.ndim != 1 or len(values) != len(slots):
            raise ShapeError(f"{len(values)} steps came for slots {list(slots.shape)}. Pass one step for each slot.")
        if not self._open.take(slots, mode="clip").all() or (slots >= self.capacity).any():
            closed = next(int(slot) for slot in slots if slot not in self._slots.values())
            raise InputError(f"slot {closed} is not open; {len(self)} of {self.capacity} are.")
        if len(slots) > self.capacity:
            raise InputError(f"{len(slots)} slots came, of which the pool has {self.capacity}. Name each once.")
        return self._streams.run(slots, values, self._offsets[: len(slots) + 1], out=out)[0]

    def slot(self, key: Hashable) -> int:
        """Find the slot of a sequence. Raises InputError where it is not open."""
        try:
            return self._slots[key]
        except KeyError:
            raise InputError(f"no stream {key!r} is open here; {len(self)} are. Open it first.") from None

    def state(self, key: Hashable) -> bytes:
        """Give all that is needed to go on elsewhere: in another pool, or in a stream of the model."""
        return self._prepared.pack(self._streams, self.slot(key))

    def steps(self, key: Hashable) -> int:
        """Count the steps that a sequence has taken."""
        return self._streams.steps(self.slot(key))

    @property
    def capacity(self) -> int:
        """Sequences that may be open together."""
        return self._streams.capacity

    def __len__(self) -> int:
        """Count the sequences that are open."""
        return len(self._slots)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._slots

    def __iter__(self) -> Iterator[Hashable]:
        return iter(self._slots)

    def __repr__(self) -> str:
        return f"StreamPool({len(self)} of {self.capacity} open)"

    def _run(self, chunks: Mapping[Any, Array]) -> dict[Any, Array]:
        """Take sequences on by rows, all in one call, and return the answers of each, `[n, K]`."""
        if not chunks:
            return {}
        slots = np.array([self.slot(key) for key in chunks], np.int64)
        offsets = np.zeros(len(chunks) + 1, np.int64)
        np.cumsum([len(rows) for rows in chunks.values()], out=offsets[1:])
        try:
            rows, given = self._streams.run(slots, np.concatenate(list(chunks.values())), offsets)
        except InputError as error:
            raise self._named(error, chunks) from None
        answers, ends = self._prepared.answer(rows), given.tolist()
        return {key: answers[ends[i] : ends[i + 1]] for i, key in enumerate(chunks)}

    def _named(self, error: InputError, chunks: Mapping[Any, Array]) -> InputError:
        """Say in which stream the rows are that were refused."""
        tokens = self._prepared.network.tokens
        for key, rows in chunks.items():
            fine = np.isfinite(rows) if tokens is None else (rows >= 0) & (rows < tokens)
            if not fine.all():
                return type(error)(f"stream {key!r}: {error}")
        return error

    def _answers(self, answers: Array) -> Array:
        return np.asarray(answers[-1]) if self._prepared.network.pooled else answers
