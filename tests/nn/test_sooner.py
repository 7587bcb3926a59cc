"""Which calls of an accelerated layer go to torch's own code: those that the rule names, and no other."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence

import tidegate as tg
from tidegate.nn import sooner

C, H, B = 3, 5, 4
CELLS: dict[str, Callable[..., Any]] = {
    "rnn_tanh": torch.nn.RNN,
    "rnn_relu": lambda *sizes, **options: torch.nn.RNN(*sizes, nonlinearity="relu", **options),
    "gru": torch.nn.GRU,
}
FORMS = ["padded", "batch first", "packed", "one sequence"]


@pytest.fixture(autouse=True)
def rule(monkeypatch: pytest.MonkeyPatch) -> None:
    """In training from 4 steps on, in inference from 10 tokens on, of all sizes, as if none were small."""
    monkeypatch.setattr(sooner, "LEAST_STEPS", 4)
    monkeypatch.setattr(sooner, "LEAST_TOKENS", 10)
    monkeypatch.setattr(sooner, "SMALL", 0)


def accelerated(cell: str, *, exact: bool = False, **options: Any) -> Any:
    layer = {**CELLS, "lstm": torch.nn.LSTM}[cell](C, H, **options)
    tg.accelerate(layer, exact=exact)
    return layer


def batch(form: str, steps: int) -> Any:
    """Give B sequences of so many steps, but one where one is asked for, and of one step but the first where packed."""
    x = torch.randn(steps, B, C)
    if form == "packed":
        return pack_padded_sequence(x, torch.tensor([steps, 1, 1, 1]), enforce_sorted=False)
    return {"padded": x, "batch first": x.transpose(0, 1), "one sequence": x[:, 0]}[form]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("form", FORMS)
def test_a_call_is_handed_over_below_the_least_steps_in_training(cell: str, form: str, calls: list[str]) -> None:
    layer = accelerated(cell, batch_first=form == "batch first")
    for steps in (1, 3, 4, 5):
        calls.clear()
        layer(batch(form, steps))
        assert calls == ([cell] if steps >= 4 else []), steps


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(("form", "least"), [("padded", 3), ("batch first", 3), ("packed", 7), ("one sequence", 10)])
def test_a_call_is_handed_over_below_the_least_tokens_in_inference(
    cell: str, form: str, least: int, calls: list[str]
) -> None:
    layer = accelerated(cell, batch_first=form == "batch first")
    for steps in (1, least - 1, least, least + 1):
        calls.clear()
        with torch.no_grad():
            layer(batch(form, steps))
        assert calls == ([cell] if steps >= least else []), steps


def test_small_layers_are_never_handed_over_in_inference(monkeypatch: pytest.MonkeyPatch, calls: list[str]) -> None:
    monkeypatch.setattr(sooner, "SMALL", H)
    with torch.no_grad():
        accelerated("gru")(torch.randn(1, 1, C))
    assert calls == ["gru"]


@pytest.mark.parametrize("form", FORMS)
def test_an_lstm_is_handed_over_in_float64_alone(form: str, calls: list[str]) -> None:
    """Of the float32 one torch has no second gradients."""
    layer = accelerated("lstm", batch_first=form == "batch first")
    layer(batch(form, 1))
    assert calls == ["lstm"]
    calls.clear()
    layer.double()
    x = batch(form, 1)
    layer(x._replace(data=x.data.double()) if form == "packed" else x.double())
    assert calls == []


@pytest.mark.parametrize("which", ["input", "state", "weight"])
def test_a_call_trains_when_anything_in_it_wants_a_gradient(which: str, calls: list[str]) -> None:
    layer = accelerated("gru").requires_grad_(False)
    x, state = torch.randn(3, B, C), torch.randn(1, B, H)
    layer(x, state)
    assert calls == ["gru"]  # 12 tokens
    {"input": x, "state": state, "weight": layer.bias_ih_l0}[which].requires_grad_()
    layer(x, state)
    assert calls == ["gru"]  # 3 steps


@pytest.mark.parametrize("cell", CELLS)
def test_a_call_that_is_handed_over_gives_torchs_own_bits(cell: str) -> None:
    layer = accelerated(cell, num_layers=2, bidirectional=True)
    theirs = copy.deepcopy(layer)
    tg.restore(theirs)
    x = torch.randn(3, B, C)
    for found, wanted in zip(layer(x), theirs(x), strict=True):
        assert torch.equal(found, wanted)
        (found * found).sum().backward(retain_graph=True)
        (wanted * wanted).sum().backward(retain_graph=True)
    for a, b in zip(layer.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(a.grad, b.grad)


@pytest.mark.parametrize("cell", [*CELLS, "lstm"])
def test_with_exact_nothing_is_handed_over_and_a_sequence_alone_is_the_sequence_in_its_batch(
    cell: str, calls: list[str]
) -> None:
    layer = accelerated(cell, exact=True, bidirectional=True)
    for steps in (1, 3, 12):
        x = torch.randn(steps, B, C)
        calls.clear()
        with torch.no_grad():
            together, alone = layer(x)[0], layer(x[:, 1:2])[0]
        assert torch.equal(alone[:, 0], together[:, 1])
        assert torch.equal(layer(x)[0], together)  # with a gradient, too
        assert calls == 3 * [cell]


def test_exact_can_be_said_later_and_goes_where_the_layer_goes(calls: list[str]) -> None:
    layer = accelerated("gru")
    tg.accelerate(layer, exact=True)
    copy.deepcopy(layer)(torch.randn(1, 1, C))
    assert calls == ["gru"]
    tg.accelerate(layer)
    layer(torch.randn(1, 1, C))
    assert calls == ["gru"]
    tg.restore(layer)
    assert "exact" not in vars(layer)


@pytest.mark.parametrize("cell", [*CELLS, "lstm"])
def test_an_output_of_torchs_own_code_may_be_changed_in_place_too(cell: str, calls: list[str]) -> None:
    found = []
    layer = accelerated(cell).double()
    for copied in (True, False):
        torch.manual_seed(0)
        output: Tensor = layer(torch.randn(2, B, C, dtype=torch.float64))[0]
        output = output.clone() if copied else output
        output[0] = 0
        output.mul_(3).relu_()
        found.append(torch.autograd.grad(output.square().sum(), list(layer.parameters())))
    assert not calls
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b)


def test_what_torch_does_not_take_is_refused_in_our_words_as_ever() -> None:
    with pytest.raises(tg.errors.ShapeError, match="a list came where"):
        accelerated("gru")([1.0])


def test_explain_names_what_is_handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    both = "Calls of fewer than 4 steps in training and of fewer than 10 tokens in inference are handed to torch, which"
    assert accelerated("gru").explain().endswith(f"{both} is sooner there.")
    assert accelerated("lstm").double().explain().endswith(f"{both} is sooner there.")
    monkeypatch.setattr(sooner, "SMALL", H)
    assert "Calls of fewer than 4 steps in training are handed to torch" in accelerated("gru").explain()
    assert "handed" not in accelerated("lstm").explain()
    assert "handed" not in accelerated("gru", exact=True).explain()
