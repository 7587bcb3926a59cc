"""The forecaster: what every task passes, losses, and back-tests that cannot look ahead."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

import tidegate as tg
from hourly import HOURS, waves
from tidegate import nn
from tidegate.data.series import Roles, make_series
from tidegate.errors import DataError, InputError, ModelFileError, OptionError, RunFolderError
from tidegate.tasks import Forecast, from_recipe
from tidegate.tasks.forecasting.forecast import loss_of
from tidegate.tasks.forecasting.windows import cut_windows

SMALL: dict[str, Any] = {
    "lookback": 24,
    "horizon": 6,
    "hidden_size": 8,
    "epochs": 3,
    "batch_size": 32,
    "learning_rate": 0.02,
    "dropout": 0.1,
}
KINDS: dict[str, dict[str, Any]] = {
    "segments": {"segment": 6, "quantiles": (0.1, 0.5, 0.9)},
    "segments together": {"segment": 4, "independent": False, "window_scaling": "standard", "calendar": True},
    "lstm": {"segment": 0, "cell": "lstm", "independent": False, "calendar": True},
    "bilstm": {"segment": 0, "cell": "lstm", "bidirectional": True, "quantiles": (0.5,), "num_layers": 2},
    "recursive": {"segment": 0, "strategy": "recursive", "steps_at_once": 4, "window_scaling": "off"},
    "recursive segments": {"segment": 6, "strategy": "recursive", "loss": "mae", "scale": False},
}


def fit(**changes: Any) -> tg.Forecaster:
    return tg.Forecaster(**SMALL | changes).fit([waves()])


@pytest.fixture(scope="module", params=sorted(KINDS))
def fitted(request: pytest.FixtureRequest) -> tg.Forecaster:
    return fit(**KINDS[request.param])


def bits(forecasts: list[Forecast]) -> bytes:
    return b"".join(np.stack([f.mean, *f.quantiles.values()]).tobytes() for f in forecasts)


# --- what every task passes --------------------------------------------------------------------------------------


def test_it_learns_what_can_be_learned() -> None:
    series = waves(360)
    for options in ({"segment": 6}, {"segment": 0, "cell": "lstm", "independent": False}):
        model = tg.Forecaster(**SMALL | options | {"epochs": 15}).fit([series.cut(0, 300)])
        (forecast,) = model.predict([series.cut(0, 330)])
        truth = series.values[330:336]
        assert abs(forecast.mean - truth).max() < 0.8  # of waves of height 3
        assert forecast.times.tolist() == HOURS[330:336].tolist()


def test_a_forecast_does_not_depend_on_neighbours_or_order(fitted: tg.Forecaster) -> None:
    several = [waves(count, name=str(count), seed=count) for count in (60, 100, 24, 200)]
    whole = fitted.predict(several)
    assert bits([fitted.predict([s])[0] for s in several]) == bits(whole)
    assert bits(fitted.predict(several[::-1])[::-1]) == bits(whole)
    tail = replace(several[3], times=HOURS[100:200], values=several[3].values[100:], known=100)
    assert bits(fitted.predict([tail])) == bits(whole[3:])  # what lies before the look-back has no effect


def test_torch_and_runtime_agree(fitted: tg.Forecaster) -> None:
    import torch

    series = waves(80)
    learned = fitted._learned().learned
    layout = fitted._layout(learned.roles)
    windows = cut_windows([series], learned.scaling, fitted._shape(), [np.array([30, 41, 55])])
    batch = windows.batch(np.arange(3))
    x = layout.inputs(batch.observed, batch.known[:, : fitted.lookback + layout.horizon])
    module = nn.build(fitted.network_).eval()
    module.load_state_dict({name: torch.from_numpy(array) for name, array in fitted.weights_.items()})
    out = module(nn.to_torch(x))
    rows = (out.values if isinstance(out, tg.Ragged) else out).detach().numpy()
    np.testing.assert_allclose(rows, tg.runtime.Executor(fitted.network_, fitted.weights_)(x), rtol=1e-5, atol=1e-6)


def test_a_saved_model_forecasts_the_same_bits(fitted: tg.Forecaster, tmp_path: Path) -> None:
    series = [waves(50)]
    fitted.save(tmp_path / "model.safetensors")
    loaded = tg.load(tmp_path)
    assert bits(loaded.predict(series)) == bits(fitted.predict(series))
    assert (loaded.network_, loaded.get_params()) == (fitted.network_, fitted.get_params())
    assert (loaded.roles_, loaded.baselines_) == (fitted.roles_, fitted.baselines_)
    loaded.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "model.safetensors").read_bytes()


def test_loading_and_forecasting_import_no_torch(tmp_path: Path) -> None:
    model = tg.Forecaster(**SMALL | {"epochs": 1}).fit(np.arange(90.0) % 7)
    model.save(tmp_path / "model")
    code = (
        "import json, sys; import tidegate as tg, numpy as np; task = tg.load(sys.argv[1]);"
        "mean = task.predict(np.arange(60.) % 7)[0].mean;"
        "print(json.dumps([mean.tolist(), [*{'torch', 'sklearn'} & {*sys.modules}]]))"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "model"], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [model.predict(np.arange(60.0) % 7)[0].mean.tolist(), []]


def test_it_pickles_copies_and_clones(fitted: tg.Forecaster) -> None:
    for twin in (pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted)):  # noqa: S301  (our own bytes)
        assert bits(twin.predict([waves(40)])) == bits(fitted.predict([waves(40)]))
    fresh = clone(fitted)
    assert fresh.get_params() == fitted.get_params()
    assert not hasattr(fresh, "roles_")
    with pytest.raises(InputError, match="not fitted; call fit first"):
        fresh.predict([waves()])


def test_the_same_seed_gives_the_same_bits() -> None:
    models = [fit(seed=seed, epochs=1) for seed in (1, 1, 2)]
    weights = [b"".join(array.tobytes() for array in model.weights_.values()) for model in models]
    assert weights[0] == weights[1] != weights[2]


@pytest.mark.parametrize("stop", [1, 7, 9, 20])
def test_a_stopped_run_resumes_to_the_bit(tmp_path: Path, stop: int) -> None:
    series = [waves()]
    whole = tg.Forecaster(**SMALL).fit_steps(series, run_dir=tmp_path / "whole")
    assert len(list(whole)) == 24
    begun = tg.Forecaster(**SMALL).fit_steps(series, run_dir=tmp_path / "run")
    list(islice(begun, stop))
    begun.close()
    assert len(list(tg.Forecaster(**SMALL).fit_steps(series, resume=tmp_path / "run"))) == 24 - stop
    files = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "run")]
    assert files[0] == files[1]


def test_a_run_resumes_on_the_same_data_and_from_its_recipe_alone(tmp_path: Path) -> None:
    begun = tg.Forecaster(**SMALL).fit_steps([waves()], run_dir=tmp_path)
    next(begun)
    begun.close()
    model = from_recipe(tg.tasks.run.RunFolder.open(tmp_path).recipe)
    with pytest.raises(RunFolderError, match="begun on other data"):
        model.fit_steps([waves(seed=5)], resume=tmp_path)
    for _ in model.fit_steps([waves()], resume=tmp_path):
        pass
    check_is_fitted(model)


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"lookback": 0}, "lookback=0 cannot be used"),
        ({"lookback": 25, "segment": 6}, "segment=6 does not divide lookback=25"),
        ({"segment": 6, "bidirectional": True}, "Pass segment=0 with it"),
        ({"quantiles": (0.9, 0.1)}, "quantiles must ascend between 0 and 1"),
        ({"quantiles": (0.0, 0.5)}, "quantiles must ascend between 0 and 1"),
        ({"strategy": "recursive", "quantiles": (0.5,)}, "pass strategy='direct'"),
        ({"strategy": "recursiv"}, "unknown strategy 'recursiv'. Did you mean 'recursive'"),
        ({"window_scaling": "first"}, "unknown window_scaling 'first'"),
        ({"loss": "rmse"}, "unknown loss 'rmse'. Did you mean 'mse'"),
    ],
)
def test_parameters_that_cannot_be_used_are_named(params: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        tg.Forecaster(**SMALL | params).fit_steps([waves()])


def test_presets_are_complete_and_train() -> None:
    for name in ("segrnn", "lstm", "bilstm"):
        model = tg.Forecaster.from_preset(name, hidden_size=4, epochs=1, horizon=5)
        assert model.get_params().keys() - tg.tasks.presets.get(name, task="forecaster").keys() == {"seed"}
        assert model.fit([waves()]).predict([waves()])[0].mean.shape == (5, 2)
    with pytest.raises(OptionError, match="Did you mean 'segrnn'"):
        tg.Forecaster.from_preset("segrn")


# --- losses ------------------------------------------------------------------------------------------------------


def test_the_pinball_loss_is_that_of_scikit_learn() -> None:
    from sklearn.metrics import mean_absolute_error, mean_pinball_loss, mean_squared_error

    rng = np.random.default_rng(0)
    answers, truth = rng.normal(size=(3, 4, 2, 3)), rng.normal(size=(3, 4, 2))
    pinball = [mean_pinball_loss(truth.ravel(), answers[..., i].ravel(), alpha=q) for i, q in ((1, 0.1), (2, 0.8))]
    flat = truth.ravel(), answers[..., 0].ravel()
    assert loss_of(answers, truth, "mse", (0.1, 0.8)) == pytest.approx(mean_squared_error(*flat) + sum(pinball))
    assert loss_of(answers, truth, "mae", (0.1, 0.8)) == pytest.approx(mean_absolute_error(*flat) + sum(pinball))


def test_quantiles_part_what_comes_in_their_shares() -> None:
    rng = np.random.default_rng(0)
    noise = rng.exponential(1.0, 3000)
    options: dict[str, Any] = {"lookback": 4, "horizon": 2, "hidden_size": 4, "segment": 2, "dropout": 0.0}
    options |= {"window_scaling": "off"}
    model = tg.Forecaster(**options, quantiles=(0.1, 0.5, 0.9), epochs=4, learning_rate=0.01).fit(noise[:2500])
    forecasts = model.backtest(noise, begin=2500)
    assert len(forecasts) == 499
    for level, tolerance in ((0.1, 0.04), (0.5, 0.06), (0.9, 0.04)):
        below = np.mean([f.truth <= f.quantiles[level] for f in forecasts if f.truth is not None])
        assert below == pytest.approx(level, abs=tolerance)
    assert np.mean([f.mean for f in forecasts]) == pytest.approx(1.0, abs=0.1)  # of the exponential distribution


def test_quantiles_never_cross() -> None:
    model = fit(segment=6, quantiles=(0.1, 0.2, 0.3, 0.9), epochs=1)
    for forecast in model.backtest([waves(400)], begin=HOURS[300]):
        levels = np.stack(list(forecast.quantiles.values()))
        assert (np.diff(levels, axis=0) >= 0).all()


# --- the future --------------------------------------------------------------------------------------------------


def test_what_is_known_of_the_future_is_used() -> None:
    """A target that repeats a covariate without delay can be forecast from it alone."""
    rng = np.random.default_rng(0)
    rain = rng.normal(size=600)
    series = make_series(
        "a", np.arange(600), np.stack([rain + rng.normal(0, 0.05, 600), rain], axis=1), Roles(("y",), future=("rain",))
    )
    options: dict[str, Any] = {"lookback": 8, "horizon": 3, "hidden_size": 16, "dropout": 0.0, "batch_size": 16}
    for segment in (0, 4):
        model = tg.Forecaster(**options, segment=segment, window_scaling="off", epochs=12, learning_rate=0.01)
        model.fit([series.cut(0, 500)])
        forecasts = model.backtest([series], begin=500)
        error = np.mean([abs(f.mean - f.truth).mean() for f in forecasts if f.truth is not None])
        assert error < 0.25  # guessing the mean gives 0.8


def test_future_columns_that_are_missing_are_named() -> None:
    roles = Roles(("y",), future=("rain",))
    series = waves(100, roles=roles)
    model = tg.Forecaster(**SMALL | {"epochs": 1}).fit([series])
    with pytest.raises(
        DataError, match=r"has no 'rain' at 2020-01-05 04:00:00; .* for the 6 steps after 2020-01-05 03"
    ):
        model.predict([series])
    rows = np.concatenate([series.values, [[np.nan, 1.0]] * 6])
    whole = make_series("a", HOURS[:106], rows, roles)
    assert model.predict([whole])[0].times.tolist() == HOURS[100:106].tolist()
    with pytest.raises(DataError, match="has no 'rain' at 2020-01-05 08:00:00"):
        model.predict([make_series("a", HOURS[:104], rows[:104], roles)])


def test_times_go_on_by_the_step_of_the_series() -> None:
    months = np.datetime64("2015-01", "M") + np.arange(60)
    model = tg.Forecaster(lookback=12, horizon=3, hidden_size=4, epochs=1)
    series = {"ds": months.astype("datetime64[ms]"), "y": np.arange(60) % 12}
    (forecast,) = model.fit(series).predict(series)
    assert [row["ds"] for row in forecast.rows()] == ["2020-01-01", "2020-02-01", "2020-03-01"]


# --- back-tests that cannot look ahead ---------------------------------------------------------------------------

LEAKY = Roles(("u",), ("w",), ("x",))


@pytest.fixture(scope="module", params=[{"segment": 6}, {"segment": 0, "calendar": True, "window_scaling": "standard"}])
def judge(request: pytest.FixtureRequest) -> tg.Forecaster:
    return tg.Forecaster(**SMALL | request.param | {"epochs": 1, "quantiles": (0.1, 0.9)}).fit(
        [waves(200, roles=LEAKY)]
    )


@settings(max_examples=25)
@given(at=st.integers(224, 399), value=st.sampled_from([1e9, -1e9, 0.0]), column=st.integers(0, 1))
def test_no_later_value_changes_an_earlier_forecast(judge: tg.Forecaster, at: int, value: float, column: int) -> None:
    """Overwrite everything from one step on, as a leak would see it: forecasts up to there must not change."""
    series = waves(400, roles=LEAKY)
    changed = series.values.copy()
    changed[at:, column] = value
    before, after = (judge.backtest([s], stride=3) for s in (series, replace(series, values=changed)))
    origins = [int(np.searchsorted(HOURS, f.times[0])) for f in before]
    earlier = [index for index, origin in enumerate(origins) if origin <= at]
    assert earlier
    assert bits([before[i] for i in earlier]) == bits([after[i] for i in earlier])
    later = [index for index, origin in enumerate(origins) if at + 1 <= origin <= at + 12]
    assert not later or bits([before[i] for i in later]) != bits([after[i] for i in later])


def test_a_leak_would_be_seen(judge: tg.Forecaster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shift the windows by one step into the future, as a slip would: the check above must fail."""
    from tidegate.tasks.forecasting import windows

    honest = windows._gather

    def leaking(rows: Any, first: Any, length: int) -> Any:
        return honest(rows, first + (length == SMALL["lookback"]), length)

    monkeypatch.setattr(windows, "_gather", leaking)
    series = waves(400, roles=LEAKY)
    changed = series.values.copy()
    changed[300:, 0] = 1e9
    before, after = (judge.backtest([s], begin=HOURS[300]) for s in (series, replace(series, values=changed)))
    assert bits(before[:1]) != bits(after[:1])


def test_scaling_and_weights_know_nothing_of_what_comes_after_the_training_part() -> None:
    series = waves(400)
    changed = replace(series, values=np.concatenate([series.values[:300], series.values[300:] * -50]))
    models = [tg.Forecaster(**SMALL | {"epochs": 1}) for _ in range(2)]
    for model, whole in zip(models, (series, changed), strict=True):
        list(model.fit_steps([whole.cut(0, 250)], valid=([whole.cut(250, 300)], None)))
    assert models[0].weights_.keys() == models[1].weights_.keys()
    assert all((models[0].weights_[name] == models[1].weights_[name]).all() for name in models[0].weights_)
    assert bits(models[0].predict([series.cut(0, 300)])) == bits(models[1].predict([changed.cut(0, 300)]))


def test_a_back_test_begins_after_what_training_has_seen(judge: tg.Forecaster) -> None:
    series = waves(400, roles=LEAKY)
    forecasts = judge.backtest([series], stride=10)
    assert [f.times[0] for f in forecasts[:2]] == [HOURS[200], HOURS[210]]
    assert forecasts[-1].times[-1] <= HOURS[399]
    for forecast in forecasts[:3]:
        start = int(np.searchsorted(HOURS, forecast.times[0]))
        assert forecast.truth is not None
        np.testing.assert_array_equal(forecast.truth, series.values[start : start + 6, :1])
    with pytest.raises(
        InputError, match=r"begin=2020-01-08 lies in what the model was trained on, up to 2020-01-09T07"
    ):
        judge.backtest([series], begin="2020-01-08")
    with pytest.raises(DataError, match="no origin is left"):
        judge.backtest([series.cut(0, 203)])
    other = replace(series, name="another house")
    assert judge.backtest([other])[0].times[0] == HOURS[24]  # of which it has seen nothing


def test_a_back_test_forecasts_what_predict_does(fitted: tg.Forecaster) -> None:
    series = waves(340)
    forecasts = fitted.backtest([series], begin=HOURS[310], stride=7)
    for forecast in forecasts:
        origin = int(np.searchsorted(HOURS, forecast.times[0]))
        assert bits([forecast]) == bits(fitted.predict([series.cut(0, origin)]))


# --- bad data ----------------------------------------------------------------------------------------------------


def test_series_that_cannot_be_learned_from_are_named() -> None:
    model = tg.Forecaster(**SMALL)
    short, constant = waves(31, name="short"), waves(100, name="flat")
    constant.values[:, 1] = 3.5
    with pytest.raises(
        DataError, match=r"Series\('short', 28 steps .*\) is too short: lookback \+ horizon is 30 steps"
    ):
        model.fit_steps([waves(), short])
    with pytest.raises(DataError, match=r"Series\('flat', .*'v' is 3.5 in all 90 steps to learn from"):
        model.fit_steps([constant])
    with pytest.raises(DataError, match="two series are called 'a'"):
        model.fit_steps([waves(), waves()])
    with pytest.raises(DataError, match="differ in their columns or steps"):
        model.fit_steps([waves(), waves(name="b", roles=Roles(("u",)))])
    with pytest.raises(DataError, match="there is no series to learn from"):
        model.fit_steps([])
    with pytest.raises(DataError, match="the part to measure on is shorter than the horizon"):
        model.set_params(validation_fraction=0.01).fit_steps([waves(60)])
    with pytest.raises(DataError, match=r"X\[3\]: the series has no '0' at 3"):
        model.fit_steps(np.array([1.0, 2, 3, np.nan, 5]))
    with pytest.raises(DataError, match="Leave calendar out"):
        model.set_params(calendar=True, validation_fraction=0).fit_steps(np.arange(100.0) % 7)


def test_series_that_cannot_be_forecast_are_named(fitted: tg.Forecaster) -> None:
    with pytest.raises(DataError, match=r"is too short: 24 steps are looked back on"):
        fitted.predict([waves(23)])
    with pytest.raises(DataError, match="has the columns u; u, v were trained on, in this order"):
        fitted.predict([waves(50, roles=Roles(("u",)))])
    daily = make_series("a", HOURS[::24], waves(17).values, Roles(("u", "v")))
    with pytest.raises(DataError, match="has steps of 1 day; steps of 1 hour were trained on"):
        fitted.predict([daily])
    assert fitted.predict([]) == []


def test_a_constant_covariate_does_no_harm() -> None:
    series = waves(100, roles=Roles(("u",), ("w",)))
    series.values[:, 1] = 0.1
    model = tg.Forecaster(**SMALL | {"epochs": 1}).fit([series])
    assert np.isfinite(model.predict([series])[0].mean).all()


def test_a_model_file_that_was_meddled_with_is_refused(tmp_path: Path) -> None:
    from tidegate.checkpoint import load_model, save_model

    fit(epochs=1).save(tmp_path / "model")
    model = load_model(tmp_path / "model")
    changes: tuple[dict[str, Any], ...] = (
        {"scaling": {"means": {}, "deviations": {}, "pooled": [[0.0], [1.0]]}},
        {"roles": {"targets": []}},
        {"step": {"count": 0, "unit": "ms"}},
        {"params": model.task["params"] | {"horizon": 7}},
        {"ends": None},
    )
    for change in changes:
        save_model(tmp_path / "bad", model.network, weights=model.weights, task=model.task | change)
        with pytest.raises(ModelFileError, match="describes no Forecaster"):
            tg.load(tmp_path / "bad")
