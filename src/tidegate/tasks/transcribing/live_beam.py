"""A search over the frames of a live signal: its beam, and the frames so far, which say where symbols lie.

Knows no network and no steps. A frame is kept as the numbers that the network gave, four bytes for each symbol.
"""

from __future__ import annotations

import base64
from typing import Any, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.decoding import PrefixBeam
from tidegate.errors import StateError
from tidegate.kernels import ctc
from tidegate.tasks.transcribing.searching import Rank, Search

Array: TypeAlias = npt.NDArray[Any]
Json: TypeAlias = dict[str, Any]


class LiveBeam:
    """Search as a `Search` says, while frames come: what is found is, to the bit, what it finds in the whole."""

    def __init__(self, search: Search, symbols: tuple[str, ...], about: Json) -> None:
        """Begin, or go on from what `told` gave. Raises StateError where that is not of such a search."""
        self.search, self._symbols = search, symbols
        try:
            beam, rows = (about[name] for name in ("beam", "rows")) if about else (None, "")
            state = None if beam is None else base64.b64decode(beam, validate=True)
            found = np.frombuffer(base64.b64decode(rows, validate=True), "<f4").reshape(-1, len(symbols) + 1)
        except (KeyError, TypeError, ValueError):
            raise StateError("the state is of a stream without a search, or was altered. Begin a new stream.") from None
        self._beam = PrefixBeam(symbols, width=search.beam, scorer=search.scorer, state=state)
        self._rows = [found.astype(np.float32)]
        self._best: str | None = None  # the text so far, where it was asked for since the last frame
        if self._beam.frames != len(found):
            raise StateError(f"the state holds {len(found)} frames, its beam {self._beam.frames}; it was altered.")

    def push(self, rows: Array) -> None:
        """Read frames, as the network gave them; most steps give none."""
        if len(rows):
            self._beam.push(ctc.Frames(rows, np.array([0, len(rows)])).logs)
            self._rows.append(np.array(rows, np.float32))
            self._best = None

    @property
    def frames(self) -> int:
        """Count the frames so far."""
        return self._beam.frames

    @property
    def text(self) -> str:
        """The most probable text so far, in the order of the signal."""
        if self._best is None:
            found = self._beam.best()
            self._best = found[0].text if found else ""
        return self._best

    @property
    def stable(self) -> str:
        """What no frame to come can change of it."""
        return self._beam.stable

    def ranks(self) -> tuple[ctc.Frames, list[Rank]]:
        """Give all frames, and the best texts so far with their places."""
        rows = self._joined()
        frames = ctc.Frames(rows, np.array([0, len(rows)]))
        return frames, self.search.placed(frames, [self._beam.best(self.search.n_best)])

    def told(self) -> Json:
        """Say in JSON all that is needed to go on elsewhere."""
        rows = self._joined().astype("<f4").tobytes()
        return {name: base64.b64encode(data).decode() for name, data in (("beam", self._beam.state), ("rows", rows))}

    def copy(self) -> Self:
        """Begin another one where this one is."""
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin._beam, twin._rows = self._beam.copy(), list(self._rows)
        return twin

    def _joined(self) -> Array:
        """Give the frames so far as one array, `[T', K]`, and keep them so."""
        self._rows = [np.concatenate(self._rows)]
        return self._rows[0]
