"""What a checker must know of the layers for torch and of the runtime: never run, only checked."""

from __future__ import annotations

from typing import Any, assert_type

import numpy.typing as npt
import torch

import tidegate as tg
from tidegate import nn, runtime
from tidegate.network import Dense, Embed, Network, Pool, Recurrent


def layers(x: torch.Tensor) -> None:
    """A layer is a torch module with torch's arguments."""
    layer = nn.LSTM(8, 16, num_layers=2, bidirectional=True, batch_first=True)
    assert_type(layer.hidden_size, int)
    module: torch.nn.Module = layer
    module.load_state_dict(torch.nn.LSTM(8, 16, num_layers=2, bidirectional=True).state_dict())
    tg.accelerate(torch.nn.Sequential(torch.nn.LSTM(8, 16)))


def networks(weights: dict[str, npt.NDArray[Any]], x: tg.Ragged) -> None:
    """A network is data; an executor runs it."""
    network = Network.of(
        Embed(vocabulary_size=10, size=4),
        Recurrent(cell="lstm", input_size=4, hidden_size=3, bidirectional=True),
        Pool(modes=("max",)),
        Dense(in_features=6, out_features=2),
    )
    assert_type(network.output_size, int)
    built: torch.nn.Module = nn.build(network)
    built.eval()
    executor = runtime.Executor(network, weights)
    assert_type(executor(x), npt.NDArray[Any])


Pool(modes=("median",))  # type: ignore[arg-type]
Dense(in_features="6", out_features=2)  # type: ignore[arg-type]
nn.GRU(3, 4, weight_dropout=0.2, kernel="tidegate")
nn.GRU(3, 4, weight_dropout="0.2")  # type: ignore[arg-type]
nn.GRU(3, 4, kernel="cuda")  # type: ignore[arg-type]
nn.GRU(3, 4, forget_bias=1.0)  # type: ignore[call-arg]
