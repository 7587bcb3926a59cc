"""Ragged batches from torch's own containers and back: packed sequences and nested tensors. Gradients pass through."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from tidegate.errors import ShapeError
from tidegate.grid import Grid
from tidegate.ragged import Ragged


def to_torch(ragged: Ragged) -> Ragged:
    """Return the same batch as torch tensors on the CPU; NumPy arrays share their memory, tensors pass unchanged."""
    if isinstance(ragged, Grid):
        return Grid(*(torch.as_tensor(part) for part in (ragged.values, ragged.heights, ragged.widths)))
    return Ragged(torch.as_tensor(ragged.values), torch.as_tensor(ragged.offsets))


def from_packed(packed: PackedSequence) -> Ragged:
    """Read a `PackedSequence` as a Ragged batch, its sequences in the order they had before they were packed.

    Args:
        packed: data [N, ...].

    >>> packed = torch.nn.utils.rnn.pack_sequence([torch.tensor([1, 2]), torch.tensor([3, 4, 5])], False)
    >>> from_packed(packed).values
    tensor([1, 2, 3, 4, 5])
    """
    order, lengths = packed_order(packed)
    return Ragged(packed.data[order.to(packed.data.device)], offsets_of(lengths))


def to_packed(ragged: Ragged) -> PackedSequence:
    """Write a Ragged batch as torch's `PackedSequence`, sorted by length as torch does.

    Raises:
        ShapeError: the batch or a sequence is empty, which torch cannot pack.
    """
    lengths = ragged.lengths
    if not len(lengths) or int(lengths.min()) == 0:
        empty = int(lengths.argmin()) if len(lengths) else None
        raise ShapeError(
            f"{'the batch' if empty is None else f'sequence {empty}'} is empty, and a PackedSequence holds no empty "
            "sequence. Select the others first, or pass the Ragged batch itself to a layer."
        )
    tokens, batch_sizes, rows = packing(ragged)
    device = ragged.values.device
    return PackedSequence(ragged.values[tokens.to(device)], batch_sizes, rows.to(device), rows.argsort().to(device))


def from_nested(nested: Tensor) -> Ragged:
    """Read a nested tensor [B, j, ...], jagged or strided, as a Ragged batch; contiguous jagged values are shared."""
    if not nested.is_nested:
        raise ShapeError(f"a tensor {list(nested.shape)} came where a nested one was wanted. Use Ragged.from_padded.")
    if nested.layout is torch.jagged and nested.is_contiguous():
        offsets: Tensor = nested.offsets()  # type: ignore[attr-defined]
        return Ragged(nested.values(), offsets.cpu())
    sequences = nested.unbind()
    lengths = torch.tensor([len(sequence) for sequence in sequences], dtype=torch.int64)
    return Ragged(torch.cat(sequences), offsets_of(lengths))


def to_nested(ragged: Ragged) -> Tensor:
    """Write a Ragged batch of tensors as a nested tensor [B, j, ...] with the jagged layout; values are shared."""
    offsets = ragged.offsets.to(ragged.values.device)
    nested: Tensor = torch.nested.nested_tensor_from_jagged(ragged.values, offsets)
    return nested


def packing(ragged: Ragged) -> tuple[Tensor, Tensor, Tensor]:
    """Plan how a batch without empty sequences is packed; all on the CPU.

    Returns:
        The token that each packed row takes [N], the rows of each step [T], the sequences longest first [B].
    """
    lengths, rows = torch.sort(ragged.lengths, descending=True, stable=True)
    live = torch.arange(int(lengths[0]))[:, None] < lengths  # [T, B]
    step, row = live.nonzero(as_tuple=True)  # [N]
    return ragged.offsets[:-1][rows][row] + step, live.sum(dim=1), rows


def offsets_of(lengths: Tensor) -> Tensor:
    """Sum lengths [B] up to offsets [B + 1]."""
    return torch.nn.functional.pad(lengths.cumsum(0), (1, 0))


def packed_order(packed: PackedSequence) -> tuple[Tensor, Tensor]:
    """Find where each token of the Ragged batch lies in the packed data [N], and the lengths [B]; both on the CPU."""
    sizes = packed.batch_sizes  # [T], descending: how many sequences are still live at each step
    rows = torch.arange(int(sizes[0]))
    if packed.unsorted_indices is not None:
        rows = packed.unsorted_indices.cpu()  # [B]
    lengths = (sizes > rows[:, None]).sum(dim=1)  # [B]
    offsets = offsets_of(lengths)
    step = torch.arange(int(offsets[-1])) - offsets[:-1].repeat_interleave(lengths)  # [N]
    return offsets_of(sizes)[step] + rows.repeat_interleave(lengths), lengths
