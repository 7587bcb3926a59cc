"""How a batch enters a layer and leaves it: ragged, packed, or padded and unbatched as `torch.nn` takes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from tidegate.errors import ShapeError
from tidegate.nn.convert import offsets_of, packed_order
from tidegate.ragged import Ragged

Batch: TypeAlias = Ragged | PackedSequence | Tensor
Restore: TypeAlias = Callable[[Tensor], Any]


class Layout(NamedTuple):
    """Hold a batch as the kernels take it, and the way back to how it came."""

    values: Tensor  # [N, C], or [N] token ids
    offsets: Tensor  # [B + 1]
    batched: bool
    restore: Restore  # [N, F] -> Ragged | PackedSequence | padded tensor


def enter(batch: Batch, *, batch_first: bool, tokens: bool) -> Layout:
    """Lay a batch end to end.

    Args:
        batch: a Ragged batch or PackedSequence [N, C]; or a padded tensor [T, B, C] ([B, T, C] with ``batch_first``)
            or one sequence [T, C]. Every row of a padded tensor runs over its full length.
        batch_first: which of the two forms a padded tensor has.
        tokens: the batch holds token ids, without the axis C.

    Raises:
        ShapeError: another type, or another number of axes.
    """
    if isinstance(batch, Ragged):
        return _ragged(batch, tokens)
    if isinstance(batch, PackedSequence):
        order, lengths = packed_order(batch)
        back = order.argsort().to(batch.data.device)
        ragged = Ragged(batch.data[order.to(batch.data.device)], offsets_of(lengths))
        return _ragged(ragged, tokens)._replace(restore=lambda values: batch._replace(data=values[back]))
    if isinstance(batch, Tensor):
        return _padded(batch, batch_first, tokens)
    raise ShapeError(
        f"a {type(batch).__name__} came where a Ragged batch, a PackedSequence or a tensor was wanted. "
        "Join sequences with Ragged.from_list."
    )


def as_ragged(layer: Any, batch: Any) -> Any:
    """Return what a layer takes, a padded tensor, a PackedSequence or a Ragged batch, as a Ragged batch on the CPU.

    Anything else passes as it came. The gradient stays behind.
    """
    if isinstance(batch, Tensor | PackedSequence):
        layout = enter(batch, batch_first=layer.batch_first, tokens=False)
        batch = Ragged(layout.values, layout.offsets)
    if isinstance(batch, Ragged) and isinstance(batch.values, Tensor):
        return Ragged(batch.values.detach().cpu(), batch.offsets)
    return batch


def _ragged(batch: Ragged, tokens: bool) -> Layout:
    values = batch.values
    if not isinstance(values, Tensor):
        raise ShapeError("the Ragged batch holds NumPy arrays, but layers take tensors. Pass nn.to_torch(batch).")
    if values.dim() != (1 if tokens else 2):
        raise ShapeError(f"values of the batch are {list(values.shape)}, but {_wanted(tokens, '[N')} was wanted.")
    return Layout(values, batch.offsets, True, batch.with_values)


def _padded(batch: Tensor, batch_first: bool, tokens: bool) -> Layout:
    axes = batch.dim() + tokens
    if axes not in (2, 3):
        forms = _wanted(tokens, "[B, T" if batch_first else "[T, B"), _wanted(tokens, "[T")
        raise ShapeError(f"input is {list(batch.shape)}, but {forms[0]}, or {forms[1]} for one sequence, was wanted.")
    batched = axes == 3
    rows = batch.unsqueeze(0) if not batched else batch if batch_first else batch.transpose(0, 1)  # [B, T, ..]
    size, steps = rows.shape[:2]
    offsets = torch.arange(size + 1) * steps

    def restore(values: Tensor) -> Tensor:
        padded = values.reshape(size, steps, values.shape[1])
        if not batched:
            return padded.squeeze(0)
        return padded if batch_first else padded.transpose(0, 1).contiguous()  # as torch's: callers ask for views

    return Layout(rows.reshape(size * steps, *rows.shape[2:]), offsets, batched, restore)


def _wanted(tokens: bool, axes: str) -> str:
    return f"{axes}] of token ids" if tokens else f"{axes}, C]"
