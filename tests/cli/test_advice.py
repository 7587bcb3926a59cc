"""What the command line says of data: what was taken for what, and advice in its own words, not in those of Python."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tidegate import data
from tidegate.cli import main
from tidegate.cli.options import spell_option
from tidegate.data.kinds import Kind
from tidegate.errors import Argument, DataError, TidegateError

HOURS = [f"2024-01-{1 + hour // 24:02d} {hour % 24:02d}:00:00" for hour in range(72)]
NAMES = "repair|text|label|window|features|kind|zone|encoding|time_format|validation_fraction"
PYTHON = re.compile(rf"(?<!--read )(?<!--set )\b({NAMES})=['.\d]")


def table(header: str, *rows: str) -> str:
    return "\n".join([header, *rows]) + "\n"


WRONG = {
    "a gap": (
        "load.csv",
        table("ds,y", *(f"{h},1" for h in HOURS if h != HOURS[9])),
        "forecast",
        "--read repair=previous",
    ),
    "twice": ("load.csv", table("ds,y", *(f"{h},1" for h in [HOURS[0], *HOURS])), "forecast", "--read repair=first"),
    "order": ("load.csv", table("ds,y", *(f"{h},1" for h in HOURS[::-1])), "forecast", "--read repair=sort"),
    "no value": ("load.csv", table("ds,y", *(f"{h}," for h in HOURS)), "forecast", "--read repair=interpolate"),
    "two ways": ("load.csv", table("ds,y", "1/2/2024,1", "2/2/2024,2"), "forecast", "--read time_format=dayfirst"),
    "comma": ("load.csv", table("ds;y", "2024;1,500", "2025;2,500"), "forecast", "--read decimal=,"),
    "a word": ("load.csv", table("ds,a,z", "2024,1,much"), "forecast", "--target-columns A,B"),
    "no text": ("odd.csv", table("a,b,c", "x,y,z"), None, "--text COL"),
    "no label": ("odd.csv", table("text,b,c", "x,y,z"), None, "--label COL"),
    "series": ("meter.csv", table("timestamp,kwh,temperature", *(f"{h},1,5" for h in HOURS)), None, "--task forecast"),
    "two columns": ("meter.csv", table("when,kwh", *(f"{h},1" for h in HOURS)), None, "--task forecast"),
    "other times": ("meter.csv", table("Zeit;Last", "13.02.2024;1,5", "14.02.2024;2,5"), None, "--task forecast"),
    "rows": ("walk.csv", table("id,x,y,activity", "a,1,2,up", "a,2,3,up"), None, "--task signals"),
    "documents": ("corpus.csv", table("words", "one", "two"), None, "--task language"),
    "change": ("walk.csv", table("id,x,label", "a,1,up", "a,2,down"), "signals", "--read window=..."),
    "bytes": ("a.csv", "text,label\ncafé,x\n".encode("latin-1"), None, "--read encoding=latin-1"),
    "utf-16": ("a.csv", "text,label\ncafé,x\n".encode("utf-16"), None, "--read encoding=utf-16"),
    "one class": ("a.csv", table("text,label", "one,x", "two,x"), None, "all 2 labels are 'x'"),
}


@pytest.mark.parametrize(("name", "content", "task", "says"), WRONG.values(), ids=WRONG.keys())
def test_advice_names_the_file_and_options_of_the_command_line(
    name: str, content: str | bytes, task: str | None, says: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    chosen = ["--task", task] if task else []
    assert main(["train", str(file), *chosen, "--epochs", "1", "--out", str(tmp_path / "run")]) == 2
    said = capfd.readouterr().err
    assert says in said
    assert name in said
    assert not PYTHON.search(said), said


def test_the_same_advice_names_arguments_in_python(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(table("timestamp,kwh", *(f"{h},1" for h in HOURS)))
    with pytest.raises(
        DataError, match=r"Name it: text=\.\.\.; these look like times and numbers.*pass kind='series'\."
    ):
        data.load(tmp_path / "a.csv")


def test_a_folder_of_column_files_hints_at_tagging(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "train.txt").write_text("Ada B-PER\nran O\n\nTo O\nBonn B-LOC\n")
    assert main(["train", str(tmp_path)]) == 2
    assert "--task tag" in capfd.readouterr().err
    (tmp_path / "train.txt").write_text("Once upon a time, there was a corpus.\n")
    assert main(["train", str(tmp_path)]) == 2
    said = capfd.readouterr().err
    assert "--task language" in said and "--task tag" not in said


def test_an_option_of_another_task_hints_at_it(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.csv").write_text("ds,y\n1,2\n")
    assert main(["train", str(tmp_path / "a.csv"), "--target-columns", "y"]) == 2
    assert "--task forecast" in capfd.readouterr().err


def test_arguments_are_spelled_for_whoever_asks() -> None:
    error = TidegateError("pass ", Argument("repair", "sort"), " or ", Argument("dropout", 0.5), ".")
    assert str(error) == "pass repair='sort' or dropout=0.5."
    assert error.spelled(spell_option) == "pass --read repair=sort or --set dropout=0.5."
    assert spell_option(Argument("time_format", "%d %H")) == "--read 'time_format=%d %H'"
    assert str(error.about("a.csv").about("a.csv")) == "a.csv: pass repair='sort' or dropout=0.5."
    assert str(TidegateError("a plain text")) == "a plain text"


TICKETS = table(
    "id,subject,body,category", *(f"{i},T,{'card refund' if i % 2 else 'app crash'},{i % 2}" for i in range(40))
)
SAID = "text: body, label: category; 40 examples, 2 classes"


@pytest.fixture
def tickets(tmp_path: Path) -> Path:
    (tmp_path / "t.csv").write_text(TICKETS)
    return tmp_path / "t.csv"


def test_commands_tell_on_stderr_what_was_taken(tickets: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out = tickets.parent / "run"
    small = ["--hidden-size", "4", "--epochs", "1"]
    assert main(["train", str(tickets), *small, "--split", "0.25", "--out", str(out), "--json"]) == 0
    spoken, said = capfd.readouterr()
    assert json.loads(spoken)["epochs"] == 1
    assert "text: body, label: category; 30 + 10 examples, 2 classes" in said.splitlines()
    assert main(["evaluate", str(out), str(tickets), "--json"]) == 0
    spoken, said = capfd.readouterr()
    assert json.loads(spoken)["examples"]
    assert "text: body, label: category; " in said
    page = ["--out", str(tickets.parent / "page.html"), "--json"]
    assert main(["inspect", str(out), "--data", str(tickets), "--row", "0", *page]) == 0
    assert SAID in capfd.readouterr().err


@pytest.mark.parametrize(
    ("kind", "name", "content", "summary"),
    [
        ("text", "t.csv", TICKETS, SAID),
        (
            "series",
            "s.csv",
            table("ds,y", "2024-01-01,1", "2024-01-02,2"),
            "time: ds, targets: y; 1 series, 2 rows, 1 day",
        ),
        (
            "series",
            "s.csv",
            table("unique_id,ds,y,z", "a,20240101,1,2", "b,20240101,1,2"),
            "time: ds, series: unique_id, targets: y, times: YYYYMMDD; 2 series, 2 rows",
        ),
        (
            "sequence",
            "w.csv",
            table("id,x,y,label", "a,1,2,up", "b,1,2,down"),
            "group: id, label: label, features: x,y; 2 examples, 2 classes",
        ),
        ("tagged", "n.txt", "Ada B-PER\nran O\n\nBonn B-LOC\n", "column: 2; 2 sentences, 3 words, 3 tags"),
        ("corpus", "c.txt", "one text", "1 documents"),
    ],
)
def test_a_data_set_sums_itself_up(kind: Kind, name: str, content: str, summary: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    assert summary in data.load(tmp_path / name, kind=kind).summary()
