"""Reads a file that Keras wrote, as data: a description in JSON, and arrays in HDF5. `keras_file` runs it by itself.

Nothing in a file is run, no path in it leads outside of it, and no more is read than the file holds. What no check here
can see are faults of the HDF5 library, which dies of some damaged files: hence a process of its own.
"""

from __future__ import annotations

import io
import json
import math
import mmap
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save

from tidegate.convert.keras_layers import Layer, read_layers
from tidegate.errors import InputError, ModelFileError, TidegateError

Array: TypeAlias = npt.NDArray[Any]

MAX_DESCRIPTION: Final = 16 * 2**20  # bytes; that of a model of a hundred layers has 200 kB
MAX_MEMBERS: Final = 100
REFUSED: Final = 3
"""The exit code of a refusal that says why."""
_HEAP: Final = b"GCOL\x01"
_HEAD: Final = 16  # bytes before the objects of a heap, and before the content of each
_HDF5: Final = b"\x89HDF\r\n\x1a\n"
_ADVICE: Final = "save the model with model.save('model.keras')"
_ZIP: Final = b"PK\x03\x04"


class Weights:
    """Find the arrays of layers in an open HDF5 file, and keep account of how much was read.

    Args:
        file: what h5py opened.
        size: bytes of the file; more than that is never read.
        path: how to call it in errors.
    """

    def __init__(self, file: Any, size: int, path: str) -> None:
        self.description = _attribute(file, "model_config")
        self._root = _member(file, "model_weights") or file
        self._by_name = "layer_names" in self._root.attrs or "layer_names0" in self._root.attrs
        self._left, self._path = size, path

    def of(self, layer: Layer) -> list[Array]:
        """Read the arrays of a layer in the order in which Keras lists them; raises ModelFileError."""
        if not layer.places:
            return []
        arrays = list(self._named(layer) if self._by_name else self._placed(layer))
        for array in arrays:
            if not np.isfinite(array).all():
                raise ModelFileError(f"{self._path}: the weights of layer {layer.name!r} are not all finite")
        return arrays

    def _named(self, layer: Layer) -> Iterator[Array]:
        """Read what a layer lists under its name: whole models in HDF5, and weights as Keras 2 saves them."""
        group = _member(self._root, layer.name)
        if group is None:
            raise ModelFileError(f"{self._path}: holds no layer {layer.name!r}")
        for name in _names(group, "weight_names"):
            yield self._array(_walk(group, name), f"{layer.name}/{name}")

    def _placed(self, layer: Layer) -> Iterator[Array]:
        """Read what stands at the places of a layer: `.keras` and `.weights.h5` files of Keras 3."""
        for place in layer.places:
            group = _walk(self._root, f"{place}/vars")
            for index in range(len(group) if group is not None else 0):
                yield self._array(_member(group, str(index)), f"{place}/vars/{index}")

    def _array(self, dataset: Any, name: str) -> Array:
        import h5py

        if not isinstance(dataset, h5py.Dataset) or dataset.dtype not in (np.float32, np.float64):
            raise ModelFileError(f"{self._path}: {name!r} is no array of float32 or float64 numbers")
        plain = dataset.chunks is None and dataset.external is None and not dataset.is_virtual
        claimed = math.prod(dataset.shape) * dataset.dtype.itemsize
        if not plain or dataset.id.get_storage_size() != claimed:
            raise ModelFileError(f"{self._path}: {name!r} is not stored as Keras stores arrays, in one piece")
        self._left -= claimed
        if self._left < 0:
            raise ModelFileError(f"{self._path}: its arrays claim more bytes than the file holds")
        array: Array = dataset[()]
        return array


@contextmanager
def open_weights(file: Path) -> Iterator[Weights]:
    """Open a `.keras` file, a whole model in HDF5, or weights alone; raises ModelFileError for anything else."""
    import h5py

    begin = _begin(file)
    if begin.startswith(_ZIP):
        content = _unzip(file, "model.weights.h5", file.stat().st_size)
        _check_heaps(content, str(file))
        with h5py.File(io.BytesIO(content), "r") as opened:
            weights = Weights(opened, len(content), str(file))
            weights.description = _unzip(file, "config.json", MAX_DESCRIPTION)
            yield weights
    elif begin.startswith(_HDF5):
        with file.open("rb") as raw, mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            _check_heaps(mapped, str(file))
        with h5py.File(file, "r") as opened:
            yield Weights(opened, file.stat().st_size, str(file))
    else:
        raise ModelFileError(f"{file}: neither a .keras file nor HDF5; {_ADVICE}")


def read(file: Path, description: bytes) -> tuple[bytes, dict[str, Array]]:
    """Read the description of a model, where none is given, and the arrays of its layers as `<layer>.<place>`."""
    with open_weights(file) as weights:
        found = description or weights.description
        if not found:
            raise InputError(f"{file} holds weights alone. Pass config=, what model.to_json() wrote, or save it whole.")
        text = found.encode() if isinstance(found, str) else found
        layers = enumerate(read_layers(read_description(text, str(file))))
        named = [(f"{index}.{place}", own) for index, one in layers for place, own in enumerate(weights.of(one))]
    return text, dict(named)


def read_description(text: bytes, path: str) -> Any:
    """Parse the JSON of a description; raises ModelFileError."""
    if len(text) > MAX_DESCRIPTION:
        raise ModelFileError(f"{path}: its description has more than {MAX_DESCRIPTION:,} bytes")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ModelFileError(f"{path}: its description is not readable JSON") from None


def _check_heaps(content: bytes | mmap.mmap, path: str) -> None:
    """Refuse a file whose texts lie about their sizes, which HDF5 1.14 would walk for ever.

    A heap is `GCOL`, a version, 3 bytes, its size; then come objects, each an index (2 bytes), 6 bytes, its size and as
    many bytes, up to a multiple of 8. Index 0 is what is free, and its size counts the head. (HDF5 File Format, III.E.)
    """
    start = content.find(_HEAP)
    while start >= 0:
        end = start + int.from_bytes(content[start + 8 : start + _HEAD], "little")
        at = start + _HEAD
        while at + _HEAD <= min(end, len(content)):
            size = int.from_bytes(content[at + 8 : at + _HEAD], "little")
            size = _HEAD + -(-size // 8) * 8 if any(content[at : at + 2]) else size
            if not _HEAD <= size <= end - at:
                raise ModelFileError(f"{path}: a damaged file; a text in it lies about its size")
            at += size
        start = content.find(_HEAP, start + 1)


def _begin(file: Path) -> bytes:
    if not file.is_file():
        if file.is_dir():
            what = f"a folder, such as TensorFlow's SavedModel; {_ADVICE}"
        else:
            what = "not a file" if file.exists() else "no such file"
        raise ModelFileError(f"{file}: {what}")
    with file.open("rb") as opened:
        return opened.read(8)


def _unzip(file: Path, name: str, limit: int) -> bytes:
    """Read one member of an archive, whose size is checked before and while it is read."""
    with zipfile.ZipFile(file) as archive:
        found = [info for info in archive.infolist() if info.filename == name]
        if len(found) != 1 or len(archive.infolist()) > MAX_MEMBERS:
            raise ModelFileError(f"{file}: a zip archive, but no .keras file: it holds {len(found)} files {name!r}")
        if found[0].file_size > limit or found[0].flag_bits & 1:
            claim = f"claims {found[0].file_size:,} bytes where at most {limit:,} are read"
            raise ModelFileError(f"{file}: {name!r} is encrypted, or {claim}")
        with archive.open(found[0]) as member:
            return member.read(limit)


def _member(group: Any, name: str) -> Any:
    """Return a member that lies in this very file; None where there is none, or a link leads elsewhere."""
    import h5py

    if not isinstance(group, h5py.Group) or not isinstance(group.get(name, getlink=True), h5py.HardLink):
        return None
    return group[name]


def _walk(group: Any, path: str) -> Any:
    for name in path.split("/"):
        group = _member(group, name) if name not in ("", ".", "..") else None
    return group


def _names(group: Any, attribute: str) -> list[str]:
    """Read a list of names, which Keras parts into several attributes where it is long."""
    parts = [attribute] if attribute in group.attrs else [f"{attribute}{index}" for index in range(len(group.attrs))]
    found = [np.asarray(group.attrs[part]).ravel().tolist() for part in parts if part in group.attrs]
    return [name.decode() if isinstance(name, bytes) else str(name) for names in found for name in names]


def _attribute(group: Any, name: str) -> str | bytes | None:
    value = group.attrs.get(name)
    return value if isinstance(value, str | bytes) else None


def _main(path: str) -> int:
    """Answer on stdout: how long the description is, the description, the arrays; or on stderr why not."""
    try:
        text, arrays = read(Path(path), sys.stdin.buffer.read())
    except TidegateError as error:
        print(json.dumps([type(error).__name__, str(error)]), file=sys.stderr)
        return REFUSED
    sys.stdout.buffer.write(len(text).to_bytes(8, "little") + text + save(arrays))
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1]))
