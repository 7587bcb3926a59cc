"""Searches the best outputs for many inputs at once, by beams over the rows of a decoder. Knows ids, not texts.

Of all continuations of a sentence's beam the `beam` best are taken at each step (Graves 2012; Sutskever et al. 2014);
those that end are set aside. Scores are those of Wu et al. (2016), section 7.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Protocol, TypeAlias
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

import tidegate.kernels as kernels
from tidegate.errors import InputError, OptionError
from tidegate.ragged import Ragged
from tidegate.runtime import Decoder, Executor, Sampling
from tidegate.tasks.translating.choosing import best_continuations, drawn_continuations
from tidegate.tasks.translating.reading import Reading

Array: TypeAlias = npt.NDArray[Any]
Ids: TypeAlias = npt.NDArray[np.int32]

WIDEST = 1000  # beam
MOST = 100_000  # tokens of an output that may be asked for
ROWS = 256  # of the decoder that are stepped together
_CELLS = 2**18  # tokens of sources that rows stepped together read, at most, unless a single source has more
MORE, TIMES = 10, 2  # the most tokens of an output: twice those of the input and ten


class Decodes(Protocol):
    """Step through outputs, one row a slot; `runtime.Decoder` does."""

    def open(self, sources: Ragged) -> list[int]:
        """Read inputs, and return their numbers."""

    def close(self, source: int) -> None:
        """Forget an input."""

    def start(self, slots: Iterable[int], sources: Iterable[int]) -> None:
        """Begin the outputs of inputs, by their numbers."""

    def step(self, slots: Iterable[int], ids: Iterable[int]) -> Array:
        """Read a token in each of some slots, and return the scores of the next one, `[n, V]`."""

    def attention(self) -> list[list[Array]]:
        """Give what each row of the last step read of its input: for each hop, and each row, `[S]`."""

    def copy(self, from_slots: Iterable[int], to_slots: Iterable[int]) -> None:
        """Make slots what others are."""


@dataclass(frozen=True)
class Rules:
    """Say how outputs are searched and ranked.

    Args:
        beam: outputs of each input that are followed side by side; 1 takes the most probable token of each step.
        n_best: outputs to give of each input, at most.
        length_penalty: the logarithm of the probability of an output of L tokens, its end included, is divided by
            ((5 + L) / 6) to this; 0 leaves it.
        coverage_penalty: weighs the sum over the tokens of the input of the logarithm of how much each was read in
            all, one at most, which is added then; 0 leaves it out. The last hop is what reads.
        max_length: tokens of an output at most, its end and what it must begin with included; None takes twice those of
            the input and ten, after what it must begin with.
        sampling: how tokens are drawn, instead of a search; `n_best` outputs are drawn of each input.
        attention: whether to keep what was read for each token.

    Raises InputError for a number out of its range.
    """

    beam: int = 5
    n_best: int = 1
    length_penalty: float = 1.0
    coverage_penalty: float = 0.0
    max_length: int | None = None
    sampling: Sampling | None = None
    attention: bool = False

    def __post_init__(self) -> None:
        for name in ("beam", "n_best"):
            value = getattr(self, name)
            if type(value) is not int or not 1 <= value <= WIDEST:
                raise InputError(f"{name}={value!r:.40}; wanted a whole number from 1 to 1,000, such as 5.")
        if self.sampling is None and self.n_best > self.beam:
            raise InputError(f"n_best={self.n_best} of a beam of {self.beam}. Pass a beam at least as wide.")
        for name in ("length_penalty", "coverage_penalty"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 10:
                raise InputError(f"{name}={value!r:.40}; wanted a number from 0 to 10.")
        if self.max_length is not None and (type(self.max_length) is not int or not 1 <= self.max_length <= MOST):
            raise InputError(f"max_length={self.max_length!r:.40}; wanted a whole number from 1 to {MOST:,}, or None.")
        if self.sampling is not None and not isinstance(self.sampling, Sampling):
            raise InputError(f"sampling={self.sampling!r:.40}; wanted a runtime.Sampling, such as Sampling(seed=1).")
        if not isinstance(self.attention, bool):
            raise InputError(f"attention={self.attention!r:.40}; wanted True or False.")

    @property
    def width(self) -> int:
        """Count the rows that each output or sentence takes at most."""
        return 1 if self.sampling is not None else self.beam

    def limit(self, length: int, begun: int = 0) -> int:
        """Say how many tokens the output of an input of so many may have that begins with some, its end included.

        Raises InputError where `max_length` leaves no room behind the beginning.
        """
        if self.max_length is None:
            return TIMES * length + MORE + begun
        if self.max_length <= begun:
            raise InputError(f"max_length={self.max_length}, and a prefix has {begun:,} tokens. Allow more than these.")
        return self.max_length

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Rules:
        """Make rules of options by name; raises OptionError for a name that is not known."""
        known = [one.name for one in fields(cls)]
        for name in options:
            if name not in known:
                raise OptionError.unknown("option", name, known)
        return cls(**options)


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """Hold an output that was found.

    ids: its tokens, without its end.
    score: by which outputs of an input are ranked.
    log_probability: the logarithm of its probability, in nats.
    cut: whether it was cut off, as it did not end within the limit.
    attention: what was read for each token, `[T, S]` for each hop, the end's last where there is one; empty where it
        was not kept.
    most_read: which token of the input, its end aside, the last hop read most for each token; empty as above.
    gates: how far the gates of the layer that asked were open for each token and the end, for each hop: the means of
        its units, `[T + 1]` by letter; empty until somebody puts them there.
    """

    ids: Ids
    score: float
    log_probability: float
    cut: bool
    attention: tuple[Array, ...] = ()
    most_read: tuple[int, ...] = ()
    gates: tuple[dict[str, Array], ...] = ()


@dataclass(eq=False)
class _Live:
    """Hold the rows that go on: slots, whose they are, what they cost so far, their last tokens, what was covered."""

    slots: Array  # [n]
    owners: Array  # [n], ascending
    totals: Array  # [n] float64
    last: Array  # [n]
    covered: list[Array] = field(default_factory=list)  # [n][S], where coverage counts


@dataclass(frozen=True, eq=False)
class _Past:
    """Hold a step that was made: of each row that went on its row in the step before, its token, and what it read."""

    parents: Array
    tokens: Array
    read: list[list[Array]]  # for each hop, of each row; empty where it is not asked for
    most_read: list[int]  # of each row; empty as above


class Searcher:
    """Search outputs with a decoder, whose slots are this searcher's alone.

    Args:
        decoder: of at least `ROWS` slots, or as many as a beam is wide.
        start, end: the ids that begin and end every output.
        barred: ids that are never written.
    """

    def __init__(self, decoder: Decodes, *, start: int, end: int, barred: Sequence[int] = ()) -> None:
        self._decoder, self._start, self._end = decoder, start, end
        self._barred = np.array([*barred], np.int64)

    def search(
        self,
        sources: Ragged,
        rules: Rules,
        *,
        lengths: Array,
        prefixes: Sequence[Ids] | None = None,
        copies: bool = False,
    ) -> list[list[Hypothesis]]:
        """Find the outputs of B inputs, the best first, each as if it came alone.

        Args:
            sources: B sequences of ids, each at least one.
            rules: how.
            lengths: `[B]`, what counts as the length of each where outputs are limited.
            prefixes: ids that each output begins with; None for none.
            copies: whether to keep which token of the input was read most for each token.
        """
        out: list[list[Hypothesis]] = [[] for _ in range(len(sources))]
        begun = [0] * len(sources) if prefixes is None else list(map(len, prefixes))
        limits = np.array([rules.limit(*each) for each in zip(lengths.tolist(), begun, strict=True)], np.int64)
        draws = rules.n_best if rules.sampling is not None else 1
        order = np.argsort(np.asarray(sources.lengths), kind="stable").repeat(draws)
        number = np.tile(np.arange(draws), len(sources))
        for part in _parted(np.asarray(sources.lengths)[order], rules.width):
            own = order[part]
            group = _Group(self, rules, sources.select(own), limits[own], number[part])
            group.copies = copies
            group.prefixes = None if prefixes is None else [prefixes[index] for index in own.tolist()]
            for index, found in zip(own.tolist(), group.run(), strict=True):
                out[index] += found
        return [sorted(found, key=_rank)[: rules.n_best] for found in out]

    def tokens(self, source: Ragged, limit: int, prefix: Ids) -> Iterator[int]:
        """Find the most probable tokens of the output of one input, each as soon as it is asked for, without its end.

        Nobody else may use the decoder until then.

        Args:
            source: one sequence of ids.
            limit: tokens at most, the end included.
            prefix: ids that the output begins with.
        """
        slot, last = np.zeros(1, np.int64), self._start
        (number,) = self._decoder.open(source)
        self._decoder.start(slot, [number])
        for step in range(limit):
            scores = self._decoder.step(slot, np.array([last], np.int32))
            scores[:, self._barred] = -np.inf
            forced = prefix[step : step + 1] if step < len(prefix) else None
            _, ids, _ = best_continuations(scores, np.zeros(1), np.zeros(1, np.int64), width=1, forced=forced)
            last = int(ids[0])
            if last == self._end:
                break
            yield last


class _Group:
    """Search the outputs of some inputs side by side, from their beginning to their end."""

    def __init__(self, whose: Searcher, rules: Rules, sources: Ragged, limits: Array, draws: Array) -> None:
        self._decoder, self._whose, self._rules = whose._decoder, whose, rules
        self._sources, self._count = sources, len(sources)
        self._limits, self._draws = limits, draws
        self._ended: list[list[Hypothesis]] = [[] for _ in range(self._count)]
        self._past: list[_Past] = []
        self.prefixes: list[Ids] | None = None
        self.copies = False
        self._random = None if rules.sampling is None else _Random(rules.sampling.seed, sources, draws)
        self._penalties = length_penalties(int(self._limits.max(initial=1)), rules.length_penalty)

    def run(self) -> list[list[Hypothesis]]:
        """Return what was found, input by input."""
        decoder = self._decoder
        slots = np.arange(self._count) * self._rules.width
        live = _Live(
            slots, np.arange(self._count), np.zeros(self._count), np.full(self._count, self._whose._start, np.int32)
        )
        if self._rules.coverage_penalty:
            live.covered = [np.zeros(int(length)) for length in self._sources.lengths]
        new = self._draws == 0  # the other draws are of the same input
        new[:1] = True
        numbers = decoder.open(self._sources.select(np.flatnonzero(new)))
        try:
            decoder.start(slots, np.array(numbers, np.int64)[np.cumsum(new) - 1])
            while len(live.slots):
                live = self._step(live)
        finally:
            for number in numbers:
                decoder.close(number)
        return self._ended

    def _step(self, live: _Live) -> _Live:
        """Go on by a token: choose continuations, set aside what ends, and give slots to what goes on."""
        scores = self._decoder.step(live.slots, live.last)  # [n, V]
        if len(self._whose._barred):
            scores[:, self._whose._barred] = -np.inf
        forced = self._forced(live.owners)
        if self._random is None:
            rows, ids, totals = best_continuations(
                scores, live.totals, live.owners, width=self._rules.beam, forced=forced
            )
        else:
            assert self._rules.sampling is not None, "what draws"
            drawn = self._random.draw(live.owners)
            rows, ids, totals = drawn_continuations(scores, live.totals, drawn, self._rules.sampling, forced=forced)
        keep = self._rules.attention or self._rules.coverage_penalty > 0 or self.copies
        read = self._decoder.attention() if keep else []
        covered = [live.covered[row] + read[-1][row] for row in rows.tolist()] if live.covered else []
        most = [_most_read(read[-1][row]) for row in rows.tolist()] if self.copies else []
        kept = [[hop[row] for row in rows.tolist()] for hop in read] if self._rules.attention else []
        self._past.append(_Past(rows, ids, kept, most))
        owners = live.owners[rows]
        length = len(self._past)
        ends = ids == self._whose._end
        for at in np.flatnonzero(ends | (length >= self._limits[owners])).tolist():
            found = self._ending(at, float(totals[at]), covered[at] if covered else None, cut=not ends[at])
            ended = self._ended[int(owners[at])]
            ended.append(found)
            ended.sort(key=_rank)
            del ended[self._rules.n_best :]
        goes_on = ~ends & (length < self._limits[owners]) & self._can_win(owners, totals)
        return self._moved(live, rows, ids, totals, covered, np.flatnonzero(goes_on))

    def _forced(self, owners: Array) -> Array | None:
        """Say which token each row must take, -1 for any; None where none must any."""
        step = len(self._past)
        if self.prefixes is None or not any(len(prefix) > step for prefix in self.prefixes):
            return None
        wanted = [int(prefix[step]) if len(prefix) > step else -1 for prefix in self.prefixes]
        return np.array(wanted)[owners]

    def _can_win(self, owners: Array, totals: Array) -> Array:
        """Tell which rows may still end better than the worst output that would be given of their sentence.

        What a row costs only grows, and is divided by no more than the penalty of the longest output; what was not
        covered only adds to it. So that is the most that it can reach.
        """
        worst = np.full(self._count, -np.inf)
        for owner in np.unique(owners).tolist():
            scores = sorted((one.score for one in self._ended[owner] if not one.cut), reverse=True)
            if len(scores) >= self._rules.n_best:
                worst[owner] = scores[self._rules.n_best - 1]
        reach: Array = totals / self._penalties[self._limits[owners]] > worst[owners]
        return reach if self._random is None else np.ones(len(owners), bool)

    def _moved(self, live: _Live, rows: Array, ids: Array, totals: Array, covered: list[Array], chosen: Array) -> _Live:
        """Let the first continuation of each row keep its slot, and copy it to free ones for the others."""
        parents = rows[chosen]
        past = self._past[-1]
        self._past[-1] = _Past(
            parents,
            ids[chosen],
            [[hop[at] for at in chosen.tolist()] for hop in past.read],
            [past.most_read[at] for at in chosen.tolist()] if past.most_read else [],
        )
        slots = live.slots[parents]
        _, first = np.unique(parents, return_index=True)
        others = np.setdiff1d(np.arange(len(chosen)), first)
        if len(others):
            free = np.setdiff1d(np.arange(self._count * self._rules.width), slots[first])[: len(others)]
            self._decoder.copy(slots[others], free)
            slots[others] = free
        return _Live(
            slots,
            live.owners[parents],
            totals[chosen],
            ids[chosen].astype(np.int32),
            [covered[at] for at in chosen.tolist()] if covered else [],
        )

    def _ending(self, at: int, total: float, covered: Array | None, *, cut: bool) -> Hypothesis:
        """Trace back an output that ends with a continuation of the step that is being made."""
        tokens, read, most, row = list[int](), list[list[Array]](), list[int](), at
        for past in reversed(self._past):
            tokens.append(int(past.tokens[row]))
            read.append([hop[row] for hop in past.read])
            most += past.most_read[row : row + 1]
            row = int(past.parents[row])
        score = total / self._penalties[len(tokens)]
        if covered is not None:
            score += self._rules.coverage_penalty * uncovered(covered)
        ids = np.array(tokens[::-1][: None if cut else -1], np.int32)
        hops = zip(*reversed(read), strict=True) if self._rules.attention else ()
        return Hypothesis(ids, float(score), total, cut, tuple(np.stack(hop) for hop in hops), tuple(most[::-1]))


def _parted(lengths: Array, width: int) -> Iterator[slice]:
    """Part inputs, the shortest first, into those whose rows are stepped together, so that memory is bounded."""
    begin = 0
    while begin < len(lengths):
        some = lengths[begin : begin + max(1, ROWS // width)]
        size = max(1, int((some * np.arange(1, len(some) + 1) * width <= _CELLS).sum()))  # it only grows
        yield slice(begin, begin + size)
        begin += size


def _rank(found: Hypothesis) -> tuple[bool, float]:
    """Order outputs: those that ended first, and of these the best."""
    return found.cut, -found.score


def _most_read(read: Array) -> int:
    """Say which token of an input, its end aside, was read most `[S]`; 0 where there is none."""
    return int(read[:-1].argmax()) if len(read) > 1 else 0


class _Random:
    """Draw a number for each step of each output, which depends on the seed, the input and its draw alone."""

    def __init__(self, seed: int, sources: Ragged, draws: Array) -> None:
        self._generators = [
            np.random.default_rng([seed, 0x7D, draw, *np.asarray(source).tolist()])
            for source, draw in zip(sources, draws.tolist(), strict=True)
        ]

    def draw(self, owners: Array) -> Array:
        """Draw a number from 0 to 1 for each of some inputs."""
        return np.array([self._generators[owner].random() for owner in owners.tolist()])


def length_penalties(longest: int, alpha: float) -> Array:
    """Give what outputs of 0 to `longest` tokens are divided by, `[longest + 1]`: ((5 + L) / 6) to the alpha.

    >>> length_penalties(7, 1.0).tolist()[1::6]
    [1.0, 2.0]
    """
    lengths = (5.0 + np.arange(longest + 1)) / 6
    lengths[0] = 1.0  # no output is shorter than its end
    return np.asarray(1 / kernels.exp(-alpha * kernels.log(lengths))) if alpha else np.ones(longest + 1)


def uncovered(read: Array) -> float:
    """Add up the logarithms of how much each token of an input was read in all, one at most.

    >>> round(uncovered(np.array([0.5, 1.5])), 4)
    -0.6931
    """
    return float(np.cumsum(kernels.log(np.clip(read.astype(np.float64), 1e-30, 1.0)))[-1])


_DECODERS: WeakKeyDictionary[Executor, threading.local] = WeakKeyDictionary()


def searcher(executor: Executor, reading: Reading, *, unknown: bool = False, apart: bool = False) -> Searcher:
    """Make a searcher with the network and the weights of an executor, which are packed once for each thread.

    Args:
        executor: of the network of a translator.
        reading: its tokens.
        unknown: whether what stands for unknown tokens may be written, to be replaced.
        apart: whether it shares no decoder, as an output that is asked for token by token must not.
    """
    own = _DECODERS.setdefault(executor, threading.local())
    decoder = None if apart else getattr(own, "decoder", None)
    if decoder is None:
        decoder = Decoder(executor.network, executor.weights, 1 if apart else max(ROWS, WIDEST))
        if not apart:
            own.decoder = decoder
    barred = [reading.start] if unknown else [reading.subwords.unknown, reading.start]
    return Searcher(decoder, start=reading.start, end=reading.end, barred=barred)
