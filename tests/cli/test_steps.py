"""`tidegate predict FILE` for tables with a row per step: every row gets the answer of its recording, or its window."""

from __future__ import annotations

import csv
import io
import json
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tidegate as tg
from commands import Cli
from tidegate import runs

TINY: dict[str, Any] = {"hidden_size": 4, "epochs": 2, "batch_size": 4, "validation_fraction": 0}
LENGTHS = {"a": 7, "b": 3, "c": 1, "d": 12, "e": 4}


def recording(name: str) -> np.ndarray:
    """Make the steps of a recording [T, 2]; those with other names differ."""
    steps = np.random.default_rng(ord(name)).standard_normal((LENGTHS[name], 2))
    return steps.round(3).astype(np.float32)  # as tables are read


def rows_of(names: str) -> list[list[Any]]:
    return [[name, *step] for name in names for step in recording(name).tolist()]


def spell(rows: list[list[Any]], suffix: str, header: tuple[str, ...] = ("subject", "x", "y")) -> bytes:
    if suffix == ".jsonl":
        return "".join(json.dumps(dict(zip(header, row, strict=True))) + "\n" for row in rows).encode()
    if suffix == ".parquet":
        arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        out = io.BytesIO()
        parquet.write_table(arrow.Table.from_pylist([dict(zip(header, row, strict=True)) for row in rows]), out)
        return out.getvalue()
    sign = "\t" if suffix == ".tsv" else ","
    return "".join(sign.join(map(str, row)) + "\n" for row in [list(header), *rows]).encode()


def read(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        found: list[dict[str, Any]] = pytest.importorskip("pyarrow.parquet").read_table(path).to_pylist()
        return found
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".jsonl":
        return list(map(json.loads, text.splitlines()))
    return list(csv.DictReader(io.StringIO(text), delimiter="\t" if path.suffix == ".tsv" else ","))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model file, which knows no columns, and a run on windows of four steps, which does."""
    folder = tmp_path_factory.mktemp("models")
    X = [recording(name) for name in LENGTHS]
    tg.SequenceClassifier(**TINY).fit(X, [len(x) % 2 for x in X]).save(folder / "file")
    lines = [[*row, "long" if LENGTHS[str(row[0])] > 6 else "short", 0] for row in rows_of("abde")]
    lines = [[row[2], row[3], row[0], row[1], row[4]] for row in lines]
    header = ("y", "activity", "subject", "x", "note")
    (folder / "train.csv").write_bytes(spell(lines, ".csv", header))
    reading = {"kind": "sequence", "label": "activity", "window": "4", "features": "x,y"}
    runs.start(runs.Source(str(folder / "train.csv"), reading), out=folder / "run", params=TINY).run()
    return folder


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def answer(model: Any, sequences: list[np.ndarray]) -> list[tuple[str, np.float32]]:
    shares = model.predict_proba(sequences)
    return list(zip(map(str, model.predict(sequences).tolist()), shares.max(axis=1), strict=True))


def found_in(path: Path) -> list[tuple[str, np.float32]]:
    return [(str(row["predicted"]), np.float32(row["probability"])) for row in read(path)]


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_every_row_gets_the_answer_of_its_recording(cli: Cli, folder: Path, here: Path, suffix: str) -> None:
    given, out = Path(f"new{suffix}"), Path(f"out{suffix}")
    given.write_bytes(spell(rows_of("dacbe"), suffix))
    said = cli("predict", folder / "file", given, "-o", out)
    assert (said.code, said.out) == (0, "")
    assert "a row for each step, recordings told apart by 'subject'; features 'x', 'y'" in said.err
    assert "27 rows answered" in said.err
    model = tg.load(folder / "file")
    assert found_in(out) == [answer(model, [recording(name)])[0] for name in "dacbe" for _ in range(LENGTHS[name])]
    assert [[row[name] for name in ("subject", "x", "y")] for row in read(out)] == [
        [row[name] for name in ("subject", "x", "y")] for row in read(given)
    ]
    if suffix != ".parquet":
        old, new = (path.read_text(encoding="utf-8").splitlines() for path in (given, out))
        assert all(after.startswith(before.removesuffix("}")) for before, after in zip(old, new, strict=True))


def test_recordings_may_be_mixed_and_longer_than_what_is_read_at_once(cli: Cli, folder: Path, here: Path) -> None:
    steps = {name: np.random.default_rng(7).standard_normal((3000 + ord(name), 2)).round(2) for name in "pq"}
    mixed = [
        [name, *row]
        for pair in zip_longest(steps["p"].tolist(), steps["q"].tolist())
        for name, row in zip("pq", pair, strict=True)
        if row
    ]
    Path("new.csv").write_bytes(spell([*mixed, *rows_of("b")], ".csv"))
    assert cli("predict", folder / "file", "new.csv", "-o", "out.csv").code == 0
    model = tg.load(folder / "file")
    want = {name: answer(model, [one])[0] for name, one in [*steps.items(), ("b", recording("b"))]}
    assert found_in(Path("out.csv")) == [want[str(row[0])] for row in [*mixed, *rows_of("b")]]


def test_rows_are_written_as_soon_as_their_recordings_are_whole(folder: Path, here: Path) -> None:
    from tidegate.data.rows import open_rows

    recordings = 40
    lines = [[number, 0.5, number] for number in range(recordings) for _ in range(500)]
    Path("new.csv").write_bytes(spell(lines, ".csv"))
    layout = runs.Layout(("x", "y"), "subject")
    pieces = list(runs.answer_steps(tg.load(folder / "file"), lambda: open_rows(Path("new.csv")), layout))
    shares = [piece.share for piece in pieces]
    assert shares == sorted(shares)
    assert max(len(piece.data) for piece in pieces) < sum(len(piece.data) for piece in pieces) / 5


def test_every_row_gets_the_answer_of_the_window_that_it_lies_in(cli: Cli, folder: Path, here: Path) -> None:
    Path("new.csv").write_bytes(
        spell([[row[2], row[0], row[1]] for row in rows_of("abcde")], ".csv", ("y", "subject", "x"))
    )
    said = cli("predict", folder / "run", "new.csv", "-o", "out.csv")
    assert "recordings told apart by 'subject' in windows of 4 steps; features 'x', 'y'" in said.err
    model, want = tg.load(folder / "run"), []
    for name, cuts in {
        "a": [(0, 4, 4), (3, 7, 3)],  # the three rows of the rest: the window that ends with the recording
        "b": [(0, 3, 3)],
        "c": [(0, 1, 1)],
        "d": [(0, 4, 4), (4, 8, 4), (8, 12, 4)],
        "e": [(0, 4, 4)],
    }.items():
        for begin, end, count in cuts:
            want += answer(model, [recording(name)[begin:end]]) * count
    assert found_in(Path("out.csv")) == want


def test_without_a_group_the_file_is_one_recording_and_labels_are_no_features(
    cli: Cli, folder: Path, here: Path
) -> None:
    rows = [[step[0], "?", step[1]] for step in recording("d").tolist()]
    Path("new.csv").write_bytes(spell(rows, ".csv", ("x", "label", "y")))
    said = cli("predict", folder / "file", "new.csv", "-o", "out.csv")
    assert "one recording; features 'x', 'y'" in said.err
    assert found_in(Path("out.csv")) == answer(tg.load(folder / "file"), [recording("d")]) * 12
    said = cli("predict", folder / "file", "new.csv", "-o", "cut.csv", "--read", "window=6", "--read", "features=y, x")
    assert said.code == 0
    swapped = recording("d")[:, ::-1]
    assert found_in(Path("cut.csv")) == [
        one for one in answer(tg.load(folder / "file"), [swapped[:6], swapped[6:]]) for _ in range(6)
    ]


def test_a_column_of_sequences_is_told_from_a_column_of_steps_by_what_stands_there(
    cli: Cli, folder: Path, here: Path
) -> None:
    Path("new.csv").write_text('id,x\n1,\n2,"[[1, 2], [3, 4]]"\n', encoding="utf-8")
    assert "sequences from the column 'x'" in cli("predict", folder / "file", "new.csv", "-o", "out.csv").err
    want = answer(tg.load(folder / "file"), [np.zeros((0, 2)), np.array([[1.0, 2.0], [3.0, 4.0]])])
    assert found_in(Path("out.csv")) == want
    printed = cli("predict", folder / "file", "new.csv", "--json").out
    assert [str(json.loads(line)["label"]) for line in printed.splitlines()] == [label for label, _ in want]
    Path("new.jsonl").write_text('{"steps": [[1, 2]], "id": 1}\n{"steps": []}\n', encoding="utf-8")
    assert len(cli("predict", folder / "file", "new.jsonl", "--json").out.splitlines()) == 2


def test_a_header_alone_and_a_table_that_was_answered_once(cli: Cli, folder: Path, here: Path) -> None:
    Path("new.csv").write_text("subject,x,y\n", encoding="utf-8")
    assert cli("predict", folder / "file", "new.csv").out == "subject,x,y,predicted,probability\n"
    Path("new.csv").write_bytes(
        spell([[*row, "old"] for row in rows_of("b")], ".csv", ("subject", "x", "y", "predicted"))
    )
    header, *rows = cli("predict", folder / "run", "new.csv").out.splitlines()
    assert header == "subject,x,y,predicted,predicted_2,probability"
    assert len(rows) == 3


REFUSED = {
    "another number of features": (
        "s,x,y\n1,2,3\n",
        (),
        "has 3 columns for features, 's', 'x', 'y', but the model was trained on 2",
    ),
    "features that are not there": ("x,y\n1,2\n", ("--read", "features=x,z"), "has no column 'z'"),
    "a group that is not there": ("x,y\n1,2\n", ("--read", "group=who"), "has no column 'who'"),
    "a gap": ("id,x,y\n1,2,3\n1,,3\n", (), "row 2, column 'x' is ''; features must be finite numbers"),
    "a row without its group": ("id,x,y\n1,2,3\n,2,3\n", (), "row 2, column 'id',"),
    "a column twice": ("x,x\n1,2\n", (), "'x' must be one column"),
    "no window": ("x,y\n1,2\n", ("--read", "window=none"), "wanted a whole number of steps above zero"),
    "a stride": ("x,y\n1,2\n", ("--read", "stride=2"), "can be said"),
    "sequences and steps": ("x,y\n1,2\n", ("--text", "x", "--read", "window=2"), "Leave one out"),
    "JSON": ("x,y\n1,2\n", ("--json",), "Leave --json out"),
    "one of several columns of sequences": ('a,b\n"[[1, 2]]",3\n', (), "--text a"),
}


@pytest.mark.parametrize(("content", "options", "fragment"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_meant_is_refused_and_leaves_no_file(
    cli: Cli, folder: Path, here: Path, content: str, options: tuple[str, ...], fragment: str
) -> None:
    Path("new.csv").write_text(content, encoding="utf-8")
    out = () if "--json" in options else ("-o", "out.csv")
    said = cli("predict", folder / "file", "new.csv", *out, *options)
    assert (said.code, said.out) == (2, "")
    assert fragment in said.err
    assert not Path("out.csv").exists()
