"""The conditional random field as a layer: how likely a sequence of tags is, with gradients from the kernel.

`tidegate.crf` finds the best paths; it needs no torch.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tidegate.errors import InputError, ShapeError
from tidegate.kernels import crf
from tidegate.nn import transforms
from tidegate.nn.arguments import check_count
from tidegate.nn.operators import num_threads
from tidegate.ragged import Ragged

_SCORES = "Tensor emissions, Tensor offsets, Tensor transitions, Tensor start, Tensor end"
torch.library.define("tidegate::crf", f"({_SCORES}) -> (Tensor log_partition, Tensor alpha)")
torch.library.define("tidegate::crf_backward", f"({_SCORES}, Tensor alpha, Tensor weight) -> Tensor[]")


class CRF(torch.nn.Module):
    """Score sequences of tags as wholes (Lafferty, McCallum, Pereira 2001).

    The parameters are scores: ``transitions`` [K, K] of going from a tag (row) to the next (column), ``start`` [K] of
    the first tag, ``end`` [K] of the last one. All begin at zero.

    Args:
        num_tags: K, at least 1.

    Raises:
        InputError: ``num_tags`` is no whole number of at least 1.

    >>> emissions = Ragged(torch.zeros(3, 2), torch.tensor([0, 2, 3]))
    >>> CRF(2)(emissions, torch.tensor([0, 1, 1])).exp().detach()  # four equal paths, and two
    tensor([0.2500, 0.5000])
    """

    def __init__(self, num_tags: int) -> None:
        super().__init__()
        check_count("num_tags", num_tags)
        self.transitions = torch.nn.Parameter(torch.zeros(num_tags, num_tags))
        self.start = torch.nn.Parameter(torch.zeros(num_tags))
        self.end = torch.nn.Parameter(torch.zeros(num_tags))

    def forward(
        self, emissions: Ragged, tags: Tensor, *, penalty: tuple[Tensor, Tensor, Tensor] | None = None
    ) -> Tensor:
        """Return the log-likelihood of each sequence of tags, [B], zero for an empty one.

        Args:
            emissions: [N, K] scores of each tag at each token.
            tags: [N] int64.
            penalty: what to add to ``transitions``, ``start`` and ``end``: zero, or `crf.FORBIDDEN` where no path may
                go.

        Raises:
            ShapeError: emissions or tags have another shape or type.
            InputError: a tag lies outside of 0 to K - 1; the first one is named.
        """
        self._check(emissions, tags)
        scores = (self.transitions, self.start, self.end)
        if penalty is not None:
            scores = tuple(score + more for score, more in zip(scores, penalty, strict=True))  # type: ignore[assignment]
        run = _equations if transforms.at_work() else _partition
        log_partition, *_ = run(emissions.values, emissions.offsets, *scores)
        likelihood: Tensor = _path_scores(emissions, tags, *scores) - log_partition
        return likelihood

    def extra_repr(self) -> str:
        """Name the number of tags."""
        return str(len(self.start))

    def _check(self, emissions: Ragged, tags: Tensor) -> None:
        values, size = emissions.values, len(self.start)
        if values.dim() != 2 or values.shape[1] != size or values.dtype != self.start.dtype:
            raise ShapeError(
                f"emissions are {values.dtype} {list(values.shape)}, but {self!r} wants {self.start.dtype} [N, {size}]."
            )
        if tags.shape != values.shape[:1] or tags.dtype != torch.int64:
            raise ShapeError(f"tags are {tags.dtype} {list(tags.shape)}, but int64 [{len(values)}] was wanted.")
        outside = ((tags < 0) | (tags >= size)).nonzero()
        if len(outside):
            at = int(outside[0, 0])
            raise InputError(f"tag {int(tags[at])} of token {at} is not between 0 and {size - 1}.")


def _path_scores(emissions: Ragged, tags: Tensor, transitions: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """Add up what each path of tags meets, [B]."""
    offsets = emissions.offsets
    row = torch.arange(len(emissions)).repeat_interleave(emissions.lengths)  # [N]
    live = emissions.lengths.nonzero()[:, 0]
    first, last = offsets[:-1][live], offsets[1:][live] - 1
    inside = (row[1:] == row[:-1]).nonzero()[:, 0]  # tokens that have another after them in their sequence
    scores = emissions.values.gather(1, tags[:, None])[:, 0]
    scores = scores.index_add(0, inside, transitions[tags[inside], tags[inside + 1]])
    scores = scores.index_add(0, first, start[tags[first]]).index_add(0, last, end[tags[last]])
    total: Tensor = emissions.values.new_zeros(len(emissions)).index_add(0, row, scores)
    return total


_partition = torch.ops.tidegate.crf.default
"""Return the log of the sum over all paths [B], and alpha [N, K] float64 for the backward call."""


def _scores(arrays: tuple[Tensor, ...]) -> crf.Scores:
    emissions, offsets, transitions, start, end = (tensor.detach().numpy() for tensor in arrays)
    return crf.Scores(emissions, offsets, transitions, start, end, num_threads=num_threads())


@torch.library.impl("tidegate::crf", "CPU")
def _forward(*arrays: Tensor) -> tuple[Tensor, Tensor]:
    sums = crf.forward(_scores(arrays))
    return torch.from_numpy(sums.log_partition).to(arrays[0].dtype), torch.from_numpy(sums.alpha)


@torch.library.register_fake("tidegate::crf")  # type: ignore[untyped-decorator]
def _forward_shapes(emissions: Tensor, offsets: Tensor, *rest: Tensor) -> tuple[Tensor, Tensor]:
    return emissions.new_empty(offsets.shape[0] - 1), emissions.new_empty(emissions.shape, dtype=torch.float64)


@torch.library.impl("tidegate::crf_backward", "CPU")
def _backward(*arrays: Tensor) -> list[Tensor]:
    scores, alpha, weight = _scores(arrays[:5]), arrays[5].numpy(), arrays[6].detach().numpy()
    found = crf.backward(scores, crf.Sums(weight, alpha), weight)
    each = (found.emissions, found.transitions, found.start, found.end)
    return [torch.from_numpy(array).to(arrays[0].dtype) for array in each]


@torch.library.register_fake("tidegate::crf_backward")  # type: ignore[untyped-decorator]
def _backward_shapes(*arrays: Tensor) -> list[Tensor]:
    return [arrays[0].new_empty(arrays[at].shape) for at in (0, 2, 3, 4)]


def _run(inputs: Any, _keep: bool) -> tuple[Tensor, Tensor]:
    with torch._C._AutoDispatchBelowAutograd():
        found: tuple[Tensor, Tensor] = _partition(*inputs)
    return found


def _gradients(inputs: Any, outputs: Any, grads: Any) -> tuple[Tensor | None, ...]:
    backward = torch.ops.tidegate.crf_backward.default
    emissions, *others = backward(*inputs, outputs[1], grads[0].contiguous())
    return emissions, None, *others


def _equations(emissions: Tensor, offsets: Tensor, transitions: Tensor, start: Tensor, end: Tensor) -> tuple[Tensor]:
    """Sum over all paths step by step, in float64 as the kernel does, with torch's own operators."""
    lengths = offsets[1:] - offsets[:-1]
    rows, wide, first, last = (part.double() for part in (emissions, transitions, start, end))
    if not emissions.shape[0]:
        return (emissions.new_zeros(lengths.shape[0]),)
    alpha = first + rows[offsets[:-1].clamp(max=emissions.shape[0] - 1)]  # [B, K]
    for t in range(1, int(lengths.max())):
        live = t < lengths
        token = torch.where(live, offsets[:-1] + t, 0)
        after = torch.logsumexp(alpha[:, :, None] + wide, dim=1) + rows[token]
        alpha = torch.where(live[:, None], after, alpha)
    total = torch.logsumexp(alpha + last, dim=1)
    return (torch.where(lengths > 0, total, torch.zeros_like(total)).to(emissions.dtype),)


@torch.library.impl("tidegate::crf", "Autograd")
def _with_gradient(*inputs: Tensor) -> tuple[Tensor, Tensor]:
    found = transforms.call(_KERNEL, *inputs)
    return found[0], found[1] if len(found) > 1 else inputs[0].new_empty(inputs[0].shape, dtype=torch.float64)


_KERNEL = transforms.Kernel(_run, _gradients, _equations)
