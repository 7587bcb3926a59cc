"""Classifies texts: tokens through an embedding, a recurrent layer, a pool and a dense layer. Knows no files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, PlainValidator

from tidegate.cells import USUAL, CellOption
from tidegate.data.tokenizer import Keep
from tidegate.documents import Documents
from tidegate.errors import InputError
from tidegate.export import Interface
from tidegate.network import Merge, Network, PoolModes, Size
from tidegate.offers import Inside
from tidegate.ragged import Ragged
from tidegate.runtime import Prepared, Stream
from tidegate.tasks.card import Card
from tidegate.tasks.classifying.answering import (
    accuracy,
    answers,
    interface,
    looked_into,
    prepared,
    probabilities,
    tagged,
)
from tidegate.tasks.classifying.card import TEXTS
from tidegate.tasks.classifying.choosing import Aim, Thresholds
from tidegate.tasks.classifying.classifier import (
    LATER,
    Classes,
    Classifying,
    Multilabel,
)
from tidegate.tasks.classifying.naming import Naming
from tidegate.tasks.classifying.reading import TextReader, Tokens, as_texts
from tidegate.tasks.classifying.teaching import Teacher
from tidegate.tasks.embeddings import VectorFile, WordTable
from tidegate.tasks.fitting import Plan
from tidegate.tasks.pretrained import ModelPath, read_pretrained
from tidegate.tasks.task import Array, Count, Json, Share, Task
from tidegate.tasks.weights import ClassWeight, read_class_weight

FEW = 4000  # texts, up to which an update is made of 16


@dataclass(kw_only=True, eq=False, repr=False)
class TextClassifier(Task[Classes]):
    """Classify texts in the manner of scikit-learn: `X` is a list of B texts, `y` their labels.

    >>> texts = ["good fun", "really good", "good", "bad", "so bad", "bad film"] * 4
    >>> labels = ["pos", "pos", "pos", "neg", "neg", "neg"] * 4
    >>> classifier = TextClassifier(hidden_size=4, epochs=8, batch_size=4, learning_rate=0.05, validation_fraction=0)
    >>> classifier.fit(texts, labels).predict(["good good", "bad bad"]).tolist()
    ['pos', 'neg']

    For `dense_size` and `chrono`, 0 means none.

    Args:
        vocabulary_size: distinct words, at most, the most frequent ones of the training part.
        max_tokens: longer texts are cut.
        keep: which end of a text that is too long is kept, `first` or `last`.
        embedding_size: features of a word; as many as the vectors of `embeddings` have, if there are any.
        embeddings: a file of vectors that words begin with, of GloVe, word2vec or fastText (see `data.vectors.read`).
        train_embeddings: whether those move in training.
        cooccurrence: whether words begin with vectors that tell which words they stand near in the texts (see
            `tasks.cooccurrence`). With True `fit` also takes texts whose label is None, and learns that of them: it is
            for those, as the texts with labels alone are too few.
            "auto" is True where a teacher has such texts, unless words begin with something else.
        word_dropout: share of words left out of each text, other ones each time that it is trained on; "auto" takes
            0.3 for texts of fewer than 16 tokens on average, else 0.5.
        evidence: words of the longest n-gram that tells, beside each token at which it ends, how much more often it
            stands in texts of each class; 0 for none.
        linear: whether a linear model over n-grams answers, too: the answer is the mean of the two log-probabilities.
        cell: `rnn` (tanh), `rnn_relu`, `lstm` or `gru`.
        hidden_size: units of each direction.
        num_layers: stacked layers.
        bidirectional: read from both ends.
        merge: how the two directions are put together: `concat`, `sum`, `mul` or `ave`.
        pooling: what is kept of the steps of a sequence: any of `last`, `first`, `max`, `mean`.
        dense_size: units of a hidden dense layer with relu before the output.
        dropout: share of features dropped before the output, and between stacked layers.
        recurrent_dropout: share of hidden units cut off from the next step, the same ones over a whole sequence.
        chrono: the longest memory, in steps, that the task asks for: gates start out to keep things that long (see
            `train.initial_weights`), where an LSTM otherwise starts with a forget bias of one.
        class_weight: how much the examples of each class count in the loss: a weight for each label, 1 for those that
            are not named; or "balanced", n / (K * count), so that all classes count the same in sum. None weighs all
            examples the same. It multiplies `sample_weight`.
        validation_fraction: share of each class held out to measure on, unless `valid` is passed; 0 holds out none.
        calibrate: divide the scores by the temperature with which the loss of the part held out is least, so that
            probabilities come true as often as they say (Guo et al. 2017); which class is likeliest stays the same.
            Nothing is done where nothing is held out.
        multilabel: whether an input may have several labels, or none: `y` then holds a list, tuple or set of them for
            each. "auto" takes that for what is meant where any label of `y` is one.
        thresholds: "f1" chooses, on the part held out, from which probability on each of several labels is named, or
            the rarer one of two classes, so that its F1 is largest; None names what is more likely than not.
        refit: train anew on all rows, the part held out among them, for as many epochs as that part was best after; the
            temperature is that of the first training. What was measured is of the model before.
        pretrained: a run folder or model file of a `LanguageModel`, whose tokens, embedding and recurrent layers the
            classifier begins with; `cell`, `hidden_size`, `num_layers`, `embedding_size` and `vocabulary_size` are then
            those of the model. The file is needed in training alone. None begins with drawn weights.
        teacher: a run folder or model file of another `TextClassifier` of the same classes. `fit` then also takes texts
            whose label is None, and learns of them what the teacher says: how likely each class is. It is needed in
            training alone.
        others: see `Task`.
    """

    card: ClassVar[Card] = TEXTS
    later: ClassVar[Json] = {"evidence": 0, "linear": False, "cooccurrence": False, **LATER}

    cell: CellOption = USUAL
    hidden_size: Size = 64
    num_layers: Annotated[int, Field(ge=1, le=64)] = 1
    bidirectional: bool = True
    merge: Merge = "concat"
    pooling: PoolModes = ("max", "mean")
    dense_size: Annotated[int, Field(ge=0, le=2**16)] = 0
    dropout: Share = 0.5
    recurrent_dropout: Share = 0.0
    chrono: Annotated[int, Field(ge=0)] = 0
    class_weight: Annotated[ClassWeight, PlainValidator(read_class_weight)] = None
    validation_fraction: Share = 0.0
    calibrate: bool = True
    refit: bool = False
    multilabel: Multilabel = "auto"
    thresholds: Aim = None

    batch_size: Count | Literal["auto"] = "auto"
    vocabulary_size: Count = 30_000
    max_tokens: Count = 500
    keep: Keep = "last"
    embedding_size: Size = 64
    embeddings: VectorFile = None
    train_embeddings: bool = True
    cooccurrence: bool | Literal["auto"] = "auto"
    word_dropout: Share | Literal["auto"] = "auto"
    evidence: Annotated[int, Field(ge=0, le=8)] = 4
    linear: bool = True
    pretrained: ModelPath = None
    teacher: ModelPath = None

    def predict(self, X: Any) -> Array:
        """Name the most probable class of each input, `[B]`, in the type of the labels that were trained on.

        Of a model of several labels each is a list, of those that are more likely than not.
        """
        return answers(self._require_fitted(), as_texts(X))

    def predict_proba(self, X: Any) -> Array:
        """Compute the probability of each class, `[B, K]` float32, in the order of `classes_`.

        Of a model of several labels each has a probability of its own, and they do not add up to one. The numbers of
        one input depend, to the bit, neither on the other inputs nor on threads.
        """
        return probabilities(self._require_fitted(), as_texts(X))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Compute the accuracy, the share of inputs whose class, or whole set of labels, is predicted.

        Labels are read in the kind of `classes_`: "1", 1 and 1.0 are one label. With weights, `[B]`, it is their share.

        Raises DataError, naming the row, for a label that no training example has.
        """
        return accuracy(self._require_fitted(), as_texts(X), y, sample_weight)

    def stream(self, *, lookahead: int | None = None, state: bytes | None = None) -> Any:
        """Begin a live sequence; see `Task.stream`. What steps and answers are, `prepare_stream` says."""
        return Stream.of(self.prepare_stream(lookahead=lookahead), state=state)

    def prepare_stream(self, *, lookahead: int | None = None) -> Prepared:
        """Pack the weights for streams, which answer each step with the probability of each class so far, `[K]`."""
        fitted = self._require_fitted()
        if fitted.network.reads_documents:
            raise InputError(
                "this classifier looks at n-grams of whole texts, and cannot answer while one comes in. One that was "
                "trained with evidence=0 and linear=False can."
            )
        return prepared(fitted, lookahead)

    def prepare(self, X: Any) -> tuple[Ragged | Documents, list[str] | None]:
        """Return inputs as the network reads them, and its N steps as text where they are text; for a look inside.

        Raises InputError before `fit`, and as `predict` does.
        """
        return looked_into(self._require_fitted(), as_texts(X))

    def inside(self) -> Inside:
        """Say what can be looked into; for `inspect`. Raises InputError before `fit`."""
        fitted = self._require_fitted()
        preparation, classes, names = self.preparation_, self.classes_.tolist(), None
        if preparation.ngrams is not None:
            names = Naming(preparation, preparation.ngrams, len(classes))
        return Inside(
            fitted.network, fitted.weights, self.prepare, classes, self.max_grad_norm, names, self.multilabel_
        )

    def interface(self) -> Interface:
        """Say what surrounds the network in an exported graph; for `export`. Raises InputError before `fit`."""
        fitted, preparation = self._require_fitted(), self.preparation_
        limits = {"max_tokens": preparation.max_tokens, "keep": preparation.keep}
        reading = {"tokenizer": preparation.tokenizer.to_json(), **limits}
        if preparation.ngrams is not None:  # whose tables are not in a graph
            reading |= {"words": preparation.words, "prepared_by": "tidegate.export.graph_inputs"}
        return interface(fitted, self._described(), reading)

    @property
    def classes_(self) -> Array:
        """The labels `[K]`, sorted."""
        return self._learned().learned.classes

    @property
    def multilabel_(self) -> bool:
        """Whether inputs may have several labels, or none."""
        return self._learned().learned.several

    @property
    def chief_measure(self) -> str:
        """The measure that tells how good the model is: `micro_f1` of one of several labels, else `accuracy`."""
        return "micro_f1" if self._fitted is not None and self.multilabel_ else self.chief

    def choose(self, probabilities: Array) -> Array:
        """Name the class of each row of probabilities `[B, K]`, or list its labels, as `predict` does of inputs."""
        return self._require_fitted().learned.choose(probabilities)

    @property
    def thresholds_(self) -> Thresholds | None:
        """From which probability on each class is named, None for one without; None where nothing was chosen."""
        return self._learned().learned.thresholds

    @property
    def temperature_(self) -> float | None:
        """What the scores were divided by so that probabilities come true; None where nothing was held out for that."""
        return self._learned().learned.temperature

    @property
    def preparation_(self) -> Tokens:
        """How input becomes sequences: what was learned from the training input."""
        preparation = self._learned().learned.preparation
        assert isinstance(preparation, Tokens)
        return preparation

    def __sklearn_tags__(self) -> Any:
        return tagged(super().__sklearn_tags__())

    @property
    def _classifying(self) -> Classifying:
        words = TextReader(
            self.vocabulary_size,
            self.max_tokens,
            self.keep,
            WordTable.of(self),
            self.word_dropout,
            self.evidence,
            self.linear,
            False if self.cooccurrence == "auto" and self._begun else self.cooccurrence,
        )
        return Classifying(self, words)

    @property
    def _begun(self) -> str | None:
        """Name the parameter of the files that words begin with, if any does."""
        return next((name for name in ("embeddings", "pretrained") if getattr(self, name) is not None), None)

    def _batch_for(self, rows: int) -> int:
        if not (self.evidence or self.linear):
            return super()._batch_for(rows)
        return (16 if rows <= FEW else 64) if self.batch_size == "auto" else self.batch_size

    def _epochs_for(self, rows: int, updates: int) -> int:
        if self.epochs != "auto" or not (self.evidence or self.linear):
            return super()._epochs_for(rows, updates)
        wanted, most = (200, 12) if rows <= FEW else (480, 8)
        least = 3 if self.teacher is None else 4
        return max(least, ceil(50 / updates), min(most, ceil(wanted / updates)))

    def _rules(self) -> dict[str, str]:
        if not (self.evidence or self.linear):
            return super()._rules()
        epochs = f"200 updates up to {FEW:,} texts, in 3 to 12 epochs, else 480 in 3 to 8 (with a teacher 4 to 8)"
        return {"batch_size": f"16 up to {FEW:,} texts, else 64", "epochs": epochs + "; 50 updates at least"}

    def _plan(
        self, X: Any, y: Any, *, valid: tuple[Any, Any] | None, about: Json | None, sample_weight: Any = None
    ) -> tuple[Plan, Classes]:
        passed: dict[str, Any] = {"valid": valid, "about": about, "sample_weight": sample_weight}
        passed["unlabelled"] = self.cooccurrence is True or self.teacher is not None
        if self.cooccurrence is True and self._begun:
            raise InputError(f"cooccurrence and {self._begun} both say what words begin with. Leave one of them out.")
        if self.teacher is not None:
            passed["teacher"] = Teacher.load(self.teacher, task=self.name)
        if self.pretrained is None:
            return self._classifying.plan(X, y, self._planned, **passed)
        begun = read_pretrained(self.pretrained, about=about)
        same = begun.settle(self, vocabulary_size=begun.tokenizer.size, chrono=0)._classifying
        assert isinstance(same.reader, TextReader)
        same = replace(same, reader=replace(same.reader, tokenizer=begun.tokenizer))
        plan, learned = same.plan(X, y, self._planned, **passed)
        begin, again = begun.let_begin(plan), plan.refit
        return (begin if again is None else replace(begin, refit=lambda past: begun.let_begin(again(past)))), learned

    def _arrays(self) -> dict[str, Array]:
        return self.preparation_.arrays()

    def _read_learned(self, stored: Json, network: Network) -> Classes:
        learned = self._classifying.restore(stored, network)
        assert isinstance(learned.preparation, Tokens)
        learned.preparation.check(network)
        return learned
