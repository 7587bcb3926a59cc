"""Files of Keras that are damaged, or made to do harm, are refused with what is wrong with them."""

from __future__ import annotations

import io
import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import tidegate as tg
from keras_models import saved, sequential
from tidegate.errors import InputError, MissingPackageError, ModelFileError

pytestmark = [
    pytest.mark.xdist_group("keras"),  # its import takes seconds, so that one worker alone bears it
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),  # torch's
]


@pytest.fixture(scope="module")
def sound(keras: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, bytes]:
    """The description and the weights of a small model."""
    model = sequential(keras, lambda L: [L.Embedding(9, 4), L.LSTM(5), L.Dense(2)], ids=True)
    with zipfile.ZipFile(saved(model, tmp_path_factory.mktemp("sound") / "model.keras")) as archive:
        return archive.read("config.json").decode(), archive.read("model.weights.h5")


def packed(path: Path, description: str, weights: bytes, *, method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("config.json", description)
        archive.writestr("model.weights.h5", weights)
    return path


def changed(weights: bytes, change: Callable[[Any], object]) -> bytes:
    """Change the HDF5 file that holds the weights."""
    content = io.BytesIO(weights)
    with h5py.File(content, "r+") as file:
        change(file)
    return content.getvalue()


KERNEL = "layers/lstm/cell/vars/0"


def replace(make: Callable[[Any], object]) -> Callable[[Any], object]:
    def change(file: Any) -> None:
        del file[KERNEL]
        make(file)

    return change


def poison(file: Any) -> None:
    file[KERNEL][0, 0] = np.nan


HOSTILE: dict[str, tuple[Callable[[Any], object], str]] = {
    "external link": (replace(lambda f: f.__setitem__(KERNEL, h5py.ExternalLink("/etc/passwd", "/"))), "no array"),
    "soft link": (replace(lambda f: f.__setitem__(KERNEL, h5py.SoftLink("/layers/dense/vars/0"))), "no array"),
    "external storage": (
        replace(lambda f: f.create_dataset(KERNEL, (4, 20), "f4", external=[("/etc/hostname", 0, 320)])),
        "not stored as Keras stores arrays",
    ),
    "no storage": (
        replace(lambda f: f.create_dataset(KERNEL, (2**40, 2**20), "f4", chunks=(1, 2**20))),
        "not stored as Keras stores arrays",
    ),
    "unwritten": (replace(lambda f: f.create_dataset(KERNEL, (2**34, 20), "f4")), "not stored as Keras stores arrays"),
    "compressed": (
        replace(lambda f: f.create_dataset(KERNEL, data=np.zeros((4, 20), "f4"), compression="gzip")),
        "not stored as Keras stores arrays",
    ),
    "text": (replace(lambda f: f.create_dataset(KERNEL, data="words")), "no array of float32"),
    "half": (replace(lambda f: f.create_dataset(KERNEL, data=np.zeros((4, 20), "f2"))), "no array of float32"),
    "other shape": (replace(lambda f: f.create_dataset(KERNEL, data=np.zeros((5, 20), "f4"))), r"are \[5, 20\]"),
    "missing": (replace(lambda f: None), "no array"),
    "all missing": (lambda f: f.__delitem__("layers/dense"), r"'dense.*' are none"),
    "not finite": (poison, "not all finite"),
}  # fmt: skip


@pytest.mark.usefixtures("same_process")
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_of_weights_is_refused(name: str, sound: tuple[str, bytes], tmp_path: Path) -> None:
    change, complaint = HOSTILE[name]
    path = packed(tmp_path / "model.keras", sound[0], changed(sound[1], change))
    with pytest.raises(ModelFileError, match=complaint):
        tg.convert.from_keras(path)


def test_the_same_array_for_many_layers_is_read_no_more_than_the_file_is_long(tmp_path: Path) -> None:
    dense = [{"class_name": "Dense", "config": {"name": f"d{i}", "units": 64, "use_bias": False}} for i in range(9)]
    path = tmp_path / "w.h5"
    with h5py.File(path, "w") as file:
        file["layers/dense/vars/0"] = np.zeros((64, 64), np.float32)
        for index in range(1, 9):
            file[f"layers/dense_{index}"] = file["layers/dense"]
    with pytest.raises(ModelFileError, match="claim more bytes than the file holds"):
        tg.convert.from_keras(path, config={"class_name": "Sequential", "config": {"layers": dense}})


@pytest.mark.parametrize("head", [bytes(16), b"\1" + bytes(7) + b"\xff" * 8])
def test_texts_that_hdf5_would_walk_for_ever_are_refused_before(head: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.h5"
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": {"layers": []}})
    content = path.read_bytes()
    first = content.index(b"GCOL") + 16
    path.write_bytes(content[:first] + head + content[first + 16 :])
    with pytest.raises(ModelFileError, match="a text in it lies about its size"):
        tg.convert.from_keras(path)


DEEP = "[" * 200_000
DESCRIPTIONS: dict[str, tuple[Callable[[str], str], str]] = {
    "not json": (lambda text: "{{", "not readable JSON"),
    "deep": (lambda text: DEEP, "not readable JSON"),
    "a list": (lambda text: "[]", "no description of a Keras model"),
    "empty": (lambda text: "{}", "no description of a Keras model"),
    "layers missing": (lambda text: '{"class_name": "Sequential", "config": {}}', "no description of a Keras model"),
    "no layers": (lambda text: '{"class_name": "Sequential", "config": []}', "no layer that computes"),
    "another class": (lambda text: text.replace('"Sequential"', '"Thief"'), "the model is a 'Thief'"),
    "absurd units": (lambda text: text.replace('"units": 5', '"units": 1e999'), "its units is 'inf'"),
    "many units": (lambda text: text.replace('"units": 5', '"units": 999999999999'), "its units is '999999999999'"),
    "negative units": (lambda text: text.replace('"units": 5', '"units": -5'), "its units is '-5'"),
    "other units": (lambda text: text.replace('"units": 5', '"units": 6'), r"its settings want \[4, 24\]"),
}  # fmt: skip


@pytest.mark.usefixtures("same_process")
@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_a_hostile_description_is_refused(name: str, sound: tuple[str, bytes], tmp_path: Path) -> None:
    change, complaint = DESCRIPTIONS[name]
    with pytest.raises((InputError, ModelFileError), match=complaint):
        tg.convert.from_keras(packed(tmp_path / "model.keras", change(sound[0]), sound[1]))


def test_a_circle_of_layers_is_refused(sound: tuple[str, bytes], tmp_path: Path) -> None:
    layers = [
        {"class_name": "Dense", "name": name, "config": {"name": name, "units": 1}, "inbound_nodes": [[[other, 0, 0]]]}
        for name, other in (("a", "b"), ("b", "a"))
    ]
    config = {"layers": layers, "input_layers": ["a", 0, 0], "output_layers": ["b", 0, 0]}
    path = packed(tmp_path / "model.keras", json.dumps({"class_name": "Functional", "config": config}), sound[1])
    with pytest.raises(InputError, match="stands in a circle"):
        tg.convert.from_keras(path)


def test_damaged_and_foreign_files_are_refused(sound: tuple[str, bytes], tmp_path: Path) -> None:
    whole = packed(tmp_path / "whole.keras", *sound).read_bytes()
    with zipfile.ZipFile(tmp_path / "other.keras", "w") as archive:
        archive.writestr("readme.txt", "hello")
    packed(tmp_path / "bomb.keras", sound[0], bytes(2**24), method=zipfile.ZIP_DEFLATED)
    for name, content, complaint in (
        ("cut.keras", whole[: len(whole) // 2], "damaged"),
        ("empty.keras", b"", "neither a .keras file nor HDF5"),
        ("text.h5", b"this is no model", "neither a .keras file nor HDF5"),
        ("cut.h5", sound[1][:500], "damaged"),
        ("other.keras", None, "it holds 0 files 'config.json'|it holds 0 files 'model.weights.h5'"),
        ("bomb.keras", None, "claims 16,777,216 bytes where at most"),
        ("missing.keras", None, "no such file"),
        (".", None, "a folder"),
    ):
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(ModelFileError, match=complaint):
            tg.convert.from_keras(tmp_path / name)


@pytest.mark.parametrize(("ends", "reason"), [("kill -SEGV $$", "signal 11"), ("echo Oh >&2; exit 1", "Oh")])
def test_a_reader_that_dies_of_a_file_is_a_damaged_file(
    ends: str, reason: str, sound: tuple[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dying = tmp_path / "python"
    dying.write_text(f"#!/bin/sh\n{ends}\n")
    dying.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(dying))
    with pytest.raises(ModelFileError, match=f"or a damaged one .*{reason}"):
        tg.convert.from_keras(packed(tmp_path / "model.keras", *sound))


def test_nothing_is_imported_from_the_folder_that_one_stands_in(
    sound: tuple[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = packed(tmp_path / "model.keras", *sound)
    for name in ("h5py", "json", "tidegate"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported')")
    monkeypatch.chdir(tmp_path)
    assert tg.convert.from_keras(path).network.input_size == 9


def test_a_missing_h5py_names_the_extra(
    sound: tuple[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidegate.convert.keras_file.find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match=r"pip install 'tidegate\[keras\]'"):
        tg.convert.from_keras(packed(tmp_path / "model.keras", *sound))


def test_more_layers_than_any_model_has_are_refused(tmp_path: Path, sound: tuple[str, bytes]) -> None:
    layers = [{"class_name": "Dropout", "config": {"name": f"d{index}", "rate": 0.1}} for index in range(501)]
    text = json.dumps({"class_name": "Sequential", "config": {"layers": layers}})
    with pytest.raises(InputError, match="501 layers; at most 500"):
        tg.convert.from_keras(packed(tmp_path / "model.keras", text, sound[1]))
