"""What the most probable symbol of each frame spells, as CTC reads it, in a graph and by our own kernels.

A graph gives `ids` [batch, symbols] int64, with `first` and `last` [batch, symbols] int64, the frames of each, and
`symbol_lens` [batch] int32, how many symbols there are; all else is zero.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.kernels import ctc
from tidegate.ragged import Ragged

if TYPE_CHECKING:
    from tidegate.export.graph import Graph

Array: TypeAlias = npt.NDArray[Any]

_SPELLED: Final = ("ids", "first", "last")


def write_spelled(graph: Graph, rows: str) -> None:
    """Write the outputs of scores [B, F, K] that are zero past the ends of sequences; F is one at least."""
    blank, one = graph.constant(ctc.BLANK, np.int64), graph.integers(1)
    best = graph.add("ArgMax", rows, axis=2, keepdims=0)  # [B, F], the blank past the ends
    apart = graph.zeros(graph.shape(graph.size(best, 0), 1), np.int64)
    before = graph.add("Slice", best, graph.integers(0), graph.integers(-1), one)
    after = graph.add("Slice", best, one, graph.size(best, 1), one)
    names = graph.add("Not", graph.add("Equal", best, blank))
    begins, ends = (
        graph.add("And", names, graph.add("Not", graph.add("Equal", best, graph.add("Concat", *parts, axis=1))))
        for parts in ((apart, before), (after, apart))
    )
    numbers = graph.cast(begins, np.int64)
    counts = graph.add("ReduceSum", numbers, one, keepdims=0)  # [B]
    place = graph.add("Sub", graph.add("CumSum", numbers, graph.constant(1, np.int32)), graph.constant(1, np.int64))
    longest = graph.add("ReduceMax", counts, axes=[0], keepdims=1)
    empty = graph.zeros(graph.shape(graph.size(best, 0), graph.add("Max", longest, one)), np.int64)
    # Runs begin in the same order as they end, sequence by sequence.
    began, ended = (graph.add("Transpose", graph.add("NonZero", runs), perm=[1, 0]) for runs in (begins, ends))
    row = graph.slice(began, 1, 0, 1)  # [M, 1]
    to = graph.add("Concat", row, graph.unsqueeze(graph.add("GatherND", place, began), 1), axis=1)
    first, last = (graph.add("Squeeze", graph.slice(runs, 1, 1, 2), one) for runs in (began, ended))
    for name, values in zip(_SPELLED, (graph.add("GatherND", best, began), first, last), strict=True):
        laid = graph.slice(graph.add("ScatterND", empty, to, values), 1, 0, longest)
        graph.output(name, laid, np.int64, ["batch", "symbols"])
    graph.output("symbol_lens", graph.cast(counts, np.int32), np.int32, ["batch"])


def spelled(scores: Array, lengths: Array) -> dict[str, Array]:
    """Give the same outputs for scores [B, F, K] with our own kernels; `lengths` [B] are frames.

    >>> told = spelled(np.eye(3, dtype=np.float32)[[[1, 1, 0, 1, 2]]], np.array([5]))
    >>> told["ids"].tolist(), told["first"].tolist(), told["last"].tolist()
    ([[1, 1, 2]], [[0, 3, 4]], [[1, 3, 4]])
    """
    frames = Ragged.from_padded(scores, lengths)
    found = ctc.greedy(ctc.Frames(np.asarray(frames.values), np.asarray(frames.offsets)))
    counts = np.diff(found.begins)
    within = np.arange(counts.max(initial=0)) < counts[:, None]
    out = {name: np.zeros(within.shape, np.int64) for name in _SPELLED}
    for laid, values in zip(out.values(), (found.symbols, found.first, found.last), strict=True):
        laid[within] = values
    return out | {"symbol_lens": counts.astype(np.int32)}
