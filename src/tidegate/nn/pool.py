"""One row from each sequence: last, first, max and mean over its tokens, fused on the CPU.

The kernels are operators of torch, opaque to `torch.compile`, so it meets no graph break here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

import tidegate.kernels as kernels
from tidegate.errors import InputError, OptionError, ShapeError, WrongTypeError
from tidegate.nn import transforms
from tidegate.nn.operators import num_threads
from tidegate.ragged import Ragged

torch.library.define("tidegate::pool", "(Tensor h, Tensor offsets, str[] modes) -> Tensor")
torch.library.define("tidegate::pool_backward", "(Tensor dpooled, Tensor h, Tensor offsets, str[] modes) -> Tensor")


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
        if not isinstance(modes, str | Sequence):
            raise WrongTypeError(f"modes={modes!r}, but a name or a list of names was wanted, such as ['max', 'mean'].")
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
        if values.device.type == "cpu" and not transforms.at_work():
            pooled: Tensor = pool(values, batch.offsets, self.modes)
            return pooled
        return _by_torch(values, batch.offsets, self.modes)

    def extra_repr(self) -> str:
        """List the modes."""
        return ", ".join(self.modes)


def _values(batch: object) -> Tensor:
    match batch:
        case Ragged(values=Tensor() as values) if values.dim() == 2:
            return values
    raise ShapeError(f"{batch!r:.80} came where a Ragged batch of tensors [N, H] was wanted.")


pool = torch.ops.tidegate.pool.default
pool_backward = torch.ops.tidegate.pool_backward.default


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


def _run(inputs: Any, _keep: bool) -> tuple[Tensor]:
    with torch._C._AutoDispatchBelowAutograd():
        return (pool(*inputs),)


def _gradients(inputs: Any, _outputs: Any, grads: Any) -> tuple[Tensor, None, None]:
    return pool_backward(grads[0], *inputs), None, None


@torch.library.impl("tidegate::pool", "Autograd")
def _pool_with_gradient(*inputs: Any) -> Tensor:
    pooled: Tensor = transforms.call(_KERNEL, *inputs)[0]
    return pooled


def _by_torch(values: Tensor, offsets: Tensor, modes: Sequence[str]) -> Tensor:
    """Pool with torch's own operators."""
    return torch.cat([_mode_by_torch(values, offsets, mode) for mode in modes], dim=1)


def _mode_by_torch(values: Tensor, offsets: Tensor, mode: str) -> Tensor:
    lengths = offsets[1:] - offsets[:-1]
    B, device = lengths.shape[0], values.device
    empty = values.new_zeros(B, values.shape[1])
    live = lengths.nonzero()[:, 0]
    if mode in ("last", "first"):
        tokens = offsets[1:][live] - 1 if mode == "last" else offsets[:-1][live]
        return empty.index_copy(0, live.to(device), values[tokens.to(device)])
    rows = torch.arange(B).repeat_interleave(lengths).to(device)  # [N]
    if mode == "mean":
        return empty.index_add(0, rows, values) / lengths.clamp(min=1)[:, None].to(values)
    return _largest(values, offsets, rows, empty)


def _largest(values: Tensor, offsets: Tensor, rows: Tensor, empty: Tensor) -> Tensor:
    """Take the first of each sequence's largest values, which alone has a gradient, as in the kernel."""
    index = rows[:, None].expand_as(values)
    fixed = values.detach()
    largest = empty.scatter_reduce(0, index, fixed, "amax", include_self=False)
    at = torch.arange(values.shape[0], device=values.device)[:, None]
    places = torch.where((fixed == largest[rows]) | fixed.isnan(), at, values.shape[0])
    first = torch.zeros_like(empty, dtype=torch.int64).scatter_reduce(0, index, places, "amin", include_self=False)
    chosen = values.gather(0, first.clamp(max=max(values.shape[0] - 1, 0))) if values.shape[0] else empty
    live = (offsets[1:] > offsets[:-1])[:, None].to(values.device)
    return torch.where(live, chosen, empty)


def _equations(*inputs: Any) -> tuple[Tensor]:
    return (_by_torch(*inputs),)


_KERNEL = transforms.Kernel(_run, _gradients, _equations)
