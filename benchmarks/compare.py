"""Did the ratio to any rival get worse from one set of results to another?

    python -m benchmarks.compare OLD NEW

OLD and NEW are result files, or folders of them. Compared are ratios to rivals timed in the same run, not times, as a
machine is slower on some days. A ratio got worse when its new median lies below every ratio that a round of the old run
gave, and the old median lies above every ratio of the new run: the two spreads keep clear of the other's median. The
exit code is 1 when any did, 2 for a wrong call, else 0.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.record import Record, load
from benchmarks.tables import ratio, rivals, rows, times


@dataclass(frozen=True)
class Change:
    """The ratio to one rival in one race, then and now: median, least, largest."""

    race: str
    rival: str
    old: tuple[float, float, float]
    new: tuple[float, float, float]

    @property
    def worse(self) -> bool:
        return self.new[0] < self.old[1] and self.old[0] > self.new[2]


def changes(old: Mapping[str, Record], new: Mapping[str, Record]) -> list[Change]:
    """Pair the races and rivals that both have."""
    found = []
    for name in sorted(old.keys() & new.keys()):
        if "seconds" not in old[name] or "seconds" not in new[name]:
            continue
        both = [rival for rival in rivals(old[name]) if rival in new[name]["seconds"]]
        found += [Change(name, rival, ratio(old[name], rival), ratio(new[name], rival)) for rival in both]
    return found


def table(found: list[Change]) -> str:
    """Write one row per race and rival."""
    body = [[c.race, c.rival, _spread(c.old), _spread(c.new), "**worse**" if c.worse else ""] for c in found]
    return rows(["race", "rival", "old ratio (least - most)", "new ratio (least - most)", ""], body)


def _spread(three: tuple[float, float, float]) -> str:
    return f"{times(three[0])} ({times(three[1])} - {times(three[2])})"


def main(arguments: list[str]) -> int:
    """Compare, print the table and return the exit code."""
    places = [Path(argument) for argument in arguments]
    if len(places) != 2 or not all(place.exists() for place in places):
        print("usage: python -m benchmarks.compare OLD NEW  (result files, or folders of them)", file=sys.stderr)
        return 2
    found = changes(load(places[0]), load(places[1]))
    if not found:
        print("the two have no race and rival in common", file=sys.stderr)
        return 2
    print(table(found))
    return int(any(change.worse for change in found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
