"""Says in words what n-grams tell: which one a feature is, and which ones end at each token of a text."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tidegate.data.grams import Grams
from tidegate.offers import Told
from tidegate.tasks.classifying.labelled import Inputs
from tidegate.tasks.classifying.ngrams import NGrams
from tidegate.tasks.classifying.reading import Tokens


@dataclass(frozen=True)
class Naming:
    """Name the n-grams of a classifier of texts.

    tokens: what it learned of them.
    classes: how many it tells apart.
    """

    tokens: Tokens
    ngrams: NGrams
    classes: int

    def feature(self, number: int) -> tuple[str, str]:
        """Name a feature of a whole text: `words` or `characters`, and the n-gram; a space ends or begins a word."""
        features = self.ngrams.features
        assert features is not None, "who has no features asks for none"
        words = len(features.words.weight)
        if number < words:
            return "words", self._words(number)
        assert features.spellings is not None, "there are no more features of words"
        letters, ids = features.spellings.letters, features.spellings.grams.spell(number - words)
        return "characters", "".join(letters[letter - 1] for letter in ids)

    def evidence(self, texts: Inputs) -> list[list[Told]]:
        """List the n-grams that end at each token that the network reads, and what each tells of the classes.

        What is told is None where there are so many classes that the numbers beside a token are mixtures of them.
        """
        if self.ngrams.evidence is None:
            return []
        assert isinstance(texts, list)
        whole = self.tokens.tokenizer.encode(texts)
        found, table = self.ngrams.grams.find(whole)[self.tokens.kept(whole)], self.ngrams.evidence.table
        mixed = table.shape[1] != self.classes
        return [
            [
                Told(self._words(int(number)), None if mixed else table[number].astype(np.float32))
                for number in row[row >= 0]
            ]
            for row in found
        ]

    def _words(self, number: int) -> str:
        return " ".join(self._vocabulary[word] for word in self._grams.spell(number))

    @property
    def _grams(self) -> Grams:
        return self.ngrams.grams

    @cached_property
    def _vocabulary(self) -> list[str]:
        return self.tokens.tokenizer.vocabulary
