"""Keras itself, on the backend that is here, and its files read in this process."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path
from typing import Any

import numpy.typing as npt
import pytest

from tidegate.convert import keras_reader
from tidegate.convert.keras_layers import Layer, read_layers

Array = npt.NDArray[Any]


@pytest.fixture(scope="module")
def keras() -> Any:
    """Keras itself, on the backend that is here."""
    os.environ["KERAS_BACKEND"] = "torch"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import keras
    return keras


@pytest.fixture
def same_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read files here and now: what is looked at is what is read, not by whom, and a process takes half a second."""

    def read_file(path: Path, description: bytes = b"") -> tuple[list[Layer], list[list[Array]]]:
        text, arrays = keras_reader.read(path, description)
        layers = read_layers(json.loads(text))
        return layers, [
            [array for name, array in arrays.items() if name.startswith(f"{i}.")] for i in range(len(layers))
        ]

    monkeypatch.setattr("tidegate.convert.keras.read_file", read_file)
