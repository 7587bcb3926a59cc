"""IMDB: upstream's layout, the cached form, and, where the real archive lies on this machine, the real reviews."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest

from tidegate import data
from tidegate.errors import DataError, InputError
from tidegate.fetch.progress import silent

REVIEWS = {
    "train/neg/10_2.txt": "Ten.",
    "train/neg/9_1.txt": "Nine<br /><br />bad.",
    "train/pos/0_9.txt": "Gut gemacht \u2013 na\u00efve \U0001f600",
    "test/neg/0_2.txt": "No.",
    "test/pos/1_10.txt": "Yes.",
    "train/unsup/0_0.txt": "Who knows.",
}
EXTRAS = ["README", "imdb.vocab", "train/labeledBow.feat", "train/urls_neg.txt", "test/urls_pos.txt"]


def write_archive(folder: Path, reviews: dict[str, bytes]) -> Path:
    path = folder / "imdb" / "aclImdb_v1.tar.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as tar:
        for name, content in (dict.fromkeys(EXTRAS, b"0 1:2") | reviews).items():
            info = tarfile.TarInfo(f"aclImdb/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TIDEGATE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("TIDEGATE_CACHE", str(tmp_path / "cache"))
    return write_archive(tmp_path / "data", {name: text.encode() for name, text in REVIEWS.items()})


def load(**arguments: bool) -> data.Dataset:
    return data.load("imdb", progress=silent, **arguments)  # type: ignore[arg-type]


def test_reviews_come_with_their_labels_in_the_order_of_their_numbers(archive: Path) -> None:
    dataset = load()
    assert dataset.train.x == ["Nine<br /><br />bad.", "Ten.", "Gut gemacht \u2013 na\u00efve \U0001f600"]
    assert dataset.train.y == ["neg", "neg", "pos"]
    assert dataset.test is not None
    assert (dataset.test.x, dataset.test.y) == (["No.", "Yes."], ["neg", "pos"])
    assert (dataset.classes, dataset.kind, dataset.valid, dataset.unlabelled) == (("neg", "pos"), "text", None, None)
    assert "Maas" in dataset.citation


def test_unlabelled_reviews_come_when_asked_for(archive: Path) -> None:
    assert load(unlabelled=True).unlabelled == ["Who knows."]


def test_the_second_load_does_not_read_the_archive(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load(unlabelled=True)
    monkeypatch.setattr("tidegate.data.archive.read_members", None)
    again = load(unlabelled=True)
    assert (again.train.x, again.train.y, again.unlabelled) == (first.train.x, first.train.y, first.unlabelled)


def test_a_changed_archive_is_read_again(archive: Path) -> None:
    load()
    write_archive(archive.parent.parent, dict.fromkeys(REVIEWS, b"New."))
    assert load().train.x == ["New."] * 3


def test_a_cached_form_that_is_cut_off_or_altered_is_built_again(archive: Path, tmp_path: Path) -> None:
    expected = load().train.x
    cached = tmp_path / "cache" / "imdb" / "labelled.texts"
    good = cached.read_bytes()
    damages = [b"", b"no text", good[:5], good[:60], good[:-1], good + b"x"]
    damages += [good[:place] + bytes([good[place] ^ 0xFF]) + good[place + 1 :] for place in range(0, len(good), 3)]
    for damaged in damages:
        cached.write_bytes(damaged)
        assert load().train.x == expected


def test_a_cache_that_cannot_be_written_costs_a_warning_only(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be", encoding="utf-8")
    with pytest.warns(UserWarning, match="will be read again next time"):
        assert len(load().train) == 3


def test_no_temporary_files_stay_in_the_cache(archive: Path, tmp_path: Path) -> None:
    load()
    assert sorted(path.name for path in (tmp_path / "cache" / "imdb").iterdir()) == [
        "labelled.texts",
        "unlabelled.texts",
    ]


def test_get_prepares_and_path_finds(archive: Path, tmp_path: Path) -> None:
    assert data.path("imdb") == archive
    assert data.get("imdb", progress=silent) == archive
    assert (tmp_path / "cache" / "imdb" / "labelled.texts").exists()


def test_the_data_folder_comes_before_the_cache(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cached = write_archive(tmp_path / "cache", dict.fromkeys(REVIEWS, b"Cached."))
    assert data.path("imdb") == archive
    monkeypatch.delenv("TIDEGATE_DATA")
    assert data.path("imdb") == cached
    assert load().train.x == ["Cached."] * 3


def test_an_archive_without_the_reviews_is_refused(archive: Path) -> None:
    write_archive(archive.parent.parent, {"train/neg/0_1.txt": b"alone"})
    with pytest.raises(DataError, match=r"holds no aclImdb/train/pos/\*\.txt; it is not the Large Movie Review"):
        load()


def test_a_review_that_is_not_utf8_is_named_with_its_byte(archive: Path) -> None:
    write_archive(archive.parent.parent, dict.fromkeys(REVIEWS, b"caf\xe9"))
    with pytest.raises(DataError, match=r"aclImdb/train/neg/10_2\.txt, byte 3 \(0xe9\) is not UTF-8"):
        load()


def test_columns_make_no_sense_for_a_data_set(archive: Path) -> None:
    with pytest.raises(InputError, match="imdb has none to choose"):
        data.load("imdb", text="review")


REAL = Path(os.environ.get("TIDEGATE_DATA", "")) / "imdb" / "aclImdb_v1.tar.gz"
needs_real = pytest.mark.skipif(not REAL.is_file(), reason="the IMDB archive is not in $TIDEGATE_DATA/imdb")


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> data.Dataset:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIDEGATE_CACHE", str(tmp_path_factory.mktemp("cache")))
        first = data.load("imdb", progress=silent, unlabelled=True)
        started = time.perf_counter()
        again = data.load("imdb", progress=silent)
        seconds = time.perf_counter() - started
    assert again.train.x == first.train.x
    assert seconds < 3, "50,000 cached reviews load in 0.2 s on a quiet machine"
    return first


@needs_real
def test_the_real_archive_holds_what_upstream_says(real: data.Dataset) -> None:
    assert real.test is not None
    assert real.unlabelled is not None
    assert [len(real.train), len(real.test), len(real.unlabelled)] == [25_000, 25_000, 50_000]
    for part in (real.train, real.test):
        assert [list(part.y).count(label) for label in ("neg", "pos")] == [12_500, 12_500]
    first = "Story of a man who has unnatural feelings for a pig."  # begins train/neg/0_3.txt
    assert str(real.train.x[0]).startswith(first)


@needs_real
def test_the_real_parts_share_the_texts_that_upstream_shares(real: data.Dataset) -> None:
    def digests(texts: object) -> set[bytes]:
        assert isinstance(texts, list)
        return {hashlib.sha256(text.encode()).digest() for text in texts}

    assert real.test is not None
    shared = digests(real.train.x) & digests(real.test.x)
    assert len(shared) == 123


@needs_real
def test_real_reviews_give_a_full_vocabulary_and_no_line_breaks(real: data.Dataset) -> None:
    assert isinstance(real.train.x, list)
    texts = real.train.x[::10]
    tokenizer = data.tokenizer.train_words(texts, 10_000)
    encoded = tokenizer.encode(texts, max_tokens=500)
    assert tokenizer.size == 10_000
    assert "br" not in tokenizer.vocabulary
    assert tokenizer.vocabulary[1] == "the"
    assert int(encoded.lengths.max()) == 500
    unknown = float(np.mean(encoded.values == 0))
    assert 0.0 < unknown < 0.08
