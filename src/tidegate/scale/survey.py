"""Measures what workers bring: what they run on, what lies between them, and what they take for a step that is known.

It asks the very processes, by the very links, that a training would have. Knows nothing of where they are.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tidegate.cells import USUAL
from tidegate.engine import CrossEntropy
from tidegate.network import Dense, Embed, Network, Pool, Recurrent
from tidegate.ragged import Ragged
from tidegate.train import Recipe, State, initial_weights, start
from tidegate.train.work import Asked

if TYPE_CHECKING:
    from tidegate.scale.crew import Workers

WORDS, SIZE, HIDDEN, BATCH = 10_000, 32, 32, 128
_MANY = 1_000_000  # numbers, by which the bandwidth is measured
_ROUNDS = 7
_ASKED = (2, 4, 8, 16)


@dataclass(frozen=True)
class Way:
    """Say what lies between two workers, in medians: seconds of an empty exchange, and bytes a second each way.

    exchange: seconds in which each gives the other what a step of `reference` sends.
    """

    workers: tuple[int, int]
    latency: float
    bandwidth: float
    exchange: float


@dataclass(frozen=True)
class Survey:
    """Say what workers are, and what they take for a step of `reference`, in seconds, medians of several.

    machines: of each worker what it runs on.
    alone: a step of worker 0 with all its threads.
    repeated: the part of it that every worker does, however many they are.
    together: a step of all workers.
    sent: bytes that each exchange sends.
    """

    machines: tuple[Mapping[str, Any], ...]
    ways: tuple[Way, ...]
    alone: float
    repeated: float
    together: float
    sent: int

    @property
    def exchange(self) -> float:
        """The slowest exchange of two workers, in seconds: all others wait for it."""
        return max((way.exchange for way in self.ways), default=0.0)

    def expected(self) -> dict[int, float]:
        """Say how many times as fast as worker 0 alone several like it would be, with exchanges like these."""
        return {count: speed_up(self.alone, self.repeated, count, self.exchange) for count in _ASKED}

    def bearable(self) -> dict[int, float]:
        """Say how many seconds an exchange may take for several workers to be as fast as one."""
        return {count: break_even(self.alone, self.repeated, count) for count in _ASKED}


def speed_up(alone: float, repeated: float, workers: int, exchange: float) -> float:
    """Say how many times as fast as one worker several are: by what each repeats, its part of the rest, the exchanges.

    They are as many, one after the other, as two must be doubled to come to so many workers. Work that cannot be dealt
    evenly is not seen, so this is a bound; nor is it that a batch has 16 lanes at most.

    Args:
        alone: seconds of a step of one.
        repeated: seconds of it that every worker takes, however many they are.
        workers: how many.
        exchange: seconds of an exchange of two workers.

    >>> round(speed_up(0.1, 0.02, 2, 0.0), 9), round(speed_up(0.1, 0.02, 4, 0.03), 9)
    (1.666666667, 1.0)
    """
    return alone / (repeated + (alone - repeated) / workers + _exchanges(workers) * exchange)


def break_even(alone: float, repeated: float, workers: int) -> float:
    """Say how many seconds an exchange may take for so many workers to be as fast as one; see `speed_up`.

    >>> round(break_even(0.1, 0.02, 4), 9)
    0.03
    """
    return (alone - repeated) * (1 - 1 / workers) / _exchanges(workers)


def _exchanges(workers: int) -> int:
    return math.ceil(math.log2(workers))


def texts(seed: int = 0) -> Ragged:
    """Draw texts as long as reviews are, with words as rare as words are."""
    rng = np.random.default_rng(seed)
    lengths = np.clip(rng.lognormal(5.25, 0.65, BATCH), 10, 1500).astype(np.int64)
    ids = np.minimum(rng.zipf(1.25, lengths.sum()) - 1, WORDS - 1)
    return Ragged(ids, np.concatenate([[0], np.cumsum(lengths)]))


def reference() -> tuple[State, Asked]:
    """Begin a training whose steps are measured: a BiLSTM of 354 thousand numbers, and what it learns of `texts`."""
    layer = Recurrent(cell=USUAL, input_size=SIZE, hidden_size=HIDDEN, bidirectional=True)
    dense = Dense(in_features=2 * HIDDEN, out_features=2)
    network = Network.of(Embed(vocabulary_size=WORDS, size=SIZE), layer, Pool(modes=("max",)), dense)
    loss = CrossEntropy(np.arange(BATCH) % 2, np.full(BATCH, 1 / BATCH))
    recipe = Recipe(epochs=1, batch_size=BATCH, learning_rate=0.001)
    return start(network, initial_weights(network, seed=0), recipe), Asked(texts(), loss)


def step(state: State, asked: Asked, crew: Workers | None = None) -> None:
    """Make an update, with a crew or without."""
    if crew is None:
        state.program.gradient(asked.batch, asked.loss, seed=0, step=state.step)
    else:
        crew.gradient(state, asked, seed=0, states=None, look=False)
        crew.apply(state, 0.001, 1.0)
    move(state)


def repeat(state: State, asked: Asked) -> None:
    """Do of an update what every worker does, however few lanes it has: all but the lanes and the exchange."""
    program = state.program
    program.deal(asked.batch)
    program.run_lanes(asked.batch, asked.loss, range(0))
    program.settle(np.zeros(program.summed, np.float32))
    move(state)


def move(state: State) -> None:
    """Let the optimiser make its step."""
    state.optimiser.lengths()
    state.optimiser.apply(0.001)
    state.step += 1


def survey(crew: Workers) -> Survey:
    """Ask a crew what it is, and measure it.

    Raises WorkerError where one of its workers is lost or late.

    >>> from tidegate.scale import Workers
    >>> with Workers(2) as crew:
    ...     found = survey(crew)
    >>> [machine["worker"] for machine in found.machines], found.ways[0].workers
    ([0, 1], (0, 1))
    """
    state, asked = reference()
    alone = _median(lambda: step(state, asked))
    sent = state.program.summed
    repeated = _median(lambda: repeat(state, asked))
    together = alone if crew.count == 1 else _median(lambda: step(state, asked, crew))
    ways = []
    for pair in _pairs(crew.count):
        latency, exchange, many = (statistics.median(crew.trade(*pair, size, _ROUNDS)) for size in (0, sent, _MANY))
        ways.append(Way(pair, latency, 4 * _MANY / many, exchange))
    machines = tuple({"worker": rank, **told} for rank, told in enumerate(crew.describe()))
    return Survey(machines, tuple(ways), alone, repeated, together, 4 * sent)


def _median(act: Callable[[], None]) -> float:
    act()  # which fills caches, and begins who is not there yet
    return statistics.median(_seconds(act) for _ in range(_ROUNDS))


def _seconds(act: Callable[[], None]) -> float:
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun


def _pairs(count: int) -> Iterator[tuple[int, int]]:
    """Yield which workers exchange something, where it is as simple as it gets.

    >>> list(_pairs(3))
    [(0, 1), (0, 2)]
    """
    for one in range(count):
        for bit in range(count.bit_length()):
            if one < (other := one ^ (1 << bit)) < count:
                yield one, other
