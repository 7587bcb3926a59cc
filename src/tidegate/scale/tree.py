"""Who runs which lanes of a batch, and how the workers add up what they found: in the order of the lanes' own tree.

Knows neither programs nor networks: what is added, sent and received are somebody else's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
Send: TypeAlias = tuple[int, Array]
"""To whom, and what."""


def share(tokens: Sequence[int], workers: int) -> list[range]:
    """Deal lanes with so many tokens each to workers: neighbouring ones to each, and as evenly as that goes.

    >>> share([5, 5, 5, 5], 2), share([6, 6, 6, 6, 6, 6, 0, 0], 3)
    ([range(0, 2), range(2, 4)], [range(0, 2), range(2, 4), range(4, 8)])
    """
    before = np.cumsum([0, *tokens])
    cuts = [0]
    for worker in range(1, workers):
        ideal = before[-1] * worker / workers
        cuts.append(max(cuts[-1], int(np.abs(before - ideal).argmin())))
    return [range(first, last) for first, last in zip(cuts, [*cuts[1:], len(tokens)], strict=True)]


def join(
    rank: int,
    shares: Sequence[range],
    tokens: Sequence[int],
    *,
    own: Callable[[range], Array],
    exchange: Callable[[Sequence[Send], int | None], Array | None],
    add: Callable[[Array, Array], Array],
) -> Array:
    """Add up what all lanes found, as a balanced binary tree over the lanes: the same bits whoever ran which.

    The two halves of a part of the tree are added by all who hold one of them, after each was given the other: where
    as many workers, a power of two, have as many lanes, that is recursive doubling. Whoever has a complete half sends
    it as one array, and lanes without tokens are passed over. All workers call this alike.

    Args:
        rank: of this worker.
        shares: the lanes of each worker, as `share` deals them.
        tokens: in each lane; a power of two of them.
        own: adds up a part of the tree that this worker ran alone.
        exchange: sends arrays, receives one from somebody unless that is None, and returns it when all is sent.
        add: adds the second array to the first.
    """
    owner = {lane: worker for worker, lanes in enumerate(shares) for lane in lanes if tokens[lane]}

    def part(lanes: range) -> Array | None:
        members = holders(lanes)
        if members == [rank]:
            return own(lanes)
        if rank not in members:
            return None
        middle = (lanes.start + lanes.stop) // 2
        halves = (range(lanes.start, middle), range(middle, lanes.stop))
        found = [part(half) for half in halves]
        held = [holders(half) for half in halves]
        if not all(held):
            return found[0] if held[0] else found[1]
        sends, source, wanted = list[Send](), None, 0
        for half in (0, 1):
            takers = sorted({*held[1 - half]} - {*held[half]})
            for index, taker in enumerate(takers):
                giver = held[half][index % len(held[half])]
                if giver == rank:
                    sends.append((taker, _there(found[half])))
                if taker == rank:
                    source, wanted = giver, half
        came = exchange(sends, source)
        if source is not None:
            found[wanted] = came
        return add(_there(found[0]), _there(found[1]))

    def holders(lanes: range) -> list[int]:
        return sorted({owner[lane] for lane in lanes if lane in owner})

    every = range(len(tokens))
    found, members = part(every), holders(every)
    idle = sorted({*range(len(shares))} - {*members})
    sends = [(worker, _there(found)) for index, worker in enumerate(idle) if members[index % len(members)] == rank]
    source = members[idle.index(rank) % len(members)] if rank in idle else None
    came = exchange(sends, source)
    return _there(found if came is None else came)


def _there(found: Array | None) -> Array:
    assert found is not None, "whoever holds a part has its sum"
    return found
