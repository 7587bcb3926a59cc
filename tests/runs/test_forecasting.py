"""What a forecaster is measured by: errors as scikit-learn computes them, beside two guesses written out by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, mean_pinball_loss, mean_squared_error

import tidegate as tg
from tidegate.data import Examples
from tidegate.data.series import Roles, Series, make_series
from tidegate.errors import DataError
from tidegate.runs import evaluate, show_measure

HOURS = np.datetime64("2020-01-01", "ms") + np.arange(300) * np.timedelta64(3_600_000, "ms")
ROLES = Roles(("u", "v"))


def series(name: str, level: float) -> Series:
    rng = np.random.default_rng(len(name))
    turns = np.arange(300)[:, None] / 24 + np.array([0, 0.3])
    values = level * (np.sin(2 * np.pi * turns) + rng.normal(0, 0.2, (300, 2))) + [5, 50]
    return make_series(name, HOURS, values, ROLES)


@pytest.fixture(scope="module")
def model() -> tg.Forecaster:
    options: dict[str, Any] = {"lookback": 24, "horizon": 30, "hidden_size": 8, "epochs": 2}
    options |= {"quantiles": (0.2, 0.9), "validation_fraction": 0.225}  # 155 steps to learn from, 45 held out
    return tg.Forecaster(**options).fit([s.cut(0, 200) for s in PAIR])


PAIR = [series("a", 1.0), series("bb", 10.0)]


def test_errors_are_those_of_scikit_learn_over_all_windows(model: tg.Forecaster) -> None:
    part = [s.cut(200, 300) for s in PAIR]
    found = evaluate(model, Examples(part, None))
    forecasts = model.backtest(part)
    assert found.examples == len(forecasts) == 2 * (300 - 200 - 30 + 1)

    truth, mean = (np.concatenate([getattr(f, key) for f in forecasts]) for key in ("truth", "mean"))
    rows = {row["column"]: row for row in found.table()}
    for k, name in enumerate(ROLES.targets):
        assert rows[name]["mae"] == pytest.approx(mean_absolute_error(truth[:, k], mean[:, k]), rel=1e-5)
        assert rows[name]["rmse"] == pytest.approx(math.sqrt(mean_squared_error(truth[:, k], mean[:, k])), rel=1e-5)

    scales = np.concatenate([np.tile(PAIR[f.name == "bb"].values[:155].std(axis=0), (30, 1)) for f in forecasts])
    measures = found.measures()
    assert measures["mse"] == pytest.approx(mean_squared_error(truth / scales, mean / scales), rel=1e-4)
    assert measures["mae"] == pytest.approx(mean_absolute_error(truth / scales, mean / scales), rel=1e-4)
    pinball = []
    for level in (0.2, 0.9):
        quantile = np.concatenate([f.quantiles[level] for f in forecasts])
        pinball.append(mean_pinball_loss(truth / scales, quantile / scales, alpha=level))
        share = measures[f"below the {100 * level:g}% quantile"]
        assert share == pytest.approx((truth <= quantile).mean(), abs=1e-3)
    assert measures["pinball"] == pytest.approx(np.mean(pinball), rel=1e-4)


def test_guesses_repeat_the_last_value_and_the_last_day(model: tg.Forecaster) -> None:
    part = [PAIR[0].cut(200, 300)]
    found = evaluate(model, Examples(part, None))
    values = PAIR[0].values
    origins = range(200, 271)
    naive = [values[o : o + 30] - values[o - 1] for o in origins]
    # 30 hours ahead: the last 24 hours once, and their first six again
    day = [values[o : o + 30] - np.concatenate([values[o - 24 : o], values[o - 24 : o - 18]]) for o in origins]
    for row, k in zip(found.table(), range(2), strict=True):
        assert row["naive rmse"] == pytest.approx(np.sqrt(np.mean([e[:, k] ** 2 for e in naive])), rel=1e-5)
        assert row["seasonal naive rmse"] == pytest.approx(np.sqrt(np.mean([e[:, k] ** 2 for e in day])), rel=1e-5)
    scale = values[:155].std(axis=0)
    assert found.measures()["naive mse"] == pytest.approx(np.mean([(e / scale) ** 2 for e in naive]), rel=1e-5)
    assert found.measures()["seasonal naive mse"] == pytest.approx(np.mean([(e / scale) ** 2 for e in day]), rel=1e-5)


def test_training_measures_the_same_guesses_on_the_part_held_out(model: tg.Forecaster) -> None:
    measures = evaluate(model, Examples([s.cut(155, 200) for s in PAIR], None)).measures()
    assert model.baselines_ == pytest.approx({name: measures[name] for name in ("naive mse", "seasonal naive mse")})


def test_one_column_is_measured_in_its_unit_too() -> None:
    single = make_series("a", np.arange(200), np.arange(200.0)[:, None] % 5 * 3, Roles(("y",)))
    model = tg.Forecaster(lookback=10, horizon=2, hidden_size=4, epochs=1).fit([single.cut(0, 150)])
    measures = evaluate(model, Examples([single.cut(150, 200)], None)).measures()
    assert measures["rmse"] == pytest.approx(math.sqrt(measures["mse"]) * single.values[:135].std(), rel=1e-5)
    # 0 3 6 9 12 repeated: one step on, the last value is off by 3 four times in five, and else by 12
    origins = range(150, 199)
    off = [single.values[o + ahead, 0] - single.values[o - 1, 0] for o in origins for ahead in (0, 1)]
    assert measures["naive rmse"] == pytest.approx(np.sqrt(np.mean(np.square(off))), rel=1e-5)
    assert show_measure("mse", 0.371234) == "0.3712"


def test_nothing_to_measure_on_says_so(model: tg.Forecaster) -> None:
    with pytest.raises(DataError, match="nothing to evaluate on: no series holds 24 steps to look back on and 30"):
        evaluate(model, Examples([PAIR[0].cut(280, 300)], None))
