"""Arrays as the Open Inference Protocol writes them: as JSON, or as bytes after it. Knows no models."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from math import prod
from typing import Any, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from tidegate.errors import DataError, InputError

Array: TypeAlias = npt.NDArray[Any]

TYPES = {
    "BOOL": "?", "UINT8": "<u1", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8", "INT8": "<i1", "INT16": "<i2",
    "INT32": "<i4", "INT64": "<i8", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8",
}  # fmt: skip
_NAMES = {np.dtype(code): name for name, code in TYPES.items()}
_TEXT = "BYTES"


class Tensor(msgspec.Struct):
    """Hold one array of a request; its data follow the JSON where the parameters tell a `binary_data_size`."""

    name: str
    shape: list[int]
    datatype: str
    data: list[Any] | None = None
    parameters: dict[str, Any] = {}


class Wanted(msgspec.Struct):
    """Name an array that is wanted as an answer."""

    name: str
    parameters: dict[str, Any] = {}


class InferRequest(msgspec.Struct):
    """Ask a model by arrays."""

    inputs: list[Tensor]
    outputs: list[Wanted] | None = None
    id: str | None = None
    parameters: dict[str, Any] = {}


_DECODER = msgspec.json.Decoder(InferRequest)


def read_request(body: bytes, header: str | None) -> tuple[InferRequest, dict[str, Array]]:
    """Read a request and its arrays.

    Args:
        body: JSON, and what follows it.
        header: the length of the JSON, as the header `Inference-Header-Content-Length` says; None where it is all.

    Raises DataError for arrays that are not what their shape and type say; msgspec's errors for other JSON.
    """
    length = len(body) if header is None else int(header) if header.isdigit() else -1
    if not 0 <= length <= len(body):
        raise DataError(f"Inference-Header-Content-Length: {header}; the body has {len(body)} bytes.")
    asked, rest = _DECODER.decode(body[:length]), memoryview(body)[length:]
    arrays: dict[str, Array] = {}
    for tensor in asked.inputs:
        if tensor.name in arrays:
            raise InputError(f"the input {tensor.name!r} came twice.")
        size = tensor.parameters.get("binary_data_size")
        if size is None:
            arrays[tensor.name] = _from_json(tensor)
            continue
        if type(size) is not int or not 0 <= size <= len(rest):
            raise DataError(f"the input {tensor.name!r} should have {size!r} bytes; {len(rest)} follow.")
        arrays[tensor.name] = _from_bytes(tensor, rest[:size])
        rest = rest[size:]
    if rest:
        raise DataError(f"{len(rest)} bytes follow the inputs that belong to none.")
    return asked, arrays


def write_answer(
    about: Mapping[str, Any], arrays: Mapping[str, Array], asked: InferRequest
) -> tuple[bytes, int | None]:
    """Write an answer; return it with the length of its JSON, None where nothing follows.

    Raises InputError for an array that is wanted and not there.
    """
    wanted = asked.outputs if asked.outputs is not None else [Wanted(name) for name in arrays]
    binary = bool(asked.parameters.get("binary_data_output"))
    told, pieces = list[dict[str, Any]](), list[bytes]()
    for one in wanted:
        if one.name not in arrays:
            raise InputError(f"the output {one.name!r:.60} is wanted; there are {', '.join(arrays)}.")
        array = arrays[one.name]
        entry: dict[str, Any] = {"name": one.name, "datatype": name_of(array), "shape": list(array.shape)}
        if one.parameters.get("binary_data", binary):
            piece = _as_bytes(array)
            entry["parameters"] = {"binary_data_size": len(piece)}
            pieces.append(piece)
        else:
            entry["data"] = (
                [item.decode() for item in array.ravel()] if array.dtype == object else array.ravel().tolist()
            )
        told.append(entry)
    said = {**about, **({} if asked.id is None else {"id": asked.id}), "outputs": told}
    head = msgspec.json.encode(said)
    return b"".join([head, *pieces]), len(head) if pieces else None


def name_of(array: Array) -> str:
    """Name the type of an array.

    >>> name_of(np.zeros(2, np.float32)), name_of(np.array([b"a"], object))
    ('FP32', 'BYTES')
    """
    return _TEXT if array.dtype == object else _NAMES[array.dtype.newbyteorder("<")]


def _from_json(tensor: Tensor) -> Array:
    flat: Sequence[Any] = tensor.data if tensor.data is not None else []
    while flat and isinstance(flat[0], list):
        if not all(isinstance(row, list) for row in flat):
            raise DataError(f"the data of {tensor.name!r} are lists and values mixed.")
        flat = list(chain.from_iterable(flat))
    _check(tensor, len(flat))
    if tensor.datatype == _TEXT:
        if not all(isinstance(item, str) for item in flat):
            raise DataError(f"the data of {tensor.name!r} are not all texts.")
        found = np.empty(len(flat), object)
        found[:] = [item.encode() for item in flat]
        return found.reshape(tensor.shape)
    try:
        return np.array(flat, TYPES[tensor.datatype]).reshape(tensor.shape)
    except (ValueError, TypeError, OverflowError):
        raise DataError(f"the data of {tensor.name!r} are not all of the type {tensor.datatype}.") from None


def _from_bytes(tensor: Tensor, data: memoryview) -> Array:
    if tensor.datatype == _TEXT:
        items = list(_texts(tensor.name, data))
        _check(tensor, len(items))
        found = np.empty(len(items), object)
        found[:] = items
        return found.reshape(tensor.shape)
    kind = np.dtype(TYPES.get(tensor.datatype, "<u1"))
    _check(tensor, len(data) / kind.itemsize)
    return np.frombuffer(data, kind).reshape(tensor.shape)


def _texts(name: str, data: memoryview) -> Iterator[bytes]:
    """Read texts, before each its length in four bytes."""
    at = 0
    while at < len(data):
        if at + 4 > len(data):
            raise DataError(f"the bytes of {name!r} end in the middle of a length.")
        (length,) = struct.unpack_from("<I", data, at)
        if at + 4 + length > len(data):
            raise DataError(f"the bytes of {name!r} end in the middle of a text.")
        yield bytes(data[at + 4 : at + 4 + length])
        at += 4 + length


def _check(tensor: Tensor, count: float) -> None:
    if tensor.datatype != _TEXT and tensor.datatype not in TYPES:
        raise DataError(f"the type {tensor.datatype!r:.20} of {tensor.name!r} is none of BYTES, {', '.join(TYPES)}.")
    if not tensor.shape or min(tensor.shape) < 0 or prod(tensor.shape) != count:
        raise DataError(f"{tensor.name!r} has the shape {tensor.shape}, but {count:g} values came.")


def _as_bytes(array: Array) -> bytes:
    if array.dtype == object:
        return b"".join(struct.pack("<I", len(item)) + item for item in array.ravel())
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
