"""See that an Ogg file is whole, page by page, as RFC 3533 has them. Decodes nothing.

Decoders skip what is damaged and end where the file does, without a word: half a file would be half a recording.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import BinaryIO

from tidegate.errors import DataError

_CAPTURE, _HEADER = b"OggS", 27
_FIRST, _LAST = 2, 4  # flags of a page
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def check_ogg(path: Path) -> None:
    """Raise DataError where a page is cut off, damaged or missing, a stream has no last page, or another one follows.

    Streams side by side, as of sound and of a picture, are all looked at.
    """
    numbers: dict[bytes, int] = {}  # of the next page of each stream that is open
    ended = 0
    with path.open("rb") as file:
        while header := file.read(_HEADER):
            page = _read_page(file, header, f"{path}, byte {file.tell() - len(header):,}")
            flags, stream, number = page[5], page[14:18], int.from_bytes(page[18:22], "little")
            if flags & _FIRST:
                if ended:
                    raise DataError(f"{path} holds recordings one after another, and one is wanted. Part them.")
                numbers[stream] = number
            if numbers.get(stream) != number:
                raise DataError(f"{path} lacks pages before byte {file.tell() - len(page):,}. Copy it again.")
            numbers[stream] = number + 1
            if flags & _LAST:
                del numbers[stream]
                ended += 1
    if numbers or not ended:
        raise DataError(f"{path} is cut off: its last page is missing. Copy it again, or write it again to its end.")


def _read_page(file: BinaryIO, header: bytes, where: str) -> bytes:
    """Read the rest of a page; its checksum must be right."""
    if header[:4] != _CAPTURE:
        raise DataError(f"{where}: no page of an Ogg file begins there. It is damaged; copy it again.")
    sizes = file.read(header[-1])
    page = header + sizes + file.read(sum(sizes))
    if len(header) < _HEADER or len(sizes) < header[-1] or len(page) < _HEADER + len(sizes) + sum(sizes):
        raise DataError(f"{where}: the file is cut off in the middle of a page. Copy it again.")
    if _checksum(page[:22] + bytes(4) + page[26:]) != int.from_bytes(page[22:26], "little"):
        raise DataError(f"{where}: a page is damaged, as its checksum tells. Copy the file again.")
    return page


def _checksum(page: bytes) -> int:
    """Compute the CRC-32 of Ogg: the polynomial of zlib, but bits from the left, from 0, and not inverted."""
    mirrored = zlib.crc32(page.translate(_MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2)
