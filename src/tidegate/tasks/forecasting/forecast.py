"""What a forecaster answers, and what it is taught by: means and quantiles, in the scale of training and in units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tidegate.data.series import Series
from tidegate.data.times import Step, show_times
from tidegate.data.zones import Zone
from tidegate.engine import Errors
from tidegate.runtime import Executor
from tidegate.tasks.forecasting.layout import Layout
from tidegate.tasks.forecasting.windows import Batch

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Forecast:
    """Hold the forecast of one series from one origin.

    Args:
        name: of the series.
        times: [H], what is forecast; UTC where there is a zone.
        columns: the names of the K targets.
        mean: [H, K] float64, in the unit of the data (the median where absolute errors were trained on).
        quantiles: by level, each [H, K]; higher levels are nowhere lower.
        truth: [H, K], what came, where that is known; else None.
        step: from one time to the next.
        zone: that the times of the series came in.

    >>> one = Forecast("a", np.array([7]), ("y",), np.array([[1.5]]), {0.1: np.array([[1.0]])})
    >>> one.rows()
    [{'ds': '7', 'y': 1.5, 'y 10%': 1.0}]
    """

    name: str
    times: Array
    columns: tuple[str, ...]
    mean: Array
    quantiles: dict[float, Array]
    truth: Array | None = None
    step: Step | None = None
    zone: Zone | None = None

    @property
    def outside(self) -> float:
        """The share of means that lie below their lowest quantile or above their highest."""
        return float(means_outside(np.stack([self.mean, *self.quantiles.values()], axis=-1)).mean())

    def rows(self) -> list[dict[str, str | float]]:
        """Give a row for each time: `ds`, then of each column its mean and its quantiles.

        All times of a series have one form, those of midnight, too; with a zone they say how far they are from UTC.
        """
        table: list[dict[str, str | float]] = []
        for step, time in enumerate(show_times(self.times, self.step, self.zone)):
            row: dict[str, str | float] = {"ds": time}
            for column, name in enumerate(self.columns):
                row[name] = float(self.mean[step, column])
                for level, values in self.quantiles.items():
                    row[f"{name} {100 * level:.4g}%"] = float(values[step, column])
            table.append(row)
        return table


def means_outside(answers: Array) -> Array:
    """Tell which means of answers [..., Q] lie below the lowest quantile or above the highest; none without two.

    Args:
        answers: the mean first, then the quantiles in their order.

    >>> means_outside(np.array([[2.1, 2.53, 2.81], [2.6, 2.53, 2.81]]))
    array([ True, False])
    """
    mean, quantiles = answers[..., 0], answers[..., 1:]
    if quantiles.shape[-1] < 2:
        return np.zeros(mean.shape, np.bool_)
    return np.asarray((mean < quantiles[..., 0]) | (mean > quantiles[..., -1]))


def loss_of(answers: Any, truth: Any, loss: Literal["mse", "mae"], levels: tuple[float, ...]) -> Any:
    """Compute the loss of answers [B, H, K, Q] for a truth [B, H, K], arrays or tensors.

    It is that of the mean, and where there are quantiles the mean of their pinball losses besides (Koenker and Bassett
    1978), each twice, so that the one of the median is the absolute error.

    >>> loss_of(np.array([[[[1.0, 1.0]]]]), np.array([[[3.0]]]), "mse", (0.9,))
    np.float64(7.6)
    """
    away = truth - answers[..., 0]
    total = (away * away).mean() if loss == "mse" else abs(away).mean()
    for index, level in enumerate(levels, 1):
        away = truth - answers[..., index]
        total = total + 2 * (away * (level - (away < 0) * 1.0)).mean() / len(levels)
    return total


def asked_of(
    layout: Layout, batch: Batch, truth: Array, loss: Literal["mse", "mae"], levels: tuple[float, ...]
) -> Errors:
    """Make `loss_of` for the rows that a network gives of a batch, whose answers are compared in the scale of training.

    truth: [B, H, K].
    """
    size, horizon, targets = truth.shape
    numbers = layout.channels * layout.rows_out * layout.output_size
    place = layout.answers(np.arange(numbers))[0]  # [H, K, Q], where each answer stands among the numbers of a window
    asked: list[str | float] = [loss] * numbers
    share = np.zeros(numbers)  # steps beyond the horizon count nothing
    share[place[..., 0]] = 1 / (horizon * targets)
    for index, level in enumerate(levels, 1):
        share[place[..., index]] = 2 / (len(levels) * horizon * targets)
        for at in place[..., index].ravel().tolist():
            asked[at] = level

    def spread(of_targets: Array) -> Array:
        spread = np.zeros((size, numbers), np.float32)
        for index in range(place.shape[-1]):
            spread[:, place[..., index]] = of_targets
        return spread

    weight = np.full(size, 1 / max(size, 1))
    return Errors(spread(truth), weight, tuple(asked), share, spread(batch.scale), spread(batch.shift))


def predict_batch(executor: Executor, layout: Layout, batch: Batch, horizon: int) -> Array:
    """Run a network on windows: answers [B, horizon, K, Q] in the scale of training, the quantiles in order.

    Where the layout gives fewer steps at once, the means are taken for what came, and it goes on from there.
    """
    observed, known, parts = batch.observed, batch.known, []
    for _ in range(0, horizon, layout.horizon):
        rows = executor(layout.inputs(observed, known[:, : layout.lookback + layout.horizon]))
        parts.append(layout.answers(rows))
        if layout.horizon < horizon:
            observed = np.concatenate([observed, parts[-1][..., 0]], axis=1)[:, -layout.lookback :]
            known = known[:, layout.horizon :]
    answers = np.concatenate(parts, axis=1)[:, :horizon] * batch.scale[..., None] + batch.shift[..., None]
    answers[..., 1:] = np.sort(answers[..., 1:], axis=-1)  # quantiles that cross are put in order (Chernozhukov 2010)
    return answers


def in_units(
    answer: Array, series: Series, step: int, scaling: tuple[Array, Array], levels: tuple[float, ...], *, truth: bool
) -> Forecast:
    """Bring the answer [H, K, Q] of one window, whose origin is `step`, back into the unit of the data."""
    horizon, targets = answer.shape[:2]
    mean, deviation = (part[:targets, None] for part in scaling)  # [K, 1]
    values = answer.astype(np.float64) * deviation + mean
    times = series.times[step : step + horizon]
    if len(times) < horizon:
        times = np.concatenate([times, series.step.after(series.times[-1], horizon - len(times))])
    return Forecast(
        name=series.name,
        times=times,
        columns=series.roles.targets,
        mean=values[..., 0],
        quantiles={level: values[..., index] for index, level in enumerate(levels, 1)},
        truth=series.values[step : step + horizon, :targets] if truth else None,
        step=series.step,
        zone=series.zone,
    )
