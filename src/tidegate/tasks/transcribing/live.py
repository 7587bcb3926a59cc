"""Signals that are read while they come in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

import tidegate.kernels as kernels
from tidegate.data.transcribed.writing import is_leftward
from tidegate.errors import StateError
from tidegate.kernels import ctc
from tidegate.runtime import Stream
from tidegate.tasks.transcribing.live_beam import LiveBeam
from tidegate.tasks.transcribing.measuring import tempered
from tidegate.tasks.transcribing.reading import Reading
from tidegate.tasks.transcribing.searching import Search, best_transcript, path_score
from tidegate.tasks.transcribing.transcripts import Places, Symbol, Transcript


@dataclass(frozen=True)
class Partial:
    """Hold what was read so far.

    text: all of it, in the order in which it is read.
    stable: what no step to come will change. A symbol is named once, so that of the likeliest symbols it is all, and
        of a search what all its texts begin with; of lines none, where letters from right to left are known, as those
        still to come are read before it.
    """

    text: str
    stable: str


class TranscriberStream:
    """Read one signal as it comes in; made by `Transcriber.stream`.

    In whatever chunks a signal comes, its transcript is that of the whole, to the bit, where the network reads forwards
    alone. The chunk of a step is a row of
    features, or of sound a sample, and more of them at a time are quicker. `finish`, or `flush`, reads the rest: the
    last frames wait for steps that might have followed.
    """

    def __init__(
        self, stream: Stream, reading: Reading, places: Places, search: Search, beam: LiveBeam | None = None
    ) -> None:
        self._stream, self._reading, self._places, self._search = stream, reading, places, search
        self._beam = beam
        if search.beam and beam is None:
            if stream.steps and "searched" not in stream.about:
                raise StateError("the state is of a stream without a search. Begin a new stream, or pass beam=0.")
            self._beam = LiveBeam(search, reading.symbols, stream.about.pop("searched", {}))
        elif not search.beam and "searched" in stream.about:
            raise StateError("the state is of a stream with a search. Pass the same beam, or begin a new stream.")
        self._turns = reading.reads == "line" and any(map(is_leftward, reading.symbols))

    def step(self, x: Any, /) -> Partial:
        """Take one step, and return what was read so far. Raises as `push` does."""
        return self._hear(self._stream.push(np.asarray(x, np.float32).reshape(1, -1)))

    def push(self, chunk: Any, /) -> Partial:
        """Take any number of steps `[T, C]`, and return what was read so far.

        Raises InputError for a step that cannot be read, no step taken; StreamEndedError after the end.
        """
        return self._hear(self._stream.push(chunk))

    def finish(self) -> Transcript:
        """End the signal, and return all that was read; places are in seconds, or steps where no rate is known."""
        rows = self._stream.peek()
        self._hear(rows)
        told = self.transcript
        self._stream.finish()
        return told

    def flush(self) -> Transcript:
        """End the signal; another name of `finish`."""
        return self.finish()

    def fork(self) -> Self:
        """Begin another session where this one is. Raises StreamEndedError after the end."""
        beam = None if self._beam is None else self._beam.copy()
        return type(self)(self._stream.fork(), self._reading, self._places, self._search, beam)

    def resume(self, state: bytes, /) -> Self:
        """Begin another session of the same model where a saved one was. Raises StateError."""
        return type(self)(self._stream.resume(state), self._reading, self._places, self._search)

    def close(self) -> None:
        """End the session; what waits is dropped."""
        self._stream.close()

    @property
    def transcript(self) -> Transcript:
        """All that was read so far; places are in seconds, or steps where no rate is known."""
        symbols, places = self._reading.symbols, replace(self._places, steps=self.steps)
        if self._beam is not None:
            frames, ranks = self._beam.ranks()
            return best_transcript(self._reading, ranks, 0, frames, places)
        heard = self._stream.about.get("heard", [])
        told = [Symbol(symbols[number - 1], *places.span(first, last), sure) for number, first, last, _, sure in heard]
        return Transcript.of(told, reads=self._reading.reads, score=self._stream.about.get("score", 0.0))

    @property
    def state(self) -> bytes:
        """All that is needed to go on elsewhere. Raises StreamEndedError after the end."""
        if self._beam is None:
            return self._stream.state
        self._stream.about["searched"] = self._beam.told()
        try:
            return self._stream.state
        finally:
            del self._stream.about["searched"]

    @property
    def steps(self) -> int:
        """Count the steps that were taken."""
        return self._stream.steps

    @property
    def kept(self) -> int:
        """Count what the state holds more of the longer a signal is: frames of a search, or else symbols."""
        return len(self._stream.about.get("heard", ())) if self._beam is None else self._beam.frames

    @property
    def ended(self) -> bool:
        """Whether the session was finished or closed."""
        return self._stream.ended

    def _hear(self, rows: Any) -> Partial:
        """Read frames that are due: a symbol goes on where the frame before named it, too."""
        if self._beam is not None:
            self._beam.push(rows)
            stable = "" if self._turns else self._beam.stable
            return Partial(self._reading.as_read(self._beam.text), stable)
        about = self._stream.about
        heard, count, last = about.setdefault("heard", []), about.get("frames", 0), about.get("last", ctc.BLANK)
        frames = ctc.Frames(rows, np.array([0, len(rows)]))
        likeliest = frames.logs.argmax(axis=1)
        best = frames.logs[np.arange(frames.N), likeliest]
        shares = tempered(frames.logs, likeliest, self._reading.temperature)
        for symbol, peak, sure in zip(likeliest.tolist(), kernels.exp(best).tolist(), shares.tolist(), strict=True):
            if symbol != ctc.BLANK and symbol == last:
                heard[-1][2] = count
                if peak > heard[-1][3]:
                    heard[-1][3:] = peak, sure
            elif symbol != ctc.BLANK:
                heard.append([symbol, count, count, peak, sure])
            last, count = symbol, count + 1
        about["frames"], about["last"] = count, last
        about["score"] = path_score(best, before=about.get("score", 0.0))
        text = self._reading.as_read("".join(self._reading.symbols[symbol - 1] for symbol, *_ in heard))
        return Partial(text, "" if self._turns else text)
