"""How fast would up to 16 workers be? Plays what `scale/tree.py` does with clocks instead of machines.

Every worker has its lanes, as `share` deals them, and meets the others as `join` says; a clock each runs for what was
measured of two workers: the part of a step that all repeat, the time of a token, and an exchange over each network. A
lane holds as many tokens as its texts have, so that workers wait for each other as they would.

    python -m benchmarks.simulation

takes the newest result of `python -m benchmarks.workers`; a batch has 128 texts in 16 lanes, as there.
"""

from __future__ import annotations

import statistics
from collections import defaultdict, deque
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from benchmarks.record import load
from benchmarks.tables import rows
from benchmarks.workers import NAME, REPEATED
from tidegate.scale.survey import reference, texts
from tidegate.scale.tree import Send, join, share

COUNTS = (1, 2, 3, 4, 8, 16)


@cache
def lanes() -> list[int]:
    """Say how many tokens are in each lane, as the core deals texts to 16 of them."""
    batch = texts(0)
    lane_of, count = reference()[0].program.deal(batch)
    tokens: list[int] = np.bincount(lane_of, np.diff(batch.offsets), minlength=count).astype(int).tolist()
    return tokens


def meetings(rank: int, shares: Sequence[range], tokens: Sequence[int]) -> list[tuple[list[int], int | None]]:
    """List what a worker does to add up: whom it sends something, and from whom something comes meanwhile."""
    found, nothing = list[tuple[list[int], int | None]](), np.empty(0)

    def exchange(sends: Sequence[Send], source: int | None) -> Any:
        if sends or source is not None:
            found.append(([to for to, _ in sends], source))
        return None if source is None else nothing

    join(rank, shares, tokens, own=lambda _: nothing, exchange=exchange, add=lambda one, _: one)
    return found


def play(clocks: list[float], plans: Sequence[Sequence[tuple[list[int], int | None]]], exchange: float) -> float:
    """Let all meet as planned, and say when the last one is done.

    What is sent to several goes one after the other; what comes is there one exchange after both ends were ready.

    >>> play([1.0, 3.0], [[([1], 1)], [([0], 0)]], 0.5)
    3.5
    """
    left, under_way = [deque(plan) for plan in plans], defaultdict[tuple[int, int], deque[float]](deque)
    begun, moved = [False] * len(plans), True
    while moved:
        moved = False
        for rank, plan in enumerate(left):
            while plan:
                sends, source = plan[0]
                if not begun[rank]:
                    for number, to in enumerate(sends):
                        under_way[rank, to].append(clocks[rank] + number * exchange)
                    begun[rank] = True
                if source is not None and not under_way[source, rank]:
                    break
                sent = clocks[rank] + len(sends) * exchange
                came = 0.0 if source is None else max(clocks[rank], under_way[source, rank].popleft()) + exchange
                clocks[rank] = max(sent, came)
                plan.popleft()
                begun[rank], moved = False, True
    assert not any(left), "everybody has met"
    return max(clocks)


@cache
def planned(workers: int) -> tuple[list[int], list[list[tuple[list[int], int | None]]]]:
    """Say how many tokens each of so many workers has, and whom it meets."""
    tokens = lanes()
    shares = share(tokens, workers)
    own = [sum(tokens[lane] for lane in each) for each in shares]
    return own, [meetings(rank, shares, tokens) for rank in range(workers)]


def simulate(workers: int, repeated: float, each: float, exchange: float) -> float:
    """Say how many times as fast as one so many workers are.

    Args:
        workers: how many.
        repeated: seconds of a step that all of them take.
        each: seconds of a token.
        exchange: seconds of an exchange of two.
    """
    tokens, plans = planned(workers)
    clocks = [repeated + each * own for own in tokens]
    return (repeated + each * sum(tokens)) / play(clocks, plans, exchange)


def table(record: dict[str, Any]) -> str:
    """Write a row for each number of workers, and a column for each network."""
    one, repeated = (statistics.median(record["steps"][name]) for name in ("1 thread", REPEATED))
    each = (one - repeated) / record["setting"]["tokens"]
    links = {name: statistics.median(times["rows"]) for name, times in record["exchange"].items()}
    body = [
        [str(count), *(f"{simulate(count, repeated, each, seconds):.2f}" for seconds in links.values())]
        for count in COUNTS
    ]
    return rows(["workers", *links], body)


def check(record: dict[str, Any]) -> str:
    """Say what it tells of two workers, and what was measured of them."""
    one, repeated, two = (statistics.median(record["steps"][name]) for name in ("1 thread", REPEATED, "2 workers"))
    each = (one - repeated) / record["setting"]["tokens"]
    told = simulate(2, repeated, each, statistics.median(record["exchange"]["this machine"]["rows"]))
    return f"two workers on this machine: {told:.2f} times as fast as one, where {one / two:.2f} was measured"


def main() -> None:
    """Answer the question."""
    record = load()[NAME]
    print(table(record))
    print("\n" + check(record))


if __name__ == "__main__":
    main()
