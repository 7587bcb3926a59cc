"""A sentence that is tagged while it is being said: each word once a few more are known. Knows no training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.errors import StateError
from tidegate.kernels import crf
from tidegate.runtime import Prepared, Stream
from tidegate.tasks.tagging.reading import TaggedWord, Tagging, check_words

Array: TypeAlias = npt.NDArray[Any]
Moves: TypeAlias = tuple[Array, Array, Array]
"""What it costs to go from tag to tag [K, K], to begin with a tag [K], and to end with one [K]."""


@dataclass(frozen=True)
class Progress:
    """Hold where a stream stands: all of it beside the state of the network.

    Args:
        words: those that were read and not yet answered.
        before: the word before the last one that the network was given, a space where there is none.
        tag: the number of the last tag that was given, -1 at the beginning.
        at: where the next word that is answered begins.
        steps: words that were read.
    """

    words: tuple[str, ...] = ()
    before: str = ""
    tag: int = -1
    at: int = 0
    steps: int = 0


class TaggerStream:
    """Tag the words of a sentence as they come. Made by `TokenTagger.stream`.

    The tag of a word is given once `lookahead` more words are known, or the sentence ends: it is the first of the best
    path over this window, given the tag before it, from the scores that the network gives of a sentence that ends
    there; its probability is the marginal one over the same paths. What was said is not taken back, so that tags that
    the scheme forbids never follow each other. With a look-ahead beyond the end of the sentence the tags are those of
    `TokenTagger.predict`.

    A word is placed as if one space stood between it and the one before.
    """

    def __init__(self, stream: Stream, prepared: Prepared, learned: Tagging, moves: Moves) -> None:
        self._stream, self._prepared, self._learned, self._moves = stream, prepared, learned, moves
        self._progress = _read_progress(stream.about, len(learned.tags.names))

    def step(self, word: str) -> TaggedWord | None:
        """Read one word, and return the one that is answered now, if any.

        Raises DataError for an empty word, StreamEndedError where the sentence has ended.
        """
        answered = self.push([word])
        return answered[0] if answered else None

    def push(self, words: str | Sequence[str]) -> list[TaggedWord]:
        """Read words, or a text that is cut into words, and return those that are answered now. Raises as `step`."""
        self._stream.require_open()
        reading = self._learned.reading
        cut = [piece.word for piece in reading.split(words, "the stream")] if isinstance(words, str) else list(words)
        return [answer for word in (check_words(cut, "the stream") if cut else []) for answer in self._take(word)]

    def finish(self) -> list[TaggedWord]:
        """End the sentence, and return the words that were not answered yet. Raises StreamEndedError after the end."""
        self._stream.require_open()
        answers = self._answer(self._stream.peek(self._rest()), all_of_them=True)
        self._stream.finish()
        return answers

    def close(self) -> None:
        """End the stream; what waits is dropped."""
        self._stream.close()

    def fork(self) -> TaggerStream:
        """Begin another stream where this one is. Raises StreamEndedError after the end."""
        return TaggerStream(self._stream.fork(), self._prepared, self._learned, self._moves)

    def resume(self, state: bytes) -> TaggerStream:
        """Begin another stream where a saved one was. Raises StateError."""
        return TaggerStream(self._stream.resume(state), self._prepared, self._learned, self._moves)

    @property
    def state(self) -> bytes:
        """All that is needed to go on elsewhere, with the same model. Raises StreamEndedError after the end."""
        return self._stream.state

    @property
    def steps(self) -> int:
        """Count the words that were read."""
        return self._progress.steps

    @property
    def lookahead(self) -> int:
        """Words that must follow before one is answered."""
        return self._stream.lookahead

    @property
    def ended(self) -> bool:
        """Whether the sentence was finished or the stream closed."""
        return self._stream.ended

    @property
    def _paired(self) -> bool:
        """Whether what is read of a word depends on the next one."""
        reading = self._learned.reading
        return reading.spelling is not None and reading.unit == "character"

    def _take(self, word: str) -> list[TaggedWord]:
        now = self._progress
        given, before = self._prepared.no_rows, now.before
        if not self._paired:
            given = self._stream.push(self._rows(word, "", ""))
        elif now.words:  # what was held until the next was known; the row that it gives was answered already
            before = now.words[-1]
            self._stream.push(self._rows(before, now.before, word))
        self._set(Progress((*now.words, word), before, now.tag, now.at, now.steps + 1))
        if len(self._progress.words) <= self.lookahead:
            return []
        rest = self._stream.peek(self._rest())
        return self._answer(rest if self._paired else np.concatenate([given, rest]), all_of_them=False)

    def _rest(self) -> Array:
        """Give what the network has not read, since more of it was to come, as if nothing did."""
        now = self._progress
        return self._rows(now.words[-1], now.before, "") if self._paired and now.words else self._prepared.no_rows

    def _rows(self, word: str, before: str, after: str) -> Array:
        """Turn a word between two others, or none, into what the network reads of it."""
        words = [each for each in (before, word, after) if each]
        at = 1 if before else 0
        return self._prepared.rows(self._learned.reading.encode([words]))[at : at + 1]

    def _answer(self, emissions: Array, *, all_of_them: bool) -> list[TaggedWord]:
        """Decide on the first word of the window, or all."""
        if not len(emissions):
            return []
        now, (moves, start, end) = self._progress, self._moves
        begin = start if now.tag < 0 else moves[now.tag]
        scores = crf.Scores(emissions, np.array([0, len(emissions)]), moves, begin, end)
        [path], _ = crf.best_paths(scores)
        shares = crf.marginals(scores)
        known = [] if now.tag < 0 else [now.tag]
        names = self._learned.tags.decode([*known, *path.tolist()])[len(known) :]
        count, at, answers = len(path) if all_of_them else 1, now.at, []
        for word, name, tag, share in zip(now.words[:count], names, path, shares, strict=False):
            answers.append(TaggedWord(word, at, at + len(word), name, float(share[tag])))
            at += len(word) + 1
        self._set(Progress(now.words[count:], now.before, int(path[count - 1]), at, now.steps))
        return answers

    def _set(self, progress: Progress) -> None:
        self._progress = progress
        self._stream.about = vars(progress) | {"words": list(progress.words)}


def _read_progress(about: dict[str, Any], tags: int) -> Progress:
    if not about:
        return Progress()
    try:
        found = Progress(**about | {"words": tuple(about["words"])})
        texts, counts = (*found.words, found.before), (found.tag, found.at, found.steps)
        sound = all(isinstance(text, str) for text in texts) and all(type(count) is int for count in counts)
        if not sound or not -1 <= found.tag < tags or min(found.at, found.steps) < 0:
            raise ValueError
    except (KeyError, TypeError, ValueError):
        raise StateError("the state is of no tagger, or it was altered.") from None
    return found
