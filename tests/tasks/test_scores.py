"""Scores of classes, tags and spans against the libraries that define them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nervaluate import Evaluator
from sklearn.metrics import precision_recall_fscore_support

from tidegate.data.schemes import find_spans
from tidegate.tasks.scores import precision_recall_f1
from tidegate.tasks.tagging.scores import score_spans, score_tags

TAGS = st.lists(st.sampled_from(["A", "B", "C"]), min_size=8, max_size=8)
SPANS = st.lists(st.sampled_from(["O", "B-x", "I-x", "B-y", "I-y"]), min_size=6, max_size=6)


@settings(max_examples=100)
@given(TAGS, TAGS)
def test_scores_of_tags_are_those_of_scikit_learn(true: list[str], predicted: list[str]) -> None:
    names = sorted({*true, *predicted})
    wanted = precision_recall_fscore_support(true, predicted, labels=names, zero_division=0.0)
    found = score_tags(true, predicted)
    assert list(found) == names
    for score, *numbers in zip(found.values(), *wanted, strict=True):
        assert (score.precision, score.recall, score.f1, score.count) == pytest.approx(tuple(numbers))


@settings(max_examples=100)
@given(st.lists(st.tuples(SPANS, SPANS), min_size=1, max_size=4))
def test_scores_of_spans_are_the_strict_ones_of_nervaluate(pairs: list[tuple[list[str], list[str]]]) -> None:
    true, predicted = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    whole, each = score_spans(true, predicted)
    parts = [[_spans(tags) for tags in part] for part in (true, predicted)]
    labels = sorted({span["label"] for part in parts for spans in part for span in spans})
    assert sorted(each) == labels
    if labels:
        result: Any = Evaluator(*parts, tags=labels, loader="dict").evaluate()
        for score, wanted in ((whole, result["overall"]), *((each[name], result["entities"][name]) for name in labels)):
            strict = wanted["strict"]
            assert (score.precision, score.recall, score.f1) == pytest.approx(
                (strict.precision, strict.recall, strict.f1)
            )
            assert score.count == strict.possible


def _spans(tags: list[str]) -> list[dict[str, Any]]:
    return [{"label": span.label, "start": span.first, "end": span.last} for span in find_spans(tags)]


def test_what_never_was_has_no_score() -> None:
    assert precision_recall_f1(right=0, there=0, named=0) == (0.0, 0.0, 0.0)
    assert np.isfinite(precision_recall_f1(right=0, there=3, named=0)).all()
