"""A network becomes one module of plain torch: `to_torch`."""

from __future__ import annotations

import json
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from tidegate.cells import CELLS
from tidegate.convert.proof import LENGTHS, prove, sequences
from tidegate.convert.torch_module import PlainNetwork
from tidegate.errors import InputError
from tidegate.network import Crf, Ctc, Decode, Embed, Pool, Recurrent, Spectrogram, Spell, Split, Wide, Window
from tidegate.offers import Exportable
from tidegate.runtime import Executor

Array: TypeAlias = npt.NDArray[Any]


def to_torch(model: Any) -> PlainNetwork:
    """Make a plain torch module of a model's network, with copies of its weights: `module(padded, lengths)`.

    It is built of `nn.Embedding`, `nn.RNN`, `nn.LSTM`, `nn.GRU` and `nn.Linear`, and reads padded ids or features with
    lengths, which it packs. Random sequences prove it, padded beside each other: its outputs equal those of
    `runtime.Executor` within 1e-5. Dropout of kinds that these modules have not is left out; it acts in training alone.

    Args:
        model: a fitted task, or an executor. Of a task the network alone is converted: what prepares the inputs, and
            what is made of the outputs, stays.

    Returns:
        The module, in `eval` mode. Its `state_dict` has the names of the model file.

    Raises:
        InputError: the network has a node that torch has no module for; it is named.
        ConversionError: the proof failed.

    >>> from tidegate.network import Dense, Network
    >>> double = Executor(Network.of(Dense(in_features=1, out_features=1)),
    ...     {"0.weight": np.array([[2.0]], np.float32), "0.bias": np.array([1.0], np.float32)})
    >>> to_torch(double)(torch.tensor([[[1.0], [4.0]]]), torch.tensor([2])).tolist()
    [[[3.0], [9.0]]]
    """
    executor = _executor(model)
    network = executor.network
    if network.is_encoder_decoder:
        raise InputError(
            "the network reads pairs, attends, or begins with states that another node gives, which plain torch has no "
            "module for. Use tidegate.nn.build."
        )
    for index, node in enumerate(network.nodes):
        if isinstance(node, Wide) or (isinstance(node, Embed) and node.beside):
            raise InputError(
                f"node {index} of the network reads what is counted of n-grams, for which torch has no module. Use "
                "tidegate.nn.build or tidegate.export.to_onnx, or train a classifier with evidence=0 and linear=False."
            )
        if isinstance(node, Spell | Split | Decode | Crf | Ctc | Window | Spectrogram):
            raise InputError(f"node {index} of the network is a {node.kind!r}, for which torch has no module.")
        if isinstance(node, Recurrent) and CELLS[node.cell].torch is None:
            raise InputError(f"torch has no module for the cell {node.cell} of node {index}. Train another cell.")
    module = PlainNetwork(json.loads(network.to_json())["nodes"]).to(
        torch.from_numpy(np.zeros(0, executor.dtype)).dtype
    )
    state = {name: torch.from_numpy(array.copy()) for name, array in executor.weights.items()}
    if network.nodes[-1].kind == "tied":
        state[f"{len(network.nodes) - 1}.weight"] = state["0.weight"]
    module.load_state_dict(state)
    module.eval()
    _prove(executor, module)
    return module


def _executor(model: Any) -> Executor:
    """Find the network and the weights of a task, or take an executor as it is."""
    match model:
        case Executor():
            return model
        case Exportable():
            around = model.interface()
            return Executor(around.network, around.weights)
    raise InputError(f"a {type(model).__name__} came; wanted a fitted task, or an executor.")


def _prove(executor: Executor, module: PlainNetwork) -> None:
    """Run a padded batch through the module at once, and hand out its rows as the rival's answers."""
    x = sequences(executor.network, executor.dtype, lengths=(*LENGTHS, 0))
    padded, lengths = x.to_padded()
    with torch.no_grad():
        out = np.asarray(module(torch.from_numpy(padded), torch.from_numpy(np.array(lengths))))
    pooled = any(isinstance(node, Pool) for node in executor.network.nodes)
    rows = iter(zip(out, lengths, strict=True))

    def answer(_: Array) -> Array:
        row, length = next(rows)
        return np.asarray(row if pooled else row[:length])

    prove(executor, answer, x, pooled=pooled)
