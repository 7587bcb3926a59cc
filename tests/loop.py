"""Networks as plain torch, one sequence and one step at a time, so that autograd has the gradient of every state.

The yardstick of what looks inside: written from the equations in torch's own functions, imports none of our arithmetic.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tidegate.network import Dense, Dropout, Embed, Network, Pool, Recurrent


@dataclass
class Walk:
    """One direction of one layer over one sequence, in the order of the tokens; every state keeps its gradient."""

    name: str
    h: list[Tensor]  # T of [H]
    c: list[Tensor]  # T of [H], lstm
    gates: list[Tensor]  # T of [G, H]
    last: Tensor  # [H] state after the last step visited

    def gradients(self, states: list[Tensor]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Read the gradients that autograd left, [T, H]; a state that the loss does not depend on has zero."""
        return np.array([np.zeros(s.shape) if s.grad is None else s.grad.numpy() for s in states])


def run(
    network: Network, weights: Mapping[str, Tensor], x: Tensor, *, blocked: int | None = None
) -> tuple[Tensor, list[Walk]]:
    """Return the output of one sequence, [K] or [T, K], and every direction walked.

    `x` is [T, C], or [T] token ids. No gradient passes direction `blocked` of the last node that has two.
    """
    double = [i for i, node in enumerate(network.nodes) if isinstance(node, Recurrent) and node.bidirectional]
    walks: list[Walk] = []
    last = torch.zeros(0)
    for index, node in enumerate(network.nodes):
        own = {name.split(".", 1)[1]: w for name, w in weights.items() if name.split(".", 1)[0] == str(index)}
        match node:
            case Embed():
                x = own["weight"][x.long()]
            case Recurrent():
                x, last = _recurrent(node, own, x, walks, blocked if index in double[-1:] else None)
            case Pool():
                x = _pool(node, x, last)
            case Dense():
                x = x @ own["weight"].T + own["bias"]
                x = getattr(torch, node.activation)(x) if node.activation else x
            case Dropout():
                pass
    return x, walks


def _recurrent(
    node: Recurrent, own: dict[str, Tensor], x: Tensor, walks: list[Walk], blocked: int | None
) -> tuple[Tensor, Tensor]:
    for layer in range(node.num_layers):
        number = len({walk.name.split()[1] for walk in walks})
        found = []
        for suffix in (f"_l{layer}", f"_l{layer}_reverse")[: node.num_directions]:
            names = [f"{kind}{suffix}" for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
            reverse = node.reverse or suffix.endswith("_reverse")
            found.append(walk(node, [own.get(name) for name in names], x, reverse, number))
        walks += found
        outs = [torch.stack(w.h) if w.h else x.new_zeros(0, node.hidden_size) for w in found]
        lasts = [w.last for w in found]
        if blocked is not None and layer == node.num_layers - 1:
            outs[blocked], lasts[blocked] = outs[blocked].detach(), lasts[blocked].detach()
        x, last = torch.cat(outs, dim=1), torch.cat(lasts)
    if not node.bidirectional or node.merge == "concat":
        return x, last
    return _merge(node.merge, *outs), _merge(node.merge, *lasts)


def _merge(merge: str, a: Tensor, b: Tensor) -> Tensor:
    if merge == "mul":
        return a * b
    return a + b if merge == "sum" else (a + b) / 2


def walk(node: Recurrent, own: list[Tensor | None], x: Tensor, reverse: bool, number: int) -> Walk:
    """Visit the steps of one direction."""
    w_ih, w_hh, b_ih, b_hh = own
    assert w_ih is not None and w_hh is not None
    H, T = node.hidden_size, len(x)
    h, c = x.new_zeros(H), x.new_zeros(H)
    found: dict[int, tuple[Tensor, Tensor, Tensor]] = {}
    for t in range(T)[:: -1 if reverse else 1]:
        a = w_ih @ x[t] + (0 if b_ih is None else b_ih)
        r = w_hh @ h + (0 if b_hh is None else b_hh)
        if node.cell == "lstm":
            i, f, g, o = (a + r).view(4, H)
            gates = torch.stack([i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()])
            c = gates[1] * c + gates[0] * gates[2]
            h = torch.zeros(H) + gates[3] * c.tanh()
        elif node.cell == "gru":
            reset, z = (a + r)[: 2 * H].sigmoid().view(2, H)
            n = (a[2 * H :] + reset * r[2 * H :]).tanh()
            gates, h = torch.stack([reset, z, n]), (1 - z) * n + z * h
        else:
            gates, h = torch.zeros(0, H), (a + r).tanh() if node.cell == "rnn_tanh" else (a + r).relu()
        for state in (h, c):
            if state.requires_grad:
                state.retain_grad()
        found[t] = (h, c, gates)
    name = f"layer {number} {'backward' if reverse else 'forward'}"
    h_all, c_all, gates_all = ([found[t][part] for t in range(T)] for part in range(3))
    return Walk(name, h_all, c_all if node.cell == "lstm" else [], gates_all, h)


def _pool(node: Pool, h: Tensor, last: Tensor) -> Tensor:
    """Pool one sequence; of an empty one everything is zero, but `last` what it was."""
    zero = h.new_zeros(h.shape[1])
    found = {
        "last": last,
        "first": h[0] if len(h) else zero,
        "max": h.max(dim=0).values if len(h) else zero,
        "mean": h.mean(dim=0) if len(h) else zero,
    }
    return torch.cat([found[mode] for mode in node.modes])


def to_torch(weights: Mapping[str, np.ndarray[Any, Any]], *, requires_grad: bool = True) -> dict[str, Tensor]:
    """Copy weights as float64 tensors."""
    tensors = {name: torch.from_numpy(array.astype(np.float64)) for name, array in weights.items()}
    return {name: tensor.requires_grad_(requires_grad) for name, tensor in tensors.items()}
