"""What predicting reads in a file, row by row, is what training read in it; odd files, each in every reader."""

from __future__ import annotations

import warnings
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tidegate import data
from tidegate.data.rows import open_rows
from tidegate.data.word_lines import WordLines
from tidegate.errors import DataError, DataWarning, InputError, OptionError, TidegateError

LONG = '"Dear Ann,\n\nthank you, for all.\nYours, C",x\n'
TABLES: dict[str, tuple[str, bytes, dict[str, Any]]] = {
    "commas": (".csv", b'text,label\n"a, b",x\n\nc,y\n', {}),
    "a byte order mark": (".csv", "\ufefftext,label\né,x\nb,y\n".encode(), {}),
    "pipes": (".csv", b"text|label\na, b|x\nc, d|y\n", {}),
    "tabs in CSV": (".csv", b"text\tlabel\na, b\tx\nc\ty\n", {}),
    "semicolons and decimal commas": (".csv", b"text;kg, net;label\na;1,5;x\nb;2,5;y\n", {}),
    "a quoted header": (".csv", b'"text;id";label\n"a;b";x\n', {"text": "text;id"}),
    "a delimiter that is told": (".csv", b"sep=;\r\ntext;label\r\na, b;x\r\nc;y\r\n", {}),
    "a delimiter that is told in quotes": (".csv", b'"sep=|"\ntext|label\na;b|x\n', {}),
    "a delimiter that is named": (
        ".csv",
        b"text;a,label\none;b,x\ntwo;c,y\n",
        {"delimiter": "comma", "text": "text;a"},
    ),
    "another delimiter in TSV": (".tsv", b'text,label\n"a\tb",x\n', {"delimiter": "comma"}),
    "blank lines before the header": (".csv", b"\n\ntext,label\na,x\n\n\nb,y\n\n", {}),
    "fields of many lines": (".csv", f"text,label\n{LONG * 3}b,y\n".encode(), {}),
    "ends of Windows": (".csv", b'text,label\r\n"a\r\nb",x\r\nc,y\r\n', {}),
    "ends of old Macs": (".csv", b"text,label\ra,x\rb,y\r", {}),
    "a delimiter that is told on an old Mac": (".csv", b"sep=;\rtext;label\ra,b;x\r", {}),
    "other separators of lines": (".csv", "text,label\na\u2028b\u0085c\x0bd,x\n".encode(), {}),
    "UTF-16": (".csv", "text,label\né,x\n".encode("utf-16"), {"encoding": "utf-16"}),
    "UTF-16 by its order": (".csv", "\ufefftext,label\né,x\n".encode("utf-16-be"), {"encoding": "utf-16-be"}),
    "Windows": (".tsv", "text\tlabel\n“é”\tx\n".encode("cp1252"), {"encoding": "cp1252"}),
    "quotes in TSV": (".tsv", b'text\tlabel\n"open\tx\n15"\ty\n"both"\tx\n', {}),
    "a quoted TSV": (".tsv", b'"text"\t"label"\n"a\tb"\t"x"\n"say ""c"""\t"y"\n', {}),
    "a quoted column of TSV": (".tsv", b'id\ttext\tlabel\n1\t"a"\tx\n\n2\t"b"\ty\n', {}),
    "a TSV with a mark and ends of Windows": (".tsv", "\ufefftext\tlabel\r\na \tx\r\n".encode(), {}),
    "a TSV of old Macs": (".tsv", b'text\tlabel\r"a\tx\rb\ty\r', {}),
    "lines of JSON": (
        ".jsonl",
        '\ufeff{"text": "a\\nb", "label": "x"}\r\n\r\n{"label": "y", "text": "\u2028c"}'.encode(),
        {},
    ),
    "JSON of old Macs": (".jsonl", b'{"text": "a", "label": "x"}\r{"text": "b", "label": "y"}\r', {}),
}
FORM = ("encoding", "delimiter")


def predicted(path: Path, column: str, form: dict[str, Any], *, name: str = "number") -> tuple[list[object], bytes]:
    """Read the texts of a table as predicting does, and write it again with nothing but a number in every row."""
    numbers, texts = count(), list[object]()
    with closing(open_rows(path, **form)) as rows:
        written = rows.begin([name])
        for batch in rows.batches([column]):
            texts += batch.cells[0]
            written += rows.write(batch, [[next(numbers) for _ in batch.cells[0]]])
        return texts, written + rows.end()


@pytest.mark.parametrize(("suffix", "content", "options"), TABLES.values(), ids=TABLES.keys())
def test_predicting_reads_the_texts_of_a_table_that_training_read(
    tmp_path: Path, suffix: str, content: bytes, options: dict[str, Any]
) -> None:
    path, form = tmp_path / f"a{suffix}", {name: value for name, value in options.items() if name in FORM}
    path.write_bytes(content)
    trained = data.load(path, **options)
    column = options.get("text", "text")
    texts, written = predicted(path, column, form)
    assert texts == trained.train.x
    path.write_bytes(written)  # and the answers can be read again
    again = data.load(path, **{"text": column, "label": "label", **options})
    assert (again.train.x, again.train.y) == (trained.train.x, trained.train.y)
    assert predicted(path, "number", form, name="another")[0] in (
        [str(row) for row in range(len(texts))],
        list(range(len(texts))),
    )


SWALLOWED = "".join(f"ticket {number} is open,b\n" for number in range(12))
BROKEN: dict[str, tuple[str, bytes, dict[str, Any], type[TidegateError], str]] = {
    "rows that a quote swallows": (
        ".csv", f'text,label\nfine,a\n"jammed,a\n{SWALLOWED}a 15",a\n'.encode(), {},
        DataError, "row 2 spans 14 lines, 3 to 16",
    ),
    "rows that a quote swallows below what tells the delimiter": (
        ".csv", f'sep=,\ntext,label\nfine,a\n"jammed,a\n{SWALLOWED}a 15",a\n'.encode(), {},
        DataError, "row 2 spans 14 lines, 4 to 17",
    ),
    "a quote that is never closed": (".csv", b'text,label\na,x\n"b,y\nc,y\n', {}, DataError, "line 3: a quote"),
    "two delimiters": (".csv", b"text;a,label\none;b,x\ntwo;c,y\n", {}, DataError, "between ',' or ';'"),
    "no delimiter": (".csv", b"text,label\na,x\n", {"delimiter": "kommas"}, OptionError, "unknown delimiter 'kommas'"),
    "a delimiter of JSON": (".jsonl", b'{"text": "a", "label": "x"}', {"delimiter": ","}, InputError, "no delimiter"),
    "no encoding": (".tsv", b"text\tlabel\na\tx\n", {"encoding": "base64"}, OptionError, "none that Python knows"),
    "a zero byte": (".csv", b"text,label\na,x\nb\0,y\n", {}, DataError, "holds a zero byte"),
    "a zero byte in TSV": (".tsv", b"text\tlabel\nb\0\tx\n", {}, DataError, "holds a zero byte"),
}  # fmt: skip


@pytest.mark.parametrize(("suffix", "content", "options", "error", "said"), BROKEN.values(), ids=BROKEN.keys())
def test_predicting_refuses_the_tables_that_training_refuses(
    tmp_path: Path, suffix: str, content: bytes, options: dict[str, Any], error: type[TidegateError], said: str
) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    with pytest.raises(error, match=said):
        data.load(path, **options)
    with pytest.raises(error, match=said):
        predicted(path, "text", options)


def test_predicting_warns_of_rows_that_seem_to_be_swallowed(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('text,label\nfine,a\n"jammed,a\nopen,b\nopen,b\na 15",a\n')
    with pytest.warns(DataWarning, match="row 2 spans 4 lines"):
        assert len(predicted(path, "text", {})[0]) == 2
    path.write_text(f"text,label\n{LONG}")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(predicted(path, "text", {})[0]) == 1


WORDS: dict[str, tuple[str, bytes, dict[str, Any]]] = {
    "spaces": (".conll", b"Ada  B-x \nleft O\n\n\nBern O\n", {}),
    "tabs, and spaces within words": (".tsv", b"New York\tB-x\n \t\nleft\tO\n", {}),
    "tabs after spaces": (".conll", b"Ada B-x\nleft\tO\n", {}),
    "ends of Windows": (".conll", b"Ada\tB-x\r\n\r\nleft\tO\r\n", {}),
    "ends of old Macs": (".txt", b"Ada B-x\rleft O\r\rBern O\r", {}),
    "a byte order mark": (".conll", "\ufeffAda B-x\nleft O\n".encode(), {}),
    "documents": (".conll", b"-DOCSTART- -X- O\n\nAda N B-x\nleft V O\n-DOCSTART- -X- O\nBern N O\n", {}),
    "comments": (".conll", b"# of Ada Lovelace\nAda\tB-x\nleft\tO\n\n# newdoc\n#\tO\n#1\tO\n", {}),
    "numbered words": (".conll", b"#\thttp://a.b [2009]\n1\tAda\tB-x\n2\tleft\tO\n", {}),
    "other separators of lines": (".conll", "A\u0085b\tB-x\n\u2028c\tO\n".encode(), {}),
    "UTF-16": (".conll", "é\tB-x\n\nb\tO\n".encode("utf-16"), {"encoding": "utf-16"}),
    "Windows": (".bio", "“é” B-x\n".encode("cp1252"), {"encoding": "cp1252"}),
    "CoNLL-U": (
        ".conllu",
        "# text = du\r\n1-2\tdu{r}\r\n1\tde{r}\r\n2\tle{r}\r\n2.1\t_{r}\r\n\r\n1\t#\u2028{r}\r\n".replace(
            "{r}", "\t_" * 8
        ).encode(),
        {"column": "lemma"},
    ),
}


@pytest.mark.parametrize(("suffix", "content", "options"), WORDS.values(), ids=WORDS.keys())
def test_predicting_reads_the_sentences_that_training_read(
    tmp_path: Path, suffix: str, content: bytes, options: dict[str, Any]
) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    with closing(WordLines(path, options.get("encoding"))) as lines:
        sentences = [words for batch in lines.batches() for words in batch.sentences]
    assert sentences == data.load(path, kind="tagged", **options).train.x
