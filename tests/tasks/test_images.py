"""Classifiers of images: in which forms these come, that they are learned, kept in a file, and refused."""

from __future__ import annotations

import json
import warnings
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import tidegate as tg
from commands import Cli
from tidegate.errors import DataError, InputError, OptionError, ShapeError
from tidegate.tasks.images import as_images

SMALL: dict[str, Any] = {
    "hidden_size": 6,
    "epochs": 15,
    "batch_size": 8,
    "learning_rate": 0.03,
    "patience": 0,
    "dropout": 0.0,
    "validation_fraction": 0.2,
}


def lines(count: int, seed: int = 0) -> tuple[list[Any], list[str]]:
    """Draw grey images of different sizes with one bright line, across or down."""
    rng = np.random.default_rng(seed)
    X, y = [], []
    for index in range(count):
        image = rng.uniform(0, 0.3, rng.integers(5, 12, 2))
        label = ("across", "down")[index % 2]
        place = rng.integers(1, min(image.shape) - 1)
        image[(place,) if label == "across" else (slice(None), place)] = 1.0
        X.append(image)
        y.append(label)
    return X, y


@pytest.fixture(scope="module")
def fitted() -> Any:
    X, y = lines(60)
    return tg.SequenceClassifier(**SMALL).fit(tg.Grid.from_list(X), y)


def test_a_grid_is_scanned_in_four_directions(fitted: Any) -> None:
    X, y = lines(40, seed=1)
    assert fitted.score(X, y) >= 0.95
    kinds = [node.kind for node in fitted.inside().network.nodes]
    assert kinds[:2] == ["fold", "scan2d"]


def test_lists_stacks_and_grids_are_answered_alike(fitted: Any) -> None:
    X, _ = lines(6, seed=2)
    square = [image[:5, :5] for image in X]
    found = fitted.predict_proba(tg.Grid.from_list(square))
    rows = tg.Ragged.from_list(square)
    for form in (square, np.stack(square), rows, [image[..., None] for image in square]):
        assert fitted.predict_proba(form).tobytes() == found.tobytes()
    assert fitted.predict_proba([square[3]]).tobytes() == found[3:4].tobytes()


def test_a_model_file_gives_the_same_answers(fitted: Any, tmp_path: Path) -> None:
    X, _ = lines(9, seed=3)
    fitted.save(tmp_path / "lines.tide")
    assert tg.load(tmp_path / "lines.tide").predict_proba(X).tobytes() == fitted.predict_proba(X).tobytes()


def test_rows_are_read_as_images_where_that_is_asked_for() -> None:
    X, y = lines(24)
    square = [image[:5, :5] for image in X]
    rows = tg.SequenceClassifier(**SMALL | {"epochs": 1, "scan": "renet"}).fit(tg.Ragged.from_list(square), y)
    grid = tg.SequenceClassifier(**SMALL | {"epochs": 1}).fit(tg.Grid.from_list(square), y)
    assert all(array.tobytes() == grid.weights_[name].tobytes() for name, array in rows.weights_.items())


@pytest.mark.parametrize("change", [{"refit": True}, {"num_layers": 2, "dropout": 0.2}, {"bidirectional": False}])
def test_other_settings_train_too(change: dict[str, Any]) -> None:
    X, y = lines(40)
    model = tg.SequenceClassifier(**SMALL | change).fit(tg.Grid.from_list(X), y)
    assert model.score(X, y) >= 0.8


def test_images_are_moved_in_training_alone() -> None:
    X, y = lines(30)
    grid = tg.Grid.from_list(X)
    still, moved, again = (
        tg.SequenceClassifier(**SMALL | {"epochs": 2, "shift": shift}).fit(grid, y) for shift in (0, 2, 2)
    )
    assert still.predict_proba(X).tobytes() != moved.predict_proba(X).tobytes()
    assert moved.predict_proba(X).tobytes() == again.predict_proba(X).tobytes()


def test_a_stopped_and_resumed_run_equals_the_uninterrupted_one(tmp_path: Path) -> None:
    X, y = lines(30)
    grid, settings = tg.Grid.from_list(X), SMALL | {"epochs": 3, "shift": 1}
    whole, rest = tg.SequenceClassifier(**settings).fit(grid, y), tg.SequenceClassifier(**settings)
    steps = tg.SequenceClassifier(**settings).fit_steps(grid, y, run_dir=tmp_path / "run")
    list(islice(steps, 5))
    steps.close()
    list(rest.fit_steps(grid, y, resume=tmp_path / "run"))
    assert all(array.tobytes() == whole.weights_[name].tobytes() for name, array in rest.weights_.items())


@pytest.mark.parametrize(
    ("change", "error", "told"),
    [
        ({"pooling": ("last",)}, InputError, "no last step"),
        ({"recurrent_dropout": 0.1}, InputError, "recurrent_dropout"),
        ({"scan": "four"}, OptionError, "unknown scan 'four'. Known: mdlstm, renet, stable"),
    ],
)
def test_settings_of_sequences_are_refused(change: dict[str, Any], error: type[Exception], told: str) -> None:
    X, y = lines(12)
    with pytest.raises(error, match=told):
        tg.SequenceClassifier(**SMALL | change).fit(tg.Grid.from_list(X), y)


@pytest.mark.parametrize(
    ("X", "told"),
    [
        ([np.zeros((2, 2, 2, 2))], r"image 0 is \[2, 2, 2, 2\]"),
        ([np.array([["a", "b"]])], "cells of type"),
        ([[[1], [2, 3]]], "image 0 is not an array"),
        (tg.Ragged(np.zeros(3), np.array([0, 3])), "rows of shape"),
    ],
)
def test_what_is_no_image_is_refused(X: Any, told: str) -> None:
    with pytest.raises(ShapeError, match=told):
        as_images(X)


def test_images_of_other_features_are_refused(fitted: Any) -> None:
    with pytest.raises(ShapeError, match=r"3 features per cell; 1 were trained on\. Pass as many"):
        fitted.predict([np.ones((4, 4, 3))])


def test_a_cell_that_is_no_number_is_named_by_its_row_and_column(fitted: Any) -> None:
    image = np.ones((3, 4))
    image[2, 1] = np.nan
    with pytest.raises(DataError, match=r"X\[1\], row 2, column 1, feature 0 is nan"):
        fitted.predict([np.ones((2, 2)), image])


def test_a_model_of_sequences_reads_no_images() -> None:
    X = [np.full((3, 1), float(index % 2)) for index in range(12)]
    model = tg.SequenceClassifier(hidden_size=2, epochs=1).fit(X, [index % 2 for index in range(12)])
    with pytest.raises(ShapeError, match="X is a Grid of images"):
        model.predict(tg.Grid.from_list([np.ones((3, 3))]))


def test_live_images_are_refused(fitted: Any) -> None:
    with pytest.raises(InputError, match="whole"):
        fitted.stream()


def test_from_a_folder_of_pictures_to_answers(tmp_path: Path, cli: Cli) -> None:
    for part, count in (("train", 40), ("test", 10)):
        X, y = lines(count, seed=count)
        for index, (image, label) in enumerate(zip(X, y, strict=True)):
            place = tmp_path / "pictures" / part / label / f"{index}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray((image * 255).astype(np.uint8)).save(place)
    settings = [f"--set={name}={value}" for name, value in SMALL.items()]
    trained = cli("train", str(tmp_path / "pictures"), "--task", "signals", "--out", str(tmp_path / "run"), *settings)
    assert trained.code == 0, trained.err
    assert f"Next: tidegate predict {tmp_path / 'run'} PICTURES" in trained.err
    files = sorted((tmp_path / "pictures" / "test" / "down").iterdir())
    answered = cli("predict", str(tmp_path / "run"), *map(str, files), "--json")
    found = [json.loads(line) for line in answered.out.splitlines()]
    assert [one["input"] for one in found] == [str(file) for file in files]
    assert [one["label"] for one in found].count("down") >= len(files) - 1


@pytest.mark.parametrize("scan", ["stable", "mdlstm"])
def test_cells_of_grids_tell_lines_across_from_lines_down(scan: str, tmp_path: Path) -> None:
    X, y = lines(60)
    model = tg.SequenceClassifier(**SMALL, scan=scan, merge="sum").fit(X, y)  # type: ignore[arg-type]
    scans = [node for node in model.inside().network.nodes if node.kind == "scan2d"]
    assert [node.cell for node in scans] == [scan] * len(scans)
    others, wanted = lines(40, seed=1)
    assert model.score(others, wanted) >= 0.95
    model.save(tmp_path / "lines.tide")
    found = model.predict_proba(others)
    assert tg.load(tmp_path / "lines.tide").predict_proba(others[3:4]).tobytes() == found[3:4].tobytes()


@pytest.mark.parametrize("change", [{"shift": 1}, {"block": 3}])
def test_what_is_of_images_alone_is_refused_where_sequences_are_read(change: dict[str, int]) -> None:
    X, y = lines(12)
    rows = [image[:, :5] for image in X]
    with pytest.raises(InputError, match=f"{next(iter(change))} is of images, and sequences are read"):
        tg.SequenceClassifier(**SMALL | change).fit(rows, y)
    grid = tg.SequenceClassifier(**SMALL | change | {"epochs": 1}).fit(tg.Grid.from_list(rows), y)
    assert grid.get_params()[next(iter(change))] == next(iter(change.values()))


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32])
def test_greys_to_255_of_a_model_that_knows_greys_to_1_are_told(fitted: Any, dtype: Any) -> None:
    X, _ = lines(6, seed=2)
    with pytest.warns(
        UserWarning, match=r"inputs lie \d+ times as far .* pictures from files are 0 to 1, not 0 to 255"
    ):
        fitted.predict([(255 * image).astype(dtype) for image in X])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(fitted.predict(X)) == 6  # nor is an empty batch told of, or one image without ink
        assert len(fitted.predict([np.zeros((9, 9))])) == 1
        assert len(fitted.predict([])) == 0


def test_inputs_in_another_unit_are_told_of_sequences_that_are_scaled_alone() -> None:
    rng = np.random.default_rng(0)
    X, y = [rng.normal(3, 2, (9, 3)) for _ in range(24)], [0, 1] * 12
    scaled, plain = (
        tg.SequenceClassifier(**SMALL | {"epochs": 1, "scale": scale}).fit(X, y) for scale in (True, False)
    )
    other = [1000 * x for x in X]
    with pytest.warns(UserWarning, match="Bring them to the unit that was trained on"):
        scaled.predict(other)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plain.predict(other)
        spike = [np.where(np.arange(3) == 1, 1000.0, x) for x in X]  # one feature of three may do so
        assert len(scaled.predict(spike)) == 24
