"""The most probable texts of frames, whole or as they come."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from typing import Any, Self, TypeAlias, overload

import numpy as np
import numpy.typing as npt

import tidegate.kernels.decoding as core
from tidegate.decoding.fusion import Fusion
from tidegate.decoding.hypothesis import Hypothesis, check_rows, check_symbols, check_width, hypotheses
from tidegate.decoding.scoring import Scorer
from tidegate.errors import InputError, StateError
from tidegate.ragged import Ragged
from tidegate.runtime.stream_state import pack_state, unpack_state

Array: TypeAlias = npt.NDArray[Any]

WIDTH = 16
LEAST = 1e-3
_STREAMS = 2**12  # texts that a network scores side by side


@overload
def prefix_beam(
    log_probs: Ragged,
    symbols: Sequence[str],
    *,
    width: int = ...,
    scorer: Scorer | None = ...,
    n_best: int = ...,
    least_probability: float = ...,
    num_threads: int | None = ...,
) -> list[list[Hypothesis]]: ...
@overload
def prefix_beam(
    log_probs: Array,
    symbols: Sequence[str],
    *,
    width: int = ...,
    scorer: Scorer | None = ...,
    n_best: int = ...,
    least_probability: float = ...,
    num_threads: int | None = ...,
) -> list[Hypothesis]: ...
def prefix_beam(
    log_probs: Ragged | Array,
    symbols: Sequence[str],
    *,
    width: int = WIDTH,
    scorer: Scorer | None = None,
    n_best: int = 1,
    least_probability: float = LEAST,
    num_threads: int | None = None,
) -> list[list[Hypothesis]] | list[Hypothesis]:
    """Find the most probable texts of frames that CTC labels (Graves et al. 2006; Hannun et al. 2014, algorithm 1).

    A text is as probable as all alignments with it together. What a sequence is answered depends, to the bit, neither
    on the others nor on threads and instruction set. Of equal scores the text with the smaller symbols comes first.

    Args:
        log_probs: natural logarithms of probabilities, [frames, 1 + V], the blank first, float32 or float64: of one
            sequence, or a `Ragged` of B sequences.
        symbols: V different texts; a symbol may have several characters.
        width: texts that are kept from frame to frame. Wide enough to keep all, the search is exact.
        scorer: what is known of texts beside.
        n_best: texts to return, at most.
        least_probability: a symbol less probable than that in a frame is not read there, unless it is the most probable
            one; the blank always is. 0 reads all.
        num_threads: sequences are shared out among so many.

    Returns:
        The texts of a sequence, the best first; those that a lexicon lets end there come before others. None where
        nothing that the lexicon allows is possible. A sequence of no frames has the empty text, of probability 1.

    Raises:
        ShapeError: the rows have another shape or type.
        InputError: a row is none of log-probabilities, or a number is out of range.

    >>> rows = np.log([[0.5, 0.4, 0.1], [0.6, 0.3, 0.1]])
    >>> [(found.text, round(float(np.exp(found.score)), 2)) for found in prefix_beam(rows, "ab", n_best=2)]
    [('a', 0.51), ('', 0.3)]
    """
    names = check_symbols(symbols)
    single = None if isinstance(log_probs, Ragged) else check_rows(log_probs, len(names))
    batch = log_probs if isinstance(log_probs, Ragged) else Ragged.from_list([single])
    rows = check_rows(batch.values, len(names))
    offsets, least = np.ascontiguousarray(batch.offsets, np.int64), _least(least_probability)
    if type(n_best) is not int or n_best < 1:
        raise InputError(f"n_best={n_best!r:.40}; at least 1 text can be asked for.")
    known = None if scorer is None else scorer.core(names)
    fusion = None if scorer is None else scorer.fusion
    if fusion is None:
        found = core.best_texts(
            rows, offsets, known, width=check_width(width), least=least, most=n_best, num_threads=num_threads
        )
    else:
        found = _fused(rows, offsets, names, (known, fusion), (check_width(width), least, n_best))
    texts = [hypotheses(told, names) for told in found]
    return texts if single is None else texts[0]


def _fused(
    rows: Array, offsets: Array, symbols: tuple[str, ...], scoring: tuple[Any, Fusion], numbers: tuple[int, float, int]
) -> list[list[core.Told]]:
    """Search beside a network, some sequences at a time."""
    (known, fusion), (width, least, most) = scoring, numbers
    columns, slots = fusion.columns(symbols), 2 * width
    some = max(1, _STREAMS // slots)
    found: list[list[core.Told]] = []
    streams = fusion.streams(slots * min(some, max(1, len(offsets) - 1)))
    for begin in range(0, len(offsets) - 1, some):
        at = offsets[begin : begin + some + 1]
        beams = [core.Beam(len(symbols), width, least, known) for _ in at[1:]]
        fusion.answer(streams, dict(enumerate(beams)), columns, slots)
        reached = at[:-1].tolist()
        while waiting := {i: beam for i, beam in enumerate(beams) if reached[i] < at[i + 1]}:
            for i, beam in waiting.items():
                reached[i] = core.push(beam, rows, reached[i], int(at[i + 1]), of=(begin + i, int(at[i])))
            fusion.answer(streams, waiting, columns, slots)
        found += [[core.Told(*told) for told in beam.best(most)] for beam in beams]
    return found


def _least(probability: float) -> float:
    if not 0 <= probability < 1:
        raise InputError(f"least_probability={probability}; wanted a share from 0 to below 1.")
    return math.log(probability) if probability else -math.inf


class PrefixBeam:
    """Search while frames come, in chunks of any size: the texts, to the bit, are those of the whole.

    One thread may use a beam at a time.

    Args:
        symbols, width, scorer, least_probability: as for `prefix_beam`.
        state: where to go on, as `state` gave it for the same symbols, width and scorer.

    Raises:
        InputError: a number is out of range.
        StateError: the state is truncated, altered or of another search.

    >>> beam = PrefixBeam("ab")
    >>> beam.push(np.log([[0.1, 0.8, 0.1], [0.8, 0.1, 0.1]]))
    >>> beam.best()[0].text, beam.frames
    ('a', 2)
    """

    def __init__(
        self,
        symbols: Sequence[str],
        *,
        width: int = WIDTH,
        scorer: Scorer | None = None,
        least_probability: float = LEAST,
        state: bytes | None = None,
    ) -> None:
        self._symbols, self._width = check_symbols(symbols), check_width(width)
        self._least = _least(least_probability)
        known = None if scorer is None else scorer.core(self._symbols)
        self._fusion = None if scorer is None else scorer.fusion
        about = [self._symbols, width, least_probability, None if scorer is None else scorer.digest()]
        self._digest = hashlib.sha256(json.dumps(about).encode()).hexdigest()
        self._beam = core.Beam(len(self._symbols), width, self._least, known)
        if self._fusion is not None:
            self._columns = self._fusion.columns(self._symbols)
            self._streams = self._fusion.streams(2 * width)
        if state is None:
            self._answer()
        else:
            self._restore(state)

    def push(self, log_probs: Array) -> None:
        """Read frames [n, 1 + V], float32 or float64.

        Raises ShapeError for another shape or type, and InputError for a row that is none of log-probabilities; the
        beam is then as before.
        """
        rows = check_rows(log_probs, len(self._symbols))
        fine = np.isfinite(rows.max(axis=1, initial=-np.inf)) & (rows <= 1e-3).all(axis=1)
        if not fine.all():
            raise core.wrong_row(rows, int(fine.argmin()))
        at = 0
        while at < len(rows):
            at = core.push(self._beam, rows, at, len(rows))
            self._answer()

    def best(self, n_best: int = 1) -> list[Hypothesis]:
        """Name the best texts if the sequence ended here, as `prefix_beam` does; the beam goes on as if never asked."""
        if type(n_best) is not int or n_best < 1:
            raise InputError(f"n_best={n_best!r:.40}; at least 1 text can be asked for.")
        return hypotheses((core.Told(*told) for told in self._beam.best(n_best)), self._symbols)

    @property
    def stable(self) -> str:
        """What every text in the beam begins with, and so no frame to come can change."""
        return "".join(map(self._symbols.__getitem__, self._beam.stable().tolist()))

    @property
    def frames(self) -> int:
        """Count the frames that were read."""
        return self._beam.frames

    def copy(self) -> Self:
        """Begin another beam where this one is; from then on they know nothing of each other."""
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin._beam = core.Beam(self._beam)
        if self._fusion is not None:
            twin._streams = self._fusion.streams(2 * self._width)
            for slot in self._beam.used().tolist():
                twin._streams.write(*self._streams.read(slot), slot)
        return twin

    @property
    def state(self) -> bytes:
        """All that is needed to go on elsewhere: pass it to a new beam of the same symbols, width and scorer."""
        numbers = self._beam.write()
        parts = [numbers]
        steps: list[int] = []
        if self._fusion is not None:
            for slot in self._beam.used().tolist():
                state, count = self._streams.read(slot)
                parts.append(state.astype(np.float64))
                steps.append(count)
        info = {"digest": self._digest, "beam": len(numbers), "steps": steps}
        return pack_state(info, np.concatenate(parts))

    def _restore(self, state: bytes) -> None:
        info, numbers = unpack_state(state, digest=self._digest)
        size, steps = info.get("beam"), info.get("steps")
        if type(size) is not int or not 0 <= size <= len(numbers) or not isinstance(steps, list):
            raise StateError("the state does not say how much of it is the beam; it was altered.")
        try:
            self._beam.read(np.ascontiguousarray(numbers[:size], np.float64))
        except ValueError as error:
            raise StateError(f"{error}; it was altered.") from None
        slots = [] if self._fusion is None else self._beam.used().tolist()
        each = 0 if self._fusion is None else self._streams.numbers
        if len(numbers) - size != each * len(slots) or len(steps) != len(slots):
            raise StateError(f"the state holds {len(numbers) - size} numbers of streams; it was altered.")
        for index, slot in enumerate(slots):
            part = numbers[size + index * each : size + (index + 1) * each]
            if type(steps[index]) is not int or not 0 <= steps[index] < 2**62:
                raise StateError(f"the state says that {steps[index]!r:.40} steps were taken; it was altered.")
            self._streams.write(np.ascontiguousarray(part, self._streams.network.kind), steps[index], slot)

    def _answer(self) -> None:
        if self._fusion is not None:
            self._fusion.answer(self._streams, {0: self._beam}, self._columns, 2 * self._width)

    def __repr__(self) -> str:
        return f"PrefixBeam({self.frames} frames, {self.stable!r:.40})"
