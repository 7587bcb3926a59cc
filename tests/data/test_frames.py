"""Frames, series and columns of pandas, polars and Arrow: what is understood, and what is refused by its name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tidegate as tg
from tidegate.data.frames import as_list
from tidegate.data.numbers import read_numbers
from tidegate.data.series import Roles, Series
from tidegate.data.series_tables import as_series
from tidegate.data.zones import Zone
from tidegate.errors import Argument, DataError, InputError, OptionError

pd: Any = pytest.importorskip("pandas")
pl: Any = pytest.importorskip("polars")
pa: Any = pytest.importorskip("pyarrow")

HOURS = pd.date_range("2024-03-30", periods=72, freq="h", name="timestamp")
LOAD = np.arange(72.0)


def one(X: Any, roles: Roles | None = None) -> Series:
    (found,) = as_series(X, roles)
    return found


# --- times in an index -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda: pd.DataFrame({"load": LOAD}, index=HOURS),
        lambda: pd.DataFrame({"load": LOAD}, index=HOURS.rename(None)),
        lambda: pd.DataFrame({"load": LOAD}, index=HOURS.rename("hour beginning")),
        lambda: pd.DataFrame({"load": LOAD}, index=HOURS.astype(str)),
        lambda: pd.DataFrame({"load": LOAD}, index=HOURS.to_period("h")),
        lambda: pd.Series(LOAD, index=HOURS, name="load"),
        lambda: pd.DataFrame({"load": LOAD}, index=HOURS).reset_index(),
        lambda: pl.DataFrame({"timestamp": HOURS.to_numpy(), "load": LOAD}),
        lambda: pa.table({"timestamp": HOURS.to_numpy(), "load": LOAD}),
    ],
)
def test_times_are_found_in_the_index_and_in_columns(make: Callable[[], Any]) -> None:
    found = one(make())
    assert (str(found.step), found.roles.targets, found.zone) == ("1 hour", ("load",), None)
    assert found.times.tolist() == HOURS.to_pydatetime().tolist()
    assert found.values.ravel().tolist() == LOAD.tolist()


FRAME = pd.DataFrame({"load": LOAD}, index=HOURS)


@pytest.mark.parametrize(
    ("frame", "says"),
    [
        (FRAME.sample(frac=1, random_state=0), "times must ascend"),
        (FRAME.drop(HOURS[20:30]), "gap of 10 steps of 1 hour between 2024-03-30 19:00:00 and 2024-03-31 06:00:00"),
        (pd.concat([FRAME, FRAME]).sort_index(), "has the time 2024-03-30 00:00:00 twice|2024-03-30 twice"),
        (FRAME.assign(date=HOURS), "has times in its index and in the column 'date'"),
        (FRAME.set_axis(pd.timedelta_range("0h", periods=72, freq="h")), "has durations in its index"),
        (pd.DataFrame(np.ones((2, 2)), columns=["a", "a"]), "X has two columns of one name"),
    ],
)
def test_what_is_doubtful_about_an_index_is_refused(frame: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        as_series(frame)


def test_levels_of_an_index_are_the_names_of_series_and_their_times() -> None:
    for names in (["unique_id", "ds"], [None, None], ["series", "timestamp"]):
        index = pd.MultiIndex.from_product([["b", "a"], HOURS[:3]], names=names)
        b, a = as_series(pd.DataFrame({"y": np.arange(6.0)}, index=index))
        assert ((a.name, a.values.ravel().tolist()), (b.name, len(b))) == (("a", [3.0, 4.0, 5.0]), ("b", 3))


def test_an_index_stands_for_the_column_of_times_that_was_trained_on() -> None:
    for name in ("timestamp", "when", None):
        assert one(FRAME.rename_axis(name), Roles(("load",), time="ds")).times[0] == np.datetime64("2024-03-30")


@pytest.mark.parametrize(
    ("frame", "step"),
    [
        (pd.Series(LOAD, index=pd.bdate_range("2024-01-01", periods=72)), "1 business day"),
        (pd.Series(LOAD, index=pd.period_range("2001-01", periods=72, freq="M")), "1 month"),
        (pd.Series(LOAD, index=pd.period_range("2001Q1", periods=72, freq="Q")), "3 months"),
        (pd.Series(LOAD, index=pd.date_range("2001-01-31", periods=72, freq="ME")), "1 month"),
        (pd.Series(LOAD, index=pd.date_range("2001-01-31", periods=72, freq="QE")), "3 months"),
        (pd.Series(LOAD, index=pd.date_range("1901-01-31", periods=72, freq="YE")), "12 months"),
        (pd.Series(LOAD, index=pd.date_range("2024-03-01", periods=72, freq="D", tz="Europe/Berlin")), "1 day"),
    ],
)
def test_steps_go_on_as_pandas_has_them(frame: Any, step: str) -> None:
    found = one(frame)
    assert str(found.step) == step
    stamps = frame.index.to_timestamp() if hasattr(frame.index, "to_timestamp") else frame.index
    stamps = stamps.tz_localize(None) if stamps.tz is not None else stamps
    assert found.step.after(found.times[9], 20).tolist() == stamps[10:30].to_pydatetime().tolist()


@pytest.mark.parametrize("place", ["Europe/Berlin", "UTC", "+05:30", "America/New_York"])
@pytest.mark.parametrize("kind", ["index", "pandas", "polars", "arrow", "objects"])
def test_a_zone_of_a_column_is_kept(place: str, kind: str) -> None:
    local = HOURS.tz_localize("UTC").tz_convert(place)
    if kind == "polars" and place.startswith("+"):
        pytest.skip("polars knows no offsets")
    makers: dict[str, Callable[[], Any]] = {
        "index": lambda: pd.DataFrame({"y": LOAD}, index=local),
        "pandas": lambda: pd.DataFrame({"ds": local, "y": LOAD}),
        "polars": lambda: pl.DataFrame({"ds": HOURS.to_numpy(), "y": LOAD}).with_columns(
            pl.col("ds").dt.replace_time_zone("UTC").dt.convert_time_zone(place)
        ),
        "arrow": lambda: pa.table({"ds": pa.array(local.to_pydatetime(), pa.timestamp("ms", tz=place)), "y": LOAD}),
        "objects": lambda: {"ds": local.to_pydatetime().tolist(), "y": LOAD},
    }
    found = one(makers[kind]())
    assert found.times.tolist() == HOURS.to_pydatetime().tolist()
    assert found.zone == Zone("Z" if place == "UTC" else place)
    written = [text.removesuffix("Z") + "+00:00" * text.endswith("Z") for text in found.zone.show(found.times)]
    assert written == [time.isoformat(sep=" ") for time in local.to_pydatetime()]


def test_series_and_columns_of_other_libraries_merely_count() -> None:
    for column in (pd.Series(LOAD), pl.Series(LOAD), pa.chunked_array([LOAD]), pd.DataFrame({"y": LOAD})):
        found = one(column)
        assert (found.roles.targets, found.times[-1], found.values.ravel().tolist()) == (("y",), 71, LOAD.tolist())
    assert one(pl.Series("load", LOAD)).roles.targets == ("load",)
    assert [s.name for s in as_series(array for array in (LOAD, LOAD))] == ["0", "1"]


@pytest.mark.parametrize("given", [{1.0, 2.0}, pl.LazyFrame({"y": LOAD}), None, 7, True])
def test_what_is_no_series_is_refused_by_its_name(given: Any) -> None:
    with pytest.raises(InputError, match=f"X is a {type(given).__name__}; wanted series, a path, a frame"):
        as_series(given)


# --- lists -------------------------------------------------------------------------------------------------------

TEXTS = ["good", "bad", "fine"]


@pytest.mark.parametrize(
    "make",
    [
        lambda: TEXTS,
        lambda: tuple(TEXTS),
        lambda: (text for text in TEXTS),
        lambda: map(str, TEXTS),
        lambda: dict.fromkeys(TEXTS).keys(),
        lambda: {"text": TEXTS},
        lambda: np.array(TEXTS),
        lambda: np.array(TEXTS, object),
        lambda: np.array(TEXTS)[:, None],
        lambda: pd.Series(TEXTS, index=[7, 7, 3]),
        lambda: pd.DataFrame({"text": TEXTS}, index=[7, 7, 3]),
        lambda: pd.Index(TEXTS),
        lambda: pl.Series(TEXTS),
        lambda: pl.DataFrame({"text": TEXTS}),
        lambda: pa.array(TEXTS),
        lambda: pa.chunked_array([TEXTS]),
        lambda: pa.table({"text": TEXTS}),
    ],
)
def test_a_column_of_any_kind_is_a_list(make: Callable[[], Any]) -> None:
    assert as_list(make(), "X", "texts") == TEXTS


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"a", "b"}, "X is a set, which has no order; wanted a list of texts"),
        (frozenset("ab"), "X is a frozenset, which has no order"),
        (pd.DataFrame({"id": [1], "text": ["a"]}), "X is a DataFrame with the columns 'id', 'text'.*Pass one column"),
        (pl.DataFrame({"id": [1], "text": ["a"]}), "X is a DataFrame with the columns 'id', 'text'"),
        (pa.table({"id": [1], "text": ["a"]}), "X is a Table with the columns 'id', 'text'"),
        ({"id": [1], "text": ["a"]}, "X is a dict with the columns 'id', 'text'"),
        ("text", "a single string came where a list of texts is wanted"),
        (b"text", "a single piece of bytes came where"),
        (7, "X is a int; wanted a list of texts"),
    ],
)
def test_what_is_no_list_is_refused_by_its_name(given: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        as_list(given, "X", "texts")


# --- numbers -----------------------------------------------------------------------------------------------------


def numbers(*column: object, decimal: str | None = None) -> list[float]:
    leave_out = Argument("target_columns")
    values, _ = read_numbers({"y": column}, where=lambda row: f"row {row}", decimal=decimal, leave_out=leave_out)
    read: list[float] = values[:, 0].tolist()
    return read


@pytest.mark.parametrize(
    ("column", "decimal", "meant"),
    [
        (["1,5", "-2", "3,25e2", ",5"], None, [1.5, -2.0, 325.0, 0.5]),
        (["1,500", "2,25"], None, [1.5, 2.25]),  # the second cannot be thousands
        (["1,500", "2,500"], ",", [1.5, 2.5]),
        (["1.500", "2.5"], None, [1.5, 2.5]),
        ([True, 2, 2.5, np.float32(0.5), " 7 "], None, [1.0, 2.0, 2.5, 0.5, 7.0]),
    ],
)
def test_numbers_are_read_with_the_decimal_sign_that_all_of_them_have(
    column: list[object], decimal: str | None, meant: list[float]
) -> None:
    assert numbers(*column, decimal=decimal) == meant


def test_what_stands_for_nothing_is_no_number() -> None:
    assert np.isnan(numbers(None, "", "NA", "n/a", "?", "NaN", "null", "-", pd.NA, pd.NaT)).all()


@pytest.mark.parametrize(
    ("column", "decimal", "says"),
    [
        (["1,500", "2,500"], None, r"row 0 has '1,500' in the column 'y', which is no number but two.*decimal=','"),
        (["1,5", "2.5"], None, r"row 0 has '1,5' .* but with a decimal comma. Pass decimal=','"),
        (["1.234,5", "2,5"], None, r"row 0 has '1.234,5' .* with its thousands parted"),
        (["1.234,5"], ",", "with its thousands parted"),
        (["1 234"], None, "with its thousands parted"),
        (["1'234.5"], None, "with its thousands parted"),
        (["1_000"], None, "'1_000' in the column 'y', which is no number. Mend it, or leave that column out: target_"),
        (["1,5"], ".", "with a decimal comma"),
        (["2024-01-31"], None, "has the time '2024-01-31' in the column 'y'.*time_column='y'"),
        ([object], None, "which is no number"),
    ],
)
def test_what_is_no_number_is_named_with_what_it_may_be(column: list[object], decimal: str | None, says: str) -> None:
    with pytest.raises(DataError, match=says):
        numbers(*column, decimal=decimal)
    with pytest.raises(OptionError, match="decimal=';' is neither"):
        numbers(1, decimal=";")


@pytest.mark.parametrize("value", [1e31, -1e300, np.inf, "1e999"])
def test_a_value_too_large_to_compute_with_is_named(value: object) -> None:
    with pytest.raises(DataError, match=r"X, row 1, column 'load' is .*; networks compute with numbers up to 1e\+30"):
        as_series({"load": [1.0, value, 2.0]})
    assert one({"load": [1.0, 1e30]}).values.max() == 1e30


# --- tasks -------------------------------------------------------------------------------------------------------

WORDS = ["good fun", "bad film"] * 20


def test_every_task_takes_columns_of_any_kind() -> None:
    labels = pd.Series([1, 0] * 20, index=range(40, 0, -1)).map({1: "pos", 0: "neg"})
    model = tg.TextClassifier(hidden_size=4, epochs=1, validation_fraction=0)
    model.fit(pd.DataFrame({"text": WORDS}, index=range(80, 120)), labels)
    want = model.predict_proba(WORDS[:2]).tobytes()
    for given in (pl.Series(WORDS[:2]), (text for text in WORDS[:2]), {"text": WORDS[:2]}, pa.array(WORDS[:2])):
        assert model.predict_proba(given).tobytes() == want
    for given in (pd.DataFrame({"id": [1], "text": ["a"]}), set(WORDS)):
        with pytest.raises(InputError, match=r"Pass one column|has no order"):
            model.predict(given)
        with pytest.raises(InputError, match=r"Pass one column|has no order"):
            tg.LanguageModel().fit(given)


def test_a_tagger_takes_sentences_of_any_kind() -> None:
    sentences, tags = [["Ada", "ran"], ["Bonn", "slept"]] * 10, [["B-X", "O"], ["B-X", "O"]] * 10
    model = tg.TokenTagger(hidden_size=4, epochs=1, validation_fraction=0)
    model.fit(pd.Series(sentences), (row for row in tags))
    want = model.predict(sentences[:2])
    for given in (pl.Series(sentences[:2]), pa.array(sentences[:2]), pd.DataFrame({"words": sentences[:2]})):
        assert model.predict(given) == want
    with pytest.raises(InputError, match=r"X\[0\] is a set, which has no order"):
        model.predict([{"Ada", "ran"}])


def test_a_classifier_of_sequences_takes_frames_and_refuses_what_it_cannot_compute_with() -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal((5, 2)) for _ in range(20)]
    model = tg.SequenceClassifier(hidden_size=4, epochs=1, validation_fraction=0).fit(arrays, ["a", "b"] * 10)
    want = model.predict_proba(arrays[:2]).tobytes()
    for make in (pd.DataFrame, lambda array: pl.DataFrame(array, schema=["u", "v"]), np.asarray):
        assert model.predict_proba(make(array) for array in arrays[:2]).tobytes() == want
    with pytest.raises(InputError, match="X is a DataFrame with the columns '0', '1'"):
        model.predict(pd.DataFrame(arrays[0]))
    with pytest.raises(DataError, match=r"X\[1\], step 2, feature 1 is 1e\+300; .*Rescale the feature"):
        model.predict([arrays[0], np.array([[0, 1], [0, 1], [0, 1e300]])])
