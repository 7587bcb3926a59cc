"""What every kernel asks of its arguments, and the arrays that it fills. Knows shapes and types, no arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tidegate._core as _core
from tidegate.errors import OptionError, ShapeError

Array = NDArray[Any]

_LARGE = 1 << 18  # bytes; about where a new array would come from fresh pages


def choose(what: str, name: str | None, known: Sequence[str | None]) -> int:
    """Find the number of a name; raises OptionError for one that is not known."""
    if name not in known:
        raise OptionError.unknown(what, str(name), [k for k in known if k is not None])
    return known.index(name)


def float_kind(name: str, array: Array) -> np.dtype[Any]:
    """Return the type of an array; raises ShapeError unless it is float32 or float64."""
    if array.dtype not in (np.float32, np.float64):
        raise ShapeError(f"{name} holds {array.dtype} but the kernels want float32 or float64. Convert it first.")
    return array.dtype


def expect(name: str, array: Array, shape: tuple[int, ...], kind: np.dtype[Any]) -> Array:
    """Check an array's shape and type, and copy it where it is not contiguous."""
    if array.shape != shape:
        raise ShapeError(f"{name} is {list(array.shape)} but {list(shape)} is wanted here.")
    if array.dtype != kind:
        raise ShapeError(f"{name} holds {array.dtype} but the other arrays hold {kind}. Convert one of them.")
    return array if array.flags.c_contiguous else np.ascontiguousarray(array)


def token_ids(name: str, ids: Array) -> Array:
    """Return token ids [N] as the core reads them, int32; raise ShapeError unless they are int32 or int64.

    What no int32 holds becomes an id that no table has, so that the core says where it stands.
    """
    if ids.dtype not in (np.int32, np.int64):
        raise ShapeError(f"{name} holds {ids.dtype} but token ids must be int32 or int64. Convert them first.")
    if ids.ndim != 1:
        raise ShapeError(f"{name} is {list(ids.shape)} but token ids are [N].")
    most = np.iinfo(np.int32).max
    return np.ascontiguousarray(ids if ids.dtype == np.int32 else ids.clip(-1, most), np.int32)


def check_offsets(offsets: Array, N: int) -> Array:
    """Return offsets as int64 [B + 1]; raise ShapeError unless they ascend from 0 to N."""
    offsets = np.ascontiguousarray(offsets, np.int64)
    ends_fit = offsets.ndim == 1 and len(offsets) and offsets[0] == 0 and offsets[-1] == N
    if not ends_fit or (offsets[1:] < offsets[:-1]).any():
        raise ShapeError(f"offsets must ascend from 0 to the number of tokens, {N}; came {offsets.tolist()[:8]}...")
    if N >= 2**31:
        raise ShapeError(f"{N} tokens in one batch; at most 2147483647 fit. Split the batch.")
    return offsets


def empty(shape: tuple[int, ...], kind: np.dtype[Any]) -> Array:
    """Make an uninitialised array; the memory of a large one is used again when it dies."""
    size = prod(shape) * kind.itemsize
    return np.empty(shape, kind) if size < _LARGE else _core.empty(size).view(kind).reshape(shape)
