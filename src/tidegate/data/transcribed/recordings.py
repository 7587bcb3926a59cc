"""Recordings: signals, what was said or written in each, and how their steps lie in the original. Knows no file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from tidegate.errors import InputError, OptionError, ShapeError
from tidegate.ragged import Ragged

Reads = Literal["sound", "line", "features"]
"""What a signal is: samples of sound, the pixel columns of a line of text, or features of either."""
Signal = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]

_UNITS: Mapping[Reads, str] = {"sound": "seconds", "line": "pixels", "features": "seconds"}
_CHANNELS = {"sound": 1}


@dataclass(frozen=True, eq=False)
class Recordings:
    """Hold B signals with their texts, speakers or books, and places in the original.

    Args:
        signals: a list of float32 arrays, or a Ragged of all steps [N, C]. Sound: samples [T, 1] from -1 to 1; a line:
            pixel columns from left to right [T, height], 0 paper and 1 ink; features: frames [T, C]. Any may be empty.
        texts: what is said or written in each, in logical order; None where nobody knows.
        names: what to call each in a message, such as the path of its file; by default its number. Some may be alike.
        groups: the speaker, book or page of each, which no split may tear apart; None where each stands for itself.
        scales: [B, 2] float64, the units of the original that one step is long, and where the first step begins: step t
            lies at ``t * scales[b, 0] + scales[b, 1]`` seconds of sound or pixels of the image. By default the steps
            themselves, or at a known `rate` seconds.
        reads: what the signals are.
        rate: steps in a second; None for lines, and where it is not known.
        dropped: how many recordings a reader left out, by the reason.

    Raises:
        ShapeError: a signal has another type or width than the rest, or there is not one of everything for each.
        OptionError: `reads` is none of the three.

    >>> clips = Recordings([np.zeros((8, 1), np.float32), np.ones((4, 1), np.float32)], ["no", "yes"], rate=4.0)
    >>> len(clips), clips.place(1, 2), clips.unit, clips.select([1]).texts
    (2, 0.5, 'seconds', ['yes'])
    """

    signals: list[Signal] | Ragged
    texts: list[str] | None = None
    names: list[str] = field(default_factory=list)
    groups: list[str] | None = None
    scales: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 2)))
    reads: Reads = "sound"
    rate: float | None = None
    dropped: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.reads not in get_args(Reads):
            raise OptionError.unknown("kind of signal", self.reads, get_args(Reads))
        count = len(self.signals)
        if count and not self.names:
            object.__setattr__(self, "names", [str(number) for number in range(count)])
        if count and not len(self.scales):
            step = 1.0 / self.rate if self.rate else 1.0
            object.__setattr__(self, "scales", np.tile(np.array([step, 0.0]), (count, 1)))
        for what, given in (("texts", self.texts), ("names", self.names), ("groups", self.groups)):
            if given is not None and len(given) != count:
                raise ShapeError(f"{count} signals came with {len(given)} {what}. Pass one for every signal.")
        if self.scales.shape != (count, 2) or self.scales.dtype != np.float64:
            told = f"scales are {self.scales.dtype} {list(self.scales.shape)}"
            raise ShapeError(f"{told}, but {count} signals want float64 [{count}, 2]: units a step, and the first.")
        self._check_signals()

    def __len__(self) -> int:
        return len(self.signals)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.signals)

    def __getitem__(self, index: int) -> Any:
        """Take one signal."""
        return self.signals[index]

    @property
    def lengths(self) -> Indices:
        """Count the steps of each signal, [B]."""
        if isinstance(self.signals, Ragged):
            return np.asarray(self.signals.lengths, np.int64)
        return np.array([len(signal) for signal in self.signals], np.int64)

    @property
    def width(self) -> int:
        """Count the numbers of a step: 1 for sound, the height of lines; 0 where there is no signal."""
        if isinstance(self.signals, Ragged):
            return int(self.signals.values.shape[1])
        return self.signals[0].shape[1] if self.signals else 0

    @property
    def unit(self) -> str:
        """Name the unit of places in the original: seconds or pixels, or steps where no rate is known."""
        return "steps" if self.reads == "features" and self.rate is None else _UNITS[self.reads]

    def place(self, index: int, step: float) -> float:
        """Say where a step of a signal lies in the original."""
        return float(step * self.scales[index, 0] + self.scales[index, 1])

    def ragged(self) -> Ragged:
        """Give all signals end to end, [N, C] float32."""
        if isinstance(self.signals, Ragged):
            return self.signals
        if not self.signals:
            return Ragged(np.zeros((0, _CHANNELS.get(self.reads, 0)), np.float32), np.zeros(1, np.int64))
        return Ragged.from_list(self.signals, dtype=np.float32)

    def select(self, indices: Sequence[int] | Indices) -> Recordings:
        """Take the recordings at ``indices``, in that order."""
        rows = np.asarray(indices, np.int64)
        taken = rows.tolist()
        signals = self.signals
        return replace(
            self,
            signals=signals.select(rows) if isinstance(signals, Ragged) else [signals[row] for row in taken],
            texts=None if self.texts is None else [self.texts[row] for row in taken],
            names=[self.names[row] for row in taken],
            groups=None if self.groups is None else [self.groups[row] for row in taken],
            scales=self.scales[rows],
        )

    def of_groups(self, names: Sequence[str], *, others: bool = False) -> Recordings:
        """Take the recordings of some speakers, books or pages, or with `others` all but theirs.

        Raises OptionError for a name that no recording has, InputError where recordings have no groups.
        """
        if self.groups is None:
            raise InputError("these recordings name no speaker, book or page. Name a group for each.")
        for name in names:
            if name not in self.groups:
                raise OptionError.unknown("group", name, set(self.groups))
        wanted = set(names)
        return self.select([row for row, group in enumerate(self.groups) if (group in wanted) != others])

    def hold_out(self, fraction: float, *, seed: int = 0) -> tuple[Recordings, Recordings]:
        """Part them into (kept, held): whole groups where there are several, else single recordings.

        A pure function of its arguments. At least one group is held, and at least one is kept; names tell nothing.

        Raises InputError where the fraction is not between 0 and 1, or there are fewer than two recordings.
        """
        if not 0.0 < fraction < 1.0:
            raise InputError(f"the fraction to hold out is {fraction}; it must lie between 0 and 1, such as 0.1.")
        if len(self) < 2:
            raise InputError(f"{len(self)} recordings cannot stand on both sides of a split. Pass two at least.")
        groups: Sequence[str | int] = range(len(self))
        if self.groups is not None and len(set(self.groups)) > 1:
            groups = self.groups
        sizes = Counter(groups)
        order = sorted(sizes)
        held: set[str | int] = set()
        count = 0
        for number in np.random.default_rng([seed, 0x5B117]).permutation(len(order)).tolist():
            size = sizes[order[number]]
            if held and (count + size > fraction * len(self) or len(held) == len(order) - 1):
                continue
            held.add(order[number])
            count += size
        rows = np.array([group in held for group in groups])
        return self.select(np.flatnonzero(~rows)), self.select(np.flatnonzero(rows))

    def joined(self, other: Recordings) -> Recordings:
        """Put other recordings of the same kind behind these; raises ShapeError where they are of another one."""
        if (self.reads, self.rate) != (other.reads, other.rate):
            told = f"{self.reads} at {self.rate} and {other.reads} at {other.rate}"
            raise ShapeError(f"{told} steps a second cannot be one set of recordings. Bring them to one rate.")
        both = self.texts is not None and other.texts is not None
        grouped = self.groups is not None and other.groups is not None
        return replace(
            self,
            signals=[*self.signals, *other.signals],
            texts=[*(self.texts or ()), *(other.texts or ())] if both else None,
            names=[*self.names, *other.names],
            groups=[*(self.groups or ()), *(other.groups or ())] if grouped else None,
            scales=np.concatenate([self.scales, other.scales]),
            dropped=dict(Counter(self.dropped) + Counter(other.dropped)),
        )

    def pieces(self) -> Iterator[bytes]:
        """Yield the bytes of all that a model may learn from, for a fingerprint."""
        for signal in self.signals:
            yield np.ascontiguousarray(signal).tobytes()
        for texts in (self.texts, self.groups):
            yield from (text.encode() for text in texts or ())
        yield np.ascontiguousarray(self.scales).tobytes()

    def _check_signals(self) -> None:
        wanted = _CHANNELS.get(self.reads)
        signals = [self.signals.values] if isinstance(self.signals, Ragged) else self.signals
        for number, signal in enumerate(signals):
            if signal.dtype != np.float32 or signal.ndim != 2:
                came = f"signal {self.names[number] if self.names else number} is {signal.dtype} {list(signal.shape)}"
                raise ShapeError(f"{came}, but float32 [steps, {wanted or 'width'}] is wanted.")
            if signal.shape[1] != (wanted or signals[0].shape[1]):
                came = f"signal {self.names[number] if self.names else number} is {signal.shape[1]} wide"
                raise ShapeError(f"{came}, but {wanted or signals[0].shape[1]} is wanted for all. Scale it first.")
