"""Series of numbers over time: what a forecaster reads. Knows what may be wrong with one, and no file or model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.data.checks import LARGEST, Where, in_argument
from tidegate.data.times import Step, Times, show_time, step_of
from tidegate.data.zones import Zone, zone_hint
from tidegate.errors import Argument, DataError, InputError, OptionError

Values = npt.NDArray[np.float64]

REPAIRS = {
    "sort": "sort",  # what a repair is called: what it does something about
    "first": "twice",
    "last": "twice",
    "mean": "twice",
    "previous": "missing",
    "interpolate": "missing",
}


@dataclass(frozen=True)
class Roles:
    """Say what the columns are: forecast; known up to now only; known in the future too. And how a file calls the rest.

    time, name: the columns of the time stamps and of the names of the series, None where there is none; a time in
        several columns has commas between them.
    time_format, zone: how times are written and where clocks stand, where a user said so; see `time_columns`.
    """

    targets: tuple[str, ...]
    past: tuple[str, ...] = ()
    future: tuple[str, ...] = ()
    time: str | None = None
    name: str | None = None
    time_format: str | None = None
    zone: str | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns of values, in the order in which `Series.values` has them."""
        return self.targets + self.past + self.future

    @property
    def observed(self) -> int:
        """Count the columns that are known up to now only."""
        return len(self.targets) + len(self.past)


@dataclass(frozen=True, eq=False)
class Series:
    """Hold one series: T evenly spaced times, and for each a value of every column.

    Args:
        name: tells series of one table apart; may be empty where there is one.
        times: [T] datetime64[ms], UTC where there is a zone; or int64 where a series merely counts.
        values: [T, C] float64, columns in the order of `roles.columns`.
        roles: what the columns are.
        step: from one time to the next.
        begin: the first step of the part that is to be learned or measured; those before are there to look back on.
        known: the steps up to which everything is known; of those behind, the future columns alone.
        zone: that the times came in, and are written in again.
    """

    name: str
    times: Times
    values: Values
    roles: Roles
    step: Step
    begin: int
    known: int
    zone: Zone | None = None

    def __len__(self) -> int:
        """Count the steps that are known."""
        return self.known

    def cut(self, begin: int, end: int) -> Series:
        """Take the part of the steps from `begin` to `end`, with all before to look back on; nothing is copied."""
        return replace(self, times=self.times[:end], values=self.values[:end], begin=begin, known=min(end, self.known))

    def pieces(self) -> Iterator[bytes]:
        """Give what the series consists of, for a hash."""
        yield repr((self.name, self.roles.columns, self.zone, self.begin, self.known)).encode()
        yield np.ascontiguousarray(self.times).tobytes()
        yield np.ascontiguousarray(self.values).tobytes()

    def __repr__(self) -> str:
        names = ", ".join(self.roles.columns)
        return f"Series({self.name!r}, {self.known} steps of {self.step}, {names})"


def make_series(
    name: str,
    times: Times,
    values: Values,
    roles: Roles,
    *,
    where: Where | None = None,
    repair: Iterable[str] = (),
    zone: Zone | None = None,
) -> Series:
    """Make a series of rows as they were found, and refuse what no model should learn from unless told how to repair.

    Args:
        name: of the series.
        times: [T], one for each row.
        values: [T, C], NaN where there is none.
        roles: of the C columns.
        where: names a row for messages.
        repair: any of `sort` (times out of order), `first`, `last` or `mean` (which to take of rows with one time),
            `previous` or `interpolate` (how to fill gaps and missing values; the latter looks ahead).
        zone: of the times.

    Raises:
        DataError: a time out of order, twice or left out, or a value that is missing, infinite or too large to compute
            with; the row is named.
        OptionError: a repair that is not known.

    >>> roles = Roles(("y",))
    >>> times, values = np.array([1, 2, 4]), np.array([[1.0], [2.0], [4.0]])
    >>> make_series("a", times, values, roles, repair=["interpolate"]).values.ravel().tolist()
    [1.0, 2.0, 3.0, 4.0]
    """
    chosen = check_repair(repair)
    place = _Place(name, where or in_argument("rows"), np.arange(len(times)), zone)
    if not len(times):
        raise DataError(f"{place.called} has no rows.")
    if "sort" in chosen.values():
        place.order = np.argsort(times, kind="stable")
        times, values = times[place.order], values[place.order]
    _check_order(times, place, repairable="twice" in chosen)
    if "twice" in chosen:
        times, values, place.order = _merge_twice(times, values, place.order, chosen["twice"])
    _check_size(values, roles, place)
    step = step_of(times)
    if "missing" in chosen:
        times, values, known = _fill(times, values, roles, step, chosen["missing"], place)
    else:
        _check_gaps(times, step, place)
        known = _known(values, roles)
        _check_missing(times, values[:known], roles, place)
    return Series(name, times, values, roles, step, 0, known, zone)


def check_repair(repair: Iterable[str]) -> dict[str, str]:
    """Return, for each kind of fault that is to be repaired, how; raises OptionError, InputError for two ways."""
    chosen: dict[str, str] = {}
    for word in repair:
        if word not in REPAIRS:
            raise OptionError.unknown("repair", word, REPAIRS)
        if REPAIRS[word] in chosen:
            raise InputError(f"repair names both {chosen[REPAIRS[word]]!r} and {word!r}. Choose one of them.")
        chosen[REPAIRS[word]] = word
    return chosen


def hold_out_last(series: Sequence[Series], share: float) -> tuple[list[Series], list[Series]]:
    """Split each series in time: the last `share` of its own steps is held out, to be forecast from those before.

    >>> whole = make_series("a", np.arange(10), np.arange(10.0)[:, None], Roles(("y",)))
    >>> kept, held = hold_out_last([whole], 0.2)
    >>> len(kept[0]), held[0].begin, len(held[0])
    (8, 8, 10)
    """
    if not 0.0 < share < 1.0:
        raise InputError(f"the share to hold out is {share}; it must lie between 0 and 1, such as 0.2.")
    edges = [s.begin + round((s.known - s.begin) * (1 - share)) for s in series]
    kept = [s.cut(s.begin, edge) for s, edge in zip(series, edges, strict=True)]
    return kept, [s.cut(edge, s.known) for s, edge in zip(series, edges, strict=True)]


@dataclass
class _Place:
    """Say in messages where something stands: the rows of a series, in the order that they were brought into."""

    name: str
    where: Where
    order: npt.NDArray[Any]
    zone: Zone | None

    @property
    def called(self) -> str:
        return f"the series {self.name!r}" if self.name else "the series"

    def row(self, index: Any) -> str:
        return self.where(int(self.order[index]))

    def time(self, time: Any) -> str:
        return show_time(time, self.zone)


def _check_order(times: Times, place: _Place, *, repairable: bool) -> None:
    away = np.diff(times.astype(np.int64))
    if (at := np.flatnonzero(away < 0)).size:
        before, after = times[at[0]], times[at[0] + 1]
        raise DataError(
            f"{place.row(at[0] + 1)}: {place.time(after)} comes after {place.time(before)} in {place.called}; times "
            "must ascend. Sort the rows, or pass ", Argument("repair", "sort"), ".",
            *_hint(after, place),
        )  # fmt: skip
    if (at := np.flatnonzero(away == 0)).size and not repairable:
        raise DataError(
            f"{place.row(at[0] + 1)}: {place.called} has the time {place.time(times[at[0]])} twice{_more(at)}. Drop "
            "rows, or pass ", Argument("repair", "first"), ", ", Argument("repair", "last"), " or ",
            Argument("repair", "mean"), ". Where these are several series, name the column that tells them apart: ",
            Argument("id_column"), *_hint(times[at[0]], place),
        )  # fmt: skip


def _hint(time: Any, place: _Place) -> tuple[str | Argument, ...]:
    return zone_hint(time) if place.zone is None else ()


def _check_size(values: Values, roles: Roles, place: _Place) -> None:
    large = np.argwhere(abs(values) > LARGEST)
    if len(large):
        at, column = large[0]
        raise DataError(
            f"{place.row(at)}, column {roles.columns[column]!r} is {values[at, column]:g}; networks compute with "
            f"numbers up to {LARGEST:g}. Bring the column into a larger unit, or take the row out."
        )


def _merge_twice(times: Times, values: Values, order: Any, how: str) -> tuple[Times, Values, Any]:
    """Make one row of all rows of one time."""
    edges = np.flatnonzero(np.diff(times.astype(np.int64), prepend=times[:1].astype(np.int64) - 1))
    lengths = np.diff(np.append(edges, len(times)))
    if how == "mean":
        present = np.add.reduceat(~np.isnan(values), edges, axis=0)
        with np.errstate(invalid="ignore"):
            merged = np.add.reduceat(np.nan_to_num(values), edges, axis=0) / present
        return times[edges], merged, order[edges]
    chosen = edges if how == "first" else edges + lengths - 1
    return times[chosen], values[chosen], order[chosen]


def _known(values: Values, roles: Roles) -> int:
    """Count the rows before those, at the end, that leave all empty but what is known in the future."""
    if not roles.future:
        return len(values)
    observed = np.flatnonzero(~np.isnan(values[:, : roles.observed]).all(axis=1))
    return int(observed[-1]) + 1 if len(observed) else 0


def _check_gaps(times: Times, step: Step, place: _Place) -> None:
    positions = step.positions(times)
    if (at := np.flatnonzero(positions < 0)).size:
        raise DataError(
            f"{place.row(at[0])}: {place.called} has the time {place.time(times[at[0]])}, which lies between two steps "
            f"of {step}. Bring the series to even steps first."
        )
    if (at := np.flatnonzero(np.diff(positions) > 1)).size:
        count = int(positions[at[0] + 1] - positions[at[0]]) - 1
        raise DataError(
            f"{place.row(at[0] + 1)}: {place.called} has a gap of {count} step{'s' if count > 1 else ''} of {step} "
            f"between {place.time(times[at[0]])} and {place.time(times[at[0] + 1])}{_more(at)}. Add the rows, or pass ",
            *_FILL, *_hint(times[at[0] + 1], place),
        )  # fmt: skip


def _check_missing(times: Times, values: Values, roles: Roles, place: _Place) -> None:
    missing = np.argwhere(np.isnan(values))
    if len(missing):
        at, column = missing[0]
        raise DataError(
            f"{place.row(at)}: {place.called} has no {roles.columns[column]!r} at {place.time(times[at])}"
            f"{_more(missing)}. Fill it in, or pass ", *_FILL,
        )  # fmt: skip


_FILL = (Argument("repair", "previous"), " or ", Argument("repair", "interpolate"), ".")


def _fill(times: Times, values: Values, roles: Roles, step: Step, how: str, place: _Place) -> tuple[Times, Values, int]:
    """Add the rows that gaps left out and fill what is missing up to the future; times between steps are refused."""
    positions = step.positions(times)
    if (positions < 0).any():
        _check_gaps(times, step, place)
    total = int(positions[-1]) + 1
    whole = np.full((total, values.shape[1]), np.nan)
    whole[positions] = values
    known = _known(values, roles)
    end = int(positions[known - 1]) + 1 if known else 0
    for column in range(values.shape[1]):
        present = np.flatnonzero(~np.isnan(whole[:, column]))
        if not len(present) or (how == "previous" and present[0] > 0):
            raise DataError(
                f"{place.row(0)}: {place.called} has nothing before {place.time(times[0])} to fill "
                f"{roles.columns[column]!r} from."
            )
        places = np.arange(end)
        if how == "interpolate":
            whole[:end, column] = np.interp(places, present, whole[present, column])
        else:
            whole[:end, column] = whole[present[np.searchsorted(present, places, side="right") - 1], column]
    even = np.concatenate([times[:1], step.after(times[0], total - 1)]) if total > 1 else times[:1]
    return even, whole, end


def _more(found: Any) -> str:
    return f" (and {len(found) - 1} more)" if len(found) > 1 else ""
