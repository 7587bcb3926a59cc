"""Transcribes sound, lines of writing and features of either: frames, recurrent layers, and CTC. Knows no files.

The set-up is that of Graves et al. (2006), with what has become usual since: several frames seen as one, hidden parts
(Park et al. 2019), and an average of the weights of many updates.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field

from tidegate.cells import USUAL, CellOption
from tidegate.data.transcribed.recordings import Reads, Recordings
from tidegate.decoding import Scorer
from tidegate.engine import CtcLikelihood
from tidegate.errors import DataError, InputError
from tidegate.export import SequenceInterface
from tidegate.health import Background
from tidegate.kernels import ctc
from tidegate.network import Ctc, Dense, Dropout, Network, Node, Recurrent, Size, Spectrogram, Window
from tidegate.offers import Inside
from tidegate.ragged import Ragged
from tidegate.runtime import Executor, Prepared, Stream
from tidegate.tasks.card import Card
from tidegate.tasks.edits import error_rate
from tidegate.tasks.fitting import Plan, fingerprint
from tidegate.tasks.images import read_across
from tidegate.tasks.parameters import CELLS
from tidegate.tasks.pretrained import ModelPath
from tidegate.tasks.task import Array, Count, Json, NotNegative, Positive, Share, Task
from tidegate.tasks.transcribing.beginning import read_beginning
from tidegate.tasks.transcribing.card import CARD
from tidegate.tasks.transcribing.disturbing import Disturbance
from tidegate.tasks.transcribing.fronts import encoded, fitted_front, hop_of, places_of, run, with_front
from tidegate.tasks.transcribing.language import learn_language
from tidegate.tasks.transcribing.live import TranscriberStream
from tidegate.tasks.transcribing.measuring import Blanks, Part, held_out, measure
from tidegate.tasks.transcribing.presets import PRESETS, SUITED
from tidegate.tasks.transcribing.reading import Reading, as_recordings, learn, leave_out_empty, leave_out_short
from tidegate.tasks.transcribing.searching import Search, best_transcript, transcript
from tidegate.tasks.transcribing.transcripts import Places, Transcript
from tidegate.train import Asked, Loss

_FRAMES: dict[Reads, tuple[int, int]] = {"sound": (3, 3), "line": (8, 4), "features": (3, 3)}


@dataclass(kw_only=True, eq=False, repr=False)
class Transcriber(Task[Reading]):
    """Read what is said or written: samples of sound, lines as pixel columns, or features, each with its text.

    `X` are `data.Recordings`, which hold signals with their texts; or a list of float arrays `[T, C]`, or a Ragged, and
    `y` their texts. Sound is samples `[T, 1]` from -1 to 1; a line its pixel columns from left to right, `[T, height]`;
    features are frames `[T, C]`. Texts are read by their code points, in the normal form C.

    >>> from itertools import permutations
    >>> texts = ["".join(order) for order in permutations("abc")] * 4
    >>> signals = [np.repeat(np.eye(3)[["abc".index(symbol) for symbol in text]], 4, axis=0) for text in texts]
    >>> plain = {"speed": 0.0, "noise": 0.0, "time_masks": 0, "feature_masks": 0, "dropout": 0.0, "average": 0.9}
    >>> sizes = {"hidden_size": 8, "num_layers": 1, "window": 1, "stride": 1, "epochs": 25, "learning_rate": 0.05}
    >>> reader = Transcriber(validation_fraction=0, batch_size=4, **plain, **sizes).fit(signals, texts)
    >>> told = reader.transcribe([signals[0]])[0]
    >>> told.text, [symbol.start for symbol in told.symbols][0] < 4
    ('abc', True)

    Args:
        reads: what a signal is: `features`, `line` or `sound`.
        rate: steps a second; of sound it must be known, here or from the recordings.
        cell: `rnn` (tanh), `rnn_relu`, `lstm` or `gru`.
        hidden_size: units of each direction.
        num_layers: stacked layers.
        bidirectional: read from both ends; a model that reads from one alone answers while it hears.
        front: how steps become frames: `window` puts them side by side; the others see an image in the signal, whose
            cells are `stride` steps wide and as many features high. `columns` reads each column of cells from the top
            down, `renet` all cells in four directions, and `mdlstm` so with an LSTM of two dimensions.
        front_size: units of each direction of a front that sees an image.
        window: steps that a frame of the front `window` sees; 0 takes what is usual for what is read: 3, of lines 8.
        stride: steps from one frame to the next; 0 takes 3, of lines 4. A label needs a frame for each symbol.
        bands: bands of frequencies that sound is parted in.
        centred: take each signal's own mean off its features first: evens out voices and microphones, but wants the
            whole signal.
        dropout: share of features dropped behind each layer.
        speed: signals become longer or shorter by up to this share in training.
        time_masks: stretches that are hidden in training.
        longest_mask: steps that such a stretch has at most.
        feature_masks: bands of features that are hidden in training.
        widest_mask: features that such a band has at most.
        noise: deviation of noise that is added in training, where features have the deviation 1.
        shift: the same of what is added to each feature throughout a signal.
        gain: the same of what is added to all features of a signal alike, as where a sound is louder, or quieter.
        average: share of the past in the moving average of the weights that is used; 0 uses the last ones.
        language: learn from the training texts, too, what is likely to be said: n-grams and words, for a search
            (`transcribe(beam=...)`); kept where that leaves fewer errors on what is held out, and so not without that.
        short_first: epochs at the beginning whose batches come in the order of their lengths.
        pretrained: a run folder or model file of a transcriber to begin with, of the same sizes; symbols that it knows
            keep what it learned of them. None begins with drawn weights.
        validation_fraction: share of recordings held out to measure on, whole speakers, books or pages where they are
            known and more than one, unless `valid` is passed; 0 holds out none.
        others: see `Task`. The validation loss that `patience` looks at is the character error rate.
    """

    card: ClassVar[Card] = CARD
    later: ClassVar[Json] = {"front": "window", "front_size": 16, "language": False, "gain": 0.0}

    reads: Reads = "features"
    rate: Positive | None = None
    cell: CellOption = USUAL
    hidden_size: Size = 128
    num_layers: Annotated[int, Field(ge=1, le=64)] = 3
    bidirectional: bool = True
    front: Literal["window", "columns", "renet", "mdlstm"] = "window"
    front_size: Size = 16
    window: Annotated[int, Field(ge=0, le=2**12)] = 0
    stride: Annotated[int, Field(ge=0, le=2**12)] = 0
    bands: Annotated[int, Field(ge=1, le=512)] = 40
    centred: bool = False
    dropout: Share = 0.4
    speed: Annotated[float, Field(ge=0.0, le=0.5)] = 0.15
    time_masks: Annotated[int, Field(ge=0, le=100)] = 2
    longest_mask: Annotated[int, Field(ge=0)] = 12
    feature_masks: Annotated[int, Field(ge=0, le=100)] = 1
    widest_mask: Annotated[int, Field(ge=0)] = 3
    noise: NotNegative = 0.1
    shift: NotNegative = 0.0
    gain: NotNegative = 0.0
    average: Share = 0.998
    language: bool = True
    short_first: Annotated[int, Field(ge=0)] = 1
    pretrained: ModelPath = None
    validation_fraction: Share = 0.05

    epochs: Count | Literal["auto"] = 40
    batch_size: Count = 16
    learning_rate: Positive = 3e-3
    warmup: Share = 0.05
    patience: Annotated[int, Field(ge=0)] = 0

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, *, validation: Any = None) -> Self:
        """Train on recordings, or on signals and their texts.

        Args:
            X: the signals, as the class describes them.
            y: their texts; None where `X` are Recordings that hold them.
            sample_weight: must be None.
            validation: recordings to measure on after each epoch, or a pair of signals and texts; None holds out a
                share.

        Raises:
            InputError: a parameter or the data cannot be used; the parameter or the signal is named.
            TrainingError: the loss is not finite; the last good weights are kept.
        """
        valid = validation if validation is None or isinstance(validation, tuple) else (validation, None)
        for _ in self.fit_steps(X, y, sample_weight=sample_weight, valid=valid):
            pass
        return self

    def transcribe(
        self, X: Any, *, beam: int = 0, n_best: int = 1, scorer: Scorer | Literal["learned"] | None = "learned"
    ) -> list[Transcript]:
        """Read B signals; the numbers of one depend, to the bit, neither on the others nor on threads.

        The places of symbols are in the units of the original that Recordings know of, and steps of other signals.

        Args:
            X: the signals.
            beam: texts that a search keeps from frame to frame; 0 takes the most probable symbol of each frame.
            n_best: texts to find of each signal; all but the best stand in its `alternatives`.
            scorer: what is known of texts beside: n-grams, a lexicon, likely words; see `decoding.Scorer`. Symbols come
                to it as they stand in the signal, from left to right (`as_shown`). "learned" is what training found,
                `scorer_`; None knows nothing.

        A signal without a step gives an empty text; so does one in which a lexicon allows no word, as an empty text
        holds none. Its confidence is 1, as that of any text without symbols; `score` tells how probable it is.
        Raises InputError, DataError or ShapeError for what cannot be read.
        """
        fitted, recordings = self._require_fitted(), self._recordings(X)
        search = self._search(beam, n_best, scorer)
        out: list[Transcript] = [Transcript("", 1.0)] * len(recordings)
        for indices, frames in self._scored(recordings):
            ranks = search.read(frames, self.symbols_)
            for row, index in enumerate(indices.tolist()):
                places = self._places(recordings, index)
                out[index] = best_transcript(fitted.learned, ranks, row, frames, places)
        return out

    def align(self, X: Any, text: Any) -> Any:
        """Find where a known text lies in a signal, or each of a list of texts in its signal.

        Gives a Transcript, or a list of them, whose score is the logarithm of the probability of the best alignment.

        Raises InputError where a text needs more frames than its signal has; DataError for a symbol that training never
        saw, which is named.
        """
        single = isinstance(text, str)
        recordings = self._recordings([X] if single and not isinstance(X, Recordings) else X)
        texts = as_recordings(recordings, [text] if single else list(text), reads=self.reads, rate=None).texts or []
        known = self._require_fitted().learned
        labels = known.labels_of(texts, recordings.names, self._steps(recordings.lengths))
        out: list[Transcript] = [Transcript("", 1.0)] * len(texts)
        for indices, frames in self._scored(recordings):
            found, scores = ctc.align(frames, labels.select(indices))
            for row, index in enumerate(indices.tolist()):
                places = self._places(recordings, index)
                out[index] = transcript(known, found, row, frames, places, float(scores[row]))
        return out[0] if single else out

    def as_shown(self, texts: Sequence[str]) -> list[str]:
        """Put texts or words into the form in which a `Scorer` compares them: composed (NFC), as their symbols follow.

        On lines they follow from left to right: so must a lexicon, hotwords and the texts that n-grams are counted in.
        Raises DataError for what is no text, holds control characters, or mixes directions beyond recovery.
        """
        return self._require_fitted().learned.all_shown(texts)

    def frames(self, X: Any) -> list[Array]:
        """Give the logarithms of the probabilities of the blank and all symbols in each frame: B arrays `[T', K]`."""
        recordings = self._recordings(X)
        out: list[Array] = [np.empty((0, 0))] * len(recordings)
        for indices, found in self._scored(recordings):
            for row, index in enumerate(indices.tolist()):
                out[index] = found.logs[found.offsets[row] : found.offsets[row + 1]]
        return out

    def predict(self, X: Any) -> list[str]:
        """Read B signals, and give their texts alone. Raises as `transcribe` does."""
        return [told.text for told in self.transcribe(X)]

    def score(self, X: Any, y: Any = None) -> float:
        """Compute one less the character error rate, over all symbols together."""
        recordings = as_recordings(X, y, reads=self.reads, rate=self.rate, known=True)
        return 1 - error_rate(self.predict(recordings), recordings.texts or [])

    def stream(
        self,
        *,
        lookahead: int | None = None,
        state: bytes | None = None,
        beam: int = 0,
        n_best: int = 1,
        scorer: Scorer | Literal["learned"] | None = "learned",
    ) -> TranscriberStream:
        """Begin a signal that is read while it comes in.

        Args:
            lookahead: frames that must follow before one is answered; needed where the network also reads from the end.
            state: where to go on, as another stream of this model and search gave it.
            beam: texts that a search keeps; 0 reads greedily. It is part of the state, and so are the frames so far.
            n_best: as for `transcribe`.
            scorer: the same.

        Raises:
            InputError: the model is not fitted, takes each signal's own mean off, or cannot be streamed without
                `lookahead`.
            StateError: the state is truncated, altered or of another model.
        """
        fitted = self._require_fitted()
        reading = fitted.learned
        if reading.centred:
            raise InputError("this model takes each signal's own mean off first. Train with centred=False to stream.")
        prepared = Prepared(fitted.executor, lookahead, read=reading.chunk)
        places = replace(places_of(fitted.network, 0), scale=(1 / (reading.rate or 1), 0.0))
        return TranscriberStream(Stream.of(prepared, state=state), reading, places, self._search(beam, n_best, scorer))

    @classmethod
    def params_for(cls, X: Any) -> Json:
        """Take the preset for what recordings hold: cepstra, lines of print, or spoken commands."""
        return PRESETS[SUITED[X.reads]] if isinstance(X, Recordings) else {}

    def wants(self) -> dict[str, str]:
        """Say how files must be read for it, as options of `data.load` for transcribed data."""
        fitted = self._require_fitted()
        wanted, rate = {"reads": str(self.reads)}, fitted.learned.rate
        if rate is not None and self.reads != "line" and rate == round(rate):
            wanted["rate"] = f"{rate:.0f}"
        if self.reads == "sound":
            return wanted
        return wanted | {"height" if self.reads == "line" else "width": str(fitted.network.input_size)}

    @property
    def symbols_(self) -> tuple[str, ...]:
        """The symbols that it can read, sorted; in the scores of frames the blank comes before them."""
        return self._learned().learned.symbols

    @property
    def scorer_(self) -> Scorer | None:
        """What training learned of texts alone, weighed on what was held out; None where nothing helps."""
        return self._learned().learned.scorer

    def prepare(self, X: Any) -> tuple[Ragged, None]:
        """Return signals as the network reads them; for a look inside. Raises as `transcribe` does."""
        return self._require_fitted().learned.scaled(self._recordings(X).ragged()), None

    def inside(self) -> Inside:
        """Say what can be looked into; for `inspect`. Raises InputError before `fit`."""
        fitted = self._require_fitted()
        names, down = ["", *self.symbols_], self.reads == "line"
        return Inside(fitted.network, fitted.weights, self.prepare, names, self.max_grad_norm, top_down=down)

    def interface(self) -> SequenceInterface:
        """Say what surrounds the network in an exported graph; for `export`. Raises InputError before `fit`.

        The graph reads signals and their lengths, and gives scores of the blank and the symbols of each frame, and how
        many frames there are. Of a `centred` model each signal must come without its own mean.
        """
        fitted = self._require_fitted()
        reading = fitted.learned
        reading = replace(reading, scorer=None)  # no graph searches
        scaling = (reading.mean, reading.deviation) if len(reading.mean) else None
        return SequenceInterface(fitted.network, fitted.weights, self._described() | reading.to_json(), scaling=scaling)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags

    def _plan(
        self, X: Any, y: Any, *, valid: tuple[Any, Any] | None, about: Json | None, sample_weight: Any = None
    ) -> tuple[Plan, Reading]:
        if sample_weight is not None:
            raise InputError("a transcriber weighs all symbols the same. Leave sample_weight out.")
        given = as_recordings(X, y, reads=self.reads, rate=self.rate, known=True)
        if not len(given):
            raise DataError("there are no examples; a transcriber needs at least one.")
        self._rate(given)
        given = leave_out_empty(given)
        held = None if valid is None else as_recordings(*valid, reads=self.reads, rate=self.rate, known=True)
        if held is None and self.validation_fraction and len(given) > 1:
            given, held = given.hold_out(self.validation_fraction, seed=self.seed)
        given = leave_out_short(given, hop_of(self._rate(given)) if self.reads == "sound" else 1, self._frame[1])
        before = None if self.pretrained is None else read_beginning(self.pretrained)
        reading = learn(given, given.texts or [], centred=self.centred) if about is None else Reading.from_json(about)
        if before is not None and about is None:
            reading = before.let_scale(reading)
        front = None if self.reads != "sound" else fitted_front(given, self._rate(given), self.bands, before)
        part = encoded(given, reading, front)
        network = self._network(part.x.values.shape[1], len(reading.symbols) + 1)
        measured = None if held is None else held_out(encoded(held, reading, front), held.names, reading, network)
        told = Blanks()

        def speak(weights: dict[str, Array], settled: Reading) -> Reading:
            assert measured is not None, "nothing is tried where nothing is held out"
            return replace(settled, scorer=learn_language(part.texts, measured, Executor(network, weights), settled))

        plan = self._planned(
            network=network,
            lengths=np.asarray(part.x.lengths),
            loss=self._loss(part, network),
            measure=None if measured is None else lambda w: told.note(measure(Executor(network, w), measured, reading)),
            learned=reading,
            data=fingerprint(part.arrays(), None if measured is None else measured.arrays()),
            background=Background(),
            whole=None if front is None else (lambda net, w, _kept: with_front(front, net, w)),
            settle=lambda kept: reading.tempered(float(kept.get("temperature", 1.0))),
            finish=None if measured is None or not self.language else speak,
        )
        plan = replace(plan, recipe=plan.recipe | {"average": self.average, "short_first": self.short_first})
        return (plan if before is None else before.let_begin(plan, reading)), reading

    def _read_learned(self, stored: Json, network: Network) -> Reading:
        reading = Reading.from_json(stored).with_language(stored)
        if len(reading.symbols) + 1 != network.output_size or not isinstance(network.nodes[-1], Ctc):
            raise ValueError(f"it knows {len(reading.symbols)} symbols, its network scores {network.output_size - 1}")
        width = network.input_size
        if len(reading.mean) != (0 if isinstance(network.nodes[0], Spectrogram) else width):
            raise ValueError("its features are not those that its network reads")
        return reading

    def _arrays(self) -> dict[str, Array]:
        return self._learned().learned.arrays()

    def _rate(self, given: Recordings) -> float:
        """Find the samples a second of sound; zero of what else is read."""
        rate = given.rate or self.rate
        if self.reads == "sound" and rate is None:
            raise InputError("the rate of the sound is not known. Pass rate=, the samples a second.")
        return float(rate or 0) if self.reads == "sound" else 0.0

    @property
    def _frame(self) -> tuple[int, int]:
        """How many steps a frame sees, and from one to the next."""
        window, stride = _FRAMES[self.reads]
        return self.window or window, self.stride or stride

    def _network(self, width: int, symbols: int) -> Network:
        window, stride = self._frame
        first: tuple[Node, ...] = ()
        if self.front != "window":
            size, cell = self.front_size, CELLS[self.cell]
            first, width = read_across(self.front, width, cell=cell, hidden_size=size, block=stride)
        elif (window, stride) != (1, 1):
            first, width = (Window(width=window, stride=stride, size=width),), width * window
        recurrent = Recurrent(
            cell=CELLS[self.cell],
            input_size=width,
            hidden_size=self.hidden_size,
            num_layers=self.num_layers,
            bidirectional=self.bidirectional,
            dropout=self.dropout if self.num_layers > 1 else 0.0,
        )
        drop = (Dropout(p=self.dropout),) if self.dropout else ()
        dense = Dense(in_features=recurrent.output_size, out_features=symbols)
        return Network.of(*first, recurrent, *drop, dense, Ctc(symbols=symbols))

    def _loss(self, part: Part, network: Network) -> Loss:
        """Make the loss of a batch: nats per symbol of all its texts."""
        hidden = self.time_masks, self.longest_mask, self.feature_masks, self.widest_mask
        disturb = Disturbance(self.speed, *hidden, self.noise, self.shift, self.gain)
        stride, needed = network.gives[-1].stride, ctc.needed(part.labels)

        def loss(indices: npt.NDArray[np.int64], rng: np.random.Generator) -> Asked:
            least = (needed[indices] - 1) * stride + 1
            signals = [disturb(part.x[index], rng, least=int(k)) for index, k in zip(indices, least, strict=True)]
            labels = part.labels.select(indices)
            weight = np.full(len(indices), 1 / max(int(labels.begins[-1]), 1))
            return Asked(Ragged.from_list(signals, dtype=np.float32), CtcLikelihood(labels, weight))

        return loss

    def _recordings(self, X: Any) -> Recordings:
        fitted = self._require_fitted()
        found = as_recordings(X, None, reads=self.reads, rate=fitted.learned.rate)
        width = fitted.network.input_size
        if len(found) and found.width != width and found.lengths.sum():
            raise InputError(f"signals of {found.width} features came; this transcriber reads {width}.")
        return found

    def _scored(self, recordings: Recordings) -> Iterator[tuple[Array, ctc.Frames]]:
        """Yield batches of signals, by their indices, with the scores of their frames."""
        fitted = self._require_fitted()
        if not int(recordings.lengths.sum()):
            return
        x = fitted.learned.scaled(recordings.ragged())
        for indices, rows in run(fitted.executor, x):
            begins = np.cumsum([0, *self._steps(recordings.lengths[indices])]).astype(np.int64)
            yield indices, ctc.Frames(rows, begins)

    def _search(self, beam: int, n_best: int, scorer: Scorer | Literal["learned"] | None) -> Search:
        return Search(beam, n_best, (self.scorer_ if beam else None) if scorer == "learned" else scorer)

    def _steps(self, lengths: Array) -> Array:
        return np.asarray(self._require_fitted().network.steps(lengths))

    def _places(self, recordings: Recordings, index: int) -> Places:
        unit, origin = recordings.scales[index].tolist()
        found = places_of(self._require_fitted().network, int(recordings.lengths[index]))
        return replace(found, scale=(unit, origin))
