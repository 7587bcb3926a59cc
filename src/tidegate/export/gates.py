"""Arranges the weights of recurrent nodes as the operators of ONNX want them. Knows neither graphs nor networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.cells import CELLS, Counterpart
from tidegate.errors import InputError
from tidegate.network import Recurrent

Array: TypeAlias = npt.NDArray[Any]

ACTIVATION: Final = {"relu": "Relu", "tanh": "Tanh", "sigmoid": "Sigmoid"}
"""What functions are called there."""
_SHUT: Final = 1e4
"""What shuts a gate, or opens it, whatever else comes in."""


def operator_of(node: Recurrent) -> Counterpart:
    """Find the operator of ONNX for a cell; raises InputError where there is none."""
    found = CELLS[node.cell].onnx
    if found is None:
        raise InputError(f"ONNX has no operator for the cell {node.cell}. Train another cell.")
    return found


def arranged(
    weights: Mapping[str, Array], node: Recurrent, name: str, suffix: str
) -> tuple[Array, Array, Array | None]:
    """Give W [1, G*H, C], R [1, G*H, H] and B [1, 2*G*H] with the gates in the order of ONNX."""

    def named(kind: str) -> Array:
        array = weights[f"{name}.{kind}{suffix}"]
        gates = array.reshape(-1, node.hidden_size, *array.shape[1:])
        return gates[list(operator_of(node).order)].reshape(array.shape)[None]

    bias = np.concatenate([named("bias_ih"), named("bias_hh")], axis=1) if node.bias else None
    return named("weight_ih"), named("weight_hh"), bias


def attributes_of(node: Recurrent) -> dict[str, Any]:
    """Give the attributes of the operator."""
    attributes: dict[str, Any] = {"hidden_size": node.hidden_size, "direction": "forward"}
    cell = CELLS[node.cell]
    if cell.one_apart:
        attributes["linear_before_reset"] = 1  # as torch and our kernels have it
    if cell.function == "relu":
        attributes["activations"] = [ACTIVATION[cell.function]]
    return attributes


def shut(node: Recurrent) -> Array:
    """Make the column [1, G*H, 1] that keeps a cell state, its gates in the order of ONNX."""
    cell = CELLS[node.cell]
    push = {cell.lets_in: -_SHUT, cell.keeps: _SHUT}
    column = np.array([push.get(gate, 0) for gate in operator_of(node).order], np.float32)
    return np.repeat(column, node.hidden_size).reshape(1, -1, 1)
