"""Columns of times as people write them: what is read, and what is refused since it may be two. Knows no series.

Texts in the order of ISO 8601 or of a calendar (13.02.2020, 2/13/2020), with a zone or without; numbers that are dates
(20200213) or seconds since 1970; dates of Python and of frames; parts of a time in several columns.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.data.checks import Where
from tidegate.data.times import Times, step_of
from tidegate.data.zones import Offsets, Zone, check_zone, name_of, read_offset, show_offset, to_utc
from tidegate.errors import Argument, DataError, OptionError

FORMATS = ("dayfirst", "monthfirst", "number", "seconds", "milliseconds", "excel")
"""How times may be said to be written, besides a pattern of `strptime` such as `%d/%m/%y %H:%M`."""

_DAY = 86_400_000
PARTS = ("year", "month", "day", "hour", "minute", "second")
_CLOCK = r"(\d{1,2})(?::?(\d{2})(?::?(\d{2})(?:[.,](\d{1,9}))?)?)?\s*([AaPp]\.?[Mm]\.?)?"
_ZONE = r"(Z|z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)?"
_DATED = re.compile(rf"(\d{{1,4}})([-/.])(\d{{1,2}})(?:\2(\d{{1,4}}))?(?:(?:T|t|,?\s+){_CLOCK})?\s*{_ZONE}")
_COMPACT = re.compile(rf"(\d{{4}})()(\d{{2}})(\d{{2}})(?:(?:T|t|\s+){_CLOCK})\s*{_ZONE}")
_QUARTERS = re.compile(r"(\d{4})[- ]?[Qq]([1-4])")
_WEEKS = re.compile(r"(\d{4})-?[Ww](\d{2})")
_NOT_PLAIN = re.compile(r"^(?!\d{4}-\d\d(?:-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?)?$)", re.MULTILINE)
_UNITS = {10: 1000, 13: 1, 16: 1e-3, 19: 1e-6}  # digits of a number since 1970: the milliseconds that it counts in


@dataclass(frozen=True)
class TimeColumn:
    """Hold times as they were written.

    Args:
        clock: [T] datetime64[ms], what clocks show; or int64, where a series merely counts.
        offsets: [T], by how much that is ahead of UTC; None where nothing says so.
        zone: the zone that was named with the times; empty where there is none, or only offsets.
        note: how they were written, where that was not plain to see.
    """

    clock: Times
    offsets: Offsets | None = None
    zone: str = ""
    note: str = ""

    def settle(self, rows: Any, zone: str | None, where: Where) -> tuple[Times, Zone | None]:
        """Give the times of the rows of one series, as `Series` has them, and their zone.

        Args:
            rows: which they are.
            zone: where the clocks stand that show times without an offset, and as which they are written again.
            where: names a row, counted within the series.

        Raises DataError as `zones.to_utc` does.
        """
        clock = self.clock[rows]
        if clock.dtype.kind != "M" or not len(clock) or (self.offsets is None and zone is None):
            return clock, None
        name = self.zone if zone is None else check_zone(zone)
        offsets = None if self.offsets is None else self.offsets[rows]
        utc = None if offsets is None else clock - offsets.astype("timedelta64[ms]")
        if name and utc is not None:
            clock = Zone(name).clock(utc)
        name = name or show_offset(int(offsets[-1] if offsets is not None else 0))
        of_day = clock.astype(np.int64) % _DAY
        if len(clock) > 1 and (of_day == of_day[0]).all():  # days are longer or shorter where clocks are changed
            return clock, Zone(name, wall=True)
        return (to_utc(clock, name, where=where) if utc is None else utc), Zone(name)


def read_times(column: Any, *, where: Where, form: str | None = None) -> TimeColumn:
    """Read a column of times.

    Args:
        column: texts, dates, `datetime64` or numbers.
        where: names a row.
        form: how they are written, one of `FORMATS` or a pattern of `strptime`; None where that shows.

    Raises:
        DataError: a row holds no time, or days and months may be either way round; the row is named.
        OptionError: `form` is not known.

    >>> read_times(["13.2.2020", "14.2.2020 6:30"], where=str).clock
    array(['2020-02-13T00:00:00.000', '2020-02-14T06:30:00.000'],
          dtype='datetime64[ms]')
    >>> read_times([20200213, 20200214], where=str).note
    'YYYYMMDD'
    """
    if form is not None and form not in FORMATS and "%" not in form:
        raise OptionError.unknown("time_format", form, (*FORMATS, "%d/%m/%Y %H:%M"))
    if isinstance(column, TimeColumn):
        return column
    if isinstance(column, np.ndarray) and column.dtype.kind == "M":
        return TimeColumn(_no_gaps(column.astype("datetime64[ms]"), column, where))
    items = column.tolist() if isinstance(column, np.ndarray) else list(column)
    if form is not None and "%" in form:
        return _by_pattern(items, form, where)
    if items and form not in ("dayfirst", "monthfirst") and (numbers := _as_numbers(items)) is not None:
        return _from_numbers(numbers, form, where)
    if form in FORMATS[2:]:
        row = next(i for i, item in enumerate(items) if _as_numbers([item]) is None)
        raise _no_time(items[row], where(row))
    texts = [_text(item) for item in items]
    zone = next((name_of(item.tzinfo) for item in items if getattr(item, "tzinfo", None) is not None), "")
    return _plain(texts) or _from_texts(texts, form, zone, where)


def join_parts(columns: Mapping[str, Sequence[Any]]) -> list[str]:
    """Make texts of times whose parts stand in several columns: `date` and `time`, or `year`, `month`, `day`, `hour`.

    >>> join_parts({"date": ["13.2.2020"], "hour": [7]}), join_parts({"year": [2020], "month": [2]})
    (['13.2.2020 7'], ['2020-02'])
    """
    texts = [[_part(item) for item in column] for column in columns.values()]
    names = [name.strip().lower() for name in columns]
    if not {"year", "month"} <= set(names):
        return [" ".join(parts) for parts in zip(*texts, strict=True)]
    order = [texts[names.index(part)] for part in PARTS if part in names]
    joins = ("", "-", "-", " ", ":", ":")
    rows = zip(*order, strict=True)
    return ["".join(j + part.zfill(2) for j, part in zip(joins, row, strict=False)) for row in rows]


def looks_like_times(column: Sequence[Any]) -> bool:
    """Say whether a column holds times, and no mere numbers.

    >>> looks_like_times(["2020-02-13 14:00"]), looks_like_times(["7", "8"]), looks_like_times(["noon"])
    (True, False, False)
    """
    try:
        return bool(read_times(column, where=str).clock.dtype.kind == "M")
    except DataError as error:
        return "either way round" in str(error)


def _plain(texts: list[str]) -> TimeColumn | None:
    """Let NumPy read what is written as it writes it; None for anything else."""
    if not texts or _NOT_PLAIN.search("\n".join(texts)):
        return None
    try:
        clock = np.array(texts, "datetime64[ms]")
    except ValueError:
        return None
    return None if np.isnat(clock).any() else TimeColumn(clock)


def _from_texts(texts: list[str], form: str | None, zone: str, where: Where) -> TimeColumn:
    found = [_parts(text) for text in texts]
    if None in found:
        raise _no_time(texts[found.index(None)], where(found.index(None)))
    parts = np.array([row[:8] for row in found if row], np.int64).reshape(-1, 8)
    zones, note = [row[8] for row in found if row], ""
    odd = np.flatnonzero(parts[:, 7])
    if len(odd):
        dayfirst = form == "dayfirst" if form in FORMATS[:2] else _is_dayfirst(texts, parts, odd, where)
        note = "day before month" if dayfirst else "month before day"
        if dayfirst:
            parts[odd, 1:3] = parts[odd, 2:0:-1]
    clock, wrong = _assemble(parts)
    if len(wrong):
        raise _no_time(texts[wrong[0]], where(int(wrong[0])))
    if not any(zones):
        return TimeColumn(clock, note=note)
    if bare := [row for row, name in enumerate(zones) if not name]:
        raise DataError(f"{where(bare[0])} has the time {texts[bare[0]]!r:.40} without a zone; other rows have one.")
    offsets = np.array([read_offset(name) for name in zones], np.int64)
    utc = "Z" if all(name[0] not in "+-" for name in zones) else ""
    return TimeColumn(clock, offsets, zone or utc, note)


def _parts(text: str) -> tuple[Any, ...] | None:
    """Take a text apart: year, month, day, hour, minute, second, millisecond, then the zone.

    Before the zone stands 1 where the year comes last: then the month is the first number and the day the second.
    """
    if match := _QUARTERS.fullmatch(text):
        return int(match[1]), 3 * int(match[2]) - 2, 1, 0, 0, 0, 0, 0, ""
    if match := _WEEKS.fullmatch(text):
        return _week(int(match[1]), int(match[2]))
    match = _DATED.fullmatch(text) or _COMPACT.fullmatch(text)
    if match is None:
        return None
    first, _, second, third, hour, minute, of_minute, fraction, half, zone = match.groups()
    numbers = [int(part or 0) for part in (hour, minute, of_minute, (fraction or "").ljust(3, "0")[:3])]
    if half:
        if not 1 <= numbers[0] <= 12:
            return None
        numbers[0] = numbers[0] % 12 + 12 * (half[0] in "Pp")
    if len(first) == 4:
        return int(first), int(second), int(third or 1), *numbers, 0, zone or ""
    if third is None or len(third) != 4:  # years of two digits are for a pattern to say
        return None
    return int(third), int(first), int(second), *numbers, 1, zone or ""


def _week(year: int, week: int) -> tuple[Any, ...] | None:
    try:
        monday = date.fromisocalendar(year, week, 1)
    except ValueError:
        return None
    return monday.year, monday.month, monday.day, 0, 0, 0, 0, 0, ""


def _assemble(parts: npt.NDArray[np.int64]) -> tuple[Times, npt.NDArray[np.intp]]:
    """Make times [T] of parts [T, 7 or more]; return them with the rows that are none, such as February 30th."""
    year, month, day, hour, minute, second, milli = parts[:, :7].T
    months = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + (day - 1)
    away = ((hour * 60 + minute) * 60 + second) * 1000 + milli
    right = (month >= 1) & (month <= 12) & (day >= 1) & (days.astype("datetime64[M]") == months)
    right &= (away <= _DAY) & (hour <= 24) & (minute < 60) & (second < 60)  # 24:00 is the end of a day
    return days.astype("datetime64[ms]") + away.astype("timedelta64[ms]"), np.flatnonzero(~right)


def _is_dayfirst(texts: list[str], parts: npt.NDArray[np.int64], odd: npt.NDArray[np.intp], where: Where) -> bool:
    """Find out whether the day or the month comes first in rows whose year comes last.

    A number above 12 tells, and so do dots, which part days from months in that order alone; else the way in which the
    times are evenly spaced.
    """
    first, second = parts[odd, 1], parts[odd, 2]
    days, months = np.flatnonzero(first > 12), np.flatnonzero(second > 12)
    if len(days) and len(months):
        row, other = int(odd[months[0]]), int(odd[days[0]])
        raise DataError(
            f"{where(row)} has the time {texts[row]!r:.40}, whose day comes second, but {where(other)} has "
            f"{texts[other]!r:.40}, whose day comes first. Write all times one way, such as 2020-02-13."
        )
    if len(days) or len(months):
        return bool(len(days))
    if all("." in texts[row][:6] for row in odd):
        return True
    swapped = parts[odd].copy()
    swapped[:, 1:3] = swapped[:, 2:0:-1]
    even = [_is_even(_assemble(one)[0]) for one in (swapped, parts[odd])]
    if even[0] == even[1]:
        row = int(odd[0])
        raise DataError(
            f"{where(row)} has the time {texts[row]!r:.40}, whose day and month may be either way round. Say which: ",
            Argument("time_format", "dayfirst"), " or ", Argument("time_format", "monthfirst"), ".",
        )  # fmt: skip
    return even[0]


def _is_even(times: Times) -> bool:
    distinct = np.unique(times)
    return len(distinct) > 1 and bool((np.diff(step_of(distinct).positions(distinct)) == 1).all())


def _as_numbers(items: Sequence[Any]) -> npt.NDArray[Any] | None:
    """Take numbers as they are, [T]: int64, or float64 where one is not whole; None where one is something else."""
    if all(isinstance(item, int) and not isinstance(item, bool) for item in items):
        return _whole(items)
    try:
        numbers = np.array([float(item) if isinstance(item, float) else float(_digits(item)) for item in items])
    except ValueError:
        return None
    if not np.isfinite(numbers).all() or (numbers % 1).any():
        return numbers if np.isfinite(numbers).all() else None
    return _whole([int(float(item)) if isinstance(item, float) or "." in str(item) else int(item) for item in items])


def _digits(item: Any) -> str:
    if isinstance(item, bool) or not re.fullmatch(r"\s*-?\d+(\.\d*)?\s*", str(item)):
        raise ValueError(item)
    return str(item)


def _whole(items: Sequence[int]) -> npt.NDArray[np.int64] | None:
    return np.array(items, np.int64) if all(abs(item) < 2**63 for item in items) else None


def _from_numbers(numbers: npt.NDArray[Any], form: str | None, where: Where) -> TimeColumn:
    """Read numbers: dates such as 20200213, seconds since 1970, days since 1900, or what merely counts."""
    if form == "excel":
        seconds = np.round(numbers * 86_400).astype("timedelta64[s]")
        return TimeColumn(np.datetime64("1899-12-30", "ms") + seconds, note="days since 1900")
    if numbers.dtype.kind != "i":
        raise DataError(
            f"{where(int(np.flatnonzero(numbers % 1)[0]))} has the time {numbers[numbers % 1 > 0][0]}; wanted a whole "
            "number. Where these are days as spreadsheets count them, pass ", Argument("time_format", "excel"), ".",
        )  # fmt: skip
    if form in ("seconds", "milliseconds"):
        return _since_1970(numbers, 1000 if form == "seconds" else 1, form)
    if form == "number" or not len(numbers):
        return TimeColumn(numbers)
    digits = len(str(int(numbers.max())))
    if len(str(int(numbers.min()))) != digits:
        return TimeColumn(numbers)
    if (dated := _from_digits(numbers, digits)) is not None:
        return dated
    seconds = numbers / 10.0 ** (digits - 10)
    if digits in _UNITS and seconds.min() >= 1e9 and seconds.max() < 2**32:
        return _since_1970(numbers, _UNITS[digits], f"{'milli' * (digits == 13)}seconds since 1970")
    return TimeColumn(numbers)


def _since_1970(numbers: npt.NDArray[Any], unit: float, note: str) -> TimeColumn:
    milliseconds = numbers * int(unit) if unit >= 1 else numbers // round(1 / unit)
    return TimeColumn(milliseconds.astype("datetime64[ms]"), np.zeros(len(numbers), np.int64), "Z", note)


def _from_digits(numbers: npt.NDArray[np.int64], digits: int) -> TimeColumn | None:
    """Read numbers such as 202002, 20200213 and 2020021314; None where one is no date of 1900 to 2100."""
    if digits not in (6, 8, 10, 12, 14):
        return None
    scale = 10 ** (14 - digits)
    whole = numbers * scale + (1_000_000 if digits == 6 else 0)  # YYYYMMDDhhmmss; of a month its first day
    parts = np.stack([whole // 10**at % 10**width for at, width in ((10, 4), (8, 2), (6, 2), (4, 2), (2, 2), (0, 2))])
    clock, wrong = _assemble(np.concatenate([parts, np.zeros_like(parts[:1])]).T)
    if len(wrong) or parts[0].min() < 1900 or parts[0].max() > 2100:
        return None
    return TimeColumn(clock, note="YYYYMMDDhhmmss"[:digits])


def _by_pattern(items: Sequence[Any], form: str, where: Where) -> TimeColumn:
    times: list[datetime] = []
    for row, item in enumerate(items):
        try:
            times.append(datetime.strptime(str(item).strip(), form))
        except ValueError:
            raise DataError(f"{where(row)} has the time {item!r:.40}, which is not of the form {form!r}.") from None
    away = [time.utcoffset() for time in times]
    clock = np.array([time.replace(tzinfo=None) for time in times], "datetime64[ms]")
    if None in away:
        return TimeColumn(clock)
    return TimeColumn(clock, np.array([round(offset.total_seconds() * 1000) for offset in away if offset is not None]))


def _text(item: Any) -> str:
    if item is None or isinstance(item, float | bool):
        return str(item)
    return item.isoformat() if isinstance(item, date) else str(item).strip()


def _part(item: Any) -> str:
    """Write a part of a time: whole numbers as such, dates without their midnight."""
    if isinstance(item, float) and item.is_integer():
        return str(int(item))
    return re.sub(r"[T ]00:00:00(\.0+)?$", "", str(item).strip())


def _no_gaps(times: Times, column: Any, where: Where) -> Times:
    if (missing := np.flatnonzero(np.isnat(times))).size:
        raise _no_time(column[missing[0]], where(int(missing[0])))
    return times


def _no_time(item: object, where: str) -> DataError:
    return DataError(
        f"{where} has the time {item!r:.40}; wanted such as 2020-02-13 14:00:00, with or without +01:00, 13.02.2020, "
        "20200213 or a whole number; or say how they are written, such as ",
        Argument("time_format", "%d/%m/%y %H:%M"), ".",
    )  # fmt: skip
