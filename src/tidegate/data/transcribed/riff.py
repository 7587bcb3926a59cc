"""Read .wav files without trusting them: no size that a header claims is believed before the file is seen to have it.

Knows neither rates nor channels that anyone wants. 8, 16, 24 and 32 bit integers and 32 and 64 bit floats are read.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from tidegate.errors import DataError

_MOST_BYTES = 1 << 31
_LONGEST_FORMAT = 4096  # bytes of a chunk `fmt `, which has 16 to 40
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_OTHERS = {
    2: "Microsoft ADPCM", 6: "A-law", 7: "mu-law", 17: "IMA ADPCM", 20: "G.723 ADPCM", 49: "GSM 6.10",
    64: "G.721 ADPCM", 80: "MPEG", 85: "MP3", 255: "AAC", 353: "Windows Media Audio",
}  # fmt: skip
_MOST_CHANNELS = 64


@dataclass(frozen=True, eq=False)
class Sound:
    """Hold samples [T, channels] float32 from -1 to 1, and how many there are in a second."""

    samples: npt.NDArray[np.float32]
    rate: int


@dataclass(frozen=True)
class _Format:
    code: int
    channels: int
    rate: int
    bits: int


def read_wav(source: Path | bytes, where: str) -> Sound:
    """Read a .wav file, or the content of one; `where` names it in a message.

    Integers are divided by the largest magnitude that they can have; floats are taken as they are.

    Raises DataError for a file that is cut off, of another format (named), or whose header contradicts itself.
    """
    size = len(source) if isinstance(source, bytes) else source.stat().st_size
    with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
        _check_beginning(where, file.read(12))
        found: _Format | None = None
        while len(header := file.read(8)) == 8:
            name, length = header[:4], int.from_bytes(header[4:], "little")
            rest = size - file.tell()
            if length > rest:
                part = name.decode("latin-1")
                raise DataError(
                    f"{where} is cut off: its part {part!r} claims {length:,} bytes, but {rest:,} follow. "
                    "Copy it again, or write it again with the right sizes."
                )
            if name == b"data":
                if found is None:
                    raise DataError(f"{where} has samples before their format, so nobody can tell what they are.")
                return Sound(_decode(where, _content(where, file, length), found), found.rate)
            if name == b"fmt ":
                found = _read_format(where, file.read(min(length, _LONGEST_FORMAT)))
                file.seek(max(0, length - _LONGEST_FORMAT), 1)
            else:
                file.seek(length, 1)
            file.seek(length & 1, 1)  # parts begin at even bytes
    raise DataError(f"{where} has no samples: the part 'data' of a .wav file is missing. It may be cut off.")


def _check_beginning(where: str, beginning: bytes) -> None:
    if not beginning:
        raise DataError(f"{where} is no .wav file: it is empty. Copy it again.")
    if beginning[:4] in (b"RIFX", b"RF64", b"BW64"):
        kind = beginning[:4].decode()
        raise DataError(f"{where} is a file of the kind {kind}, which is not read. Write it as an ordinary .wav file.")
    if beginning[:4] != b"RIFF" or beginning[8:] != b"WAVE":
        raise DataError(f"{where} is no .wav file: it begins with {beginning!r}, not with RIFF and WAVE.")


def _content(where: str, file: BinaryIO, length: int) -> bytes:
    if length > _MOST_BYTES:
        raise DataError(f"{where} has {length:,} bytes of samples; {_MOST_BYTES:,} are the most. Cut it into pieces.")
    return file.read(length)


def _read_format(where: str, part: bytes) -> _Format:
    if len(part) < 16:
        raise DataError(f"{where} says in {len(part)} bytes what its samples are; 16 are wanted. It may be damaged.")
    code, channels, rate, _, block, bits = struct.unpack("<HHIIHH", part[:16])
    if code == _EXTENSIBLE and len(part) >= 26:
        code = int.from_bytes(part[24:26], "little")
    if code not in (_PCM, _FLOAT):
        name = _OTHERS.get(code, f"number {code}")
        raise DataError(f"{where} is coded as {name}; read are PCM of 8 to 32 bits and floats. Write it as 16 bit PCM.")
    if bits not in ((8, 16, 24, 32) if code == _PCM else (32, 64)):
        kind = "PCM" if code == _PCM else "floats"
        raise DataError(f"{where} has {kind} of {bits} bits; read are PCM of 8, 16, 24, 32 and floats of 32, 64 bits.")
    if not (1 <= channels <= _MOST_CHANNELS and 1 <= rate <= 1_000_000):
        raise DataError(f"{where} claims {channels} channels and {rate:,} samples a second. It is damaged.")
    if block != channels * bits // 8:
        wanted = f"{channels} of {bits} bits make {channels * bits // 8}"
        raise DataError(f"{where} claims {block} bytes for the samples of a moment, but {wanted}. It is damaged.")
    return _Format(code, channels, rate, bits)


def _decode(where: str, content: bytes, form: _Format) -> npt.NDArray[np.float32]:
    """Turn bytes into samples [T, channels]."""
    width = form.bits // 8
    if len(content) % (width * form.channels):
        raise DataError(f"{where} is cut off in the middle of a sample: {len(content):,} bytes. Copy it again.")
    if form.code == _FLOAT:
        samples = np.frombuffer(content, f"<f{width}").astype(np.float32)
    elif width == 1:
        samples = (np.frombuffer(content, np.uint8).astype(np.float32) - 128) / np.float32(128)
    elif width == 3:
        parts = np.frombuffer(content, np.uint8).reshape(-1, 3)
        filled = np.zeros((len(parts), 4), np.uint8)  # 24 bits above 8 zeros, so that the sign is where int32 has it
        filled[:, 1:] = parts
        samples = (filled.view("<i4")[:, 0] >> 8).astype(np.float32) / np.float32(1 << 23)
    else:
        whole = np.frombuffer(content, f"<i{width}")
        samples = (whole.astype(np.float64) / (1 << (form.bits - 1))).astype(np.float32)
    return samples.reshape(-1, form.channels)
