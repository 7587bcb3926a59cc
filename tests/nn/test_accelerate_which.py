"""Which layers accelerate takes: torch's own and what ends in them; what stays, and what the report says of it."""

from __future__ import annotations

import abc
import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.utils import parametrize
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import tidegate as tg
from accelerated import LENGTHS, B, C, H, Scripted, T, assert_same, flat, gradients
from tidegate.errors import InputError

pytestmark = pytest.mark.usefixtures("from_the_first_step")


class Changed(torch.nn.LSTM):
    """A client's own layer, which does not leave the recurrence to torch."""

    def forward(self, x: Any, hx: Any = None) -> Any:
        return x, hx


class Scaled(torch.nn.LSTM):
    """A client's own layer, as libraries have them: something before, torch's forward, something after."""

    def __init__(self, *sizes: int, scale: float = 2.0, **options: Any) -> None:
        super().__init__(*sizes, **options)
        self.scale = scale

    def forward(self, x: Any, hx: Any = None, lengths: Any = None) -> Any:
        if lengths is not None:
            x = pack_padded_sequence(x, lengths, batch_first=self.batch_first, enforce_sorted=False)
        output, ends = super().forward(x, hx)
        if lengths is not None:
            output, _ = pad_packed_sequence(output, batch_first=self.batch_first)
        return output * self.scale, ends


class Abstract(abc.ABC, torch.nn.RNNBase):
    """A client's own base of several layers, which names none of torch's."""

    @abc.abstractmethod
    def begin(self, x: Tensor) -> Any: ...

    def forward(self, x: Tensor, hx: Any = None) -> Any:
        return super().forward(x, self.begin(x) if hx is None else hx)


class WithBegin(Abstract, torch.nn.GRU):  # type: ignore[misc]
    def begin(self, x: Tensor) -> Tensor:
        return x.new_ones(1, x.shape[1], self.hidden_size)


class Named(torch.nn.RNN):
    """Nothing but another name and other defaults."""

    def __init__(self) -> None:
        super().__init__(C, H, nonlinearity="relu")


class OwnPermutation(torch.nn.LSTM):
    def permute_hidden(self, hx: Any, permutation: Any) -> Any:
        return hx


class OwnWeights(torch.nn.GRU):
    def forward(self, *args: Any) -> Any:
        self._flat_weights = list(self._flat_weights)
        return super().forward(*args)


class OwnCell(torch.nn.GRU):
    cell = "something else"


class Unnamed(torch.nn.RNNBase):
    def __init__(self) -> None:
        super().__init__("GRU", C, H)


def with_own_forward() -> torch.nn.Module:
    layer = torch.nn.LSTM(C, H)
    object.__setattr__(layer, "forward", lambda x: x)
    return layer


def parametrized() -> torch.nn.Module:
    layer = torch.nn.LSTM(C, H)
    torch.nn.utils.parametrizations.weight_norm(layer, "weight_hh_l0")
    return layer


def of_two_types() -> Any:
    layer: Any = torch.nn.LSTM(C, H)
    layer.weight_hh_l0 = torch.nn.Parameter(layer.weight_hh_l0.double())
    return layer


def traced(model: torch.nn.Module) -> Any:
    return torch.jit.trace(model, (torch.randn(T, B, C),))  # type: ignore[no-untyped-call]


@pytest.mark.filterwarnings("ignore:.*deprecated", "ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize(
    ("make", "name", "reason"),
    [
        (lambda: torch.nn.LSTM(C, H, proj_size=2), "0", "it projects its state (proj_size=2)"),
        (lambda: torch.nn.LSTM(C, H, device="meta"), "0", "it lies on meta, and the kernels are for the CPU"),
        (
            lambda: torch.nn.GRU(C, H).half(),
            "0",
            "its weights are torch.float16, and the kernels take float32 or float",
        ),
        (lambda: torch.nn.RNN(C, H).bfloat16(), "0", "its weights are torch.bfloat16, and the kernels take"),
        (of_two_types, "0", "the same for all"),
        (lambda: Changed(C, H), "0", "the forward of its class Changed does not end in super().forward"),
        (lambda: OwnPermutation(C, H), "0", "its class OwnPermutation has a permute_hidden of its own"),
        (lambda: OwnWeights(C, H), "0", "its class OwnWeights works on _flat_weights"),
        (lambda: OwnCell(C, H), "0", "it has a cell of its own, a name that Tidegate's layers use"),
        (Unnamed, "0", "it is a Unnamed, which is none of torch's RNN, LSTM and GRU"),
        (lambda: Scaled(C, H, proj_size=2), "0", "it projects its state (proj_size=2)"),
        (
            lambda: torch.jit.freeze(torch.jit.script(Scripted()).eval()),
            "0",
            "it is a compiled ScriptModule, with the recurrence inside its graph",
        ),
        (lambda: traced(Scripted()), "0.rnn", "it is a compiled ScriptModule"),
        (with_own_forward, "0", "its forward was replaced"),
        (parametrized, "0", "its weights are parametrized"),
        (lambda: torch.nn.LSTMCell(C, H), "0", "it runs single steps, and the kernels whole sequences"),
        (lambda: torch.jit.script(Scripted()), "0.rnn", "it is a compiled ScriptModule"),
        (
            lambda: torch.ao.quantization.quantize_dynamic(Scripted(), {torch.nn.LSTM}),  # type: ignore[no-untyped-call]
            "0.rnn",
            "it is quantised",
        ),
    ],
)
def test_what_cannot_be_taken_stays_and_the_report_says_why(
    make: Callable[[], torch.nn.Module], name: str, reason: str
) -> None:
    model = torch.nn.Sequential(make(), torch.nn.GRU(C, H))
    kinds = [type(each) for each in model.modules() if each is not model[1]]
    report = tg.accelerate(model)
    assert report.swapped == ("1",)
    assert list(report.kept) == [name]
    assert reason in report.kept[name]
    assert [type(each) for each in model.modules() if each is not model[1]] == kinds
    assert str(report).splitlines() == [
        "1 of 2 recurrent layers run on Tidegate's kernels from now on.",
        "  swapped  1",
        f"  kept     {name}: {report.kept[name]}",
    ]
    with pytest.raises((AttributeError, TypeError)):
        report.swapped = ()  # type: ignore[misc]
    with pytest.raises(TypeError):
        report.kept["x"] = ""  # type: ignore[index]


@pytest.mark.parametrize("make", [lambda: Scaled(C, H, scale=3.0), WithBegin, Named])
def test_a_subclass_that_ends_in_torchs_forward_is_swapped(make: Any, calls: list[str]) -> None:
    layer = make(C, H) if make is WithBegin else make()
    kind, told = type(layer), dict(vars(layer))
    x = torch.randn(T, B, C, requires_grad=True)
    inputs = [x, *layer.parameters()]
    expected = layer(x)
    wanted = gradients(expected, inputs)
    assert tg.accelerate(layer).swapped == ("",)
    assert dict(tg.accelerate(layer).kept) == {"": "it is accelerated already"}
    assert isinstance(layer, kind)
    assert vars(layer) == told
    for each in (layer, copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):  # noqa: S301
        calls.clear()
        found = each(x)
        assert len(calls) == 1
        assert type(each) is type(layer)
        assert_same(flat(found), flat(expected), torch.float32)
        assert_same(gradients(found, [x, *each.parameters()]), wanted, torch.float32)
    assert tg.restore(layer) == ("",)
    assert type(layer) is kind


def test_a_swapped_subclass_takes_arguments_of_its_own(calls: list[str]) -> None:
    layer = Scaled(C, H, batch_first=True, bidirectional=True)
    x, lengths = torch.randn(B, T, C), torch.tensor(LENGTHS)
    expected = layer(x, lengths=lengths)
    tg.accelerate(layer)
    assert_same(flat(layer(x, lengths=lengths)), flat(expected), torch.float32)
    assert calls == ["lstm"]


def test_modules_without_recurrence_are_not_in_the_report() -> None:
    report = tg.accelerate(torch.nn.Sequential(torch.nn.Linear(2, 3), tg.nn.LSTM(3, 4)))
    assert (report.swapped, dict(report.kept)) == ((), {})
    assert str(report) == "No recurrent layer was found."


@pytest.mark.parametrize("function", [tg.accelerate, tg.restore])
def test_what_is_not_a_module_is_refused(function: Callable[[Any], Any]) -> None:
    with pytest.raises(InputError, match=r"a type came where a torch\.nn\.Module was wanted"):
        function(torch.nn.LSTM)


def test_a_layer_parametrized_since_is_not_restored_in_silence() -> None:
    model = torch.nn.Sequential(torch.nn.GRU(C, H), torch.nn.LSTM(C, H))
    tg.accelerate(model)
    torch.nn.utils.parametrizations.weight_norm(model[1], "weight_hh_l0")
    with pytest.raises(InputError, match=r"layer 1 was accelerated and is now a Parametrized.*nothing was changed"):
        tg.restore(model)
    assert repr(model[0]).endswith("accelerated=True)")
    parametrize.remove_parametrizations(model[1], "weight_hh_l0")
    assert tg.restore(model) == ("0", "1")
