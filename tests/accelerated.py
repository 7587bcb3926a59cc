"""Layers of torch to be accelerated, and how what they give is compared before and after."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

C, H, B, T = 3, 5, 4, 6
LENGTHS = [4, 6, 1, 3]
CELLS: dict[str, Callable[..., Any]] = {
    "rnn_tanh": torch.nn.RNN,
    "rnn_relu": lambda *sizes, **options: torch.nn.RNN(*sizes, nonlinearity="relu", **options),
    "lstm": torch.nn.LSTM,
    "gru": torch.nn.GRU,
}


def flat(result: Any) -> list[Tensor]:
    """List the tensors of a layer's result."""
    match result:
        case PackedSequence():
            return [result.data]
        case Tensor():
            return [result]
    return [tensor for part in result for tensor in flat(part)]


def gradients(result: Any, inputs: list[Tensor]) -> list[Tensor]:
    """Return the gradients of a loss in which every number has its own weight."""
    torch.manual_seed(3)
    losses = [(tensor * torch.randn(tensor.shape, dtype=tensor.dtype)).sum() for tensor in flat(result)]
    return list(torch.autograd.grad(torch.stack(losses).sum(), inputs, retain_graph=True))


def assert_same(ours: list[Tensor], theirs: list[Tensor], dtype: torch.dtype) -> None:
    tolerance: dict[str, Any] = (
        {"rtol": 1e-4, "atol": 1e-5} if dtype == torch.float32 else {"rtol": 1e-10, "atol": 1e-12}
    )
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, **tolerance)


class Scripted(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = torch.nn.LSTM(C, H)

    def forward(self, x: Tensor) -> Tensor:
        return self.rnn(x)[0]  # type: ignore[no-any-return]
