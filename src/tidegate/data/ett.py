"""ETT: two years of seven readings of two electricity transformers, each hourly and every quarter of an hour.

Split by the months of the literature: 12 to learn from, 4 to tune on, 4 to measure on; a month is 30 days.
"""

from __future__ import annotations

from pathlib import Path

from tidegate.data.dataset import Dataset, Examples
from tidegate.data.series_tables import COLUMNS, choices, read_series
from tidegate.data.source import Source
from tidegate.errors import DataError, InputError, OptionError
from tidegate.fetch.files import fetch_remote, find_remote
from tidegate.fetch.progress import Progress
from tidegate.fetch.remote import Remote

_NAME = "ett"
_HOME = "https://raw.githubusercontent.com/zhouhaoyi/ETDataset/main/ETT-small"
_STEPS_OF_A_DAY = {"ETTh1": 24, "ETTh2": 24, "ETTm1": 96, "ETTm2": 96}
_MONTHS = (12, 4, 4)  # of 30 days each, as the published figures have it

REMOTES = {
    "ETTh1": Remote(
        f"{_HOME}/ETTh1.csv", 2_589_657, "f18de3ad269cef59bb07b5438d79bb3042d3be49bdeecf01c1cd6d29695ee066"
    ),
    "ETTh2": Remote(
        f"{_HOME}/ETTh2.csv", 2_417_960, "a3dc2c597b9218c7ce1cd55eb77b283fd459a1d09d753063f944967dd6b9218b"
    ),
    "ETTm1": Remote(
        f"{_HOME}/ETTm1.csv", 10_360_719, "6ce1759b1a18e3328421d5d75fadcb316c449fcd7cec32820c8dafda71986c9e"
    ),
    "ETTm2": Remote(
        f"{_HOME}/ETTm2.csv", 9_677_236, "db973ca252c6410a30d0469b13d696cf919648d0f3fd588c60f03fdbdbadd1fd"
    ),
}


def find(table: str = "ETTh1") -> Path | None:
    """Find the file of a table on this machine. One that a user put there is judged by its content."""
    return find_remote(_NAME, REMOTES[table])


def fetch(progress: Progress, table: str = "ETTh1") -> Path:
    """Return the file of a table, downloaded into the cache if it is not on this machine."""
    return fetch_remote(_NAME, REMOTES[table], progress)


def load(*, unlabelled: bool, progress: Progress, table: str = "ETTh1", **columns: str) -> Dataset:
    """Load one of the four tables: by default ETTh1, all seven columns as targets."""
    if unlabelled:
        raise InputError("ett has no unlabelled part.")
    if table not in REMOTES:
        raise OptionError.unknown("table of ett", table, REMOTES)
    file = fetch(progress, table)
    found = read_series(file, *choices(columns))
    (series,) = found.series
    month = 30 * _STEPS_OF_A_DAY[table]
    learn, tune, measure = (sum(_MONTHS[: count + 1]) * month for count in range(3))
    if len(series) < measure:
        raise DataError(f"{file} has {len(series):,} rows; the {sum(_MONTHS)} months of {table} are {measure:,}.")
    return Dataset(
        name=_NAME,
        kind="series",
        classes=(),
        train=Examples([series.cut(0, learn)], None),
        valid=Examples([series.cut(learn, tune)], None),
        test=Examples([series.cut(tune, measure)], None),
        licence=SOURCE.licence,
        citation=SOURCE.citation,
        taken=found.taken,
    )


SOURCE = Source(
    name=_NAME,
    title="Electricity Transformer Temperature: how do load and oil temperature go on?",
    kind="series",
    licence="CC BY-ND 4.0",
    citation=(
        "Haoyi Zhou, Shanghang Zhang, Jieqi Peng, Shuai Zhang, Jianxin Li, Hui Xiong and Wancai Zhang. Informer: "
        "Beyond Efficient Transformer for Long Sequence Time-Series Forecasting. AAAI 2021. arXiv:2012.07436"
    ),
    homepage="https://github.com/zhouhaoyi/ETDataset",
    find=find,
    fetch=fetch,
    load=load,
    columns=("table", *COLUMNS),
)
