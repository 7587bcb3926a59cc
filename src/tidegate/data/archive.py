"""Read the members of a .tar.gz without ever writing one to disk, and refuse hostile archives. Knows no data set."""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from tidegate.errors import DataError
from tidegate.fetch.progress import Progress, silent

_CHUNK = 1024  # bytes skipped at a time


@dataclass(frozen=True)
class Limits:
    """Bound what an archive may hold, in members and unpacked bytes."""

    members: int = 250_000
    member_bytes: int = 64 << 20
    total_bytes: int = 1 << 30


def read_members(
    path: Path, wanted: Callable[[str], bool], *, limits: Limits | None = None, progress: Progress = silent
) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of some members, in the order of the archive.

    Every member is checked, wanted or not. Memory stays bounded by ``limits.member_bytes`` even for an archive that
    unpacks without end.

    Args:
        path: a .tar.gz file.
        wanted: says of a name whether to read that member.
        limits: what the archive may hold.
        progress: told how much of the file is read.

    Raises:
        DataError: a member has an absolute path, ``..``, a drive letter or a backslash in its name, is a link, a
            device or anything else that is neither plain file nor folder, occurs twice, or goes past the limits; or
            the archive is cut off or damaged, which may show only at its end.
    """
    limits = limits or Limits()
    seen: set[str] = set()
    size = path.stat().st_size
    try:
        with path.open("rb") as file, gzip.open(file) as unpacked:
            stream = _Bounded(unpacked, limits, path)
            with tarfile.open(fileobj=stream, mode="r:", errorlevel=2) as tar:
                for member in tar:
                    _check(member, seen, limits, path)
                    if member.isfile() and wanted(member.name):
                        yield member.name, _content(tar, member)
                    if len(seen) % 1000 == 1 and file.tell() < size:
                        progress(f"reading {path.name}", file.tell(), size)
            while rest := stream.read(_CHUNK):  # to the very end, where the checksum of gzip is compared
                if any(rest):  # tarfile takes a damaged header for the end, but an end is followed by zeros
                    raise tarfile.ReadError("there is a damaged header")
        progress(f"reading {path.name}", size, size)
    except DataError:
        raise
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, ValueError) as error:  # ValueError: odd numbers
        raise DataError(f"{path} is cut off, damaged or no .tar.gz ({error}). Delete it and fetch it again.") from error


def _check(member: tarfile.TarInfo, seen: set[str], limits: Limits, path: Path) -> None:
    name = member.name
    parts = PurePosixPath(name).parts
    if name.startswith("/") or ".." in parts or "\\" in name or PureWindowsPath(name).drive:
        raise _refusal(path, name, "points outside the archive")
    if not (member.isfile() or member.isdir()) or member.issparse():
        raise _refusal(path, name, "is a link, a device or another thing that is neither file nor folder")
    if not 0 <= member.size <= limits.member_bytes:
        raise _refusal(path, name, f"claims {member.size:,} bytes; at most {limits.member_bytes:,} are allowed")
    if str(PurePosixPath(name)) in seen and member.isfile():
        raise _refusal(path, name, "occurs twice")
    seen.add(str(PurePosixPath(name)))
    if len(seen) > limits.members:
        raise _refusal(path, name, f"is one more than the {limits.members:,} members allowed")


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    assert file is not None, "a plain file has content"
    return file.read()


def _refusal(path: Path, name: str, reason: str) -> DataError:
    return DataError(f"{path} was refused: its member {name!r} {reason}. Fetch the archive again from a trusted place.")


class _Bounded(io.RawIOBase):
    """Read forward only, while no single read and not the sum of all reads goes past the limits."""

    def __init__(self, stream: gzip.GzipFile, limits: Limits, path: Path) -> None:
        self._stream, self._limits, self._path, self._total = stream, limits, path, 0

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= self._limits.member_bytes:
            raise DataError(f"{self._path} was refused: a header in it claims {size:,} bytes.")
        data = self._stream.read(size)
        self._total += len(data)
        if self._total > self._limits.total_bytes:
            raise DataError(f"{self._path} was refused: it unpacks to more than {self._limits.total_bytes:,} bytes.")
        return data

    def tell(self) -> int:
        return self._total

    def seek(self, position: int, whence: int = io.SEEK_SET) -> int:
        assert whence == io.SEEK_SET, "tarfile seeks from the start"
        assert position >= self._total, "members are read in order"
        while self._total < position and self.read(min(position - self._total, _CHUNK)):
            pass
        return self._total
