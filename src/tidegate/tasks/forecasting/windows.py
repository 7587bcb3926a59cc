"""Windows over series: what a forecaster looks back on, and what came then. Knows scaling and indices, no network.

All series lie end to end in one array; a window is the index of its origin, the first step that is forecast. Windows
are views until a batch of them is gathered.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.data.series import Series
from tidegate.data.times import calendar, show_time
from tidegate.errors import DataError

Array: TypeAlias = npt.NDArray[Any]
Indices: TypeAlias = npt.NDArray[np.int64]
WindowScaling: TypeAlias = Literal["off", "last", "standard"]
Json: TypeAlias = dict[str, Any]

LEAST_VARIANCE = 1e-5  # of a deviation by which a window is divided, as reversible instance normalisation has it


@dataclass(frozen=True)
class Scaling:
    """Shift and scale each column of each series to mean 0 and deviation 1 over the training part.

    Series that were not trained on are scaled by the mean and deviation over all that were.
    """

    means: dict[str, Array]  # by the name of the series; [C], and under "" + all names together in `pooled`
    deviations: dict[str, Array]
    pooled: tuple[Array, Array]

    @classmethod
    def learn(cls, series: Sequence[Series], *, scale: bool) -> Scaling:
        """Learn from the own steps of the series; with `scale` off nothing is shifted or scaled."""
        columns = series[0].values.shape[1]
        if not scale:
            return cls({}, {}, (np.zeros(columns), np.ones(columns)))
        parts = {s.name: s.values[s.begin : s.known] for s in series}
        pooled = np.concatenate(list(parts.values()))
        means = {name: part.mean(axis=0) for name, part in parts.items()}
        deviations = {name: _deviation(part) for name, part in parts.items()}
        return cls(means, deviations, (pooled.mean(axis=0), _deviation(pooled)))

    def of(self, name: str) -> tuple[Array, Array]:
        """Give mean and deviation `[C]` for a series."""
        return (self.means[name], self.deviations[name]) if name in self.means else self.pooled

    def to_json(self) -> Json:
        """Write all of it as lists."""
        return {
            "means": {name: mean.tolist() for name, mean in self.means.items()},
            "deviations": {name: deviation.tolist() for name, deviation in self.deviations.items()},
            "pooled": [array.tolist() for array in self.pooled],
        }

    @classmethod
    def from_json(cls, stored: Json, columns: int) -> Scaling:
        """Read what `to_json` wrote; raises KeyError, TypeError or ValueError for anything else."""
        means, deviations = (
            {str(name): _row(row, columns) for name, row in dict(stored[key]).items()}
            for key in ("means", "deviations")
        )
        pooled = (_row(stored["pooled"][0], columns), _row(stored["pooled"][1], columns))
        if means.keys() != deviations.keys() or not all((d > 0).all() for d in (*deviations.values(), pooled[1])):
            raise ValueError("its scaling is not one mean and one deviation above zero for each column")
        return cls(means, deviations, pooled)


@dataclass(frozen=True)
class Shape:
    """Say how windows are cut: `lookback` steps behind the origin, `horizon` steps from it on."""

    lookback: int
    horizon: int
    window_scaling: WindowScaling
    calendar: bool


@dataclass(frozen=True)
class Batch:
    """Hold B windows.

    observed: [B, L, O], targets before past columns; scaled, and by the window as well.
    known: [B, L + H, F], what is known in the future too, over both parts of the window.
    shift, scale: [B, 1, K], of each target in its window.
    """

    observed: Array
    known: Array
    shift: Array
    scale: Array


@dataclass(frozen=True, eq=False)
class Windows:
    """Hold series end to end, scaled, and the origins of windows in them.

    origins: [W], as rows of the arrays.
    targets: the number K of columns that are forecast.
    """

    shape: Shape
    observed: Array  # [N, O] float32
    known: Array  # [N, F] float32
    origins: Indices
    series: Indices  # [W], which series each is of
    steps: Indices  # [W], which step of it the origin is
    targets: int

    def __len__(self) -> int:
        """Count the windows."""
        return len(self.origins)

    def batch(self, indices: Indices) -> Batch:
        """Gather the windows at `indices`."""
        first, length = self.origins[indices] - self.shape.lookback, self.shape.lookback
        observed = _gather(self.observed, first, length)  # [B, L, O]
        known = _gather(self.known, first, length + self.shape.horizon)
        shift, scale = levels(observed, self.shape.window_scaling)
        K = self.targets
        return Batch((observed - shift) / scale, known, shift[:, :, :K], scale[:, :, :K])

    def truth(self, indices: Indices) -> Array:
        """Gather what came in the windows at `indices`, [B, H, K]."""
        return _gather(self.observed[:, : self.targets], self.origins[indices], self.shape.horizon)

    def repeat_last(self, indices: Indices, period: int) -> Array:
        """Guess that the last `period` steps come again and again, [B, H, K]; 1 guesses the last value.

        A series that does not reach so far back repeats what there is of it.
        """
        ahead = np.arange(self.shape.horizon)
        periods = np.minimum(period, self.steps[indices])[:, None]
        rows = self.origins[indices][:, None] + ahead % periods - periods
        return np.asarray(self.observed[rows, : self.targets])

    def arrays(self) -> Iterable[Array]:
        """Give all that the windows consist of, for a fingerprint."""
        return (self.observed, self.known, self.origins)


def cut_windows(series: Sequence[Series], scaling: Scaling, shape: Shape, origins: Sequence[Indices]) -> Windows:
    """Scale series and lay them end to end, each with room for a horizon behind it.

    Args:
        series: all with the same roles.
        scaling: of their columns.
        shape: of the windows.
        origins: for each series the steps to forecast from.

    Raises DataError where what should be known in the future is not.
    """
    observed, known, begins, count = [], [], [], 0
    for s, at in zip(series, origins, strict=True):
        mean, deviation = scaling.of(s.name)
        end = max(s.known, int(at.max(initial=-shape.horizon)) + shape.horizon)
        rows = np.zeros((end, s.values.shape[1]))
        have = min(end, len(s.values))
        rows[:have] = (s.values[:have] - mean) / deviation
        rows[s.known :, : s.roles.observed] = 0.0  # of these steps nothing is known but the future columns
        observed.append(rows[:, : s.roles.observed])
        known.append(np.concatenate([_future(s, rows, end, have), _calendar(s, end, shape)], axis=1))
        begins.append(count)
        count += end
    steps = np.concatenate([np.asarray(at, np.int64) for at in origins])
    owners = np.repeat(np.arange(len(series)), [len(at) for at in origins])
    return Windows(
        shape=shape,
        observed=np.concatenate(observed).astype(np.float32),
        known=np.concatenate(known).astype(np.float32),
        origins=steps + np.asarray(begins, np.int64)[owners],
        series=owners,
        steps=steps,
        targets=len(series[0].roles.targets),
    )


def measurable(series: Series, shape: Shape) -> Indices:
    """List the origins of a part from which all that is forecast lies in the part, so that it can be compared."""
    first = max(series.begin, shape.lookback)
    return np.arange(first, series.known - shape.horizon + 1, dtype=np.int64)


def with_known(observed: Array, known: Array, horizon: int) -> Array:
    """Lay beside each step of B look-backs what is known of that step and of later ones, [B, L, O + F * (1 + lags)].

    The later ones lie `horizon` steps ahead, and where the horizon is longer than the look-back also that less once,
    twice and so on the look-back, so that every step that is to be forecast is told of once.
    """
    length = observed.shape[1]
    lags = known_lags(length, horizon) if known.shape[2] else []
    return np.concatenate([observed, *(known[:, lag : lag + length] for lag in lags)], axis=2)


def known_lags(lookback: int, horizon: int) -> list[int]:
    """List how many steps ahead those lie that `with_known` lays beside each step, that step itself first."""
    return [0, *range(horizon, 0, -lookback)]


def levels(observed: Array, how: WindowScaling) -> tuple[Array, Array]:
    """Compute by what each window is shifted and divided, each [B, 1, O]."""
    if how == "off":
        return np.zeros_like(observed[:, :1]), np.ones_like(observed[:, :1])
    if how == "last":
        return observed[:, -1:].copy(), np.ones_like(observed[:, :1])
    wide = observed.astype(np.float64)
    deviation = np.sqrt(wide.var(axis=1, keepdims=True) + LEAST_VARIANCE)
    return wide.mean(axis=1, keepdims=True).astype(np.float32), deviation.astype(np.float32)


def _gather(rows: Array, first: Indices, length: int) -> Array:
    """Copy [B, length, C] out of rows [N, C]."""
    if not rows.shape[1]:
        return np.zeros((len(first), length, 0), rows.dtype)
    views = np.lib.stride_tricks.sliding_window_view(rows, length, axis=0)  # [N - length + 1, C, length]
    return np.ascontiguousarray(views[first].transpose(0, 2, 1))


def _future(s: Series, rows: Array, end: int, have: int) -> Array:
    """Take the future columns of all rows; raises DataError where one that is needed is not there."""
    found = rows[:, s.roles.observed :]
    if found.shape[1]:
        lacking = np.flatnonzero(np.isnan(found).any(axis=1) | (np.arange(end) >= have))
        if len(lacking):
            at = int(lacking[0])
            times = np.concatenate([s.times, s.step.after(s.times[-1], max(end - len(s.times), 0))])
            raise DataError(
                f"the series {s.name!r} has no {' and '.join(map(repr, s.roles.future))} at "
                f"{show_time(times[at], s.zone)}; what is known in the future is needed for the {end - s.known} steps "
                f"after {show_time(s.times[s.known - 1], s.zone)}. Add such rows, the other columns empty."
            )
    return found


def _calendar(s: Series, end: int, shape: Shape) -> Array:
    if not shape.calendar:
        return np.zeros((end, 0))
    times = np.concatenate([s.times, s.step.after(s.times[-1], max(end - len(s.times), 0))])[:end]
    return calendar(times if s.zone is None else s.zone.clock(times))


def _deviation(part: Array) -> Array:
    """Compute the deviation of each column, 1 for one that never changes."""
    return np.where(part.max(axis=0) > part.min(axis=0), part.std(axis=0), 1.0)


def _row(stored: Any, columns: int) -> Array:
    row = np.asarray(stored, np.float64)
    if row.shape != (columns,) or not np.isfinite(row).all():
        raise ValueError("its scaling is not one number for each column")
    return row
