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
from tidegate.cells import CELLS
from tidegate.nn import equations
from tidegate.nn.operands import WEIGHTS, Found, Operands, schema
from tidegate.nn.transforms import beyond_kernels, gradients, plain, why_no_rule

_NOT_KEPT = np.empty(0)

torch.library.define(
    "tidegate::recurrent",
    f"({schema([Operands], 'bool keep, bool recompute')}) "
    "-> (Tensor h, Tensor hn, Tensor cn, Tensor gates, Tensor memo)",
)
torch.library.define("tidegate::recurrent_backward", f"({schema([Operands, Found])}) -> Tensor[]")
recurrent = torch.ops.tidegate.recurrent.default
"""Run one layer over a ragged batch.

Args:
    those of `Operands`, in their order.
    keep: return gates and memo. Where a gradient is wanted they are kept anyway, but for
    recompute: the backward call runs the layer again for them, to the same bits.

Returns:
    h [N, D * H], hn [D, B, H], cn [D, B, H], gates [D, N, G * H], memo [D, N, H]; an empty tensor for what the
    cell does not have or was not kept.
"""
recurrent_backward = torch.ops.tidegate.recurrent_backward.default
_TAKEN = len(Operands._fields)


@dataclass(frozen=True)
class BackwardRun:
    """What one layer was given and found when it ran back; ``dh`` and ``dhn`` came to its outputs, None for zeros."""

    cell: str
    offsets: kernels.Array  # [B + 1]
    directions: Sequence[kernels.Direction]
    forward: kernels.Forward
    dh: kernels.Array  # [N, D * H]
    dhn: kernels.Array | None  # [D, B, H]
    gradients: kernels.Gradients


Watcher = Callable[[int, BackwardRun], None]
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


def run_layer(owner: object, layer: int, given: Operands, *, recompute: bool = False) -> tuple[Tensor, Tensor, Tensor]:
    """Run one layer as `recurrent` does, without torch's dispatcher where nobody looks there, which is much quicker.

    Args:
        owner: the module that asks, for whoever watches it.
        layer: which of its layers this is.
        given: what the layer takes.
        recompute: as for `recurrent`.

    Returns:
        h, hn and cn.
    """
    if not plain(*given[2:]):
        outputs = recurrent(*given, False, recompute)
    elif _wants_gradient(given):
        outputs = _Recurrent.apply((owner, layer), *given, recompute)  # type: ignore[no-untyped-call]
    else:
        outputs = _forward(*given, False, recompute)
    return outputs[0], outputs[1], outputs[2]


def _forward(*inputs: Any) -> tuple[Tensor, ...]:
    given, keep = Operands(*inputs[:_TAKEN]), inputs[_TAKEN]
    result = kernels.forward(*_layer(given), table=_array(given.table), keep=keep, num_threads=num_threads())
    arrays = (result.h, result.hn, result.cn, result.gates, result.memo)
    return tuple(_tensor(array, given.w_hh) for array in arrays)


torch.library.impl("tidegate::recurrent", "CPU", _forward)


@torch.library.register_fake("tidegate::recurrent")  # type: ignore[untyped-decorator]
def _forward_shapes(*inputs: Any) -> tuple[Tensor, ...]:
    given, keep = Operands(*inputs[:_TAKEN]), inputs[_TAKEN]
    card, like, tokens = CELLS[given.cell], given.w_hh, given.x.shape[0]
    directions, _, hidden_size = given.state
    kept = keep and card.gated
    return (
        like.new_empty(tokens, directions * hidden_size),
        like.new_empty(given.state),
        like.new_empty(given.state if card.carries_c else 0),
        like.new_empty((directions, tokens, card.gates * hidden_size) if kept else 0),
        like.new_empty((directions, tokens, hidden_size) if kept else 0),
    )


def _backward(*inputs: Any, watcher: Callable[[BackwardRun], None] | None = None) -> list[Tensor]:
    given, found = Operands(*inputs[:_TAKEN]), Found(*inputs[_TAKEN:])
    layer, table = _layer(given), _array(given.table)
    forward = _kept(found, gated=CELLS[given.cell].gated)
    if forward is None:
        forward = kernels.forward(*layer, table=table, keep=True, num_threads=num_threads())
    dh = np.zeros_like(forward.h) if found.dh is None else found.dh.detach().numpy()
    result = kernels.backward(
        *layer,
        forward,
        dh,
        dhn=_array(found.dhn),
        dcn=_array(found.dcn),
        table=table,
        need_dx=found.need_dx,
        overwrite=found.recompute and watcher is None,
        num_threads=num_threads(),
    )
    if watcher is not None:
        watcher(BackwardRun(given.cell, layer[2], layer[3], forward, dh, _array(found.dhn), result))
    return [_tensor(array, found.h) for array in (result.dx, *_gradients(given, result))]


torch.library.impl("tidegate::recurrent_backward", "CPU", _backward)


@torch.library.register_fake("tidegate::recurrent_backward")  # type: ignore[untyped-decorator]
def _backward_shapes(*inputs: Any) -> list[Tensor]:
    given, found = Operands(*inputs[:_TAKEN]), Found(*inputs[_TAKEN:])
    source = (given.x if given.table is None else given.table) if found.need_dx else None
    return [found.h.new_empty(0 if tensor is None else tensor.shape) for tensor in (source, *given.differentiable)]


def _kept(found: Found, *, gated: bool) -> kernels.Forward | None:
    """Return what the forward call left for the backward call, None where the layer has to run again for it."""
    if gated and found.recompute:
        return None
    gates, memo = (_array(found.gates), _array(found.memo)) if gated else (None, None)
    return kernels.Forward(found.h.detach().numpy(), _NOT_KEPT, None, gates, memo)


def _gradients(given: Operands, result: kernels.Gradients) -> list[Any]:
    """List the gradient of each of the weights and states, None for what was not given."""
    each = result.directions
    found: list[Any] = [array for d in each for array in (d.w_ih, d.w_hh, d.b_ih, d.b_hh)]
    found += [None] * (len(WEIGHTS) - len(found)) + [[d.h0 for d in each], [d.c0 for d in each]]
    arrays = [None if tensor is None else array for tensor, array in zip(given.differentiable, found, strict=True)]
    return [np.stack(array) if isinstance(array, list) else array for array in arrays]


class _Recurrent(torch.autograd.Function):
    """Tie the two operators together for autograd.

    `torch.library.register_autograd` would do the same and take 0.2 ms more per call, as it reads the schema once per
    argument (torch 2.13, 17 arguments). The backward call reads h, which whoever asked for it may have changed in
    place since: h is computed again then, to the same bits, so that nobody else pays.
    """

    @staticmethod
    def forward(ctx: Any, caller: tuple[object, int] | None, *inputs: Any) -> Any:
        given, recompute = Operands(*inputs[:_TAKEN]), inputs[_TAKEN]
        arguments = (*given, not recompute, recompute)
        if caller is None:
            with torch._C._AutoDispatchBelowAutograd():
                outputs = recurrent(*arguments)
        else:
            outputs = _forward(*arguments)
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(*outputs[1 + len(CELLS[given.cell].states) :])
        ctx.caller, ctx.names, ctx.recompute = caller, given[:2], recompute
        ctx.h = outputs[0].detach()  # shares memory and count of changes
        ctx.unchanged = ctx.h._version
        ctx.save_for_backward(*given[2:], *outputs[3:])
        return outputs

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        *tensors, gates, memo = ctx.saved_tensors
        given = Operands(*ctx.names, *tensors)
        dh, dhn, dcn = grads = grads[:3]
        if beyond_kernels(grads):
            needed = ctx.needs_input_grad[1 : 1 + _TAKEN]
            return None, *gradients(_equations, given, grads, needed), None
        direct = ctx.caller is not None and plain(*ctx.saved_tensors, *grads)
        h = ctx.h
        if h._version != ctx.unchanged:
            h = (_forward if direct else recurrent)(*(_detached(value) for value in given), False, False)[0]
        wanted = Operands(*ctx.needs_input_grad[1 : 1 + _TAKEN])
        need_dx = bool(wanted.x or wanted.table)
        arguments = (*given, *Found(h, gates, memo, dh, dhn, dcn, need_dx, ctx.recompute))
        dx, *rest = _backward(*arguments, watcher=_watcher(ctx.caller)) if direct else recurrent_backward(*arguments)
        if not torch._C._autograd._get_current_graph_task_keep_graph():
            ctx.h = None  # freed as what torch saves is
        dense = given.table is None
        found = (None, None, dx if dense else None, None, None if dense else dx, *rest, None)  # as the operands stand
        return (None, *(d if want else None for d, want in zip(found, wanted, strict=True)), None)


def _watcher(caller: tuple[object, int]) -> Callable[[BackwardRun], None] | None:
    watcher = _watchers.get(caller[0])
    return None if watcher is None else partial(watcher, caller[1])


def _wants_gradient(inputs: Sequence[Any]) -> bool:
    """Keep gates and memo because a gradient is wanted, never because of train or eval mode."""
    return torch.is_grad_enabled() and any(isinstance(value, Tensor) and value.requires_grad for value in inputs)


@torch.library.impl("tidegate::recurrent", "Autograd")
def _forward_with_gradient(*inputs: Any) -> Any:
    given, recompute = inputs[:_TAKEN], inputs[-1]
    if why_no_rule():  # met here by compiled code alone
        h, *_ = outputs = _equations(*given)
        return (*outputs, h.new_empty(0), h.new_empty(0))
    if _wants_gradient(given):
        return _Recurrent.apply(None, *given, recompute)  # type: ignore[no-untyped-call]
    with torch._C._AutoDispatchBelowAutograd():
        return recurrent(*inputs)


def _equations(*given: Any) -> tuple[Tensor, Tensor, Tensor]:
    return equations.recurrent(Operands(*given))


def _layer(given: Operands) -> tuple[str, kernels.Array, kernels.Array, list[kernels.Direction]]:
    """Give a layer and its batch as the kernels take them; states are cut into those of each direction."""
    states = [_array(state) for state in (given.h0, given.c0, given.mask)]
    directions = []
    for d, matrices in enumerate(given.directions):
        h0, c0, mask = (None if state is None else state[d] for state in states)
        weights = {name: _array(matrix) for name, matrix in matrices._asdict().items()}
        directions.append(kernels.Direction(**weights, reverse=given.reverse or d == 1, h0=h0, c0=c0, mask=mask))
    return given.cell, given.x.detach().numpy(), given.offsets.numpy(), directions


def _array(tensor: Tensor | None) -> Any:
    return None if tensor is None else tensor.detach().numpy()


def _tensor(array: Any, like: Tensor) -> Tensor:
    """Share the memory of an array; an operator cannot return None, so an empty tensor stands for it."""
    return like.new_empty(0) if array is None else torch.from_numpy(array)


def _detached(value: Any) -> Any:
    return value.detach() if isinstance(value, Tensor) else value
