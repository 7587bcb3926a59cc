"""Float32 kernels are as close to the truth as PyTorch's: their error is at most twice its error on the same case."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import cases
from tidegate import kernels


def module_of(cell: str, C: int, H: int) -> torch.nn.RNNBase:
    if cell == "lstm":
        return torch.nn.LSTM(C, H, batch_first=True)
    if cell == "gru":
        return torch.nn.GRU(C, H, batch_first=True)
    return torch.nn.RNN(C, H, batch_first=True, nonlinearity=cell.removeprefix("rnn_"))


def error(got: cases.Array, want: cases.Array) -> float:
    """Return the root of the mean squared error, relative to the largest entry."""
    return float(np.sqrt(np.mean((got.astype(np.float64) - want) ** 2)) / np.abs(want).max())


@pytest.mark.parametrize("cell", kernels.CELLS)
@pytest.mark.parametrize(("T", "B", "C", "H"), [(50, 16, 32, 32), (200, 4, 20, 64), (30, 8, 65, 129)])
def test_rounding_is_at_most_twice_torchs(cell: str, T: int, B: int, C: int, H: int) -> None:
    case = cases.make(cell, [T] * B, C, H, directions=1, states=False)
    run = case.forward()
    got, want = cases.flat(run, case.backward(run)), cases.expected(case)
    module = module_of(cell, C, H)
    direction = case.directions[0]
    arrays = (direction.w_ih, direction.w_hh, direction.b_ih, direction.b_hh)
    for parameter, array in zip(module.parameters(), arrays, strict=True):
        assert array is not None
        parameter.data = torch.from_numpy(array.copy())
    x = torch.from_numpy(case.x.reshape(B, T, C)).requires_grad_()
    h, state = module(x)
    loss = (h * torch.from_numpy(case.dh.reshape(B, T, H))).sum()
    for part, gradient in zip(state if cell == "lstm" else [state], (case.dhn, case.dcn), strict=False):
        loss = loss + (part * torch.from_numpy(gradient)).sum()
    loss.backward()
    assert x.grad is not None
    rival = {"h": h.reshape(B * T, H), "dx": x.grad.reshape(B * T, C)}
    rival |= {f"{n}.0": p.grad for n, p in zip(("w_ih", "w_hh", "b_ih", "b_hh"), module.parameters(), strict=True)}
    for name, tensor in rival.items():
        theirs = error(tensor.detach().numpy(), want[name])
        assert error(got[name], want[name]) <= 2 * theirs, name
        assert theirs < 1e-5, name  # or the comparison would mean nothing
