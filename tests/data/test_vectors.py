"""Vectors of others, in every form that they come in: the right rows for the right words, or one clear error."""

from __future__ import annotations

import hashlib
import re
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vectors as files
from tidegate.data import vectors
from tidegate.data.vectors.fasttext import Grams
from tidegate.errors import DataError

SMALL = {"sea": [1.0, -2.0, 0.5], "Wood": [3.0, 4.0, 5.0], "über": [0.25, 0.0, -1.5]}
FORMS: dict[str, Callable[[files.Given], bytes]] = {
    "glove": files.glove,
    "text": files.word2vec_text,
    "word2vec": files.word2vec_binary,
    "fasttext": lambda given: files.fasttext(given, grams=(0, 0)),
}


def refused(path: Path, words: list[str] | None = None) -> str:
    """The error of a file, which names it."""
    with pytest.raises(DataError) as caught:
        vectors.read(path, words or ["<unk>", "sea", "wood"])
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("form", "packed"), [*((form, "") for form in FORMS), ("glove", ".gz"), ("text", ".gz"), ("word2vec", ".gz")]
)
def test_every_form_gives_the_numbers_that_were_written(form: str, packed: str, tmp_path: Path) -> None:
    path = files.saved(tmp_path, FORMS[form](SMALL), "some.vec" + packed)
    found = vectors.read(path, ["<unk>", "über", "sea", "tide"])
    assert found.rows.tolist() == [[0, 0, 0], SMALL["über"], SMALL["sea"], [0, 0, 0]]
    assert found.found.tolist() == [False, True, True, False]
    assert (found.form, vectors.width(path)) == (form, 3)
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("ends", [b"", b"\n"])
def test_binary_words_may_end_in_a_line_break_or_not(ends: bytes, tmp_path: Path) -> None:
    path = files.saved(tmp_path, files.word2vec_binary(SMALL, ends=ends))
    assert vectors.read(path, ["Wood"]).rows.tolist() == [SMALL["Wood"]]


def test_a_word_is_looked_up_as_it_stands_then_in_lower_case_then_by_what_folds_to_it(tmp_path: Path) -> None:
    given = {"PARIS": [1], "Paris": [2], "Rome": [3], "ROME": [4], "rome": [5], "oslo": [6]}
    path = files.saved(tmp_path, files.glove(given))
    found = vectors.read(path, ["paris", "Paris", "rome", "Oslo", "OSLO", "Rome"])
    assert found.rows[:, 0].tolist() == [1, 2, 5, 6, 6, 3]


def test_another_way_to_fold_is_the_callers(tmp_path: Path) -> None:
    path = files.saved(tmp_path, files.glove({"1999": [1, 1], "2001": [2, 2], "b52": [3, 3]}))
    found = vectors.read(path, ["0000", "b00"], fold=lambda word: re.sub(r"\d", "0", word))
    assert found.rows.tolist() == [[1, 1], [3, 3]]


def test_of_words_that_come_again_the_first_counts_and_the_others_are_counted(tmp_path: Path) -> None:
    path = files.saved(tmp_path, b"sea 1 2\nwood 3 4\nsea 5 6\nsea 7 8\nother 9 9\nother 1 1\n")
    found = vectors.read(path, ["sea", "wood"])
    assert (found.rows.tolist(), found.duplicates) == ([[1, 2], [3, 4]], 2)


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (b". . . 1 2\nsea 3 4\nat name@domain.com 5 6\n", [[3, 4], [1, 2]]),
        (b"\xef\xbb\xbfsea 1 2\r\n. . . 3 4\r\n", [[1, 2], [3, 4]]),
        (b"\xef\xbb\xbf2 2\r\nsea 1 2\r\n. . . 3 4\r\n", [[1, 2], [3, 4]]),
        (b"\n2 2\n", None),
        (b"sea\t1\t2\n. . .\t3\t4\n", [[1, 2], [3, 4]]),
        (b"sea 1  2\n\n. . . 3e0 +4 \n\n", [[1, 2], [3, 4]]),
        (b" 7 7\nsea 1 2\n. . . 3 4", None),
        (b"sea 1 2\n 9 9\n\t8 8\n. . . 3 4", [[1, 2], [3, 4]]),
    ],
    ids=[
        "spaces",
        "mark and CRLF",
        "the same with counts",
        "blank line first",
        "tabs",
        "blanks",
        "no word",
        "no words",
    ],
)
def test_lines_as_people_and_programs_write_them(content: bytes, rows: list[list[int]] | None, tmp_path: Path) -> None:
    path = files.saved(tmp_path, content)
    if rows is None:
        refused(path)
    else:
        assert vectors.read(path, ["sea", ". . ."]).rows.tolist() == rows


def test_numbers_of_words_that_nobody_wants_are_not_read(tmp_path: Path) -> None:
    path = files.saved(tmp_path, b"sea 1 2\nother nan huh\n")
    assert vectors.read(path, ["sea"]).rows.tolist() == [[1, 2]]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"sea 1 2\nwood 3\n", "line 2 has 1 numbers after the word 'wood'; wanted 2"),
        (b"sea 1 2\nwood 3 4 5\n", "line 2 has 3 numbers after the word 'wood'; wanted 2"),
        (b"sea 1 2\nother 3 4 sea 5 6\nwood 3\n", "line 2 has 5 numbers after the word 'other'; wanted 2"),
        (b"sea 1 2\nwood  3\n", "line 2 has 1 numbers after the word 'wood'; wanted 2"),
        (b"sea 1 2\nwood\n", "line 2 has 0 numbers after the word 'wood'; wanted 2"),
        (b"sea 1 2\nwood 1 x\n", "line 2 has 'x' where a number was wanted"),
        (b"2 2\nsea 1 2\nwood 1 x\n", "line 3 has 'x' where a number was wanted"),
        (b"sea 1 nan\n", "line 1 gives 'sea' the number nan; wanted finite ones"),
        (b"wood 1 1\nsea 1 -inf\n", "line 2 gives 'sea' the number -inf"),
        (b"sea 1 1e39\n", "line 1 gives 'sea' the number 1e+39"),
        (b"sea 1 2\nw\xf6od 3 4\n", "line 2 begins with b'w\\xf6od', which is no UTF-8"),
        (b"1 2\nw\xf6od 3 4\n", "line 2 begins with b'w\\xf6od', which is no UTF-8"),
        (b"3 2\nsea 1 2\nwood 3 4\n", "has 2 words, but its first line claims 3"),
        (b"1 2\nsea 1 2\nwood 3 4\n", "has 2 words, but its first line claims 1"),
        (b"999999999 2\nsea 1 2\n", "claims 999,999,999 words of 2 numbers, more than it can hold"),
        (b"1 99999999999999\nsea 1 2\n", "claims vectors of 99,999,999,999,999 numbers; wanted 1 to 65,536"),
        (b"0 2\n", "claims in its first line that it has no words"),
        (b"2 0\nsea\nwood\n", "claims vectors of 0 numbers"),
        (b"", "is empty"),
        (b" \r\n\n", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"a film about the sea\n", "is no file of vectors; wanted GloVe's"),
        (b"42\n", "is no file of vectors"),
        (b"PK\x03\x04\x14\0\0\0", "is no file of vectors: it is a zip archive, to be unpacked first"),
        (b"\x80\x04\x95gensim\0", "is no file of vectors: it is a pickle"),
        (b"\x1f\x8b\x08\0\0\0\0\0", "is a packed file that is damaged or cut off"),
        (b"haus 1 2\nmeer 3 4\n", "has no vector for any of 3 words. It begins with 'haus', 'meer'; wanted are words"),
    ],
)
def test_a_bad_text_is_refused_and_the_line_named(content: bytes, told: str, tmp_path: Path) -> None:
    assert told in refused(files.saved(tmp_path, content))


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    assert "is no file; wanted" in refused(tmp_path)
    assert "is not there; wanted" in refused(tmp_path / "absent")


def test_a_packed_file_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    many = {f"word{index}": [index, 1 / (index + 1)] for index in range(5000)}
    path = files.saved(tmp_path, files.glove(many), "some.vec.gz")
    path.write_bytes(path.read_bytes()[:-2000])
    assert "damaged or cut off" in refused(path, ["word1"])


@pytest.mark.parametrize(
    ("altered", "told"),
    [
        (lambda whole: whole[:-1], "ends within word 3 of 3: it was cut off"),
        (lambda whole: whole[:-19], "ends within word 2 of 3: it was cut off"),
        (lambda whole: whole[:20], "claims 3 words of 3 numbers, more than it can hold"),
        (lambda whole: whole + b"more", "goes on after the 3 words of 3 numbers"),
        (lambda whole: b"9" + whole, "claims 93 words of 3 numbers, more than it can hold"),
        (lambda whole: whole.replace(b"sea ", b"\0" * 5000), "word 1 has no end"),
        (lambda whole: whole.replace(np.float32(4).tobytes(), np.float32("nan").tobytes()), "word 2 gives 'wood'"),
    ],
)
def test_a_bad_binary_file_is_refused_and_the_word_named(
    altered: Callable[[bytes], bytes], told: str, tmp_path: Path
) -> None:
    content = altered(files.word2vec_binary(SMALL, ends=b""))
    assert told in refused(files.saved(tmp_path, content, "some.bin"))


def test_a_binary_word_that_was_cut_within_a_letter_is_passed_over(tmp_path: Path) -> None:
    content = files.word2vec_binary(SMALL).replace("über".encode(), b"b\xc3")
    assert vectors.read(files.saved(tmp_path, content), ["sea", "Wood"]).rows.tolist() == [SMALL["sea"], SMALL["Wood"]]


# --- fastText -------------------------------------------------------------------------------------------------------


def test_n_grams_and_their_buckets_are_those_of_fasttext() -> None:
    # What fasttext 0.9.2 says (get_subwords, get_subword_id), of models with these options.
    grams = Grams(3, 6, 20_000)
    cut = [gram.decode() for gram in grams.of("séa")]
    assert cut == ["<sé", "<séa", "<séa>", "séa", "séa>", "éa>"]
    assert [grams.bucket(gram.encode()) for gram in ("<se", "sea", "日本語")] == [11175, 17420, 15559]
    short = Grams(2, 4, 1000)
    assert [short.bucket(gram) for gram in short.of("séa")] == [608, 968, 843, 990, 541, 937, 976, 770, 806]
    assert [gram.decode() for gram in Grams(1, 2, 9).of("ab")] == ["<a", "a", "ab", "b", "b>"]


def test_a_word_is_the_mean_of_its_row_and_its_n_grams_and_one_that_is_missing_of_its_n_grams(tmp_path: Path) -> None:
    # Each bucket holds its own number and its square: means are computed with those alone.
    buckets = [[float(number), float(number**2)] for number in range(1000)]
    path = files.saved(tmp_path, files.fasttext({"</s>": [7, 7], "séa": [100, 200]}, buckets, grams=(2, 4)))
    found = vectors.read(path, ["<unk>", "séa", "</s>", "s"])
    numbers = np.array([608, 968, 843, 990, 541, 937, 976, 770, 806], float)
    whole = np.array([[100, 200], *np.stack([numbers, numbers**2], 1)]).mean(axis=0)
    np.testing.assert_allclose(found.rows[1], whole, rtol=1e-6)
    assert found.rows[2].tolist() == [7, 7]
    of_parts = [Grams(2, 4, 1000).bucket(gram) for gram in (b"<s", b"<s>", b"s>")]
    np.testing.assert_allclose(found.rows[3], np.mean([buckets[b] for b in of_parts], axis=0), rtol=1e-6)
    assert (found.found.tolist(), found.made_of_parts) == ([False, True, True, True], 1)


def test_labels_of_a_classifier_are_no_words(tmp_path: Path) -> None:
    content = files.fasttext({"sea": [1, 2]}, grams=(0, 0), labels=["__label__wet"], model=3)
    found = vectors.read(files.saved(tmp_path, content), ["sea", "__label__wet"])
    assert (found.rows.tolist(), found.found.tolist()) == ([[1, 2], [0, 0]], [True, False])


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (files.fasttext(SMALL)[:-40], "ends too early"),
        (files.fasttext(SMALL)[:9], "ends too early"),
        (files.fasttext(SMALL)[:50], "ends too early"),
        (files.fasttext(SMALL)[:110], "ends too early"),
        (files.fasttext(SMALL, version=13), "is of version 13 of fastText's format; wanted 12"),
        (files.fasttext(SMALL, quantized=True), "is a quantized model of fastText"),
        (files.fasttext(SMALL, pruned=2), "is a quantized model of fastText"),
        (files.fasttext({"sea": [1.0, float("nan")]}), "word 1 gives 'sea' the number nan"),
        (files.fasttext(SMALL).replace(b"\x03\0\0\0\x03\0\0\0", b"\xff\xff\xff\x7f\xff\xff\xff\x7f"), "is damaged"),
        (
            files.fasttext(SMALL, [[1, 1, 1]] * 4).replace(b"\x04\0\0\0\x03\0\0\0", b"\xff\0\0\0\x03\0\0\0"),
            "is damaged",
        ),
    ],
)
def test_a_bad_model_is_refused(content: bytes, told: str, tmp_path: Path) -> None:
    assert told in refused(files.saved(tmp_path, content, "some.bin"))


def test_a_packed_model_is_refused(tmp_path: Path) -> None:
    assert "packed model of fastText" in refused(files.saved(tmp_path, files.fasttext(SMALL), "some.bin.gz"))


# --- laws -----------------------------------------------------------------------------------------------------------


@given(data=st.data(), form=st.sampled_from(sorted(FORMS)))
@settings(max_examples=80, deadline=None)
def test_whatever_happens_to_a_file_it_is_read_or_refused(
    data: st.DataObject, form: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    whole = bytearray(FORMS[form](SMALL))
    for _ in range(data.draw(st.integers(0, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path = files.saved(tmp_path_factory.mktemp("altered"), bytes(whole[: data.draw(st.integers(0, len(whole)))]))
    with suppress(DataError):
        found = vectors.read(path, ["<unk>", "sea", "wood", "über"])
        assert np.isfinite(found.rows).all() and found.found.any()


@pytest.mark.parametrize("form", ["glove", "word2vec", "fasttext"])
def test_memory_depends_on_the_words_that_are_sought_not_on_the_file(form: str, tmp_path: Path) -> None:
    many = {f"word{index}": [index] * 50 for index in range(60_000)}
    path = files.saved(tmp_path, FORMS[form](many))
    vectors.read(path, ["word7"])
    tracemalloc.start()
    try:
        found = vectors.read(path, ["word7", "word59999"])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found.rows[:, 0].tolist() == [7, 59999]
    assert peak < 8 << 20 < path.stat().st_size, f"{peak:,} bytes for two words"
