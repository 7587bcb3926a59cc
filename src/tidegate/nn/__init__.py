"""Layers for training: torch modules over the kernels, with the parameters of `torch.nn`. Needs torch.

>>> import torch
>>> from tidegate import Ragged
>>> layer = LSTM(4, 8, bidirectional=True)
>>> output, (hn, cn) = layer(Ragged.from_list([torch.zeros(3, 4), torch.zeros(1, 4)]))
>>> output, list(hn.shape)
(Ragged(2 sequences, values [4, 16] torch.float32), [2, 2, 8])
"""

from __future__ import annotations

from importlib.util import find_spec

from tidegate.errors import MissingPackageError

if find_spec("torch") is None:
    raise MissingPackageError.of("torch", "torch", "tidegate.nn")

from tidegate.nn.accelerate import Acceleration, accelerate, restore
from tidegate.nn.build import as_network, build
from tidegate.nn.convert import from_nested, from_packed, to_nested, to_packed, to_torch
from tidegate.nn.crf import CRF
from tidegate.nn.cross_entropy import linear_cross_entropy
from tidegate.nn.grids import GridLSTM
from tidegate.nn.layers import GRU, LSTM, SimpleRNN
from tidegate.nn.layout import as_ragged
from tidegate.nn.pool import Pool

__all__ = [
    "CRF",
    "GRU",
    "LSTM",
    "Acceleration",
    "GridLSTM",
    "Pool",
    "SimpleRNN",
    "accelerate",
    "as_network",
    "as_ragged",
    "build",
    "from_nested",
    "from_packed",
    "linear_cross_entropy",
    "restore",
    "to_nested",
    "to_packed",
    "to_torch",
]
