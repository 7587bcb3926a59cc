"""Turns texts into the ids that a language model reads, and measures how well it foresees them. Knows no training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.data.tokenizer import Tokenizer, from_json
from tidegate.errors import DataError, InputError
from tidegate.kernels import softmax
from tidegate.ragged import Ragged
from tidegate.runtime import Executor

Array: TypeAlias = npt.NDArray[Any]
Ids: TypeAlias = npt.NDArray[np.int32]

_TOKENS = 2**15  # that are read at a time when a text is measured; the numbers do not depend on it
_DOCUMENTS = 2**10  # that are read side by side
_SCORES = 2**21  # computed at a time


@dataclass(frozen=True)
class Vocabulary:
    """Hold a tokenizer, two marks of its own for the start and the end of a text, and how often each token was met.

    Read forwards, a text is `start, tokens, end`; read backwards it is the same from the other end, so that the first
    mark tells a model which way it reads.

    Args:
        tokenizer: of the tokens proper, whose ids come first.
        counts: [size], how often each id is to be foreseen in the training part, read forwards.
    """

    tokenizer: Tokenizer
    counts: npt.NDArray[np.int64]

    @property
    def start(self) -> int:
        """The id of the mark before a text."""
        return self.tokenizer.size

    @property
    def end(self) -> int:
        """The id of the mark after a text."""
        return self.tokenizer.size + 1

    @property
    def size(self) -> int:
        """Count the ids, both marks included."""
        return self.tokenizer.size + 2

    def documents(self, texts: Sequence[str]) -> Ragged:
        """Turn B texts into B sequences of ids, int32, each between its marks."""
        return mark(self.tokenizer.encode(list(texts)), self)

    def read(self, chunk: Any) -> Ids:
        """Turn a piece of a text, or ids, into ids [n]; of ids none is checked."""
        if isinstance(chunk, str):
            return np.asarray(self.tokenizer.encode([chunk]).values, np.int32)
        return np.asarray(chunk)

    def spell(self, token: int) -> str:
        """Write one token alone; the marks are written as nothing."""
        return self.tokenizer.decode([token]) if token < self.tokenizer.size else ""

    def to_json(self) -> dict[str, Any]:
        """Write both, for the model file."""
        return {"tokenizer": self.tokenizer.to_json(), "counts": self.counts.tolist()}


def read_vocabulary(stored: dict[str, Any]) -> Vocabulary:
    """Read what `Vocabulary.to_json` wrote; raises DataError, KeyError, TypeError or ValueError for anything else."""
    tokenizer, counts = from_json(stored["tokenizer"]), np.asarray(stored["counts"], np.int64)
    if counts.shape != (tokenizer.size + 2,) or (counts < 0).any():
        raise ValueError(f"it counts {counts.size} tokens, its vocabulary has {tokenizer.size + 2}")
    return Vocabulary(tokenizer, counts)


def learn_vocabulary(tokenizer: Tokenizer, texts: Sequence[str]) -> tuple[Vocabulary, Ragged]:
    """Count the tokens of texts; return the vocabulary, and the texts as its ids between marks.

    Raises DataError where there are fewer than two tokens, from which nothing can be learned.
    """
    unmarked = tokenizer.encode(list(texts))
    if len(unmarked.values) < 2:
        raise DataError(
            f"the corpus has {len(unmarked.values)} token{'s' * (len(unmarked.values) != 1)}; at least 2 are wanted, "
            "since a language model learns which one follows which."
        )
    vocabulary = Vocabulary(tokenizer, np.zeros(tokenizer.size + 2, np.int64))
    documents = mark(unmarked, vocabulary)
    seen = np.bincount(documents.values, minlength=vocabulary.size)
    seen[vocabulary.start] = 0
    return Vocabulary(tokenizer, seen.astype(np.int64)), documents


def mark(texts: Ragged, vocabulary: Vocabulary) -> Ragged:
    """Put the marks before and after each of B sequences of ids."""
    offsets = np.asarray(texts.offsets)
    places = np.arange(len(offsets)) * 2
    marked = offsets + places
    values = np.empty(marked[-1], np.int32)
    inner = np.ones(len(values), bool)
    inner[marked[:-1]] = inner[marked[1:] - 1] = False
    values[inner] = texts.values
    values[marked[:-1]], values[marked[1:] - 1] = vocabulary.start, vocabulary.end
    return Ragged(values, marked)


def turned(documents: Ragged) -> Ragged:
    """Read each of B sequences from its end."""
    offsets = np.asarray(documents.offsets)
    ends = np.repeat(offsets[1:] + offsets[:-1] - 1, np.diff(offsets))  # [N]
    return Ragged(documents.values[ends - np.arange(len(documents.values))], offsets)


def shares(counts: Sequence[int], fraction: float, *, seed: int) -> tuple[Array, Array]:
    """Choose which documents to hold out, with about `fraction` of all tokens: return (kept, held), both ascending.

    Never all of them, and none where there is only one.
    """
    order = np.random.default_rng([seed, 0xC0]).permutation(len(counts))
    before = np.cumsum(np.asarray(counts)[order]) - np.asarray(counts)[order]
    held = order[:-1][before[:-1] < fraction * sum(counts)] if fraction else order[:0]
    return np.setdiff1d(np.arange(len(counts)), held), np.sort(held)


def log_probabilities(executor: Executor, documents: Ragged) -> Array:
    """Compute the logarithm of the probability of every id after the first of each sequence, `[N - B]` float64.

    Nothing is cut: each id is foreseen from all that stand before it in its sequence, however long that is.

    Args:
        executor: of a network whose last node gives one score per id.
        documents: ids, each sequence with its marks, at least one id.
    """
    offsets = np.asarray(documents.offsets)
    found = np.empty(len(documents.values) - len(documents))
    begins = offsets[:-1] - np.arange(len(documents))  # [B] in `found`
    order = np.argsort(np.diff(offsets), kind="stable")
    for group in np.split(order, range(_DOCUMENTS, len(order), _DOCUMENTS)):
        _read_group(executor, documents, group, begins, found)
    return found


def _read_group(executor: Executor, documents: Ragged, alive: Array, begins: Array, found: Array) -> None:
    """Read some documents side by side, piece after piece, and write what is found to its places."""
    offsets, values = np.asarray(documents.offsets), np.asarray(documents.values)
    states: dict[str, Array] = {}
    read = 0
    while len(alive):
        stop = np.minimum(read + max(64, _TOKENS // len(alive)), np.diff(offsets)[alive] - 1)
        sizes = stop - read
        cuts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        steps = np.arange(cuts[-1]) - np.repeat(cuts[:-1], sizes) + read  # [n] in the document
        at = np.repeat(offsets[alive], sizes) + steps
        rows, states = executor.advance(Ragged(values[at], cuts), states)
        found[np.repeat(begins[alive], sizes) + steps] = _log_probabilities(executor, rows, values[at + 1])
        goes_on = stop < np.diff(offsets)[alive] - 1
        read, alive = int(stop.max()), alive[goes_on]
        states = {name: np.ascontiguousarray(state[:, goes_on]) for name, state in states.items()}


def _log_probabilities(executor: Executor, rows: Array, ids: Array) -> Array:
    """Compute the logarithm of the probability of each id `[n]` from what enters the last node `[n, F]`."""
    size = max(1, _SCORES // executor.network.output_size)
    found = np.empty(len(rows))
    for begin in range(0, len(rows), size):
        scores = executor.head(rows[begin : begin + size])  # [n, V]
        best = scores.argmax(axis=1)[:, None]
        largest = np.take_along_axis(softmax(scores), best, axis=1).astype(np.float64)
        chosen = np.take_along_axis(scores, ids[begin : begin + size, None], axis=1).astype(np.float64)
        peak = np.take_along_axis(scores, best, axis=1)
        found[begin : begin + size] = (chosen - peak + np.log(largest))[:, 0]
    return found


def check_prompt(prompt: str, vocabulary: Vocabulary) -> Ids:
    """Turn the beginning of a text into ids.

    Raises InputError for an empty one, and for one with characters, or nothing but words, that are not known.
    """
    if not prompt:
        raise InputError("the prompt is empty. Write the beginning of a text, or leave it out to begin a new one.")
    ids: Ids = vocabulary.tokenizer.encode([prompt])[0]
    unknown = [piece for piece, token in zip(vocabulary.tokenizer.tokenize(prompt), ids, strict=True) if not token]
    if unknown and (vocabulary.tokenizer.spelling == "characters" or len(unknown) == len(ids)):
        what = "characters" if vocabulary.tokenizer.spelling == "characters" else "words"
        listed = ", ".join(dict.fromkeys(map(repr, unknown)))
        raise InputError(f"the prompt {prompt!r:.60} holds {what} that no training text has: {listed}. Leave them out.")
    return ids


def mean_measures(log_probabilities: Array, characters: int | None) -> dict[str, float]:
    """Sum up as mean loss in nats per token, perplexity, and bits per character where characters are counted."""
    loss = -float(log_probabilities.mean())
    found = {"loss": loss, "perplexity": math.exp(min(loss, 700.0))}
    if characters:
        found["bits_per_character"] = -float(log_probabilities.sum()) / math.log(2) / characters
    return found
