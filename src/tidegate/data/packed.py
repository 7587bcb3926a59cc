"""Read files that may be packed by gzip, and one member of a zip, never beyond a bound. Knows no format inside."""

from __future__ import annotations

import gzip
import os
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tidegate.errors import DataError, InputError

GZ = ".gz"

_LEAST_BOUND, _MOST_GROWTH = 64 << 20, 100  # bytes that a packed file may become, or its size times so much
_CHUNK = 1 << 16


def most_bytes(path: Path) -> int:
    """Say how many bytes a packed file may become: 100 times its own and at least 64 MiB, or `TIDEGATE_MAX_BYTES`."""
    said = os.environ.get("TIDEGATE_MAX_BYTES", "")
    if said and not said.isdecimal():
        raise InputError(f"TIDEGATE_MAX_BYTES is {said!r}, but a whole number of bytes was wanted.")
    return int(said) if said else max(_LEAST_BOUND, _MOST_GROWTH * path.stat().st_size)


def plain_name(path: Path) -> Path:
    """Give the name that a file has unpacked.

    >>> plain_name(Path("train.de.gz")).name, plain_name(Path("train.de")).name
    ('train.de', 'train.de')
    """
    return path.with_suffix("") if path.suffix.lower() == GZ else path


def read_chunks(path: Path) -> Iterator[bytes]:
    """Give the content of a file piece by piece, unpacked where its name ends in `.gz`.

    Raises DataError where it cannot be read, is damaged, or unpacks to more than `most_bytes`.
    """
    with _telling(path):
        if path.suffix.lower() == GZ:
            with gzip.open(path) as file:
                yield from _bounded(file, path)
        else:
            with path.open("rb") as plain:
                yield from iter(lambda: plain.read(_CHUNK), b"")


def read_zipped(path: Path, member: str) -> bytes:
    """Read one member of a zip.

    Raises DataError where the zip cannot be read, is damaged, has no such member, or one of more than `most_bytes`.
    """
    with _telling(path), zipfile.ZipFile(path) as archive:
        if member not in archive.namelist():
            raise DataError(f"{path} holds no {member}. Fetch it again, or take that which the documents name.")
        with archive.open(member) as file:
            return b"".join(_bounded(file, path))


def _bounded(file: IO[bytes] | gzip.GzipFile, path: Path) -> Iterator[bytes]:
    left = most_bytes(path)
    while chunk := file.read(_CHUNK):
        left -= len(chunk)
        if left < 0:
            raise DataError(
                f"{path} has {path.stat().st_size:,} bytes and unpacks to more than {most_bytes(path):,}. Where that "
                "is as it should be, set TIDEGATE_MAX_BYTES to as many as may be read."
            )
        yield chunk


@contextmanager
def _telling(path: Path) -> Iterator[None]:
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        # RuntimeError and NotImplementedError: a zip with a password, or packed in a way that Python does not know
        raise DataError(f"{path} is cut off or damaged ({error}). Fetch it again, or pack it anew.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error
