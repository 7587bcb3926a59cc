"""Measures taggers on sentences whose tags are known."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

from tidegate.data.schemes import OUTSIDE, Scheme, detect, find_odd, find_spans
from tidegate.errors import DataError
from tidegate.health import ClassHealth, HealthWarning, never_predicted
from tidegate.tasks.scores import Scores, judge_classes, precision_recall_f1
from tidegate.tasks.tagging.reading import check_sentences, check_tags, settle_tags

if TYPE_CHECKING:
    from tidegate.data import Examples
    from tidegate.tasks import TokenTagger

Tagged = Sequence[Sequence[str]]


@dataclass(frozen=True)
class TagScore:
    """Hold how well one tag, or spans of one label, are recognised, from 0 to 1; `count` is how often it is right."""

    precision: float
    recall: float
    f1: float
    count: int


@dataclass(frozen=True)
class Tagging:
    """Hold what a tagger reached.

    accuracy: the share of words whose tag is right, from 0 to 1.
    spans: how well spans are recognised, label and both edges right; None where tags name no spans.
    each: the same for each label, or where tags name no spans for each tag.
    never_predicted: the labels, or tags, that were trained on and occur, and that no prediction names.
    """

    accuracy: float
    spans: TagScore | None
    examples: int
    words: int
    each: dict[str, TagScore]
    never_predicted: tuple[str, ...] = ()

    def measures(self) -> dict[str, float]:
        """Give the figures of the whole part; `macro_f1` is the mean of the F1 of all labels, or tags."""
        found = {"accuracy": self.accuracy}
        if self.spans is not None:
            spans = self.spans
            found = {"f1": spans.f1, "precision": spans.precision, "recall": spans.recall} | found
        if self.neglect is None:
            return found
        macro_f1 = sum(score.f1 for score in self.each.values()) / len(self.each)
        return found | {"macro_f1": macro_f1, "worst_recall": self.each[self.neglect.worst].recall}

    @property
    def neglect(self) -> ClassHealth | None:
        """Which labels, or tags, are neglected; None where none occur."""
        there = {name: score.recall for name, score in self.each.items() if score.count}
        return ClassHealth(min(there, key=there.__getitem__), self.never_predicted) if there else None

    def warnings(self) -> list[HealthWarning]:
        """Name the labels, or tags, that are never predicted."""
        what = "tag" if self.spans is None else "label"
        return never_predicted(self.neglect, f"{self.examples:,} sentences", what=what) if self.neglect else []

    def table(self) -> list[dict[str, object]]:
        """Give a row for each label or tag."""
        name = "tag" if self.spans is None else "label"
        return [
            {
                name: label,
                **{key: f"{getattr(score, key):.4f}" for key in ("precision", "recall", "f1")},
                "count": score.count,
            }
            for label, score in self.each.items()
        ]

    def to_json(self) -> dict[str, Any]:
        """Give all of it, ready for `json.dumps`."""
        told: dict[str, Any] = {name: self.measures().get(name) for name in ("macro_f1", "worst_recall")}
        told |= {"worst_class": self.neglect.worst if self.neglect else None}
        told |= {"never_predicted": list(self.never_predicted), "warnings": list(map(str, self.warnings()))}
        return asdict(self) | told


def measure_tagger(model: TokenTagger, examples: Examples) -> Tagging:
    """Measure a fitted tagger.

    A tag that no training sentence has counts as wrong, as it cannot be predicted; a warning names the first one.

    Args:
        model: what `tidegate.load` returns, or any fitted tagger.
        examples: sentences and their true tags, at least one sentence.

    Raises:
        DataError: there is no sentence, or the tags follow another scheme than the model; the first is named.
    """
    if not len(examples):
        raise DataError("there are no examples to evaluate on.")
    sentences = check_sentences(examples.x)
    given = check_tags(sentences, examples.y)
    true = settle_tags(given, model.scheme_, found_out=not _is_of_another_scheme(given, model.scheme_))
    _warn_of_unknown(true, model)
    predicted = model.predict(sentences)
    flat_true, flat_predicted = list(chain.from_iterable(true)), list(chain.from_iterable(predicted))
    spans, each = None, {}
    if model.scheme_ is None:
        each = score_tags(flat_true, flat_predicted)
    else:
        spans, each = score_spans(true, predicted)
    right = sum(tag == found for tag, found in zip(flat_true, flat_predicted, strict=True))
    named = _names(predicted, model.scheme_)
    never = tuple(name for name, score in each.items() if score.count and name in _known(model) - named)
    return Tagging(right / len(flat_true), spans, len(sentences), len(flat_true), each, never)


def _is_of_another_scheme(true: Tagged, scheme: Scheme | None) -> bool:
    """Tell whether another scheme than that of a model explains more of the tags."""
    if scheme is None or not (odd := len(find_odd(true, scheme))):
        return False
    found = detect(true)
    return found is None or len(find_odd(true, found)) < odd


def score_spans(true: Tagged, predicted: Tagged) -> tuple[TagScore, dict[str, TagScore]]:
    """Compare the spans that valid tags in any scheme spell out: over all, and for each label.

    A span is right where its label and both its edges are (the strict mode of SemEval 2013, task 9).

    >>> whole, each = score_spans([["B-person", "O", "B-place"]], [["B-person", "O", "B-person"]])
    >>> whole
    TagScore(precision=0.5, recall=0.5, f1=0.5, count=2)
    >>> each["person"]
    TagScore(precision=0.5, recall=1.0, f1=0.6666666666666666, count=1)
    """
    there, found = (Counter(_placed(part)) for part in (true, predicted))
    labels = sorted({label for label, *_ in (*there, *found)})
    counts = {label: _count(there, found, label) for label in labels}
    return _score(*map(sum, zip(*counts.values(), strict=True))) if labels else _score(0, 0, 0), {
        label: _score(*numbers) for label, numbers in counts.items()
    }


def score_tags(true: Sequence[str], predicted: Sequence[str]) -> dict[str, TagScore]:
    """Compare the tags of words, tag by tag.

    >>> score_tags(["NOUN", "VERB"], ["NOUN", "NOUN"])["NOUN"]
    TagScore(precision=0.5, recall=1.0, f1=0.6666666666666666, count=1)
    """
    right = Counter(tag for tag, found in zip(true, predicted, strict=True) if tag == found)
    there, named = Counter(true), Counter(predicted)
    return {tag: _score(right[tag], there[tag], named[tag]) for tag in sorted({*true, *predicted})}


def _names(tagged: Tagged, scheme: str | None) -> set[str]:
    """Collect the labels that tags name spans with, or where they name none the tags."""
    if scheme is None:
        return set(chain.from_iterable(tagged))
    return {label for label, *_ in _placed(tagged)}


def _known(model: TokenTagger) -> set[str]:
    if model.scheme_ is None:
        return set(model.known_tags)
    return {tag.partition("-")[2] or "span" for tag in model.known_tags if tag != OUTSIDE}


def _placed(tagged: Tagged) -> Iterator[tuple[str, int, int, int]]:
    """Give every span as its label, its sentence and its two edges."""
    for sentence, tags in enumerate(tagged):
        for span in find_spans(tags):
            yield span.label or "span", sentence, span.first, span.last


def _count(there: Counter[Any], found: Counter[Any], label: str) -> tuple[int, int, int]:
    """Count the spans of a label that are right, that are there, and that were found."""
    rights, theres, named = (
        sum(count for (own, *_), count in spans.items() if own == label) for spans in (there & found, there, found)
    )
    return rights, theres, named


def _score(right: int, there: int, named: int) -> TagScore:
    return TagScore(*precision_recall_f1(right, there, named), there)


def _warn_of_unknown(true: Tagged, model: TokenTagger) -> None:
    known = model.known_tags
    unknown = [tag for tags in true for tag in tags if tag not in known]
    if unknown:
        warnings.warn(
            f"no training sentence has the tag {unknown[0]!r}; it and others like it count as wrong "
            f"({len(unknown)} of {sum(map(len, true))} words).",
            stacklevel=3,
        )


SCORES = Scores(measure_tagger, partial(judge_classes, what="tag"))
