"""Read features that others computed: Sphinx files, whose count is big-endian, and arrays of NumPy."""

from __future__ import annotations

from pathlib import Path
from tokenize import TokenError

import numpy as np

from tidegate.data.transcribed.recordings import Signal
from tidegate.errors import DataError

SPHINX, NUMPY = (".mfc",), (".npy",)
FEATURES = (*SPHINX, *NUMPY)
SPHINX_WIDTH = 13  # mel cepstra of a frame, as Sphinx computes them unless told otherwise
_MOST_BYTES = 1 << 31
_WIDEST = 1 << 20  # numbers of a frame
_NO_HEADER = (  # what NumPy raises of a header that is damaged, or made to do harm
    ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, OSError, RecursionError, SyntaxError,
    TokenError, TypeError, ValueError,
)  # fmt: skip
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
    (3, 0): np.lib.format.read_array_header_2_0,  # they differ in the names of fields, which no number has
}


def read_features(path: Path, width: int = SPHINX_WIDTH) -> Signal:
    """Read frames [T, width] of a .mfc file, or [T, C] of a .npy file; raises DataError where it cannot be that."""
    size = path.stat().st_size
    if size > _MOST_BYTES:
        raise DataError(f"{path} has {size:,} bytes; {_MOST_BYTES:,} are the most. Cut it into pieces.")
    if path.suffix.lower() in SPHINX:
        return decode_sphinx(path.read_bytes(), str(path), width)
    return _read_numpy(path)


def decode_sphinx(content: bytes, where: str, width: int = SPHINX_WIDTH) -> Signal:
    r"""Read the frames [T, width] of a Sphinx file: how many numbers, as a big-endian int32, and those as float32.

    The numbers are big-endian, too, or little-endian where the count is; `where` names the file in a message.

    >>> decode_sphinx(b"\0\0\0\2" + np.array([1, 2], ">f4").tobytes(), "a.mfc", width=2)
    array([[1., 2.]], dtype=float32)
    """
    count = len(content) // 4 - 1
    for order in (">", "<"):
        if len(content) >= 4 and len(content) % 4 == 0 and int(np.frombuffer(content, f"{order}i4", 1)[0]) == count:
            break
    else:
        claimed = int.from_bytes(content[:4], "big", signed=True)
        told = f"claims {claimed:,} numbers of 4 bytes, but has {max(len(content) - 4, 0):,} bytes of them"
        raise DataError(f"{where} {told}. It is cut off or no Sphinx file.")
    if count % width:
        raise DataError(f"{where} has {count:,} numbers, which are no whole frames of {width}. Name the right width.")
    values = np.frombuffer(content, f"{order}f4", offset=4).astype(np.float32)
    return _checked(values.reshape(-1, width), where)


def _read_numpy(path: Path) -> Signal:
    """Read an array, of which no memory is taken before the file is seen to hold it."""
    with path.open("rb") as file:
        try:
            version = np.lib.format.read_magic(file)
            if version not in _HEADERS:
                raise ValueError(f"its version {version} is not known")
            shape, by_column, form = _HEADERS[version](file)
        except _NO_HEADER as error:
            why = str(error).partition("\n")[0] or "its header is damaged"
            raise DataError(f"{path} cannot be read as an array of numbers: {why:.200}. Save it again.") from None
        if form.kind not in "fiu" or len(shape) != 2 or shape[0] < 0 or not 1 <= shape[1] <= _WIDEST:
            raise DataError(f"{path} is {form} {list(shape)}; wanted are numbers [frames, width].")
        claimed, rest = shape[0] * shape[1] * form.itemsize, path.stat().st_size - file.tell()
        if claimed != rest:
            told = f"claims {form} {list(shape)}, which are {claimed:,} bytes, but {rest:,} follow"
            raise DataError(f"{path} {told}. It is cut off or damaged; copy or save it again.")
        content = np.frombuffer(file.read(claimed), form)
    frames = content.reshape(-1, int(shape[1]), order="F" if by_column else "C")
    return _checked(frames.astype(np.float32), str(path))


def _checked(frames: Signal, where: str) -> Signal:
    if not np.isfinite(frames).all():
        frame, at = (int(index) for index in np.argwhere(~np.isfinite(frames))[0])
        raise DataError(f"{where}, frame {frame}, number {at} is {frames[frame, at]}. Compute the features again.")
    return frames
