"""The loss of a large vocabulary, block by block: torch's numbers and gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tidegate import kernels
from tidegate.nn import cross_entropy, linear_cross_entropy


def problem(dtype: torch.dtype = torch.float64) -> list[Tensor]:
    draw = torch.Generator().manual_seed(3)
    sizes = ((23, 5), (11, 5), (11,))
    parts = [(torch.randn(size, generator=draw, dtype=dtype) * 3).requires_grad_() for size in sizes]
    return [*parts, torch.randint(0, 11, (23,), generator=draw)]


def gradients(loss: Tensor, parts: list[Tensor]) -> list[Tensor]:
    return list(torch.autograd.grad(2 * loss, parts))


@pytest.mark.parametrize("scores", [1, 44, 2**21])
def test_it_is_torchs_loss_in_blocks_of_any_size(scores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cross_entropy, "_SCORES", scores)
    *parts, targets = problem()
    rows, weight, bias = parts
    loss = linear_cross_entropy(rows, weight, bias, targets)
    want = torch.nn.functional.cross_entropy(torch.nn.functional.linear(rows, weight, bias), targets)
    torch.testing.assert_close(loss, want, rtol=1e-12, atol=1e-12)
    for found, wanted in zip(gradients(loss, parts), gradients(want, parts), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-12)


def test_scores_that_softmax_cannot_hold_have_a_finite_loss() -> None:
    rows, targets = torch.tensor([[1.0]]), torch.tensor([1])
    loss = linear_cross_entropy(rows, torch.tensor([[400.0], [-400.0]]), torch.zeros(2), targets)
    assert loss.item() == 800.0


def test_threads_give_the_same_bits() -> None:
    found = []
    before = kernels.explicit_num_threads()
    for threads in (1, 3):
        kernels.set_num_threads(threads)
        rows, weight, bias, targets = problem(torch.float32)
        parts = [rows, weight, bias]
        loss = linear_cross_entropy(rows, weight, bias, targets)
        found.append([tensor.detach().numpy().tobytes() for tensor in (loss, *gradients(loss, parts))])
    kernels.set_num_threads(before)
    assert found[0] == found[1]
