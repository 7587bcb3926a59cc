"""The cards of the cells: that they hang together, and that what others say of cells has a place for each."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest

from tidegate import kernels
from tidegate.cells import CELLS, Cell, CellName
from tidegate.errors import InputError
from tidegate.export.gates import operator_of
from tidegate.inspect.quantities import _GATES
from tidegate.network import Network, Recurrent, parameter_shapes

EACH = pytest.mark.parametrize("cell", CELLS.values(), ids=list(CELLS))


def test_the_names_are_those_of_the_core_in_its_order() -> None:
    assert get_args(CellName) == tuple(CELLS) == kernels.CELLS


@EACH
def test_a_cell_has_a_letter_for_each_gate_or_a_function_of_its_own(cell: Cell) -> None:
    assert len(cell.letters) == (cell.gates if cell.gated else 0)
    assert set(cell.tanh) <= set(cell.letters)
    assert (cell.function is None) == cell.gated
    assert cell.shared in (cell.gates, cell.gates - 1)


@EACH
def test_another_library_has_the_same_gates_in_its_order(cell: Cell) -> None:
    for other in (cell.onnx, cell.keras):
        assert other is None or sorted(other.order) == list(range(cell.gates))


@EACH
def test_every_gate_is_explained(cell: Cell) -> None:
    assert set(cell.letters) <= _GATES.keys()


@EACH
def test_a_run_leaves_what_the_card_says(cell: Cell) -> None:
    node = Recurrent(cell=cell.name, input_size=2, hidden_size=3)
    w_ih, w_hh = (np.ones(shape) for shape in list(parameter_shapes(Network.of(node)).values())[:2])
    direction = kernels.Direction(w_ih, w_hh)
    run = kernels.forward(cell.name, np.ones((4, 2)), np.array([0, 4]), [direction], keep=True)
    assert len(w_hh) == cell.gates * 3
    assert (run.cn is not None) == cell.carries_c == ("c" in cell.states)
    assert (run.gates is not None) == (run.memo is not None) == cell.gated


def test_a_cell_that_onnx_lacks_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CELLS, "gru", replace(CELLS["gru"], onnx=None))
    with pytest.raises(InputError, match="ONNX has no operator for the cell gru"):
        operator_of(Recurrent(cell="gru", input_size=1, hidden_size=1))
