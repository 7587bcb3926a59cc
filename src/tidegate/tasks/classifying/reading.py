"""How texts become what the network of a classifier reads: words, and what n-grams tell of them. Knows no files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tidegate.data.checks import check_texts, in_argument
from tidegate.data.frames import as_list
from tidegate.data.tokenizer import Keep, Tokenizer, from_json, train_words
from tidegate.documents import Documents
from tidegate.network import Embed, Network, Node, parameter_shapes
from tidegate.ragged import Ragged
from tidegate.tasks.chosen import Choice
from tidegate.tasks.classifying.classifier import Preparation, Read, Sequences, Weights32
from tidegate.tasks.classifying.labelled import Inputs, Labelled
from tidegate.tasks.classifying.linear import FEW, LinearRule, answering_together, tell
from tidegate.tasks.classifying.ngrams import (
    MANY,
    MOST_WORDS,
    SHORT,
    NGrams,
    learn_ngrams,
    least_texts,
    spell_out,
)
from tidegate.tasks.cooccurrence import learn_vectors
from tidegate.tasks.embeddings import WordTable
from tidegate.tasks.evidence import MOST_COLUMNS
from tidegate.tasks.fitting import Plan, begin_with
from tidegate.tasks.task import Json

Array: TypeAlias = NDArray[Any]

VERY_SHORT = 16  # tokens of a text, on average
_EMBEDDING_SCALE = 1.7  # beside evidence, whose numbers are as large
_DROPPED = f"0.3 where texts average below {VERY_SHORT} tokens, else 0.5"
_CHARACTERS = f"true up to {FEW:,} texts, or where texts average below {SHORT} tokens"
_COLUMNS = f"numbers beside a token for each n-gram: one for each class, at most {MOST_COLUMNS}"


@dataclass(frozen=True)
class Tokens:
    """Turn texts into token ids, at most `max_tokens` of each, and what n-grams tell of them.

    words: the network knows the ids below that by themselves, the n-grams those of the whole tokenizer.
    ngrams: None where there are none.
    """

    tokenizer: Tokenizer
    max_tokens: int
    keep: Keep
    words: int
    ngrams: NGrams | None = None

    @property
    def input_size(self) -> int:
        """Count the ids that the network reads."""
        return self.words

    def encode(self, inputs: Inputs) -> Sequences:
        """Turn B texts into B sequences of ids, int32."""
        assert isinstance(inputs, list)
        if self.ngrams is None:
            return self.tokenizer.encode(inputs, max_tokens=self.max_tokens, keep=self.keep)
        whole = self.tokenizer.encode(inputs)
        found = self.ngrams.grams.find(whole)
        kept = self.kept(whole)
        features = None
        if self.ngrams.features is not None:
            spelled = spell_out(self.tokenizer, inputs) if self.ngrams.spells else None
            features = self.ngrams.features.of(found, whole, spelled)
        return Documents(self.known(whole.where(kept)), self.ngrams.beside(found[kept]), features)

    def kept(self, whole: Ragged) -> NDArray[np.bool_]:
        """Say which tokens of whole texts the network reads, `[N]`."""
        lengths = np.asarray(whole.lengths)
        at = np.arange(len(whole.values)) - np.repeat(np.asarray(whole.offsets)[:-1], lengths)
        if self.keep == "first":
            return np.asarray(at < self.max_tokens)
        return np.asarray(at >= np.repeat(lengths, lengths) - self.max_tokens)

    def known(self, tokens: Ragged) -> Ragged:
        """Put the unknown word in the place of those that the network does not know."""
        ids = np.asarray(tokens.values)
        return tokens.with_values(np.where(ids < self.words, ids, 0).astype(np.int32))

    def read(self, chunk: Any) -> Array:
        """Turn a piece of a text, or a list of them, into ids `[n]`; a piece ends where a word ends."""
        pieces = [chunk] if isinstance(chunk, str) else list(chunk)
        check_texts(pieces, where=in_argument("pieces"), allow_empty=True)
        return np.asarray(self.tokenizer.encode(pieces).values)

    def spell(self, inputs: Inputs) -> list[str]:
        """List the tokens of all texts, one for each id; those that are not in the vocabulary are spelled out, too."""
        texts = (self.tokenizer.tokenize(str(text), max_tokens=self.max_tokens, keep=self.keep) for text in inputs)
        return [token for text in texts for token in text]

    def to_json(self) -> Json:
        """Write the tokenizer; the limit is a parameter of the task."""
        written: Json = {"tokenizer": self.tokenizer.to_json()}
        if self.ngrams is not None:
            written |= {"words": self.words, "letters": self.ngrams.letters}
        return written

    def check(self, network: Network) -> None:
        """Raise ValueError where n-grams make other inputs than a network reads."""
        first, features = network.nodes[0], None if self.ngrams is None else self.ngrams.features
        made = (0 if self.ngrams is None else self.ngrams.columns, 0 if features is None else features.width)
        read = (first.beside if isinstance(first, Embed) else 0, 0 if network.wide is None else network.wide.features)
        if made != read:
            raise ValueError(
                f"its n-grams give {made[0]} numbers beside each token and {made[1]} features of a text; its network "
                f"reads {read[0]} and {read[1]}"
            )

    def arrays(self) -> dict[str, Array]:
        """List the arrays of the n-grams."""
        return {} if self.ngrams is None else self.ngrams.arrays()


@dataclass(frozen=True)
class TextReader:
    """Learn the words of texts, at most `vocabulary_size`, and embed them; `word_dropout` of them are left out.

    evidence: words of the longest n-gram whose evidence stands beside each token; 0 for none.
    linear: whether a linear model over n-grams answers, too.
    cooccurrence: whether words begin with vectors that tell which words they stand near; "auto" where there are texts
        without labels.
    """

    vocabulary_size: int
    max_tokens: int
    keep: Keep
    table: WordTable
    word_dropout: float | Literal["auto"]
    evidence: int
    linear: bool
    cooccurrence: bool | Literal["auto"] = False
    besides: tuple[str, ...] = ()
    """Texts without labels, of which is learned which words stand near which, too."""
    tokenizer: Tokenizer | None = None
    """That of a language model, where there is one to begin with: then no words are learned."""

    begins: ClassVar[tuple[type[Node], ...]] = (Embed,)
    recurs: ClassVar[bool] = True

    def check(self, X: Any, *, name: str = "X") -> Inputs:
        """Check texts, none of them empty."""
        texts = as_list(X, name, "texts")
        check_texts(texts, where=in_argument(name))
        return texts

    def learn(
        self, examples: Labelled, classes: int, weights: Weights32 | None, *, seed: int, stored: Json | None = None
    ) -> Read:
        """Train the tokenizer, count n-grams, and fit the linear part."""
        texts = examples.x
        assert isinstance(texts, list)
        if not (self.evidence or self.linear):
            tokenizer = self.tokenizer
            if tokenizer is None:
                known = None if stored is None else from_json(stored["tokenizer"])
                tokenizer = known or train_words(texts, self.vocabulary_size)
            tokens = Tokens(tokenizer, self.max_tokens, self.keep, tokenizer.size)
            encoded = tokens.encode(texts)
            return Read(tokens, encoded, self._leaving_out(_mean(encoded)))
        most = max(self.vocabulary_size, MOST_WORDS)
        tokenizer = self.tokenizer or train_words(texts, most, min_count=least_texts(len(texts)))
        whole = tokenizer.encode(texts)
        plain = Tokens(tokenizer, self.max_tokens, self.keep, self._known_words(whole, tokenizer.size))
        counts = examples.shares(classes)
        if weights is not None:
            counts = (counts * weights[:, None]).astype(np.float32)
        tell(len(texts), "counting n-grams")
        spelled = self.linear and (len(whole.values) < SHORT * len(whole) or len(texts) <= FEW)
        learned = learn_ngrams(
            whole,
            spell_out(tokenizer, texts) if spelled else None,
            counts,
            size=tokenizer.size,
            longest=self.evidence,
            features=self.linear,
            seed=seed,
        )
        tokens = Tokens(tokenizer, self.max_tokens, self.keep, plain.words, learned.ngrams)
        kept = tokens.kept(whole)
        ids = tokens.known(whole.where(kept))
        x: Sequences = Documents(ids, learned.beside[kept]) if learned.ngrams.columns else ids
        read = Read(tokens, x, self._leaving_out(_mean(x)), embedding_scale=_EMBEDDING_SCALE)
        read = replace(read, chosen=self._chosen(tokens, _mean(x), len(texts)))
        if learned.features is None:
            return read
        assert learned.ngrams.features is not None
        rule = LinearRule.of(len(texts), classes, several=examples.several, taught=examples.soft is not None)
        width = learned.ngrams.features.width
        linear = rule.fit(learned.features, examples, counts, weights, width=width, classes=classes)
        chosen = (*read.chosen, Choice("linear_characters", spelled, _CHARACTERS), *rule.choices())
        return replace(read, whole=answering_together(linear, rule.share), chosen=chosen)

    def _chosen(self, tokens: Tokens, tokens_each: float, texts: int) -> tuple[Choice, ...]:
        """Tell what followed from the training part, but for the linear part."""
        found = [
            Choice("words", tokens.words, "those that come at least twice, at most vocabulary_size"),
            Choice("least_texts", least_texts(texts), f"an n-gram stands in: 1 up to {MANY:,} texts, else 2"),
        ]
        if self.word_dropout == "auto":
            found.insert(0, Choice("word_dropout", self._left_out(tokens_each), _DROPPED))
        if self.evidence and tokens.ngrams is not None:
            beside = tokens.ngrams.columns // tokens.ngrams.grams.longest
            found.append(Choice("evidence_columns", beside, _COLUMNS))
        return tuple(found)

    def _known_words(self, whole: Ragged, size: int) -> int:
        """Count the ids of words that come at least twice; ids are sorted by how often."""
        if self.tokenizer is not None:
            return size
        counts = np.bincount(np.asarray(whole.values), minlength=size)
        return int(np.clip(1 + np.count_nonzero(counts[1:] > 1), 2, min(self.vocabulary_size, size)))

    def restore(self, stored: Json, arrays: Mapping[str, Array]) -> Tokens:
        """Read the tokenizer, and the n-grams where there are any."""
        tokenizer = from_json(stored["tokenizer"])
        if "words" not in stored:
            return Tokens(tokenizer, self.max_tokens, self.keep, tokenizer.size)
        words, letters = stored["words"], stored["letters"]
        if type(words) is not int or not 1 <= words <= tokenizer.size or not isinstance(letters, str | None):
            raise ValueError("it does not say which words its network knows, or which letters are told apart")
        ngrams = NGrams.restore(tokenizer.size, letters, arrays)
        return Tokens(tokenizer, self.max_tokens, self.keep, words, ngrams)

    def first_nodes(self, preparation: Preparation) -> tuple[tuple[Node, ...], int]:
        """Embed the words."""
        assert isinstance(preparation, Tokens)
        beside = 0 if preparation.ngrams is None else preparation.ngrams.columns
        embed = Embed(vocabulary_size=preparation.input_size, size=self.table.size, beside=beside)
        return (embed,), self.table.size + beside

    def begin(self, plan: Plan, preparation: Preparation, x: Sequences) -> Plan:
        """Give the words the vectors of a file, or of what they stand near, if either is asked for."""
        assert isinstance(preparation, Tokens)
        if self.cooccurrence is True:
            return self._begin_near(plan, preparation, x)
        ids = np.asarray((x.tokens if isinstance(x, Documents) else x).values)
        counts = np.bincount(ids, minlength=preparation.words)
        return self.table.begin(plan, preparation.tokenizer.vocabulary[: preparation.words], counts)

    def _begin_near(self, plan: Plan, preparation: Tokens, x: Sequences) -> Plan:
        """Give the words vectors that tell which words they stand near, in texts with and without labels."""
        tokens = x.tokens if isinstance(x, Documents) else x
        tell(len(tokens) + len(self.besides), "counting which words stand near which")
        assert isinstance(tokens, Ragged)
        cut: dict[str, Any] = {"max_tokens": self.max_tokens, "keep": self.keep}
        more = preparation.known(preparation.tokenizer.encode(list(self.besides), **cut))
        tokens = Ragged.from_list([*tokens.to_list(), *more.to_list()], dtype=np.int32)
        name, (words, size) = next(iter(parameter_shapes(plan.network).items()))
        vectors = learn_vectors(tokens, words=words, size=size, seed=self.table.seed)
        frozen = frozenset[str]() if self.table.train else frozenset([name])
        return begin_with(plan, {name: vectors}, frozen=frozen, told={"texts": len(tokens)})

    def with_unlabelled(self, inputs: Inputs) -> TextReader:
        """Learn which words stand near which of texts without labels, too."""
        return replace(self, cooccurrence=bool(self.cooccurrence), besides=tuple(inputs))

    def _leaving_out(self, tokens_each: float) -> Callable[[Any, np.random.Generator], Any]:
        """Leave words out of a training batch, with what stands beside them.

        They are not replaced by the unknown word, which would make training texts unlike those to predict: on IMDB the
        validation loss is 0.256 instead of 0.271 (November 2026), and what is left out need not be computed.
        """
        share = self._left_out(tokens_each)
        if not share:
            return lambda x, rng: x
        return lambda x, rng: x.where(rng.random(int(x.offsets[-1]), np.float32) >= share)

    def _left_out(self, tokens_each: float) -> float:
        if self.word_dropout != "auto":
            return self.word_dropout
        return 0.3 if tokens_each < VERY_SHORT else 0.5


def _mean(x: Sequences) -> float:
    return float(np.mean(x.lengths)) if len(x) else 0.0


def as_texts(X: Any) -> Inputs:
    """Check texts to be answered, any of which may be empty."""
    texts = as_list(X, "X", "texts")
    check_texts(texts, where=in_argument("X"), allow_empty=True)
    return texts
