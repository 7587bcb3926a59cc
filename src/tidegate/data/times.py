"""Time stamps of series: reading them, the step from one to the next, and what the calendar says. Knows no values.

A time is a `datetime64[ms]` without a zone, or a whole number where a series merely counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tidegate.data.checks import Where
from tidegate.errors import DataError

Times = npt.NDArray[Any]
"""[T] datetime64[ms], or [T] int64."""

CALENDAR_SIZE = 7
"""How many numbers `calendar` gives for a time."""
_UNITS = (("week", 604_800_000), ("day", 86_400_000), ("hour", 3_600_000), ("minute", 60_000), ("second", 1000))
_DAY = 86_400_000
_SEASONS = {1000: 60, 60_000: 60, 3_600_000: 24, _DAY: 7, 7 * _DAY: 52}  # milliseconds of a step: steps of a season


@dataclass(frozen=True)
class Step:
    """Say how far it is from one time to the next: `count` milliseconds, months, or numbers of a series that counts.

    >>> hour = Step(3_600_000, "ms")
    >>> str(hour), hour.season
    ('1 hour', 24)
    """

    count: int
    unit: Literal["ms", "month", "index"]
    month_end: bool = False

    @property
    def season(self) -> int:
        """Count the steps of the season that such data usually has: a day of hours, a week of days, a year of months.

        Steps shorter than an hour that divide a day have a day; 1 where no season is usual.
        """
        if self.unit == "index":
            return 1
        if self.unit == "month":
            return max(12 // self.count, 1)
        if self.count > 1000 and self.count < _DAY and _DAY % self.count == 0:
            return _DAY // self.count
        return _SEASONS.get(self.count, 1)

    def positions(self, times: Times) -> npt.NDArray[np.int64]:
        """Count the steps from the first time to each, [T]; -1 for a time that lies between two steps."""
        places = self._places(times)
        away = places - places[:1]
        return np.where(away % self.count == 0, away // self.count, -1)

    def after(self, last: Any, steps: int) -> Times:
        """Give the next `steps` times after `last`."""
        return self.at(last, np.arange(1, steps + 1))

    def at(self, last: Any, steps: npt.NDArray[np.int64]) -> Times:
        """Give the times so many steps after `last`, [T].

        >>> Step(2, "index").at(10, np.array([0, 5])).tolist()
        [10, 20]
        """
        ahead = steps * self.count
        if self.unit == "index":
            return np.asarray(int(last) + ahead, np.int64)
        last = np.datetime64(last, "ms")
        if self.unit == "ms":
            return np.asarray(last + ahead.astype("timedelta64[ms]"))
        day = np.timedelta64(_DAY if self.month_end else 0, "ms")
        month = (last + day).astype("datetime64[M]")
        rest = last + day - month.astype("datetime64[ms]")
        return np.asarray((month + ahead).astype("datetime64[ms]") + rest - day)

    def _places(self, times: Times) -> npt.NDArray[np.int64]:
        if self.unit != "month":
            return times.astype(np.int64)
        day = np.timedelta64(_DAY if self.month_end else 0, "ms")
        return (times + day).astype("datetime64[M]").astype(np.int64)

    def __str__(self) -> str:
        if self.unit == "ms":
            name, size = next(((n, s) for n, s in _UNITS if self.count % s == 0), ("millisecond", 1))
        else:
            name, size = "month" if self.unit == "month" else "step", 1
        number = self.count // size
        return f"{number} {name}{'s' if number > 1 else ''}"


def read_times(column: Sequence[object] | Times, *, where: Where) -> Times:
    """Read a column of times: ISO 8601 texts, dates, `datetime64`, or whole numbers.

    Raises DataError that names the first row that holds none, or one with a time zone.

    >>> read_times(["2020-01-31", "2020-02-01 06:30"], where=str)
    array(['2020-01-31T00:00:00.000', '2020-02-01T06:30:00.000'],
          dtype='datetime64[ms]')
    """
    array = column if isinstance(column, np.ndarray) else None
    if array is not None and array.dtype.kind in "iu":
        return array.astype(np.int64)
    items = list(column)
    if items and all(isinstance(item, int | str) and str(item).strip().lstrip("-").isdigit() for item in items):
        return np.array([int(str(item)) for item in items], np.int64)
    try:
        times = np.array([_plain(item) for item in items], "datetime64[ms]")
        if not np.isnat(times).any():
            return times
    except (ValueError, TypeError):
        pass
    for index, item in enumerate(items):
        try:
            read = np.datetime64(_plain(item), "ms")
        except (ValueError, TypeError):
            read = np.datetime64("NaT")
        if np.isnat(read):
            raise DataError(
                f"{where(index)} has the time {item!r:.40}; wanted ISO 8601 without a time zone, such as "
                "2020-02-13 14:00:00, or a whole number."
            )
    raise AssertionError("one of the times was refused above")


def step_of(times: Times) -> Step:
    """Find the step of times in ascending order: the distance that most of them have; a month where all agree on it.

    >>> str(step_of(np.array(["2020-01-01", "2020-02-01", "2020-03-01"], "datetime64[ms]")))
    '1 month'
    >>> str(step_of(np.array([0, 10, 20, 40])))
    '10 steps'
    """
    if times.dtype.kind != "M":
        return Step(_usual_distance(times.astype(np.int64)), "index")
    for month_end in (False, True):
        shifted = times + np.timedelta64(_DAY if month_end else 0, "ms")
        months = shifted.astype("datetime64[M]")
        rests = shifted - months.astype("datetime64[ms]")
        same_day = (rests == rests[:1]).all() and (not month_end or rests[0] < np.timedelta64(_DAY, "ms"))
        if len(times) > 1 and same_day and months[0] != months[-1]:
            return Step(_usual_distance(months.astype(np.int64)), "month", month_end)
    return Step(_usual_distance(times.astype(np.int64)), "ms")


def calendar(times: Times) -> npt.NDArray[np.float64]:
    """Describe times by the calendar, [T, 7].

    Sine and cosine of the hour, of the weekday and of the day of the year; 1 on Saturdays and Sundays, else 0.

    Raises DataError for times that are mere numbers.
    """
    if times.dtype.kind != "M":
        raise DataError("the times are whole numbers, of which a calendar says nothing. Leave calendar out.")
    milliseconds = times.astype(np.int64)
    days = milliseconds // _DAY
    weekday = (days + 3) % 7  # 1970-01-01 was a Thursday; Monday is 0
    of_year = days - times.astype("datetime64[Y]").astype("datetime64[D]").astype(np.int64)
    turns = [(milliseconds % _DAY) / _DAY, weekday / 7, of_year / 365.2425]
    waves = [wave(2 * np.pi * turn) for turn in turns for wave in (np.sin, np.cos)]
    return np.stack([*waves, (weekday >= 5).astype(np.float64)], axis=1)


def show_time(time: Any) -> str:
    """Write a time for a reader: whole days without hours, whole seconds without milliseconds.

    >>> show_time(np.datetime64("2020-02-13T14:00:00.000")), show_time(np.int64(7))
    ('2020-02-13 14:00:00', '7')
    """
    if not isinstance(time, np.datetime64):
        return str(time)
    text = str(time.astype("datetime64[ms]")).replace("T", " ").removesuffix(".000")
    return text.removesuffix(" 00:00:00")


def _plain(item: Any) -> Any:
    """Refuse zones, which NumPy drops with a warning; give the rest to NumPy as it is."""
    if isinstance(item, str):
        text = item.strip()
        if text.endswith(("Z", "z")) or "+" in text or text.count("-") > 2 or len(text) < 4:
            raise ValueError(text)
        return text
    if item is None or isinstance(item, float) or getattr(item, "tzinfo", None) is not None:
        raise ValueError(str(item))
    return item


def _usual_distance(places: npt.NDArray[np.int64]) -> int:
    distances = np.diff(places)
    found, counts = np.unique(distances[distances > 0], return_counts=True)
    return int(found[counts.argmax()]) if len(found) else 1
