"""How tags of single words spell out spans: BIO, IOB1, BIOES, BMES and BILOU. Knows tags, neither files nor models.

A tag is `O`, outside of every span, or a letter and the label of a span: `B-person`. In a text that is cut into words
the letters may stand alone. What the letters say of a word:

    bio     B first of a span, I a later one
    iob1    I in a span, B first of a span right after another of the same label
    bioes   B first of several, I between, E last of several, S alone
    bmes    the same with M for I
    bilou   the same with L for E and U for S
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

Scheme = Literal["bio", "iob1", "bioes", "bmes", "bilou"]
SCHEMES: tuple[Scheme, ...] = get_args(Scheme)
OUTSIDE = "O"

_LETTERS: dict[Scheme, str] = {"bio": "BI", "iob1": "BI", "bioes": "BIES", "bmes": "BMES", "bilou": "BILU"}
_FIRST, _LAST = frozenset("BSU"), frozenset("ESLU")  # the letters of the first word of a span, and of the last
_MOST = 0.8  # the share of the words with another tag than O whose tags must look like those of spans


@dataclass(frozen=True, order=True)
class Span:
    """Name the words `first` to `last`, both included, that a label belongs to; they count from 0."""

    first: int
    last: int
    label: str


def detect(sentences: Iterable[Sequence[str]]) -> Scheme | None:
    """Find the scheme that explains most of the tags of many sentences, None where they name no spans.

    They name none where more than a fifth of them, O left out, do not look like it, as parts of speech do not. Schemes
    that explain as much are taken in the order of `SCHEMES`.

    >>> detect([["O", "B-person", "I-person"], ["B-place"]]), detect([["NOUN", "VERB"]])
    ('bio', None)
    """
    pairs: Counter[tuple[str, str]] = Counter()
    for sentence in sentences:
        pairs.update(pairwise([OUTSIDE, *sentence, OUTSIDE]))
    tags: Counter[str] = Counter()
    for (before, _), many in pairs.items():
        tags[before] += many
    del tags[OUTSIDE]
    labelled = _are_labelled(tags)
    like = sum(many for tag, many in tags.items() if _is_spelled(tag, "BIMESLU", labelled))
    if not like or like < (_MOST if labelled else 1) * tags.total():
        return None

    def unexplained(scheme: Scheme) -> tuple[int, int]:
        strange = sum(many for tag, many in tags.items() if not _is_spelled(tag, _LETTERS[scheme], labelled))
        return sum(pairs[pair] for pair in pairs if not _fits(*pair, scheme, labelled)), strange

    return min(SCHEMES, key=unexplained)


def find_odd(sentences: Iterable[Sequence[str]], scheme: Scheme) -> list[tuple[int, int]]:
    """Find the tags that a scheme does not allow where they stand: their sentences and words.

    A span that its sentence cuts off is found at the last word.

    >>> find_odd([["O", "I-person"], ["B-person"], ["0"]], "bio")
    [(0, 1), (2, 0)]
    """
    kept = list(sentences)
    labelled = _are_labelled({tag for sentence in kept for tag in sentence})
    odd = []
    for index, sentence in enumerate(kept):
        places = [
            at for at, pair in enumerate(pairwise([OUTSIDE, *sentence, OUTSIDE])) if not _fits(*pair, scheme, labelled)
        ]
        odd += [(index, at) for at in sorted({min(at, len(sentence) - 1) for at in places})]
    return odd


def find_invalid(sentences: Iterable[Sequence[str]], scheme: Scheme) -> tuple[int, int] | None:
    """Find the first of `find_odd`; None if all is well.

    >>> find_invalid([["O", "I-person"]], "bio")
    (0, 1)
    """
    return next(iter(find_odd(sentences, scheme)), None)


def repair(sentences: Iterable[Sequence[str]], scheme: Scheme) -> list[list[str]]:
    """Make the best of tags that a scheme does not allow: what `find_spans` reads of them, written anew.

    A label without a letter is taken for a word inside of such a span, and what is neither a tag of the scheme nor a
    label for `O`. Sentences without odd tags stay as they are.

    >>> repair([["O", "I-person", "0", "person"], ["B-person", "O"]], "bio")
    [['O', 'B-person', 'O', 'B-person'], ['B-person', 'O']]
    """
    kept = [list(sentence) for sentence in sentences]
    names = {tag for sentence in kept for tag in sentence}
    labelled = _are_labelled(names)
    labels = {_split(tag)[1] for tag in names if _is_spelled(tag, _LETTERS[scheme], labelled)} - {""}
    for index in {index for index, _ in find_odd(kept, scheme)}:
        read = [_read(tag, scheme, labels, labelled) for tag in kept[index]]
        kept[index] = convert(read, scheme)
    return kept


def _read(tag: str, scheme: Scheme, labels: set[str], labelled: bool) -> str:
    """Read a tag that may be of no scheme, as `repair` says."""
    if tag == OUTSIDE or _is_spelled(tag, "BIMESLU", labelled):
        return tag
    return f"{_LETTERS[scheme][1]}-{tag}" if tag in labels else OUTSIDE


def _are_labelled(tags: Iterable[str]) -> bool:
    """Tell whether the letters of tags come with labels."""
    return any(re.match("[BIMESLU]-.", tag) for tag in tags)


def _is_spelled(tag: str, letters: str, labelled: bool) -> bool:
    letter, label = _split(tag)
    return len(letter) == 1 and letter in letters and bool(label) == labelled


def _fits(before: str, after: str, scheme: Scheme, labelled: bool) -> bool:
    """Tell whether a tag may stand after another, which counts as `O` where it is none of the scheme itself."""
    letters = _LETTERS[scheme]
    if after != OUTSIDE and not _is_spelled(after, letters, labelled):
        return False
    known = before if _is_spelled(before, letters, labelled) else OUTSIDE
    return may_follow(known, after, scheme)


@lru_cache(maxsize=2**14)
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
    inside, last = _LETTERS[scheme][1], _LETTERS[scheme][2]
    is_open, goes_on = left in ("B", inside), right in (inside, last)
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
        if letter in _FIRST or left == OUTSIDE or left in _LAST or label != label_before:
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
    first, inside, last, alone = tuple(_LETTERS[scheme])
    return [alone] if words == 1 else [first, *inside * (words - 2), last]
