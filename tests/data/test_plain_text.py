"""Reading text: encodings that are named, never guessed, and lines that end where a person ended them."""

from pathlib import Path

import pytest

from tidegate import data
from tidegate.data.plain_text import decode, read_text, split_lines
from tidegate.errors import DataError, OptionError

# What Python's str.splitlines takes for a line end, and no editor does.
NO_LINE_ENDS = ["\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_line_ends_at_each_of_the_line_ends(end: str) -> None:
    assert split_lines(f"a{end}{end}b") == ["a", "", "b"]
    assert split_lines(f"a{end}") == ["a"]
    assert split_lines(end) == [""]
    assert split_lines("") == []


@pytest.mark.parametrize("mark", NO_LINE_ENDS)
def test_a_line_ends_nowhere_else(mark: str, tmp_path: Path) -> None:
    assert split_lines(f"a{mark}b\nc") == [f"a{mark}b", "c"]
    (tmp_path / "corpus.txt").write_bytes(f"one{mark}line\r\nanother\rthird\n".encode())
    found = data.load(str(tmp_path / "corpus.txt"), kind="corpus", documents="line").train.x
    assert found == [f"one{mark}line", "another", "third"]
    (tmp_path / "tags.txt").write_bytes(f"one{mark}word\tX\r\nanother\tY\r\rthird\tX\n".encode())
    assert data.load(str(tmp_path / "tags.txt"), kind="tagged").train.x == [[f"one{mark}word", "another"], ["third"]]
    row = "\t".join(["1", f"one{mark}word", "l", "X", "_", "_", "0", "root", "_", "_"])
    (tmp_path / "trees.conllu").write_bytes(f"# a{mark}comment\r\n{row}\r\n\r\n".encode())
    assert data.load(str(tmp_path / "trees.conllu"), kind="tagged").train.x == [[f"one{mark}word"]]


@pytest.mark.parametrize(
    ("encoding", "content"),
    [
        (None, "Zürich".encode()),
        (None, b"\xef\xbb\xbfZ\xc3\xbcrich"),
        ("latin-1", b"Z\xfcrich"),
        ("CP1252", b"Z\xfcrich"),
        ("utf-16", "Zürich".encode("utf-16")),
        ("utf-16-le", b"\xff\xfeZ\0\xfc\0r\0i\0c\0h\0"),
        ("utf-8", b"\xef\xbb\xbfZ\xc3\xbcrich"),
        ("mac-roman", b"Z\x9frich"),
    ],
)
def test_a_named_encoding_is_read(encoding: str | None, content: bytes, tmp_path: Path) -> None:
    (tmp_path / "town.txt").write_bytes(content)
    assert read_text(tmp_path / "town.txt", encoding) == "Zürich"


@pytest.mark.parametrize(
    ("content", "encoding", "said"),
    [
        (b"Z\xfcrich", None, r"towns, byte 1 \(0xfc\) is not UTF-8.*encoding='latin-1'"),
        (b"\xff\xfeZ\0", None, "encoding='utf-16'"),
        ("plain".encode("utf-16-le"), None, "encoding='utf-16-le'"),
        (b"Z\xc3", "utf-8", r"byte 1 \(0xc3\) is not UTF-8"),
        (b"\x81", "cp1252", r"byte 0 \(0x81\) is not CP1252"),
    ],
)
def test_bytes_of_another_encoding_are_refused_with_what_to_do(content: bytes, encoding: str | None, said: str) -> None:
    with pytest.raises(DataError, match=said):
        decode(content, "towns", encoding)


@pytest.mark.parametrize("name", ["latin-99", "base64", "rot13", "", "a\0b"])
def test_an_encoding_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(OptionError, match="none that Python knows"):
        decode(b"", "towns", name)
