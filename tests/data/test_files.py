"""Files and folders of the user: what is read, and that bad ones are refused with the row named."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate import data
from tidegate.errors import DataError, InputError, MissingPackageError, OptionError
from tidegate.fetch.progress import silent

TWO = (["good film", "bad film"], ["pos", "neg"])


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def write_parquet(path: Path, **columns: Sequence[object]) -> Path:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pyarrow.table(columns), path)
    return path


def rows(path: Path, **arguments: str) -> tuple[object, object]:
    train = data.load(path, progress=silent, **arguments).train  # type: ignore[arg-type]
    return train.x, train.y


def test_whole_numbers_that_a_file_stores_as_floats_are_spelled_as_numbers(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", '{"text": "a", "label": 1.0}\n{"text": "b", "label": 0}\n')
    assert rows(path) == (["a", "b"], ["1", "0"])
    write_parquet(tmp_path / "a.parquet", text=["a", "b"], label=[1.0, 0.0])
    assert rows(tmp_path / "a.parquet") == (["a", "b"], ["1", "0"])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "text,label\ngood film,pos\nbad film,neg\n"),
        ("a.CSV", "label,text\r\npos,good film\r\n\r\nneg,bad film"),
        ("a.csv", "\ufefftext,label,id\ngood film, pos ,1\nbad film,neg,2\n"),
        ("a.csv", "text;label\ngood film;pos\nbad film;neg\n"),
        ("a.tsv", "label\ttext\npos\tgood film\nneg\tbad film\n"),
        ("a.jsonl", '{"text": "good film", "label": "pos"}\n\n{"label": "neg", "text": "bad film", "x": 1}'),
        ("a.ndjson", '{"text": "good film", "label": "pos"}\r\n{"text": "bad film", "label": "neg"}\r\n'),
    ],
)
def test_text_and_label_are_read(name: str, content: str, tmp_path: Path) -> None:
    assert rows(write(tmp_path / name, content)) == TWO


def test_parquet_is_read(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", text=TWO[0], label=[1, 0], other=[None, None])
    assert rows(path) == (TWO[0], ["1", "0"])


def test_a_file_is_a_text_data_set_with_sorted_classes(tmp_path: Path) -> None:
    dataset = data.load(str(write(tmp_path / "films.csv", "text,label\na,pos\nb,neg\nc,pos\n")))
    assert (dataset.name, dataset.kind, dataset.classes) == ("films.csv", "text", ("neg", "pos"))
    assert (dataset.valid, dataset.test, dataset.unlabelled) == (None, None, None)


def test_quoted_fields_may_hold_delimiters_quotes_and_lines(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", 'text,label\n"He said ""no"",\nand left",neg\nx\u2028y\x85z,pos\n')
    assert rows(path) == (['He said "no",\nand left', "x\u2028y\x85z"], ["neg", "pos"])


def test_tab_separated_fields_may_hold_bare_quotes(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", 'text\tlabel\n"Great" they said\tpos\n5" long\tneg\nan open " quote\tneg\n')
    assert rows(path) == (['"Great" they said', '5" long', 'an open " quote'], ["pos", "neg", "neg"])


def test_quoted_tab_separated_fields_are_unquoted(tmp_path: Path) -> None:
    assert rows(write(tmp_path / "a.tsv", 'text\tlabel\n"a ""b""\tc"\tpos\nd\tneg\n'))[0] == ['a "b"\tc', "d"]


def test_a_text_may_be_longer_than_the_csv_module_likes(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    text = "word " * 100_000
    assert rows(write(tmp_path / "a.csv", f"text,label\n{text},pos\nb,neg\n"))[0] == [text, "b"]
    assert csv.field_size_limit() == before


labels = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1).map(str.strip).filter(bool)
texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00")).filter(lambda text: bool(text.strip()))


@given(pairs=st.lists(st.tuples(texts, labels), min_size=1, max_size=6), kind=st.sampled_from(["csv", "jsonl"]))
def test_whatever_is_written_is_read_back(
    pairs: list[tuple[str, str]], kind: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("law") / f"a.{kind}"
    with path.open("w", encoding="utf-8", newline="") as file:
        if kind == "csv":
            csv.writer(file, quoting=csv.QUOTE_ALL).writerows([("text", "label"), *pairs])
        else:
            file.writelines(json.dumps({"text": text, "label": label}) + "\n" for text, label in pairs)
    assert rows(path) == ([text for text, _ in pairs], [label for _, label in pairs])


@pytest.mark.parametrize(
    ("header", "arguments", "chosen"),
    [
        ("id,Review,Sentiment", {}, ("Review", "Sentiment")),
        ("body,text,class,label", {}, ("text", "label")),
        ("text,body,label,class", {}, ("text", "label")),
        ("opinion,label", {}, ("opinion", "label")),
        ("text,stance", {}, ("text", "stance")),
        ("a,b,c", {"text": "c", "label": "a"}, ("c", "a")),
        ("a,b", {"text": "b"}, ("b", "a")),
        ("text,label,b", {"label": "text", "text": "b"}, ("b", "text")),
    ],
)
def test_columns_are_found_by_name(
    header: str, arguments: dict[str, str], chosen: tuple[str, str], tmp_path: Path
) -> None:
    names = header.split(",")
    path = write(tmp_path / "a.csv", f"{header}\n{','.join(f'{n}-1' for n in names)}\n")
    assert rows(path, **arguments) == ([f"{chosen[0]}-1"], [f"{chosen[1]}-1"])


@pytest.mark.parametrize(
    ("label", "expected"), [("7", "7"), ("true", "true"), ("false", "false"), ('" a "', "a"), ("-1", "-1")]
)
def test_labels_become_strings(label: str, expected: str, tmp_path: Path) -> None:
    assert rows(write(tmp_path / "a.jsonl", f'{{"text": "x", "label": {label}}}'))[1] == [expected]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.csv", "", "a.csv is empty"),
        ("a.jsonl", " \n\n", "a.jsonl is empty"),
        ("a.csv", "\n\n", "a.csv is empty"),
        ("a.csv", "text,label\n", "has no rows"),
        ("a.csv", "a,b,c\n1,2,3", "no column that is clearly the text. Its columns are: 'a', 'b', 'c'"),
        ("a.csv", "text,b,c\n1,2,3", "no column that is clearly the label.*Name it: label="),
        ("a.csv", "text,label,label\n1,2,3", "2 columns named 'label'"),
        ("a.csv", "text,label\na,pos\nb\n", r"row 2 \(line 3\) has 1 fields, the header 2"),
        ("a.csv", "text,label\na,pos\nb, c,neg\n", r"row 2 \(line 3\) has 3 fields"),
        ("a.csv", 'text,label\n"a,pos\n', r"line 2: a quote that opens there is never closed"),
        ("a.csv", "text,label\na,pos\n ,neg\n,neg\n", r"row 2 \(line 3\) has an empty text \(and 1 more\)"),
        ("a.csv", "text,label\na,pos\nb,\n", r"row 2 \(line 3\) has no label\."),
        ("a.csv", b"text,label\na,pos\n\ncaf\xe9,neg\n", r"row 2, byte 21 \(0xe9\) is not UTF-8"),
        ("a.csv", b"text,label\n\xff,pos\n", r"row 1, byte 11 \(0xff\)"),
        ("a.csv", b'text,label\n"a\n\xff",pos\n', r"row 1, byte 14"),
        ("a.csv", b"\xef\xbb\xbftext,label\n\xff,pos\n", r"row 1, byte 14 \(0xff\)"),
        ("a.csv", b"te\xffxt,label\n", r"header, byte 2 \(0xff\)"),
        ("a.csv", "text,label\na,pos\n".encode("utf-16"), r"header, byte 0 \(0xff\) is not UTF-8"),
        ("a.tsv", b"text\tlabel\na\tpos\nb\xc3\tneg\n", r"row 2, byte 18 \(0xc3\)"),
        ("a.tsv", "text\tlabel\na\tpos\nb\n", r"row 2 \(line 3\) has 1 fields"),
        ("a.jsonl", b'{"text": "a", "label": 1}\n\n{"text": "\xe9"}', r"row 2, byte 37 \(0xe9\)"),
        ("a.jsonl", '{"text": "a", "label": 1}\n{"text": }', r"row 2 \(line 2\) is not JSON"),
        ("a.jsonl", "[" * 100_000, r"row 1 \(line 1\) is not JSON"),
        ("a.jsonl", '{"text": "a", "label": ' + "1" * 5000 + "}", r"row 1 \(line 1\) is not JSON"),
        ("a.jsonl", '["a", 1]', "is no JSON object but a list"),
        ("a.jsonl", '{"text": "a", "label": 1}\n{"text": "b"}', r"row 2 \(line 2\) has no field 'label'"),
        ("a.jsonl", '{"text": "a", "label": null}', "has no label"),
        ("a.jsonl", '{"text": "a", "label": NaN}', "has no label"),
        ("a.jsonl", '{"text": "a", "label": 1.5}', "has the label 1.5, a float; labels are strings or integers"),
        ("a.jsonl", '{"text": "a", "label": {"x": 1}}', "a dict; labels are"),
        ("a.jsonl", '{"text": "a", "label": [["x"]]}', "a list; labels are"),
        ("a.jsonl", '{"text": null, "label": 1}', "is missing, not a text"),
        ("a.jsonl", '{"text": 5, "label": 1}', "is int 5, not a text"),
        ("a.jsonl", '{"text": "\\ud800", "label": 1}', "half of a surrogate pair"),
        ("a.parquet", "PAR1 but no more", "damaged or no Parquet"),
    ],
)
def test_bad_content_is_refused_with_its_place(name: str, content: str | bytes, says: str, tmp_path: Path) -> None:
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    path = write(tmp_path / name, content)
    with pytest.raises(DataError, match=says) as caught:
        data.load(path)
    assert str(path) in str(caught.value)


def test_a_column_that_is_missing_is_named_with_those_there_are(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "text,label\na,pos\n")
    with pytest.raises(DataError, match=r"no column 'sentence'\. Its columns are: 'text', 'label'"):
        data.load(path, text="sentence")
    with pytest.raises(InputError, match="text and label are both 'label'"):
        data.load(path, text="label", label="label")


def test_missing_values_in_parquet_are_refused(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", text=["a", None], label=["x", "y"])
    with pytest.raises(DataError, match="row 2 is missing, not a text"):
        data.load(path)


def test_parquet_without_pyarrow_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'tidegate\[data\]'"):
        data.load(write(tmp_path / "a.parquet", "PAR1"))


def test_an_unknown_kind_of_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"unknown kind of file '\.jsom'. Did you mean '\.jsonl'"):
        data.load(write(tmp_path / "a.jsom", "{}"))


def test_what_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no file or folder .*gone\.csv"):
        data.load(tmp_path / "gone.csv")
    with pytest.raises(OptionError, match=r"Did you mean 'imdb'\? .* No file or folder"):
        data.load("imbd")


def make_classes(folder: Path, **classes: list[str]) -> Path:
    for name, content in classes.items():
        for number, text in enumerate(content):
            write(folder / name / f"{number}.txt", text)
    return folder


def test_a_folder_per_class_is_read_in_the_order_of_its_names(tmp_path: Path) -> None:
    folder = make_classes(tmp_path / "films", pos=["good", "great"], neg=["bad"])
    write(folder / ".cache" / "x.txt", "hidden")
    write(folder / "pos" / "notes.md", "not a text")
    dataset = data.load(folder)
    assert (dataset.train.x, dataset.train.y) == (["bad", "good", "great"], ["neg", "pos", "pos"])
    assert (dataset.name, dataset.classes) == ("films", ("neg", "pos"))


@pytest.mark.parametrize("name", ["valid", "validation", "dev", "val"])
def test_a_folder_may_hold_train_valid_and_test(name: str, tmp_path: Path) -> None:
    make_classes(tmp_path / "train", a=["1"], b=["2"])
    make_classes(tmp_path / "test", b=["3"])
    write(tmp_path / f"{name}.csv", "text,label\n4,a\n")
    dataset = data.load(tmp_path)
    assert dataset.valid is not None
    assert dataset.test is not None
    assert [part.y for part in (dataset.train, dataset.valid, dataset.test)] == [["a", "b"], ["a"], ["b"]]


def test_an_unpacked_imdb_archive_is_read_and_unsup_is_no_class(tmp_path: Path) -> None:
    make_classes(tmp_path / "train", pos=["good"], neg=["bad"], unsup=["who", "knows"])
    make_classes(tmp_path / "test", pos=["yes"], neg=["no"])
    assert data.load(tmp_path).classes == ("neg", "pos")
    assert data.load(tmp_path, unlabelled=True).unlabelled == ["who", "knows"]


def test_bad_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no subfolder per class and no train part"):
        data.load(tmp_path)
    (tmp_path / "pos").mkdir()
    with pytest.raises(DataError, match=r"pos holds no \.txt file"):
        data.load(tmp_path)
    make_classes(tmp_path, pos=["good"], neg=[" \n"])
    with pytest.raises(DataError, match=r"neg/0\.txt has an empty text"):
        data.load(tmp_path)
    write(tmp_path / "neg" / "0.txt", b"caf\xe9")
    with pytest.raises(DataError, match=r"neg/0\.txt, byte 3 \(0xe9\) is not UTF-8"):
        data.load(tmp_path)
    with pytest.raises(InputError, match="name columns of a file"):
        data.load(tmp_path, text="text")
    with pytest.raises(InputError, match="has no unlabelled part"):
        data.load(tmp_path, unlabelled=True)


def test_parts_that_do_not_fit_each_other_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "test.csv", "text,label\na,x\n")
    with pytest.raises(DataError, match=r"has test\.csv but no train part"):
        data.load(tmp_path)
    write(tmp_path / "train.csv", "text,label\na,pos\nb,neg\n")
    with pytest.raises(DataError, match=r"test\.csv, row 1 \(line 2\) has the label 'x', which no training"):
        data.load(tmp_path)
    write(tmp_path / "train.jsonl", "")
    with pytest.raises(DataError, match=r"more than one train part: train\.csv, train\.jsonl"):
        data.load(tmp_path)


def test_a_share_of_every_class_is_held_out_and_always_the_same(tmp_path: Path) -> None:
    lines = [f"text {i},{'pos' if i % 5 else 'neg'}" for i in range(50)]
    path = write(tmp_path / "a.csv", "\n".join(["text,label", *lines]))
    first, again = (data.load(path, split=0.2) for _ in range(2))
    assert first.test is not None
    assert again.test is not None
    assert first.test.x == again.test.x
    assert [list(first.test.y).count(name) for name in ("neg", "pos")] == [2, 8]
    assert sorted([*first.train.x, *first.test.x]) == sorted(f"text {i}" for i in range(50))
