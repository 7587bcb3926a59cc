"""Pictures and sound in a message: PNG and WAV files in base64, as the sequences that they are. Knows no HTTP.

How large a picture is stands in its head, and is read before anything is unpacked: a file of some bytes can hold a
picture of gigabytes. Sound is not packed.
"""

from __future__ import annotations

import base64
import binascii
import io
import wave
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.errors import DataError, MissingPackageError, ShapeError

Array: TypeAlias = npt.NDArray[Any]

MOST_PIXELS = 2**22
_PNG = b"\x89PNG\r\n\x1a\n"
_HEAD = 24  # bytes of a PNG that hold its width and height, at 16 and at 20
_WIDTHS = (1, 2, 3, 4)  # bytes of a sample
_MODES = ("1", "L", "LA", "P", "RGB", "RGBA")


def media_cost(item: str, height: int | None = None) -> int:
    """Count the numbers that a file in base64 holds, without unpacking it; at least 1, whatever came.

    height: that pictures are scaled to, if they are; what they hold then counts where it is more.

    >>> media_cost("no picture")
    5
    """
    coded = _coded(item)
    size = _png_size(_decoded(coded[: 4 * _HEAD // 3])) if _is_png(item) else None
    if size is None:
        return len(coded) // 2
    width, own = size
    return max(width * own, 0 if height is None else width * height**2 // max(1, own)) + 1


def read_media(
    item: str, features: int, where: str, unfold: Callable[[bytes, str], Array | None] | None = None
) -> Array:
    """Read a picture or sound as steps `[T, features]`.

    A picture gives a step for each row, from the top, of its pixels from 0 (black) to 1 (white), or a step for each
    pixel where the model reads one number at a time. Colours are turned to gray, and what is transparent is black.
    Sound gives a step for each moment, from -1 to 1, with a number for each channel.

    Args:
        item: the file in base64, with or without `data:image/png;base64,` before it.
        features: numbers of a step of the model.
        where: what the item is called in an error.
        unfold: reads the content in another manner, unless it gives None; pictures too large never come to it.

    Raises:
        DataError: it is no PNG or WAV, is broken, or too large.
        ShapeError: its width, or its channels, are not what the model reads.
        MissingPackageError: pictures need Pillow.
    """
    data = _decoded(_coded(item))
    if data.startswith(_PNG):
        size = _sound_size(data, where)
        seen = None if unfold is None else unfold(data, where)
        return _read_png(data, size, features, where) if seen is None else seen
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        heard = None if unfold is None else unfold(data, where)
        return _read_wav(data, features, where) if heard is None else heard
    raise DataError(f"{where} is a text; wanted steps of numbers, or a PNG or WAV file in base64.")


def unpack(
    given: Sequence[Any], features: int, unfold: Callable[[bytes, str], Array | None] | None = None
) -> list[Any]:
    """Read the pictures and sounds among sequences; what is none stays as it is.

    `unfold` reads the content of a file in the manner of a task, whose name in an error it is told.

    Raises as `read_media`, and DataError where all pictures together have more pixels than one may have, as
    they came or scaled to the height of lines that a task reads, `features`.
    """
    height = None if unfold is None else features
    pictures = [item for item in given if isinstance(item, str) and _is_png(item)]
    if sum(media_cost(item, height) for item in pictures) > MOST_PIXELS + len(given):
        raise DataError(f"the pictures have more than {MOST_PIXELS:,} pixels together. Send fewer at a time.")
    return [
        read_media(item, features, f"sequences[{index}]", unfold) if isinstance(item, str) else item
        for index, item in enumerate(given)
    ]


def _sound_size(data: bytes, where: str) -> tuple[int, int]:
    """Read the size of a picture; raises DataError where it has none, or too many pixels."""
    size = _png_size(data)
    if size is None or size[0] * size[1] > MOST_PIXELS:
        told = "has no size" if size is None else f"is {size[0]} by {size[1]}"
        raise DataError(f"{where}: the picture {told}; {MOST_PIXELS:,} pixels are taken at most.")
    return size


def _read_png(data: bytes, size: tuple[int, int], features: int, where: str) -> Array:
    try:
        from PIL import Image
    except ModuleNotFoundError:
        raise MissingPackageError.of("pillow", "serve", "a picture in a request") from None
    if features not in (1, size[0]):
        told = f"the picture is {size[0]} pixels wide; the model reads steps of {features} numbers"
        raise ShapeError(f"{where}: {told}. Scale it to that width.")
    try:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as picture:
            if picture.size != size or picture.mode not in _MODES:
                raise DataError(f"{where}: a picture of the kind {picture.mode} is not read. Save it with 8 bits.")
            seen = picture.convert("RGBA")
    except (OSError, SyntaxError, ValueError, EOFError) as error:  # what Pillow raises for a broken file
        raise DataError(f"{where} is no sound PNG: {error}.") from None
    black = Image.new("RGBA", size, (0, 0, 0, 255))
    gray = np.asarray(Image.alpha_composite(black, seen).convert("L"), np.float32) / np.float32(255)  # [H, W]
    return gray.reshape(-1, features)


def _read_wav(data: bytes, features: int, where: str) -> Array:
    try:
        with wave.open(io.BytesIO(data)) as sound:
            channels, width = sound.getnchannels(), sound.getsampwidth()
            frames = sound.readframes(sound.getnframes())
    except (wave.Error, EOFError, ValueError, RuntimeError) as error:
        raise DataError(f"{where} is no sound WAV with plain samples: {error}.") from None
    if width not in _WIDTHS:
        raise DataError(f"{where}: samples of {width} bytes are not read; wanted 1 to 4.")
    if channels != features:
        told = f"the sound has {channels} channels; the model reads steps of {features} numbers"
        raise ShapeError(f"{where}: {told}. Send what it was trained on, as steps of numbers.")
    whole = frames[: len(frames) // (channels * width) * channels * width]
    return (_samples(whole, width) / np.float32(2 ** (8 * width - 1))).astype(np.float32).reshape(-1, channels)


def _samples(frames: bytes, width: int) -> Array:
    """Read whole numbers of `width` bytes, the lowest first; those of one byte count from 128, as WAV has it."""
    if width == 1:
        return np.frombuffer(frames, np.uint8).astype(np.int32) - 128
    if width == 3:
        padded = np.zeros((len(frames) // 3, 4), np.uint8)
        padded[:, 1:] = np.frombuffer(frames, np.uint8).reshape(-1, 3)
        return padded.reshape(-1).view("<i4") >> 8
    return np.frombuffer(frames, f"<i{width}")


def _png_size(data: bytes) -> tuple[int, int] | None:
    """Read the width and height of a picture from its head; None where there is none."""
    if len(data) < _HEAD or data[12:16] != b"IHDR":
        return None
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")


def _is_png(item: str) -> bool:
    return _coded(item).startswith("iVBORw0KGgo")


def _coded(item: str) -> str:
    return item.partition(",")[2] if item.startswith("data:") else item


def _decoded(coded: str) -> bytes:
    """Decode base64; of what is none, nothing is left."""
    try:
        return base64.b64decode(coded, validate=True)
    except (binascii.Error, ValueError):
        return b""
