"""CSV and TSV: what parts the fields, what a quote means, and lines that a quote would swallow."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate import data
from tidegate.data.delimited import csv_rows, find_delimiter, tsv_rows
from tidegate.errors import DataError, DataWarning, InputError, OptionError

HERE = Path("table.csv")


def fields(text: str, delimiter: str | None = None) -> list[list[str]]:
    return [row for _, row in csv_rows(text, HERE, delimiter)]


# --- TSV ---------------------------------------------------------------------------------------------------------


def test_a_quote_in_a_tsv_swallows_no_rows() -> None:
    rows = [["text", "label"], ['"jammed again', "a"], ["quite so", "b"], ['a screen of 15"', "a"]]
    assert [row for _, row in tsv_rows("\n".join(map("\t".join, rows)) + "\n")] == rows


words = st.text(st.sampled_from('ab" ,;\u2028é'), max_size=6)


@given(rows=st.lists(st.tuples(words, st.sampled_from(["x", "y"])), min_size=1, max_size=8))
def test_a_tsv_has_a_row_for_each_line_whatever_its_quotes(rows: list[tuple[str, str]]) -> None:
    text = "text\tlabel\n" + "".join(f"{word}\t{label}\n" for word, label in rows)
    found = list(tsv_rows(text))
    assert [line for line, _ in found] == list(range(1, len(rows) + 2))
    assert [row[1] for _, row in found[1:]] == [label for _, label in rows]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ('text\tlabel\n"a ""b"""\tx\nc\ty\n', ['a "b"', "x"]),  # a quote that was doubled
        ('text\tlabel\n"a\tb"\tx\nc\ty\n', ["a\tb", "x"]),  # a tab within quotes
        ('"text"\t"label"\n"a"\t"x"\nc\t"y"\n', ["a", "x"]),  # a quoted header
        ('text\tlabel\n"a"\t1\n"c"\t2\n""\t3\n', ["a", "1"]),  # a column that is quoted throughout
        ('text\tlabel\n"a"\tx\nc\ty\n', ['"a"', "x"]),  # nothing but a text in quotation marks
        ('text\tlabel\n"a ""b"""\tx\n5" long\ty\n', ['"a ""b"""', "x"]),  # a quote that cannot be CSV's
    ],
)
def test_a_tsv_is_unquoted_only_where_it_shows_that_it_was_quoted(text: str, first: list[str]) -> None:
    assert list(tsv_rows(text))[1][1] == first


def test_a_line_end_within_a_tsv_field_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text('text\tlabel\nfine\tx\n"one\ntwo"\ty\n')
    with pytest.raises(DataError, match=r"row 2 \(line 3\) has 1 fields, the header 2. TSV knows no quotes"):
        data.load(path)


# --- CSV ---------------------------------------------------------------------------------------------------------


def swallowed(lines: int) -> str:
    between = "".join(f"ticket {number} is open,b\n" for number in range(lines))
    return f'text,label\nfine,a\n"jammed again,a\n{between}a screen of 15",a\nlast,b\n'


def test_rows_that_a_quote_swallows_are_refused_with_their_lines() -> None:
    with pytest.raises(DataError, match=r"table.csv, row 2 spans 14 lines, 3 to 16, .* quote that opens on line 3"):
        fields(swallowed(12))


def test_few_lines_that_look_like_rows_are_warned_of() -> None:
    with pytest.warns(DataWarning, match=r"table.csv, row 2 spans 4 lines, 3 to 6, and 4 of them look like rows"):
        assert len(fields(swallowed(2))) == 4


def test_a_letter_of_many_lines_is_a_field_without_a_word() -> None:
    letter = "Dear Ann,\n\nthank you, and Bob, for all of it.\nThe cake was good.\n" * 9 + "Yours, C"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fields(f'text,label\n"{letter}",a\nb,c\n')[1] == [letter, "a"]


def test_a_quote_that_is_never_closed_is_named_by_the_line_that_it_opens_on() -> None:
    with pytest.raises(DataError, match=r"line 3: a quote that opens there is never closed"):
        fields('text,label\nfine,a\n"open,a\nb,c\nd,e\n')


@pytest.mark.parametrize(
    ("text", "sign"),
    [
        ("a,b\n1,2\n", ","),
        ("a;b\n1,5;2,5\n", ";"),
        ("a\tb\n1,5\t2\n", "\t"),
        ("a|b\n1|2\n", "|"),
        ("ds;load, kW;t\n1;1,5;2\n2;3,4;5\n", ";"),
        ('"a;b",c\n"1;2",3\n"4",5\n', ","),
        ("text\nno delimiter, but a comma\n", ","),
    ],
)
def test_the_delimiter_is_found_by_the_header_and_the_rows(text: str, sign: str) -> None:
    assert find_delimiter(text.splitlines(keepends=True), HERE) == sign


def test_a_delimiter_that_could_be_two_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text;a,label\none;b,x\ntwo;c,y\n")
    with pytest.raises(DataError, match=r"between ',' or ';'.*Say which: delimiter='comma' or delimiter='semicolon'"):
        data.load(path)
    assert data.load(path, delimiter="comma", text="text;a").train.x == ["one;b", "two;c"]
    assert data.load(path, delimiter=";", label="text").train.x == ["b,x", "c,y"]
    with pytest.raises(OptionError, match=r"unknown delimiter 'kommas'\. Did you mean 'comma'"):
        data.load(path, delimiter="kommas")


def test_a_delimiter_of_a_file_without_any_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "a", "label": "b"}')
    with pytest.raises(InputError, match="fields have no delimiter"):
        data.load(tmp_path / "a.jsonl", delimiter=",")


def test_the_line_by_which_a_spreadsheet_tells_the_delimiter_is_no_row() -> None:
    assert fields("sep=;\r\na;b\r\n1;2\r\n") == [["a", "b"], ["1", "2"]]


# --- encodings ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-16", "cp1252", "latin-1"])
@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "train/x/1.txt"])
def test_every_reader_takes_the_encoding_that_is_named(name: str, encoding: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    body = {"csv": "text,label\ncafé,x\n", "tsv": "text\tlabel\ncafé\tx\n", "jsonl": '{"text": "café", "label": "x"}'}
    path.write_text(body.get(path.suffix[1:], "café"), encoding=encoding)
    given = tmp_path if path.suffix == ".txt" else path
    assert data.load(given, encoding=encoding).train.x == ["café"]
    with pytest.raises(DataError, match=r"0x.. is not UTF-8|is not UTF-8"):
        data.load(given)


def test_a_zero_byte_is_refused_with_its_row(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,label\na,x\nb\0c,y\n")
    with pytest.raises(DataError, match=r"a.csv, row 2 holds a zero byte.*encoding='utf-16-le'"):
        data.load(path)
