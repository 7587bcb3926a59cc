"""Tells what the gates of a decoder did while it wrote. Knows ids and nodes, neither texts nor searches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.cells import CELLS
from tidegate.network import Attend
from tidegate.pairs import Pairs
from tidegate.ragged import Ragged
from tidegate.runtime import Executor, cut
from tidegate.tasks.translating.reading import Reading, joined
from tidegate.tasks.translating.searching import Hypothesis

Array: TypeAlias = npt.NDArray[Any]

_TOKENS = 2**11  # of pairs that are recorded together


def with_gates(
    executor: Executor, reading: Reading, sources: Ragged, found: Sequence[Sequence[Hypothesis]]
) -> list[list[Hypothesis]]:
    """Put to each output how far the gates were open for each of its tokens.

    The network reads each source with its output once more, as in training; the numbers of one depend, to the bit, on
    no other.

    Args:
        executor: of the network of a translator.
        reading: its tokens.
        sources: ids of B inputs.
        found: the outputs of each.
    """
    owners = np.repeat(np.arange(len(found)), list(map(len, found)))
    outputs = [one.ids for ranked in found for one in ranked]
    written = joined(Ragged.from_list(outputs, dtype=np.int32), before=reading.start)
    pairs = Pairs(sources.select(owners), written)
    opened: list[tuple[dict[str, Array], ...]] = [()] * len(outputs)
    for indices in cut(pairs, tokens=_TOKENS):
        some = pairs.select(indices)
        ends = np.asarray(some.target.offsets)[1:-1]
        hops = [{letter: np.split(rows, ends) for letter, rows in hop.items()} for hop in _hops(executor, some)]
        for place, index in enumerate(indices.tolist()):
            opened[index] = tuple({letter: parts[place] for letter, parts in hop.items()} for hop in hops)
    each = iter(opened)
    return [[replace(one, gates=next(each)) for one in ranked] for ranked in found]


def _hops(executor: Executor, pairs: Pairs) -> list[dict[str, Array]]:
    """Give for each look at the source the means of the gates of the layer that asks, `[N]` by letter."""
    runs, network, out = executor.record(pairs).nodes, executor.network, list[dict[str, Array]]()
    for node, (asks, *_) in zip(network.nodes, network.sources, strict=True):
        if isinstance(node, Attend):
            layer = runs[asks].layers[-1]
            card, gates = CELLS[layer.cell], layer.out.gates
            parts = [] if gates is None else np.split(gates[0], card.gates, axis=1)  # each [N, H]
            named = zip(card.letters, parts, strict=True)
            out.append({letter: part.mean(axis=1) for letter, part in named if letter not in card.tanh})
    return out
