"""Kernels beside PyTorch: float32 at most twice as far from the truth, gradients of the steps those of autograd."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

import cases
from tidegate import kernels

CELLS: dict[str, Any] = {
    "rnn_tanh": torch.nn.RNNCell,
    "rnn_relu": partial(torch.nn.RNNCell, nonlinearity="relu"),
    "lstm": torch.nn.LSTMCell,
    "gru": torch.nn.GRUCell,
}


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


@pytest.mark.parametrize("cell", kernels.CELLS)
@pytest.mark.parametrize("reverse", [False, True])
def test_gradients_of_the_steps_are_autograds_through_a_loop(cell: str, reverse: bool) -> None:
    """Unroll torch's own cell, one step after the other, and let autograd keep the gradient of every state."""
    case = cases.make(cell, [7], 3, 5, kind=np.float64, directions=1)
    case = replace(case, directions=(replace(case.directions[0], reverse=reverse),))
    gradients = case.backward(case.forward())
    direction, states = case.directions[0], []
    steps = CELLS[cell](3, 5).double()
    for parameter, array in zip(
        steps.parameters(), (direction.w_ih, direction.w_hh, direction.b_ih, direction.b_hh), strict=True
    ):
        assert array is not None
        parameter.data = torch.from_numpy(array)
    state = [torch.from_numpy(s).requires_grad_() for s in (direction.h0, direction.c0) if s is not None]
    loss: Any = torch.zeros(())
    for t in range(7)[:: -1 if reverse else 1]:
        out = steps(torch.from_numpy(case.x[t : t + 1]), tuple(state) if cell == "lstm" else state[0])
        state = list(out) if cell == "lstm" else [out]
        for s in state:
            s.retain_grad()
        states.append(state)
        loss = loss + (state[0] * torch.from_numpy(case.dh[t : t + 1])).sum()
    for s, gradient in zip(state, (case.dhn, case.dcn), strict=False):
        assert gradient is not None
        loss = loss + (s * torch.from_numpy(gradient[0])).sum()
    loss.backward()
    for part, got in enumerate((gradients.dh_steps, gradients.dc_steps)[: len(state)]):
        assert got is not None
        want = np.concatenate([np.asarray(each[part].grad) for each in states[:: -1 if reverse else 1]])
        np.testing.assert_allclose(got[0], want, rtol=1e-12, atol=1e-14)
