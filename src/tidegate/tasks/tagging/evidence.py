"""Evidence beside each word of a sentence: which tags the n-grams that lie over it gave the word there.

Knows ids of words and numbers of tags, and neither texts nor networks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tidegate.data.grams import Grams, learn_grams, restore_grams
from tidegate.ragged import Ragged
from tidegate.tasks.evidence import Evidence, learn_evidence

Array: TypeAlias = NDArray[Any]
Floats: TypeAlias = NDArray[np.float32]
Over: TypeAlias = NDArray[np.int32]

MANY = 15_000  # sentences, from which on an n-gram that stands in one of them tells nothing
SCALE = np.float32(0.3)  # by which all numbers are multiplied: there are many beside each word, and gates soon saturate
MOST_COLUMNS = 32  # numbers that an n-gram tells of a word; where there are more tags, these are mixed


@dataclass(frozen=True, eq=False)
class TagEvidence:
    """Hold the n-grams of the training part, and what each tells of the tag of every word that it lies over.

    grams: of the ids of words.
    evidence: a row for each n-gram and each word of it. Those of single words come first, then those of two for their
        last word and those of two for their first one, and so on.
    """

    grams: Grams
    evidence: Evidence

    @property
    def columns(self) -> int:
        """Count the numbers that stand beside each word."""
        longest = self.grams.longest
        return longest * (longest + 1) // 2 * int(self.evidence.table.shape[1])

    def beside(self, ids: Ragged) -> Floats:
        """Say what stands beside the N words of sentences: `[N, columns]`."""
        return SCALE * self.evidence.beside(_lie_over(self.grams, self.grams.find(ids), ids))

    def arrays(self) -> dict[str, Array]:
        """List what goes into the model file beside the weights."""
        grams: dict[str, Array] = {f"grams.{order}": keys for order, keys in enumerate(self.grams.keys, 1)}
        return grams | {"evidence": self.evidence.table}

    @classmethod
    def restore(cls, size: int, arrays: Mapping[str, Array]) -> Self:
        """Read what `arrays` wrote, of a vocabulary of `size`; raises KeyError or ValueError for all else."""
        grams = restore_grams("grams", size, arrays)
        return cls(grams, Evidence.restore(arrays["evidence"], _places(grams)))


def learn_tag_evidence(
    ids: Ragged, tags: NDArray[np.int64], weights: Floats | None, *, size: int, longest: int, seed: int
) -> tuple[TagEvidence, Floats]:
    """Count the tags under n-grams of up to `longest` words; return what they tell, and what stands beside `ids`.

    The latter is counted without the sentence's own tenth of all.

    Args:
        ids: the words of B sentences, in [0, size), of which 0 is unknown and in no n-gram; at least one word.
        tags: `[N]`, the number of the tag of each word.
        weights: `[N]`, how much each word counts; None where all count the same.
        size: of the vocabulary.
        longest: words of an n-gram, at most.
        seed: of the tenths.
    """
    grams, found = learn_grams(ids, size=size, longest=longest, least=1 if len(ids) <= MANY else 2)
    truth = np.eye(int(tags.max()) + 1, dtype=np.float32)[tags]
    evidence, beside = learn_evidence(
        _lie_over(grams, found, ids),
        np.arange(len(tags)),
        truth if weights is None else truth * weights[:, None],
        _places(grams),
        seed=seed,
        group=np.repeat(np.arange(len(ids)), ids.lengths),
        columns=MOST_COLUMNS,
    )
    beside *= SCALE
    return TagEvidence(grams, evidence), beside


def _places(grams: Grams) -> int:
    """Count the words of all n-grams."""
    return sum(order * len(keys) for order, keys in enumerate(grams.keys, 1))


def _lie_over(grams: Grams, found: Over, ids: Ragged) -> Over:
    """Number the n-grams that lie over each word, by which word of theirs it is; -1 for none.

    `found [N, longest]` says which ends at each word; the result is `[N, longest * (longest + 1) / 2]`.
    """
    at, ends = np.arange(len(found)), np.repeat(ids.offsets[1:], ids.lengths)
    columns, before = [], 0
    for order, keys in enumerate(grams.keys):
        ending = np.where(found[:, order] >= 0, found[:, order] - grams.begins[order], -1)
        for ahead in range(order + 1):  # words from here to its end
            there = np.minimum(at + ahead, len(found) - 1)
            over = np.where(at + ahead < ends, ending[there], -1)
            columns.append(np.where(over >= 0, over + before, -1).astype(np.int32))
            before += len(keys)
    return np.stack(columns, axis=1)
