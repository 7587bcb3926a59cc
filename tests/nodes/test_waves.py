"""Cells of grids in a network: which orders and directions they take, their parameters, and what those begin with."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from tidegate.network import Dense, Network, Pool, Scan2d, parameter_shapes
from tidegate.train import initial_weights


def network(**options: object) -> Network:
    scan = Scan2d(input_size=3, hidden_size=4, **options)  # type: ignore[arg-type]
    return Network.of(scan, Pool(modes=("mean",)), Dense(in_features=scan.output_size, out_features=2))


def test_a_cell_of_grids_goes_by_diagonals_from_as_many_corners_as_it_has_directions() -> None:
    found = network(cell="mdlstm", directions=2)
    assert isinstance(found.nodes[0], Scan2d) and found.nodes[0].order == "diagonals"
    assert dict(parameter_shapes(found)) == {
        "0.top_left.weight_ih": (20, 3),
        "0.top_left.weight_x": (20, 4),
        "0.top_left.weight_y": (20, 4),
        "0.top_left.bias": (20,),
        "0.top_right.weight_ih": (20, 3),
        "0.top_right.weight_x": (20, 4),
        "0.top_right.weight_y": (20, 4),
        "0.top_right.bias": (20,),
        "2.weight": (2, 8),
        "2.bias": (2,),
    }


@pytest.mark.parametrize(("merge", "width"), [("concat", 16), ("sum", 4), ("mul", 4), ("ave", 4)])
def test_directions_stand_side_by_side_or_become_one(merge: str, width: int) -> None:
    node = network(cell="stable", merge=merge).nodes[0]
    assert isinstance(node, Scan2d) and node.output_size == width


def test_an_order_that_does_not_go_with_the_cell_is_refused() -> None:
    with pytest.raises(ValidationError, match="order='rows' does not fit cell='stable'"):
        network(cell="stable", order="rows", directions=1)
    with pytest.raises(ValidationError, match="order='diagonals' does not fit cell='lstm'"):
        network(cell="lstm", order="diagonals")


def test_a_network_of_them_is_read_back_from_its_description() -> None:
    found = network(cell="stable", directions=1)
    assert Network.model_validate_json(found.model_dump_json()) == found


def test_the_forget_gate_of_the_stable_cell_begins_as_that_of_an_lstm_and_those_of_the_other_at_one_half() -> None:
    weights = initial_weights(network(cell="stable", directions=1), seed=0, forget_bias=2.0)
    np.testing.assert_array_equal(weights["0.top_left.bias"], np.repeat([0, 2, 0, 0, 0], 4))
    assert not initial_weights(network(cell="mdlstm", directions=1), seed=0)["0.top_left.bias"].any()
    for name in ("weight_x", "weight_y"):
        matrix = weights[f"0.top_left.{name}"]
        np.testing.assert_allclose(2 * matrix.T @ matrix, np.eye(4), atol=1e-6)
