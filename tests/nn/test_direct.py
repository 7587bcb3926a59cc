"""The short way of an accelerated layer's calls: the bits of the long one, and every change of a weight is seen."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import tidegate as tg
from tidegate.nn import direct

C, H, B, T = 3, 5, 4, 12
LAYERS = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}


def accelerated(cell: str, **options: Any) -> Any:
    layer = LAYERS[cell](C, H, **options)
    tg.accelerate(layer, exact=True)
    return layer


def tensors(found: Any) -> list[Tensor]:
    output, ends = found
    return [output, *(ends if isinstance(ends, tuple) else (ends,))]


@pytest.fixture
def long_way(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Tensor]]:
    """Call a layer as if there were no short way."""

    def call(layer: Any, *args: Any) -> list[Tensor]:
        with monkeypatch.context() as patch:
            patch.setattr(direct, "run", lambda *_: None)
            return tensors(layer(*args))

    return call


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("cell", LAYERS)
@pytest.mark.parametrize("form", ["padded", "batch first", "one sequence", "strided"])
@pytest.mark.parametrize("options", [{}, {"num_layers": 3, "bidirectional": True}, {"bias": False, "num_layers": 2}])
def test_the_short_way_gives_the_bits_of_the_long_one(
    cell: str, form: str, options: dict[str, Any], dtype: torch.dtype, long_way: Callable[..., list[Tensor]]
) -> None:
    layer = accelerated(cell, batch_first=form == "batch first", dtype=dtype, **options)
    x = torch.randn(T, B, C, dtype=dtype)
    x = {"padded": x, "batch first": x.transpose(0, 1).contiguous(), "one sequence": x[:, 1], "strided": x[::2]}[form]
    rows = layer.num_layers * layer.num_directions
    states = [torch.randn(rows, B, H, dtype=dtype)[:, :: 1 if x.dim() == 3 else B] for _ in range(2)]
    states = [state if x.dim() == 3 else state.squeeze(1) for state in states]
    for start, gradient in itertools.product((None, tuple(states) if cell == "lstm" else states[0]), (False, True)):
        with torch.set_grad_enabled(gradient):
            found, wanted = tensors(layer(x, start)), long_way(layer, x, start)
        for a, b in zip(found, wanted, strict=True):
            assert torch.equal(a, b) and a.shape == b.shape and a.is_contiguous() == b.is_contiguous()
        if gradient:
            pairs = [torch.autograd.grad([each.square().sum() for each in run], list(layer.parameters()))
                     for run in (found, wanted)]  # fmt: skip
            assert all(torch.equal(a, b) for a, b in zip(*pairs, strict=True))


def by_numpy(weight: Tensor) -> None:
    weight.detach().numpy()[...] *= 2


def by_data(weight: Tensor) -> None:
    weight.data.mul_(2)


def by_new_data(weight: Tensor) -> None:
    weight.data = weight.data * 2


def by_turned_data(weight: Tensor) -> None:
    weight.data = (weight.data * 2).t().contiguous().t() if weight.dim() == 2 else weight.data * 2


def by_no_grad(weight: Tensor) -> None:
    with torch.no_grad():
        weight.mul_(2)


def by_optimiser(weight: Tensor) -> None:
    weight.grad = -weight.detach().clone()
    torch.optim.SGD([weight], lr=1.0).step()


CHANGES = [by_numpy, by_data, by_new_data, by_turned_data, by_no_grad, by_optimiser]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("cell", LAYERS)
def test_a_weight_that_changed_in_any_way_is_read_anew(cell: str, change: Callable[[Tensor], None]) -> None:
    layer, x = accelerated(cell), torch.randn(T, B, C)
    with torch.no_grad():
        layer(x)
    for weight in layer.parameters():
        change(weight)
    theirs = copy.deepcopy(layer)
    tg.restore(theirs)
    with torch.no_grad():
        torch.testing.assert_close(layer(x)[0], theirs(x)[0], rtol=1e-4, atol=1e-5)
        other = accelerated(cell)
        layer.load_state_dict(other.state_dict())
        assert torch.equal(layer(x)[0], other(x)[0])


def test_a_weight_that_is_no_matrix_of_the_layer_is_left_to_the_long_way() -> None:
    layer = accelerated("gru").requires_grad_(False)
    layer.weight_hh_l0.data = torch.randn(2 * H, H)
    with pytest.raises(tg.errors.ShapeError, match="is wanted here"):
        layer(torch.randn(T, B, C))


def test_a_plain_call_goes_the_short_way(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, x = accelerated("lstm", batch_first=True), torch.randn(B, T, C)
    with_gradient = layer(x)[0]
    monkeypatch.setattr(layer, "_run", None)
    assert torch.equal(layer(x)[0], with_gradient)
    with torch.no_grad():
        assert torch.equal(layer(x, (torch.zeros(1, B, H), torch.zeros(1, B, H)))[0], with_gradient)
