"""What a tagger learns besides its weights: how words become numbers, and what its tags mean. Knows no networks."""

from __future__ import annotations

import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, count, pairwise
from typing import Any, Literal, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from tidegate.data import schemes, vectors
from tidegate.data.checks import check_texts, check_writable
from tidegate.data.frames import as_list
from tidegate.data.graphemes import split_graphemes
from tidegate.data.schemes import Scheme, Span
from tidegate.data.tokenizer import Tokenizer, from_json
from tidegate.data.wordsplit import Piece, place_words, split_characters, split_words
from tidegate.documents import Documents
from tidegate.errors import DataError, InputError, OddTagsWarning, ShapeError
from tidegate.kernels import crf
from tidegate.ragged import Ragged
from tidegate.tasks.tagging.evidence import TagEvidence
from tidegate.words import Words

Array: TypeAlias = npt.NDArray[Any]
Json: TypeAlias = dict[str, Any]
Unit = Literal["word", "character"]
Sequences: TypeAlias = Ragged | Words | Documents
"""What the network of a tagger reads."""
Item = TypeVar("Item")

LONGEST_SPELLING = 48  # characters that are read of a word; longer ones are addresses for the most part

_DIGIT = re.compile(r"\d")


@dataclass(frozen=True)
class Reading:
    """Turn sentences into ids of words, with what those are made of, or what n-grams tell of their tags.

    unit: what a plain text is cut into, as the training words were. A word is spelled by its characters; where the
        words are single characters, by the two pairs that each forms with its neighbours.
    evidence: of the tags of words, or None; never beside a `spelling`.
    """

    vocabulary: Tokenizer
    spelling: Tokenizer | None
    unit: Unit
    evidence: TagEvidence | None = None

    def split(self, text: str, where: str) -> list[Piece]:
        """Cut a plain text into words; raises DataError, with `where` for its name, for half of a surrogate pair."""
        check_texts([text], where=lambda _: where, allow_empty=True)
        return split_words(text) if self.unit == "word" else split_characters(text)

    def encode(self, sentences: Sequence[Sequence[str]]) -> Sequences:
        """Turn B sentences into ids, with spellings or evidence where the tagger reads them."""
        codes, distinct = _numbered(sentences)
        ids = self.vocabulary.encode(distinct).values  # one token for each word
        tokens = codes.with_values(ids[codes.values])
        if self.evidence is not None:
            return Documents(tokens, self.evidence.beside(tokens))
        if self.spelling is None:
            return tokens
        if self.unit == "word":
            spellings = self.spelling.encode(distinct, max_tokens=LONGEST_SPELLING, keep="first")
            return Words(tokens, codes.values, spellings)
        places, pairs = _numbered([pairs_of(words) for words in sentences])
        letters = self.spelling.encode([pair for both in pairs for pair in both]).values  # one token for each pair
        return Words(tokens, places.values, Ragged.from_padded(letters.reshape(len(pairs), 2)))

    def arrays(self) -> dict[str, Array]:
        """List the arrays of the evidence."""
        return {} if self.evidence is None else self.evidence.arrays()

    def to_json(self) -> Json:
        """Write all but the evidence."""
        spelling = None if self.spelling is None else self.spelling.to_json()
        return {"vocabulary": self.vocabulary.to_json(), "spelling": spelling, "unit": self.unit}

    @classmethod
    def from_json(cls, stored: Json) -> Reading:
        """Read what `to_json` wrote, and the `arrays` where any are stored.

        Raises InputError, KeyError, TypeError or ValueError for anything else.
        """
        if stored["unit"] not in ("word", "character"):
            raise ValueError(f"it reads {stored['unit']!r}, which are neither words nor characters")
        spelling = None if stored["spelling"] is None else from_json(stored["spelling"])
        vocabulary, arrays = from_json(stored["vocabulary"]), stored.get("arrays", {})
        evidence = TagEvidence.restore(vocabulary.size, arrays) if arrays else None
        return cls(vocabulary, spelling, stored["unit"], evidence)


@dataclass(frozen=True)
class TagSet:
    """Number the tags.

    names: [K] the tags that are learned, sorted.
    given: the scheme of the tags that were trained on and are handed out, None where they name no spans.
    learned: the scheme of `names`.
    """

    names: tuple[str, ...]
    given: Scheme | None
    learned: Scheme | None

    @classmethod
    def learn(cls, sentences: Sequence[Sequence[str]], given: Scheme | None, learned: Scheme | None) -> TagSet:
        """Number all tags that occur, once they are written in the scheme to learn."""
        whole = cls((), given, learned)
        return cls(tuple(sorted({tag for tags in sentences for tag in whole._to_learned(tags)})), given, learned)

    def encode(self, sentences: Sequence[Sequence[str]]) -> Ragged:
        """Number the tags of B sentences, int64 [N]; -1 stands for a tag that no training sentence has."""
        numbers = {name: number for number, name in enumerate(self.names)}
        rows = [[numbers.get(tag, -1) for tag in self._to_learned(tags)] for tags in sentences]
        return Ragged.from_list(rows, dtype=np.int64)

    def decode(self, numbers: Sequence[int]) -> list[str]:
        """Name the tags of one sentence, in the scheme that was trained on."""
        tags = [self.names[number] for number in numbers]
        return tags if self.given is None or self.given == self.learned else schemes.convert(tags, self.given)

    def spans(self, tags: Sequence[str]) -> list[Span]:
        """List the spans that tags spell out; where they name none, each word is one."""
        if self.given is None:
            return [Span(word, word, tag) for word, tag in enumerate(tags)]
        return schemes.find_spans(tags)

    @cached_property
    def penalties(self) -> tuple[Array, Array, Array]:
        """What to add to the scores of moves [K, K], first tags [K] and last tags [K]: zero where a path may go."""
        moves, first, last = schemes.forbidden(self.names, self.learned)
        return tuple(np.where(wrong, crf.FORBIDDEN, 0.0) for wrong in (moves, first, last))  # type: ignore[return-value]

    def to_json(self) -> Json:
        """Write all three."""
        return {"tags": list(self.names), "given": self.given, "learned": self.learned}

    @classmethod
    def from_json(cls, stored: Json) -> TagSet:
        """Read what `to_json` wrote; raises KeyError, TypeError or ValueError for anything else."""
        names, found = stored["tags"], (stored["given"], stored["learned"])
        if not names or sorted(set(names)) != names or not all(isinstance(name, str) for name in names):
            raise ValueError("its tags are no sorted list of names")
        check_writable(names, "tag")
        if any(scheme not in (None, *schemes.SCHEMES) for scheme in found) or (found[0] is None) != (found[1] is None):
            raise ValueError(f"it names the schemes {found[0]} and {found[1]}")
        return cls(tuple(names), *found)

    def _to_learned(self, tags: Sequence[str]) -> Sequence[str]:
        return tags if self.learned is None or self.given == self.learned else schemes.convert(tags, self.learned)


@dataclass(frozen=True)
class Tagging:
    """Hold what a tagger learns besides its weights."""

    reading: Reading
    tags: TagSet

    def to_json(self) -> Json:
        """Write both."""
        return self.reading.to_json() | self.tags.to_json()


@dataclass(frozen=True)
class TaggedWord:
    """Name a word of a text, `text[start:end]`, its tag, and the probability of that tag there."""

    word: str
    start: int
    end: int
    tag: str
    probability: float


@dataclass(frozen=True)
class TextSpan:
    """Name a span of a text: `text[start:end]`, which is word `first` to `last`, both included.

    confidence: the least of the probabilities of its tags.
    """

    label: str
    start: int
    end: int
    text: str
    confidence: float
    first: int
    last: int


def place_spans(text: str, words: Sequence[TaggedWord], spans: Sequence[Span]) -> list[TextSpan]:
    """Say where in a text its spans stand."""
    return [
        TextSpan(
            label=span.label,
            start=words[span.first].start,
            end=words[span.last].end,
            text=text[words[span.first].start : words[span.last].end],
            confidence=min(word.probability for word in words[span.first : span.last + 1]),
            first=span.first,
            last=span.last,
        )
        for span in spans
    ]


def check_sentences(X: Any, *, name: str = "X", allow_empty: bool = False) -> list[list[str]]:
    """Check sentences of words and copy them.

    Raises InputError for something else than a list of lists; DataError, naming the word, for a word that is empty or
    no text, and unless `allow_empty` for a sentence without words.
    """
    sentences = [X] if isinstance(X, str) else as_list(X, name, "sentences")
    if any(isinstance(words, str) for words in sentences):
        raise InputError(f"{name} holds a plain text where lists of words are wanted: [['One', 'sentence'], ...].")
    return [check_words(words, f"{name}[{index}]", allow_empty=allow_empty) for index, words in enumerate(sentences)]


def check_words(X: Any, where: str, *, allow_empty: bool = False) -> list[str]:
    """Check the words of one sentence and copy them; raises DataError as `check_sentences` does."""
    words = as_list(X, where, "words")
    if not words and not allow_empty:
        raise DataError(f"{where} is an empty sentence. Leave it out.")
    for at, word in enumerate(words):
        if not isinstance(word, str) or not word.strip():
            raise DataError(f"{where}[{at}] is {word!r:.40}; a word must be a text that is not empty.")
    return words


def check_tags(sentences: list[list[str]], y: Any, *, name: str = "y") -> list[list[str]]:
    """Check the tags of sentences and copy them.

    Raises InputError where they are missing; ShapeError where a sentence has more tags than words, or fewer; DataError
    for a tag that is empty or no text.
    """
    if y is None:
        raise InputError(f"{name} is missing: a tagger learns from sentences and their tags. Pass fit(X, y).")
    tagged = [as_list(tags, f"{name}[{index}]", "tags") for index, tags in enumerate(as_list(y, name, "lists of tags"))]
    if len(tagged) != len(sentences):
        raise ShapeError(
            f"{len(sentences)} sentences came with the tags of {len(tagged)}. Pass tags for every sentence."
        )
    for index, (words, tags) in enumerate(zip(sentences, tagged, strict=True)):
        if len(tags) != len(words):
            raise ShapeError(
                f"{name}[{index}] has {len(tags)} tags, but the sentence has {len(words)} words. Pass one tag each."
            )
        for at, tag in enumerate(tags):
            if not isinstance(tag, str) or not tag.strip():
                raise DataError(f"{name}[{index}][{at}] is {tag!r:.40}; a tag must be a text that is not empty.")
    return tagged


def settle_tags(
    tagged: list[list[str]], scheme: Scheme | None, *, name: str = "y", found_out: bool = False
) -> list[list[str]]:
    """Return tags that the scheme allows where they stand, which all are unless the scheme was merely found out.

    Then the best is made of the odd ones, with an OddTagsWarning. Raises DataError, naming the tag, for an odd one
    where the scheme was asked for.
    """
    odd = [] if scheme is None else schemes.find_odd(tagged, scheme)
    if scheme is None or not odd:
        return tagged
    index, at = odd[0]
    first = f"{name}[{index}][{at}] is {tagged[index][at]!r}, which the scheme {scheme.upper()} does not allow there"
    if not found_out:
        raise DataError(
            f"{first}, or it ends the sentence in the middle of a span. Correct the tags, make the best of them with "
            "tidegate.data.schemes.repair, or pass scheme='plain' to read them as names without meaning."
        )
    warnings.warn(
        f"{first}, nor {len(odd) - 1} others of {sum(map(len, tagged))}; the best is made of them, as "
        "tidegate.data.schemes.repair does.",
        OddTagsWarning,
        stacklevel=4,
    )
    return schemes.repair(tagged, scheme)


def as_pieces(X: Any, reading: Reading) -> tuple[list[str], list[list[Piece]]]:
    """Bring plain texts and lists of words, also mixed, into one form: the text, and its words with their places.

    Raises InputError for a single text; DataError, naming it, for a word that is empty or no text.
    """
    if isinstance(X, str):
        raise InputError("a single string came where a list of texts or of lists of words is wanted. Pass [text].")
    texts, pieces = [], []
    for index, item in enumerate(as_list(X, "X", "texts or of lists of words")):
        if isinstance(item, str):
            found = reading.split(item, f"X[{index}]")
            texts.append(item)
        else:
            words = check_words(item, f"X[{index}]", allow_empty=True)
            found = place_words(words)
            texts.append(" ".join(words))
        pieces.append(found)
    return texts, pieces


def pairs_of(characters: Sequence[str]) -> list[tuple[str, str]]:
    """Pair each character with the one before it and the one after it; a space stands for what lies outside.

    >>> pairs_of(["高", "勇"])
    [(' 高', '高勇'), ('高勇', '勇 ')]
    """
    edged = [" ", *characters, " "]
    pairs = [before + after for before, after in pairwise(edged)]
    return list(pairwise(pairs))


def _numbered(sentences: Sequence[Sequence[Item]]) -> tuple[Ragged, list[Item]]:
    """Number what sentences hold by first occurrence, int64 [N], and list each once in that order."""
    numbers: defaultdict[Item, int] = defaultdict(count().__next__)
    codes = Ragged.from_list([[numbers[item] for item in items] for items in sentences], dtype=np.int64)
    return codes, list(numbers)


def folded(word: str) -> str:
    """Write a word as the vocabulary of a tagger has it: in lower case, every digit a 0.

    >>> folded("Mk2")
    'mk0'
    """
    return _DIGIT.sub("0", vectors.folded(word))


def guess_unit(sentences: Sequence[Sequence[str]]) -> Unit:
    """Tell whether the words of a corpus are single characters of a reader, as in Chinese ones without words."""
    words = Counter(chain.from_iterable(sentences))
    single = sum(many for word, many in words.items() if len(word) == 1 or len(split_graphemes(word)) == 1)
    return "character" if single > 0.95 * words.total() else "word"
