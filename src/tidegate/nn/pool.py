"""One row from each sequence: last, first, max and mean over its tokens, fused on the CPU."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tidegate import kernels
from tidegate.errors import InputError, OptionError, ShapeError
from tidegate.nn import operators
from tidegate.ragged import Ragged


class Pool(torch.nn.Module):
    """Pool a Ragged batch [N, H] to [B, H * len(modes)], mode after mode.

    Args:
        modes: one or more of "last", "first", "max", "mean", each once. "last" is the last token as it stands; where
            the final state of a bidirectional layer is meant, take it from the layer.

    An empty sequence gives zeros.

    Raises:
        OptionError: an unknown mode.
        InputError: no mode, or one named twice.

    >>> Pool(["max", "mean"])(Ragged(torch.tensor([[1.0], [3.0]]), torch.tensor([0, 2, 2])))
    tensor([[3., 2.],
            [0., 0.]])
    """

    def __init__(self, modes: str | Sequence[str]) -> None:
        super().__init__()
        self.modes = (modes,) if isinstance(modes, str) else tuple(modes)
        if not self.modes or len(set(self.modes)) < len(self.modes):
            raise InputError(f"modes are {list(self.modes)}, but one or more were wanted, each once.")
        for mode in self.modes:
            if mode not in kernels.POOL_MODES:
                raise OptionError.unknown("mode", str(mode), kernels.POOL_MODES)

    def forward(self, batch: Ragged) -> Tensor:
        """Pool ``batch``; gradients flow to its values. On other devices than the CPU torch's own operators run.

        Raises:
            ShapeError: the batch is not a Ragged of tensors [N, H].
        """
        values = _values(batch)
        if values.device.type == "cpu":
            pooled: Tensor = operators.pool(values, batch.offsets, self.modes)
            return pooled
        return torch.cat([_pool(batch, mode) for mode in self.modes], dim=1)

    def extra_repr(self) -> str:
        """List the modes."""
        return ", ".join(self.modes)


def _values(batch: object) -> Tensor:
    match batch:
        case Ragged(values=Tensor() as values) if values.dim() == 2:
            return values
    raise ShapeError(f"{batch!r:.80} came where a Ragged batch of tensors [N, H] was wanted.")


def _pool(batch: Ragged, mode: str) -> Tensor:
    """Pool with torch's own operators."""
    values: Tensor = batch.values
    lengths: Tensor = batch.lengths
    device = values.device
    empty = values.new_zeros(len(batch), values.shape[1])
    live = lengths.nonzero()[:, 0]
    if mode in ("last", "first"):
        tokens = batch.offsets[1:][live] - 1 if mode == "last" else batch.offsets[:-1][live]
        return empty.index_copy(0, live.to(device), values[tokens.to(device)])
    rows = torch.arange(len(batch)).repeat_interleave(lengths).to(device)  # [N]
    index = rows[:, None].expand_as(values)
    reduce = "amax" if mode == "max" else "mean"
    return empty.scatter_reduce(0, index, values, reduce, include_self=False)
