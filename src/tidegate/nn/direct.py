"""The usual calls of an accelerated layer, from torch's tensors to the kernels by a shorter way than that of `Stack`.

Over few steps the checks and forms of `Stack` would take longer than the work. Only a padded batch or one sequence of
plain numbers goes here; all else, and all that is wrong, is left to `Stack`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, TypeAlias

import torch
from torch import Tensor

import tidegate.kernels as kernels
from tidegate.cells import CELLS
from tidegate.nn.operands import Operands
from tidegate.nn.operators import num_threads, run_layer
from tidegate.nn.stack import parameter_names
from tidegate.nn.transforms import at_work, plain

Result: TypeAlias = tuple[Tensor, list[Tensor]]
"""The output and the final states, in torch's form."""

_KINDS = {torch.float32: ("float32", 4), torch.float64: ("float64", 8)}
_MOST_TOKENS = 2**31 - 1


def run(layer: Any, batch: Any, *states: Any) -> Result | None:
    """Run all layers, or return None for a call that is not for here.

    Args:
        layer: an accelerated layer.
        batch: [T, B, C], [B, T, C] or [T, C], as torch's layers take it.
        states: h0, or h0 and c0, in torch's form; None for zeros.
    """
    if type(batch) is not Tensor or batch.dim() not in (2, 3) or batch.shape[-1] != layer.input_size:
        return None
    if layer.training and layer.dropout and layer.num_layers > 1:
        return None
    sizes = () if batch.dim() == 2 else (batch.shape[0 if layer.batch_first else 1],)
    ends = (layer.num_layers * layer.num_directions, *sizes, layer.hidden_size)  # [L * D, B, H] or [L * D, H]
    if any(state is not None and state.shape != ends for state in states):
        return None
    weights = _weights(layer)
    if weights is None or not _usable(batch, *states, *weights):
        return None
    if torch.is_grad_enabled() and any(each is not None and each.requires_grad for each in (batch, *states, *weights)):
        return _with_gradient(layer, batch, states, weights)
    starts = [state if state is None else state.contiguous() for state in states]
    return _without(layer, batch.contiguous(), starts, [batch.new_empty(ends) for _ in states], weights)


def _without(
    layer: Any, x: Tensor, starts: Sequence[Tensor | None], ends: list[Tensor], weights: Sequence[Tensor | None]
) -> Result:
    """Go through the layers and fill the final states; everything is contiguous, and nobody wants a gradient."""
    D, H, (kind, width) = layer.num_directions, layer.hidden_size, _KINDS[x.dtype]
    B, T = _sizes(layer, x)
    part = B * H * width  # bytes of one direction's state
    addresses = [0 if weight is None else weight.data_ptr() for weight in weights]
    first = [0 if start is None else start.data_ptr() for start in starts]
    last = [end.data_ptr() for end in ends]
    for row in range(0, layer.num_layers * D, D):
        directions = [
            (*addresses[4 * d : 4 * d + 4], *(address and address + d * part for address in first))
            for d in range(row, row + D)
        ]
        h = x.new_empty((*x.shape[:-1], D * H))
        kernels.forward_at(
            kind,
            layer.cell,
            x.data_ptr(),
            (B, T, x.shape[-1], H),
            directions,
            (h.data_ptr(), *(address + row * part for address in last)),
            by_step=not layer.batch_first,
            num_threads=num_threads(),
        )
        x = h
    return x, ends


def _with_gradient(layer: Any, batch: Tensor, states: Sequence[Tensor | None], weights: list[Tensor | None]) -> Result:
    """Go through the layers by the operators, rows end to end."""
    D, (B, T) = layer.num_directions, _sizes(layer, batch)
    turned = batch.dim() == 3 and not layer.batch_first
    values = (batch.transpose(0, 1) if turned else batch).reshape(B * T, -1)  # [N, C]
    offsets = torch.arange(0, B * T + 1, T)
    starts = [state if state is None else state.view(-1, B, layer.hidden_size) for state in states]
    ends = []
    for row in range(0, layer.num_layers * D, D):
        own: list[Any] = [*weights[4 * row : 4 * (row + D)], *[None] * (8 - 4 * D)]
        start = [state if state is None else state[row : row + D] for state in (*starts, None)[:2]]
        given = Operands._make((layer.cell, False, values, offsets, None, *own, *start, None))
        values, *found = run_layer(given)
        ends.append(found[: len(states)])
    final = [each[0] if len(each) == 1 else torch.cat(each) for each in zip(*ends, strict=True)]
    if batch.dim() == 2:
        return values, [state.squeeze(1) for state in final]
    output = values.view(B, T, -1)
    return output.transpose(0, 1).contiguous() if turned else output, final


def _sizes(layer: Any, batch: Tensor) -> tuple[int, int]:
    """Return B and T."""
    if batch.dim() == 2:
        return 1, batch.shape[0]
    size, steps = batch.shape[:2] if layer.batch_first else (batch.shape[1], batch.shape[0])
    return size, steps


@cache
def _shapes(
    gates: int, C: int, H: int, num_layers: int, bidirectional: bool, bias: bool
) -> tuple[tuple[str | None, tuple[int, ...]], ...]:
    """Name the parameters of all layers in the kernels' order, None for those that there are not, with their shapes."""
    D, found = 1 + bidirectional, []
    for layer in range(num_layers):
        sizes = ((gates * H, D * H if layer else C), (gates * H, H), (gates * H,), (gates * H,))
        names = parameter_names(layer, bidirectional, bias)[: 4 * D]
        found += [*zip(names, D * sizes, strict=True)]
    return tuple(found)


def _weights(layer: Any) -> list[Tensor | None] | None:
    """List the parameters, or None where they are not all there, contiguous and of their shapes."""
    held: dict[str, Tensor] = layer._parameters
    found: list[Tensor | None] = []
    sizes = (layer.input_size, layer.hidden_size, layer.num_layers)
    for name, shape in _shapes(CELLS[layer.cell].gates, *sizes, layer.bidirectional, layer.bias):
        weight = None if name is None else held.get(name)
        if name is not None and (weight is None or weight.shape != shape or not weight.is_contiguous()):
            return None
        found.append(weight)
    return found


def _usable(batch: Tensor, *others: Tensor | None) -> bool:
    """Tell whether all are plain numbers of one type, few enough but some, and nobody looks on."""
    kind = batch.dtype
    if kind not in _KINDS or not 0 < batch.numel() <= _MOST_TOKENS:
        return False
    if not plain(batch, *others) or at_work() or torch.is_autocast_enabled("cpu"):
        return False
    return all(other is None or other.dtype is kind for other in others)
