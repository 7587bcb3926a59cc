"""Models a language: which word, piece of a word or character comes next. Writes texts, and fills gaps in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from tidegate.cells import USUAL, CellOption
from tidegate.data.checks import check_texts, in_argument
from tidegate.data.frames import as_list
from tidegate.data.streams import Chunk, Streams
from tidegate.data.tokenizer import Tokenizer, train_bpe, train_graphemes, train_words
from tidegate.engine import CrossEntropy
from tidegate.errors import Argument, DataError, InputError, OptionError
from tidegate.export import SequenceInterface
from tidegate.health import Background
from tidegate.kernels import softmax
from tidegate.network import Dense, Dropout, Embed, Network, Node, Recurrent, Size, Tied
from tidegate.offers import Inside
from tidegate.ragged import Ragged
from tidegate.runtime import Executor, Prepared, Sampling, Stream, Writer
from tidegate.tasks.card import Card
from tidegate.tasks.embeddings import VectorFile, WordTable
from tidegate.tasks.fitting import Plan, fingerprint
from tidegate.tasks.language.card import CARD
from tidegate.tasks.language.corpus import (
    Vocabulary,
    check_prompt,
    learn_vocabulary,
    log_probabilities,
    mean_measures,
    read_vocabulary,
    shares,
    turned,
)
from tidegate.tasks.language.gaps import Completion, fill, gap_accuracy
from tidegate.tasks.parameters import CELLS
from tidegate.tasks.task import Array, Count, Json, Share, Task
from tidegate.train import Asked


@dataclass(kw_only=True, eq=False, repr=False)
class LanguageModel(Task[Vocabulary]):
    """Learn which token comes next from texts: `X` is a list of them, there is no `y`.

    Training reads the texts in `batch_size` streams, `steps` tokens of each per update. Back-propagation ends there,
    but the state is carried on, and begins anew with each text.

    >>> texts = ["the sea is wide", "the sea is deep", "the wood is deep"] * 8
    >>> model = LanguageModel(hidden_size=32, epochs=20, batch_size=4, learning_rate=0.02, validation_fraction=0)
    >>> model.fit(texts).predict(["the sea", "the wood is"])
    ['is', 'deep']

    Args:
        tokens: what a token is: `words`, `characters`, or `bpe`, pieces of words that any text can be written with.
        vocabulary_size: distinct tokens, at most, the most frequent ones of the training part.
        keep_case: of words, tell `The` from `the`; without it all is read and written in lower case.
        direction: `forward`, or `both` for a model that also learns to read texts from their end, as `complete` needs.
        cell: `rnn` (tanh), `rnn_relu`, `lstm` or `gru`.
        embedding_size: features of a token; 0 takes as many as the hidden size, or as the vectors of `embeddings` have.
        embeddings: a file of vectors that words begin with, of GloVe, word2vec or fastText (see `data.vectors.read`).
        train_embeddings: whether those move in training.
        hidden_size: units of each recurrent layer, but for the last one of a tied model of several.
        num_layers: stacked layers.
        tied: the output shares the table of the embedding, and the last layer has as many units as a token features.
        steps: tokens of each stream per update.
        embedding_dropout: share of words hidden from an update, wherever they stand.
        input_dropout: share of the features of the embedding dropped, the same ones over all steps of a text.
        hidden_dropout: the same between layers.
        dropout: the same before the output.
        weight_dropout: share of the entries of recurrent matrices dropped from an update.
        average: share of the past in a moving average of the weights, which is measured and kept; 0 keeps the weights
            of the last step.
        validation_fraction: share of the tokens, in whole texts, held out to measure on, unless `valid` is passed; 0
            holds out none.
        batch_size: streams that are read side by side.
        others: see `Task`.
    """

    card: ClassVar[Card] = CARD

    tokens: Literal["words", "bpe", "characters"] = "words"
    vocabulary_size: Count = 10_000
    keep_case: bool = True
    direction: Literal["forward", "both"] = "forward"
    cell: CellOption = USUAL
    embedding_size: Annotated[int, Field(ge=0, le=2**16)] = 0
    embeddings: VectorFile = None
    train_embeddings: bool = True
    hidden_size: Size = 256
    num_layers: Annotated[int, Field(ge=1, le=16)] = 1
    tied: bool = True
    steps: Count = 64
    embedding_dropout: Share = 0.0
    input_dropout: Share = 0.0
    hidden_dropout: Share = 0.0
    dropout: Share = 0.3
    weight_dropout: Share = 0.0
    average: Share = 0.0
    validation_fraction: Share = 0.1

    epochs: Count | Literal["auto"] = 20
    batch_size: Count = 32

    def predict(self, X: Any) -> list[str]:
        """Name the most probable next token after each of B texts; where that is the end of the text, an empty one."""
        vocabulary = self.vocabulary_
        return [vocabulary.spell(int(token)) for token in self.predict_proba(X).argmax(axis=1)]

    def predict_proba(self, X: Any) -> Array:
        """Compute the probability of each token to come next after each of B texts, `[B, V]` float32.

        Tokens stand in the order of the tokenizer, and after them the start and the end of a text. The numbers of one
        text depend, to the bit, neither on the other texts nor on threads.
        """
        executor = self._executor()
        begun, _ = self.prepare(X)
        rows, _ = executor.advance(begun, {})
        return softmax(executor.head(rows[np.asarray(begun.offsets[1:]) - 1]))

    def stream(self, *, lookahead: int | None = None, state: bytes | None = None) -> Any:
        """Begin a live sequence; see `Task.stream`. What steps and answers are, `prepare_stream` says."""
        return Stream.of(self.prepare_stream(lookahead=lookahead), state=state)

    def prepare_stream(self, *, lookahead: int | None = None) -> Prepared:
        """Pack the weights for streams, each of a text from its very beginning.

        A step is a token, by its id or as a text of any number of tokens, and is answered with the probability of each
        token to come next, `[V]`; a list of either may be pushed. A piece of a text ends where a word ends, if the
        tokens are words.
        """
        vocabulary = self.vocabulary_
        return Prepared(self._executor(), lookahead, read=vocabulary.read, say=softmax, begin=(vocabulary.start,))

    def prepare(self, X: Any) -> tuple[Ragged, list[str] | None]:
        """Turn texts into ids as the network reads them, `[N]` int32, and the tokens as text, the start as `<start>`.

        Raises InputError before `fit`, or where X are no texts.
        """
        vocabulary = self.vocabulary_
        texts = self._check_inputs(X, allow_empty=True)
        ids = [document[:-1] for document in vocabulary.documents(texts)]
        steps = [step for text in texts for step in ("<start>", *vocabulary.tokenizer.tokenize(text))]
        return Ragged.from_list(ids, dtype=np.int32), steps

    def inside(self) -> Inside:
        """Say what can be looked into; for `inspect`. Raises InputError before `fit`."""
        fitted = self._require_fitted()
        return Inside(fitted.network, fitted.weights, self.prepare, self.classes_.tolist(), self.max_grad_norm)

    def interface(self) -> SequenceInterface:
        """Say what surrounds the network in an exported graph; for `export`. Raises InputError before `fit`."""
        fitted, vocabulary = self._require_fitted(), self.vocabulary_
        about = {**self._described(), "tokenizer": vocabulary.tokenizer.to_json(), "direction": self.direction}
        about |= {"start": vocabulary.start, "end": vocabulary.end}
        return SequenceInterface(fitted.network, fitted.weights, about, ending="next")

    @property
    def classes_(self) -> Array:
        """What the output tells apart, `[V]`: the tokens, and the marks of the start and the end of a text."""
        return np.array([*self.vocabulary_.tokenizer.vocabulary, "<start>", "<end>"])

    def score(self, X: Any, y: Any = None) -> float:
        """Compute the mean logarithm of the probability of a token of these texts, their ends included."""
        return -self.measure(X)["loss"]

    def measure(self, X: Any) -> dict[str, float]:
        """Measure how well texts are foreseen, each from its very beginning.

        Returns:
            `loss`, in nats per token, the ends of texts included; `perplexity`, e to the loss; and, but for words, of
            which a text may hold unknown ones, `bits_per_character`.

        Raises InputError where X are no texts.
        """
        return _measure(self._executor(), self.vocabulary_, self._check_inputs(X))

    def perplexities(self, X: Any) -> Array:
        """Compute how badly each of B texts is foreseen from its very beginning, `[B]`: e to its loss per token.

        The end of a text counts as a token, so that an empty one has a perplexity, too. Raises InputError where X are
        no texts.
        """
        texts, vocabulary = self._check_inputs(X, allow_empty=True), self.vocabulary_
        documents = vocabulary.documents(texts)
        found, counts = log_probabilities(self._executor(), documents), np.asarray(documents.lengths) - 1
        losses = -np.bincount(np.repeat(np.arange(len(counts)), counts), found, len(counts)) / counts
        return np.asarray(np.exp(np.minimum(losses, 700.0)))

    def generate(self, prompt: str | None = None, *, length: int = 200, **options: Any) -> str:
        """Write a text, the prompt not included; arguments and errors are those of `write`.

        >>> model = LanguageModel(epochs=10, batch_size=2, validation_fraction=0, learning_rate=0.02)
        >>> model.fit(["one two three four five six"] * 8).generate("one two", temperature=0)
        ' three four five six'
        """
        return "".join(self.write(prompt, length=length, **options))

    def write(
        self, prompt: str | None = None, *, length: int = 200, endless: bool = False, **options: Any
    ) -> Iterator[str]:
        """Write a text token by token, yielding what each adds to it as soon as it is chosen.

        The same arguments give the same text, on every instruction set and any number of threads.

        Args:
            prompt: how the text begins; None begins a new one.
            length: tokens to write, at most.
            endless: do not let the model end the text before.
            options: `temperature`, `top_k`, `top_p` and `seed`; see `runtime.Sampling`.

        Raises:
            InputError: the prompt is empty or holds what the model does not know, or an option is out of its range.
        """
        fitted, vocabulary = self._require_fitted(), self.vocabulary_
        if length < 1:
            raise InputError(f"length={length}; at least 1 token is wanted.")
        begun = [] if prompt is None else check_prompt(prompt, vocabulary).tolist()
        sampling = _sampling(options)
        barred = [0, vocabulary.start, *([vocabulary.end] if endless else [])]
        writer = Writer(fitted.network, fitted.weights, barred=barred)
        writer.read([vocabulary.start, *begun])
        return self._spelled(writer.write(length, sampling), begun)

    def complete(self, text: str, *, count: int = 5) -> Completion:
        """Name the most probable words for the one gap ``___`` of a text, from both sides and from each alone.

        Args:
            text: with two or more underscores where the word is missing.
            count: words to name, at most.

        Raises:
            InputError: the text has no gap or several, or the model knows no words, or reads forwards only.
        """
        self._require_both_ways()
        return fill(self._executor(), self.vocabulary_, text, count=count)

    def measure_gaps(self, X: Any, *, seed: int = 0) -> dict[str, float]:
        """Measure how often the most probable word for a gap is the right one: one gap in each of B texts.

        Args:
            X: the texts; those whose gap falls on a word that the model does not know are left out.
            seed: another seed draws other gaps.

        Returns:
            The shares for the `left` side alone, the `right` side alone, and `both`.

        Raises:
            InputError: the model knows no words, or reads forwards only; or X are no texts.
        """
        self._require_both_ways()
        return gap_accuracy(self._executor(), self.vocabulary_, self._check_inputs(X), seed=seed)

    @property
    def fills_gaps(self) -> bool:
        """Tell whether `complete` can be asked: the tokens are words, and texts are read both ways."""
        return self.vocabulary_.tokenizer.spelling == "words" and self._require_fitted().params["direction"] == "both"

    @property
    def vocabulary_(self) -> Vocabulary:
        """The tokens, and how often each was met."""
        return self._require_fitted().learned

    def _spelled(self, tokens: Iterator[int], begun: Sequence[int]) -> Iterator[str]:
        vocabulary = self.vocabulary_
        decoder, end = vocabulary.tokenizer.decoder(), vocabulary.end
        for token in begun:
            decoder.feed(token)
        for token in tokens:
            if token == end:
                break
            yield decoder.feed(token)
        yield decoder.finish()

    def _require_both_ways(self) -> None:
        if self.fills_gaps:
            return
        if self.vocabulary_.tokenizer.spelling != "words":
            raise InputError("a gap is filled with a word; this model knows smaller tokens. Train on tokens='words'.")
        raise InputError("this model reads forwards only. Train with direction='both' to see both sides of a gap.")

    def _executor(self) -> Executor:
        return self._require_fitted().executor

    @staticmethod
    def _check_inputs(X: Any, *, name: str = "X", allow_empty: bool = False) -> list[str]:
        texts = as_list(X, name, "texts")
        check_texts(texts, where=in_argument(name), allow_empty=allow_empty)
        return texts

    def _plan(
        self, X: Any, y: Any, *, valid: tuple[Any, Any] | None, about: Json | None, sample_weight: Any = None
    ) -> tuple[Plan, Vocabulary]:
        if y is not None:
            raise InputError("y came with texts to learn a language from, which need none. Leave it out.")
        if sample_weight is not None:
            raise InputError("sample_weight: a language model weighs all tokens the same. Pass a text twice instead.")
        if not (texts := self._check_inputs(X)):
            raise DataError("there are no texts; a language model needs at least one.")
        held = None if valid is None else self._check_inputs(valid[0], name="valid X")
        if held is None and self.validation_fraction:
            texts, held = self._hold_out(texts)
        tokenizer = self._train_tokenizer(texts) if about is None else read_vocabulary(about).tokenizer
        vocabulary, documents = learn_vocabulary(tokenizer, texts)
        corpus = Corpus.of(documents, both=self.direction == "both")
        network = self._network(vocabulary.size)
        plan = self._planned(
            network=network,
            streams=Streams(corpus.lengths, min(self.batch_size, len(corpus.tokens)), self.steps),
            loss=partial(stream_loss, corpus),
            measure=None if held is None else lambda weights: _measure(Executor(network, weights), vocabulary, held),
            learned=vocabulary,
            data=fingerprint((corpus.tokens, corpus.lengths), None if held is None else map(_bytes, held)),
            background=Background(guess=_entropy(vocabulary.counts)),
        )
        plan = replace(plan, recipe=plan.recipe | {"average": self.average})
        return WordTable.of(self).begin(plan, tokenizer.vocabulary, vocabulary.counts), vocabulary

    def _hold_out(self, texts: list[str]) -> tuple[list[str], list[str]]:
        kept, held = shares(list(map(len, texts)), self.validation_fraction, seed=self.seed)
        if len(held):
            return [texts[i] for i in kept], [texts[i] for i in held]
        (only,) = texts  # of a single text, the end is held out
        cut = round(len(only) * (1 - self.validation_fraction))
        if not only[:cut].strip() or not only[cut:].strip():
            advice = ("Pass more, or ", Argument("validation_fraction", 0), ".")
            raise DataError("the corpus is too short to hold a part of it out. ", *advice)
        return [only[:cut]], [only[cut:]]

    def _train_tokenizer(self, texts: Sequence[str]) -> Tokenizer:
        match self.tokens:
            case "words":
                return train_words(texts, self.vocabulary_size, keep_case=self.keep_case)
            case "characters":
                return train_graphemes(texts, self.vocabulary_size)
            case "bpe":
                return train_bpe(texts, self.vocabulary_size)

    def _network(self, size: int) -> Network:
        if self.embeddings is not None and self.tokens != "words":
            raise InputError(f"embeddings are vectors of words, but tokens={self.tokens!r}. Leave one of them out.")
        features = WordTable.of(self).size or self.hidden_size
        if self.tied and self.num_layers == 1 and features != self.hidden_size:
            raise InputError(
                f"a tied model of one layer has as many units as features, but hidden_size={self.hidden_size} and "
                f"embedding_size={features}. Make them equal, or pass more layers or ", Argument("tied", False), ".",
            )  # fmt: skip
        nodes: list[Node] = [
            Embed(vocabulary_size=size, size=features, dropout=self.embedding_dropout),
            *_dropout(self.input_dropout),
        ]
        width = features
        for layer in range(self.num_layers):
            last = layer == self.num_layers - 1
            units = features if self.tied and last else self.hidden_size
            nodes.append(
                Recurrent(
                    cell=CELLS[self.cell], input_size=width, hidden_size=units, weight_dropout=self.weight_dropout
                )
            )
            nodes += _dropout(self.dropout if last else self.hidden_dropout)
            width = units
        output = Dense(in_features=width, out_features=size)
        return Network.of(*nodes, Tied(vocabulary_size=size, size=width) if self.tied else output)

    def _read_learned(self, stored: Json, network: Network) -> Vocabulary:
        vocabulary = read_vocabulary(stored)
        if not vocabulary.size == network.input_size == network.output_size:
            raise ValueError(
                f"it knows {vocabulary.size} tokens; its network reads {network.input_size} and foresees "
                f"{network.output_size}"
            )
        first, *inner, last = network.nodes
        onward = all(not (node.bidirectional or node.reverse) for node in inner if isinstance(node, Recurrent))
        plain = all(isinstance(node, Recurrent | Dropout) for node in inner) and isinstance(last, Dense | Tied)
        if not (isinstance(first, Embed) and plain and onward):
            raise ValueError("its network is not an embedding, recurrent nodes that read forwards, and one output node")
        return vocabulary


@dataclass(frozen=True, eq=False)
class Corpus:
    """Hold what is read and what is to be foreseen at each step, document after document."""

    tokens: Array  # [N] int32
    targets: Array  # [N] int64
    lengths: Array  # [D]

    @classmethod
    def of(cls, documents: Ragged, *, both: bool) -> Corpus:
        """Pair the ids of documents, marks included, with those that follow; with `both`, from either end."""
        ways = [documents, turned(documents)] if both else [documents]
        inputs = [way[:-1] for each in ways for way in each]
        targets = [way[1:] for each in ways for way in each]
        lengths = np.array(list(map(len, inputs)), np.int64)
        return cls(np.concatenate(inputs), np.concatenate(targets).astype(np.int64), lengths)


def stream_loss(corpus: Corpus, chunk: Chunk, _rng: np.random.Generator) -> Asked:
    """Make the mean cross-entropy of a chunk, in nats per token."""
    batch = Ragged(corpus.tokens[chunk.tokens], chunk.offsets)
    weight = np.full(len(batch), 1 / max(len(chunk), 1))
    return Asked(batch, CrossEntropy(corpus.targets[chunk.tokens], weight))


def _sampling(options: dict[str, Any]) -> Sampling:
    known = [field.name for field in fields(Sampling)]
    for name in options:
        if name not in known:
            raise OptionError.unknown("option", name, [*known, "length", "endless"])
    return Sampling(**options)


def _measure(executor: Executor, vocabulary: Vocabulary, texts: list[str]) -> dict[str, float]:
    exact = vocabulary.tokenizer.spelling != "words"
    found = log_probabilities(executor, vocabulary.documents(texts))
    return mean_measures(found, sum(map(len, texts)) if exact else None)


def _entropy(counts: Array) -> float:
    """Compute the loss, in nats, of foreseeing each token by nothing but how often it comes."""
    shares = counts[counts > 0] / counts.sum()
    return -float((shares * np.log(shares)).sum())


def _dropout(p: float) -> list[Node]:
    return [Dropout(p=p, per_sequence=True)] if p else []


def _bytes(text: str) -> Array:
    return np.frombuffer(text.encode(), np.uint8)
