"""The saved state of a stream as bytes: versioned, little-endian, bound to one model, checked to the last byte.

    8   b"TIDESTRM"
    4   version, unsigned
    4   length of the header in bytes, unsigned
    .   header, JSON: what streams, the digest of the model, and what the stream says of itself
    .   the numbers of the state, float32 or float64
    32  SHA-256 of all that stands before

Knows neither networks nor tasks.
"""

from __future__ import annotations

import hashlib
import json
import struct
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.errors import StateError

Array: TypeAlias = npt.NDArray[Any]
Json: TypeAlias = dict[str, Any]

MAGIC: Final = b"TIDESTRM"
VERSION: Final = 1
_FIXED = struct.Struct("<8sII")
_HASH = 32  # bytes


def pack_state(info: Json, numbers: Array) -> bytes:
    """Write a state: what JSON can say of it, and its numbers.

    >>> data = pack_state({"digest": "ab", "steps": 2}, np.array([1.5], np.float32))
    >>> unpack_state(data, digest="ab")
    ({'digest': 'ab', 'steps': 2, 'type': '<f4'}, array([1.5], dtype=float32))
    """
    little = np.ascontiguousarray(numbers, numbers.dtype.newbyteorder("<"))
    header = json.dumps(info | {"type": little.dtype.str}, sort_keys=True, allow_nan=False).encode()
    content = _FIXED.pack(MAGIC, VERSION, len(header)) + header + little.tobytes()
    return content + hashlib.sha256(content).digest()


def unpack_state(data: bytes, *, digest: str) -> tuple[Json, Array]:
    """Read what `pack_state` wrote for the model with this digest.

    Raises StateError where it is truncated, altered, of a later version, of another model, or no state at all.
    """
    if not isinstance(data, bytes | bytearray | memoryview):
        raise StateError(f"a {type(data).__name__} is no saved state. Pass the bytes that stream.state gave.")
    data = bytes(data)
    if len(data) < _FIXED.size + _HASH or not data.startswith(MAGIC):
        raise StateError(f"these {len(data):,} bytes are no saved state of a stream, or a truncated one.")
    _, version, length = _FIXED.unpack_from(data)
    if version != VERSION:
        raise StateError(
            f"the state has version {version}; this Tidegate reads {VERSION}. Upgrade Tidegate to read it."
        )
    content, kept = data[:-_HASH], data[-_HASH:]
    if hashlib.sha256(content).digest() != kept or _FIXED.size + length > len(content):
        raise StateError("the state does not match its hash; it was truncated or altered. Begin a new stream.")
    info = _header(content[_FIXED.size : _FIXED.size + length])
    if info["digest"] != digest:
        raise StateError(
            f"the state is of another model: {info['digest']:.12}..., not {digest:.12}.... Load the model it was saved "
            "with, or begin a new stream."
        )
    return info, _numbers(content[_FIXED.size + length :], info["type"])


def _header(text: bytes) -> Json:
    try:
        info = json.loads(text)
    except (ValueError, RecursionError):
        raise StateError("the header of the state is no JSON; it was altered.") from None
    if not isinstance(info, dict) or not isinstance(info.get("digest"), str) or info.get("type") not in ("<f4", "<f8"):
        raise StateError("the header of the state is incomplete; it was altered.")
    return info


def _numbers(content: bytes, kind: str) -> Array:
    stored = np.dtype(kind)
    if len(content) % stored.itemsize:
        raise StateError("the state ends in the middle of a number; it was altered.")
    return np.frombuffer(content, stored).astype(stored.newbyteorder("="))
