"""What a translator learns besides its weights: the tokens of both sides, and their languages. Knows no network."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.data.checks import check_texts, in_argument
from tidegate.data.frames import as_list
from tidegate.data.pairs.subwords import Subwords
from tidegate.errors import InputError
from tidegate.pairs import Pairs
from tidegate.ragged import Ragged

Array: TypeAlias = npt.NDArray[Any]
Ids: TypeAlias = npt.NDArray[np.int32]
Json: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Reading:
    """Hold the tokens that both sides share, and what the sides are called.

    After the tokens proper there are two marks: `start`, before each target, and `end`, after each target and source,
    so that no source is without a token.

    subwords: the tokens.
    source, target: languages, such as `de`; empty where nobody said.
    letters: all symbols that targets of training hold, sorted.
    """

    subwords: Subwords
    source: str = ""
    target: str = ""
    letters: str = ""

    @property
    def start(self) -> int:
        """The id of the mark before a target."""
        return self.subwords.size

    @property
    def end(self) -> int:
        """The id of the mark after a text."""
        return self.subwords.size + 1

    @property
    def size(self) -> int:
        """Count the ids, both marks included."""
        return self.subwords.size + 2

    @property
    def named(self) -> str:
        """Name the languages, for messages."""
        return f"{self.source or 'the source'} to {self.target or 'the target'}"

    def sources(self, texts: Sequence[str]) -> Ragged:
        """Turn B texts into ids, int32, each with the end behind it."""
        return joined(self.subwords.encode(texts), after=self.end)

    def count(self, text: str) -> int:
        """Count the tokens of a text, without its end."""
        return len(self.subwords.encode([text]).values)

    def begun(self, prefixes: Sequence[str]) -> list[Ids]:
        """Turn beginnings of B targets into ids; raises InputError, naming it, for a symbol that is no token."""
        check_texts(prefixes, where=in_argument("prefix"), allow_empty=True)
        composed = normal(prefixes)
        out = [np.asarray(ids, np.int32) for ids in self.subwords.encode(composed)]
        for text, ids in zip(composed, out, strict=True):
            if len(unknown := np.flatnonzero(ids == self.subwords.unknown)):
                piece = self.subwords.tokenize(text)[unknown[0]]
                raise InputError(
                    f"prefix {text!r:.60} holds {piece.strip(' ') or piece!r:.40}, which the model has no token for. "
                    "Begin with words and symbols that stand in its training."
                )
        return out

    def to_json(self) -> Json:
        """Write it for the model file."""
        told = {"source": self.source, "target": self.target, "letters": self.letters}
        return {"reading": {"subwords": self.subwords.to_json(), **told}}

    @classmethod
    def from_json(cls, stored: Json) -> Reading:
        """Read what `to_json` wrote; raises DataError, KeyError, TypeError or ValueError for anything else."""
        told = stored["reading"]
        named = [told[name] for name in ("source", "target", "letters")]
        if not all(isinstance(name, str) for name in named):
            raise TypeError("languages and letters are texts")
        return cls(Subwords.from_json(told["subwords"]), *named)


@dataclass(frozen=True, eq=False)
class Corpus:
    """Hold pairs as a network reads them: `sources` with their ends, `inputs` after the start, `labels` to the end."""

    sources: Ragged
    inputs: Ragged
    labels: Ragged

    @classmethod
    def of(cls, reading: Reading, sources: Ragged, targets: Ragged) -> Corpus:
        """Put the marks to B sources and targets, as the tokenizer gives them."""
        return cls(
            joined(sources, after=reading.end),
            joined(targets, before=reading.start),
            joined(targets, after=reading.end),
        )

    def __len__(self) -> int:
        return len(self.sources)

    def batch(self, indices: Array) -> tuple[Pairs, Array]:
        """Select pairs, and the labels of all their targets end to end, int64."""
        pairs = Pairs(self.sources.select(indices), self.inputs.select(indices))
        return pairs, np.asarray(self.labels.select(indices).values, np.int64)

    @property
    def lengths(self) -> Array:
        """Count the tokens of both sides of each pair, marks included, `[B]`."""
        return np.asarray(np.add(self.sources.lengths, self.inputs.lengths))

    def arrays(self) -> list[Array]:
        """List all numbers that it consists of."""
        return [np.asarray(part) for side in (self.sources, self.inputs) for part in (side.values, side.offsets)]


def joined(texts: Ragged, *, before: int | None = None, after: int | None = None) -> Ragged:
    """Put one id before each of B sequences, or after it.

    >>> joined(Ragged.from_list([[5, 6], []], dtype=np.int32), after=9).to_list()
    [array([5, 6, 9], dtype=int32), array([9], dtype=int32)]
    """
    offsets = np.asarray(texts.offsets)
    marked = offsets + np.arange(len(offsets))
    values, inner = np.empty(marked[-1], np.int32), np.ones(marked[-1], bool)
    for mark, places in ((before, marked[:-1]), (after, marked[1:] - 1)):
        if mark is not None:
            values[places], inner[places] = mark, False
    values[inner] = texts.values
    return Ragged(values, marked)


def check_sides(X: Any, y: Any, name: str = "X") -> tuple[list[str], list[str]]:
    """Check that sources and their targets came, and bring them into the normal form C.

    Raises InputError where there is not one target for each source; DataError for what is no text.
    """
    sources = as_list(X, name, "texts")
    if y is None:
        raise InputError("these texts have no translations. Pass one for each as y.")
    targets = as_list(y, "y", "texts")
    check_texts(sources, where=in_argument(name), allow_empty=True)
    check_texts(targets, where=in_argument("y"), allow_empty=True)
    if len(sources) != len(targets):
        raise InputError(f"{len(sources)} texts came with {len(targets)} translations. Pass exactly one for each.")
    return normal(sources), normal(targets)


def normal(texts: Sequence[str]) -> list[str]:
    """Compose texts (NFC)."""
    return [text if text.isascii() else unicodedata.normalize("NFC", text) for text in texts]
