"""The work that engines race on: sequences and weights, drawn once and read by every process from one file.

Knows NumPy alone, so that it runs in the environment of any rival. Weights lie in torch's layout and order of gates.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

WORDS, LAST, BATCH = 10_000, 500, 128
PADDING = WORDS  # the row of the table that stands for it
GATES = {"rnn": 1, "lstm": 4, "gru": 3}
LEARNING_RATE, LONGEST_GRADIENT = 1e-3, 1.0


@dataclass(frozen=True)
class Job:
    """Say what an engine is to run, in which mode, and where its arrays are."""

    cell: str
    inputs: int
    hidden: int
    directions: int
    threads: int
    arrays: str
    mode: str = ""

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    def load(self) -> dict[str, Array]:
        with np.load(self.arrays) as file:
            return dict(file)


def suffixes(job: Job) -> tuple[str, ...]:
    return ("", "_reverse")[: job.directions]


def draw_weights(cell: str, inputs: int, hidden: int, directions: int, *, seed: int = 0) -> dict[str, Array]:
    """Draw a table, a layer and a linear classifier with two classes; the second bias of a gate is zero."""
    rng = np.random.default_rng(seed)
    bound, rows = hidden**-0.5, GATES[cell] * hidden
    weights = {"table": rng.standard_normal((WORDS + 1, inputs))}
    for suffix in ("", "_reverse")[:directions]:
        weights["w_ih" + suffix] = rng.uniform(-bound, bound, (rows, inputs))
        weights["w_hh" + suffix] = rng.uniform(-bound, bound, (rows, hidden))
        weights["b_ih" + suffix] = rng.uniform(-bound, bound, rows)
        weights["b_hh" + suffix] = np.zeros(rows)
    weights["head"] = rng.uniform(-bound, bound, (2, directions * hidden))
    weights["head_bias"] = np.zeros(2)
    return {name: array.astype(np.float32) for name, array in weights.items()}


def deal(lengths: Array, batches: int) -> Array:
    """Choose the sequences of a few batches: runs of like length at even distances, shuffled.

    Sorted again they make perfect buckets, as sorting a whole data set would; as they come, each batch is a sample.
    """
    order = np.argsort(lengths, kind="stable")
    centres = (np.arange(batches) * 2 + 1) * len(order) // (2 * batches)
    chosen = np.concatenate([order[c - BATCH // 2 : c + BATCH // 2] for c in centres])
    return np.random.default_rng(0).permutation(chosen)


def sequences(arrays: dict[str, Array]) -> list[Array]:
    return np.split(arrays["values"], arrays["offsets"][1:-1])


def cut(tokens: list[Array], *, buckets: bool) -> Iterator[list[Array]]:
    """Cut the sequences into batches, as they come or, in ``buckets``, by length."""
    order = sorted(tokens, key=len) if buckets else tokens
    for start in range(0, len(order), BATCH):
        yield order[start : start + BATCH]


def pad(batch: list[Array]) -> tuple[Array, Array]:
    """Pad to the longest: ids ``[B, T]`` and lengths ``[B]``."""
    lengths = np.array([len(sequence) for sequence in batch], np.int64)
    ids = np.full((len(batch), int(lengths.max())), PADDING, np.int64)
    for row, sequence in zip(ids, batch, strict=True):
        row[: len(sequence)] = sequence
    return ids, lengths


def equal_lengths(tokens: list[Array], steps: int = 40) -> list[Array]:
    """Take the ends of the first long sequences: a batch in which nothing is padded, so that all must agree."""
    return [sequence[-steps:] for sequence in tokens if len(sequence) >= steps][:BATCH]


def labels() -> Array:
    return np.arange(BATCH, dtype=np.int64) % 2


def products(cell: str, inputs: int, hidden: int, directions: int) -> int:
    """Count the floating-point operations of the matrix products of a layer per token, forward.

    ``2 G H (C + H)`` in each direction: a gate multiplies the input and the state. Backward takes twice as many, as
    each product has two gradients.
    """
    return 2 * GATES[cell] * hidden * (inputs + hidden) * directions
