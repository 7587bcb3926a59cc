"""Times as people write them: forms, zones, clocks that are changed, parts in several columns, days of business."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate import data
from tidegate.data.series import Series
from tidegate.data.series_tables import Choice, as_series
from tidegate.data.time_columns import join_parts, read_times
from tidegate.data.times import Step, show_times, step_of
from tidegate.data.zones import Zone, to_utc
from tidegate.errors import DataError, OptionError


def iso(*texts: str) -> list[Any]:
    times: list[Any] = np.array(texts, "datetime64[ms]").tolist()
    return times


def read(column: Any, **options: Any) -> list[Any]:
    times: list[Any] = read_times(column, where=lambda row: f"row {row}", **options).clock.tolist()
    return times


def series(times: list[Any], **choice: str) -> Series:
    (found,) = as_series({"ds": times, "y": np.arange(len(times))}, Choice(**choice))
    return found


def shown(found: Series) -> list[str]:
    return show_times(found.times, found.step, found.zone)


# --- forms -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2024-01-31", "2024-01-31"),
        ("2024/1/5", "2024-01-05"),
        ("2024-01-31T06:30:15.250", "2024-01-31T06:30:15.250"),
        ("2024-01-31 24:00", "2024-02-01"),
        ("2024-02", "2024-02-01"),
        ("31.1.2024", "2024-01-31"),
        ("05.01.2024 14:00", "2024-01-05T14:00"),  # dots part days from months in this order alone
        ("31/01/2024, 14:05", "2024-01-31T14:05"),
        ("1/31/2024 2:05 PM", "2024-01-31T14:05"),
        ("1/31/2024 12:05 am", "2024-01-31T00:05"),
        ("20240131", "2024-01-31"),
        ("20240131 0630", "2024-01-31T06:30"),
        ("20240131T063015", "2024-01-31T06:30:15"),
        ("2024013106", "2024-01-31T06:00"),
        (202401310630, "2024-01-31T06:30"),
        (202401, "2024-01-01"),
        (20240131.0, "2024-01-31"),
        ("2024Q3", "2024-07-01"),
        ("2024-W05", "2024-01-29"),
        (date(2024, 1, 31), "2024-01-31"),
        (datetime(2024, 1, 31, 6), "2024-01-31T06:00"),
        (np.datetime64("2024-01-31T06"), "2024-01-31T06:00"),
        (1706682600, "2024-01-31T06:30"),
        ("1706682600000", "2024-01-31T06:30"),
        (1706682600000000000, "2024-01-31T06:30"),
    ],
)
def test_a_time_is_read_as_it_is_meant(written: object, meant: str) -> None:
    assert read([written]) == iso(meant)


@pytest.mark.parametrize(
    ("written", "form", "meant"),
    [
        ("05/01/2024", "dayfirst", "2024-01-05"),
        ("05/01/2024", "monthfirst", "2024-05-01"),
        ("05/01/24 06:30", "%d/%m/%y %H:%M", "2024-01-05T06:30"),
        (20240131, "number", None),
        (45322.25, "excel", "2024-01-31T06:00"),
        (86400, "seconds", "1970-01-02"),
        (1000, "milliseconds", "1970-01-01T00:00:01"),
    ],
)
def test_a_form_that_is_named_holds(written: object, form: str, meant: str | None) -> None:
    assert read([written], form=form) == ([written] if meant is None else iso(meant))


def test_a_form_that_does_not_fit_is_refused() -> None:
    with pytest.raises(DataError, match=r"row 1 has the time '2024-01-06', which is not of the form '%d/%m/%Y'"):
        read(["05/01/2024", "2024-01-06"], form="%d/%m/%Y")
    with pytest.raises(OptionError, match=r"unknown time_format 'dayfrist'\. Did you mean 'dayfirst'"):
        read(["05/01/2024"], form="dayfrist")
    with pytest.raises(DataError, match="row 0 has the time 'noon'"):
        read(["noon"], form="seconds")
    with pytest.raises(DataError, match=r"row 1 has the time 45322\.25; wanted a whole.*time_format='excel'"):
        read([45322.0, 45322.25])


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (["01/02/2024", "13/02/2024"], "2024-02-01"),  # a thirteenth is a day
        (["01/02/2024", "01/13/2024"], "2024-01-02"),
        (["01/02/2024 23:00", "02/02/2024 00:00", "02/02/2024 01:00"], "2024-02-01T23:00"),  # even as days alone
        (["01/11/2024 23:00", "01/12/2024 00:00", "01/12/2024 01:00"], "2024-01-11T23:00"),
    ],
)
def test_whether_the_day_comes_first_is_told_by_all_rows(written: list[str], meant: str) -> None:
    assert read(written)[:1] == iso(meant)


def test_days_and_months_that_may_be_either_way_round_are_refused() -> None:
    with pytest.raises(
        DataError, match=r"row 0 has the time '01/02/2024', .*time_format='dayfirst' or time_format='mo"
    ):
        read(["01/02/2024", "02/02/2024"])
    with pytest.raises(DataError, match="row 1 has the time '01/13/2024', whose day comes second, but row 0 has"):
        read(["13/01/2024", "01/13/2024"])


@given(st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)).map(lambda time: time.replace(microsecond=0)))
def test_every_way_to_write_a_time_gives_the_same_time(time: datetime) -> None:
    forms = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y/%m/%d %H:%M:%S", "%d.%m.%Y %H:%M:%S", "%Y%m%d%H%M%S")
    texts = [time.strftime(form) for form in forms]
    assert [read([text])[0] for text in texts] == [time] * len(forms)
    assert read([time.strftime("%m/%d/%Y %I:%M:%S %p")], form="monthfirst") == [time]
    assert read([time.replace(tzinfo=UTC)]) == [time]


def test_what_merely_counts_stays_a_number() -> None:
    for numbers in ([0, 1], [7, 8], [999, 1000], [2023, 2024], [20241231, 20241232], [99999999, 100000000]):
        assert read(numbers) == numbers
        assert read([str(number) for number in numbers]) == numbers


# --- zones -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second", "zone"),
    [
        ("2024-01-01T00:00:00Z", "2024-01-01T01:00:00Z", "Z"),
        ("2024-01-01 00:00:00 UTC", "2024-01-01 01:00:00 UTC", "Z"),
        ("2024-01-01 05:30:00+05:30", "2024-01-01 06:30:00+05:30", "+05:30"),
        ("2023-12-31T16:00-08", "2023-12-31T17:00-08", "-08:00"),
        ("2023-12-31T16:00:00-0800", "2023-12-31T17:00:00-0800", "-08:00"),
        ("31.12.2023 16:00 -08:00", "31.12.2023 17:00 -08:00", "-08:00"),
    ],
)
def test_times_with_an_offset_are_utc_and_written_with_it_again(first: str, second: str, zone: str) -> None:
    found = series([first, second])
    assert found.times.tolist() == iso("2024-01-01T00:00", "2024-01-01T01:00")
    assert found.zone == Zone(zone)
    again = read_times(shown(found), where=str)
    assert again.offsets is not None
    assert (again.clock - again.offsets.astype("timedelta64[ms]")).tolist() == found.times.tolist()


def test_offsets_that_change_tell_the_hours_of_a_changed_clock_apart() -> None:
    times = ["2024-10-27T02:00+02:00", "2024-10-27T02:00+01:00", "2024-10-27T03:00+01:00"]
    found = series(times)
    assert found.times.tolist() == iso("2024-10-27T00:00", "2024-10-27T01:00", "2024-10-27T02:00")
    assert shown(found)[-1] == "2024-10-27 03:00:00+01:00"
    named = series(times, zone="Europe/Berlin")
    assert shown(named)[0] == "2024-10-27 02:00:00+02:00"


def test_a_row_without_the_zone_that_others_have_is_named() -> None:
    with pytest.raises(DataError, match="row 1 has the time '2024-01-01T01:00' without a zone"):
        read(["2024-01-01T00:00Z", "2024-01-01T01:00"])


@pytest.mark.parametrize("minutes", [15, 30, 60])
@pytest.mark.parametrize("place", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"])
@pytest.mark.parametrize("day", ["2024-03-09", "2024-03-30", "2024-04-06", "2024-10-05", "2024-10-26", "2024-11-02"])
def test_what_clocks_show_is_brought_to_utc_as_zoneinfo_has_it(place: str, day: str, minutes: int) -> None:
    begin = datetime.fromisoformat(day).replace(tzinfo=UTC)
    moments = [begin + timedelta(minutes=minutes * step) for step in range(48 * 60 // minutes)]
    local = [moment.astimezone(ZoneInfo(place)) for moment in moments]
    clock = [time.replace(tzinfo=None).isoformat(sep=" ") for time in local]
    got = to_utc(np.array(clock, "datetime64[ms]"), place, where=str)
    assert got.tolist() == [moment.replace(tzinfo=None) for moment in moments]
    assert Zone(place).show(got) == [time.isoformat(sep=" ") for time in local]
    found = series(clock, zone=place)
    assert (str(found.step), len(found)) == (str(Step(minutes * 60_000, "ms")), len(moments))


def test_an_hour_that_clocks_skip_or_show_twice_is_refused_where_the_rows_do_not_tell() -> None:
    with pytest.raises(DataError, match=r"row 1: clocks in Europe/Berlin never show 2024-03-31 02:30:00"):
        series(["2024-03-31 01:30", "2024-03-31 02:30"], zone="Europe/Berlin")
    alone = ["2024-10-27 01:00", "2024-10-27 02:00", "2024-10-27 03:00"]
    with pytest.raises(DataError, match=r"row 1: clocks in Europe/Berlin show 2024-10-27 02:00:00 twice.*02:00:00\+02"):
        series(alone, zone="Europe/Berlin")
    even = series(
        ["2024-10-26 22:00", "2024-10-27 00:00", "2024-10-27 02:00", "2024-10-27 03:00"], zone="Europe/Berlin"
    )
    assert shown(even)[2] == "2024-10-27 02:00:00+02:00"  # the next row is two hours later then, as all are
    with pytest.raises(OptionError, match="unknown zone 'Europe/Berln'"):
        series(alone, zone="Europe/Berln")


@pytest.mark.parametrize("times", [["00:00", "01:00", "02:00", "02:00", "03:00"], ["00:00", "01:00", "03:00", "04:00"]])
def test_a_night_of_changed_clocks_is_hinted_at(times: list[str]) -> None:
    day = "2024-10-27" if times.count("02:00") > 1 else "2024-03-31"
    with pytest.raises(DataError, match="Where clocks are changed that night, name the place: zone='Europe/Berlin'"):
        series([f"{day} {time}" for time in times])


def test_days_go_by_the_clock_also_where_one_has_23_hours() -> None:
    found = series(["2024-03-30", "2024-03-31", "2024-04-01"], zone="Europe/Berlin")
    assert (str(found.step), shown(found)[0]) == ("1 day", "2024-03-30 00:00:00+01:00")
    later = found.step.after(found.times[-1], 1)
    assert show_times(later, found.step, found.zone) == ["2024-04-02 00:00:00+02:00"]


def test_dates_of_python_bring_their_zone_along() -> None:
    begin = datetime(2024, 10, 26, 22, tzinfo=UTC)
    times = [(begin + timedelta(hours=hour)).astimezone(ZoneInfo("Europe/Berlin")) for hour in range(6)]
    assert series(times).zone == Zone("Europe/Berlin")
    fixed = [time.astimezone(timezone(timedelta(hours=-3, minutes=-30))) for time in times]
    assert shown(series(fixed))[0] == "2024-10-26 18:30:00-03:30"


# --- several columns ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "first", "step"),
    [
        ({"Date": ["16/12/2006", "16/12/2006"], "Time": ["17:24:00", "17:25:00"]}, "2006-12-16T17:24", "1 minute"),
        ({"date": ["2024-01-01", "2024-01-01"], "hour": ["23", "24"]}, "2024-01-01T23:00", "1 hour"),
        ({"date": [20240101, 20240101], "time": ["0900", "1000"]}, "2024-01-01T09:00", "1 hour"),
        ({"year": [2010, 2010], "month": [1, 1], "day": [2, 2], "hour": [0, 1]}, "2010-01-02", "1 hour"),
        ({"year": [2010, 2010], "month": [11, 12]}, "2010-11-01", "1 month"),
        ({"": ["2024-01-01", "2024-01-02"]}, "2024-01-01", "1 day"),  # what pandas writes of an index
        ({"Unnamed: 0": ["2024-01-01", "2024-01-02"]}, "2024-01-01", "1 day"),
    ],
)
def test_times_are_found_in_the_columns_where_people_put_them(
    columns: dict[str, Any], first: str, step: str, tmp_path: Path
) -> None:
    table = columns | {"load": [1.5, 2.5]}
    path = tmp_path / "a.csv"
    path.write_text("\n".join(",".join(map(str, row)) for row in [tuple(table), *zip(*table.values(), strict=True)]))
    for found in (as_series(table), list(data.load(path, kind="series").train.x)):
        assert (found[0].times[:1].tolist(), str(found[0].step)) == (iso(first), step)
        assert (found[0].roles.targets, found[0].values.ravel().tolist()) == (("load",), [1.5, 2.5])


def test_columns_of_parts_are_named_with_commas() -> None:
    table = {"tag": ["2024-01-01"] * 2, "uhr": ["00:00", "00:15"], "y": [1, 2]}
    (found,) = as_series(table, Choice(time_column="tag, uhr"))
    assert str(found.step) == "15 minutes"
    assert join_parts({"tag": ["2024-01-01"], "uhr": [7.0]}) == ["2024-01-01 7"]


def test_two_columns_that_both_hold_the_hour_are_refused() -> None:
    with pytest.raises(DataError, match="Its parts stand in 'date' and 'hour'; name one column, or others: time_colu"):
        as_series({"date": ["2024-01-01 00:00", "2024-01-01 01:00"], "hour": [0, 1], "y": [1, 2]})


def test_row_numbers_that_were_written_are_no_target() -> None:
    (found,) = as_series({"Unnamed: 0": [0, 1], "date": ["2024-01-01", "2024-01-02"], "load": [1, 2]})
    assert found.roles.targets == ("load",)


def test_a_file_without_a_header_is_refused(tmp_path: Path) -> None:
    for begin in ("2024-01-01,5", "1.5,2.5", "31.01.2024 00:00,5"):
        (tmp_path / "a.csv").write_text(f"{begin}\n2024-01-02,6\n")
        with pytest.raises(DataError, match="which is a value and no name of a column"):
            data.load(tmp_path / "a.csv", kind="series")


# --- steps -------------------------------------------------------------------------------------------------------


def test_business_days_have_no_gaps_at_weekends_and_go_on_on_monday() -> None:
    week = iso("2024-01-03", "2024-01-04", "2024-01-05", "2024-01-08", "2024-01-09")
    found = series(week)
    assert (str(found.step), found.step.season, found.known) == ("1 business day", 5, 5)
    after = found.step.after(np.datetime64("2024-01-11", "ms"), 3)
    assert after.tolist() == iso("2024-01-12", "2024-01-15", "2024-01-16")
    evening = series([time.replace(hour=17) for time in week])
    assert str(evening.step) == "1 business day"
    assert evening.step.after(evening.times[-1], 4)[-1].item() == datetime(2024, 1, 15, 17)


def test_a_holiday_is_a_gap_of_business_days_and_filled_when_told() -> None:
    week = iso("2024-01-03", "2024-01-04", "2024-01-05", "2024-01-09", "2024-01-10", "2024-01-11", "2024-01-12")
    with pytest.raises(DataError, match="gap of 1 step of 1 business day between 2024-01-05 and 2024-01-09"):
        series(week)
    (filled,) = as_series({"ds": week, "y": np.arange(7)}, repair="previous")
    assert filled.times[3].item() == datetime(2024, 1, 8)
    assert filled.values[:5, 0].tolist() == [0, 1, 2, 2, 3]


def test_days_with_a_saturday_among_them_are_plain_days() -> None:
    times = np.array(["2024-01-05", "2024-01-06", "2024-01-07", "2024-01-10"], "datetime64[ms]")
    assert step_of(times) == Step(86_400_000, "ms")


@pytest.mark.parametrize(
    ("step", "times", "written"),
    [
        (Step(3_600_000, "ms"), ["2024-01-11"], ["2024-01-11 00:00:00"]),
        (Step(86_400_000, "ms"), ["2024-01-11"], ["2024-01-11"]),
        (Step(1, "month"), ["2024-01-31T06:00"], ["2024-01-31 06:00:00"]),
        (Step(500, "ms"), ["2024-01-11"], ["2024-01-11 00:00:00.000"]),
        (None, ["2024-01-10T23:00", "2024-01-11"], ["2024-01-10 23:00:00", "2024-01-11 00:00:00"]),
    ],
)
def test_all_times_of_a_series_have_one_form(step: Step | None, times: list[str], written: list[str]) -> None:
    assert show_times(np.array(times, "datetime64[ms]"), step) == written


# --- what a file says ---------------------------------------------------------------------------------------------


def test_columns_and_forms_that_were_taken_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("Zeit;Last;Temperatur\n" + "".join(f"{day}.01.2024;{day},5;{day}\n" for day in range(1, 20)))
    dataset = data.load(path, kind="series", time_column="Zeit", split=0.2)
    said = "time: Zeit, targets: Last, Temperatur, times: day before month, decimals: commas"
    assert dataset.summary() == f"{said}; 1 series, 19 rows, 1 day apart"
    with pytest.raises(
        DataError, match=r"row 1 \(line 2\) has the time '1.01.2024' in the column 'Zeit'.*time_column='Z"
    ):
        data.load(path, kind="series")
