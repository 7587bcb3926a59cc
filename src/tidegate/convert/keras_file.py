"""A file of Keras becomes layers and their arrays. It is opened by another process, which may die of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load

import tidegate.errors as errors
from tidegate.convert.keras_layers import Layer, read_layers
from tidegate.convert.keras_reader import REFUSED
from tidegate.errors import MissingPackageError, ModelFileError

Array: TypeAlias = npt.NDArray[Any]

_SECONDS: Final = 20  # a healthy file of a gigabyte takes some 3 s (2026-11-21)


def read_file(path: Path, description: bytes = b"") -> tuple[list[Layer], list[list[Array]]]:
    """Read a `.keras` file, a whole model in HDF5, or weights alone with their description.

    Raises:
        ModelFileError: it is none of these, or a damaged or hostile one.
        InputError: a layer that has no counterpart, or weights without a description.
        MissingPackageError: h5py is not installed.
    """
    if find_spec("h5py") is None:
        raise MissingPackageError.of("h5py", "keras", "reading a model of Keras")
    # -P: nothing is imported from the folder that one happens to stand in.
    command = [sys.executable, "-P", "-m", "tidegate.convert.keras_reader", str(path)]
    surroundings = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        done = subprocess.run(
            command, input=description, env=surroundings, capture_output=True, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise ModelFileError(f"{path}: a damaged file; it could not be read within {_SECONDS} s") from None
    if done.returncode:
        raise _error(path, done.returncode, done.stderr.decode(errors="replace"))
    end = 8 + int.from_bytes(done.stdout[:8], "little")
    layers, arrays = read_layers(json.loads(done.stdout[8:end])), load(done.stdout[end:])
    return layers, [_of(arrays, index) for index in range(len(layers))]


def _of(arrays: dict[str, Array], layer: int) -> list[Array]:
    found: list[Array] = []
    while (array := arrays.get(f"{layer}.{len(found)}")) is not None:
        found.append(np.asarray(array))
    return found


def _error(path: Path, code: int, said: str) -> errors.TidegateError:
    """Make the error that the other process met, or one that tells how it ended."""
    last = (said.strip().splitlines() or [""])[-1]
    if code == REFUSED:
        kind, message = json.loads(last)
        known: errors.TidegateError = getattr(errors, kind)(message)
        return known
    reason = f"reading it ended with signal {-code}" if code < 0 else last
    return ModelFileError(f"{path}: not a readable file of Keras, or a damaged one ({reason})")
