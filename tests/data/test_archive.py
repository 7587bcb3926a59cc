"""Archives: what is read from good ones, and that the hostile ones of tests/hostile/archives are refused."""

from __future__ import annotations

import gzip
import io
import random
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from tidegate.data.archive import Limits, read_members
from tidegate.errors import DataError

SMALL = Limits(members=20, member_bytes=4096, total_bytes=200_000)
Member = tuple[tarfile.TarInfo, bytes]


def plain(name: str, content: bytes = b"text") -> Member:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    return info, content


def special(name: str, kind: bytes, target: str = "") -> Member:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info, b""


def pack(path: Path, members: Iterable[Member]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    return path


def read_all(path: Path, limits: Limits = SMALL) -> list[tuple[str, bytes]]:
    return list(read_members(path, lambda name: name.endswith(".txt"), limits=limits))


def test_only_wanted_members_are_read_and_in_order(tmp_path: Path) -> None:
    folder = special("a", tarfile.DIRTYPE)
    path = pack(tmp_path / "a.tar.gz", [folder, plain("a/2.txt", b"two"), plain("a/x.feat"), plain("a/1.txt", b"")])
    assert read_all(path) == [("a/2.txt", b"two"), ("a/1.txt", b"")]


def test_progress_runs_from_start_to_end_of_the_file(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.tar.gz", [plain("1.txt")])
    seen: list[tuple[str, int, int]] = []
    list(read_members(path, lambda _: True, progress=lambda *step: seen.append(step)))
    assert seen[-1] == ("reading a.tar.gz", path.stat().st_size, path.stat().st_size)


def test_a_file_exactly_at_the_limits_is_read(tmp_path: Path) -> None:
    members = [plain(f"{i}.txt", b"x" * SMALL.member_bytes) for i in range(SMALL.members)]
    full = b"x" * SMALL.member_bytes
    assert read_all(pack(tmp_path / "a.tar.gz", members)) == [(f"{i}.txt", full) for i in range(SMALL.members)]


HOSTILE: dict[str, tuple[Callable[[], list[Member]], str]] = {
    "absolute path": (lambda: [plain("/etc/passwd")], "'/etc/passwd' points outside"),
    "parent path": (lambda: [plain("aclImdb/../../x.txt")], "points outside"),
    "backslash path": (lambda: [plain("..\\x.txt")], "points outside"),
    "drive path": (lambda: [plain("C:x.txt")], "points outside"),
    "symbolic link": (lambda: [special("1.txt", tarfile.SYMTYPE, "/etc/passwd")], "'1.txt' is a link, a device"),
    "hard link": (lambda: [plain("0.txt"), special("1.txt", tarfile.LNKTYPE, "0.txt")], "'1.txt' is a link"),
    "device": (lambda: [special("1.txt", tarfile.CHRTYPE)], "is a link, a device"),
    "pipe": (lambda: [special("1.txt", tarfile.FIFOTYPE)], "is a link, a device"),
    "sparse file": (lambda: [special("1.txt", tarfile.GNUTYPE_SPARSE)], "is a link, a device"),
    "twice": (lambda: [plain("1.txt", b"a"), plain("./1.txt", b"b")], "occurs twice"),
    "large member": (lambda: [plain("1.bin", b"x" * 4097)], r"claims 4,097 bytes; at most 4,096"),
    "many members": (lambda: [plain(f"{i}.bin") for i in range(21)], "more than the 20 members"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_is_refused(name: str, tmp_path: Path) -> None:
    members, says = HOSTILE[name]
    path = pack(tmp_path / "a.tar.gz", members())
    with pytest.raises(DataError, match=says):
        read_all(path)


def test_an_archive_that_unpacks_without_end_is_stopped(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.tar.gz", [plain(f"{i}.bin", b"x" * 4096) for i in range(20)])
    assert path.stat().st_size < 2000
    with pytest.raises(DataError, match="unpacks to more than 50,000 bytes"):
        read_all(path, Limits(members=20, member_bytes=4096, total_bytes=50_000))


def test_zeros_after_the_end_of_the_archive_are_bounded_too(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(bytes(10_000_000)))
    with pytest.raises(DataError, match="unpacks to more than 200,000 bytes"):
        read_all(path)


def test_a_header_that_claims_to_be_huge_is_refused_before_it_is_read(tmp_path: Path) -> None:
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, 1 << 40
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(100_000)))
    with pytest.raises(DataError, match="a header in it claims 1,099,511,627,776 bytes"):
        read_all(path)


@pytest.mark.parametrize("keep", [0, 10, 200, -9, -1])
def test_an_archive_that_is_cut_off_is_refused(keep: int, tmp_path: Path) -> None:
    noise = random.Random(0).randbytes(3000)
    path = pack(tmp_path / "a.tar.gz", [plain("1.txt", noise)])
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match="cut off, damaged or no"):
        read_all(path)


def test_a_flipped_byte_is_noticed_wherever_it_is(tmp_path: Path) -> None:
    good = pack(tmp_path / "a.tar.gz", [plain("1.txt", bytes(range(256)) * 8), plain("2.txt", b"end")]).read_bytes()
    expected = read_all(tmp_path / "a.tar.gz")
    for place in range(10, len(good), 7):
        (tmp_path / "a.tar.gz").write_bytes(good[:place] + bytes([good[place] ^ 0x10]) + good[place + 1 :])
        try:
            assert read_all(tmp_path / "a.tar.gz") == expected  # such as a byte of the time stamp
        except DataError:
            continue


def test_a_damaged_header_in_the_middle_does_not_pass_for_the_end(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.tar.gz", [plain("1.txt", b"x" * 512), plain("2.txt", b"y" * 512)])
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[1024 + 150] ^= 0xFF  # within the second header: its own checksum no longer holds
    path.write_bytes(gzip.compress(bytes(content)))
    with pytest.raises(DataError, match="damaged"):
        read_all(path)


def test_a_member_shorter_than_its_header_says_is_refused(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.tar.gz", [plain("1.txt", b"x" * 2000)])
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:1024]))
    with pytest.raises(DataError, match="cut off"):
        read_all(path)


def test_plain_text_under_the_name_of_an_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    path.write_text("<html>404</html>", encoding="utf-8")
    with pytest.raises(DataError, match=r"no \.tar\.gz"):
        read_all(path)
