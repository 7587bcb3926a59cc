"""The recurrent layer written out in torch's own operators, step by step, for derivatives that kernels do not have.

Takes what the operator `recurrent` takes, and returns its first three outputs. Every operator here has all of torch's
derivatives, and none changes anything in place. Slower than the kernels; equal to them within rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import embedding, linear

from tidegate.cells import CELLS
from tidegate.nn.operands import Matrices, Operands

State = tuple[Tensor, ...]


def recurrent(given: Operands) -> tuple[Tensor, Tensor, Tensor]:
    """Run one layer over a ragged batch.

    Returns:
        h [N, D * H], hn [D, B, H], cn [D, B, H] or empty.
    """
    x, table = given.x, given.table
    with torch.autocast(x.device.type, enabled=False):
        rows = x if table is None else embedding(x, table)
        outputs, ends = [], []
        for d, matrices in enumerate(given.directions):
            steps = _Steps.of(given.offsets, given.reverse or d == 1, rows.device)
            states = [None if state is None else state[d] for state in (given.h0, given.c0, given.mask)]
            output, end = _run(given.cell, matrices, rows, steps, *states)
            outputs.append(output)
            ends.append(end)
        hn, *cn = (torch.stack(each) for each in zip(*ends, strict=True))
        return torch.cat(outputs, dim=1), hn, cn[0] if cn else hn.new_empty(0)


def _rnn_tanh(from_x: Tensor, from_h: Tensor, _state: State) -> State:
    return (torch.tanh(from_x + from_h),)


def _rnn_relu(from_x: Tensor, from_h: Tensor, _state: State) -> State:
    return (torch.relu(from_x + from_h),)


def _lstm(from_x: Tensor, from_h: Tensor, state: State) -> State:
    i, f, g, o = _gates(from_x + from_h, 4)
    c = torch.sigmoid(f) * state[1] + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def _gru(from_x: Tensor, from_h: Tensor, state: State) -> State:
    x, h = _gates(from_x, 3), _gates(from_h, 3)
    r, z = torch.sigmoid(x[0] + h[0]), torch.sigmoid(x[1] + h[1])
    n = torch.tanh(x[2] + r * h[2])
    return ((1 - z) * n + z * state[0],)


STEPS: dict[str, Callable[[Tensor, Tensor, State], State]] = {
    "rnn_tanh": _rnn_tanh,
    "rnn_relu": _rnn_relu,
    "lstm": _lstm,
    "gru": _gru,
}
"""A step of each cell: from what the input and what the state before say to the gates, bias and all, [B, G * H] both,
and the state before, [B, H] each, to the state after."""


class _Steps(NamedTuple):
    """Say which token each sequence reads at each step, and where each token's output stands."""

    token: Tensor  # [T, B]
    live: Tensor  # [T, B, 1] bool
    place: Tensor  # [N], of the T * B outputs

    @staticmethod
    def of(offsets: Tensor, reverse: bool, device: torch.device) -> _Steps:
        lengths = offsets[1:] - offsets[:-1]  # [B]
        B, T = lengths.shape[0], int(lengths.max()) if lengths.shape[0] else 0
        step = torch.arange(T)[:, None]  # [T, 1]
        live = step < lengths
        token = torch.where(live, offsets[1:] - 1 - step if reverse else offsets[:-1] + step, 0)
        sequence = torch.arange(B).repeat_interleave(lengths)  # [N]
        tokens = torch.arange(sequence.shape[0])
        read_at = offsets[1:][sequence] - 1 - tokens if reverse else tokens - offsets[:-1][sequence]
        place = read_at * B + sequence
        return _Steps(token.to(device), live[..., None].to(device), place.to(device))


def _run(
    cell: str, own: Matrices, rows: Tensor, steps: _Steps, h0: Tensor | None, c0: Tensor | None, mask: Tensor | None
) -> tuple[Tensor, State]:
    """Run one direction; return its output [N, H] and the states [B, H] it ends in."""
    T, B = steps.token.shape
    H = own.w_hh.shape[1]
    zeros = own.w_hh.new_zeros(B, H)
    state: State = tuple(zeros if s is None else s for s in ((h0, c0) if CELLS[cell].carries_c else (h0,)))
    read = rows.index_select(0, steps.token.flatten()) if T else rows  # [T * B, C]
    projected = linear(read, own.w_ih, own.b_ih)  # [T * B, G * H]
    outputs = []
    for t in range(T):
        entering = state[0] if mask is None else state[0] * mask
        product = linear(entering, own.w_hh, own.b_hh)  # [B, G * H]
        after = STEPS[cell](projected[t * B : (t + 1) * B], product, state)
        state = tuple(torch.where(steps.live[t], new, old) for new, old in zip(after, state, strict=True))
        outputs.append(state[0])
    if not outputs:
        return rows.new_zeros(0, H), state
    return torch.cat(outputs).index_select(0, steps.place), state


def _gates(values: Tensor, count: int) -> list[Tensor]:
    """Cut [B, G * H] into gates; torch has no rule for many gradients at once through `chunk` (torch 2.13)."""
    size = values.shape[-1] // count
    return [values[..., gate * size : (gate + 1) * size] for gate in range(count)]
