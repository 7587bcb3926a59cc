"""Runs the network of a tagger over sentences, batch by batch, and measures what it says. Knows no texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.data import schemes
from tidegate.data.schemes import find_spans
from tidegate.data.tokenizer import UNKNOWN_ID
from tidegate.documents import Documents
from tidegate.engine import Runner
from tidegate.health import judge_classes, measure_classes
from tidegate.kernels import crf
from tidegate.ragged import Ragged
from tidegate.runtime import Executor, cut
from tidegate.tasks.tagging.live import Moves
from tidegate.tasks.tagging.reading import Sequences, TagSet
from tidegate.words import Words

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Part:
    """Hold sentences as the network reads them, the tags of their words, and weights where not all count the same."""

    x: Sequences
    y: Ragged  # [N] int64, -1 for a tag that is not known
    weights: npt.NDArray[np.float32] | None = None  # [B], with a mean of one over the words

    def arrays(self) -> tuple[Array, ...]:
        """List what makes the part what it is, for a fingerprint."""
        x, more = self.x, tuple[Array, ...]()
        if isinstance(x, Words):
            more = x.spelling, x.spellings.values
        elif isinstance(x, Documents):
            more = (x.beside,)
        return self.ids, *more, x.offsets, self.y.values, *(() if self.weights is None else (self.weights,))

    @property
    def ids(self) -> Array:
        """Give the id of each word, `[N]`."""
        return np.asarray((self.x if isinstance(self.x, Ragged) else self.x.tokens).values)

    @property
    def word_weights(self) -> Array | None:
        """What each word weighs, `[N]`: as much as its sentence."""
        return None if self.weights is None else np.repeat(self.weights, self.y.lengths)


def make_unknown(x: Sequences, words: float, characters: float, rng: np.random.Generator) -> Sequences:
    """Make shares of the words and of the characters of a batch unknown; what stands beside the words stays."""
    if isinstance(x, Documents):
        return replace(x, tokens=_unknown(x.tokens, words, rng))
    if not isinstance(x, Words):
        return _unknown(x, words, rng)
    return Words(_unknown(x.tokens, words, rng), x.spelling, _unknown(x.spellings, characters, rng))


def run_batches(executor: Executor, x: Sequences, tag_set: TagSet) -> Iterator[tuple[Array, crf.Scores]]:
    """Yield batches of sentences, by their indices, with the scores of their tags."""
    moves = moves_of(executor, tag_set)
    for indices in cut(x):
        batch = x.select(indices)
        yield indices, crf.Scores(executor(batch), batch.offsets, *moves, num_threads=executor.num_threads)


def moves_of(executor: Runner, tag_set: TagSet) -> Moves:
    """Give the scores of moves, first and last tags, those that the scheme forbids pushed out of reach."""
    at = len(executor.network.nodes) - 1
    weights = [executor.weights[f"{at}.{name}"] for name in ("transitions", "start", "end")]
    moves, start, end = (weight + penalty for weight, penalty in zip(weights, tag_set.penalties, strict=True))
    return moves, start, end


def measure(executor: Executor, part: Part, tag_set: TagSet) -> dict[str, Any]:
    """Measure the loss in nats per word, the accuracy and, where tags name spans, the strict F1 of spans.

    Besides, label by label of the spans or else tag by tag, what `health.measure_classes` gives. A tag that no training
    sentence has counts as wrong, and its sentence is left out of the loss, which is weighed as in training.
    """
    lost, words, predicted = 0.0, 0.0, np.zeros(len(part.y.values), np.int64)
    weights = np.ones(len(part.y), np.float64) if part.weights is None else part.weights.astype(np.float64)
    for indices, scores in run_batches(executor, part.x, tag_set):
        y = part.y.select(indices)
        [tags], _ = crf.best_paths(scores)
        log_likelihood = crf.path_scores(scores, y.values) - crf.forward(scores).log_partition
        known = np.isfinite(log_likelihood)
        lost -= float((log_likelihood * weights[indices])[known].sum())
        words += float((y.lengths * weights[indices])[known].sum())
        for row, start, end in zip(indices, y.offsets[:-1], y.offsets[1:], strict=True):
            predicted[part.y.offsets[row] : part.y.offsets[row + 1]] = tags[start:end]
    true = part.y.values
    accuracy = float((true == predicted).mean()) if len(true) else 0.0
    found: dict[str, Any] = {"loss": lost / words if words else 0.0, "accuracy": accuracy}
    if tag_set.given is not None:
        return found | _measure_spans(tag_set, part.y, part.y.with_values(predicted))
    if not len(at := np.flatnonzero(true >= 0)):
        return found
    measures, health = measure_classes(true[at], predicted[at], tag_set.names)
    return found | measures | {"classes": health}


def _measure_spans(tag_set: TagSet, true: Ragged, predicted: Ragged) -> dict[str, Any]:
    names = [*tag_set.names, schemes.OUTSIDE]  # which -1 takes
    counts: tuple[Counter[str], ...] = (Counter(), Counter(), Counter())  # right, there, found
    for rows in zip(true, predicted, strict=True):
        there, found = (set(find_spans([names[number] for number in row])) for row in rows)
        for counter, spans in zip(counts, (there & found, there, found), strict=True):
            counter.update(str(span.label) for span in spans)
    right, there_all, found_all = (sum(counter.values()) for counter in counts)
    f1 = {"f1": 2 * right / max(there_all + found_all, 1)}
    if not there_all:
        return f1
    labels = sorted(counts[1] | counts[2])
    right_each, there_each, found_each = (np.array([c[label] for label in labels], np.int64) for c in counts)
    measures, health = judge_classes(right_each, there_each, found_each, labels)
    return f1 | measures | {"classes": health}


def _unknown(x: Ragged, share: float, rng: np.random.Generator) -> Ragged:
    if not share:
        return x
    dropped = rng.random(len(x.values), np.float32) < share
    return x.with_values(np.where(dropped, UNKNOWN_ID, x.values).astype(x.values.dtype))
