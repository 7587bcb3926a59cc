"""Classifiers of images over HTTP: images as lists of rows, and PNG files, answered as from Python and from a disk."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import tidegate as tg
from serving import ask, serving
from tidegate.data.images import read_images
from tidegate.grid import Grid
from tidegate.serve.server import Server
from tidegate.tasks.classifying.wire import sequences_of

IMAGES = [np.random.default_rng(index).random((4, 5)) for index in range(8)]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = tg.SequenceClassifier(
        scan="renet", hidden_size=3, num_layers=1, epochs=1, validation_fraction=0, dropout=0.0
    )
    saved = tmp_path_factory.mktemp("images") / "images.safetensors"
    model.fit(IMAGES, ["a", "b"] * 4).save(saved)
    return saved


@pytest.fixture(scope="module")
def server(file: Path) -> Iterator[Server]:
    with serving({"images": file}) as served:
        yield served


def shares(server: Server, *images: Any) -> list[list[float]]:
    status, told, _ = ask(server, "/v1/predict", {"sequences": list(images), "probabilities": True})
    assert status == 200, told
    return [list(answer["probabilities"].values()) for answer in told["answers"]]


def test_an_image_is_answered_as_from_python(server: Server, file: Path) -> None:
    model: Any = tg.load(file)
    wide = np.random.default_rng(9).random((3, 7))
    grid = Grid.from_list([IMAGES[0], wide])
    want = model.predict_proba(grid).tolist()
    assert shares(server, IMAGES[0].tolist(), wide[..., None].tolist()) == want
    for spelled in (sequences_of(grid), sequences_of([IMAGES[0], wide])):
        assert shares(server, *spelled) == want


def test_a_picture_is_answered_as_from_a_disk_on_white(server: Server, file: Path, tmp_path: Path) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (4, 6, 4)).astype(np.uint8)
    Image.fromarray(pixels, "RGBA").save(tmp_path / "seen.png")
    model: Any = tg.load(file)
    want = model.predict_proba(read_images([tmp_path / "seen.png"])).tolist()
    assert shares(server, base64.b64encode((tmp_path / "seen.png").read_bytes()).decode()) == want


def test_what_is_no_image_is_refused_by_its_number(server: Server) -> None:
    status, told, _ = ask(server, "/v1/predict", {"sequences": [[[1.0, 2.0]], [[1.0], [2.0, 3.0]]]})
    assert status == 422 and "sequences[1] is no image" in str(told)
