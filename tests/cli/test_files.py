"""`tidegate predict FILE`: the same file again with an answer beside every row, in one step or not at all."""

from __future__ import annotations

import csv
import io
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tidegate as tg
from commands import Cli
from tidegate import durable

TINY: dict[str, Any] = {"hidden_size": 4, "epochs": 1, "batch_size": 4, "validation_fraction": 0}
TEXTS = ["refund my card", 'it "crashes",\r\nagain', "", "   ", "naïve 好 🏳️‍🌈"]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model of each task, by its name."""
    folder = tmp_path_factory.mktemp("models")
    tg.TextClassifier(**TINY).fit(["card refund", "app crash"] * 8, ["billing", "bug"] * 8).save(folder / "texts")
    rng = np.random.default_rng(0)
    steps = [rng.standard_normal((length, 2)) for length in range(3, 19)]
    tg.SequenceClassifier(**TINY).fit(steps, [len(x) % 2 for x in steps]).save(folder / "steps")
    names = [["Ada", "left", "Bern"], ["Eve", "Li", "slept"]] * 8
    tags = [["B-person", "O", "B-place"], ["B-person", "I-person", "O"]] * 8
    tg.TokenTagger(**TINY).fit(names, tags).save(folder / "names")
    tg.LanguageModel(**TINY).fit(["the sea is wide", "the sea is deep"] * 8).save(folder / "words")
    return folder


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def table(texts: list[str], *, header: str = "id,text,amount", end: str = "\r\n") -> str:
    """Write a CSV whose other columns hold what a careless writer would spell anew."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator=end)
    writer.writerow(header.split(","))
    writer.writerows([f"{number:03d}", text, f"{number}.50"] for number, text in enumerate(texts))
    return out.getvalue()


def answers(model: Any, texts: list[str]) -> list[tuple[str, np.float32]]:
    shares = model.predict_proba(texts)
    return list(zip(model.predict(texts).tolist(), shares.max(axis=1), strict=True))


def test_a_csv_file_is_written_again_with_an_answer_in_every_row(cli: Cli, models: Path, here: Path) -> None:
    Path("new.csv").write_text(table(TEXTS), encoding="utf-8", newline="")
    answer = cli("predict", models / "texts", "new.csv", "-o", "out.csv")
    assert (answer.code, answer.out) == (0, "")
    assert "the column 'text'" in answer.err
    assert "5 rows" in answer.err
    want = answers(tg.load(models / "texts"), TEXTS)
    with Path("out.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["id", "text", "amount", "predicted", "probability"]
    assert [row[:3] for row in rows] == [[f"{n:03d}", text, f"{n}.50"] for n, text in enumerate(TEXTS)]
    assert [(row[3], np.float32(row[4])) for row in rows] == want
    printed = cli("predict", models / "texts", "new.csv").out
    assert printed.encode() == Path("out.csv").read_bytes()
    assert {path.name for path in here.iterdir()} == {"new.csv", "out.csv", "stdin"}


FORMS = {
    "quotes": (
        b'a,text\n"0""1","x,y"\n\n2,"z"\n',
        ["x,y", "z"],
        b'a,text{h}\n"0""1","x,y"{0}\n\n2,"z"{1}\n',
    ),
    "one column": (b"text\nx\n\ny\n\n\n", ["x", "", "y"], b"text{h}\nx{0}\n{1}\ny{2}\n\n\n"),
    "no last line end": (b"text,a\r\nx,1", ["x"], b"text,a{h}\r\nx,1{0}\r\n"),
    "a byte order mark": (b"\xef\xbb\xbftext,a\nx,1\n", ["x"], b"\xef\xbb\xbftext,a{h}\nx,1{0}\n"),
    "a header alone": (b"text,a\n", [], b"text,a{h}\n"),
    "a column of answers": (b"text,predicted\nx,1\n", ["x"], b"text,predicted,predicted_2,probability\nx,1{0}\n"),
}


@pytest.mark.parametrize(("given", "texts", "want"), FORMS.values(), ids=FORMS.keys())
def test_what_stood_in_a_table_stays_letter_for_letter(
    cli: Cli, models: Path, here: Path, given: bytes, texts: list[str], want: bytes
) -> None:
    Path("new.csv").write_bytes(given)
    assert cli("predict", models / "texts", "new.csv", "-o", "out.csv").code == 0
    found = [f",{label},{share!s}" for label, share in answers(tg.load(models / "texts"), texts)]
    wanted = want.decode().replace("{h}", ",predicted,probability")
    for number, cells in enumerate(found):
        wanted = wanted.replace(f"{{{number}}}", cells)
    assert Path("out.csv").read_bytes().decode() == wanted


def test_semicolons_and_another_encoding_are_kept(cli: Cli, models: Path, here: Path) -> None:
    Path("new.csv").write_bytes("größe;text\n1,50;für\n".encode("cp1252"))
    refused = cli("predict", models / "texts", "new.csv")
    assert (refused.code, refused.out) == (2, "")
    assert "not UTF-8" in refused.err
    assert "--read encoding=" in refused.err
    assert cli("predict", models / "texts", "new.csv", "--read", "encoding=cp1252", "-o", "out.csv").code == 0
    header, row = Path("out.csv").read_bytes().decode("cp1252").splitlines()
    assert header == "größe;text;predicted;probability"
    assert row.startswith("1,50;für;b")


def test_quotes_are_letters_in_tsv(cli: Cli, models: Path, here: Path) -> None:
    Path("new.tsv").write_text('text\tid\n"open\t007\n15"\t008\n', encoding="utf-8")
    lines = cli("predict", models / "texts", "new.tsv").out.splitlines()
    want = answers(tg.load(models / "texts"), ['"open', '15"'])
    assert lines[0].split("\t") == ["text", "id", "predicted", "probability"]
    assert [line.split("\t")[1:3] for line in lines[1:]] == [["007", want[0][0]], ["008", want[1][0]]]
    assert [np.float32(line.split("\t")[3]) for line in lines[1:]] == [share for _, share in want]


def test_json_lines_keep_their_spelling(cli: Cli, models: Path, here: Path) -> None:
    given = ['{"text": "x", "n": 1.50}', "", ' {"n": 1e3,"text":null} ']
    Path("new.jsonl").write_text("\n".join(given) + "\n", encoding="utf-8")
    lines = cli("predict", models / "texts", "new.jsonl").out.splitlines()
    (label, share), (blank, _) = answers(tg.load(models / "texts"), ["x", ""])
    assert lines[0] == f'{{"text": "x", "n": 1.50, "predicted": "{label}", "probability": {share!s}}}'
    assert lines[1] == ""
    assert lines[2].startswith(' {"n": 1e3,"text":null, "predicted": ')
    assert json.loads(lines[2])["predicted"] == blank


def test_parquet_keeps_types_and_order(cli: Cli, models: Path, here: Path) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    texts = [["x", None, "y"][row % 3] for row in range(40_000)]
    kinds = {"n": arrow.int8(), "text": arrow.string(), "when": arrow.timestamp("us", "UTC")}
    given = arrow.table(
        {"n": [r % 100 for r in range(40_000)], "text": texts, "when": list(range(40_000))}, arrow.schema(kinds)
    )
    parquet.write_table(given, "new.parquet", row_group_size=700)
    assert cli("predict", models / "texts", "new.parquet", "-o", "out.parquet").code == 0
    found = parquet.read_table("out.parquet")
    assert found.select(["n", "text", "when"]).equals(given)
    want = answers(tg.load(models / "texts"), [text or "" for text in texts])
    assert found["predicted"].to_pylist() == [label for label, _ in want]
    assert found["probability"].to_numpy().astype(np.float32).tolist() == [share for _, share in want]
    parquet.write_table(given.slice(0, 0), "none.parquet")
    assert cli("predict", models / "texts", "none.parquet", "-o", "out0.parquet").code == 0
    assert parquet.read_table("out0.parquet").num_rows == 0


def test_a_large_table_is_answered_in_batches_as_it_is_at_once(cli: Cli, models: Path, here: Path) -> None:
    texts = [f"ticket {number % 97} {'refund' if number % 3 else 'crash'}" for number in range(5000)]
    Path("new.csv").write_text(table(texts, end="\n"), encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO(cli("predict", models / "texts", "new.csv").out)))
    want = answers(tg.load(models / "texts"), texts)
    assert [(row["predicted"], np.float32(row["probability"])) for row in rows] == want
    assert [row["text"] for row in rows] == texts


def test_every_task_answers_a_table_or_says_that_it_does_not(cli: Cli, models: Path, here: Path) -> None:
    Path("new.jsonl").write_text('{"text": "Ada left"}\n{"text": ""}\n', encoding="utf-8")
    first, second = map(json.loads, cli("predict", models / "names", "new.jsonl").out.splitlines())
    assert first["predicted"] == [vars(span) for span in tg.load(models / "names").predict_spans(["Ada left"])[0]]
    assert second["predicted"] == []
    model = tg.load(models / "words")
    first, second = map(json.loads, cli("predict", models / "words", "new.jsonl").out.splitlines())
    assert [first["predicted"], second["predicted"]] == model.predict(["Ada left", ""])
    assert first["perplexity"] == pytest.approx(model.measure(["Ada left"])["perplexity"])
    assert np.isfinite(second["perplexity"])
    Path("seq.csv").write_text('id,steps\n1,"[[1, 2], [3, 4]]"\n2,\n', encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO(cli("predict", models / "steps", "seq.csv").out)))
    steps = [np.array([[1.0, 2.0], [3.0, 4.0]]), np.zeros((0, 2))]
    assert [int(row["predicted"]) for row in rows] == tg.load(models / "steps").predict(steps).tolist()


COLUMNS = {
    "words alone": ("Ada\nleft\n\nBern\n", "Ada\t{0}\nleft\t{1}\n\nBern\t{2}\n"),
    "tabs": ("Ada\tX\r\nleft\tY\r\n \t\r\nBern\tX", "Ada\tX\t{0}\r\nleft\tY\t{1}\r\n \t\r\nBern\tX\t{2}\r\n"),
    "spaces": (
        "-DOCSTART- O\n\n# a note\nAda X\nleft  Y \n\nBern X\n",
        "-DOCSTART- O _ _\n\n# a note\nAda X {0}\nleft  Y {1}\n\nBern X {2}\n",
    ),
}


@pytest.mark.parametrize(("given", "want"), COLUMNS.values(), ids=COLUMNS.keys())
def test_a_column_file_gets_a_tag_and_its_probability_at_every_word(
    cli: Cli, models: Path, here: Path, given: str, want: str
) -> None:
    Path("new.conll").write_text(given.replace("# a note", "# a note of four"), encoding="utf-8", newline="")
    assert cli("predict", models / "names", "new.conll", "-o", "out.conll").code == 0
    sentences = tg.load(models / "names").predict_words([["Ada", "left"], ["Bern"]])
    wanted = want.replace("# a note", "# a note of four")
    sign = " " if "X {0}" in want else "\t"
    for number, word in enumerate(word for words in sentences for word in words):
        wanted = wanted.replace(f"{{{number}}}", f"{word.tag}{sign}{round(word.probability, 6)}")
    assert Path("out.conll").read_bytes().decode() == wanted


def test_conllu_stays_conllu(cli: Cli, models: Path, here: Path) -> None:
    rest = "\t_" * 7
    lines = ["# text = Ada left", f"1-2\tAdaleft{rest}\t_", f"1\tAda{rest}\tSpaceAfter=No", f"2\tleft{rest}\t_", "", ""]
    Path("new.conllu").write_text("\n".join(lines), encoding="utf-8")
    found = cli("predict", models / "names", "new.conllu").out.split("\n")
    [[ada, left]] = tg.load(models / "names").predict_words([["Ada", "left"]])
    assert found[:2] == lines[:2]
    assert found[2] == f"{lines[2]}|Predicted={ada.tag}|Probability={round(ada.probability, 6)}"
    assert found[3] == f"2\tleft{rest}\tPredicted={left.tag}|Probability={round(left.probability, 6)}"


# --- what is no file to answer ------------------------------------------------------------------------------------

REFUSED = {
    "a file that is not there": ("texts", ("gone.csv",), "there is no file gone.csv"),
    "a path that is not there": ("texts", ("data/new",), "there is no file data/new"),
    "a folder": ("texts", (".",), "is a folder"),
    "files and texts": ("texts", ("new.csv", "a text"), "'a text' is none"),
    "lines of text": ("texts", ("lines.txt",), "MODEL < lines.txt"),
    "lines of text for a tagger": ("names", ("lines.txt",), "does not look like a word on each line"),
    "over itself": ("texts", ("new.csv", "-o", "new.csv", "--overwrite"), "is the file that is read"),
    "over a link to itself": ("texts", ("new.csv", "-o", "link.csv", "--overwrite"), "is the file that is read"),
    "over another file": ("texts", ("new.csv", "-o", "lines.txt"), "add --overwrite"),
    "into another format": ("texts", ("new.csv", "-o", "out.jsonl"), "Write out.csv"),
    "into no folder": ("texts", ("new.csv", "-o", "gone/out.csv"), "there is no folder"),
    "two files as one": ("texts", ("new.csv", "two.csv"), "-o DIR"),
    "no such column": ("texts", ("new.csv", "--text", "body"), "Its columns are: 'id', 'text'"),
    "no clear column": ("texts", ("two.csv",), "--text COL"),
    "an option for files": ("texts", ("a text", "-o", "out.csv"), "-o is for files"),
    "JSON into a file": ("texts", ("new.csv", "-o", "out.csv", "--json"), "Leave --json"),
    "an unknown way to read": ("texts", ("new.csv", "--read", "repair=sort"), "only encoding and delimiter"),
}


@pytest.mark.parametrize(("model", "arguments", "fragment"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_meant_is_refused_before_anything_is_answered(
    cli: Cli, models: Path, here: Path, model: str, arguments: tuple[str, ...], fragment: str
) -> None:
    Path("new.csv").write_text("id,text\n1,x\n", encoding="utf-8")
    Path("two.csv").write_text("a,b,c\n1,x,y\n", encoding="utf-8")
    Path("lines.txt").write_text("a line of words\nand one more\n", encoding="utf-8")
    Path("link.csv").symlink_to("new.csv")
    answer = cli("predict", models / model, *arguments)
    assert (answer.code, answer.out) == (2, "")
    assert fragment in answer.err
    assert {path.name for path in here.iterdir()} == {"new.csv", "two.csv", "lines.txt", "link.csv", "stdin"}


def test_a_text_that_is_the_name_of_a_file_comes_through_a_pipe(cli: Cli, models: Path, here: Path) -> None:
    Path("good").write_text("", encoding="utf-8")
    assert "good is no table" in cli("predict", models / "texts", "good").err
    assert cli("predict", models / "texts", stdin=b"good\n").out.endswith("\tgood\n")
    assert cli("predict", models / "texts", "https://example.org/a").code == 0


def test_no_command_takes_the_name_of_a_file_for_a_text(cli: Cli, models: Path, here: Path) -> None:
    Path("new.csv").write_text("text\nx\n", encoding="utf-8")
    for arguments in (
        ("inspect", models / "texts", "new.csv"),
        ("generate", models / "words", "--prompt", "new.csv"),
        ("complete", models / "words", "new.csv"),
        ("inspect", models / "texts", "gone.csv"),
    ):
        answer = cli(*arguments)
        assert (answer.code, answer.out) == (2, "")
        assert "is the name of a file" in answer.err


def test_several_files_go_into_a_folder(cli: Cli, models: Path, here: Path) -> None:
    Path("a.csv").write_text("text\nx\n", encoding="utf-8")
    Path("b.tsv").write_text("text\ty\nx\t1\n", encoding="utf-8")
    assert cli("predict", models / "texts", "a.csv", "b.tsv", "-o", "answers").code == 0
    assert [path.read_text(encoding="utf-8").count("\n") for path in sorted(Path("answers").iterdir())] == [2, 2]


def test_a_bad_row_leaves_what_was_there(cli: Cli, models: Path, here: Path) -> None:
    Path("new.csv").write_text("text,n\n" + "x,1\n" * 3000 + "x\n", encoding="utf-8")
    Path("out.csv").write_text("old", encoding="utf-8")
    answer = cli("predict", models / "texts", "new.csv", "-o", "out.csv", "--overwrite")
    assert answer.code == 2
    assert "row 3001 (line 3002) has 1 fields" in answer.err
    assert Path("out.csv").read_text(encoding="utf-8") == "old"
    assert {path.name for path in here.iterdir()} == {"new.csv", "out.csv", "stdin"}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_a_kill_leaves_the_old_file_and_the_next_call_sweeps(
    models: Path, here: Path, number: signal.Signals, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("new.csv").write_text("text\n" + "a ticket of some words\n" * 400_000, encoding="utf-8")
    Path("out.csv").write_text("old", encoding="utf-8")
    line = [
        sys.executable,
        "-m",
        "tidegate",
        "predict",
        str(models / "texts"),
        "new.csv",
        "-o",
        "out.csv",
        "--overwrite",
    ]
    with subprocess.Popen(line, stderr=subprocess.DEVNULL) as process:
        while not (drafts := list(here.glob(".out.csv.*"))) or not drafts[0].stat().st_size:
            time.sleep(0.01)
            assert process.poll() is None
        process.send_signal(number)
        assert process.wait() == code
    assert Path("out.csv").read_text(encoding="utf-8") == "old"
    assert bool(list(here.glob(".out.csv.*"))) == (number == signal.SIGKILL)
    monkeypatch.setattr(durable, "_YOUNG", -1.0)
    durable.sweep_drafts("out.csv")
    assert list(here.glob(".out.csv.*")) == []


def test_drafts_that_are_being_written_are_not_swept(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durable, "_YOUNG", -1.0)
    with durable.atomic_file("out.csv") as file:
        durable.sweep_drafts("out.csv")
        file.write(b"new")
    assert Path("out.csv").read_bytes() == b"new"
