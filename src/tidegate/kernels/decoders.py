"""Targets of pairs that are read step by step, by slot, in the core. Knows arrays and nothing of models."""

from __future__ import annotations

from typing import Any

import numpy as np

import tidegate._core as _core
from tidegate.kernels.checks import Array


class LiveDecoder:
    """Hold sources that were read, and the targets that go on, each in a slot; one thread at a time.

    Args:
        program: of the core, its weights packed to run; nobody else runs it.
        capacity: how many slots there are.
        threads: at most so many.
        held: what the program reads where it is, and is to be kept alive.

    Raises ValueError where the network answers no targets of pairs, or reads them as wholes alone.
    """

    def __init__(self, program: _core.Program, capacity: int, threads: int, *, held: object) -> None:
        made = _core.Decoder32 if isinstance(program, _core.Program32) else _core.Decoder64
        self._core, self._threads, self._held = made(program, capacity), threads, held

    def open(self, values: Any, offsets: Array) -> Array:
        """Read sources, as `Compiled.enter` has them without targets; return a number for each, [B]."""
        numbers = np.empty(len(offsets) - 1, np.int64)
        self._core.open(values, offsets, numbers, self._threads)
        return numbers

    def close(self, source: int) -> None:
        """Forget a source."""
        self._core.close(source)

    def start(self, slots: Array, sources: Array) -> None:
        """Put slots at the beginning of targets of sources, [n] int64 each."""
        self._core.start(slots, sources)

    def copy(self, from_slots: Array, to_slots: Array) -> None:
        """Make slots what others were before, [n] int64 each."""
        self._core.copy(from_slots, to_slots)

    def step(self, slots: Array, ids: Array, out: Array) -> None:
        """Take slots [n] on by one id each, [n] int32; writes the scores, [n, V]."""
        self._core.step(slots, ids, out, self._threads)

    def attention(self) -> list[list[Array]]:
        """Copy, of each node that attends and each row of the last step, how much it attended to each source row."""
        return self._core.attention()
