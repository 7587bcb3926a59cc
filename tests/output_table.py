"""A decoder whose scores are a function of the input and of the output so far alone, and all outputs it can give."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from tidegate.ragged import Ragged


class TableDecoder:
    """Step as `runtime.Decoder` does, with scores drawn by input and output so far.

    size: of the vocabulary.
    shift: what the score of the end, the last id, is moved by.
    """

    def __init__(self, size: int, *, shift: float = 0.0) -> None:
        self.size, self.shift, self.opened = size, shift, 0
        self.sources: dict[int, tuple[int, ...]] = {}
        self.slots: dict[int, tuple[tuple[int, ...], tuple[int, ...]]] = {}
        self.read: list[list[Any]] = []
        self.rows = 0

    def open(self, sources: Ragged) -> Any:
        begin, self.opened = max(self.sources, default=-1) + 1, self.opened + len(sources)
        for at, source in enumerate(sources):
            self.sources[begin + at] = tuple(np.asarray(source).tolist())
        return list(range(begin, begin + len(sources)))

    def close(self, source: int) -> None:
        del self.sources[source]

    def start(self, slots: Any, sources: Any) -> None:
        for slot, number in zip(slots.tolist(), sources, strict=True):
            self.slots[slot] = (self.sources[number], ())

    def step(self, slots: Any, ids: Any) -> Any:
        out, read = [], []
        for slot, token in zip(slots.tolist(), ids.tolist(), strict=True):
            source, before = self.slots[slot]
            self.slots[slot] = (source, (*before, token))
            out.append(self.scores(source, (*before, token)))
            read.append(self.reading(source, (*before, token)))
        self.read = [read]
        self.rows += len(out)
        return np.array(out, np.float32)

    def attention(self) -> list[list[Any]]:
        return self.read

    def copy(self, from_slots: Any, to_slots: Any) -> None:
        assert not set(from_slots.tolist()) & set(to_slots.tolist())
        for one, other in zip(from_slots.tolist(), to_slots.tolist(), strict=True):
            self.slots[other] = self.slots[one]

    def scores(self, source: tuple[int, ...], before: tuple[int, ...]) -> Any:
        found = np.random.default_rng([1, *source, 0, *before]).normal(0, 1.5, self.size).astype(np.float32)
        found[-1] += np.float32(self.shift)
        return found

    def reading(self, source: tuple[int, ...], before: tuple[int, ...]) -> Any:
        drawn = np.random.default_rng([2, *source, 0, *before]).dirichlet(np.ones(len(source)))
        return drawn.astype(np.float32)

    def logs(self, source: tuple[int, ...], before: tuple[int, ...], barred: tuple[int, ...]) -> Any:
        rows = self.scores(source, before).astype(np.float64)
        rows[list(barred)] = -math.inf
        return rows - math.log(math.fsum(math.exp(x) for x in rows))

    def every(self, source: tuple[int, ...], start: int, barred: tuple[int, ...], most: int) -> list[Any]:
        """List all outputs that end within `most` tokens: ids, the logarithm of the probability, what was read."""
        end, found = self.size - 1, []
        inner = [token for token in range(self.size - 1) if token not in barred]
        for length in range(most):
            for ids in itertools.product(inner, repeat=length):
                total, read = 0.0, np.zeros(len(source))
                for at, token in enumerate((*ids, end)):
                    before = (start, *ids[:at])
                    total += self.logs(source, before, barred)[token]
                    read += self.reading(source, before)
                found.append((ids, total, read))
        return found
