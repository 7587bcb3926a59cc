"""Pooling over a Ragged batch: numbers by hand, exact gradients, empty sequences."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tidegate import nn
from tidegate.errors import InputError, OptionError, ShapeError
from tidegate.nn import pool
from tidegate.ragged import Ragged

BATCH = Ragged(torch.tensor([[1.0, -5.0], [4.0, -7.0], [2.0, 0.0]]), torch.tensor([0, 2, 2, 3]))
EXPECTED = {
    "last": [[4, -7], [0, 0], [2, 0]],
    "first": [[1, -5], [0, 0], [2, 0]],
    "max": [[4, -5], [0, 0], [2, 0]],
    "mean": [[2.5, -6], [0, 0], [2, 0]],
}


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("mode", EXPECTED)
def test_each_mode_makes_one_row_of_each_sequence(mode: str) -> None:
    assert nn.Pool(mode)(BATCH).tolist() == EXPECTED[mode]
    assert pool._by_torch(BATCH.values, BATCH.offsets, [mode]).tolist() == EXPECTED[mode]


def test_modes_stand_side_by_side_in_the_order_named() -> None:
    pooled = nn.Pool(["mean", "last", "max"])(BATCH)
    assert pooled[0].tolist() == [2.5, -6, 4, -7, 4, -5]
    assert repr(nn.Pool(["mean", "last"])) == "Pool(mean, last)"


@pytest.mark.parametrize("modes", [["last"], ["first"], ["max"], ["mean"], ["max", "mean", "last", "first"]])
def test_gradients_are_exact_and_torch_agrees(modes: list[str]) -> None:
    offsets = torch.tensor([0, 3, 3, 4, 9])
    values = torch.randn(9, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda v: nn.Pool(modes)(Ragged(v, offsets)), [values])
    assert torch.autograd.gradgradcheck(lambda v: nn.Pool(modes)(Ragged(v, offsets)).square(), [values])
    batch = Ragged(values, offsets)
    weights = torch.randn(4, 2 * len(modes), dtype=torch.float64)
    theirs = pool._by_torch(values, offsets, modes)
    for pooled in (nn.Pool(modes)(batch), theirs):
        torch.testing.assert_close(pooled, theirs)
        found = [torch.autograd.grad((each * weights).sum(), values, retain_graph=True)[0] for each in (pooled, theirs)]
        torch.testing.assert_close(*found)


def test_an_empty_batch_gives_no_rows() -> None:
    assert nn.Pool(["max", "mean"])(Ragged(torch.zeros(0, 3), torch.tensor([0]))).shape == (0, 6)


def test_the_first_of_equal_maxima_takes_the_gradient_in_torchs_operators_too() -> None:
    values, offsets = torch.tensor([[2.0], [2.0], [1.0]], requires_grad=True), torch.tensor([0, 3])
    for pooled in (nn.Pool("max")(Ragged(values, offsets)), pool._by_torch(values, offsets, ["max"])):
        assert torch.autograd.grad(pooled.sum(), values)[0].tolist() == [[1.0], [0.0], [0.0]]


def test_modes_that_are_not_known_are_refused() -> None:
    with pytest.raises(OptionError, match=r"unknown mode 'maximum'\. Did you mean 'max'"):
        nn.Pool("maximum")
    for modes in ([], ["max", "max"]):
        with pytest.raises(InputError, match="one or more were wanted, each once"):
            nn.Pool(modes)


@pytest.mark.parametrize("wrong", [torch.zeros(3, 2), Ragged.from_list([[1.0]]), Ragged.from_list([torch.zeros(2)])])
def test_only_a_ragged_batch_of_features_is_pooled(wrong: Any) -> None:
    with pytest.raises(ShapeError, match=r"where a Ragged batch of tensors \[N, H\] was wanted"):
        nn.Pool("max")(wrong)
