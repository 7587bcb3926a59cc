"""Opens a file of vectors: bytes that are hashed as they are read, unpacked where they are gzipped. Knows no words."""

from __future__ import annotations

import gzip
import hashlib
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from tidegate.errors import DataError

Bytes: TypeAlias = "io.BufferedReader[Source] | gzip.GzipFile"

GZIP = b"\x1f\x8b"
_BLOCK = 1 << 20
_LARGEST_RATIO = 1032  # of what deflate unpacks to what it takes


class Source(io.RawIOBase):
    """Read a file once, from its beginning, and hash what is read."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._file = path.open("rb", buffering=0)
        self._digest = hashlib.sha256()

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        """Read the next bytes."""
        count = self._file.readinto(buffer) or 0
        self._digest.update(memoryview(buffer)[:count])
        return count

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()

    def sha256(self) -> str:
        """Read what is left, and give the hash of the whole file."""
        rest = memoryview(bytearray(_BLOCK))
        while self.readinto(rest):
            pass
        return self._digest.hexdigest()


@contextmanager
def opened(path: Path) -> Iterator[tuple[Source, Bytes]]:
    """Open a file; give what hashes it, and its bytes, unpacked.

    Raises DataError where it is no file, cannot be read, or is packed and damaged.
    """
    if not path.is_file():
        what = "is no file" if path.exists() else "is not there"
        raise DataError(f"{path} {what}; wanted a file of vectors, such as glove.6B.100d.txt.")
    try:
        with Source(path) as source, io.BufferedReader(source, _BLOCK) as plain:
            packed = plain.peek(2)[:2] == GZIP
            stream: Bytes = gzip.GzipFile(fileobj=plain) if packed else plain
            yield source, stream
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} is a packed file that is damaged or cut off ({error}). Fetch it again.") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from None


def most_bytes(path: Path, stream: Bytes) -> int:
    """Say how many bytes a file can hold, at most, once it is unpacked."""
    size = path.stat().st_size
    return size * _LARGEST_RATIO if isinstance(stream, gzip.GzipFile) else size
