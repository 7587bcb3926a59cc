"""Encoders and decoders in torch: sides of pairs, attention, and states that another node gives. Knows no networks."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

import tidegate.network as nodes
from tidegate.pairs import Pairs
from tidegate.ragged import Ragged


class Attend(torch.nn.Module):
    """Give each row the mean of the rows of its sequence that it attends to; see `network.Attend`."""

    weight: Tensor
    weight_q: Tensor
    weight_k: Tensor
    bias: Tensor
    v: Tensor

    def __init__(self, node: nodes.Attend) -> None:
        super().__init__()
        self.score = node.score
        for name, shape in node.shapes().items():
            self.register_parameter(name, torch.nn.Parameter(torch.zeros(shape)))

    def forward(self, queries: Ragged, memory: Ragged) -> Ragged:
        """Return [N, memory_size]; a sequence without memory gives zeros."""
        asked, keys = queries.values, memory.values
        if self.score != "dot":
            keys = torch.nn.functional.linear(keys, self.weight if self.score == "general" else self.weight_k)
        if self.score == "additive":
            asked = torch.nn.functional.linear(asked, self.weight_q, self.bias)
        cut = [rows.lengths.tolist() for rows in (queries, memory, memory)]
        parts = [values.split(lengths) for values, lengths in zip((asked, keys, memory.values), cut, strict=True)]
        means = [self._scores(q, k).softmax(1) @ m for q, k, m in zip(*parts, strict=True)]
        return queries.with_values(torch.cat(means) if means else memory.values.new_zeros(0, memory.values.shape[1]))

    def _scores(self, q: Tensor, k: Tensor) -> Tensor:
        if self.score != "additive":
            return q @ k.T
        scores: Tensor = torch.tanh(q[:, None] + k[None]) @ self.v
        return scores


def side_of(rows: Ragged, pairs: Pairs, side: str) -> Ragged:
    """Take the rows of one side of pairs."""
    begin = pairs.offsets[:-1] + (pairs.cut if side == "target" else 0)
    part = pairs.target if side == "target" else pairs.source
    offsets = np.asarray(part.offsets, np.int64)
    index = np.arange(offsets[-1]) + np.repeat(begin - offsets[:-1], np.diff(offsets))
    return Ragged(rows.values.index_select(0, torch.from_numpy(index)), torch.from_numpy(offsets))


def started(node: nodes.Recurrent, rows: Tensor) -> Any:
    """Cut rows [B, start_size] into the states that a node begins with, as `_begin` gives them."""
    parts = rows.reshape(len(rows), -1, node.num_layers * node.num_directions, node.hidden_size)
    h, *c = (part.transpose(0, 1) for part in parts.unbind(1))  # [L * D, B, H]
    return (h, c[0]) if c else h
