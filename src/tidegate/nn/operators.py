"""The kernels as torch operators: one call runs one layer in all its directions, and another runs it back.

Knows tensors, not modules. The operators are opaque to `torch.compile`, so it meets no graph break here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor

from tidegate import kernels
from tidegate.errors import InputError

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
    f"(str cell, bool reverse, Tensor x, Tensor offsets, Tensor? table, {_WEIGHTS}, Tensor h, Tensor hn, Tensor cn, "
    "Tensor gates, Tensor memo, Tensor? dh, Tensor? dhn, Tensor? dcn, bool need_dx, bool recompute) -> Tensor[]",
)
torch.library.define("tidegate::pool", "(Tensor h, Tensor offsets, str[] modes) -> Tensor")
torch.library.define("tidegate::pool_backward", "(Tensor dpooled, Tensor h, Tensor offsets, str[] modes) -> Tensor")

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
pool = torch.ops.tidegate.pool.default
pool_backward = torch.ops.tidegate.pool_backward.default


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


Watcher = Callable[[LayerRun], None]
_watcher: Watcher | None = None


@contextmanager
def watched(watcher: Watcher | None) -> Iterator[None]:
    """Hand every layer that runs back while the block lasts to ``watcher``; what it is handed may not be kept."""
    global _watcher
    before, _watcher = _watcher, watcher
    try:
        yield
    finally:
        _watcher = before


def num_threads() -> int:
    """Return how many threads a kernel may use: what was asked of Tidegate, else what torch uses."""
    return kernels.explicit_num_threads() or torch.get_num_threads()


@torch.library.impl("tidegate::recurrent", "CPU")
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


@torch.library.impl("tidegate::recurrent_backward", "CPU")
def _backward(cell: str, reverse: bool, x: Tensor, offsets: Tensor, table: Tensor | None, *rest: Any) -> list[Tensor]:
    inputs, (h, hn, cn, gates, memo, dh, dhn, dcn, need_dx, recompute) = rest[:11], rest[11:]
    lstm, gated = cell == "lstm", cell in ("lstm", "gru")
    layer = (cell, x.detach().numpy(), offsets.numpy(), _directions(reverse, inputs))
    if recompute and gated:
        forward = kernels.forward(*layer, table=_array(table), keep=True, num_threads=num_threads())
    else:
        forward = kernels.Forward(
            h=h.detach().numpy(),
            hn=hn.detach().numpy(),
            cn=_array(cn) if lstm else None,
            gates=_array(gates) if gated else None,
            memo=_array(memo) if gated else None,
        )
    dense = np.zeros_like(forward.h) if dh is None else dh.detach().numpy()
    result = kernels.backward(
        *layer,
        forward,
        dense,
        dhn=_array(dhn),
        dcn=_array(dcn),
        table=_array(table),
        need_dx=need_dx,
        overwrite=recompute and _watcher is None,
        num_threads=num_threads(),
    )
    if _watcher is not None:
        _watcher(LayerRun(cell, layer[2], layer[3], forward, dense, _array(dhn), result))
    each = result.directions
    weights = [array for d in each for array in (d.w_ih, d.w_hh, d.b_ih, d.b_hh)]
    found: list[Any] = [*weights, *[None] * (8 - len(weights)), [d.h0 for d in each], [d.c0 for d in each]]
    arrays = [None if tensor is None else array for tensor, array in zip(inputs[:10], found, strict=True)]
    arrays[8:] = [None if state is None else np.stack(state) for state in arrays[8:]]
    return [_tensor(array, h) for array in (result.dx, *arrays)]


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
    argument (torch 2.13, 17 arguments).
    """

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Any:
        with torch._C._AutoDispatchBelowAutograd():
            outputs = recurrent(*inputs[:-1], not inputs[-1], inputs[-1])
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(*outputs[3 if inputs[0] == "lstm" else 2 :])
        ctx.names, ctx.recompute = inputs[:2], inputs[-1]
        ctx.save_for_backward(*inputs[2:-1], *outputs)
        return outputs

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        saved = ctx.saved_tensors
        need_dx = ctx.needs_input_grad[2] or ctx.needs_input_grad[4]
        dx, *rest = recurrent_backward(*ctx.names, *saved, *grads[:3], need_dx, ctx.recompute)
        dense = saved[2] is None  # no table
        found = (dx if dense else None, None, None if dense else dx, *rest, None, None)  # x, offsets, table, .., mask
        wanted = ctx.needs_input_grad[2:]
        return (None, None, *(d if want else None for d, want in zip(found, wanted, strict=True)))


@torch.library.impl("tidegate::recurrent", "Autograd")
def _forward_with_gradient(*inputs: Any) -> Any:
    """Keep gates and memo because a gradient is wanted, never because of train or eval mode."""
    if torch.is_grad_enabled() and any(isinstance(value, Tensor) and value.requires_grad for value in inputs):
        *others, _keep, recompute = inputs
        return _Recurrent.apply(*others, recompute)  # type: ignore[no-untyped-call]
    with torch._C._AutoDispatchBelowAutograd():
        return recurrent(*inputs)


@torch.library.impl("tidegate::pool", "CPU")
def _pool(h: Tensor, offsets: Tensor, modes: list[str]) -> Tensor:
    return torch.from_numpy(kernels.pool(h.detach().numpy(), offsets.numpy(), modes, num_threads=num_threads()))


@torch.library.register_fake("tidegate::pool")  # type: ignore[untyped-decorator]
def _pool_shape(h: Tensor, offsets: Tensor, modes: list[str]) -> Tensor:
    return h.new_empty(offsets.shape[0] - 1, h.shape[1] * len(modes))


@torch.library.impl("tidegate::pool_backward", "CPU")
def _pool_backward(dpooled: Tensor, h: Tensor, offsets: Tensor, modes: list[str]) -> Tensor:
    arrays = (dpooled.detach().numpy(), h.detach().numpy(), offsets.numpy())
    return torch.from_numpy(kernels.pool_backward(*arrays, modes, num_threads=num_threads()))


@torch.library.register_fake("tidegate::pool_backward")  # type: ignore[untyped-decorator]
def _pool_backward_shape(dpooled: Tensor, h: Tensor, offsets: Tensor, modes: list[str]) -> Tensor:
    return h.new_empty(h.shape)


def _save_pool(ctx: Any, inputs: Any, output: Tensor) -> None:
    h, offsets, ctx.modes = inputs
    ctx.save_for_backward(h, offsets)


def _pool_gradients(ctx: Any, dpooled: Tensor) -> tuple[Tensor, None, None]:
    return pool_backward(dpooled, *ctx.saved_tensors, ctx.modes), None, None


def refuse_second_gradient(ctx: Any, *grads: Any) -> NoReturn:
    """Stand in for the gradient of a gradient, which the kernels do not compute."""
    raise InputError(
        "a gradient of a gradient was asked for, but Tidegate's kernels compute first gradients only. "
        "Drop create_graph=True, or build layers with kernel='torch' in float64 for second gradients; "
        "layers that accelerate() took over get theirs after restore()."
    )


torch.library.register_autograd("tidegate::pool", _pool_gradients, setup_context=_save_pool)
torch.library.register_autograd("tidegate::pool_backward", refuse_second_gradient)
torch.library.register_autograd("tidegate::recurrent_backward", refuse_second_gradient)


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
