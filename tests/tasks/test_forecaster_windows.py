"""What a forecaster reads and answers, window by window, written out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hourly import HOURS, waves
from tidegate.data.series import Roles, Series, make_series
from tidegate.tasks.forecasting.layout import Layout
from tidegate.tasks.forecasting.windows import Scaling, Shape, cut_windows, measurable, with_known

PLAIN = Scaling({}, {}, (np.zeros(3), np.ones(3)))


def counted(roles: Roles, rows: int = 12) -> Series:
    """Let column c of row t hold 100 c + t."""
    values = np.arange(rows)[:, None] + 100.0 * np.arange(len(roles.columns))
    return make_series("a", HOURS[:rows], values, roles)


def test_a_window_is_what_was_and_what_came() -> None:
    series = counted(Roles(("u", "v"), ("w",)))
    shape = Shape(lookback=3, horizon=2, window_scaling="off", calendar=False)
    windows = cut_windows([series, series], PLAIN, shape, [measurable(series, shape), np.array([5])])
    assert windows.steps.tolist() == [3, 4, 5, 6, 7, 8, 9, 10, 5]
    batch = windows.batch(np.array([2, 8]))
    assert batch.observed[0].tolist() == [[2, 102, 202], [3, 103, 203], [4, 104, 204]]
    assert batch.observed[1].tolist() == batch.observed[0].tolist()
    assert windows.truth(np.array([2, 8])).tolist() == [[[5, 105], [6, 106]]] * 2
    assert np.shares_memory(windows.observed, windows.observed[:, :2])  # windows are indices; nothing is copied


def test_a_part_is_forecast_from_its_first_step_on() -> None:
    shape = Shape(lookback=3, horizon=2, window_scaling="off", calendar=False)
    series = counted(Roles(("u",)))
    assert measurable(series.cut(6, 10), shape).tolist() == [6, 7, 8]
    assert measurable(series.cut(0, 10), shape).tolist() == [3, 4, 5, 6, 7, 8]
    assert measurable(series.cut(9, 10), shape).tolist() == []


@pytest.mark.parametrize(
    ("how", "wanted"),
    [("off", [3, 4, 5]), ("last", [-2, -1, 0]), ("standard", [-1.2247, 0, 1.2247])],
)
def test_windows_are_scaled_by_themselves(how: Any, wanted: list[float]) -> None:
    shape = Shape(lookback=3, horizon=1, window_scaling=how, calendar=False)
    windows = cut_windows([counted(Roles(("u",)))], PLAIN_ONE, shape, [np.array([6])])
    batch = windows.batch(np.array([0]))
    np.testing.assert_allclose(batch.observed[0, :, 0], wanted, atol=1e-3)
    np.testing.assert_allclose(batch.observed * batch.scale + batch.shift, [[[3], [4], [5]]], rtol=1e-6)


PLAIN_ONE = Scaling({}, {}, (np.zeros(1), np.ones(1)))


def test_series_are_scaled_by_their_own_training_part() -> None:
    one, two = waves(200, name="one"), waves(200, name="two", seed=1)
    scaling = Scaling.learn([one.cut(0, 150), two.cut(0, 150)], scale=True)
    np.testing.assert_allclose(scaling.of("one")[0], one.values[:150].mean(axis=0))
    np.testing.assert_allclose(scaling.of("two")[1], two.values[:150].std(axis=0))
    both = np.concatenate([one.values[:150], two.values[:150]])
    np.testing.assert_allclose(scaling.of("three"), [both.mean(axis=0), both.std(axis=0)])


@pytest.mark.parametrize(("lookback", "horizon"), [(6, 1), (6, 4), (6, 6), (4, 7), (3, 8)])
def test_every_step_of_the_future_is_told_of_once(lookback: int, horizon: int) -> None:
    known = np.arange(lookback + horizon, dtype=float)[None, :, None]
    beside = with_known(np.zeros((1, lookback, 0)), known, horizon)[0]
    assert beside[:, 0].tolist() == list(range(lookback))  # the step itself
    told = beside[:, 1:].ravel().tolist()
    assert sorted({step for step in told if step >= lookback}) == list(range(lookback, lookback + horizon))
    assert all(told.count(step) == 1 for step in range(lookback, lookback + horizon))
    assert beside[-1, 1] == lookback + horizon - 1  # the last step of the look-back is told of the last to come


@pytest.mark.parametrize(("independent", "decoded"), [(True, True), (True, False), (False, True), (False, False)])
def test_answers_come_back_in_the_order_of_steps_and_targets(independent: bool, decoded: bool) -> None:
    """Fill the rows of a network's output with what they mean, and read them back."""
    layout = Layout(
        lookback=6, horizon=5, targets=2, past=0, known=0, segment=3 if decoded else 1, decoded=decoded,
        independent=independent, outputs=2,
    )  # fmt: skip
    steps = layout.rows_out * layout.segment if decoded else layout.horizon
    rows = []
    for window in range(2):
        for channel in range(layout.channels):
            for part in np.split(np.arange(steps), layout.rows_out):
                own = [channel] if independent else [0, 1]
                rows.append([1000 * window + 100 * k + 10 * q + t for t in part for k in own for q in range(2)])
    answers = layout.answers(np.array(rows))
    assert answers.shape == (2, 5, 2, 2)
    for window, step, target, output in np.ndindex(answers.shape):
        assert answers[window, step, target, output] == 1000 * window + 100 * target + 10 * output + step


def test_channels_read_their_own_segment_and_what_is_shared() -> None:
    layout = Layout(
        lookback=4, horizon=2, targets=2, past=1, known=0, segment=2, decoded=True, independent=True, outputs=1
    )
    observed = np.arange(12, dtype=np.float32).reshape(1, 4, 3)  # step t: [3 t, 3 t + 1, 3 t + 2]
    (split,) = layout.first()
    rows = layout.inputs(observed, np.zeros((1, 6, 0))).split(2, shared=split.shared)  # type: ignore[union-attr]
    assert rows.to_list()[0].tolist() == [[0, 3, 2, 5], [6, 9, 8, 11]]
    assert rows.to_list()[1].tolist() == [[1, 4, 2, 5], [7, 10, 8, 11]]
