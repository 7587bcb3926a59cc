"""The recurrent kernels as torch operators: one runs a layer in all its directions, and another runs it back.

Knows tensors, not modules. The operators are opaque to `torch.compile`, so it meets no graph break here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

import tidegate.kernels as kernels
from tidegate.nn import equations
from tidegate.nn.transforms import beyond_kernels, gradients, plain, why_no_rule

_NOT_KEPT = np.empty(0)

_WEIGHTS = (
    "Tensor w_ih, Tensor w_hh, Tensor? b_ih, Tensor? b_hh, "
    "Tensor? w_ih_reverse, Tensor? w_hh_reverse, Tensor? b_ih_reverse, Tensor? b_hh_reverse, "
    "Tensor? h0, Tensor? c0, Tensor? mask"
)
torch.library.define(
    "tidegate::recurrent",
    f"(str cell, bool reverse, Tensor x, Tensor offsets, Tensor? table, {_WEIGHTS}, bool keep, bool recompute) "
    "-> (Tensor h, Tensor hn, Tensor cn, Tensor gates, Tensor memo)",
)
torch.library.define(
    "tidegate::recurrent_backward",
    f"(str cell, bool reverse, Tensor x, Tensor offsets, Tensor? table, {_WEIGHTS}, Tensor h, "
    "Tensor gates, Tensor memo, Tensor? dh, Tensor? dhn, Tensor? dcn, bool need_dx, bool recompute) -> Tensor[]",
)
recurrent = torch.ops.tidegate.recurrent.default
"""Run one layer over a ragged batch.

Args:
    cell: one of `kernels.CELLS`.
    reverse: run the only direction from the end; with weights for two directions the second always does.
    x: [N, C], or [N] token ids with ``table`` [V, C].
    offsets: [B + 1] int64, on the CPU.
    w_ih, w_hh, b_ih, b_hh: torch's layout; ``_reverse`` for the second direction.
    h0, c0, mask: [D, B, H]; ``mask`` multiplies the state where it enters ``w_hh``.
    keep: return gates and memo. Where a gradient is wanted they are kept anyway, but for
    recompute: the backward call runs the layer again for them, to the same bits.

Returns:
    h [N, D * H], hn [D, B, H], cn [D, B, H], gates [D, N, G * H], memo [D, N, H]; an empty tensor for what the
    cell does not have or was not kept.
"""
recurrent_backward = torch.ops.tidegate.recurrent_backward.default


@dataclass(frozen=True)
class LayerRun:
    """What one layer was given and found when it ran back; ``dh`` and ``dhn`` came to its outputs, None for zeros."""

    cell: str
    offsets: kernels.Array  # [B + 1]
    directions: Sequence[kernels.Direction]
    forward: kernels.Forward
    dh: kernels.Array  # [N, D * H]
    dhn: kernels.Array | None  # [D, B, H]
    gradients: kernels.Gradients


Watcher = Callable[[int, LayerRun], None]
"""Takes which of its layers a module ran back, and what that layer found, which may not be kept."""
_watchers: WeakKeyDictionary[object, Watcher] = WeakKeyDictionary()


@contextmanager
def watched(watchers: Mapping[Any, Watcher]) -> Iterator[None]:
    """Hand what the layers of some modules find, when they run back while the block lasts, to the watcher of each."""
    before = {module: _watchers.get(module) for module in watchers}
    _watchers.update(watchers)
    try:
        yield
    finally:
        for module, watcher in before.items():
            if watcher is None:
                _watchers.pop(module, None)
            else:
                _watchers[module] = watcher


def num_threads() -> int:
    """Return how many threads a kernel may use: what was asked of Tidegate, else what torch uses."""
    return kernels.explicit_num_threads() or torch.get_num_threads()


def run_layer(owner: object, layer: int, *inputs: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Run one layer as `recurrent` does, without torch's dispatcher where nobody looks there, which is much quicker.

    Args:
        owner: the module that asks, for whoever watches it.
        layer: which of its layers this is.
        inputs: those of `recurrent`.

    Returns:
        h, hn and cn.
    """
    *others, _keep, recompute = inputs
    if not plain(*inputs[2:-2]):
        outputs = recurrent(*inputs)
    elif _wants_gradient(others):
        outputs = _Recurrent.apply((owner, layer), *others, recompute)  # type: ignore[no-untyped-call]
    else:
        outputs = _forward(*inputs)
    return outputs[0], outputs[1], outputs[2]


def _forward(
    cell: str, reverse: bool, x: Tensor, offsets: Tensor, table: Tensor | None, *rest: Any
) -> tuple[Tensor, ...]:
    *inputs, keep, _recompute = rest
    result = kernels.forward(
        cell,
        x.detach().numpy(),
        offsets.numpy(),
        _directions(reverse, inputs),
        table=_array(table),
        keep=keep,
        num_threads=num_threads(),
    )
    arrays = (result.h, result.hn, result.cn, result.gates, result.memo)
    return tuple(_tensor(array, inputs[0]) for array in arrays)


torch.library.impl("tidegate::recurrent", "CPU", _forward)


@torch.library.register_fake("tidegate::recurrent")  # type: ignore[untyped-decorator]
def _forward_shapes(
    cell: str, reverse: bool, x: Tensor, offsets: Tensor, table: Tensor | None, *rest: Any
) -> tuple[Tensor, ...]:
    w_hh, second, keep = rest[1], rest[4], rest[-2]
    rows, hidden_size = w_hh.shape  # [G * H, H]
    directions, tokens, batch_size = 1 + (second is not None), x.shape[0], offsets.shape[0] - 1
    state = (directions, batch_size, hidden_size)
    kept = keep and cell in ("lstm", "gru")
    return (
        w_hh.new_empty(tokens, directions * hidden_size),
        w_hh.new_empty(state),
        w_hh.new_empty(state if cell == "lstm" else 0),
        w_hh.new_empty((directions, tokens, rows) if kept else 0),
        w_hh.new_empty((directions, tokens, hidden_size) if kept else 0),
    )


def _backward(*inputs: Any, watcher: Callable[[LayerRun], None] | None = None) -> list[Tensor]:
    (cell, reverse, x, offsets, table), (h, gates, memo, dh, dhn, dcn, need_dx, recompute) = inputs[:5], inputs[16:]
    gated = cell in ("lstm", "gru")
    layer = (cell, x.detach().numpy(), offsets.numpy(), _directions(reverse, inputs[5:16]))
    if recompute and gated:
        forward = kernels.forward(*layer, table=_array(table), keep=True, num_threads=num_threads())
    else:
        kept = (_array(gates), _array(memo)) if gated else (None, None)
        forward = kernels.Forward(h.detach().numpy(), _NOT_KEPT, None, *kept)
    dense = np.zeros_like(forward.h) if dh is None else dh.detach().numpy()
    result = kernels.backward(
        *layer,
        forward,
        dense,
        dhn=_array(dhn),
        dcn=_array(dcn),
        table=_array(table),
        need_dx=need_dx,
        overwrite=recompute and watcher is None,
        num_threads=num_threads(),
    )
    if watcher is not None:
        watcher(LayerRun(cell, layer[2], layer[3], forward, dense, _array(dhn), result))
    each = result.directions
    weights = [array for d in each for array in (d.w_ih, d.w_hh, d.b_ih, d.b_hh)]
    found: list[Any] = [*weights, *[None] * (8 - len(weights)), [d.h0 for d in each], [d.c0 for d in each]]
    arrays = [None if tensor is None else array for tensor, array in zip(inputs[5:15], found, strict=True)]
    arrays[8:] = [None if state is None else np.stack(state) for state in arrays[8:]]
    return [_tensor(array, h) for array in (result.dx, *arrays)]


torch.library.impl("tidegate::recurrent_backward", "CPU", _backward)


@torch.library.register_fake("tidegate::recurrent_backward")  # type: ignore[untyped-decorator]
def _backward_shapes(
    cell: str, reverse: bool, x: Tensor, offsets: Tensor, table: Tensor | None, *rest: Any
) -> list[Tensor]:
    source = (x if table is None else table) if rest[-2] else None
    wanted = (source, *rest[:10])  # dx, then weights and states as they came
    h = rest[11]
    return [h.new_empty(0 if tensor is None else tensor.shape) for tensor in wanted]


class _Recurrent(torch.autograd.Function):
    """Tie the two operators together for autograd.

    `torch.library.register_autograd` would do the same and take 0.2 ms more per call, as it reads the schema once per
    argument (torch 2.13, 17 arguments). The backward call reads h, which whoever asked for it may have changed in
    place since: h is computed again then, to the same bits, so that nobody else pays.
    """

    @staticmethod
    def forward(ctx: Any, caller: tuple[object, int] | None, *inputs: Any) -> Any:
        arguments = (*inputs[:-1], not inputs[-1], inputs[-1])
        if caller is None:
            with torch._C._AutoDispatchBelowAutograd():
                outputs = recurrent(*arguments)
        else:
            outputs = _forward(*arguments)
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(*outputs[3 if inputs[0] == "lstm" else 2 :])
        ctx.caller, ctx.names, ctx.recompute = caller, inputs[:2], inputs[-1]
        ctx.h = outputs[0].detach()  # shares memory and count of changes
        ctx.unchanged = ctx.h._version
        ctx.save_for_backward(*inputs[2:-1], *outputs[3:])
        return outputs

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        saved, grads = ctx.saved_tensors, grads[:3]
        inputs = (*ctx.names, *saved[:14])
        if beyond_kernels(grads):
            needed = (*ctx.needs_input_grad[1:17], False, False)
            return None, *gradients(equations.recurrent, (*inputs, False, False), grads, needed)[:-1]
        direct = ctx.caller is not None and plain(*saved, *grads)
        h = ctx.h
        if h._version != ctx.unchanged:
            h = (_forward if direct else recurrent)(*(_detached(value) for value in inputs), False, False)[0]
        need_dx = ctx.needs_input_grad[3] or ctx.needs_input_grad[5]
        arguments = (*inputs, h, *saved[14:], *grads, need_dx, ctx.recompute)
        dx, *rest = _backward(*arguments, watcher=_watcher(ctx.caller)) if direct else recurrent_backward(*arguments)
        if not torch._C._autograd._get_current_graph_task_keep_graph():
            ctx.h = None  # freed as what torch saves is
        dense = saved[2] is None  # no table
        found = (dx if dense else None, None, None if dense else dx, *rest, None, None)  # x, offsets, table, .., mask
        wanted = ctx.needs_input_grad[3:]
        return (None, None, None, *(d if want else None for d, want in zip(found, wanted, strict=True)))


def _watcher(caller: tuple[object, int]) -> Callable[[LayerRun], None] | None:
    watcher = _watchers.get(caller[0])
    return None if watcher is None else partial(watcher, caller[1])


def _wants_gradient(inputs: Sequence[Any]) -> bool:
    """Keep gates and memo because a gradient is wanted, never because of train or eval mode."""
    return torch.is_grad_enabled() and any(isinstance(value, Tensor) and value.requires_grad for value in inputs)


@torch.library.impl("tidegate::recurrent", "Autograd")
def _forward_with_gradient(*inputs: Any) -> Any:
    if why_no_rule():  # met here by compiled code alone
        h, *_ = outputs = equations.recurrent(*inputs)
        return (*outputs, h.new_empty(0), h.new_empty(0))
    if _wants_gradient(inputs):
        *others, _keep, recompute = inputs
        return _Recurrent.apply(None, *others, recompute)  # type: ignore[no-untyped-call]
    with torch._C._AutoDispatchBelowAutograd():
        return recurrent(*inputs)


def _directions(reverse: bool, inputs: Sequence[Any]) -> list[kernels.Direction]:
    """Cut weights and states [D, B, H], as the operators take them, into one Direction each."""
    arrays = [_array(tensor) for tensor in inputs]
    directions = []
    for d in range(1 if arrays[4] is None else 2):
        w_ih, w_hh, b_ih, b_hh = arrays[4 * d : 4 * d + 4]
        h0, c0, mask = (None if state is None else state[d] for state in arrays[8:])
        directions.append(kernels.Direction(w_ih, w_hh, b_ih, b_hh, reverse or d == 1, h0, c0, mask))
    return directions


def _array(tensor: Tensor | None) -> Any:
    return None if tensor is None else tensor.detach().numpy()


def _tensor(array: Any, like: Tensor) -> Tensor:
    """Share the memory of an array; an operator cannot return None, so an empty tensor stands for it."""
    return like.new_empty(0) if array is None else torch.from_numpy(array)


def _detached(value: Any) -> Any:
    return value.detach() if isinstance(value, Tensor) else value
