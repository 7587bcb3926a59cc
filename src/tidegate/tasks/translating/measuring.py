"""Measures a translator while it is trained: how it translates the part held out, and how well it foresees it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.data.pairs.measures import bleu, exact_match
from tidegate.errors import MissingPackageError
from tidegate.network import Network
from tidegate.runtime import Executor
from tidegate.tasks.translating.choosing import log_probabilities
from tidegate.tasks.translating.reading import Corpus, Reading
from tidegate.tasks.translating.searching import Rules, searcher

Array: TypeAlias = npt.NDArray[Any]
Aim: TypeAlias = Literal["bleu", "exact", "loss"]

_TOKENS = 2**11  # whose scores are held at a time


def aim_of(wanted: str, units: str) -> Aim:
    """Say what training looks at: for `auto` exact matches of characters, else BLEU, or the loss without sacrebleu.

    Raises MissingPackageError where BLEU is wanted by name, and sacrebleu is not installed.
    """
    if wanted == "auto":
        if units == "characters":
            return "exact"
        if not knows_bleu():
            warnings.warn(
                "sacrebleu is not installed, so the loss says which epoch is best. pip install 'tidegate[translate]', "
                "or pass stop_on='loss'.", stacklevel=5,
            )  # fmt: skip
            return "loss"
        return "bleu"
    if wanted == "bleu" and not knows_bleu():
        raise MissingPackageError.of("sacrebleu", "translate", "measuring translations")
    assert wanted in ("bleu", "exact", "loss"), "it was checked"
    return wanted  # type: ignore[return-value]


def knows_bleu() -> bool:
    """Tell whether sacrebleu is installed."""
    return find_spec("sacrebleu") is not None


def share_right(texts: Sequence[str], targets: Sequence[str], measure: str) -> float:
    """Score translations from 0 to 1, by a measure of the task."""
    return exact_match(texts, targets) if measure == "exact" else bleu(texts, targets).score / 100


@dataclass(frozen=True, eq=False)
class Held:
    """Hold the part held out: as texts, and as the network reads it.

    longest: tokens of a source beyond which its translation may be no longer, so that one text costs no epoch.
    """

    targets: Sequence[str]
    corpus: Corpus
    longest: int


def measure(network: Network, weights: Mapping[str, Array], held: Held, reading: Reading, aim: Aim) -> dict[str, float]:
    """Measure what weights reach.

    Returns:
        `loss`, what shall become small: 100 less BLEU, the share of translations that are not exactly right, or the
        nats per token; `nats`; and `bleu` or `exact`, of the most probable tokens, where that is the aim.
    """
    executor = Executor(network, weights)
    nats = nats_of(executor, held.corpus)
    if aim == "loss":
        return {"loss": nats, "nats": nats}
    lengths = np.minimum(np.asarray(held.corpus.sources.lengths) - 1, held.longest)
    found = searcher(executor, reading).search(held.corpus.sources, Rules(beam=1), lengths=lengths)
    texts = [reading.subwords.decode(best.ids) for (best,) in found]
    if aim == "exact":
        exact = exact_match(texts, held.targets)
        return {"loss": 1 - exact, "exact": exact, "nats": nats}
    score = bleu(texts, held.targets).score
    return {"loss": 100 - score, "bleu": score, "nats": nats}


def nats_of(executor: Executor, corpus: Corpus) -> float:
    """Compute the mean loss of a token of the targets, their ends included, in nats."""
    order = np.argsort(corpus.lengths, kind="stable")
    cost = np.cumsum(np.asarray(corpus.labels.lengths)[order])
    lost = 0.0
    for indices in np.split(order, np.flatnonzero(np.diff(cost // _TOKENS)) + 1):
        pairs, labels = corpus.batch(indices)
        lost -= float(log_probabilities(executor(pairs), np.arange(len(labels)), labels).sum())
    return lost / max(int(cost[-1]) if len(cost) else 0, 1)
