"""Tagged sentences from files and by name: layouts, columns, what is not kept to, and downloads."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate import data
from tidegate.data import corpora
from tidegate.data.wordsplit import split_characters, split_words
from tidegate.errors import DataError, DownloadError, InputError, OptionError
from tidegate.fetch.progress import silent
from tidegate.fetch.remote import Remote

CONLLU = """# sent_id = 1
# text = It's Rex.
1-2\tIt's\t_\t_\t_\t_\t_\t_\t_\t_
1\tIt\tit\tPRON\tPRP\tCase=Nom|Number=Sing\t3\tnsubj\t_\t_
2\t's\tbe\tAUX\tVBZ\t_\t3\tcop\t_\t_
3\tRex\tRex\tPROPN\tNNP\tNumber=Sing\t0\troot\t_\tSpaceAfter=No
3.1\tlost\tlose\tVERB\tVBN\t_\t_\t_\t_\t_
4\t.\t.\tPUNCT\t.\t_\t3\tpunct\t_\t_

# sent_id = 2
1\t# no comment\t_\tNOUN\tNN\t_\t0\troot\t_\t_

"""
COLUMNS = "Ada\tNNP\tB-person\nleft\tVBD\tO\n\t\nHi\tUH\tO\n"


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("column", "tags"),
    [
        (None, ["PRON", "AUX", "PROPN", "PUNCT"]),
        ("xpos", ["PRP", "VBZ", "NNP", "."]),
        ("feats", ["Case=Nom|Number=Sing", "_", "Number=Sing", "_"]),
    ],
)
def test_conllu_gives_the_words_of_any_column(tmp_path: Path, column: str | None, tags: list[str]) -> None:
    options: Any = {} if column is None else {"column": column}
    found = data.load(write(tmp_path / "a.conllu", CONLLU), kind="tagged", **options)
    assert found.train.x == [["It", "'s", "Rex", "."], ["# no comment"]]
    assert found.train.y[0] == tags
    assert (found.kind, found.classes, found.valid, found.test) == ("tagged", (), None, None)


def test_a_column_file_gives_its_first_column_and_another(tmp_path: Path) -> None:
    file = write(tmp_path / "a.conll", COLUMNS)
    found = data.load(file, kind="tagged")
    assert found.train.x == [["Ada", "left"], ["Hi"]]
    assert found.train.y == [["B-person", "O"], ["O"]]
    assert data.load(file, kind="tagged", column="2").train.y == [["NNP", "VBD"], ["UH"]]


def test_columns_may_stand_between_spaces_and_lines_end_as_on_windows(tmp_path: Path) -> None:
    file = write(tmp_path / "a.bmes", "高 B-NAME\r\n勇 E-NAME\r\n\r\n\r\n男 O")
    found = data.load(file, kind="tagged")
    assert (found.train.x, found.train.y) == ([["高", "勇"], ["男"]], [["B-NAME", "E-NAME"], ["O"]])


def test_a_word_may_hold_spaces_where_tabs_part_the_columns(tmp_path: Path) -> None:
    assert data.load(write(tmp_path / "a.tsv", "New York\tB-place\n"), kind="tagged").train.x == [["New York"]]


def test_a_folder_holds_its_parts_by_name(tmp_path: Path) -> None:
    for name in ("en-train.conllu", "x.dev.conllu", "test2.conllu"):
        write(tmp_path / name, CONLLU)
    write(tmp_path / "README", "attested training")
    found = data.load(tmp_path, kind="tagged", column="xpos")
    assert found.valid is not None and found.test is not None
    assert found.train.y == found.valid.y == found.test.y
    (tmp_path / "my-train.conllu").write_text(CONLLU)
    with pytest.raises(DataError, match=r"more than one train file: en-train.conllu, my-train.conllu"):
        data.load(tmp_path, kind="tagged")


def test_sentences_are_held_out_when_asked(tmp_path: Path) -> None:
    found = data.load(write(tmp_path / "a.conll", "".join(f"w{i} O\n\n" for i in range(10))), kind="tagged", split=0.2)
    assert found.test is not None and (len(found.train), len(found.test)) == (8, 2)
    assert sorted([*found.train.x, *found.test.x]) == [[f"w{i}"] for i in range(10)]


@pytest.mark.parametrize(
    ("name", "text", "options", "reason"),
    [
        ("a.conll", "Ada B-x\nleft\n", {}, r"a.conll, line 2 has 1 columns, the first line has 2"),
        ("a.conll", "Ada B-x O\n\nleft O\n", {}, r"line 3 has 2 columns, the first line has 3"),
        ("a.conll", "Ada\nleft\n", {}, r"line 1 has 1 columns, so there is no tag in column 2"),
        ("a.conll", COLUMNS, {"column": "4"}, r"line 1 has 3 columns, so there is no tag in column 4"),
        ("a.conll", COLUMNS, {"column": "upos"}, r"column='upos': .*numbered columns"),
        ("a.conll", "Ada\t \n", {}, "line 1 has an empty tag"),
        ("a.conll", "\n \n", {}, "it has no sentences"),
        ("a.conllu", CONLLU.replace("\t3\tcop\t_\t_", ""), {}, r"a.conllu, line 5 has 6 columns; CoNLL-U has 10"),
        ("a.conllu", CONLLU.replace("1\tIt", "one\tIt"), {}, r"a.conllu, near line \d+ is no CoNLL-U"),
        ("a.conllu", CONLLU, {"column": "xpox"}, "unknown column of CoNLL-U 'xpox'. Did you mean 'xpos'"),
        ("a.conllu", CONLLU, {"unlabelled": True}, "no unlabelled part"),
        ("a.conllu", CONLLU, {"label": "x"}, "label says how to read a file of the kind 'text' or 'sequence'"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str, text: str, options: Any, reason: str) -> None:
    with pytest.raises((DataError, InputError, OptionError), match=reason):
        data.load(write(tmp_path / name, text), kind="tagged", **options)


def test_odd_tags_of_every_part_are_told_of_or_repaired(tmp_path: Path) -> None:
    write(tmp_path / "train.txt", "a B-x\nb I-x\n\n" * 5 + "c O\nd I-x\n\n" * 2 + "e I-y\nf I-z\n")
    write(tmp_path / "test.txt", "a I-x\n")
    with pytest.warns(UserWarning, match="5 of 17 tags do not fit where they stand in BIO") as told:
        found = data.load(tmp_path, kind="tagged")
    assert len(told) == 1
    for line, said in ((17, "I-x after O at its end"), (20, "I-x after O at its end"), (22, "I-y at the beginning")):
        assert f"train.txt, line {line} ({said}" in str(told[0].message)
    assert "line 23" not in str(told[0].message) and found.train.y[-1] == ["I-y", "I-z"]
    repaired = data.load(tmp_path, kind="tagged", repair="tags")
    assert repaired.train.y[5:] == [["O", "B-x"], ["O", "B-x"], ["B-y", "B-z"]]
    assert repaired.test is not None and repaired.test.y == [["B-x"]]
    write(tmp_path / "train.txt", "a B-x\nb E-x\n")
    write(tmp_path / "test.txt", "a B-x\na M-x\na E-x\n")
    assert data.load(tmp_path, kind="tagged").train.y == [["B-x", "E-x"]]
    with pytest.raises(OptionError, match=r"unknown repair .* 'tag'\. Did you mean 'tags'"):
        data.load(tmp_path, kind="tagged", repair="tag")


def test_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.conll").write_bytes(b"Ada O\n\xff O\n")
    with pytest.raises(DataError, match="byte 6"):
        data.load(tmp_path / "a.conll", kind="tagged")


@pytest.fixture
def upstream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[corpora.Corpus, Path]]:
    """A corpus whose files a server on the loopback interface has."""
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("TIDEGATE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TIDEGATE_DATA", raising=False)
    served = tmp_path / "served"
    served.mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(served)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    parts = {}
    for part in ("train", "valid", "test"):
        file = write(served / f"{part}.txt", f"{part} B-x\nM-y M-x\nend E-x\n")
        url = f"http://127.0.0.1:{server.server_address[1]}/{file.name}"
        parts[part] = Remote(url, file.stat().st_size, hashlib.sha256(file.read_bytes()).hexdigest())
    yield replace(corpora.RESUME, name="toy", parts=parts), served
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_corpus_is_downloaded_once_and_then_found(upstream: tuple[corpora.Corpus, Path], tmp_path: Path) -> None:
    corpus, served = upstream
    assert corpus.find() is None
    folder = corpus.fetch(silent)
    assert folder == corpus.find() == tmp_path / "cache" / "toy"
    for file in served.iterdir():
        file.unlink()
    found = corpus.load(unlabelled=False, progress=silent)
    assert found.valid is not None and found.valid.x == [["valid", "M-y", "end"]]
    assert (found.licence, found.citation) == (corpora.RESUME.licence, corpora.RESUME.citation)


def test_a_corpus_that_is_another_than_it_should_be_is_refused(upstream: tuple[corpora.Corpus, Path]) -> None:
    corpus, served = upstream
    text = (served / "test.txt").read_text().replace("end", "END")
    (served / "test.txt").write_text(text)
    with pytest.raises(DownloadError, match="SHA-256"):
        corpus.fetch(silent)
    assert corpus.find() is None


def test_files_of_the_user_come_before_those_of_the_cache(
    upstream: tuple[corpora.Corpus, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus, served = upstream
    (tmp_path / "mine").mkdir()
    served.rename(tmp_path / "mine" / "toy")
    monkeypatch.setenv("TIDEGATE_DATA", str(tmp_path / "mine"))
    assert corpus.find() == tmp_path / "mine" / "toy"


def test_tags_that_upstream_cut_off_are_mended(upstream: tuple[corpora.Corpus, Path]) -> None:
    corpus, served = upstream
    file = write(served / "train.txt", "a B-x\nb M-x\n\nc M-x\nd E-x\n")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    remote = replace(corpus.parts["train"], size=file.stat().st_size, sha256=digest)
    changed = replace(corpus, parts={**corpus.parts, "train": remote})
    found = changed.load(unlabelled=False, progress=silent)
    assert found.train.y == [["B-x", "E-x"], ["B-x", "E-x"]]


@pytest.mark.parametrize("name", ["ud_english_ewt", "resume_ner", "wnut17"])
def test_a_corpus_says_what_its_makers_ask(name: str) -> None:
    source = data.describe(name)
    assert source.kind == "tagged"
    assert source.licence and source.homepage.startswith("https://") and ". " in source.citation
    [corpus] = [each for each in (corpora.EWT, corpora.RESUME, corpora.WNUT) if each.name == name]
    assert all(remote.url.startswith("https://") and len(remote.sha256 or "") == 64 for remote in corpus.parts.values())


def test_words_are_cut_as_treebanks_do() -> None:
    text = "I can't believe @rex didn't like www.tide.org/a?b=1. It's 10:30, U.S. time—isn't it? e-mail: a.b@c.org..."
    wanted = (
        "I ca n't believe @rex did n't like www.tide.org/a?b=1 . It 's 10:30 , U.S. time — is n't it ? e - mail : "
        "a.b@c.org ..."
    )
    cut = split_words(text)
    assert [piece.word for piece in cut] == wanted.split()
    assert all(text[piece.start : piece.end] == piece.word for piece in cut)
    assert [piece.word for piece in split_characters("高 勇：")] == ["高", "勇", "："]


@given(st.text())
def test_no_visible_character_is_lost_between_words(text: str) -> None:
    for cut in (split_words(text), split_characters(text)):
        assert "".join("".join(piece.word for piece in cut).split()) == "".join(text.split())
        assert all(text[piece.start : piece.end] == piece.word for piece in cut)
