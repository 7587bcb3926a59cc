"""The weights that training starts from."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.errors import InputError
from tidegate.network import Network, parameter_owner, parameter_shapes
from tidegate.nodes import Start

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
    rng, start = np.random.default_rng([seed, 0]), Start(embedding_scale, forget_bias, chrono)
    weights: dict[str, Array] = {}
    for name, shape in parameter_shapes(network).items():
        node, parameter = parameter_owner(network, name)
        weights[name] = node.draw(parameter, shape, rng, start).astype(np.float32)
    return weights
