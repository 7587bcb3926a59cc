"""torch's own containers of sequences, into a Ragged batch and back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pack_sequence, pad_packed_sequence

from tidegate import nn
from tidegate.errors import ShapeError
from tidegate.ragged import Ragged

LENGTHS = [2, 5, 1, 5, 3]


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def sequences() -> list[torch.Tensor]:
    return [torch.randn(length, 3) for length in LENGTHS]


def test_packed_sequences_come_out_in_their_first_order(sequences: list[torch.Tensor]) -> None:
    batch = nn.from_packed(pack_sequence(sequences, enforce_sorted=False))
    assert batch.lengths.tolist() == LENGTHS
    assert torch.equal(batch.values, torch.cat(sequences))


def test_packed_sequences_sorted_by_hand_keep_their_order(sequences: list[torch.Tensor]) -> None:
    ordered = sorted(sequences, key=len, reverse=True)
    assert torch.equal(nn.from_packed(pack_sequence(ordered)).values, torch.cat(ordered))


def test_packing_equals_torch_packing(sequences: list[torch.Tensor]) -> None:
    padded, lengths = Ragged.from_list(sequences).to_padded()
    theirs = pack_padded_sequence(padded, lengths, batch_first=True, enforce_sorted=False)
    ours = nn.to_packed(Ragged.from_list(sequences))
    assert torch.equal(ours.data, theirs.data)
    assert torch.equal(ours.batch_sizes, theirs.batch_sizes)
    unpacked, found = pad_packed_sequence(ours, batch_first=True)
    assert torch.equal(unpacked, padded)
    assert found.tolist() == LENGTHS


def test_gradients_pass_through_packing(sequences: list[torch.Tensor]) -> None:
    values = torch.cat(sequences).requires_grad_()
    weights = torch.randn(len(values), 3)
    batch = nn.from_packed(nn.to_packed(Ragged.from_list(sequences).with_values(values)))
    (batch.values * weights).sum().backward()
    assert values.grad is not None
    assert torch.equal(values.grad, weights)


@pytest.mark.parametrize("empty", [[], [torch.ones(2, 3), torch.ones(0, 3)]])
def test_an_empty_sequence_cannot_be_packed(empty: list[torch.Tensor]) -> None:
    offsets = torch.tensor([0, *np.cumsum([len(s) for s in empty])], dtype=torch.int64)
    batch = Ragged(torch.cat([*empty, torch.ones(0, 3)]), offsets)
    with pytest.raises(ShapeError, match="is empty, and a PackedSequence holds no empty sequence"):
        nn.to_packed(batch)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors is in prototype")
@pytest.mark.parametrize("layout", [torch.jagged, torch.strided])
def test_nested_tensors_go_both_ways(sequences: list[torch.Tensor], layout: torch.layout) -> None:
    nested = torch.nested.nested_tensor([*sequences, torch.ones(0, 3)], layout=layout)
    batch = nn.from_nested(nested)
    assert batch.lengths.tolist() == [*LENGTHS, 0]
    assert torch.equal(batch.values, torch.cat(sequences))
    again = nn.to_nested(batch)
    for ours, theirs in zip(again.unbind(), [*sequences, torch.ones(0, 3)], strict=True):
        assert torch.equal(ours, theirs)


def test_a_plain_tensor_is_not_nested() -> None:
    with pytest.raises(ShapeError, match=r"a tensor \[2, 3\] came where a nested one was wanted"):
        nn.from_nested(torch.ones(2, 3))


def test_numpy_batches_become_tensors_that_share_memory() -> None:
    batch = Ragged.from_list([np.ones((2, 3), np.float32), np.ones((1, 3), np.float32)])
    shared = nn.to_torch(batch)
    shared.values[0, 0] = 7
    assert batch.values[0, 0] == 7
    assert nn.to_torch(shared).values is shared.values
