"""Measures forecasters on series whose going on is known, beside two guesses that need no model.

Errors are summed over windows part by part, so that long horizons need no more memory than short ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tidegate.data.series import Series
from tidegate.errors import DataError
from tidegate.health import HealthWarning
from tidegate.tasks.forecasting.forecast import means_outside
from tidegate.tasks.scores import Scores

if TYPE_CHECKING:
    from tidegate.data import Examples
    from tidegate.tasks import Forecaster

_GUESSES = {"naive": "repeating the last value", "seasonal naive": "repeating the values of one season before"}
_OUTSIDE = 0.05  # share of means outside of their quantiles that is passed over


@dataclass(frozen=True)
class ColumnScore:
    """Hold the mean absolute error and the root of the mean squared one of one column, in its unit.

    Beside them the roots of the mean squared errors of the last value, and of the value one season before.
    """

    mae: float
    rmse: float
    naive_rmse: float
    seasonal_naive_rmse: float


@dataclass(frozen=True)
class Forecasting:
    """Hold what a forecaster reached over all windows, steps and columns of a part.

    Args:
        examples: the windows: every origin of which the look-back and the whole horizon are known.
        horizon: steps that each forecasts.
        season: steps of the season of the seasonal guess.
        scaled: squared and absolute errors in the scale that was trained in: those of the published tables.
        columns: errors in the units of the data.
        coverage: for each level of a quantile the share of values that lie below it.
        pinball: mean loss of the quantiles in the scale that was trained in, None where there are none.
        mean_outside: the share of means that lie outside of the lowest and highest quantile; None without two.
    """

    examples: int
    horizon: int
    season: int
    scaled: dict[str, float]
    columns: dict[str, ColumnScore]
    coverage: dict[str, float]
    pinball: float | None
    mean_outside: float | None = None

    def measures(self) -> dict[str, float]:
        """Give the figures of the whole part, those of the guesses among them."""
        single = {}
        if len(self.columns) == 1:
            (score,) = self.columns.values()
            single = {"rmse": score.rmse, "naive rmse": score.naive_rmse}
            single["seasonal naive rmse"] = score.seasonal_naive_rmse
        below = {f"below the {level} quantile": share for level, share in self.coverage.items()}
        pinball = {} if self.pinball is None else {"pinball": self.pinball}
        outside = {} if self.mean_outside is None else {"mean_outside": self.mean_outside}
        return self.scaled | single | pinball | below | outside

    @property
    def neglect(self) -> None:
        """There are no classes."""

    def warnings(self) -> list[HealthWarning]:
        """Say that a guess without a model is better, and that means lie outside of their quantiles."""
        return forecast_warnings(self.measures(), f"{self.examples:,} windows")

    def table(self) -> list[dict[str, object]]:
        """Give a row for each column."""
        return [
            {"column": name, **{key.replace("_", " "): value for key, value in asdict(score).items()}}
            for name, score in self.columns.items()
        ]

    def to_json(self) -> dict[str, Any]:
        """Give all of it, ready for `json.dumps`."""
        return asdict(self) | {"warnings": list(map(str, self.warnings()))}


def forecast_warnings(measures: Mapping[str, float], part: str) -> list[HealthWarning]:
    """Say what is amiss with a forecaster that reached these measures on a part; nothing where all is well.

    >>> (warning,) = forecast_warnings({"mse": 3.2, "naive mse": 0.4, "seasonal naive mse": 0.1}, "12 windows")
    >>> print(warning.message)
    On 12 windows the model is worse than repeating the values of one season before, which needs no model: its mean
    squared error is 3.2, that of the guess 0.1.
    """
    found = []
    guesses = {name: measures[f"{name} mse"] for name in _GUESSES if f"{name} mse" in measures}
    best = min(guesses, key=guesses.__getitem__, default=None)
    if best is not None and measures["mse"] > guesses[best]:
        message = (
            f"On {part} the model is worse than {_GUESSES[best]}, which needs no model: its mean squared error is "
            f"{measures['mse']:.3g}, that of the guess {guesses[best]:.3g}."
        )
        advice = "Train for more epochs, look back further, or take the guess."
        found.append(HealthWarning("worse-than-naive", message, advice))
    if measures.get("mean_outside", 0.0) > _OUTSIDE:
        message = f"On {part} {measures['mean_outside']:.0%} of the means lie outside of the quantiles beside them."
        advice = "Train for more epochs; until then trust neither. Of very skewed series it may be so."
        found.append(HealthWarning("mean-outside-quantiles", message, advice))
    return found


def measure_forecaster(model: Forecaster, examples: Examples) -> Forecasting:
    """Measure a fitted forecaster from every origin of a part.

    Args:
        model: what `tidegate.load` returns, or any fitted forecaster.
        examples: series; of a part, all that stands before it may be looked back on.

    Raises DataError when the part holds no window, or is not like what was trained on.
    """
    series: list[Series] = list(examples.x)
    origins = model.origins(series)
    count = sum(map(len, origins))
    if not count:
        raise DataError(
            f"there is nothing to evaluate on: no series holds {model.lookback} steps to look back on and "
            f"{model.horizon} to forecast."
        )
    season = series[0].step.season
    sums = _Sums(len(model.roles_.targets), len(model.quantiles))
    for windows, indices, answers in model.predict_windows(series, origins):
        truth = windows.truth(indices).astype(np.float64)
        means = {
            "": answers[..., 0],
            "naive": windows.repeat_last(indices, 1),
            "seasonal naive": windows.repeat_last(indices, season),
        }
        deviation = np.stack([model.deviation(series[owner].name) for owner in windows.series[indices]])
        sums.add(truth, means, deviation[:, None, :])
        sums.add_quantiles(truth, answers[..., 1:], model.quantiles)
        sums.outside += int(means_outside(answers).sum())
    return sums.result(model, count, season)


class _Sums:
    """Add up errors, `[K]` for each column, until all windows were seen."""

    def __init__(self, targets: int, levels: int) -> None:
        self.count = 0  # of values of one column
        self.squared = {name: np.zeros(targets) for name in ("", *_GUESSES)}
        self.squared_units = {name: np.zeros(targets) for name in ("", *_GUESSES)}
        self.absolute, self.absolute_units = np.zeros(targets), np.zeros(targets)
        self.below, self.pinball = np.zeros(levels), np.zeros(levels)
        self.outside = 0

    def add(self, truth: Any, means: dict[str, Any], deviation: Any) -> None:
        """Add windows: truth and means [B, H, K] in the scale of training, and the deviation [B, 1, K] of that."""
        self.count += truth.shape[0] * truth.shape[1]
        for name, mean in means.items():
            away = mean.astype(np.float64) - truth
            self.squared[name] += (away**2).sum(axis=(0, 1))
            self.squared_units[name] += ((away * deviation) ** 2).sum(axis=(0, 1))
        away = abs(means[""].astype(np.float64) - truth)
        self.absolute += away.sum(axis=(0, 1))
        self.absolute_units += (away * deviation).sum(axis=(0, 1))

    def add_quantiles(self, truth: Any, quantiles: Any, levels: tuple[float, ...]) -> None:
        """Add quantiles [B, H, K, Q] and what came [B, H, K]."""
        for index, level in enumerate(levels):
            away = truth - quantiles[..., index]
            self.below[index] += (away <= 0).sum()
            self.pinball[index] += (away * (level - (away < 0))).sum()

    def result(self, model: Forecaster, windows: int, season: int) -> Forecasting:
        """Turn the sums into means."""
        scaled = {"mse": float(self.squared[""].mean() / self.count), "mae": float(self.absolute.mean() / self.count)}
        scaled |= {f"{name} mse": float(self.squared[name].mean() / self.count) for name in _GUESSES}
        roots = {name: np.sqrt(found / self.count) for name, found in self.squared_units.items()}
        mae = self.absolute_units / self.count
        columns = {
            name: ColumnScore(float(mae[k]), *(float(roots[which][k]) for which in ("", *_GUESSES)))
            for k, name in enumerate(model.roles_.targets)
        }
        values = self.count * len(mae)
        shares = {
            f"{100 * level:.4g}%": float(n / values) for level, n in zip(model.quantiles, self.below, strict=True)
        }
        pinball = float(self.pinball.mean() / values) if len(self.pinball) else None
        outside = self.outside / values if len(self.pinball) > 1 else None
        return Forecasting(windows, model.horizon, season, scaled, columns, shares, pinball, outside)


SCORES = Scores(measure_forecaster, lambda _kept, measures, part: forecast_warnings(measures, part))
