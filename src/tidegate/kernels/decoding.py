"""The search for the most probable texts of frames, and n-grams, in the core. Knows symbols by number alone.

Shape letters: ``N B V`` = frames of all sequences, sequences, symbols without the blank. What is checked in
`tidegate.decoding` is not checked again here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import tidegate._core as _core
from tidegate.errors import InputError
from tidegate.kernels.threads import thread_count

Array = NDArray[Any]
Beam = _core.Beam
NGram = _core.NGram
Scorer = _core.Scorer


class Told(NamedTuple):
    """Hold a text that was found.

    symbols: [L] int32, 0 <= symbol < V.
    spans: [2 * L] int64, the first and the last frame of each.
    score, log_probability, language: of the whole, of the frames alone, of the language.
    whole: whether the last word may stand.
    """

    symbols: Array
    spans: Array
    score: float
    log_probability: float
    language: float
    whole: bool


class Weights(NamedTuple):
    """Say what is added to the log-probability of a text; see `core/decode/scorer.h`."""

    alpha: float
    beta: float
    unknown: float
    space: int
    words: bool
    rows: bool
    begins: int
    ends: int


def ngram(counts: Array, tokens: Array, children: Array, probability: Array, backoff: Array) -> NGram:
    """Make n-grams of arrays, as `core/decode/ngram.h` says. Raises ValueError where they are none."""
    return _core.ngram(counts, tokens, children, probability, backoff)


def ngram_scores(model: NGram, tokens: Array, offsets: Array, begins: int) -> Array:
    """Give the log-probability of each of N tokens of B texts, [N] float64; `begins` is the mark of the start."""
    out = np.empty(len(tokens))
    model.score(tokens, offsets, begins, out)
    return out


def scorer(
    weights: Weights,
    symbols: Sequence[str],
    *,
    model: NGram | None = None,
    tokens: Array | None = None,
    vocabulary: tuple[Sequence[str], Array] | None = None,
    lexicon: Sequence[str] | None = None,
    hotwords: Sequence[tuple[str, float]] = (),
) -> Scorer:
    """Put together what scores texts made of V symbols.

    Args:
        weights: of all parts.
        symbols: as they are spelled.
        model: n-grams.
        tokens: of n-grams of characters, the id of each character of the symbols end to end.
        vocabulary: of n-grams of words, the words and their ids, int32.
        lexicon: words that may stand; None for any.
        hotwords: with the bonus of each.
    """
    words, ids = vocabulary or ((), None)
    bonus = np.array([bonus for _, bonus in hotwords], np.float64) if hotwords else None
    hot = _spelled([word for word, _ in hotwords])
    lexical = lexicon is not None
    return _core.scorer(
        tuple(weights),
        _spelled(symbols),
        tokens,
        model,
        _spelled(words),
        ids,
        lexical,
        _spelled(lexicon or ()),
        hot,
        bonus,
    )


def best_texts(
    rows: Array, offsets: Array, scores: Scorer | None, *, width: int, least: float, most: int, num_threads: int | None
) -> list[list[Told]]:
    """Search the most probable texts of each of B sequences of rows [N, 1 + V]. Raises InputError for a wrong row."""
    run = _core.beam_f32 if rows.dtype == np.float32 else _core.beam_f64
    found = run(rows, offsets, scores, width, least, most, thread_count(num_threads))
    if isinstance(found, int):
        sequence = int(np.searchsorted(offsets, found, side="right")) - 1
        raise wrong_row(rows, found, of=(sequence, int(offsets[sequence])))
    return [[Told(*told) for told in texts] for texts in found]


def push(beam: Beam, rows: Array, begin: int, end: int, *, of: tuple[int, int] = (0, 0)) -> int:
    """Let a beam read rows begin to end of [N, 1 + V], until it wants scores of new texts; return where it stopped.

    Raises InputError for a row that it cannot read; see `wrong_row`.
    """
    read = (beam.push_f32 if rows.dtype == np.float32 else beam.push_f64)(rows[begin:end])
    if begin + read < end and not beam.fresh():
        raise wrong_row(rows, begin + read, of=of)
    return begin + read


def wrong_row(rows: Array, frame: int, *, of: tuple[int, int] = (0, 0)) -> InputError:
    """Say why a row is none of log-probabilities; `of` names its sequence, and the row that this begins with."""
    row = rows[frame]
    if np.isnan(row).any():
        why = f"NaN as column {int(np.isnan(row).argmax())}"
    elif row.max() > 0:
        why = f"{row.max():.6g} as column {int(row.argmax())}, which no logarithm of a probability is"
    else:
        why = "minus infinity everywhere, so that nothing is possible"
    sequence, begin = of
    where = f"sequence {sequence}, frame {frame - begin}" if sequence else f"frame {frame}"
    return InputError(f"{where} has {why}. Pass log-probabilities, such as log_softmax gives, the blank first.")


def _spelled(texts: Sequence[str]) -> tuple[Array, Array]:
    """Lay texts end to end: their code points, int32, and where each begins, [count + 1]."""
    offsets = np.zeros(len(texts) + 1, np.int64)
    np.cumsum([len(text) for text in texts], out=offsets[1:])
    signs = np.frombuffer("".join(texts).encode("utf-32-le"), np.int32)
    return np.ascontiguousarray(signs), offsets


__all__ = [
    "Beam",
    "NGram",
    "Scorer",
    "Told",
    "Weights",
    "best_texts",
    "ngram",
    "ngram_scores",
    "push",
    "scorer",
    "wrong_row",
]
