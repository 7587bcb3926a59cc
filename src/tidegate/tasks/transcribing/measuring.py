"""What a transcriber reaches on the part held out, epoch by epoch, and how sure it may be."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

import tidegate.kernels as kernels
from tidegate.data.transcribed.texts import unseen_symbols
from tidegate.errors import DataError
from tidegate.health import new_symbols
from tidegate.kernels import ctc
from tidegate.network import Network
from tidegate.ragged import Ragged
from tidegate.runtime import Executor
from tidegate.runtime.executor import cut
from tidegate.tasks.edits import error_rate, matches
from tidegate.tasks.transcribing.reading import Reading

Array: TypeAlias = npt.NDArray[Any]

_TEMPERATURES = np.exp(np.linspace(np.log(0.25), np.log(8.0), 61))
_ENOUGH = 20  # symbols to fit a temperature on
_PATIENT = 3  # epochs in which nothing but blanks is read before somebody is told


@dataclass(frozen=True, eq=False)
class Part:
    """Hold signals as the network trains on them, their texts, and these in symbols."""

    x: Ragged
    texts: list[str]
    labels: ctc.Labels

    def arrays(self) -> list[Array]:
        """List all that a model learns from, for a fingerprint."""
        texts = np.frombuffer("\0".join(self.texts).encode(), np.uint8)
        return [np.asarray(self.x.values), np.asarray(self.x.offsets), self.labels.values, self.labels.begins, texts]


def held_out(part: Part, names: Sequence[str], reading: Reading, network: Network) -> Part:
    """Hand a part on that is to be measured on, and tell what of it cannot come out right.

    That is symbols which training never saw, and texts that need more frames than their signals have; raises DataError
    where all do.
    """
    for warning in new_symbols(dict(unseen_symbols(part.texts, reading.symbols).most_common()), "texts held out"):
        warnings.warn(str(warning), stacklevel=5)
    short = np.flatnonzero(~_fits(part, network))
    if not short.size:
        return part
    named = ", ".join(names[row] for row in short[:3].tolist())
    told = f"{short.size} of {len(names)} recordings held out have fewer frames than their texts need: {named}"
    if short.size == len(names):
        raise DataError(f"{told}. Hold out others, or set a smaller stride.")
    warnings.warn(f"{told}. They count as errors, and `nats` leaves them out.", stacklevel=5)
    return part


def _fits(part: Part, network: Network) -> npt.NDArray[np.bool_]:
    """Tell of each signal whether it has as many frames as its text needs, [B]."""
    return np.asarray(ctc.needed(part.labels) <= network.steps(np.asarray(part.x.lengths)))


def measure(executor: Executor, part: Part, reading: Reading) -> dict[str, Any]:
    """Measure weights: `cer` and `wer`, errors as shares of all symbols and words, and `nats` per symbol of what fits.

    `loss` is the character error rate; while nothing but blanks is read it is one and the nats, which fall meanwhile.
    """
    texts, nats, kept = [""] * len(part.texts), 0.0, list[tuple[Array, Array]]()
    symbols = ["", *reading.symbols]
    fits = _fits(part, executor.network)
    for indices in cut(part.x):
        rows, lengths = executor(part.x.select(indices)), executor.network.steps(np.asarray(part.x.lengths)[indices])
        frames = ctc.Frames(rows, np.cumsum([0, *lengths]).astype(np.int64))
        found, fit = ctc.greedy(frames), fits[indices]
        known = ctc.Labels.of(
            [part.labels.select([i]).values if ok else [] for i, ok in zip(indices, fit, strict=True)]
        )
        nats += float(ctc.losses(frames, known)[fit].sum())
        for row, index in enumerate(indices.tolist()):
            own = slice(found.begins[row], found.begins[row + 1])
            shown = "".join(symbols[symbol] for symbol in found.symbols[own])
            texts[index] = reading.as_read(shown)
            at = frames.offsets[row] + found.peak[own]
            right = np.array(matches(shown, reading.as_shown(part.texts[index])), bool)
            if len(right) == len(at):  # of symbols that are more than one code point it is not known which are right
                kept.append((frames.logs[at], np.stack([found.symbols[own], right], axis=1)))
    cer, nats = error_rate(texts, part.texts), nats / max(int(np.diff(part.labels.begins)[fits].sum()), 1)
    wer = error_rate([text.split() for text in texts], [text.split() for text in part.texts])
    told = {"loss": cer if any(texts) else 1 + nats, "cer": cer, "wer": wer, "nats": nats}
    return told | {"beside": {"temperature": fit_temperature(kept), "blank": not any(texts)}}


def fit_temperature(kept: Sequence[tuple[Array, Array]]) -> float:
    """Find what scores are to be divided by, so that symbols are as often right as they are probable.

    The one of a grid under which whether each symbol was right is the least surprising; 1 for very few symbols, or
    where all were right, which says nothing of how sure it is too much.

    kept: logarithms [M, K] of the frames that name the symbols of a text; and [M, 2], these, and whether each is right.
    """
    if sum(len(logs) for logs, _ in kept) < _ENOUGH:
        return 1.0
    logs, told = (np.concatenate(parts) for parts in zip(*kept, strict=True))
    symbol, right = told[:, 0].astype(int), told[:, 1].astype(bool)
    if right.all():
        return 1.0
    lost = []
    for temperature in _TEMPERATURES:
        sure = np.clip(tempered(logs, symbol, float(temperature)), 1e-9, 1 - 1e-9)
        lost.append(-np.log(np.where(right, sure, 1 - sure)).sum())
    return round(float(_TEMPERATURES[int(np.argmin(lost))]), 6)


def tempered(logs: Array, symbols: Array, temperature: float) -> Array:
    """Give the probability of one symbol in each frame [M, K] at a temperature, [M].

    >>> tempered(np.log(np.array([[0.2, 0.8]])), np.array([1]), 2.0).round(4).tolist()
    [0.6667]
    """
    rows = ctc.Frames(logs / temperature, np.array([0, len(logs)])).logs
    return kernels.exp(rows[np.arange(len(rows)), symbols])


class Blanks:
    """Tell when nothing but blanks has been read for some epochs, once: networks begin so, and mostly go on."""

    def __init__(self) -> None:
        self._epochs = 0

    def note(self, measured: dict[str, Any]) -> dict[str, Any]:
        """Look at what an epoch reached, and hand it on."""
        self._epochs = self._epochs + 1 if measured["beside"]["blank"] else -(2**31)
        if self._epochs == _PATIENT:
            warnings.warn(
                f"only blanks so far (epoch {_PATIENT}). That is how training with CTC begins; should it last, lower "
                "the learning rate, the dropout or the masks, or begin with more short recordings.",
                stacklevel=2,
            )
        return measured
