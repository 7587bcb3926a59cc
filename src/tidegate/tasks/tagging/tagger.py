"""Tags the words of sentences: words and characters through a BiLSTM to a conditional random field. Knows no files.

The set-up is that of Huang, Xu, Yu (2015) and Lample et al. (2016): a BiLSTM-CRF, with a small BiLSTM that reads the
characters of each word.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from tidegate.cells import USUAL, CellOption
from tidegate.data import schemes
from tidegate.data.schemes import Scheme
from tidegate.data.tokenizer import train_spelling, train_whole_words
from tidegate.data.wordsplit import Piece
from tidegate.documents import Documents
from tidegate.engine import CrfLikelihood
from tidegate.errors import Argument, DataError, InputError
from tidegate.export import SequenceInterface
from tidegate.health import Background, entropy
from tidegate.kernels import crf
from tidegate.network import Crf, Dense, Dropout, Embed, Network, Node, Pool, Recurrent, Size, Spell
from tidegate.offers import Inside
from tidegate.ragged import Ragged
from tidegate.runtime import Executor, Prepared, Stream
from tidegate.tasks.card import Card
from tidegate.tasks.embeddings import VectorFile, WordTable, row_of_length_one
from tidegate.tasks.fitting import Plan, fingerprint
from tidegate.tasks.parameters import CELLS
from tidegate.tasks.pretrained import ModelPath, Pretrained, read_pretrained
from tidegate.tasks.tagging.card import CARD
from tidegate.tasks.tagging.evidence import learn_tag_evidence
from tidegate.tasks.tagging.live import TaggerStream
from tidegate.tasks.tagging.paths import Part, make_unknown, measure, moves_of, run_batches
from tidegate.tasks.tagging.reading import (
    LONGEST_SPELLING,
    Reading,
    Sequences,
    TaggedWord,
    Tagging,
    TagSet,
    TextSpan,
    as_pieces,
    check_sentences,
    check_tags,
    folded,
    guess_unit,
    pairs_of,
    place_spans,
)
from tidegate.tasks.tagging.sentences import Sentences
from tidegate.tasks.task import Array, Count, Json, Positive, Share, Task
from tidegate.tasks.weights import relative
from tidegate.train import Asked, Loss

Sentence = Sequence[str]


@dataclass(kw_only=True, eq=False, repr=False)
class TokenTagger(Task[Tagging]):
    """Tag each word of a sentence: parts of speech, names, or anything else that has one tag per word.

    `X` is a list of B sentences, each a list of words; `y` are their tags, each a list of as many tags. To predict, a
    sentence may be a plain text, too: it is cut into words as the training sentences were.

    >>> X = [["the", "tide", "rises"], ["a", "boat", "sails"], ["the", "boat", "rises"]] * 4
    >>> y = [["DET", "NOUN", "VERB"]] * 12
    >>> tagger = TokenTagger(hidden_size=8, epochs=8, batch_size=4, learning_rate=0.05, validation_fraction=0)
    >>> tagger.fit(X, y).predict([["a", "tide", "sails"], "the boat"])
    [['DET', 'NOUN', 'VERB'], ['DET', 'NOUN']]

    Args:
        scheme: how tags spell out spans: `bio`, `iob1`, `bioes`, `bmes` or `bilou`; `auto` finds out which
            explains most, and makes the best of odd tags with a warning; `plain` says that they name no spans.
            Sequences that the scheme forbids are never predicted.
        learn_scheme: the scheme to learn; `same` learns the one that came. What is predicted is in the one that came.
        cell: `rnn` (tanh), `rnn_relu`, `lstm` or `gru`.
        hidden_size: units of each direction.
        num_layers: stacked layers, each read from both ends.
        vocabulary_size: distinct words, at most, the most frequent ones of the training part, upper and lower case
            taken for one.
        min_count: how often a word must occur to be known by name; others are known by their characters.
        embedding_size: features of a word; as many as the vectors of `embeddings` have, if there are any.
        embeddings: a file of vectors that words begin with, of GloVe, word2vec or fastText (see `data.vectors.read`).
        train_embeddings: whether those move in training.
        characters: read the characters of each word, too; where the words are single characters, as in Chinese corpora
            without words, read the pairs that each forms with its neighbours.
        character_embedding_size: features of a character, or of a pair.
        character_hidden_size: units of each direction over the characters.
        dropout: share of features dropped before and after the recurrent layers, and between them.
        recurrent_dropout: share of hidden units cut off from the next step, the same ones over a whole sentence.
        word_dropout: share of words made unknown, other ones each time that a sentence is trained on.
        character_dropout: share of characters, or pairs, made unknown, other ones each time.
        evidence: words of the longest n-gram that tells, beside each word that it lies over, how much more often that
            word has each tag there; 0 for none. It wants `characters=False`, and no tagger that has it can be streamed.
        validation_fraction: share of sentences held out to measure on, unless `valid` is passed; 0 holds out none.
        pretrained: a run folder or model file of a `LanguageModel`, whose words, embedding and recurrent layers the
            tagger begins with; all words that it knows are then known by name, and `cell`, `hidden_size`, `num_layers`
            and `embedding_size` are those of the model. The file is needed in training alone. None begins with drawn
            weights.
        others: see `Task`.
    """

    card: ClassVar[Card] = CARD
    later: ClassVar[Json] = {"evidence": 0}

    scheme: Literal["auto", "plain", "bio", "iob1", "bioes", "bmes", "bilou"] = "auto"
    learn_scheme: Literal["same", "bio", "bioes"] = "same"
    cell: CellOption = USUAL
    hidden_size: Size = 128
    num_layers: Annotated[int, Field(ge=1, le=64)] = 1
    vocabulary_size: Count = 50_000
    min_count: Count = 2
    embedding_size: Size = 100
    embeddings: VectorFile = None
    train_embeddings: bool = True
    characters: bool = True
    character_embedding_size: Size = 32
    character_hidden_size: Size = 48
    dropout: Share = 0.5
    recurrent_dropout: Share = 0.0
    word_dropout: Share = 0.2
    character_dropout: Share = 0.0
    evidence: Annotated[int, Field(ge=0, le=7)] = 0
    validation_fraction: Share = 0.1
    pretrained: ModelPath = None

    epochs: Count | Literal["auto"] = 10
    batch_size: Count = 32
    learning_rate: Positive = 5e-3
    patience: Annotated[int, Field(ge=0)] = 0

    def prepare(self, X: Any) -> tuple[Sequences, list[str]]:
        """Return sentences as the network reads them, and its N words; for a look inside. Raises as `predict` does."""
        reading = self._require_fitted().learned.reading
        words = [[piece.word for piece in pieces] for pieces in as_pieces(X, reading)[1]]
        return reading.encode(words), list(chain.from_iterable(words))

    def predict(self, X: Any) -> list[list[str]]:
        """Find the most probable sequence of tags of each sentence, which the scheme allows; of no words it is empty.

        Raises InputError for a single text; DataError for an empty word, which is named.
        """
        return [tags for [(tags, _)] in self.predict_best(X, 1)]

    def predict_best(self, X: Any, paths: int = 5) -> list[list[tuple[list[str], float]]]:
        """Find the most probable sequences of tags of each sentence, the best first, each with its probability.

        There are fewer than `paths` where a sentence has no more that the scheme allows.
        """
        _, pieces = as_pieces(X, self._require_fitted().learned.reading)
        tag_set = self._require_fitted().learned.tags
        out: list[list[tuple[list[str], float]]] = [[] for _ in pieces]
        for indices, scores in self._scored(pieces):
            tags, found = crf.best_paths(scores, paths)
            totals = crf.forward(scores).log_partition
            for row, index in enumerate(indices):
                words = slice(scores.offsets[row], scores.offsets[row + 1])
                for path in range(paths):
                    if found[row, path] > crf.FORBIDDEN / 2 or path == 0:
                        probability = float(np.exp(min(found[row, path] - totals[row], 0.0)))
                        out[index].append((tag_set.decode(tags[path, words].tolist()), probability))
        return out

    def predict_proba(self, X: Any) -> list[Array]:
        """Compute the probability of each tag at each word: B arrays [T, K] float64, in the order of `tags_`.

        These are marginals: the share of all sequences of tags, weighted by their probability, that have the tag there.
        The numbers of one sentence depend, to the bit, neither on the other sentences nor on threads.
        """
        _, pieces = as_pieces(X, self._require_fitted().learned.reading)
        out: list[Array] = [np.empty((0, 0))] * len(pieces)
        for indices, scores in self._scored(pieces):
            marginals = crf.marginals(scores)
            for row, index in enumerate(indices):
                out[index] = marginals[scores.offsets[row] : scores.offsets[row + 1]]
        return out

    def predict_words(self, X: Any) -> list[list[TaggedWord]]:
        """Predict as `predict` does, and give each word its place in the text and the probability of its tag.

        Words that came cut already are placed as if one space stood between them.
        """
        _, pieces = as_pieces(X, self._require_fitted().learned.reading)
        tag_set = self._require_fitted().learned.tags
        out: list[list[TaggedWord]] = [[] for _ in pieces]
        for indices, scores in self._scored(pieces):
            [numbers], _ = crf.best_paths(scores)
            probability = np.take_along_axis(crf.marginals(scores), numbers[:, None].astype(np.int64), axis=1)[:, 0]
            for row, index in enumerate(indices):
                here = slice(scores.offsets[row], scores.offsets[row + 1])
                tags = tag_set.decode(numbers[here].tolist())
                out[index] = [
                    TaggedWord(piece.word, piece.start, piece.end, tag, float(p))
                    for piece, tag, p in zip(pieces[index], tags, probability[here], strict=True)
                ]
        return out

    def predict_spans(self, X: Any) -> list[list[TextSpan]]:
        """Find the spans that the predicted tags spell out, with their places in each text.

        Where tags name no spans, each word is one.
        """
        texts, _ = as_pieces(X, self._require_fitted().learned.reading)
        return [self.spans_of(text, words) for text, words in zip(texts, self.predict_words(X), strict=True)]

    def spans_of(self, text: str, words: Sequence[TaggedWord]) -> list[TextSpan]:
        """Find the spans among the words of a text that `predict_words` gave."""
        return place_spans(text, words, self._require_fitted().learned.tags.spans([word.tag for word in words]))

    def stream(self, *, lookahead: int | None = 8, state: bytes | None = None) -> TaggerStream:
        """Begin a sentence whose words are tagged as they come, each once `lookahead` more are known.

        Raises InputError before `fit`, for a tagger with evidence, and where `lookahead` is no number of words;
        StateError for the state of another model, or one that was altered.
        """
        fitted = self._require_fitted()
        if fitted.network.reads_documents:
            raise InputError(
                "this tagger looks at n-grams of whole sentences, and cannot answer while one comes in. One that was "
                "trained with evidence=0 can."
            )
        if type(lookahead) is not int or lookahead < 0:
            raise InputError(f"lookahead={lookahead!r}; wanted a number of words, at least 0, such as 8.")
        prepared = Prepared(fitted.executor, lookahead)
        moves = moves_of(prepared.executor, fitted.learned.tags)
        return TaggerStream(Stream.of(prepared, state=state), prepared, fitted.learned, moves)

    def inside(self) -> Inside:
        """Say what can be looked into; for `inspect`. Raises InputError before `fit`."""
        fitted = self._require_fitted()
        return Inside(fitted.network, fitted.weights, self.prepare, self.classes_.tolist(), self.max_grad_norm)

    def interface(self) -> SequenceInterface:
        """Say what surrounds the network in an exported graph; for `export`. Raises InputError before `fit`."""
        fitted = self._require_fitted()
        reading, tags = fitted.learned.reading, fitted.learned.tags
        about = {**self._described(), "labels": list(tags.names), "scheme": tags.learned}
        about |= {**reading.to_json(), "max_characters": LONGEST_SPELLING}
        if reading.evidence is not None:  # whose tables are not in a graph
            about["prepared_by"] = "tidegate.export.graph_inputs"
        return SequenceInterface(fitted.network, fitted.weights, about, penalties=tags.penalties)

    def score(self, X: Any, y: Any) -> float:
        """Compute the accuracy, the share of words whose predicted tag is theirs."""
        sentences = check_sentences(X, allow_empty=True)
        true, found = check_tags(sentences, y), self.predict(sentences)
        pairs = zip(chain.from_iterable(true), chain.from_iterable(found), strict=True)
        return float(np.mean([tag == predicted for tag, predicted in pairs]))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required, tags.input_tags.string = True, True
        return tags

    @property
    def classes_(self) -> Array:
        """The tags [K], as classifiers name their labels; the same as `tags_`."""
        return np.array(self.tags_)

    @property
    def tags_(self) -> tuple[str, ...]:
        """The tags [K], sorted, in the scheme that was learned."""
        return self._learned().learned.tags.names

    @property
    def scheme_(self) -> Scheme | None:
        """The scheme of the tags that were trained on and are predicted; None where they name no spans."""
        return self._learned().learned.tags.given

    @property
    def known_tags(self) -> frozenset[str]:
        """The tags that occur in the training part or follow from it, in the scheme that is predicted."""
        tag_set = self._learned().learned.tags
        if tag_set.given is None:
            return frozenset(tag_set.names)
        labels = {tag.partition("-")[2] for tag in tag_set.names if tag != schemes.OUTSIDE}
        return frozenset(schemes.all_tags(labels, tag_set.given))

    @property
    def chief_measure(self) -> str:
        """The F1 of spans where the tags name some, else the accuracy."""
        return self.chief if self.scheme_ is None else "f1"

    def _plan(
        self, X: Any, y: Any, *, valid: tuple[Any, Any] | None, about: Json | None, sample_weight: Any = None
    ) -> tuple[Plan, Tagging]:
        if self.evidence and self.characters:
            raise InputError(
                "evidence stands beside words that are known by name alone. Pass ", Argument("characters", False), "."
            )  # fmt: skip
        learn = Sentences.check(X, y, sample_weight)
        if not learn.words:
            raise DataError("there are no sentences; a tagger needs at least one.")
        held = None if valid is None else Sentences.check(*valid, part="valid ")
        given = self._given_scheme([*learn.tags, *(held.tags if held else [])])
        learn = learn.settle(given, found_out=self.scheme == "auto")
        held = held and held.settle(given, found_out=self.scheme == "auto", part="valid ")
        learn.warn_of_twins()
        if held is None:
            learn, held = learn.hold_out(self.validation_fraction, seed=self.seed)
        begun = None if self.pretrained is None else read_pretrained(self.pretrained, about=about)
        learned = self._learn(learn.words, learn.tags, given, begun) if about is None else _read(about)
        part = _encoded(learn, learned)
        if self.evidence:
            learned, part = self._with_evidence(learned, part)
        measured = None if held is None else _encoded(held, learned)
        network = (self if begun is None else begun.settle(self))._network(learned)
        plan = self._planned(
            network=network,
            lengths=part.x.lengths,
            loss=self._loss(part, learned.tags),
            measure=None if measured is None else lambda w: measure(Executor(network, w), measured, learned.tags),
            learned=learned,
            data=fingerprint(part.arrays(), None if measured is None else measured.arrays()),
            background=Background(learn.rows, guess=entropy(part.y.values, part.word_weights)),
        )
        if self.evidence:  # whose numbers are as large
            plan = replace(plan, embedding_scale=row_of_length_one(WordTable.of(self).size))
        if begun is not None:
            return begun.let_begin(plan, table=begun.table_for(learned.reading.vocabulary)), learned
        vocabulary = learned.reading.vocabulary
        counts = np.bincount(part.ids, minlength=vocabulary.size)
        return WordTable.of(self).begin(plan, vocabulary.vocabulary, counts, fold=folded), learned

    def _read_learned(self, stored: Json, network: Network) -> Tagging:
        learned = _read(stored)
        first = network.nodes[0]
        characters = first.characters[0] if isinstance(first, Spell) else None
        spelled = None if learned.reading.spelling is None else learned.reading.spelling.size
        if (None if not isinstance(characters, Embed) else characters.vocabulary_size) != spelled:
            raise ValueError("its characters are not those that its network reads")
        evidence = learned.reading.evidence
        columns = 0 if evidence is None else evidence.columns
        if columns != (first.beside if isinstance(first, Embed) else 0):
            raise ValueError(f"its n-grams give {columns} numbers beside each word, which its network does not read")
        if learned.reading.vocabulary.size != network.input_size or not isinstance(first, Embed | Spell):
            raise ValueError(f"it knows {learned.reading.vocabulary.size} words, its network {network.input_size}")
        if len(learned.tags.names) != network.output_size or not isinstance(network.nodes[-1], Crf):
            raise ValueError(f"it names {len(learned.tags.names)} tags, its network scores {network.output_size}")
        return learned

    def _given_scheme(self, tagged: list[list[str]]) -> Scheme | None:
        if self.scheme == "auto":
            return schemes.detect(tagged)
        return None if self.scheme == "plain" else self.scheme

    def _learn(
        self, sentences: list[list[str]], tagged: list[list[str]], given: Scheme | None, begun: Pretrained | None
    ) -> Tagging:
        learned: Scheme | None = given
        if given is not None and self.learn_scheme != "same":
            learned = self.learn_scheme
        words = list(chain.from_iterable(sentences))
        unit = guess_unit(sentences)
        if begun is None:
            vocabulary = train_whole_words(words, self.vocabulary_size, min_count=self.min_count)
        else:
            begun.require_words("characters" if unit == "character" else "words")
            vocabulary = begun.whole_words(words, self.vocabulary_size, min_count=self.min_count)
        spelling = None
        if self.characters and unit == "word":
            spelling = train_spelling(words)
        elif self.characters:
            pairs = [pair for sentence in sentences for _, pair in pairs_of(sentence)]
            spelling = train_whole_words(pairs, self.vocabulary_size, min_count=self.min_count)
        return Tagging(Reading(vocabulary, spelling, unit), TagSet.learn(tagged, given, learned))

    def _arrays(self) -> dict[str, Array]:
        return self._learned().learned.reading.arrays()

    def _with_evidence(self, learned: Tagging, part: Part) -> tuple[Tagging, Part]:
        """Learn what n-grams tell of the tags, and put it beside the words of the training part."""
        ids, y = part.x, np.asarray(part.y.values)
        assert isinstance(ids, Ragged), "words are known by name alone"
        size, longest = learned.reading.vocabulary.size, self.evidence
        evidence, beside = learn_tag_evidence(ids, y, part.word_weights, size=size, longest=longest, seed=self.seed)
        reading = replace(learned.reading, evidence=evidence)
        return replace(learned, reading=reading), replace(part, x=Documents(ids, beside))

    def _network(self, learned: Tagging) -> Network:
        first, features = self._first_node(learned.reading)
        recurrent = Recurrent(
            cell=CELLS[self.cell],
            input_size=features,
            hidden_size=self.hidden_size,
            num_layers=self.num_layers,
            bidirectional=True,
            dropout=self.dropout if self.num_layers > 1 else 0.0,
            recurrent_dropout=self.recurrent_dropout,
        )
        drop = (Dropout(p=self.dropout),) if self.dropout else ()
        size = len(learned.tags.names)
        dense = Dense(in_features=recurrent.output_size, out_features=size)
        return Network.of(first, *drop, recurrent, *drop, dense, Crf(tags=size))

    def _first_node(self, reading: Reading) -> tuple[Node, int]:
        beside = 0 if reading.evidence is None else reading.evidence.columns
        words = Embed(vocabulary_size=reading.vocabulary.size, size=WordTable.of(self).size, beside=beside)
        if reading.spelling is None:
            return words, words.size + beside
        size, hidden = self.character_embedding_size, self.character_hidden_size
        reader = Recurrent(cell=CELLS[self.cell], input_size=size, hidden_size=hidden, bidirectional=True)
        letters = Embed(vocabulary_size=reading.spelling.size, size=size)
        spell = Spell(words=words, characters=(letters, reader, Pool(modes=("last",))))
        return spell, spell.output_size

    def _loss(self, part: Part, tag_set: TagSet) -> Loss:
        """Make the loss of a batch: nats per word, of the whole sequences."""

        def loss(indices: npt.NDArray[np.int64], rng: np.random.Generator) -> Asked:
            x, tags = part.x.select(indices), np.asarray(part.y.select(indices).values)
            own = np.ones(len(indices)) if part.weights is None else part.weights[indices].astype(np.float64)
            batch = make_unknown(x, self.word_dropout, self.character_dropout, rng)
            return Asked(batch, CrfLikelihood(tags, own / max(len(tags), 1), tag_set.penalties))

        return loss

    def _scored(self, pieces: list[list[Piece]]) -> Iterator[tuple[Array, crf.Scores]]:
        """Yield batches of sentences, by their indices, with the scores of their tags."""
        fitted = self._require_fitted()
        x = fitted.learned.reading.encode([[piece.word for piece in words] for words in pieces])
        yield from run_batches(fitted.executor, x, fitted.learned.tags)


def _read(stored: Json) -> Tagging:
    return Tagging(Reading.from_json(stored), TagSet.from_json(stored))


def _encoded(part: Sentences, learned: Tagging) -> Part:
    x, y = learned.reading.encode(part.words), learned.tags.encode(part.tags)
    return Part(x, y, None if part.weights is None else relative(part.weights, y.lengths))
