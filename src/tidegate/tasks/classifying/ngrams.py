"""What a classifier of texts learns by counting n-grams: evidence beside each token, and features of the whole text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tidegate.data.grams import Counted, Grams, checked_array, count_features, learn_grams, restore_grams
from tidegate.data.tokenizer import Tokenizer
from tidegate.documents import Sparse
from tidegate.ragged import Ragged
from tidegate.tasks.classifying.bags import Rarity, Spellings, join
from tidegate.tasks.evidence import Evidence, learn_evidence

Array: TypeAlias = NDArray[Any]
Floats: TypeAlias = NDArray[np.float32]
Numbers: TypeAlias = NDArray[np.int64]
Spelled: TypeAlias = Sequence[str]
"""The words of all texts, one for each token."""

LONGEST_FEATURE = 3  # words of the longest n-gram that is a feature of a text
MANY = 15_000  # texts
MOST_WORDS = 2**17  # that n-grams are made of
MOST_NGRAMS = 2**20  # of one length
MOST_WEIGHTS = 2**22  # of the n-grams of one length, over all classes
SHORT = 60  # tokens of a text, on average, below which the characters of its words are features in any case


@dataclass(frozen=True, eq=False)
class Features:
    """Turn texts into sparse rows: TF-IDF of their n-grams of words, and where texts are short of those of characters.

    words: of the n-grams of words.
    spellings, characters: of those of characters, or None.
    """

    words: Rarity
    spellings: Spellings | None = None
    characters: Rarity | None = None

    @property
    def width(self) -> int:
        """Count the features."""
        return len(self.words.weight) + (0 if self.characters is None else len(self.characters.weight))

    def of(self, found: NDArray[np.int32], tokens: Ragged, spelled: Spelled | None) -> Sparse:
        """Describe texts.

        Args:
            found: `[N, lengths]`, the n-gram of words of each length that ends at each token, or -1.
            tokens: the N tokens of B texts.
            spelled: the N words.
        """
        words = count_words(found, tokens, len(self.words.weight))
        characters = None
        if self.spellings is not None:
            assert spelled is not None, "whoever reads characters passes the words"
            characters = count_characters(self.spellings, spelled, tokens)
        return self.weigh(words, characters, len(tokens))

    def weigh(self, words: Counted, characters: Counted | None, rows: int) -> Sparse:
        """Turn counts of n-grams of words, and of characters where those are features, into rows."""
        blocks, widths = [self.words.weigh(words, rows)], [len(self.words.weight)]
        if self.characters is not None and characters is not None:
            blocks.append(self.characters.weigh(characters, rows))
            widths.append(len(self.characters.weight))
        return join(blocks, widths)


def learn_features(
    found: NDArray[np.int32], tokens: Ragged, spelled: Spelled | None, words: int, *, most: int
) -> tuple[Features, Sparse]:
    """Learn which of `words` n-grams are rare and, of the words where they come spelled, those of their characters.

    Of the latter at most `most` of each length are kept. Returns the rows of these very texts, too.
    """
    counted, of_letters = count_words(found, tokens, words), None
    features = Features(Rarity.of(counted, len(tokens), words))
    if spelled is not None:
        spellings = Spellings.learn(sorted(set(spelled)), most=most)
        of_letters = count_characters(spellings, spelled, tokens)
        features = Features(features.words, spellings, Rarity.of(of_letters, len(tokens), len(spellings.grams)))
    return features, features.weigh(counted, of_letters, len(tokens))


def spell_out(tokenizer: Tokenizer, texts: Sequence[str]) -> list[str]:
    """List the words of whole texts, one for each token."""
    return [word for text in texts for word in tokenizer.tokenize(text)]


def least_texts(texts: int) -> int:
    """Say in how many of so many texts an n-gram must stand: from `MANY` on, what stands in one tells nothing."""
    return 1 if texts <= MANY else 2


def most_ngrams(classes: int) -> int:
    """Say how many n-grams of one length are kept at most: a linear model has a weight of each for each class."""
    return min(MOST_NGRAMS, MOST_WEIGHTS // classes)


def count_words(found: NDArray[np.int32], tokens: Ragged, features: int) -> Counted:
    """Count the n-grams of words of each text that are features: those numbered below `features`."""
    found = found[:, :LONGEST_FEATURE]
    row = np.repeat(np.arange(len(tokens)), np.asarray(tokens.lengths) * found.shape[1])
    return count_features(row, found.ravel(), features)


def count_characters(spellings: Spellings, spelled: Spelled, tokens: Ragged) -> Counted:
    """Count the n-grams of characters of each text."""
    distinct = sorted(set(spelled))
    number = {word: index for index, word in enumerate(distinct)}
    of_token = spellings.find(distinct).select(np.array([number[word] for word in spelled], np.int64))
    row = np.repeat(np.arange(len(tokens)), tokens.lengths)
    return count_features(np.repeat(row, of_token.lengths), np.asarray(of_token.values), len(spellings.grams))


@dataclass(frozen=True, eq=False)
class NGrams:
    """Hold the n-grams of the training part, what they tell of the classes, and which are features of a text.

    grams: of words, by their ids.
    evidence: of those, or None.
    features: or None.
    """

    grams: Grams
    evidence: Evidence | None
    features: Features | None

    @property
    def columns(self) -> int:
        """Count the numbers that stand beside each token."""
        return 0 if self.evidence is None else self.grams.longest * self.evidence.table.shape[1]

    @property
    def spells(self) -> bool:
        """Tell whether the features are also made of the characters of words."""
        return self.features is not None and self.features.spellings is not None

    def beside(self, found: NDArray[np.int32]) -> Floats:
        """Say what stands beside tokens at which these n-grams end, `[N, longest]`."""
        return np.zeros((len(found), 0), np.float32) if self.evidence is None else self.evidence.beside(found)

    def arrays(self) -> dict[str, Array]:
        """List what goes into the model file beside the weights."""
        arrays: dict[str, Array] = {f"grams.{order}": keys for order, keys in enumerate(self.grams.keys, 1)}
        if self.evidence is not None:
            arrays["evidence"] = self.evidence.table
        if self.features is not None:
            arrays["rarity"] = self.features.words.weight
        if self.features is not None and self.features.spellings is not None and self.features.characters is not None:
            arrays |= {f"spellings.{order}": keys for order, keys in enumerate(self.features.spellings.grams.keys, 1)}
            arrays["spellings.rarity"] = self.features.characters.weight
        return arrays

    @property
    def letters(self) -> str | None:
        """List the characters that are told apart, where any are."""
        spellings = None if self.features is None else self.features.spellings
        return None if spellings is None else spellings.letters

    @classmethod
    def restore(cls, size: int, letters: str | None, arrays: Mapping[str, Array]) -> Self:
        """Read what `arrays` and `letters` wrote; raises KeyError or ValueError for all else.

        size: of the vocabulary of words.
        """
        grams = restore_grams("grams", size, arrays)
        evidence = Evidence.restore(arrays["evidence"], len(grams)) if "evidence" in arrays else None
        if "rarity" not in arrays:
            return cls(grams, evidence, None)
        words = checked_array("rarity", arrays["rarity"], np.float32, 1)
        if len(words) != int(grams.begins[min(LONGEST_FEATURE, grams.longest)]):
            raise ValueError(f"it weighs {len(words)} n-grams of words, and has others")
        if letters is None:
            return cls(grams, evidence, Features(Rarity(words)))
        if len(set(letters)) != len(letters):
            raise ValueError("it tells a character from itself")
        spellings = Spellings(letters, restore_grams("spellings", len(letters) + 1, arrays))
        characters = checked_array("spellings.rarity", arrays["spellings.rarity"], np.float32, 1)
        if len(characters) != len(spellings.grams):
            raise ValueError(f"it weighs {len(characters)} n-grams of characters, and has {len(spellings.grams)}")
        return cls(grams, evidence, Features(Rarity(words), spellings, Rarity(characters)))


@dataclass(frozen=True, eq=False)
class Learned:
    """Hold n-grams, and what they say of the very texts that they were learned from.

    beside: `[N, columns]`, counted for each text without its own tenth of them.
    features: the rows that a linear model learns from; None where there is none.
    """

    ngrams: NGrams
    beside: Floats
    features: Sparse | None


def learn_ngrams(
    tokens: Ragged,
    spelled: Spelled | None,
    truth: Floats,
    *,
    size: int,
    longest: int,
    features: bool,
    seed: int,
) -> Learned:
    """Learn n-grams of up to `longest` words for evidence (0: no evidence), and features if those are wanted.

    Args:
        tokens: ids in [0, size) of B texts.
        spelled: the words themselves, where their characters are to be features.
        truth: `[B, K]`, how likely each class is of each text, times how much the text counts.
        size: of the vocabulary.
        longest: words of an n-gram.
        features: whether those are wanted.
        seed: of the tenths.
    """
    lengths = max(longest, LONGEST_FEATURE if features else 0)
    least, most = least_texts(len(tokens)), most_ngrams(truth.shape[1])
    grams, found = learn_grams(tokens, size=size, longest=lengths, least=least, most=most)
    evidence, beside = None, np.zeros((len(found), 0), np.float32)
    if longest:
        row = np.repeat(np.arange(len(tokens)), tokens.lengths)
        evidence, beside = learn_evidence(found, row, truth, len(grams), seed=seed)
    if not features:
        return Learned(NGrams(grams, evidence, None), beside, None)
    words = int(grams.begins[min(LONGEST_FEATURE, lengths)])
    learned, rows = learn_features(found, tokens, spelled, words, most=most)
    return Learned(NGrams(grams, evidence, learned), beside, rows)
