"""Time stamps of series: the step from one to the next, what the calendar says, how to write them. Knows no values.

A time is a `datetime64[ms]`, or a whole number where a series merely counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from tidegate.errors import DataError

if TYPE_CHECKING:
    from tidegate.data.zones import Zone

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

    Business days go from Monday to Friday.

    >>> hour = Step(3_600_000, "ms")
    >>> str(hour), hour.season
    ('1 hour', 24)
    """

    count: int
    unit: Literal["ms", "month", "business", "index"]
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
        if self.unit == "business":
            return 5
        if self.count > 1000 and self.count < _DAY and _DAY % self.count == 0:
            return _DAY // self.count
        return _SEASONS.get(self.count, 1)

    def positions(self, times: Times) -> npt.NDArray[np.int64]:
        """Count the steps from the first time to each, [T]; -1 for a time that lies between two steps."""
        if self.unit == "business":
            return _business_days(times)
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
        if self.unit == "business":
            date = last.astype("datetime64[D]")
            return np.asarray(np.busday_offset(date, ahead).astype("datetime64[ms]") + (last - date))
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
            name, size = {"month": "month", "business": "business day"}.get(self.unit, "step"), 1
        number = self.count // size
        return f"{number} {name}{'s' if number > 1 else ''}"


def step_of(times: Times) -> Step:
    """Find the step of times in ascending order: the distance that most of them have; a month where all agree on it.

    Days of which every weekend is missing are business days.

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
    distance = _usual_distance(times.astype(np.int64))
    if distance == _DAY and (np.diff(times.astype(np.int64)) > 2 * _DAY).any() and (_business_days(times) >= 0).all():
        return Step(1, "business")
    return Step(distance, "ms")


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


def show_time(time: Any, zone: Zone | None = None) -> str:
    """Write one time for a reader: whole days without hours, whole seconds without milliseconds.

    >>> show_time(np.datetime64("2020-02-13T14:00:00.000")), show_time(np.int64(7))
    ('2020-02-13 14:00:00', '7')
    """
    return show_times(np.asarray(time)[None], zone=zone)[0]


def show_times(times: Times, step: Step | None = None, zone: Zone | None = None) -> list[str]:
    """Write times for a reader, all in one form.

    Args:
        times: [T].
        step: from one to the next; where it is less than a day, midnight is written out. None goes by the times alone.
        zone: that they are in.

    >>> show_times(np.array(["2020-02-13T23", "2020-02-14T00"], "datetime64[ms]"))
    ['2020-02-13 23:00:00', '2020-02-14 00:00:00']
    """
    if times.dtype.kind != "M":
        return [str(time) for time in times]
    if zone is not None:
        return zone.show(times)
    of_day = times.astype(np.int64) % _DAY
    if not of_day.any() and (step is None or step.unit != "ms" or step.count % _DAY == 0):
        return [str(day) for day in times.astype("datetime64[D]")]
    unit: Any = "ms" if (of_day % 1000).any() or (step is not None and step.unit == "ms" and step.count % 1000) else "s"
    return [text.replace("T", " ") for text in np.datetime_as_string(times, unit=unit).tolist()]


def _business_days(times: Times) -> npt.NDArray[np.int64]:
    """Count the business days from the first time to each; -1 for a weekend, or another time of the day."""
    days = times.astype("datetime64[D]")
    rests = times - days
    fits = np.is_busday(days) & (rests == rests[:1])
    return np.where(fits, np.busday_count(days[0], days) if len(days) else 0, -1)


def _usual_distance(places: npt.NDArray[np.int64]) -> int:
    distances = np.diff(places)
    found, counts = np.unique(distances[distances > 0], return_counts=True)
    return int(found[counts.argmax()]) if len(found) else 1
