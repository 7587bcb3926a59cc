"""Maps of a scan, and the cells that an output rests on, beside what the network itself computes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tidegate as tg
from programs import NETWORKS, weights_of
from tidegate.errors import InputError, OptionError
from tidegate.grid import Grid
from tidegate.inspect import draw_image_maps, receptive_field, scan_maps
from tidegate.network import Network, Scan2d
from tidegate.runtime import Executor

NETWORK = NETWORKS["images, rows-columns in 4 direction(s)"]


@pytest.fixture
def image() -> Any:
    return np.random.default_rng(0).standard_normal((5, 7, 2))


@pytest.mark.parametrize("merge", ["concat", "sum"])
def test_the_maps_of_the_last_pass_are_what_the_scan_hands_on(image: Any, merge: Any) -> None:
    network = Network.of(Scan2d(input_size=2, hidden_size=3, merge=merge))
    executor = Executor(network, weights_of(network))
    maps = scan_maps(executor, image, unit=2)
    assert list(maps) == ["to the right", "to the left", "down", "up"]
    cells = executor(Grid.from_list([image])).reshape(5, 7, -1)
    if merge == "sum":
        np.testing.assert_allclose(maps["down"] + maps["up"], cells[..., 2], rtol=1e-12)
    else:
        np.testing.assert_array_equal(maps["down"], cells[..., 2])
        np.testing.assert_array_equal(maps["up"], cells[..., 5])


def test_a_cell_of_grids_is_shown_from_each_corner(image: Any) -> None:
    network = Network.of(Scan2d(input_size=2, hidden_size=3, cell="stable", merge="sum"))
    executor = Executor(network, weights_of(network))
    maps = scan_maps(executor, image, unit=1)
    assert list(maps) == [f"from the {corner}" for corner in ("top left", "top right", "bottom left", "bottom right")]
    cells = executor(Grid.from_list([image])).reshape(5, 7, -1)
    np.testing.assert_allclose(sum(maps.values()), cells[..., 1], rtol=1e-12)
    image[2, 3] += 1
    changed = scan_maps(executor, image, unit=1)["from the top right"] != maps["from the top right"]
    assert changed[2:, :4].all() and not changed[:2].any() and not changed[:, 4:].any()


def test_a_state_knows_what_its_direction_has_read(image: Any) -> None:
    network = Network.of(Scan2d(input_size=2, hidden_size=3))
    executor = Executor(network, weights_of(network))
    before = scan_maps(executor, image)
    image[2, 3] += 1
    changed = {way: after != before[way] for way, after in scan_maps(executor, image).items()}
    assert changed["to the right"].nonzero()[0].tolist() == [2] * 4, "the rest of its row, to the right"
    assert changed["to the left"].nonzero()[1].tolist() == [0, 1, 2, 3]
    assert changed["down"][2:].all() and not changed["down"][:2].any()
    assert changed["up"][:3].all() and not changed["up"][3:].any()


def test_the_receptive_field_is_the_slope_of_the_output(image: Any) -> None:
    executor = Executor(NETWORK, weights_of(NETWORK))
    found = receptive_field(executor, image, 1)
    slopes = np.zeros((5, 7, 2))
    for at in np.ndindex(5, 7, 2):
        outputs = []
        for away in (1e-5, -1e-5):
            moved = image.copy()
            moved[at] += away
            outputs.append(executor(Grid.from_list([moved]))[0, 1])
        slopes[at] = (outputs[0] - outputs[1]) / 2e-5
    np.testing.assert_allclose(found, np.sqrt((slopes**2).sum(axis=2)), rtol=1e-5, atol=1e-9)


def test_a_classifier_and_a_signal_are_looked_into() -> None:
    digits = tg.data.load("digits").train.select(range(60))
    model = tg.SequenceClassifier(scan="renet", hidden_size=4, epochs=1, validation_fraction=0).fit(digits.x, digits.y)
    shown = np.asarray(digits.x[0])
    assert receptive_field(model, shown, model.classes_[3]).shape == (8, 8)
    assert (receptive_field(model, shown) == receptive_field(model, shown, model.predict([shown])[0])).all()
    assert scan_maps(model, shown)["up"].shape == (4, 4)
    network = NETWORKS["sequences as images"]
    signal = np.random.default_rng(0).standard_normal((9, 8))
    assert scan_maps(Executor(network, weights_of(network)), signal)["down"].shape == (2, 3)
    field = receptive_field(Executor(network, weights_of(network)), signal, 2, step=0)
    assert field.shape == (8, 9)
    assert field[:, :3].any(), "the first frame rests on its own columns"


def test_maps_are_drawn(image: Any) -> None:
    executor = Executor(NETWORK, weights_of(NETWORK))
    drawn = draw_image_maps(scan_maps(executor, image), image=image[..., 0], picture="svg").decode()
    assert all(title in drawn for title in ("the image", "to the right", "up"))


@pytest.mark.parametrize(
    ("look", "error", "told"),
    [
        (lambda executor, image: scan_maps(executor, image, scan=1), InputError, "1 scans"),
        (lambda executor, image: scan_maps(executor, image, unit=5), OptionError, "units 0 to 4"),
        *(
            (lambda executor, image, unit=unit: scan_maps(executor, image, unit=unit), OptionError, "units 0 to 4")
            for unit in ("1", 1.5)
        ),
        (lambda executor, image: scan_maps(executor, image[:0]), InputError, "not empty"),
        (lambda executor, image: receptive_field(executor, image, 3), OptionError, "output"),
        (lambda executor, image: receptive_field(executor, image, step=1), InputError, "1 rows"),
        (lambda executor, image: scan_maps("model", image), InputError, "str cannot be looked into"),
        (lambda executor, image: draw_image_maps({}), InputError, "one at least"),
    ],
)
def test_what_cannot_be_shown_is_refused(image: Any, look: Any, error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        look(Executor(NETWORK, weights_of(NETWORK)), image)
