"""A series that goes on: row by row, with a forecast from each. Knows no networks: windows are forecast by a task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.data.checks import LARGEST
from tidegate.data.series import Roles, Series
from tidegate.data.time_columns import TimeColumn, read_times
from tidegate.data.times import Step
from tidegate.data.zones import Zone
from tidegate.errors import DataError, InputError, ShapeError, StateError, StreamEndedError
from tidegate.kernels.streams import as_rows
from tidegate.runtime.stream_state import pack_state, unpack_state
from tidegate.tasks.forecasting.forecast import Forecast

Array: TypeAlias = npt.NDArray[Any]


@dataclass(frozen=True)
class Source:
    """Say what rows a stream takes, and who forecasts.

    Args:
        forecast: from the last rows of a series.
        digest: of the model.
        roles: of the columns.
        step: from one row to the next.
        lookback: rows that are looked back on.
        name: of the series, which says how it is scaled.
        start: the time of the first row.
        zone: that it came in.
    """

    forecast: Callable[[Series], Forecast]
    digest: str
    roles: Roles
    step: Step
    lookback: int
    name: str
    start: Any
    zone: Zone | None = None


class ForecasterStream:
    """Feed a series row by row, and get the forecast from each on. Made by `Forecaster.stream`.

    Forecasts are those that `Forecaster.predict` gives of the whole series so far, to the bit. A window is brought to
    the level of its last row, or its mean, which changes with every row: so the last `lookback` rows are kept, and run
    through the network anew at each step.
    """

    def __init__(self, source: Source, *, state: bytes | None = None) -> None:
        self._source, self._ended, self.steps = source, "", 0
        self._rows = np.zeros((source.lookback, len(source.roles.columns)))  # the last ones, at the end
        if state is not None:
            self._restore(state)

    def step(self, row: Any) -> Forecast | None:
        """Take one row of values `[C]`, in the order of the columns, and forecast from there on.

        Returns None before there are `lookback` rows.

        Raises:
            ShapeError: the row has other columns.
            InputError: a value is missing or not finite; the stream is as before.
            StreamEndedError: the stream was finished or closed.
        """
        return self.push([row if np.ndim(row) else [row]])

    def push(self, rows: Any) -> Forecast | None:
        """Take rows `[n, C]` and forecast from the last of them on. Raises as `step`, no row taken."""
        self._require_open()
        new = self._check(as_rows(rows, np.float64))
        rows, steps = np.concatenate([self._rows, new])[-len(self._rows) :], self.steps + len(new)
        forecast = self._forecast(rows, steps)
        self._rows, self.steps = rows, steps
        return forecast

    def peek(self) -> Forecast | None:
        """Forecast from the last row on once more."""
        self._require_open()
        return self._forecast(self._rows, self.steps)

    @property
    def next_time(self) -> Any:
        """The time of the row that is to come."""
        return self._source.step.at(self._source.start, np.array([self.steps]))[0]

    def finish(self) -> Forecast | None:
        """End the series, and return its last forecast. Raises StreamEndedError after the end."""
        last = self.peek()
        self._ended = "finished"
        return last

    def close(self) -> None:
        """End the stream."""
        self._ended = self._ended or "closed"

    def fork(self) -> ForecasterStream:
        """Begin another stream where this one is. Raises StreamEndedError after the end."""
        return ForecasterStream(self._source, state=self.state)

    def resume(self, state: bytes) -> ForecasterStream:
        """Begin another stream of the series where a saved one was. Raises StateError."""
        return ForecasterStream(self._source, state=state)

    @property
    def state(self) -> bytes:
        """All that is needed to go on elsewhere, with the same model. Raises StreamEndedError after the end."""
        self._require_open()
        source = self._source
        about = {"series": source.name, "start": str(source.start), "steps": self.steps}
        return pack_state(about | {"digest": source.digest}, self._rows.ravel())

    def read_time(self, time: Any) -> Any:
        """Read a time in the form of `next_time`; raises InputError for what is none."""
        return start_time(time, self._source.step, self._source.roles)[0]

    @property
    def zone(self) -> Zone | None:
        """The zone that the first row came in; times are UTC then."""
        return self._source.zone

    @property
    def ended(self) -> bool:
        """Whether the stream was finished or closed."""
        return bool(self._ended)

    def _forecast(self, rows: Array, steps: int) -> Forecast | None:
        source, length = self._source, self._source.lookback
        if steps < length:
            return None
        times = source.step.at(source.start, np.arange(steps - length, steps))
        return source.forecast(Series(source.name, times, rows, source.roles, source.step, 0, length, source.zone))

    def _restore(self, state: bytes) -> None:
        source = self._source
        about, numbers = unpack_state(state, digest=source.digest)
        told = (about.get("series"), about.get("start"))
        if told != (source.name, str(source.start)):
            raise StateError(
                f"the state is of the series {told[0]!r} from {told[1]} on. Pass these to the stream, too."
            )
        steps = about.get("steps")
        if numbers.dtype != np.float64 or numbers.size != self._rows.size or type(steps) is not int or steps < 0:
            raise StateError("the state is of no series like this one, or it was altered.")
        self._rows, self.steps = numbers.reshape(self._rows.shape), steps

    def _check(self, rows: Array) -> Array:
        columns = self._source.roles.columns
        if not rows.size:
            return self._rows[:0]
        if rows.ndim != 2 or rows.shape[1] != len(columns):
            raise ShapeError(
                f"rows are {list(rows.shape)} but {len(columns)} columns are wanted: {', '.join(columns)}."
            )
        missing = np.argwhere(~(np.abs(rows) <= LARGEST))
        if len(missing):
            at, column = missing[0]
            raise InputError(
                f"row {at} has {rows[at, column]} as {columns[column]!r}; only numbers can be forecast from, up to "
                f"{LARGEST:g}. Fill it in: the stream is as it was before."
            )
        return rows

    def _require_open(self) -> None:
        if self._ended:
            raise StreamEndedError(f"this stream was {self._ended} after {self.steps} steps. Begin a new one.")


def check_streamable(roles: Roles, lookahead: int | None) -> None:
    """Raise InputError where rows alone do not tell all that forecasts need, or tell too much."""
    if lookahead is not None:
        raise InputError(f"lookahead={lookahead}, but a forecaster answers each row at once. Leave it out.")
    if roles.future:
        raise InputError(
            f"the forecaster needs {', '.join(roles.future)} of the future, which no row of a stream can tell. Call "
            "predict, or train without these columns."
        )


def start_time(start: Any, step: Step, roles: Roles) -> tuple[Any, Zone | None]:
    """Read the time of the first row, and its zone; raises InputError where it is missing or no time."""
    if step.unit == "index":
        if start is not None and not isinstance(start, int | np.integer):
            raise InputError(
                f"start={start!r}; the series that were trained on count. Pass a whole number, or nothing."
            )
        return np.int64(start or 0), None
    if start is None:
        raise InputError(f"the times of the rows, {step} apart, need a beginning. Pass start='2026-01-01T00:00'.")
    wall = step.unit != "ms" or step.count % 86_400_000 == 0
    return _read_one(start, f"start={start!r}", roles.zone, roles.time_format, wall=wall)


def time_like(time: Any, series: Series) -> Any:
    """Read a time in the kind and the zone that a series has; raises InputError for what is none."""
    if series.times.dtype.kind == "i":
        return np.int64(time)
    zone = series.zone
    named = None if zone is None else zone.name
    return _read_one(time, f"begin={time!r}", named, None, wall=zone is None or zone.wall)[0]


def _read_one(time: Any, called: str, zone: str | None, form: str | None, *, wall: bool) -> tuple[Any, Zone | None]:
    """Read one time, as clocks show it where that is what a series goes by, else as UTC; and the zone it is in."""
    try:
        found = read_times([time], where=lambda _: called, form=form)
    except DataError:
        found = TimeColumn(np.zeros(1, np.int64))
    if found.clock.dtype.kind != "M":
        raise InputError(f"{called} is no time. Write it as '2026-01-01T00:00', with or without an offset.")
    utc, shown = found.settle(slice(None), zone, lambda _: called)
    if shown is None:
        return utc[0], None
    return (shown.clock(utc) if wall else utc)[0], Zone(shown.name, wall=wall)
