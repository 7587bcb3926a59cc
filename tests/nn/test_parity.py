"""The layers give torch's numbers: same state_dict, same output, states and gradients, in every form of input."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from tidegate import nn
from tidegate.ragged import Ragged

C, H, B, T = 3, 5, 4, 6
LENGTHS = [4, 6, 1, 3]
CELLS: dict[str, tuple[type[Any], type[Any], dict[str, Any]]] = {
    "rnn_tanh": (nn.SimpleRNN, torch.nn.RNN, {}),
    "rnn_relu": (nn.SimpleRNN, torch.nn.RNN, {"nonlinearity": "relu"}),
    "lstm": (nn.LSTM, torch.nn.LSTM, {}),
    "gru": (nn.GRU, torch.nn.GRU, {}),
}


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def pair(cell: str, **options: Any) -> tuple[Any, Any]:
    """Build our layer and torch's with the same weights."""
    ours, theirs, own = CELLS[cell]
    options = {"dtype": torch.float64, **own, **options}
    reference = theirs(C, H, **options)
    layer = ours(C, H, **options)
    layer.load_state_dict(reference.state_dict())
    return layer, reference


def states(cell: str, layers: int, batch: int | None = B) -> Any:
    shape = [layers, H] if batch is None else [layers, batch, H]
    h0, c0 = (torch.randn(shape, dtype=torch.float64, requires_grad=True) for _ in range(2))
    return (h0, c0) if cell == "lstm" else h0


def flat(result: Any) -> list[Tensor]:
    """List the tensors of a layer's result."""
    match result:
        case Tensor():
            return [result]
        case Ragged():
            return [result.values]
        case PackedSequence():
            return [result.data]
    return [tensor for part in result for tensor in flat(part)]


def gradients(result: Any, inputs: list[Tensor]) -> list[Tensor]:
    """Return the gradients of a loss in which every number has its own weight."""
    torch.manual_seed(3)
    losses = [(tensor * torch.randn(tensor.shape, dtype=tensor.dtype)).sum() for tensor in flat(result)]
    loss = torch.stack(losses).sum()
    return list(torch.autograd.grad(loss, inputs, retain_graph=True))


def assert_same(ours: list[Tensor], theirs: list[Tensor], **tolerance: Any) -> None:
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, **tolerance)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("options", [{}, {"num_layers": 3}, {"bias": False}, {"batch_first": True, "num_layers": 2}])
def test_padded_input_gives_what_torch_gives(cell: str, bidirectional: bool, options: dict[str, Any]) -> None:
    layer, reference = pair(cell, bidirectional=bidirectional, **options)
    x = torch.randn(B, T, C, dtype=torch.float64) if "batch_first" in options else torch.randn(T, B, C).double()
    x.requires_grad_()
    start = states(cell, options.get("num_layers", 1) * (2 if bidirectional else 1))
    ours, theirs = layer(x, start), reference(x, start)
    assert_same(flat(ours), flat(theirs))
    assert_same(
        gradients(ours, [x, *flat(start), *layer.parameters()]),
        gradients(theirs, [x, *flat(start), *reference.parameters()]),
    )


@pytest.mark.parametrize("cell", CELLS)
def test_one_sequence_without_a_batch_axis_gives_what_torch_gives(cell: str) -> None:
    layer, reference = pair(cell, bidirectional=True, num_layers=2)
    x = torch.randn(T, C, dtype=torch.float64)
    start = states(cell, 4, batch=None)
    assert_same(flat(layer(x, start)), flat(reference(x, start)))
    assert_same(flat(layer(x)), flat(reference(x)))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_packed_and_ragged_input_give_what_torch_gives(cell: str, bidirectional: bool) -> None:
    layer, reference = pair(cell, bidirectional=bidirectional, num_layers=2)
    padded = torch.randn(B, T, C, dtype=torch.float64, requires_grad=True)
    packed = pack_padded_sequence(padded, torch.tensor(LENGTHS), batch_first=True, enforce_sorted=False)
    start = states(cell, 4 if bidirectional else 2)
    theirs = reference(packed, start)
    ours = layer(packed, start)
    ragged = layer(Ragged.from_padded(padded, LENGTHS), start)
    assert isinstance(ours[0], PackedSequence)
    expected = Ragged.from_padded(pad_packed_sequence(theirs[0], batch_first=True)[0], LENGTHS)
    assert_same(flat(ours), flat(theirs))
    assert_same(flat(ragged), flat((expected, *theirs[1:])))
    inputs = [padded, *flat(start)]
    assert_same(
        gradients((ragged, *ours), [*inputs, *layer.parameters()]),
        gradients((expected, *theirs[1:], *theirs), [*inputs, *reference.parameters()]),
    )


@pytest.mark.parametrize("cell", CELLS)
def test_float32_agrees_within_rounding(cell: str) -> None:
    layer, reference = pair(cell, dtype=torch.float32, bidirectional=True, num_layers=2)
    x = torch.randn(T, B, C)
    assert_same(flat(layer(x)), flat(reference(x)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_what_lies_in_the_padding_has_no_effect(cell: str) -> None:
    layer, _ = pair(cell, bidirectional=True)
    padded = torch.randn(B, T, C, dtype=torch.float64)
    filled = padded.masked_fill((torch.arange(T) >= torch.tensor(LENGTHS)[:, None])[:, :, None], torch.nan)
    for batch in (padded, filled):
        ragged, *_ = flat(layer(Ragged.from_padded(batch, LENGTHS)))
        packed = pack_padded_sequence(batch, torch.tensor(LENGTHS), batch_first=True, enforce_sorted=False)
        assert torch.equal(ragged, nn.from_packed(layer(packed)[0]).values)
        alone = torch.cat([layer(row[:length])[0] for row, length in zip(batch, LENGTHS, strict=True)])
        assert torch.equal(ragged, alone)


@pytest.mark.parametrize("cell", CELLS)
def test_reverse_runs_from_the_end_of_each_sequence(cell: str) -> None:
    _, reference = pair(cell, num_layers=2)
    reverse = CELLS[cell][0](C, H, 2, dtype=torch.float64, reverse=True, **CELLS[cell][2])
    reverse.load_state_dict(reference.state_dict())
    batch = Ragged.from_list([torch.randn(length, C, dtype=torch.float64) for length in LENGTHS])
    output, *ends = reverse(batch)
    for index, sequence in enumerate(batch):
        expected, *last = reference(sequence.flip(0))
        torch.testing.assert_close(output[index], expected.flip(0))
        assert_same([end[:, index] for end in flat(ends)], flat(last))


@pytest.mark.parametrize("cell", CELLS)
def test_an_empty_sequence_ends_where_it_starts(cell: str) -> None:
    layer, reference = pair(cell, bidirectional=True)
    batch = Ragged.from_list([torch.zeros(0, C).double(), torch.randn(2, C).double(), torch.zeros(0, C).double()])
    start = states(cell, 2, batch=3)
    output, *ends = layer(batch, start)
    for end, begin in zip(flat(ends), flat(start), strict=True):
        assert torch.equal(end[:, [0, 2]], begin[:, [0, 2]])
    middle = [state[:, 1] for state in flat(start)]
    expected, *_ = reference(batch[1], tuple(middle) if cell == "lstm" else middle[0])
    torch.testing.assert_close(output[1], expected)
    nothing, *rest = layer(Ragged.from_list([torch.zeros(0, C).double()] * 2))
    assert nothing.values.shape == (0, 2 * H)
    assert all(end.shape == (2, 2, H) and not end.any() for end in flat(rest))
    assert layer(torch.zeros(0, 2, C).double())[0].shape == (0, 2, 2 * H)


@pytest.mark.parametrize("cell", CELLS)
def test_a_table_gives_what_the_embedded_tokens_give(cell: str) -> None:
    layer, reference = pair(cell, bidirectional=True, num_layers=2)
    table = torch.randn(7, C, dtype=torch.float64, requires_grad=True)
    for dtype in (torch.int32, torch.int64):
        ids = torch.randint(0, 7, (T, B), dtype=dtype)
        ours, theirs = layer(ids, table=table), reference(table[ids.long()])
        assert_same(flat(ours), flat(theirs))
        assert_same(gradients(ours, [table, *layer.parameters()]), gradients(theirs, [table, *reference.parameters()]))


@pytest.mark.parametrize("cell", CELLS)
def test_one_seed_draws_the_weights_of_torch(cell: str) -> None:
    ours, theirs, own = CELLS[cell]
    torch.manual_seed(11)
    layer = ours(C, H, 2, bidirectional=True, **own)
    torch.manual_seed(11)
    reference = theirs(C, H, 2, bidirectional=True, **own)
    drawn, expected = layer.state_dict(), reference.state_dict()
    assert list(drawn) == list(expected)
    assert all(torch.equal(drawn[name], expected[name]) for name in expected)
    reference.load_state_dict(drawn, strict=True)
    layer.load_state_dict(reference.state_dict(), strict=True)


def test_dropout_between_layers_draws_as_torch_does() -> None:
    layer, reference = pair("gru", num_layers=3, dropout=0.5)
    x = torch.randn(1, 1, C, dtype=torch.float64)
    torch.manual_seed(5)
    ours = layer(x)
    torch.manual_seed(5)
    theirs = reference(x)
    assert_same(flat(ours), flat(theirs))
    assert_same(flat(layer.eval()(x)), flat(reference.eval()(x)))
    assert not torch.equal(ours[0], layer(x)[0])
