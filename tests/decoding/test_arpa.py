"""ARPA files that lie, are cut off, or are none: told in one line, with its number, before anything large is made."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from tidegate.decoding import NgramModel
from tidegate.errors import DataError

HEAD = "\\data\\\nngram 1=4\nngram 2=2\n\n"
ONE = "\\1-grams:\n-1\t<unk>\n-99\t<s>\t-0.5\n-1\t</s>\n-0.5\ta\t-0.25\n\n"
TWO = "\\2-grams:\n-0.25\t<s> a\n-0.5\ta </s>\n\n"
GOOD = f"{HEAD}{ONE}{TWO}\\end\\\n"


def test_a_file_is_read_whatever_stands_before_it_and_in_any_order(tmp_path: Path) -> None:
    path = tmp_path / "some.arpa"
    path.write_text(
        "made by hand\n" + GOOD.replace("\n", "\r\n").replace("\t<s> a\r\n-0.5\ta </s>", "\t<s> a\r\n-.5 a </s>")
    )
    first = NgramModel.from_arpa(path)
    path.write_text(GOOD.replace("-0.25\t<s> a\n-0.5\ta </s>", "-0.5\ta </s>\n-0.25\t<s> a"))
    second = NgramModel.from_arpa(path)
    assert first.score(["a", "b"]).tolist() == second.score(["a", "b"]).tolist()
    assert first.score(["a"])[0] == pytest.approx(-0.75 * 2.302585092994046)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "ends after line 0"),
        ("some words\n", "ends after line 1"),
        (GOOD[:-7], r"ends after line 13, before \\end\\"),
        (GOOD.replace("\\data\\\n", ""), "'\\\\\\\\1-grams:' came where"),
        (GOOD.replace("ngram 2=2", "ngram 2=3"), "0 columns|1 columns"),
        (GOOD.replace("ngram 2=2", "ngram 2=1"), r"came where \\end\\ was wanted"),
        (GOOD.replace("ngram 1=4", "ngram 1=3"), "the counts may be wrong"),
        (GOOD.replace("ngram 1=4", "ngram 1=999999999999"), "claims 1,000,000,000,001 n-grams"),
        (GOOD.replace("ngram 2=2", "ngram 3=2"), "lengths must ascend"),
        (GOOD.replace("-0.5\ta\t", "nan\ta\t"), "line 9: 'nan' is no logarithm"),
        (GOOD.replace("-0.5\ta\t", "-inf\ta\t"), "'-inf' is no logarithm"),
        (GOOD.replace("-0.5\ta\t", "0.5\ta\t"), "0.5 is no logarithm of a probability"),
        (GOOD.replace("-0.5\ta\t", "x\ta\t"), "'x' is no number"),
        (GOOD.replace("-0.25\n", "-inf\n"), "'-inf' is no logarithm"),
        (GOOD.replace("<s> a", "<s> b"), "'b' is not among the single tokens"),
        (GOOD.replace("a </s>", "<s> a"), "an n-gram of 2 tokens comes twice"),
        (GOOD.replace("-1\t<unk>", "-1\ta"), "'a' comes twice"),
        (GOOD.replace("</s>", "b"), "</s> is not among the single tokens"),
        (GOOD.replace("\t<s> a", "\t<s> a b c d"), "6 columns; wanted a logarithm, 2 tokens"),
        (GOOD.replace("\\2-grams:", "\\4-grams:"), "came where .2-grams: was wanted"),
        ("\\data\\\n" + "".join(f"ngram {k}=1\n" for k in range(1, 12)), "10 at most"),
        ("x" * 70_000, "line 1 is longer than 65,536 bytes"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "some.arpa").write_text(text)
    with pytest.raises(DataError, match=said) as refused:
        NgramModel.from_arpa(tmp_path / "some.arpa")
    assert "some.arpa" in str(refused.value)


def test_an_ngram_whose_context_is_missing_is_refused(tmp_path: Path) -> None:
    text = GOOD.replace("ngram 2=2\n", "ngram 2=2\nngram 3=1\n").replace(
        "\\end\\", "\\3-grams:\n-0.5\ta a </s>\n\n\\end\\"
    )
    (tmp_path / "some.arpa").write_text(text)
    with pytest.raises(DataError, match="the file lacks 'a a', which this n-gram goes on from"):
        NgramModel.from_arpa(tmp_path / "some.arpa")


def test_what_is_no_text_and_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "binary.arpa").write_bytes(b"\\data\\\n\xff\xfe\n")
    with pytest.raises(DataError, match="line 2: it is not UTF-8"):
        NgramModel.from_arpa(tmp_path / "binary.arpa")
    with pytest.raises(DataError, match="is not there"):
        NgramModel.from_arpa(tmp_path / "none.arpa")
    with pytest.raises(DataError, match="is no file"):
        NgramModel.from_arpa(tmp_path)


def test_a_packed_file_that_is_cut_off_or_a_bomb_is_refused(tmp_path: Path) -> None:
    packed = gzip.compress(GOOD.encode())
    path = tmp_path / "some.arpa.gz"
    path.write_bytes(packed)
    assert NgramModel.from_arpa(path).order == 2
    path.write_bytes(packed[:-12])
    with pytest.raises(DataError, match="damaged or cut off"):
        NgramModel.from_arpa(path)
    path.write_bytes(gzip.compress((b"x" * 60_000 + b"\n") * 1200))
    with pytest.raises(DataError, match="unpacks to more than 67,108,864 bytes"):
        NgramModel.from_arpa(path)


def test_characters_are_spelled_and_words_are_not_taken_for_them(tmp_path: Path) -> None:
    path = tmp_path / "some.arpa"
    path.write_text(
        GOOD.replace("\ta\t", "\t<space>\t").replace("<s> a", "<s> <space>").replace("a </s>", "<space> </s>")
    )
    assert NgramModel.from_arpa(path, units="characters").vocabulary[3] == " "
    for wrong, said in (("ab", "no single character"), ("<U+ZZ>", "no character"), ("<U+FFFFFFFF>", "no character")):
        path.write_text(
            GOOD.replace("\ta\t", f"\t{wrong}\t").replace("<s> a", f"<s> {wrong}").replace("a </s>", f"{wrong} </s>")
        )
        with pytest.raises(DataError, match=said):
            NgramModel.from_arpa(path, units="characters")


def test_a_file_without_unknown_tokens_gives_them_next_to_nothing(tmp_path: Path) -> None:
    (tmp_path / "some.arpa").write_text(GOOD.replace("ngram 1=4", "ngram 1=3").replace("-1\t<unk>\n", ""))
    model = NgramModel.from_arpa(tmp_path / "some.arpa")
    assert model.score(["b"])[0] < -200
