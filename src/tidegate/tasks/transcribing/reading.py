"""What a transcriber learns besides its weights: symbols, the scale of signals, how sure it is, and its language."""

from __future__ import annotations

import unicodedata
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.data.transcribed.recordings import Reads, Recordings
from tidegate.decoding import Scorer
from tidegate.errors import DataError, InputError, ShapeError
from tidegate.kernels import ctc
from tidegate.kernels.streams import as_rows
from tidegate.ragged import Ragged
from tidegate.tasks.transcribing.ordering import as_read, as_shown

Array: TypeAlias = npt.NDArray[Any]
Json: TypeAlias = dict[str, Any]

_TOO_SHORT = 0.01  # of the labels that may not fit
_ARRAY = "language."  # what the names of the arrays of a language begin with


@dataclass(frozen=True, eq=False)
class Reading:
    """Hold what was learned of a training part.

    reads: what a signal is.
    rate: steps a second, where it is known.
    symbols: what labels 1 to K - 1 stand for; 0 is the blank.
    mean, deviation: [C], what features are brought to a common scale by; none of sound, whose network does it.
    centred: whether each signal's own mean is taken off first.
    temperature: what scores are divided by before they say how sure they are.
    scorer: what was learned of texts alone; None where nothing was.
    """

    reads: Reads
    rate: float | None
    symbols: tuple[str, ...]
    mean: Array
    deviation: Array
    centred: bool
    temperature: float = 1.0
    scorer: Scorer | None = None

    def to_json(self) -> Json:
        """Write it for the model file."""
        scaling = {"mean": self.mean.tolist(), "deviation": self.deviation.tolist(), "centred": self.centred}
        told = {"reads": self.reads, "rate": self.rate, "symbols": list(self.symbols), "temperature": self.temperature}
        return {"reading": told | scaling} | ({} if self.scorer is None else {"language": self.scorer.to_json()})

    def arrays(self) -> dict[str, Array]:
        """List the arrays that go into the model file beside it."""
        return {} if self.scorer is None else {_ARRAY + name: array for name, array in self.scorer.arrays().items()}

    def with_language(self, stored: Json) -> Reading:
        """Add what was learned of texts, out of a model file; raises as `Scorer.restore` does."""
        if "language" not in stored:
            return self
        arrays = {name.removeprefix(_ARRAY): array for name, array in stored["arrays"].items()}
        return replace(self, scorer=Scorer.restore(stored["language"], arrays))

    @classmethod
    def from_json(cls, stored: Json) -> Reading:
        """Read what `to_json` wrote, but no language; raises KeyError, TypeError or ValueError for anything else."""
        told = stored["reading"]
        symbols = tuple(map(str, told["symbols"]))
        mean, deviation = (np.array(told[name], np.float64) for name in ("mean", "deviation"))
        temperature = float(told["temperature"])
        if len(set(symbols)) != len(symbols) or not all(symbols):
            raise ValueError("a symbol is there twice, or empty")
        if mean.ndim != 1 or mean.shape != deviation.shape or not (deviation > 0).all() or not temperature > 0:
            raise ValueError("what features are scaled by does not fit together, or a temperature is not above zero")
        rate = None if told["rate"] is None else float(told["rate"])
        return cls(told["reads"], rate, symbols, mean, deviation, bool(told["centred"]), temperature)

    def labels(self, texts: Sequence[str]) -> ctc.Labels:
        """Spell texts in the symbols of their signals; one that is not known is left out, as no frame can name it."""
        numbers = {symbol: number for number, symbol in enumerate(self.symbols, 1)}
        return ctc.Labels.of(
            [[numbers[symbol] for symbol in self.as_shown(text) if symbol in numbers] for text in texts]
        )

    def labels_of(self, texts: Sequence[str], names: Sequence[str], frames: Array) -> ctc.Labels:
        """Spell texts that are known to stand in signals of so many frames.

        Raises DataError for a symbol that training never saw, InputError for a text that needs more frames.
        """
        if unknown := sorted(set("".join(texts)) - set(self.symbols)):
            raise DataError(f"training never saw the symbol {unknown[0]!r}; {len(unknown)} such came.")
        labels = self.labels(texts)
        needed = ctc.needed(labels)
        if (short := np.flatnonzero(needed > frames)).size:
            row = int(short[0])
            told = f"{names[row]} has {frames[row]} frames, but its text needs {needed[row]}; {short.size} such came"
            raise InputError(f"{told}. Is it the text of that signal?")
        return labels

    def as_shown(self, text: str) -> str:
        """Put a text into the order of its signal."""
        return as_shown(text, self.reads)

    def all_shown(self, texts: Sequence[str]) -> list[str]:
        """Compose texts (NFC), and put them into the order of their signals; raises DataError for what is no text."""
        return [self.as_shown(_composed(text, index)) for index, text in enumerate(texts)]

    def as_read(self, shown: str) -> str:
        """Put symbols that follow each other in a signal into the order in which they are read."""
        return as_read(shown, self.reads)

    def scaled(self, signals: Ragged) -> Ragged:
        """Bring features to the scale of the network."""
        values = np.asarray(signals.values, np.float64)
        if self.centred:
            sums = np.add.reduceat(np.concatenate([values, np.zeros((1, values.shape[1]))]), signals.offsets[:-1])
            lengths = np.asarray(signals.lengths)
            means = sums / np.maximum(lengths, 1)[:, None]
            values = values - np.repeat(means, lengths, axis=0)
        if len(self.mean):
            values = (values - self.mean) / self.deviation
        return signals.with_values(values.astype(np.float32))

    def chunk(self, chunk: Any) -> Array:
        """Bring steps of a live signal to the scale of the network; what is no `[T, C]` comes back as it is."""
        rows = as_rows(chunk, np.float32)
        rows = rows[:, None] if rows.ndim == 1 and self.reads == "sound" else rows
        if rows.ndim != 2 or rows.shape[1] != len(self.mean):
            return rows
        return np.asarray(self.scaled(Ragged(rows, np.array([0, len(rows)]))).values)

    def tempered(self, temperature: float) -> Reading:
        """Be as sure as a temperature says."""
        return replace(self, temperature=temperature)


def learn(recordings: Recordings, texts: Sequence[str], *, centred: bool) -> Reading:
    """Learn the symbols of texts, and the scale of features; all heights of a line share one."""
    symbols = tuple(sorted({symbol for text in texts for symbol in as_shown(text, recordings.reads)}))
    if not symbols:
        raise DataError("all texts are empty; a transcriber learns from some that are not.")
    width = recordings.width
    if recordings.reads == "sound":
        mean = deviation = np.empty(0)
    else:
        plain = Reading(recordings.reads, None, symbols, np.empty(0), np.empty(0), centred)
        values = np.asarray(plain.scaled(recordings.ragged()).values, np.float64)
        axis = None if recordings.reads == "line" else 0
        mean = np.broadcast_to(values.mean(axis), (width,)).copy()
        deviation = np.broadcast_to(values.std(axis), (width,)).copy()
        deviation[deviation < 1e-6 * max(float(deviation.max()), 1e-6)] = 1.0
        deviation[deviation <= 0] = 1.0
    return Reading(recordings.reads, recordings.rate, symbols, mean, deviation, centred)


def leave_out_empty(given: Recordings) -> Recordings:
    """Leave out recordings without a sample, and tell how many; raises DataError where no other is there."""
    empty = np.flatnonzero(given.lengths == 0)
    if not empty.size:
        return given
    named = ", ".join(given.names[row] for row in empty[:3].tolist())
    told = f"{empty.size} of {len(given)} recordings have no sample: {named}"
    if empty.size == len(given):
        raise DataError(f"{told}. There is nothing to learn from.")
    warnings.warn(f"{told}. They are left out.", stacklevel=5)
    return given.select(np.flatnonzero(given.lengths))


def leave_out_short(given: Recordings, hop: int, stride: int) -> Recordings:
    """Leave out what is too short for its text, with a warning; raises DataError where that is more than a few.

    hop: samples from one band of frequencies to the next, 1 of other signals; stride: those from one frame to the next.
    """
    labels = ctc.Labels.of([[ord(symbol) for symbol in text] for text in given.texts or []])
    frames, needed = -(-given.lengths // (hop * stride)), ctc.needed(labels)
    short = np.flatnonzero(needed > frames)
    if not short.size:
        return given
    named = ", ".join(f"{given.names[row]} ({needed[row]} needed, {frames[row]} there)" for row in short[:3].tolist())
    told = f"{short.size} of {len(given)} recordings have fewer frames than their texts need: {named}"
    if short.size > max(_TOO_SHORT * len(given), 1) or short.size == len(given):
        raise DataError(f"{told}. Leave them out, or set a smaller stride than {stride}.")
    warnings.warn(f"{told}. They are left out.", stacklevel=5)
    return given.select(np.setdiff1d(np.arange(len(given)), short))


def as_recordings(X: Any, texts: Any, *, reads: Reads, rate: float | None, known: bool = False) -> Recordings:
    """Make recordings of what a user passes: Recordings, a list of arrays [T, C], or a Ragged.

    Args:
        X: the signals.
        texts: of lists and Ragged, one for each; None where nothing is to be learned.
        reads: what a signal is, where X does not say it.
        rate: steps a second, where X does not say it; steps that are places in X then become seconds.
        known: whether every signal must have its text.

    Raises InputError, DataError or ShapeError for anything else.
    """
    found = X if isinstance(X, Recordings) else Recordings(_signals(X, reads), reads=reads, rate=rate)
    if found.reads != reads:
        raise InputError(f"the recordings are {found.reads}, but this transcriber reads {reads}.")
    if rate is not None and found.rate is not None and found.rate != rate:
        raise InputError(f"the recordings have {found.rate:g} steps a second, this transcriber wants {rate:g}.")
    if rate is not None and found.rate is None and reads != "line":
        plain = bool((found.scales == (1.0, 0.0)).all())
        found = replace(found, rate=rate, scales=np.zeros((0, 2)) if plain else found.scales)
    if texts is not None:
        found = replace(found, texts=list(texts))
    if found.texts is not None:
        found = replace(found, texts=[_composed(text, index) for index, text in enumerate(found.texts)])
    if known and found.texts is None:
        raise InputError("these recordings have no texts. Pass one for each, or Recordings that hold them.")
    bad = [index for index, signal in enumerate(found.signals) if not np.isfinite(np.asarray(signal)).all()]
    if bad:
        raise DataError(f"signal {found.names[bad[0]]} holds what is no finite number; {len(bad)} such came.")
    return found


def _signals(X: Any, reads: Reads) -> Any:
    if isinstance(X, Ragged):
        return X.with_values(np.asarray(X.values, np.float32))
    if isinstance(X, str | bytes) or not hasattr(X, "__iter__"):
        raise InputError(f"a {type(X).__name__} came where a list of signals, a Ragged or Recordings is wanted.")
    arrays = [np.asarray(signal, np.float32) for signal in X]
    arrays = [array[:, None] if array.ndim == 1 and reads == "sound" else array for array in arrays]
    width = next((array.shape[1] for array in arrays if array.ndim == 2), 1)
    arrays = [array.reshape(0, width) if not array.size else array for array in arrays]
    for index, array in enumerate(arrays):
        if array.ndim != 2:
            raise ShapeError(f"signal {index} is {list(array.shape)}; [steps, features] is wanted.")
    return arrays


def _composed(text: Any, index: int) -> str:
    """Bring a text into the normal form C; raises DataError for what is no text, or holds control characters."""
    if not isinstance(text, str):
        raise DataError(f"text {index} is a {type(text).__name__}; a text is wanted.")
    normal = unicodedata.normalize("NFC", text)
    for symbol in normal:
        if unicodedata.category(symbol) == "Cc":
            raise DataError(f"text {index} holds the control character {symbol!r}. Leave it out.")
    return normal
