"""The weights that training starts from."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.cells import CELLS
from tidegate.errors import InputError
from tidegate.network import Decode, Dense, Embed, Network, Recurrent, parameter_owner, parameter_shapes

Array: TypeAlias = npt.NDArray[Any]


def initial_weights(
    network: Network,
    *,
    seed: int,
    embedding_scale: float = 0.05,
    forget_bias: float = 1.0,
    chrono: int | None = None,
) -> dict[str, Array]:
    """Draw the float32 weights that training starts from, a function of the arguments alone.

    Tables are uniform within `embedding_scale`, matrices Glorot uniform, recurrent matrices orthogonal, biases zero but
    the forget gate's, which is one (Jozefowicz et al. 2015): the choices of Keras, which the tutorials build on.

    Args:
        network: what the weights are for.
        seed: another seed gives other weights.
        embedding_scale: the largest number in a table.
        forget_bias: of the gate that keeps the cell state, in a cell that carries one.
        chrono: the longest memory T, in steps, that the task asks for. The biases of the gates that keep the state (the
            forget gate; z of a gru) are then log U(1, T - 1), drawn per unit, in place of `forget_bias`, and those of
            the input gate their negative (Tallec, Ollivier 2018, section 2).

    Raises:
        InputError: `chrono` is below 2.

    >>> layer = Recurrent(cell="lstm", input_size=1, hidden_size=3)
    >>> bias = initial_weights(Network.of(layer), seed=0, chrono=100)["0.bias_ih_l0"].reshape(4, 3)
    >>> i, f, g, o = bias.round(1).astype(float).round(1).tolist()
    >>> i, f
    ([-2.2, -4.4, -4.4], [2.2, 4.4, 4.4])
    """
    if chrono is not None and chrono < 2:
        raise InputError(f"chrono={chrono}, but the longest memory in steps, at least 2, was wanted.")
    rng = np.random.default_rng([seed, 0])
    weights: dict[str, Array] = {}
    for name, shape in parameter_shapes(network).items():
        node, parameter = parameter_owner(network, name)
        array = _draw(rng, node, parameter, shape, embedding_scale)
        if isinstance(node, Recurrent) and parameter.startswith("bias_ih"):
            _start_gates(array, rng, node, forget_bias, chrono)
        weights[name] = array.astype(np.float32)
    return weights


def _draw(
    rng: np.random.Generator, node: object, parameter: str, shape: tuple[int, ...], embedding_scale: float
) -> Array:
    match node:
        case Embed():
            return rng.uniform(-embedding_scale, embedding_scale, shape)
        case Decode():
            return rng.standard_normal(shape)  # as published
        case Recurrent() if parameter.startswith("weight_hh"):
            q, r = np.linalg.qr(rng.standard_normal(shape))  # [G*H, H]
            return q * np.sign(np.diag(r))  # uniform over the orthogonal matrices (Mezzadri 2007)
        case Recurrent() | Dense() if len(shape) > 1:
            limit = math.sqrt(6 / sum(shape))
            return rng.uniform(-limit, limit, shape)
    return np.zeros(shape)


def _start_gates(
    bias: Array, rng: np.random.Generator, node: Recurrent, forget_bias: float, chrono: int | None
) -> None:
    """Set the biases [G * H] of the gates that keep and let in, in place; those of other cells stay."""
    gates, cell = bias.reshape(-1, node.hidden_size), CELLS[node.cell]  # [G, H]
    keep: float | Array = forget_bias if cell.carries_c else 0.0
    if chrono is not None:
        keep = np.log(rng.uniform(1, chrono - 1, node.hidden_size))
    if cell.keeps is not None:
        gates[cell.keeps] = keep
    if cell.lets_in is not None and chrono is not None:
        gates[cell.lets_in] = -keep
