"""The recurrent layer written out in torch's own operators, step by step, for derivatives that kernels do not have.

Takes and returns what the operator `recurrent` does. Every operator here has all of torch's derivatives, and none
changes anything in place. Slower than the kernels; equal to them within rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import embedding, linear

State = tuple[Tensor, ...]
Step = Callable[[Tensor, State, Tensor], State]
"""From the projected input [B, G * H], the state before and what enters w_hh [B, H] to the state after."""


def recurrent(
    cell: str, reverse: bool, x: Tensor, offsets: Tensor, table: Tensor | None, *rest: Any
) -> tuple[Tensor, Tensor, Tensor]:
    """Run one layer over a ragged batch; the arguments are those of the operator of this name.

    Returns:
        h [N, D * H], hn [D, B, H], cn [D, B, H] or empty.
    """
    *weights, h0, c0, mask, _keep, _recompute = rest
    with torch.autocast(x.device.type, enabled=False):
        rows = x if table is None else embedding(x, table)
        outputs, ends = [], []
        for d in range(1 if weights[4] is None else 2):
            direction = _Direction(cell, *weights[4 * d : 4 * d + 4])
            states = [None if state is None else state[d] for state in (h0, c0, mask)]
            output, end = _run(direction, rows, _Steps.of(offsets, reverse or d == 1, rows.device), *states)
            outputs.append(output)
            ends.append(end)
        hn, *cn = (torch.stack(each) for each in zip(*ends, strict=True))
        return torch.cat(outputs, dim=1), hn, cn[0] if cn else hn.new_empty(0)


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


class _Direction(NamedTuple):
    cell: str
    w_ih: Tensor
    w_hh: Tensor
    b_ih: Tensor | None
    b_hh: Tensor | None

    def step(self, projected: Tensor, state: State, entering: Tensor) -> State:
        """Take one step of all sequences."""
        product = linear(entering, self.w_hh, self.b_hh)  # [B, G * H]
        if self.cell == "lstm":
            i, f, g, o = _gates(projected + product, 4)
            c = torch.sigmoid(f) * state[1] + torch.sigmoid(i) * torch.tanh(g)
            return torch.sigmoid(o) * torch.tanh(c), c
        if self.cell == "gru":
            (from_x, from_h) = _gates(projected, 3), _gates(product, 3)
            r, z = torch.sigmoid(from_x[0] + from_h[0]), torch.sigmoid(from_x[1] + from_h[1])
            n = torch.tanh(from_x[2] + r * from_h[2])
            return ((1 - z) * n + z * state[0],)
        total = projected + product
        return (torch.tanh(total) if self.cell == "rnn_tanh" else torch.relu(total),)


def _run(
    direction: _Direction, rows: Tensor, steps: _Steps, h0: Tensor | None, c0: Tensor | None, mask: Tensor | None
) -> tuple[Tensor, State]:
    """Run one direction; return its output [N, H] and the states [B, H] it ends in."""
    T, B = steps.token.shape
    H = direction.w_hh.shape[1]
    zeros = direction.w_hh.new_zeros(B, H)
    state: State = tuple(zeros if s is None else s for s in ((h0, c0) if direction.cell == "lstm" else (h0,)))
    read = rows.index_select(0, steps.token.flatten()) if T else rows  # [T * B, C]
    projected = linear(read, direction.w_ih, direction.b_ih)  # [T * B, G * H]
    outputs = []
    for t in range(T):
        entering = state[0] if mask is None else state[0] * mask
        after = direction.step(projected[t * B : (t + 1) * B], state, entering)
        state = tuple(torch.where(steps.live[t], new, old) for new, old in zip(after, state, strict=True))
        outputs.append(state[0])
    if not outputs:
        return rows.new_zeros(0, H), state
    return torch.cat(outputs).index_select(0, steps.place), state


def _gates(values: Tensor, count: int) -> list[Tensor]:
    """Cut [B, G * H] into gates; torch has no rule for many gradients at once through `chunk` (torch 2.13)."""
    size = values.shape[-1] // count
    return [values[..., gate * size : (gate + 1) * size] for gate in range(count)]
