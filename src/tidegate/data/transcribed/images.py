"""Read pictures of lines as pixel columns of one height. Needs Pillow, which decodes; greys and scales are our own."""

from __future__ import annotations

import io
import struct
import warnings
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tidegate.data.transcribed.recordings import Signal
from tidegate.data.transcribed.scaling import Grey, scale, width_at
from tidegate.errors import DataError, MissingPackageError

if TYPE_CHECKING:
    from PIL import Image

PICTURES = (".png", ".tif", ".tiff", ".jpg", ".jpeg")
HEIGHT = 48
_FORMATS = ("PNG", "TIFF", "JPEG")
_DAMAGED = (
    ArithmeticError,
    LookupError,
    OSError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
)  # as Pillow tells it
_LEAST_HEIGHT = 8
_MOST_WIDTH = 1 << 15
_CORNER = 3  # pixels of each side
_RED, _GREEN, _BLUE = 299, 587, 114  # thousandths of a grey, as ITU-R BT.601 weighs them


@dataclass(frozen=True)
class Looking:
    """Say how pictures of lines are to be read.

    height: of all lines, in pixels.
    invert: the lines are white on black.
    """

    height: int = HEIGHT
    invert: bool = False


def read_picture(source: Path | bytes, where: str) -> Grey:
    """Read a .png, .tif or .jpg picture as grey [h, w], upright, what is transparent white.

    Raises:
        DataError: it cannot be read or decoded, has several pages, or claims more pixels than Pillow takes for sane.
        MissingPackageError: Pillow is not installed.
    """
    if find_spec("PIL") is None:
        raise MissingPackageError.of("pillow", "lines", "reading pictures")
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        if not (len(source) if isinstance(source, bytes) else source.stat().st_size):
            raise DataError(f"{where} is empty: it has no byte. Copy it again.")
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=_FORMATS) as picture:
                if (pages := getattr(picture, "n_frames", 1)) > 1:
                    raise DataError(f"{where} has {pages} pages, and one is wanted. Save each as a file.")
                picture.load()
                return _grey(ImageOps.exif_transpose(picture), where)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise DataError(f"{where} was refused: {error} Cut the picture into lines first.") from None
    except UnidentifiedImageError:
        raise DataError(f"{where} is no picture of the formats {', '.join(_FORMATS)}. Save it as PNG.") from None
    except DataError:
        raise
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise DataError(f"{where} cannot be read: {error.strerror}.") from None
    except _DAMAGED as error:
        raise DataError(f"{where} cannot be decoded: {error}. Save it as PNG.") from None


def columns(picture: Grey, where: str, how: Looking) -> Signal:
    """Turn a picture of a line [h, w] into columns [width, height], 0 paper and 1 ink.

    Raises DataError where it is less than 8 pixels high or more than 32,768 wide at its own or the wanted height.
    """
    h, w = picture.shape
    width = width_at(how.height, picture.shape) if h and w else 0
    if h < _LEAST_HEIGHT or not w:
        raise DataError(f"{where} is {w} x {h} pixels; a line is at least {_LEAST_HEIGHT} high. Scan it finer.")
    if max(w, width) > _MOST_WIDTH:
        told = f"{where} is {w:,} x {h:,} pixels, {width:,} wide at a height of {how.height}"
        raise DataError(f"{told}; {_MOST_WIDTH:,} are the most. Cut it into lines.")
    scaled = scale(picture, how.height, width)
    ink = scaled if how.invert else 255 - scaled
    return np.ascontiguousarray(ink.T).astype(np.float32) / np.float32(255)


def is_inverted(picture: Grey, *, cut: bool = False) -> bool:
    """Tell whether a line is white on black, by the median of its corners.

    cut: it was cut out by a polygon, so that the corners are not of the picture; the median of all of it tells.
    """
    if cut:
        return bool(np.median(picture) < 128)
    tops, lefts = picture[:_CORNER], picture[-_CORNER:]
    corners = [rows[:, side] for rows in (tops, lefts) for side in (slice(_CORNER), slice(-_CORNER, None))]
    return bool(np.median(np.concatenate([corner.ravel() for corner in corners])) < 128)


def _grey(picture: Image.Image, where: str) -> Grey:
    mode = picture.mode
    if mode == "F":
        raise DataError(f"{where} holds floating point numbers. Save it with 8 or 16 bits.")
    if mode == "1":
        return np.asarray(picture).astype(np.uint8) * np.uint8(255)
    if mode.startswith("I"):
        deep = np.asarray(picture).astype(np.int64)
        return ((np.clip(deep, 0, 65535) + 128) // 257).astype(np.uint8)
    if mode == "L" and "transparency" not in picture.info:
        return np.asarray(picture)
    parts = np.asarray(picture.convert("RGBA")).astype(np.int64)  # [h, w, 4]
    grey = (_RED * parts[..., 0] + _GREEN * parts[..., 1] + _BLUE * parts[..., 2] + 500) // 1000
    return _on_white(grey, parts[..., 3])


def _on_white(grey: npt.NDArray[np.int64], opacity: npt.NDArray[np.int64]) -> Grey:
    return ((grey * opacity + 255 * (255 - opacity) + 127) // 255).astype(np.uint8)
