"""Live sequences: a network is fed step by step, and says at each what it would say of the whole sequence so far.

Knows networks and their weights. What steps are to users, and what they make of the answers, is told by `Prepared`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.checkpoint import digest
from tidegate.engine import Runner
from tidegate.errors import InputError, ShapeError, StateError, StreamEndedError
from tidegate.kernels import expect
from tidegate.kernels.streams import LiveProgram, Streams, as_rows
from tidegate.network import Network
from tidegate.ragged import Ragged
from tidegate.runtime.stream_state import pack_state, unpack_state
from tidegate.words import Words

Array: TypeAlias = npt.NDArray[Any]
Json: TypeAlias = dict[str, Any]

MOST_AHEAD = 2**16  # steps of look-ahead
_SLOTS = (np.array([0]), np.array([1]))


@dataclass(frozen=True, eq=False)
class Prepared:
    """Hold a network whose weights are packed for streams, which may be many.

    Args:
        executor: the network and its weights, as an `Executor` holds them.
        lookahead: steps that must follow before a step is answered; None where the network reads forwards alone.
        read: turns one chunk, as a user passes it, into rows `[n, C]` or token ids `[n]` of the network.
        say: turns rows of output `[n, K]` into answers `[n, ...]`.
        begin: what every sequence begins with, such as the mark of the start of a text.
    """

    executor: Runner
    lookahead: int | None = None
    read: Callable[[Any], Array] | None = None
    say: Callable[[Array], Array] | None = None
    begin: tuple[int, ...] = ()

    @cached_property
    def network(self) -> LiveProgram:
        """The packed program. Raises InputError where it cannot be stepped."""
        return _live(self.executor, self.lookahead)

    @cached_property
    def digest(self) -> str:
        """Name the model, so that no state of another one is taken for one of it."""
        return digest(self.executor.network, self.executor.weights)

    def streams(self, capacity: int) -> Streams:
        """Make room for sequences."""
        return Streams(self.network, capacity, num_threads=self.executor.num_threads)

    def rows(self, chunk: Any) -> Array:
        """Bring a chunk into the form of the network: `[n, C]` of the type of its weights, or `[n]` int32 ids."""
        return self.network_rows(chunk if self.read is None else self.read(chunk))

    def one(self, x: Any) -> Array:
        """Bring one step, as a user passes it, into the form of a chunk; a text may hold several, or none."""
        return self.rows(x if isinstance(x, str | Words) else [x])

    def network_rows(self, chunk: Any) -> Array:
        """Do what `rows` does with a chunk that is the network's own input."""
        if isinstance(chunk, np.ndarray) and chunk.shape[1:] == self._row and chunk.dtype == self.executor.dtype:
            return chunk  # what needs no look is quickly let through
        network = self.executor.network
        if isinstance(chunk, Words) and network.reads_words:
            return np.asarray(self.executor.spell(chunk).values)
        if network.reads_tokens:
            return _ids(chunk)
        rows = as_rows(chunk, self.executor.dtype)
        if rows.size == 0:
            return self.no_rows
        if rows.ndim != 2 or rows.shape[1] != self.network.width:
            raise ShapeError(f"a chunk is {list(rows.shape)} but [steps, {self.network.width}] is wanted here.")
        return rows

    @cached_property
    def _row(self) -> tuple[int, ...] | None:
        """The shape of a row of features; None where tokens are read."""
        return (self.network.width,) if self.network.tokens is None else None

    @property
    def no_rows(self) -> Array:
        """A chunk without steps."""
        network = self.network
        return np.empty((0, network.width), network.kind) if network.tokens is None else np.empty(0, np.int32)

    def pack(self, streams: Streams, slot: int, about: Json | None = None) -> bytes:
        """Save the state of a slot, and what is to be kept with it."""
        numbers, steps = streams.read(slot)
        info = {"digest": self.digest, "steps": steps, "lookahead": self.network.lookahead}
        return pack_state(info | {"about": about or {}}, numbers)

    def unpack(self, state: bytes, streams: Streams, slot: int) -> Json:
        """Bring a slot to a state that was saved, and return what was kept with it.

        Raises StateError, the slot as before, where the state is not one of this model and look-ahead.
        """
        info, numbers = unpack_state(state, digest=self.digest)
        steps, lookahead = info.get("steps"), info.get("lookahead")
        if lookahead != self.network.lookahead:
            raise StateError(f"the state was saved with lookahead={lookahead}; this stream has {self.lookahead or 0}.")
        about = info.get("about")
        if numbers.dtype != self.network.kind or numbers.shape != (streams.numbers,) or not isinstance(about, dict):
            raise StateError(
                f"the state holds {numbers.size} numbers where {streams.numbers} are wanted; it was altered."
            )
        if type(steps) is not int or not 0 <= steps < 2**62:
            raise StateError(f"the state says that {steps!r} steps were taken; it was altered.")
        streams.write(numbers, steps, slot)
        return about

    def open(self, streams: Streams, slot: int, state: bytes | None) -> Json:
        """Begin a sequence in a slot, anew or where a saved one stopped; return what was kept with that."""
        if state is not None:
            return self.unpack(state, streams, slot)
        streams.clear(slot)
        if self.begin:
            values = np.array(self.begin, np.int32)
            streams.run(np.array([slot]), values, np.array([0, len(values)]))
        return {}

    def answer(self, rows: Array) -> Array:
        """Turn rows of output into answers."""
        return rows if self.say is None else self.say(rows)


class Stream:
    """Feed one live sequence to a network.

    Pushed in any chunks, a sequence gives the numbers of the whole one, to the bit. A network that reads forwards
    answers each step at once; one that pools says what it would say if the sequence ended here. Where layers also run
    from the end, `lookahead` says how far: the answer to a step is given when so many more are known or `finish` is
    called, and its numbers are those of a sequence that ends there. Of several such layers each has an even share of
    it, and the answer of a layer is final. A pooled network is answered at once, the last steps looking ahead as far as
    they can. With a look-ahead as long as the sequence in each layer, all numbers are those of the whole one.

    One thread may use a stream at a time; the interpreter is free meanwhile.

    Args:
        network: what to run.
        weights: its arrays, as for `Executor`.
        lookahead: steps to wait for, at least 0; needed where the network also runs from the end, and only there.
        state: where to go on, as `state` gave it, on this machine or another.
        num_threads: for the kernels; None takes their own setting. The numbers do not depend on it.

    Raises:
        ShapeError: the weights do not fit the network.
        InputError: the network cannot be stepped, or not without `lookahead`.
        StateError: the state is truncated, altered or of another model.

    >>> from tidegate.network import Dense, Network, Pool
    >>> network = Network.of(Dense(in_features=1, out_features=1), Pool(modes=("max",)))
    >>> double = {"0.weight": np.array([[2.0]], np.float32), "0.bias": np.array([0.0], np.float32)}
    >>> stream = Stream(network, double)
    >>> [stream.step([x]).item() for x in (1.0, 3.0, 2.0)]
    [2.0, 6.0, 6.0]

    Attributes:
        about: JSON that is saved with the state, for whoever stands between a user and the stream.
    """

    __slots__ = ("_ended", "_prepared", "_streams", "_tokens", "about")

    def __init__(
        self,
        network: Network,
        weights: Mapping[str, Array],
        *,
        lookahead: int | None = None,
        state: bytes | None = None,
        num_threads: int | None = None,
    ) -> None:
        self._begin(Prepared(Runner(network, weights, num_threads=num_threads), lookahead), state)

    @classmethod
    def of(cls, prepared: Prepared, *, state: bytes | None = None) -> Self:
        """Begin a stream of a network whose weights are packed already. Raises StateError."""
        stream = cls.__new__(cls)
        stream._begin(prepared, state)
        return stream

    def _begin(self, prepared: Prepared, state: bytes | None) -> None:
        self._prepared, self._ended = prepared, ""
        self._tokens = prepared.network.tokens is not None
        self._streams = prepared.streams(2)  # the second is for what is tried out
        self.about = prepared.open(self._streams, 0, state)

    def step(self, x: Any, *, out: Array | None = None) -> Array | None:
        """Take one step and return the answer that is due, `[K]`; None where none is due yet.

        Args:
            x: a row of features `[C]`, or a token id; for the stream of a task see there.
            out: `[K]` of the type of the weights, to be filled and returned; without it an array is made.

        Raises:
            ShapeError: the step has other features.
            InputError: a number is not finite, or an id is out of range; the stream is as before.
            StreamEndedError: the stream was finished or closed.
        """
        if self._ended:
            self.require_open()
        prepared = self._prepared
        if prepared.read is not None or isinstance(x, Words):
            rows = prepared.one(x)
            if len(rows) != 1:
                return _into(out, self._last(self._run(self._streams, 0, rows)))
            x = rows[0]
        if prepared.say is None:
            return (self._streams.step_token if self._tokens else self._streams.step)(x, 0, out)
        row = (self._streams.step_token if self._tokens else self._streams.step)(x, 0)
        return row if row is None else _into(out, np.asarray(prepared.say(row[None])[0]))

    def push(self, chunk: Any) -> Array:
        """Take any number of steps at once and return the answers that are due, `[n, K]`; pooled, the last, `[K]`.

        Raises as `step` does: of a chunk that is refused no step was taken.
        """
        self.require_open()
        return self._answers(self._run(self._streams, 0, self._prepared.rows(chunk)))

    def peek(self, chunk: Any = ()) -> Array:
        """Answer as if the sequence ended here, or after these further steps; the stream goes on as if never asked.

        Returns what `push` and then `finish` would give, `[n, K]`; pooled, `[K]`. Raises as they do.
        """
        self.require_open()
        rows = self._prepared.rows(chunk) if len(chunk) else self._prepared.no_rows
        self._streams.copy(0, 1)
        return self._answers(self._run(self._streams, 1, rows, ending=True))

    def finish(self) -> Array:
        """End the sequence and return the answers that waited for steps to come, `[n, K]`; pooled, the last, `[K]`.

        Raises StreamEndedError where it has ended already.
        """
        answers = self.peek()
        self._ended = "finished"
        return answers

    def close(self) -> None:
        """End the stream; what waits is dropped. A stream that was closed may be closed again."""
        self._ended = self._ended or "closed"

    def fork(self) -> Self:
        """Begin another stream where this one is; from then on they know nothing of each other.

        Raises StreamEndedError where this one has ended.
        """
        self.require_open()
        twin = type(self).of(self._prepared)
        twin._streams.write(*self._streams.read())
        twin.about = deepcopy(self.about)
        return twin

    def resume(self, state: bytes) -> Self:
        """Begin another stream where a saved one was, with the weights that are packed here. Raises StateError."""
        return type(self).of(self._prepared, state=state)

    @property
    def state(self) -> bytes:
        """All that is needed to go on elsewhere, with the same model: pass it to a new stream.

        Raises StreamEndedError where the stream has ended.
        """
        self.require_open()
        return self._prepared.pack(self._streams, 0, self.about)

    @property
    def steps(self) -> int:
        """Count the steps that were taken."""
        return self._streams.steps()

    @property
    def lookahead(self) -> int:
        """Steps that must follow before a step is answered."""
        return self._prepared.network.lookahead

    @property
    def ended(self) -> bool:
        """Whether the stream was finished or closed."""
        return bool(self._ended)

    def __repr__(self) -> str:
        ahead = f", lookahead {self.lookahead}" if self.lookahead else ""
        return f"{type(self).__name__}({self._ended or 'open'}, {self.steps} steps{ahead})"

    def _run(self, streams: Streams, slot: int, rows: Array, *, ending: bool = False) -> Array:
        return streams.run(_SLOTS[slot], rows, np.array([0, len(rows)]), ending=ending)[0]

    def _answers(self, rows: Array) -> Array:
        answers = self._prepared.answer(rows)
        return np.asarray(answers[-1]) if self._prepared.network.pooled else answers

    def _last(self, rows: Array) -> Array | None:
        return np.asarray(self._prepared.answer(rows)[-1]) if len(rows) else None

    def require_open(self) -> None:
        """Raise StreamEndedError where the stream was finished or closed."""
        if self._ended:
            raise StreamEndedError(f"this stream was {self._ended} after {self.steps} steps. Begin a new one.")


def _live(executor: Runner, lookahead: int | None) -> LiveProgram:
    """Make a network ready for streams.

    Raises InputError where it reads windows, where it joins steps that come at different times, or where `lookahead` is
    missing, negative, or of no use.
    """
    if executor.network.is_encoder_decoder:
        raise InputError(
            "the network reads pairs, attends, or begins with states that another node gives, so that it cannot be "
            "stepped as one sequence. Step through the targets of pairs with tidegate.runtime.Decoder."
        )
    for index, node in enumerate(executor.network.nodes):
        if not node.live:
            what, advice = "a window", "Call it with windows, or ask its forecaster for a stream."
            if node.reads_images or node.makes_images:
                what, advice = "an image", "Call it with whole images, or whole signals."
            raise InputError(
                f"node {index} ({node.kind}) reads {what} as a whole, so that the network cannot be stepped. {advice}"
            )
    ahead, waits = _shares(executor.network, lookahead)
    _check_joins(executor.network, waits)
    return executor.live(ahead)


def _into(out: Array | None, answer: Array | None) -> Array | None:
    """Hand an answer out in the array that was passed for it, if one was."""
    if out is None or answer is None:
        return answer
    out = expect("out", out, answer.shape, answer.dtype)
    np.copyto(out, answer)
    return out


def _shares(network: Network, lookahead: int | None) -> tuple[list[int], dict[int, int]]:
    """Split the look-ahead evenly among the layers that also run from the end; the first take what is left over.

    Layers that do so side by side, in branches, have the same share. Returns those of all layers, and for how many
    steps what each node hands on waits.
    """
    place = list[int]()  # of each layer among those that follow each other
    below = {-1: 0}  # how many such layers there are up to each node
    for index, (node, sources) in enumerate(zip(network.nodes, network.sources, strict=True)):
        begins = max(below[source] for source in sources)
        below[index] = begins + node.layers_back
        place += range(begins, below[index])
    layers = max(below.values())
    if layers and lookahead is None:
        raise InputError(
            "the network also reads from the end, so that it knows nothing for sure before the end. Pass lookahead=K "
            "to have each step answered once K more are known, such as lookahead=8, or train with bidirectional=False."
        )
    if lookahead is not None and (type(lookahead) is not int or not 0 <= lookahead <= MOST_AHEAD):
        raise InputError(f"lookahead={lookahead!r}; wanted a number of steps, from 0 to {MOST_AHEAD:,}.")
    if lookahead and not layers:
        raise InputError(f"lookahead={lookahead}, but the network reads forwards and needs none. Leave it out.")
    whole = lookahead or 0
    share = [whole // layers + (layer < whole % layers) for layer in range(layers)]
    return [share[layer] for layer in place], _waits(network, {i: sum(share[:count]) for i, count in below.items()})


def _waits(network: Network, ahead: Mapping[int, int]) -> dict[int, int]:
    """Say for how many steps what each node hands on waits, given for how many rows its layers do."""
    waits = {-1: 0}
    for index, (node, sources) in enumerate(zip(network.nodes, network.sources, strict=True)):
        read = max(sources, key=lambda source: waits[source])
        stride = 1 if read < 0 else network.gives[read].stride
        waits[index] = waits[read] + (ahead[index] - ahead[read] + node.withheld) * stride
    return waits


def _check_joins(network: Network, waits: Mapping[int, int]) -> None:
    """Raise InputError where steps are joined that do not come at the same time."""
    for index, (node, sources) in enumerate(zip(network.nodes, network.sources, strict=True)):
        found = [waits[source] for source in sources]
        if len(set(found)) > 1 and not network.gives[index].pooled:
            told = ", ".join(f"{name!r} {wait}" for name, wait in zip(node.named, found, strict=True))
            raise InputError(
                f"node {index} ({node.kind}) joins outputs that wait for different numbers of steps, {told}, so that "
                "the network cannot be stepped. Call it with whole sequences, or let all branches read forwards."
            )


def _ids(chunk: Any) -> Array:
    values = np.asarray(chunk.values if isinstance(chunk, Ragged) else chunk)
    if values.size == 0:
        return np.empty(0, np.int32)
    if values.ndim != 1 or values.dtype.kind not in "iu":
        raise ShapeError(f"a chunk is {values.dtype} {list(values.shape)} but token ids [steps] are wanted here.")
    if values.dtype != np.int32 and not (values.min() >= -1 and values.max() < 2**31):
        values = np.clip(values, -1, 2**31 - 1)  # out of range in any case
    return np.ascontiguousarray(values, np.int32)
