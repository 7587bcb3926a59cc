"""Zones of time: from what clocks show to UTC and back. Knows no columns and no series.

Times are `datetime64[ms]`; offsets are milliseconds that clocks are ahead of UTC.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from tidegate.data.checks import Where
from tidegate.errors import Argument, DataError, OptionError

Times = npt.NDArray[Any]
Offsets = npt.NDArray[np.int64]

_QUARTER = 900_000  # clocks change at full quarters of an hour of UTC
_OFFSET = re.compile(r"([+-])(\d{2}):?(\d{2})?")


@dataclass(frozen=True)
class Zone:
    """Say how times are told apart from UTC.

    Args:
        name: `Z` for UTC, an offset such as `+05:30`, or a place such as `Europe/Berlin`.
        wall: the times of the series are what clocks there show, as it must be where steps are days or months; else
            they are UTC.

    >>> Zone("Europe/Berlin").show(np.array(["2024-06-30T22:00"], "datetime64[ms]"))
    ['2024-07-01 00:00:00+02:00']
    """

    name: str
    wall: bool = False

    def clock(self, times: Times) -> Times:
        """Give what clocks show at `times` of the series."""
        return times if self.wall else np.asarray(times + _milliseconds(offsets_at(times, self.name)))

    def show(self, times: Times) -> list[str]:
        """Write times with their offset."""
        clock = self.clock(times)
        offsets = offsets_of(clock, self.name)[0] if self.wall else (clock - times).astype(np.int64)
        texts = np.datetime_as_string(clock, unit="ms" if (clock.astype(np.int64) % 1000).any() else "s").tolist()
        return [text.replace("T", " ") + self._suffix(int(away)) for text, away in zip(texts, offsets, strict=True)]

    def _suffix(self, offset: int) -> str:
        return "Z" if self.name == "Z" else show_offset(offset)


def check_zone(name: str) -> str:
    """Return the name of a zone that is known, as `Zone` has it; raises OptionError."""
    if name.upper() in ("Z", "UTC", "GMT"):
        return "Z"
    if _OFFSET.fullmatch(name):
        return show_offset(read_offset(name))
    try:
        ZoneInfo(name)
    except (OSError, ValueError, LookupError):
        raise OptionError(f"unknown zone {name!r}. Wanted Z, an offset such as +05:30, or Europe/Berlin.") from None
    return name


def read_offset(text: str) -> int:
    """Read an offset in milliseconds.

    >>> read_offset("+05:30"), read_offset("-08"), read_offset("Z")
    (19800000, -28800000, 0)
    """
    match = _OFFSET.fullmatch(text)
    if match is None:
        return 0
    minutes = int(match[2]) * 60 + int(match[3] or 0)
    return (-minutes if match[1] == "-" else minutes) * 60_000


def show_offset(offset: int) -> str:
    """Write an offset.

    >>> show_offset(-12_600_000)
    '-03:30'
    """
    hours, minutes = divmod(abs(offset) // 60_000, 60)
    return f"{'-' if offset < 0 else '+'}{hours:02d}:{minutes:02d}"


def offsets_at(times: Times, name: str) -> Offsets:
    """Look up the offset at each time of UTC."""
    if (zone := _place(name)) is None:
        return np.full(len(times), read_offset(name), np.int64)
    quarters, inverse = np.unique(times.astype(np.int64) // _QUARTER, return_inverse=True)
    found = [_away(datetime.fromtimestamp(quarter * 900, UTC).astimezone(zone)) for quarter in quarters.tolist()]
    return np.array(found, np.int64)[inverse]


def offsets_of(clock: Times, name: str) -> tuple[Offsets, Offsets]:
    """Look up the offset of each time that clocks show; the second differs where clocks are changed.

    Where they are put back, the time comes twice, and the second offset is that of the second time. Where they are put
    forward, the time does not come at all, and the second is the larger one.
    """
    if (zone := _place(name)) is None:
        same = np.full(len(clock), read_offset(name), np.int64)
        return same, same
    quarters, inverse = np.unique(clock.astype(np.int64) // _QUARTER, return_inverse=True)
    shown = [datetime.fromtimestamp(quarter * 900, UTC).replace(tzinfo=zone) for quarter in quarters.tolist()]
    first, second = ([_away(time.replace(fold=fold)) for time in shown] for fold in (0, 1))
    return np.array(first, np.int64)[inverse], np.array(second, np.int64)[inverse]


def to_utc(clock: Times, name: str, *, where: Where) -> Times:
    """Bring what clocks show, row by row, to UTC.

    An hour that comes twice, as clocks are put back, is told by the order of the rows; where it is there once, by the
    even distance of all of them.

    Raises DataError, naming the row, for a time that clocks skip, and for one of the two hours alone, or in disorder.
    """
    first, second = offsets_of(clock, name)
    if (skipped := np.flatnonzero(second > first)).size:
        row = int(skipped[0])
        raise DataError(
            f"{where(row)}: clocks in {name} never show {_plain(clock[row])}, since they are put forward then. "
            "Name the zone that these times are in, or correct them."
        )
    offsets = first.copy()
    twice = np.flatnonzero(second != first)
    seen: set[int] = set()
    for row in twice.tolist():
        shown = int(clock[row].astype(np.int64))
        offsets[row] = second[row] if shown in seen else first[row]
        seen.add(shown)
    utc: Times = clock - _milliseconds(offsets)
    times, counts = np.unique(clock[twice], return_counts=True)
    alone = twice[np.isin(clock[twice], times[counts < 2])]
    if len(alone):
        later = utc.copy()
        later[alone] = (clock - _milliseconds(second))[alone]
        even = [found for found in (utc, later) if len(set(np.diff(found).tolist())) == 1]
        utc = even[0] if len(even) == 1 else utc
        alone = alone[:0] if len(even) == 1 else alone
    disorder = twice[1:][np.diff(utc[twice].astype(np.int64)) <= 0]
    if len(unclear := np.concatenate([alone, disorder])):
        raise _not_told(clock, int(unclear[0]), name, where)
    return utc


def _not_told(clock: Times, row: int, name: str, where: Where) -> DataError:
    offset = show_offset(int(offsets_of(clock[row : row + 1], name)[0][0]))
    return DataError(
        f"{where(row)}: clocks in {name} show {_plain(clock[row])} twice, since they are put back then, and the order "
        "of the rows does not tell which it is. Give both hours, one after the other, or write the offset into each "
        f"time, such as {_plain(clock[row])}{offset}."
    )


def zone_hint(time: Any) -> tuple[str | Argument, ...]:
    """Advise, for a time at which clocks may be changed, to name the zone: pieces of a message."""
    if not isinstance(time, np.datetime64):
        return ()
    moment = time.astype("datetime64[s]").item()
    if moment.weekday() != 6 or moment.hour > 3 or moment.month not in (3, 4, 9, 10, 11):
        return ()
    return (" Where clocks are changed that night, name the place: ", Argument("zone", "Europe/Berlin"), ".")


def name_of(zone: tzinfo) -> str:
    """Name the zone of a `datetime`; empty where it is none that can be looked up."""
    found = getattr(zone, "key", None) or getattr(zone, "zone", None) or str(zone)
    try:
        return check_zone(str(found))
    except OptionError:
        return ""


def _place(name: str) -> ZoneInfo | None:
    return None if name == "Z" or _OFFSET.fullmatch(name) else ZoneInfo(name)


def _away(time: datetime) -> int:
    away = time.utcoffset()
    return 0 if away is None else round(away.total_seconds() * 1000)


def _milliseconds(offsets: Offsets) -> Any:
    return offsets.astype("timedelta64[ms]")


def _plain(time: Any) -> str:
    return str(time.astype("datetime64[s]")).replace("T", " ")
