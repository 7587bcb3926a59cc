"""Draws batches for a graph to prove itself on: sizes and lengths of all kinds, and garbage in the padding."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.network import Embed, Network, Spell, Wide

Array: TypeAlias = npt.NDArray[Any]

_BATCHES: Final = (1, 2, 7)
_LONGEST: Final = (1, 2, 17, 128)
_NUMBERS: Final = 2**24  # that a batch may have for output
_LETTERS: Final = 9  # of the longest word
_FEATURES: Final = 40  # of one sequence
_NO_ID: Final = (-1, 2**40)  # what lies in the padding of ids, turn by turn


def draw_lengths(rng: np.random.Generator, *, width: int) -> Iterator[tuple[str, Array, int]]:
    """Draw a grid of batches: the name of each, its lengths [B], and the steps that it is padded to.

    Where `width`, the numbers that a graph gives for each step, is large, the longest ones are shorter.
    """
    for batch in _BATCHES:
        for longest in sorted({min(longest, max(_NUMBERS // (batch * width), 1)) for longest in _LONGEST}):
            lengths = rng.integers(0, longest, batch, endpoint=True)
            lengths[rng.integers(batch)] = longest
            yield f"{batch} of up to {longest}", lengths, longest
    yield "padded by 3 more", np.array([2, 0, 1]), 5
    yield "nothing but empty ones", np.array([0, 0]), 0


def draw_sequences(
    rng: np.random.Generator, network: Network, lengths: Array, time: int, scaling: tuple[Array, Array] | None
) -> dict[str, Array]:
    """Draw the inputs of a network, as `SequenceInterface` names them; features are like those of `scaling`."""
    first, inputs = network.nodes[0], {"sequence_lens": lengths.astype(np.int32)}
    if isinstance(first, Embed):
        inputs["tokens"] = _ids(rng, first.vocabulary_size, lengths, time)
        return inputs | _beside(rng, first.beside, lengths, time) | _features(rng, network.wide, len(lengths))
    if isinstance(first, Spell):
        letters = first.characters[0]
        assert isinstance(letters, Embed), "the network was checked: characters are embedded first"
        count = max(int(lengths.sum()) // 2, 1)
        sizes = rng.integers(0, _LETTERS, count, endpoint=True)
        return inputs | {
            "tokens": _ids(rng, first.words.vocabulary_size, lengths, time),
            "spelling": _ids(rng, count, lengths, time),
            "characters": _ids(rng, letters.vocabulary_size, sizes, max(int(sizes.max()), 1)),
            "character_lens": sizes.astype(np.int32),
        }
    mean, deviation = (0.0, 1.0) if scaling is None else scaling
    rows = (rng.standard_normal((len(lengths), time, network.input_size)) * deviation + mean).astype(np.float32)
    rows[_padding(lengths, time)] = np.nan
    return inputs | {"features": rows}


def _beside(rng: np.random.Generator, width: int, lengths: Array, time: int) -> dict[str, Array]:
    """Draw the numbers beside ids, where there are any."""
    if not width:
        return {}
    rows = rng.standard_normal((len(lengths), time, width)).astype(np.float32)
    rows[_padding(lengths, time)] = np.nan
    return {"beside": rows}


def _features(rng: np.random.Generator, wide: Wide | None, batch: int) -> dict[str, Array]:
    """Draw features of each sequence, where they are read; of some there are none."""
    if wide is None:
        return {}
    counts = rng.integers(0, _FEATURES, batch, endpoint=True)
    values = rng.uniform(0, 1, (batch, int(counts.max()))).astype(np.float32)
    values[_padding(counts, values.shape[1])] = np.nan
    ids = _ids(rng, wide.features, counts, values.shape[1])
    return {"feature_ids": ids, "feature_values": values, "feature_lens": counts.astype(np.int32)}


def _ids(rng: np.random.Generator, size: int, lengths: Array, time: int) -> Array:
    """Draw ids [B, T] below `size`; in the padding stands what is no id."""
    ids = rng.integers(0, size, (len(lengths), time))
    padding = _padding(lengths, time)
    ids[padding] = np.resize(_NO_ID, int(padding.sum()))
    return ids


def _padding(lengths: Array, time: int) -> Array:
    """Tell which of [B, T] lie past the lengths."""
    return np.asarray(np.arange(time) >= lengths[:, None])
