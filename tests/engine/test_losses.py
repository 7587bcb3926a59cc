"""The loss of answers of yes and no against autograd's."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from programs import weights_of
from tidegate.engine import BinaryCrossEntropy, Program
from tidegate.errors import InputError, ShapeError
from tidegate.network import Dense, Network, Pool
from tidegate.ragged import Ragged

Array = npt.NDArray[Any]


@pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, 1e-10), (np.float32, 2e-4)])
@pytest.mark.parametrize("scale", [1.0, 40.0])
@pytest.mark.parametrize("pooled", [False, True])
def test_the_loss_of_answers_of_yes_and_no_is_that_of_autograd(
    dtype: Any, rtol: float, scale: float, pooled: bool
) -> None:
    nodes = (Dense(in_features=2, out_features=3),) + (Pool(modes=("mean",)),) * pooled
    network, rng = Network.of(*nodes), np.random.default_rng(4)
    values, offsets = (scale * rng.standard_normal((9, 2))).astype(dtype), np.array([0, 4, 4, 9])
    weights = {"0.weight": rng.standard_normal((3, 2)).astype(dtype), "0.bias": rng.standard_normal(3).astype(dtype)}
    program = Program(network, weights)
    rows = 3 if pooled else 9
    truth, weight = rng.integers(0, 3, (rows, 3)) / 2, rng.uniform(0.5, 2.0, 3)
    lost = program.gradient(Ragged(values, offsets), BinaryCrossEntropy(truth, weight))
    w, b = (torch.from_numpy(weights[name].copy()).requires_grad_() for name in ("0.weight", "0.bias"))
    given = torch.from_numpy(values) @ w.T + b
    if pooled:
        parts = [given[low:high] for low, high in pairwise(offsets.tolist())]
        given = torch.stack([part.mean(0) if len(part) else part.sum(0) for part in parts])
    kind = torch.from_numpy(truth.astype(dtype))
    each = torch.nn.functional.binary_cross_entropy_with_logits(given, kind, reduction="none").sum(1)
    spread = weight if pooled else np.repeat(weight, np.diff(offsets))
    total = (each * torch.from_numpy(spread.astype(dtype))).sum()
    slopes = torch.autograd.grad(total, [w, b])
    assert lost.total == pytest.approx(total.item(), rel=rtol)
    for name, slope in zip(("0.weight", "0.bias"), slopes, strict=True):
        wanted = slope.numpy()
        np.testing.assert_allclose(program.gradients[name], wanted, rtol=rtol, atol=rtol * np.abs(wanted).max())


@pytest.mark.parametrize("bad", [np.full((2, 3), 1.5), np.full((2, 3), np.nan), np.full((2, 3), -0.1)])
def test_answers_that_are_neither_yes_nor_no_nor_between_are_refused(bad: Array) -> None:
    network = Network.of(Dense(in_features=2, out_features=3), Pool(modes=("mean",)))
    program = Program(network, weights_of(network))
    batch = Ragged(np.ones((4, 2), program.dtype), np.array([0, 2, 4]))
    with pytest.raises(InputError, match=r"truth\[0, 0\] is .*; it must be from 0 to 1"):
        program.gradient(batch, BinaryCrossEntropy(bad, np.ones(2)))
    with pytest.raises(ShapeError, match=r"truth is \[2, 2\]; \[2, 3\] is wanted"):
        program.gradient(batch, BinaryCrossEntropy(np.ones((2, 2)), np.ones(2)))
