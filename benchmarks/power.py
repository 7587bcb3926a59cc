"""How well do a linear model and boosted trees forecast the power of a household one hour ahead?

What scikit-learn reaches with what our forecasters read: the last 24 hours of all seven measurements, and the calendar
of the hour that is forecast, the linear model with an input for each hour of the week, the trees with hour, weekday and
day of the year as numbers. The parts, the scale of the error and the unit are those of `household_power`.

    python -m benchmarks.power [--lookback 24] [--seed 0]
"""

from __future__ import annotations

import argparse
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import Ridge

from tidegate import data
from tidegate.data.times import calendar

Array: TypeAlias = npt.NDArray[Any]


def columns(values: Array, times: Array, lookback: int) -> tuple[Array, Array, Array]:
    """Give what came before each hour from `lookback` on, [N, L * C], its hour of the week and its day of the year."""
    views = np.lib.stride_tricks.sliding_window_view(values[:-1], lookback, axis=0)  # [N, C, L]
    hours = times[lookback:].astype("datetime64[h]").astype(np.int64)
    days = times[lookback:].astype("datetime64[D]")
    of_week = (hours + 3 * 24) % 168  # 1970-01-01 was a Thursday
    return views.reshape(len(views), -1), of_week, (days - days.astype("datetime64[Y]")).astype(np.int64)


def run(lookback: int, seed: int) -> None:
    """Fit on the training part, and print the errors on the others: squared and scaled, and the root of it in kW."""
    dataset = data.load("household_power")
    assert dataset.valid is not None and dataset.test is not None, "the set has three parts"
    (valid,), (test,) = dataset.valid.x, dataset.test.x
    values, times = test.values, test.times
    own = values[: valid.begin]
    scaled = (values - own.mean(axis=0)) / own.std(axis=0)
    past, of_week, of_year = columns(scaled, times, lookback)
    truth, origins = scaled[lookback:, 0], np.arange(lookback, len(values))
    parts = {"valid": (origins >= valid.begin) & (origins < test.begin), "test": origins >= test.begin}
    trees = HistGradientBoostingRegressor(
        learning_rate=0.06, max_iter=200, min_samples_leaf=40, l2_regularization=5, max_leaf_nodes=24,
        max_features=0.3, early_stopping=False, random_state=seed,
    )  # fmt: skip
    clock = np.stack([of_week % 24, of_week // 24, of_year], axis=1)
    year = calendar(times[lookback:])[:, 4:6]
    models: dict[str, tuple[Any, Array]] = {
        "linear": (Ridge(10.0), np.concatenate([past, np.eye(168)[of_week], year], axis=1)),
        "trees": (trees, np.concatenate([past, clock], axis=1)),
        "trees, no calendar": (trees, past),
    }
    learn = origins < valid.begin
    for name, (model, x) in models.items():
        away = (model.fit(x[learn], truth[learn]).predict(x) - truth) ** 2
        told = [
            f"{part} {away[at].mean():.4f}, {own[:, 0].std() * away[at].mean() ** 0.5:.4f} kW"
            for part, at in parts.items()
        ]
        print(f"{name}: {'; '.join(told)}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--lookback", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    run(given.lookback, given.seed)
