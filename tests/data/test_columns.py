"""Column files in the layouts of the best-known corpora of names, and what is said where a line does not fit."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

import tidegate as tg
from commands import Cli
from tidegate import data
from tidegate.errors import DataError, InputError

Read = tuple[list[list[str]], list[list[str]]]


def read(path: Path, content: str | bytes, **options: Any) -> Read:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    found = data.load(path, kind="tagged", **options).train
    return list(found.x), list(found.y)


ENGLISH_2003 = """-DOCSTART- -X- -X- O

Mia NNP I-NP I-PER
sailed VBD I-VP O
to TO I-PP O
New NNP I-NP I-LOC
Harbour NNP I-NP I-LOC

-DOCSTART- -X- -X- O

Oslo NNP I-NP I-LOC
Bergen NNP B-NP B-LOC
won VBD I-VP O
. . O O

"""
DUTCH_2002 = """-DOCSTART- -DOCSTART- O
Zoë N B-PER
zag V O
Malmö N B-LOC
. Punc O

-DOCSTART- -DOCSTART- O
Hij Pron O
"""
SPANISH_2002 = "El O\nAbogado B-PER\nGeneral I-PER\n\nde O\nEspaña B-LOC\n. O\n\n"
GERMAN_2003 = """-DOCSTART- -X- -X- -X- O

Åse Åse NE B-NC B-PER
lebt leben VVFIN O O

"""
GERMEVAL = """#\thttp://de.example.org/wiki/Mia [2009-10-17]
1\tMia\tB-PER\tO
2\tUni\tB-ORG\tO
3\tOslo\tI-ORG\tB-LOC
4\t#\tO\tO

#\thttp://de.example.org/wiki/Uni [2010-01-02]
1\tBern\tB-LOC\tO
2\tschläft\tO\tO

"""
WNUT = """@mia\tO
sails\tO
#\tO
Oslo\tB-location

#regatta\tO
🚢\tO
\t
RT\tO
@ada\tO
"""
ONTONOTES = """#begin document (nw/x/00/x_0001); part 000
nw/x/00/x_0001   0   0    Mia   NNP  (TOP(S(NP*   -   -   -   Speaker#1   (PERSON*   (ARG0*   (1
nw/x/00/x_0001   0   1     Li   NNP           *)  -   -   -   Speaker#1          *)       *)  1)
nw/x/00/x_0001   0   2   left   VBD       (VP*))  go  01  1   Speaker#1          *       (V*)  -

nw/x/00/x_0001   0   0   Oslo   NNP       (TOP*)  -   -   -   Speaker#1      (GPE)   -

#end document
"""
MULTICONER = """# id 0a1b-22 \tdomain=en
mia _ _ B-Artist
li _ _ I-Artist

# id 0a1b-23\tdomain=en
sings _ _ O
"""
UNIVERSAL = """# sent_id = a-1
# text = Mia sings
1\tMia\tB-PER\t-\tada
2\tsings\tO\t-\tada

# sent_id = a-2
# text = Oslo
1\tOslo\tB-LOC\t-\tada
"""
WORD_BY_WORD = "高 B-NAME\n勇 E-NAME\n， O\n\u3000 O\n男 S-SEX\n\n上 B-ORG\n海 M-ORG\n港 E-ORG\n\n"

LAYOUTS: dict[str, tuple[str, Read]] = {
    "English of CoNLL-2003": (
        ENGLISH_2003,
        (
            [["Mia", "sailed", "to", "New", "Harbour"], ["Oslo", "Bergen", "won", "."]],
            [["I-PER", "O", "O", "I-LOC", "I-LOC"], ["I-LOC", "B-LOC", "O", "O"]],
        ),
    ),
    "Dutch of CoNLL-2002": (
        DUTCH_2002,
        ([["Zoë", "zag", "Malmö", "."], ["Hij"]], [["B-PER", "O", "B-LOC", "O"], ["O"]]),
    ),
    "Spanish of CoNLL-2002": (
        SPANISH_2002,
        ([["El", "Abogado", "General"], ["de", "España", "."]], [["O", "B-PER", "I-PER"], ["O", "B-LOC", "O"]]),
    ),
    "German of CoNLL-2003": (GERMAN_2003, ([["Åse", "lebt"]], [["B-PER", "O"]])),
    "WNUT-17": (
        WNUT,
        (
            [["@mia", "sails", "#", "Oslo"], ["#regatta", "🚢"], ["RT", "@ada"]],
            [["O", "O", "O", "B-location"], ["O", "O"], ["O", "O"]],
        ),
    ),
    "OntoNotes of CoNLL-2012": (
        ONTONOTES,
        ([["Mia", "Li", "left"], ["Oslo"]], [["B-PERSON", "I-PERSON", "O"], ["B-GPE"]]),
    ),
    "MultiCoNER": (MULTICONER, ([["mia", "li"], ["sings"]], [["B-Artist", "I-Artist"], ["O"]])),
}


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_the_best_known_corpora_are_read_as_they_come(name: str, end: str, tmp_path: Path) -> None:
    content, wanted = LAYOUTS[name]
    assert read(tmp_path / "train.txt", "\ufeff" + content.replace("\n", end)) == wanted


def test_numbered_words_and_spans_within_spans_are_read_with_a_word_about_it(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"columns 3 and 4 hold spans of the same labels; column 3, the outer ones"):
        found = read(tmp_path / "de.tsv", GERMEVAL)
    assert found[0] == [["Mia", "Uni", "Oslo", "#"], ["Bern", "schläft"]]
    assert found[1] == [["B-PER", "B-ORG", "I-ORG", "O"], ["B-LOC", "O"]]
    assert read(tmp_path / "de.tsv", GERMEVAL, column="4")[1] == [["O", "O", "B-LOC", "O"], ["O", "O"]]
    with pytest.raises(DataError, match="so there is no tag in column 3"):
        read(tmp_path / "de.tsv", GERMEVAL, column="2")


def test_a_column_that_says_nothing_is_not_taken_for_the_tags(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="column 5 says the same of every word; column 3 is taken"):
        found = read(tmp_path / "en.iob2", UNIVERSAL)
    assert found == ([["Mia", "sings"], ["Oslo"]], [["B-PER", "O"], ["B-LOC"]])


def test_all_parts_take_the_column_that_train_takes(tmp_path: Path) -> None:
    (tmp_path / "eng.train").write_text("Mia B-PER O\nOslo B-LOC B-LOC\n", encoding="utf-8")
    (tmp_path / "eng.testa").write_text("Oslo B-LOC B-GPE\n", encoding="utf-8")
    (tmp_path / "eng.testb").write_text("Oslo B-LOC O\n", encoding="utf-8")
    with pytest.warns(UserWarning, match="columns 2 and 3 hold spans") as told:
        found = data.load(tmp_path, kind="tagged")
    assert len(told) == 1
    assert found.valid is not None and found.test is not None
    assert (found.valid.y, found.test.y) == ([["B-LOC"]], [["B-LOC"]])


def test_chunks_are_not_taken_for_the_outer_spans_of_names(tmp_path: Path) -> None:
    assert read(tmp_path / "a.txt", "Mia B-NP O\nran B-VP O\n")[1] == [["O", "O"]]
    assert read(tmp_path / "a.txt", "Mia B-NP B-PER\nran B-VP O\n")[1] == [["B-PER", "O"]]


def test_a_word_of_white_space_is_left_out_and_told_of(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"line 4: a word is nothing but white space, and left out"):
        found = read(tmp_path / "zh.txt", WORD_BY_WORD)
    assert found[0] == [["高", "勇", "，", "男"], ["上", "海", "港"]]


@pytest.mark.parametrize(
    "border",
    ["-DOCSTART- O", "-DOCSTART-", "-DOCSTART-\tO", "-DOCSTART- -X- O O", "-DOCSTART- (12 Oslo)", "-DOCSTART- "],
)
@pytest.mark.parametrize("gap", ["\n", "\n\n", "\n \t \n"])
@pytest.mark.parametrize("between", [" ", "\t", "  "])
def test_a_border_between_documents_is_no_word(border: str, gap: str, between: str, tmp_path: Path) -> None:
    content = f"{border}{gap}Mia{between}B-PER\nran{between}O\n{border}{gap}Oslo{between}B-LOC\n\n{border}\n"
    assert read(tmp_path / "a.txt", content) == ([["Mia", "ran"], ["Oslo"]], [["B-PER", "O"], ["B-LOC"]])


def test_a_word_that_only_looks_like_a_border_or_a_comment_stays(tmp_path: Path) -> None:
    content = "# O\nDOCSTART O\n-DOCSTART-x O\n\n# B-rare\n#oslo B-place\n"
    assert read(tmp_path / "a.txt", content)[0] == [["#", "DOCSTART", "-DOCSTART-x"], ["#", "#oslo"]]


@pytest.mark.parametrize(
    "comment", ["# sent 3", "# text = Mia ran", "# id = O", "#\tx\ty\tz", "# newdoc", "#begin document (x)"]
)
def test_comments_are_left_out_before_a_sentence(comment: str, tmp_path: Path) -> None:
    content = f"{comment}\nMia X\nran Y\n\n{comment}\n{comment}\nOslo X\n# Y\n"
    if comment.startswith("#begin"):
        content = "\n" + content.replace(f"{comment}\nMia", "Mia")
    assert read(tmp_path / "a.txt", content) == ([["Mia", "ran"], ["Oslo", "#"]], [["X", "Y"], ["X", "Y"]])


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        ("Mia A\n \t \nran B\n", [["Mia"], ["ran"]]),
        ("Mia A\n\u00a0\nran B\n", [["Mia"], ["ran"]]),
        ("Mia\tA\nran B\n\nOslo B\n", [["Mia", "ran"], ["Oslo"]]),
        ("Mia x\tA\nran\tx B\n\nOslo x B\n", [["Mia", "ran"], ["Oslo"]]),
        ("Mia  A\nran \t B \n", [["Mia", "ran"]]),
        ("New York\tA\nran \tB\n", [["New York", "ran"]]),
        ("10\u00a0000 A\n10\u2028000 B\n", [["10\u00a0000", "10\u2028000"]]),
        ("Mia\tA\t\nran\tB\n", [["Mia", "ran"]]),
        ("Mia\tA\t\nran\tB\t\n", [["Mia", "ran"]]),
    ],
)
def test_tabs_blanks_and_other_white_space_may_be_mixed(content: str, wanted: list[list[str]], tmp_path: Path) -> None:
    words, tags = read(tmp_path / "a.txt", content)
    assert words == wanted
    assert {tag for row in tags for tag in row} == {"A", "B"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("Mia A\nran\u00a0B\nOslo A\n", r"line 2 has 1 columns, the first line has 2. It holds U\+00A0"),
        ("New York\tA\nran\tB\nOslo A\n", r"line 3 has 1 columns, .* It has no tab, which parts"),
        ("Mia A\nran the\tB\nOslo A\n", r"line 2 has 3 columns, .* It has a tab where the others have blanks"),
        ("Mia X A\nran B\nOslo B\nBern A\n", r"line 1 has 3 columns, most lines have 2\."),
        ("Mia A\n#\nOslo B\n", "line 2 has 1 columns"),
        ("#\nMia A\nOslo B\n", "line 1 has 1 columns"),
        ("Mia A\n# x y\nOslo B\n", "line 2 has 3 columns"),
        ("\tA\nOslo\tB\n", "line 1 has an empty word"),
    ],
)
def test_the_line_that_does_not_fit_is_named_with_what_is_wrong(content: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=said):
        read(tmp_path / "a.txt", content)


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16", "utf-8"])
def test_files_in_another_encoding_are_read_when_it_is_named(encoding: str, tmp_path: Path) -> None:
    words, _ = read(tmp_path / "ned.train", DUTCH_2002.encode(encoding), encoding=encoding)
    assert words[0] == ["Zoë", "zag", "Malmö", "."]
    if encoding == "latin-1":
        with pytest.raises(DataError, match=r"ned.train, byte 26 \(0xeb\) is not UTF-8.*encoding='latin-1'"):
            data.load(tmp_path / "ned.train", kind="tagged")


def test_a_column_of_words_or_none_is_refused(tmp_path: Path) -> None:
    for column in ("1", "0", "-1", "x"):
        with pytest.raises(InputError, match="Give a number from 2"):
            read(tmp_path / "a.txt", SPANISH_2002, column=column)


def test_corpora_train_and_are_measured_as_they_come(cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "ned"
    folder.mkdir()
    for name in ("ned.train", "ned.testa", "ned.testb"):
        (folder / name).write_bytes((DUTCH_2002 * 6).encode("latin-1"))
    small = ["--task", "tag", "--hidden-size", "4", "--epochs", "1"]
    assert "encoding" in cli("train", folder, *small, "--out", tmp_path / "run").err
    trained = cli("train", folder, *small, "--read", "encoding=latin-1", "--out", tmp_path / "run")
    assert trained.code == 0, trained.err
    assert cli("evaluate", tmp_path / "run", folder, "--read", "encoding=latin-1").code == 0


def test_odd_tags_are_told_of_once_on_the_command_line(cli: Cli, tmp_path: Path) -> None:
    content = "Mia I-PER\nran O\n\nOslo I-LOC\nran O\n\n" * 20 + "Bern O\nUri B-LOC\n\n"
    (tmp_path / "a.conll").write_text(content, encoding="utf-8")
    small = ["--task", "tag", "--hidden-size", "4", "--epochs", "1"]
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        told = cli("train", tmp_path / "a.conll", *small, "--out", tmp_path / "run")
        repaired = cli("train", tmp_path / "a.conll", *small, "--read", "repair=tags", "--out", tmp_path / "again")
        measured = cli("evaluate", tmp_path / "run", tmp_path / "a.conll")
    for answer in (told, measured):
        assert answer.code == 0
        assert answer.err.count("do not fit") == 1
        assert "1 of 82 tags do not fit where they stand in IOB1" in answer.err
        assert "a.conll, line 122 (B-LOC after O at its end)" in answer.err
    assert (repaired.code, "do not fit" in repaired.err) == (0, False)
    assert tg.load(tmp_path / "run").tags_ == tg.load(tmp_path / "again").tags_
