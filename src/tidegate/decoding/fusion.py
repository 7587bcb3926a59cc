"""A recurrent language model beside a beam: each text in the beam is a stream, and all new ones step in one call.

A text that comes into the beam begins where the stream of the text before it stands: a row is copied. Knows networks
and streams, and of beams the slots alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

import tidegate.kernels.decoding as core
from tidegate.errors import InputError
from tidegate.kernels.streams import Streams
from tidegate.offers import Inside
from tidegate.runtime import Prepared

Array: TypeAlias = npt.NDArray[Any]


@runtime_checkable
class Model(Protocol):
    """What can be asked for the next token of a text: a fitted language model."""

    def prepare_stream(self, *, lookahead: int | None = None) -> Prepared:
        """Pack its weights; a step is a token, and answered with the probability of each to come next."""

    def inside(self) -> Inside:
        """Name the tokens, the mark of the end of a text last."""


class Fusion:
    """Run a language model for the texts of beams.

    Raises InputError where the model cannot be asked for what comes next, step by step.
    """

    def __init__(self, model: Model) -> None:
        self._prepared = model.prepare_stream()
        self._tokens = list(model.inside().classes or ())
        if not self._prepared.begin or self._prepared.read is None or len(self._tokens) < 3:
            raise InputError(f"a {type(model).__name__} does not say what comes next in a text. Pass a LanguageModel.")

    @property
    def digest(self) -> str:
        """Name the network."""
        return self._prepared.digest

    def columns(self, symbols: Sequence[str]) -> Array:
        """Find the column of each of V symbols among the tokens, and of the end of a text, [V + 1].

        Raises InputError where a symbol is not one token, as in a model of words or of pieces of words.
        """
        read = self._prepared.read
        assert read is not None, "checked when this was made"
        each = [np.asarray(read(symbol)).tolist() for symbol in symbols]
        together = np.asarray(read("".join(symbols))).tolist()
        if any(len(ids) != 1 for ids in each) or together != [ids[0] for ids in each]:
            raise InputError(
                "the language model does not read these symbols one by one. Train it with tokens='characters', or "
                "count an NgramModel of words."
            )
        return np.array([*together, len(self._tokens) - 1])

    def streams(self, slots: int) -> Streams:
        """Make room for so many texts."""
        return self._prepared.streams(slots)

    def answer(self, streams: Streams, beams: Mapping[int, core.Beam], columns: Array, slots: int) -> None:
        """Give each beam the rows that it wants; the beam of key i has the slots from i * slots on."""
        wanted: list[int] = []
        tokens: list[int] = []
        givers: list[tuple[core.Beam, int]] = []
        for index, beam in beams.items():
            for slot, source, symbol in beam.fresh():
                place = index * slots + slot
                if source < 0:
                    streams.clear(place)
                else:
                    streams.copy(index * slots + source, place)
                wanted.append(place)
                tokens.append(self._prepared.begin[-1] if source < 0 else int(columns[symbol]))
                givers.append((beam, slot))
        if not wanted:
            return
        offsets = np.arange(len(wanted) + 1)
        rows, _ = streams.run(np.array(wanted, np.int64), np.array(tokens, np.int32), offsets)
        probabilities = np.ascontiguousarray(self._prepared.answer(rows)[:, columns], np.float64)
        for (beam, slot), row in zip(givers, probabilities, strict=True):
            beam.give(slot, row)
