"""Translates texts: a bidirectional encoder, a decoder that attends to it, and a search for the best output.

The set-up is that of Bahdanau et al. (2015) and Luong et al. (2015), parted so that training needs no loop over steps;
see `building.py`. Knows no files.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field

from tidegate.cells import USUAL, CellOption
from tidegate.checkpoint import digest
from tidegate.data.checks import check_texts, in_argument
from tidegate.data.frames import as_list
from tidegate.data.pairs.sides import choose_pairs, sharing
from tidegate.data.pairs.subwords import Units, train_subwords
from tidegate.data.pairs.tables import SOURCE_NAMES, TARGET_NAMES
from tidegate.data.split import group_split
from tidegate.engine import CrossEntropy
from tidegate.errors import DataError, DataWarning, InputError, RunFolderError
from tidegate.export.pairs import Greedy, PairsInterface
from tidegate.health import Background
from tidegate.network import Network, Score, Size
from tidegate.tasks.card import Card
from tidegate.tasks.embeddings import row_of_length_one
from tidegate.tasks.fitted import Fitted
from tidegate.tasks.fitting import Plan, fingerprint
from tidegate.tasks.parameters import CELLS
from tidegate.tasks.task import Count, Json, Share, Task
from tidegate.tasks.translating.building import Hops, Rule, build
from tidegate.tasks.translating.card import CARD
from tidegate.tasks.translating.gating import with_gates
from tidegate.tasks.translating.live import Source, TranslatorStream
from tidegate.tasks.translating.measuring import Held, aim_of, measure, share_right
from tidegate.tasks.translating.reading import Corpus, Reading, check_sides, normal
from tidegate.tasks.translating.searching import MORE, TIMES, Rules, searcher
from tidegate.tasks.translating.telling import tell
from tidegate.tasks.translating.translations import Translation
from tidegate.train import Asked, Loss

_LANGUAGE = r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*"
_LINES = 1024  # that are read of a stream before they are translated, the shortest first


@dataclass(kw_only=True, eq=False, repr=False)
class Translator(Task[Reading]):
    """Translate texts, or turn any sequence of symbols into another: `X` is a list of texts, `y` their translations.

    Texts are read in the normal form C. Both sides share one vocabulary and one table of embeddings, with which the
    output is compared, too.

    >>> numbers = ["one", "two", "three", "four", "five", "six"]
    >>> words = [(a, b) for a in numbers for b in numbers]
    >>> X = [f"{a} and {b}" for a, b in words]
    >>> y = [f"{numbers.index(b) + 1} + {numbers.index(a) + 1}" for a, b in words]
    >>> small = {"embedding_size": 16, "hidden_size": 16, "decoder_size": 24, "units": "words", "average": 0.0}
    >>> model = Translator(**small, epochs=30, batch_size=6, learning_rate=0.02, validation_fraction=0, dropout=0.1)
    >>> model.fit(X, y).predict(["two and five"])
    ['5 + 2']

    Args:
        source_language: what the language of `X` is called, such as `de`; empty where nobody says.
        target_language: the same of `y`.
        units: what a token is: `subwords`, pieces of words that any text can be written with, `characters` or `words`.
        vocabulary_size: distinct tokens of both sides together, at most; "auto" takes all words or characters, and of
            subwords 9 for each square root of a word of the training part, from 1,000 to 16,000.
        cell: `rnn` (tanh), `rnn_relu`, `lstm` or `gru`.
        embedding_size: features of a token.
        hidden_size: units of each direction of the encoder.
        decoder_size: units of each layer of the decoder.
        num_layers: layers of the encoder.
        hops: how often the decoder attends to the source for each token, each time after a layer of its own.
        attention: how a row of the decoder is compared with one of the encoder: `dot`, `general` (Luong et al. 2015) or
            `additive` (Bahdanau et al. 2015). `dot` wants a decoder twice as wide as a direction of the encoder.
        starts: whether the decoder begins with what the encoder says of the whole source, rather than with zeros.
        dropout: share of features dropped where they enter a layer, the same ones over all tokens of a text.
        recurrent_dropout: the same where the state of a layer enters it again.
        word_dropout: share of words of both sides that are hidden from an update, wherever they stand.
        label_smoothing: share of the truth that is spread over all tokens (Szegedy et al. 2016).
        average: share of the past in a moving average of the weights, which is measured and kept; 0 keeps the weights
            of the last step.
        stop_on: what `patience` looks at on the part held out: `bleu`, `exact` (translations that are exactly right) or
            `loss`; `auto` takes `exact` for characters, else `bleu`, or, where sacrebleu is not installed, the loss,
            and says so.
        longest: tokens of a side, beyond which a pair is left out of training.
        ratio: how many times as long as the other a side may be, beyond which a pair is left out of training.
        validation_fraction: share of pairs held out to measure on, those that share a side together, unless `valid` is
            passed; 0 holds out none.
        others: see `Task`. The validation loss is 100 less BLEU, or the share that is not exactly right.
    """

    card: ClassVar[Card] = CARD

    source_language: str = ""
    target_language: str = ""
    units: Units = "subwords"
    vocabulary_size: Count | Literal["auto"] = "auto"
    cell: CellOption = USUAL
    embedding_size: Size = 256
    hidden_size: Size = 256
    decoder_size: Size = 512
    num_layers: Annotated[int, Field(ge=1, le=16)] = 1
    hops: Hops = 1
    attention: Score = "general"
    starts: bool = True
    dropout: Share = 0.3
    recurrent_dropout: Share = 0.2
    word_dropout: Share = 0.1
    label_smoothing: Share = 0.1
    average: Share = 0.998
    stop_on: Literal["auto", "bleu", "exact", "loss"] = "auto"
    longest: Count = 200
    ratio: Annotated[float, Field(ge=1.0, allow_inf_nan=False)] = 9.0
    validation_fraction: Share = 0.05

    epochs: Count | Literal["auto"] = 16
    batch_size: Count = 64
    learning_rate: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] = 2e-3
    warmup: Share = 0.05
    patience: Annotated[int, Field(ge=0)] = 6

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, *, validation: Any = None) -> Self:
        """Train on texts and their translations.

        Args:
            X: the texts.
            y: a translation of each.
            sample_weight: must be None.
            validation: a pair of texts and translations to measure on after each epoch; None holds out a share.

        Raises:
            InputError: a parameter or the data cannot be used; the parameter or the text is named.
            MissingPackageError: sacrebleu is wanted by name, and not installed.
            TrainingError: the loss is not finite; the last good weights are kept.
        """
        for _ in self.fit_steps(X, y, sample_weight=sample_weight, valid=validation):
            pass
        return self

    def translate(
        self,
        X: Any,
        *,
        beam: int = 5,
        n_best: int = 1,
        prefix: str | Sequence[str] = "",
        copy_unknown: bool = True,
        **options: Any,
    ) -> list[Translation]:
        """Translate B texts; what is found for one depends, to the bit, neither on the others nor on threads.

        Args:
            X: the texts. Any length will do; an empty one gives what the model makes of nothing.
            beam: outputs that a search follows side by side; 1 takes the most probable token of each step.
            n_best: translations to find of each text; all but the best stand in its `alternatives`.
            prefix: how each translation begins, or a list of beginnings, one for each; it ends where a token does.
            copy_unknown: replace what stands for an unknown token by the token of the source that was read most for it;
                else none is written. Subwords spell everything, and need none.
            options: `length_penalty`, `coverage_penalty`, `max_length`, `sampling` and `attention`; see `Rules`.

        Raises InputError or DataError for what cannot be read, and for an option out of its range.
        """
        texts = self._texts(X)
        prefixes = [prefix] * len(texts) if isinstance(prefix, str) else as_list(prefix, "prefix", "texts")
        if len(prefixes) != len(texts):
            raise InputError(f"{len(texts)} texts came with {len(prefixes)} prefixes. Pass one, or one for each.")
        return self._translated(
            self._require_fitted(),
            texts,
            Rules.of(options | {"beam": beam, "n_best": n_best}),
            prefixes,
            copy_unknown=copy_unknown,
        )

    def translate_lines(self, lines: Iterable[str], **options: Any) -> Iterator[Translation]:
        """Translate texts as they come, in their order, with bounded memory; options are those of `translate`.

        So many are read at a time that beams are full; `write` translates one text at once. Raises as `translate` does.
        """
        self.translate([], **options)
        given = iter(lines)
        return chain.from_iterable(
            self.translate(texts, **options) for texts in iter(lambda: list(islice(given, _LINES)), [])
        )

    def write(self, text: str, *, prefix: str = "", max_length: int | None = None) -> Iterator[str]:
        """Translate one text token by token, yielding what each adds as soon as it is chosen: the most probable one.

        All of it together is what `predict` gives with a beam of 1, unless a token is copied.

        Raises InputError or DataError for what cannot be read, before the first token.
        """
        (source,), fitted = self._texts([text]), self._require_fitted()
        reading = fitted.learned
        rules = Rules(beam=1, max_length=max_length)
        sources = reading.sources([source])
        (begun,) = reading.begun([prefix])
        length = len(sources.values) - 1
        tokens = searcher(fitted.executor, reading, apart=True).tokens(sources, rules.limit(length, len(begun)), begun)
        return self._spelled(tokens)

    def predict(self, X: Any) -> list[str]:
        """Translate B texts with a beam of 5, and give the translations alone. Raises as `translate` does."""
        return [told.text for told in self.translate(X)]

    def score(self, X: Any, y: Any = None) -> float:
        """Compute BLEU of the translations from 0 to 1, or, of characters, the share that is exactly right."""
        sources, targets = check_sides(X, y)
        return share_right(self.predict(sources), targets, self.chief_measure)

    def stream(self, *, lookahead: int | None = None, state: bytes | None = None) -> TranslatorStream:
        """Begin a text that is translated while it comes in: anew, with the most probable tokens, at each piece.

        What a source means may change with every word, so that what was translated may change until the end.

        Args:
            lookahead: None; a source is read as a whole whenever it is translated.
            state: where to go on, as another stream of this model gave it.

        Raises:
            InputError: the model is not fitted, or a look-ahead came.
            StateError: the state is truncated, altered or of another model.
        """
        fitted = self._require_fitted()
        if lookahead is not None:
            raise InputError(f"lookahead={lookahead}; a translator reads all that came so far at once. Leave it out.")
        whose = Source(
            lambda text: self._translated(fitted, normal([text]), Rules(beam=1), [""], copy_unknown=True)[0],
            fitted.learned.count,
            digest(fitted.network, fitted.weights),
        )
        return TranslatorStream(whose, state=state)

    @property
    def chief_measure(self) -> str:
        """The measure that tells how good this model is: `bleu`, or of characters `exact`."""
        return "exact" if self.units == "characters" else "bleu"

    @property
    def reading_(self) -> Reading:
        """The tokens of both sides, and what they are called."""
        return self._require_fitted().learned

    @property
    def languages_(self) -> tuple[str, str]:
        """The languages of both sides, empty where nobody said."""
        reading = self._learned().learned
        return reading.source, reading.target

    @classmethod
    def params_of(cls, taken: Mapping[str, str]) -> Json:
        """Take the languages that a reader of pairs found, where it found any."""
        sides = {"source_language": taken.get("from", ""), "target_language": taken.get("to", "")}
        columns = (*SOURCE_NAMES, *TARGET_NAMES)
        return {name: tag for name, tag in sides.items() if re.fullmatch(_LANGUAGE, tag) and tag not in columns}

    def wants(self) -> dict[str, str]:
        """Say how files must be read for it, as options of `data.load` for pairs."""
        named = dict(zip(("from", "to"), self.languages_, strict=True))
        return {name: language for name, language in named.items() if language}

    def interface(self) -> PairsInterface:
        """Say what surrounds the network in exported graphs; for `export`. Raises InputError before `fit`."""
        fitted = self._require_fitted()
        reading = fitted.learned
        about = {**self._described(), "tokenizer": reading.subwords.to_tokenizer(), "units": reading.subwords.units}
        about |= {"start": reading.start, "end": reading.end, "from": reading.source, "to": reading.target}
        how = Greedy(reading.start, reading.end, (reading.subwords.unknown, reading.start), TIMES, MORE)
        return PairsInterface(fitted.network, fitted.weights, about, greedy=how)

    def _plan(
        self, X: Any, y: Any, *, valid: tuple[Any, Any] | None, about: Json | None, sample_weight: Any = None
    ) -> tuple[Plan, Reading]:
        if sample_weight is not None:
            raise InputError("a translator weighs all tokens the same. Leave sample_weight out.")
        sources, targets = check_sides(X, y)
        if not sources:
            raise DataError("there are no examples; a translator needs at least one pair.")
        held = None if valid is None else check_sides(*valid, name="valid X")
        if held is None and self.validation_fraction:
            (sources, targets), held = self._hold_out(sources, targets)
        reading = self._learn(sources, targets) if about is None else Reading.from_json(about)
        corpus = self._corpus(reading, sources, targets)
        longest = int(np.max(corpus.labels.lengths))
        part = None if held is None else Held(held[1], Corpus.of(reading, *map(reading.subwords.encode, held)), longest)
        aim = aim_of(self.stop_on, self.units)
        if about is not None and (before := about.get("aim", aim)) != aim:
            raise RunFolderError(
                f"the run was begun with stop_on='auto', which was {before!r}, and would be {aim!r} here. "
                "Install or remove sacrebleu as it was, or begin a new run."
            )
        network = self._network(reading.size)
        plan = self._planned(
            network=network,
            lengths=corpus.lengths,
            loss=self._loss(corpus),
            measure=None if part is None else lambda weights: measure(network, weights, part, reading, aim),
            learned=reading,
            data=fingerprint(corpus.arrays(), None if part is None else part.corpus.arrays()),
            background=Background(),
            embedding_scale=row_of_length_one(self.embedding_size),
        )
        return replace(plan, recipe=plan.recipe | {"average": self.average}, about=plan.about | {"aim": aim}), reading

    def _hold_out(
        self, sources: list[str], targets: list[str]
    ) -> tuple[tuple[list[str], list[str]], tuple[list[str], list[str]]]:
        """Hold out pairs that share no side with those that are kept."""
        groups = sharing(sources, targets)
        kept, held = group_split(np.zeros(len(groups)), groups, self.validation_fraction, seed=self.seed)
        if len(held) > 2 * self.validation_fraction * len(groups) + 1:
            warnings.warn(
                f"{len(held):,} of {len(groups):,} pairs are held out, as those that share a side stay together; a "
                f"share of {self.validation_fraction} was wanted. Pass `valid`, or validation_fraction=0.",
                DataWarning, stacklevel=5,
            )  # fmt: skip
        return tuple(([sources[i] for i in part], [targets[i] for i in part]) for part in (kept, held))  # type: ignore[return-value]

    def _learn(self, sources: list[str], targets: list[str]) -> Reading:
        texts = [text for text in (*sources, *targets) if text.strip()]
        if not texts:
            raise DataError("all texts are empty; a translator learns from some that are not.")
        subwords = train_subwords(texts, self.vocabulary_size, units=self.units)
        letters = "".join(sorted(set().union(*targets)))
        return Reading(subwords, self.source_language, self.target_language, letters)

    def _corpus(self, reading: Reading, sources: list[str], targets: list[str]) -> Corpus:
        """Read pairs, and leave out those from which nothing can be learned; a warning tells how many."""
        sides = reading.subwords.encode(sources), reading.subwords.encode(targets)
        lengths = [np.asarray(side.lengths) for side in sides]
        kept, dropped = choose_pairs(*lengths, longest=self.longest, ratio=self.ratio)
        if dropped:
            told = ", ".join(f"{count:,} {why}" for why, count in dropped.items())
            if not len(kept):
                raise DataError(f"of {len(sources):,} pairs none can be learned from: {told}.")
            warnings.warn(f"of {len(sources):,} pairs some are left out: {told}.", DataWarning, stacklevel=5)
        return Corpus.of(reading, *(side.select(kept) for side in sides))

    def _network(self, size: int) -> Network:
        names = (
            "embedding_size", "hidden_size", "decoder_size", "num_layers", "hops", "attention", "starts", "dropout",
            "recurrent_dropout", "word_dropout",
        )  # fmt: skip
        return build(Rule(vocabulary_size=size, cell=CELLS[self.cell], **{name: getattr(self, name) for name in names}))

    def _loss(self, corpus: Corpus) -> Loss:
        """Make the loss of a batch: nats per token of all its targets."""

        def loss(indices: npt.NDArray[np.int64], _rng: np.random.Generator) -> Asked:
            pairs, labels = corpus.batch(indices)
            weight = np.full(len(indices), 1 / max(len(labels), 1))
            return Asked(pairs, CrossEntropy(labels, weight, label_smoothing=self.label_smoothing))

        return loss

    def _read_learned(self, stored: Json, network: Network) -> Reading:
        reading = Reading.from_json(stored)
        if not reading.size == network.input_size == network.output_size:
            raise ValueError(
                f"it knows {reading.size} tokens; its network reads {network.input_size} and writes "
                f"{network.output_size}"
            )
        if not network.reads_pairs:
            raise ValueError("its network reads no pairs")
        return reading

    def _texts(self, X: Any) -> list[str]:
        self._require_fitted()
        texts = as_list(X, "X", "texts")
        check_texts(texts, where=in_argument("X"), allow_empty=True)
        return normal(texts)

    def _translated(
        self, fitted: Fitted[Reading], texts: list[str], rules: Rules, prefixes: Sequence[str], *, copy_unknown: bool
    ) -> list[Translation]:
        reading = fitted.learned
        copies = copy_unknown and reading.subwords.units != "subwords"
        sources = reading.sources(texts)
        begun = reading.begun(prefixes)
        found = searcher(fitted.executor, reading, unknown=copies).search(
            sources,
            rules,
            lengths=np.asarray(sources.lengths) - 1,
            prefixes=begun if any(map(len, begun)) else None,
            copies=copies,
        )
        if rules.attention:
            found = with_gates(fitted.executor, reading, sources, found)
        out = []
        for text, ids, ranked in zip(texts, sources, found, strict=True):
            told = [tell(reading, text, ids, one, attention=rules.attention) for one in ranked]
            out.append(told[0].beside(told[1:]))
        return out

    def _spelled(self, tokens: Iterator[int]) -> Iterator[str]:
        decoder = self._require_fitted().learned.subwords.decoder()
        for token in tokens:
            if piece := decoder.feed(token):
                yield piece
        if rest := decoder.finish():
            yield rest
