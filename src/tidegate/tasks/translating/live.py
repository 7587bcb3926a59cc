"""A text that is translated while it comes in: anew at each piece. Knows no network: a task translates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from tidegate.data.checks import check_texts
from tidegate.errors import InputError, StateError, StreamEndedError
from tidegate.runtime.stream_state import pack_state, unpack_state
from tidegate.tasks.translating.translations import Translation

MOST_TOKENS = 1000
"""The most tokens of a text that is translated anew at each piece, or over a network."""


@dataclass(frozen=True)
class Source:
    """Say who translates, who counts the tokens of a text, and the digest of the model."""

    translate: Callable[[str], Translation]
    count: Callable[[str], int]
    digest: str


class TranslatorStream:
    """Translate one text as it comes in; made by `Translator.stream`.

    A step is a piece of the text, such as a word with the space before it. Each is answered with the translation of
    all that came so far by the most probable tokens (re-translation; Arivazhagan et al. 2020), and `finish` with that
    of the whole: in whatever pieces a text comes, the last one is that of the whole, to the bit.
    """

    def __init__(self, source: Source, *, state: bytes | None = None) -> None:
        self._source, self._ended, self.text, self.steps = source, "", "", 0
        if state is not None:
            self._restore(state)

    def step(self, x: str, /) -> Translation:
        """Take a piece of the text, and translate what came so far. Raises as `push` does."""
        return self.push([x])

    def push(self, chunk: Any, /) -> Translation:
        """Take any number of pieces, or one, and translate what came so far.

        Raises InputError for what is no text, or makes the text longer than 1,000 tokens, no piece taken;
        StreamEndedError after the end.
        """
        self._require_open()
        pieces = [chunk] if isinstance(chunk, str) else list(chunk)
        check_texts(pieces, where=lambda index: f"piece {index}", allow_empty=True)
        text = self.text + "".join(pieces)
        if (count := self._source.count(text)) > MOST_TOKENS:
            raise InputError(
                f"the text has {count:,} tokens by now; a stream translates {MOST_TOKENS:,} at most, all of them anew "
                "at each piece. Finish it, and begin another one."
            )
        told = self._source.translate(text)
        self.text, self.steps = text, self.steps + len(pieces)
        return told

    def finish(self) -> Translation:
        """End the text, and return its translation. Raises StreamEndedError after the end."""
        self._require_open()
        told = self._source.translate(self.text)
        self._ended = "finished"
        return told

    def fork(self) -> Self:
        """Begin another session where this one is. Raises StreamEndedError after the end."""
        return type(self)(self._source, state=self.state)

    def resume(self, state: bytes, /) -> Self:
        """Begin another session of the same model where a saved one was. Raises StateError."""
        return type(self)(self._source, state=state)

    def close(self) -> None:
        """End the session."""
        self._ended = self._ended or "closed"

    @property
    def state(self) -> bytes:
        """All that is needed to go on elsewhere. Raises StreamEndedError after the end."""
        self._require_open()
        return pack_state(
            {"digest": self._source.digest, "text": self.text, "steps": self.steps}, np.empty(0, np.float32)
        )

    @property
    def ended(self) -> bool:
        """Whether the session was finished or closed."""
        return bool(self._ended)

    def _restore(self, state: bytes) -> None:
        info, numbers = unpack_state(state, digest=self._source.digest)
        text, steps = info.get("text"), info.get("steps")
        if not isinstance(text, str) or type(steps) is not int or steps < 0 or len(numbers):
            raise StateError("the state is none of a text that is translated. Begin a new stream.")
        self.text, self.steps = text, steps

    def _require_open(self) -> None:
        if self._ended:
            raise StreamEndedError(f"the stream was {self._ended} after {self.steps} steps. Begin a new one.")
