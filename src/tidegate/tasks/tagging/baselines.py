"""What a tagger is read against: the tag that each word has most often. Knows no networks and no files."""

from __future__ import annotations

import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from tidegate.data import schemes
from tidegate.tasks.baselines import Baseline
from tidegate.tasks.tagging.scores import score_spans
from tidegate.tasks.tagging.sentences import Sentences

if TYPE_CHECKING:
    from tidegate.data import Examples
    from tidegate.tasks.tagging.tagger import TokenTagger


@dataclass(frozen=True)
class FrequentTags:
    """Hold the most frequent tag of each word, and that of all words, which unknown ones get.

    >>> FrequentTags.learn([["a", "b", "b"], ["b"]], [["X", "Y", "Y"], ["Z"]]).tag(["b", "a", "c"])
    ['Y', 'X', 'Y']
    """

    of_word: Mapping[str, str]
    of_all: str

    @classmethod
    def learn(cls, sentences: Sequence[Sequence[str]], tags: Sequence[Sequence[str]]) -> FrequentTags:
        """Count tags; of those that are as frequent the first in the order of their spelling is taken."""
        counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for word, tag in zip(chain.from_iterable(sentences), chain.from_iterable(tags), strict=True):
            counts[word][tag] += 1
        return cls({word: _first(found) for word, found in counts.items()}, _first(Counter(chain.from_iterable(tags))))

    def tag(self, sentence: Sequence[str]) -> list[str]:
        """Tag the words of a sentence."""
        return [self.of_word.get(word, self.of_all) for word in sentence]


def fit_baselines(model: TokenTagger, train: Examples, measured: Examples | None) -> Iterator[Baseline]:
    """Fit the most frequent tag per word and measure it by the chief measure of the tagger; see `FitBaselines`."""
    start, params = time.perf_counter(), model.get_params()
    scheme = model.scheme_
    with warnings.catch_warnings(action="ignore"):  # what they warn of was said when the tagger was trained
        learn = Sentences.check(train.x, train.y).settle(scheme, found_out=True)
        if measured is None:
            learn, held = learn.hold_out(params["validation_fraction"], seed=params["seed"])
        else:
            held = Sentences.check(measured.x, measured.y).settle(scheme, found_out=True)
    if held is None or not any(held.words):
        return
    frequent = FrequentTags.learn(learn.words, learn.tags)
    found = [frequent.tag(sentence) for sentence in held.words]
    if scheme is not None:
        value = score_spans(held.tags, schemes.repair(found, scheme))[0].f1
    else:
        pairs = list(zip(chain.from_iterable(held.tags), chain.from_iterable(found), strict=True))
        value = sum(tag == other for tag, other in pairs) / len(pairs)
    yield Baseline("most frequent tag per word", model.chief_measure, value, time.perf_counter() - start)


def _first(counts: Counter[str]) -> str:
    return min(counts, key=lambda tag: (-counts[tag], tag))
