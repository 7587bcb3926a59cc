"""How tags of single words spell out spans of words: BIO, IOB1, BIOES and BMES. Knows tags, neither files nor models.

A tag is `O`, outside of every span, or a letter and the label of a span: `B-person`. In a text that is cut into words
the letters may stand alone. What the letters say of a word:

    bio     B first of a span, I a later one
    iob1    I in a span, B first of a span right after another of the same label
    bioes   B first of several, I between, E last of several, S alone
    bmes    the same with M for I
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

Scheme = Literal["bio", "iob1", "bioes", "bmes"]
SCHEMES: tuple[Scheme, ...] = get_args(Scheme)
OUTSIDE = "O"

_LETTERS: dict[Scheme, str] = {"bio": "BI", "iob1": "BI", "bioes": "BIES", "bmes": "BMES"}


@dataclass(frozen=True, order=True)
class Span:
    """Name the words `first` to `last`, both included, that a label belongs to; they count from 0."""

    first: int
    last: int
    label: str


def detect(sentences: Iterable[Sequence[str]]) -> Scheme | None:
    """Find the scheme that the tags of many sentences follow, None where they name no spans, as parts of speech do.

    What is valid both as BIO and as IOB1 counts as BIO, and what is valid as neither, too.

    >>> detect([["O", "B-person", "I-person"], ["B-place"]]), detect([["NOUN", "VERB"]])
    ('bio', None)
    """
    kept = list(sentences)
    parts = [_split(tag) for tag in {tag for sentence in kept for tag in sentence} if tag != OUTSIDE]
    letters = {letter for letter, _ in parts}
    if not letters or not letters <= set("BIMES") or len({bool(label) for _, label in parts}) > 1:
        return None
    if "M" in letters:
        return None if "I" in letters else "bmes"
    if letters & set("ES"):
        return "bioes"
    is_iob1 = find_invalid(kept, "bio") is not None and find_invalid(kept, "iob1") is None
    return "iob1" if is_iob1 else "bio"


def find_invalid(sentences: Iterable[Sequence[str]], scheme: Scheme) -> tuple[int, int] | None:
    """Find the first tag that a scheme does not allow where it stands: its sentence and its word; None if all is well.

    A span that its sentence cuts off is found at the last word.

    >>> find_invalid([["O", "I-person"]], "bio")
    (0, 1)
    """
    for index, sentence in enumerate(sentences):
        for word, (before, after) in enumerate(pairwise([OUTSIDE, *sentence, OUTSIDE])):
            if not may_follow(before, after, scheme):
                return index, min(word, len(sentence) - 1)
    return None


def may_follow(before: str, after: str, scheme: Scheme) -> bool:
    """Tell whether one tag may stand right after another; at the edges of a sentence take `O` for what is not there.

    >>> may_follow("B-person", "I-place", "bio"), may_follow("B-person", "O", "bioes")
    (False, False)
    """
    (left, label), (right, next_label) = _split(before), _split(after)
    if not {left, right} <= {*_LETTERS[scheme], OUTSIDE}:
        return False
    same = left != OUTSIDE and label == next_label
    match scheme:
        case "bio":
            return right != "I" or same
        case "iob1":
            return right != "B" or same
    inside = _LETTERS[scheme][1]
    is_open, goes_on = left in ("B", inside), right in (inside, "E")
    return is_open == goes_on and (same or not is_open)


def forbidden(tags: Sequence[str], scheme: Scheme | None) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Tell what no valid sequence has: moves from tag to tag [K, K], first tags [K], last tags [K], all bool."""
    if scheme is None:
        return np.zeros((len(tags), len(tags)), bool), np.zeros(len(tags), bool), np.zeros(len(tags), bool)
    moves = [[not may_follow(before, after, scheme) for after in tags] for before in tags]
    first = [not may_follow(OUTSIDE, tag, scheme) for tag in tags]
    last = [not may_follow(tag, OUTSIDE, scheme) for tag in tags]
    return np.array(moves, bool).reshape(len(tags), len(tags)), np.array(first, bool), np.array(last, bool)


def find_spans(tags: Sequence[str]) -> list[Span]:
    """List the spans of a sentence in any of the schemes.

    Where tags are not valid, a span begins wherever none can go on.

    >>> find_spans(["B-person", "I-person", "O", "B-place"])
    [Span(first=0, last=1, label='person'), Span(first=3, last=3, label='place')]
    """
    spans: list[Span] = []
    for word, (before, tag) in enumerate(pairwise([OUTSIDE, *tags])):
        if tag == OUTSIDE:
            continue
        (left, label_before), (letter, label) = _split(before), _split(tag)
        if letter in ("B", "S") or left in (OUTSIDE, "E", "S") or label != label_before:
            spans.append(Span(word, word, label))
        else:
            spans[-1] = Span(spans[-1].first, word, label)
    return spans


def write_tags(spans: Iterable[Span], length: int, scheme: Scheme) -> list[str]:
    """Write the spans of a sentence of `length` words as tags: what `find_spans` reads.

    >>> write_tags([Span(0, 2, "person")], 4, "bmes")
    ['B-person', 'M-person', 'E-person', 'O']
    """
    tags = [OUTSIDE] * length
    previous: Span | None = None
    for span in sorted(spans):
        touches = previous is not None and previous.last + 1 == span.first and previous.label == span.label
        letters = _write(span.last - span.first + 1, scheme, touches=touches)
        tags[span.first : span.last + 1] = [f"{letter}-{span.label}" if span.label else letter for letter in letters]
        previous = span
    return tags


def all_tags(labels: Iterable[str], scheme: Scheme) -> list[str]:
    """List every tag that spans of some labels may have, `O` first.

    >>> all_tags(["person"], "bio")
    ['O', 'B-person', 'I-person']
    """
    each = [f"{letter}-{label}" if label else letter for label in sorted(labels) for letter in _LETTERS[scheme]]
    return [OUTSIDE, *each]


def convert(tags: Sequence[str], scheme: Scheme) -> list[str]:
    """Write the tags of a sentence in a scheme, whichever they are in; what was not valid is so then.

    >>> convert(["B-person", "I-person", "B-place"], "bioes")
    ['B-person', 'E-person', 'S-place']
    """
    return write_tags(find_spans(tags), len(tags), scheme)


def _split(tag: str) -> tuple[str, str]:
    letter, _, label = tag.partition("-")
    return letter, label


def _write(words: int, scheme: Scheme, *, touches: bool) -> list[str]:
    match scheme:
        case "bio":
            return ["B", *"I" * (words - 1)]
        case "iob1":
            return ["B" if touches else "I", *"I" * (words - 1)]
    return ["S"] if words == 1 else ["B", *_LETTERS[scheme][1] * (words - 2), "E"]
