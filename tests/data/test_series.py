"""Series: times and their steps, tables long and wide, what is refused by name, and what is repaired when told how."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tidegate import data
from tidegate.data.series import Roles, Series, hold_out_last, make_series
from tidegate.data.series_tables import Choice, as_series
from tidegate.data.time_columns import read_times
from tidegate.data.times import Step, calendar, show_time, step_of
from tidegate.errors import DataError, InputError, MissingPackageError, OptionError, ShapeError

LONG = "unique_id,ds,y,rain\nb,2020-01-01,5,0.5\na,2020-01-01,1,0.1\nb,2020-01-02,6,0.6\na,2020-01-02,2,0.2\n"


def write(folder: Path, text: str, name: str = "table.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def days(*numbers: int) -> Any:
    return np.array([f"2020-01-{number:02d}" for number in numbers], "datetime64[ms]")


def series_of(times: Any, values: list[float], **options: Any) -> Series:
    return make_series("a", times, np.array(values, np.float64)[:, None], Roles(("y",)), **options)


# --- times -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("times", "step", "season", "following"),
    [
        (["2020-01-01 00:00", "2020-01-01 01:00"], "1 hour", 24, "2020-01-01 02:00:00"),
        (["2020-01-01 00:00", "2020-01-01 00:15"], "15 minutes", 96, "2020-01-01 00:30:00"),
        (["2020-02-27", "2020-02-28"], "1 day", 7, "2020-02-29"),
        (["2020-01-01", "2020-01-08"], "1 week", 52, "2020-01-15"),
        (["2020-01-01", "2020-02-01"], "1 month", 12, "2020-03-01"),
        (["2020-01-31", "2020-02-29"], "1 month", 12, "2020-03-31"),
        (["2020-03-31", "2020-06-30"], "3 months", 4, "2020-09-30"),
        (["2019-01-01", "2020-01-01"], "12 months", 1, "2021-01-01"),
        (["3", "7"], "4 steps", 1, "11"),
    ],
)
def test_the_step_is_found_and_gone_on_with(times: list[str], step: str, season: int, following: str) -> None:
    read = read_times(times, where=str).clock
    found = step_of(read)
    assert (str(found), found.season) == (step, season)
    assert show_time(found.after(read[-1], 1)[0]) == following
    assert found.positions(read).tolist() == [0, 1]


def test_months_are_stepped_over_their_lengths() -> None:
    month_end = step_of(read_times(["2019-12-31", "2020-01-31", "2020-02-29"], where=str).clock)
    got = month_end.after(np.datetime64("2020-02-29", "ms"), 3).astype("datetime64[D]").astype(str)
    assert got.tolist() == ["2020-03-31", "2020-04-30", "2020-05-31"]
    assert month_end.positions(np.array(["2020-02-29", "2020-05-31"], "datetime64[ms]")).tolist() == [0, 3]


@pytest.mark.parametrize("bad", ["13/02/20", "today", "", "yesterday", None, 1.5, "2020-02-31", "2020-02-13 25:00"])
def test_a_time_that_is_none_is_named(bad: object) -> None:
    with pytest.raises(DataError, match=r"row 1 has the time .*; wanted such as 2020-02-13 14:00:00"):
        read_times(["2020-02-12", bad], where=lambda index: f"row {index}")


def test_the_calendar_knows_hours_weekdays_and_days_of_the_year() -> None:
    # 2020-01-04 was a Saturday, 2020-01-06 a Monday.
    rows = calendar(np.array(["2020-01-04 00:00", "2020-01-06 06:00"], "datetime64[ms]"))
    assert rows[:, 6].tolist() == [1, 0]
    np.testing.assert_allclose(rows[1, :4], [1, 0, 0, 1], atol=1e-12)  # a quarter of the day; the first day of the week
    np.testing.assert_allclose(rows[0, 2:4], [np.sin(2 * np.pi * 5 / 7), np.cos(2 * np.pi * 5 / 7)], atol=1e-12)
    np.testing.assert_allclose(rows[0, 4], np.sin(2 * np.pi * 3 / 365.2425), atol=1e-12)
    with pytest.raises(DataError, match="Leave calendar out"):
        calendar(np.array([1, 2]))


# --- tables ------------------------------------------------------------------------------------------------------


def test_a_long_table_becomes_a_series_for_each_name(tmp_path: Path) -> None:
    dataset = data.load(write(tmp_path, LONG), kind="series", future_columns="rain")
    b, a = dataset.train.x
    assert (dataset.kind, dataset.train.y, dataset.test) == ("series", None, None)
    assert ([a.name, b.name], a.roles.targets, a.roles.future) == (["a", "b"], ("y",), ("rain",))
    assert a.values.tolist() == [[1, 0.1], [2, 0.2]]
    assert b.values.tolist() == [[5, 0.5], [6, 0.6]]
    assert a.times.tolist() == days(1, 2).tolist()


def test_a_wide_table_becomes_one_series_of_many_columns(tmp_path: Path) -> None:
    path = write(tmp_path, "date,u,v,w\n2020-01-01,1,2,3\n2020-01-02,4,5,6\n")
    (series,) = data.load(path, kind="series").train.x
    assert (series.roles, series.name) == (Roles(("u", "v", "w"), time="date"), "")
    assert series.values.tolist() == [[1, 2, 3], [4, 5, 6]]
    (series,) = data.load(path, kind="series", target_columns="w", past_columns="all").train.x
    assert series.roles.columns == ("w", "u", "v")
    assert series.values.tolist() == [[3, 1, 2], [6, 4, 5]]


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_every_format_gives_the_same_series(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"table{suffix}"
    if suffix == ".parquet":
        pa = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        times = pa.array([np.datetime64("2020-01-01", "ms"), np.datetime64("2020-01-02", "ms")])
        parquet.write_table(pa.table({"ds": times, "y": [1.5, 2.5]}), path)
    elif suffix == ".jsonl":
        write(tmp_path, '{"ds": "2020-01-01", "y": 1.5}\n{"ds": "2020-01-02", "y": 2.5}\n', path.name)
    else:
        text = "ds,y\n2020-01-01,1.5\n2020-01-02,2.5\n"
        write(tmp_path, text.replace(",", "\t") if suffix == ".tsv" else text, path.name)
    (series,) = as_series(path)
    assert series.times.tolist() == days(1, 2).tolist()
    assert series.values.ravel().tolist() == [1.5, 2.5]


def test_frames_and_columns_by_name_give_the_same_series() -> None:
    pa = pytest.importorskip("pyarrow")
    columns = {"ds": ["2020-01-01", "2020-01-02"], "y": [1, 2]}
    for given in (columns, pa.table(columns), {name: np.array(column) for name, column in columns.items()}):
        (series,) = as_series(given)
        assert (series.times.tolist(), series.values.ravel().tolist()) == (days(1, 2).tolist(), [1.0, 2.0])


def test_frames_without_narwhals_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "narwhals", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'tidegate\[data\]'"):
        as_series(object())


def test_arrays_are_series_whose_steps_are_counted() -> None:
    one, two = as_series([np.arange(3), np.ones((4, 2))])
    assert (one.times.tolist(), one.roles.targets, one.name) == ([0, 1, 2], ("0",), "0")
    assert (two.values.shape, two.roles.targets, two.name) == ((4, 2), ("0", "1"), "1")
    with pytest.raises(ShapeError, match=r"X\[0\] is .*; wanted numbers \[T\] or \[T, C\]"):
        as_series([np.ones((2, 2, 2))])
    with pytest.raises(InputError, match="X is a set; wanted series, a path"):
        as_series({1, 2})


@pytest.mark.parametrize(
    ("choice", "error", "reason"),
    [
        ({"target_columns": "x"}, DataError, "has no column 'x'. Its columns are: 'unique_id', 'ds', 'y', 'rain'"),
        ({"time_column": "when"}, DataError, "has no column 'when'"),
        ({"target_columns": "y", "past_columns": "y"}, InputError, "'y' cannot be two things at once"),
        ({"future_columns": "y,rain"}, DataError, "has no column to forecast"),
        ({"targets": "y"}, InputError, "targets names a column that .* does not have; to choose are target_columns"),
        ({"repair": "sort,tidy"}, OptionError, "unknown repair 'tidy'"),
        ({"repair": "first,mean"}, InputError, "both 'first' and 'mean'"),
    ],
)
def test_choices_that_do_not_fit_are_refused(
    tmp_path: Path, choice: dict[str, Any], error: type[Exception], reason: str
) -> None:
    with pytest.raises(error, match=reason):
        data.load(write(tmp_path, LONG), kind="series", **choice)


def test_a_folder_and_unlabelled_series_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="series come in one file"):
        data.load(tmp_path, kind="series")
    with pytest.raises(InputError, match="no unlabelled part"):
        data.load(write(tmp_path, LONG), kind="series", unlabelled=True)


def test_a_value_that_is_no_number_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, "ds,y\n2020-01-01,1\n2020-01-02,much\n")
    with pytest.raises(DataError, match=r"table.csv, row 2 \(line 3\) has 'much' in the column 'y'"):
        as_series(path)


def test_a_split_holds_out_the_end_of_every_series(tmp_path: Path) -> None:
    rows = [f"{name},{day},{day}" for name, count in (("a", 10), ("b", 20)) for day in range(count)]
    dataset = data.load(write(tmp_path, "\n".join(["unique_id,ds,y", *rows])), kind="series", split=0.2)
    assert dataset.test is not None
    assert [(s.name, s.begin, len(s)) for s in dataset.train.x] == [("a", 0, 8), ("b", 0, 16)]
    assert [(s.name, s.begin, len(s)) for s in dataset.test.x] == [("a", 8, 10), ("b", 16, 20)]
    with pytest.raises(InputError, match="must lie between 0 and 1"):
        hold_out_last(list(dataset.train.x), 1.5)


# --- faults ------------------------------------------------------------------------------------------------------


def test_times_out_of_order_are_named_and_sorted_when_told() -> None:
    times, values = days(1, 3, 2), [1.0, 3.0, 2.0]
    with pytest.raises(DataError, match=r"rows\[2\]: 2020-01-02 comes after 2020-01-03 .*repair='sort'"):
        series_of(times, values)
    assert series_of(times, values, repair=["sort"]).values.ravel().tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(("how", "wanted"), [("first", 2.0), ("last", 4.0), ("mean", 3.0)])
def test_a_time_that_comes_twice_is_named_and_merged_when_told(how: str, wanted: float) -> None:
    times, values = days(1, 2, 2, 3), [1.0, 2.0, 4.0, 5.0]
    with pytest.raises(DataError, match=r"rows\[2\]: the series 'a' has the time 2020-01-02 twice"):
        series_of(times, values)
    assert series_of(times, values, repair=[how]).values.ravel().tolist() == [1.0, wanted, 5.0]


@pytest.mark.parametrize(("how", "wanted"), [("previous", [1, 1, 1, 7]), ("interpolate", [1, 3, 5, 7])])
def test_a_gap_is_named_and_filled_when_told(how: str, wanted: list[float]) -> None:
    times, values = np.concatenate([days(1, 4), days(5)]), [1.0, 7.0, 8.0]
    with pytest.raises(DataError, match="gap of 2 steps of 1 day between 2020-01-01 and 2020-01-04"):
        series_of(days(1, 4, 5, 6), [1.0, 7.0, 8.0, 9.0])
    filled = series_of(days(1, 4, 5, 6), [1.0, 7.0, 8.0, 9.0], repair=[how])
    assert filled.values.ravel().tolist() == [*wanted, 8.0, 9.0]
    assert filled.times.tolist() == days(1, 2, 3, 4, 5, 6).tolist()
    assert len(series_of(times[1:], values[1:])) == 2


def test_a_time_between_two_steps_cannot_be_repaired() -> None:
    times = np.array(["2020-01-01", "2020-01-02", "2020-01-02 12:00", "2020-01-03"], "datetime64[ms]")
    uneven = np.concatenate([times, days(4, 5, 6)])
    for repair in ([], ["interpolate"]):
        with pytest.raises(DataError, match="2020-01-02 12:00:00, which lies between two steps of 1 day"):
            series_of(uneven, [1.0] * 7, repair=repair)


@pytest.mark.parametrize(("how", "wanted"), [("previous", 1.0), ("interpolate", 2.0)])
def test_a_missing_value_is_named_and_filled_when_told(tmp_path: Path, how: str, wanted: float) -> None:
    path = write(tmp_path, "ds,y\n2020-01-01,1\n2020-01-02,\n2020-01-03,3\n")
    with pytest.raises(DataError, match=r"row 2 \(line 3\): the series has no 'y' at 2020-01-02"):
        as_series(path)
    assert as_series(path, repair=how)[0].values.ravel().tolist() == [1.0, wanted, 3.0]


def test_nothing_is_filled_from_nowhere() -> None:
    with pytest.raises(DataError, match="nothing before 2020-01-01 to fill"):
        series_of(days(1, 2), [np.nan, 1.0], repair=["previous"])


def test_filling_with_the_previous_value_does_not_look_ahead() -> None:
    times, values = days(1, 2, 3, 5, 6), [1.0, np.nan, 3.0, 5.0, 6.0]
    whole = series_of(times, values, repair=["previous"])
    for end in (2, 3, 4):
        part = series_of(times[:end], values[:end], repair=["previous"])
        assert part.values.tobytes() == whole.values[: len(part)].tobytes()


def test_an_infinite_value_is_named() -> None:
    with pytest.raises(DataError, match=r"rows\[1\], column 'y' is inf"):
        series_of(days(1, 2), [1.0, np.inf])


def test_rows_of_the_future_hold_what_is_known_of_it_alone() -> None:
    roles = Roles(("y",), future=("rain",))
    values = np.array([[1, 0.1], [2, 0.2], [np.nan, 0.3], [np.nan, 0.4]])
    series = make_series("a", days(1, 2, 3, 4), values, roles)
    assert (series.known, len(series), len(series.times)) == (2, 2, 4)
    with pytest.raises(DataError, match=r"rows\[1\]: the series 'a' has no 'y'"):
        make_series("a", days(1, 2, 3), np.array([[1, 0.1], [np.nan, 0.2], [3, 0.3]]), roles)


def test_a_series_without_rows_is_refused() -> None:
    with pytest.raises(DataError, match="the series 'a' has no rows"):
        series_of(days(), [])


def test_a_choice_goes_by_usual_names() -> None:
    assert Choice().roles(["Date", "OT", "HUFL"], "t") == Roles(("OT", "HUFL"), time="Date")
    assert Choice().roles(["unique_id", "ds", "y", "x"], "t") == Roles(("y",), time="ds", name="unique_id")
    assert Step(1, "index") == step_of(np.array([5]))
