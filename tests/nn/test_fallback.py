"""Where our kernels do not run, torch's own implementation gives the same numbers; nothing falls back unasked."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tidegate import nn
from tidegate.errors import InputError
from tidegate.nn import fallback, stack
from tidegate.nn.operands import Operands
from tidegate.ragged import Ragged

LAYERS = [nn.SimpleRNN, nn.LSTM, nn.GRU]


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def tensors(result: Any) -> list[torch.Tensor]:
    """List the tensors of a layer's result."""
    match result:
        case torch.Tensor():
            return [result]
        case Ragged():
            return [result.values]
    return [tensor for part in result for tensor in tensors(part)]


@pytest.mark.parametrize("layer_type", LAYERS)
@pytest.mark.parametrize("options", [{"bidirectional": True, "merge": "sum"}, {"reverse": True}, {"bias": False}])
@pytest.mark.parametrize("lengths", [[3, 0, 5, 4, 1], [4, 4], [0, 0]])
def test_torch_and_our_kernels_agree(layer_type: Any, options: dict[str, Any], lengths: list[int]) -> None:
    ours = layer_type(3, 4, 2, dtype=torch.float64, **options)
    theirs = layer_type(3, 4, 2, dtype=torch.float64, kernel="torch", **options)
    theirs.load_state_dict(ours.state_dict())
    batch = Ragged.from_list([torch.randn(length, 3, dtype=torch.float64) for length in lengths])
    states = [torch.randn(2 * ours.num_directions, len(lengths), 4).double().requires_grad_() for _ in range(2)]
    hx = tuple(states) if layer_type is nn.LSTM else states[0]
    found = []
    for layer in (ours, theirs):
        outputs = tensors(layer(batch, hx))
        loss = torch.stack([tensor.square().sum() for tensor in outputs]).sum()
        inputs = [*tensors(hx), *layer.parameters()]
        found.append([*outputs, *torch.autograd.grad(loss, inputs, allow_unused=True, materialize_grads=True)])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b)


def test_torch_reads_the_rows_of_a_table() -> None:
    ours, theirs = nn.GRU(3, 4), nn.GRU(3, 4, kernel="torch")
    theirs.load_state_dict(ours.state_dict())
    ids, table = torch.randint(0, 9, (5, 2)), torch.randn(9, 3)
    torch.testing.assert_close(ours(ids, table=table), theirs(ids, table=table))


@pytest.mark.parametrize("layer_type", LAYERS)
def test_another_device_runs_torch(layer_type: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def spy(given: Operands) -> Any:
        calls.append(given.cell)
        return fallback.recurrent(given)

    monkeypatch.setattr(stack, "fallback", type("Spy", (), {"recurrent": staticmethod(spy)}))
    layer = layer_type(3, 4, bidirectional=True, device="meta")
    padded, _ = layer(torch.zeros(5, 2, 3, device="meta"))
    assert (padded.shape, padded.device.type) == ((5, 2, 8), "meta")
    ragged, _ = layer(Ragged(torch.zeros(5, 3, device="meta"), torch.tensor([0, 2, 5])))
    assert (ragged.values.shape, ragged.values.device.type) == ((5, 8), "meta")
    pooled = nn.Pool(["max", "mean", "last"])(ragged)
    assert (pooled.shape, pooled.device.type) == ((2, 24), "meta")
    assert calls == [layer.cell] * 2


def test_an_explicit_choice_holds_or_raises() -> None:
    layer = nn.GRU(3, 4, kernel="tidegate", device="meta")
    with pytest.raises(InputError, match="kernel='tidegate' was asked for, but the layer lies on meta"):
        layer(torch.zeros(5, 2, 3, device="meta"))
    with pytest.raises(InputError, match="kernel='tidegate' was asked for"):
        layer.explain()
    with pytest.raises(InputError, match="input lies on cpu, but the layer on meta"):
        nn.GRU(3, 4, device="meta")(torch.zeros(5, 2, 3))


def test_recurrent_dropout_is_refused_where_torch_runs() -> None:
    layer = nn.GRU(3, 4, recurrent_dropout=0.5, kernel="torch")
    with pytest.raises(InputError, match="recurrent_dropout needs Tidegate's kernels"):
        layer(torch.zeros(5, 2, 3))
    rival = torch.nn.GRU(3, 4)
    rival.load_state_dict(layer.state_dict())
    x = torch.randn(5, 2, 3)
    assert torch.equal(layer.eval()(x)[0], rival(x)[0])


def test_half_precision_runs_where_torch_is_asked_for() -> None:
    """As near to the exact numbers as half precision is: torch's own layer rounds otherwise on some machines."""
    layer = nn.LSTM(3, 4, kernel="torch", dtype=torch.bfloat16)
    exact = torch.nn.LSTM(3, 4, dtype=torch.float64)
    exact.load_state_dict(layer.state_dict())
    x = torch.randn(5, 2, 3, dtype=torch.bfloat16)
    found = layer(x)[0]
    assert found.dtype == torch.bfloat16
    unit = torch.finfo(torch.bfloat16).eps
    torch.testing.assert_close(found.double(), exact(x.double())[0], rtol=0, atol=4 * unit)
