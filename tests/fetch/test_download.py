"""Downloads, against a server on the loopback interface: resumed, bounded, checked, in place at once or not at all."""

from __future__ import annotations

import errno
import os
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from server import CONTENT, QUICK, Server
from tidegate import data
from tidegate.data import imdb
from tidegate.errors import DownloadError
from tidegate.fetch.download import download
from tidegate.fetch.remote import Remote


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "*")
    with Server() as running:
        yield running


def fetch(server: Server, folder: Path) -> Path:
    return download("toy", server.remote, folder / "toy" / "file.bin", patience=QUICK)


def test_a_file_arrives_whole_and_nothing_else_stays(server: Server, tmp_path: Path) -> None:
    target = fetch(server, tmp_path)
    assert target.read_bytes() == CONTENT
    assert list(target.parent.iterdir()) == [target]


def test_progress_counts_every_byte(server: Server, tmp_path: Path) -> None:
    steps: list[tuple[str, int, int]] = []
    download("toy", server.remote, tmp_path / "file.bin", progress=lambda *step: steps.append(step))
    assert steps[0] == ("downloading toy", 0, len(CONTENT))
    assert steps[-1] == ("downloading toy", len(CONTENT), len(CONTENT))
    assert [done for _, done, _ in steps] == sorted(done for _, done, _ in steps)


def test_a_dropped_connection_is_taken_up_where_it_broke(server: Server, tmp_path: Path) -> None:
    server.cuts = [300_000, 500_000]
    assert fetch(server, tmp_path).read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=300000-", "bytes=800000-"]


def test_drops_that_bring_progress_do_not_use_up_the_patience(server: Server, tmp_path: Path) -> None:
    server.cuts = [100_000] * 9
    assert fetch(server, tmp_path).read_bytes() == CONTENT


def test_the_next_call_resumes_what_the_last_one_left(server: Server, tmp_path: Path) -> None:
    server.cuts = [300_000, 0, 0, 0]
    with pytest.raises(DownloadError, match="300,000 bytes are kept"):
        fetch(server, tmp_path)
    server.cuts = []
    assert fetch(server, tmp_path).read_bytes() == CONTENT
    assert server.ranges[-1] == "bytes=300000-"


def test_a_server_that_cannot_resume_sends_all_again(server: Server, tmp_path: Path) -> None:
    server.cuts, server.resumes = [300_000], False
    assert fetch(server, tmp_path).read_bytes() == CONTENT


def test_a_server_that_resumes_elsewhere_is_not_believed(server: Server, tmp_path: Path) -> None:
    server.cuts, server.shifts = [300_000], [0, 5]
    assert fetch(server, tmp_path).read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=300000-", None]


def test_a_server_that_never_gets_further_is_given_up(server: Server, tmp_path: Path) -> None:
    server.cuts, server.resumes = [300_000] * 9, False
    with pytest.raises(DownloadError, match="the connection was cut off"):
        fetch(server, tmp_path)
    assert len(server.ranges) == 1 + QUICK.attempts


def test_a_wrong_checksum_is_refused_and_deleted(server: Server, tmp_path: Path) -> None:
    server.content = CONTENT[:-1] + b"?"
    with pytest.raises(DownloadError, match=r"SHA-256 [0-9a-f]{64}, wanted [0-9a-f]{64}"):
        fetch(server, tmp_path)
    assert list((tmp_path / "toy").iterdir()) == []


def test_a_file_left_complete_but_unchecked_is_checked(server: Server, tmp_path: Path) -> None:
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "file.bin.part").write_bytes(CONTENT)
    assert fetch(server, tmp_path).read_bytes() == CONTENT
    assert server.ranges == []


def test_a_remainder_longer_than_the_file_is_thrown_away(server: Server, tmp_path: Path) -> None:
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "file.bin.part").write_bytes(CONTENT + b"more")
    assert fetch(server, tmp_path).read_bytes() == CONTENT


def test_a_server_that_sends_too_much_is_stopped(server: Server, tmp_path: Path) -> None:
    server.content = CONTENT + b"more"
    with pytest.raises(DownloadError, match="sends more than the 1,000,000 bytes"):
        fetch(server, tmp_path)
    assert list((tmp_path / "toy").iterdir()) == []


def test_a_lasting_refusal_is_not_tried_again(server: Server, tmp_path: Path) -> None:
    server.status = 404
    with pytest.raises(DownloadError, match="answered HTTP 404"):
        fetch(server, tmp_path)
    assert len(server.ranges) == 1


def test_a_passing_refusal_is_tried_again(server: Server, tmp_path: Path) -> None:
    server.status = 503
    with pytest.raises(DownloadError, match="HTTP 503"):
        fetch(server, tmp_path)
    assert len(server.ranges) == QUICK.attempts


def test_a_range_that_cannot_be_satisfied_starts_over(server: Server, tmp_path: Path) -> None:
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "file.bin.part").write_bytes(b"old")
    server.status = 416
    with pytest.raises(DownloadError):
        fetch(server, tmp_path)
    assert server.ranges == ["bytes=3-", None, None]


def test_offline_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("TIDEGATE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TIDEGATE_DATA", raising=False)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/aclImdb_v1.tar.gz"
        monkeypatch.setattr(imdb, "REMOTE", Remote(url, 5, "0"))
        monkeypatch.setattr("tidegate.fetch.download.Patience", lambda: QUICK)
        with pytest.raises(DownloadError) as caught:
            data.load("imdb")
    message = str(caught.value)
    assert message.startswith(f"imdb could not be downloaded from {url}: ")
    assert f"put aclImdb_v1.tar.gz into {tmp_path / 'cache' / 'imdb'} or $TIDEGATE_DATA/imdb yourself" in message
    assert "bytes are kept" not in message


def test_a_disk_that_cannot_be_written_is_reported(server: Server, tmp_path: Path) -> None:
    (tmp_path / "toy").write_text("a file where the folder should be", encoding="utf-8")
    with pytest.raises(DownloadError, match="toy could not be stored in"):
        fetch(server, tmp_path)


def test_upstreams_archive_is_known_by_its_published_checksum() -> None:
    assert imdb.REMOTE.size == 84_125_825
    assert imdb.REMOTE.sha256 == "c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe"


def test_those_who_want_one_file_at_once_get_it_by_one_download(server: Server, tmp_path: Path) -> None:
    together = threading.Barrier(4)

    def fetch(_: int) -> bytes:
        together.wait()
        return download("toy", server.remote, tmp_path / "file.bin", patience=QUICK).read_bytes()

    server.cuts = [300_000, 300_000]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(fetch, range(4))) == [CONTENT] * 4
    assert server.ranges == [None, "bytes=300000-", "bytes=600000-"]
    assert [path.name for path in tmp_path.iterdir()] == ["file.bin"]


def test_what_did_not_reach_the_disk_is_not_taken_for_the_file(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(DownloadError, match="could not be stored"):
            download("toy", server.remote, tmp_path / "file.bin", patience=QUICK)
    assert list(tmp_path.iterdir()) == []
    download("toy", server.remote, tmp_path / "file.bin", patience=QUICK)
    assert server.ranges == [None, None]
