"""What our layers have and torch's have not; how they are built, copied, explained and refused."""

from __future__ import annotations

import copy
import inspect
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor

from tidegate import kernels, nn
from tidegate.errors import InputError, OptionError, ShapeError, WrongTypeError
from tidegate.nn import operators
from tidegate.ragged import Ragged

LAYERS = [nn.SimpleRNN, nn.LSTM, nn.GRU]


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def batch_of(*lengths: int, features: int = 3) -> Ragged:
    return Ragged.from_list([torch.randn(length, features) for length in lengths])


def hidden(result: Any) -> Tensor:
    """Return hn of a layer's result."""
    state = result[1]
    found: Tensor = state[0] if isinstance(state, tuple) else state
    return found


@pytest.mark.parametrize("layer_type", LAYERS)
def test_merge_joins_the_two_directions(layer_type: Any) -> None:
    apart = layer_type(3, 4, 2, bidirectional=True, merge=None)
    batch = batch_of(3, 0, 2)
    (forward, backward), state = apart(batch)
    expected = {
        "concat": torch.cat([forward.values, backward.values], dim=1),
        "sum": forward.values + backward.values,
        "mul": forward.values * backward.values,
        "ave": (forward.values + backward.values) / 2,
    }
    for merge, values in expected.items():
        layer = layer_type(3, 4, 2, bidirectional=True, merge=merge)
        layer.load_state_dict(apart.state_dict())
        result = layer(batch)
        assert torch.equal(result[0].values, values)
        assert torch.equal(hidden(result), hidden((None, state)))


def test_merge_none_returns_both_outputs_in_the_form_of_the_input() -> None:
    apart = nn.GRU(3, 4, bidirectional=True, merge=None, batch_first=True)
    whole = nn.GRU(3, 4, bidirectional=True, batch_first=True)
    whole.load_state_dict(apart.state_dict())
    x = torch.randn(2, 5, 3)
    forward, backward = apart(x)[0]
    assert forward.shape == backward.shape == (2, 5, 4)
    assert torch.equal(torch.cat([forward, backward], -1), whole(x)[0])


def test_one_direction_of_two_is_the_layer_of_one() -> None:
    both = nn.LSTM(3, 4, bidirectional=True, merge=None)
    weights = both.state_dict()
    batch = batch_of(4, 1)
    for index, reverse in enumerate((False, True)):
        alone = nn.LSTM(3, 4, reverse=reverse)
        suffix = "_reverse" if reverse else ""
        alone.load_state_dict({name: weights[name + suffix] for name in alone.state_dict()})
        assert torch.equal(alone(batch)[0].values, both(batch)[0][index].values)


@pytest.mark.parametrize("layer_type", LAYERS)
def test_recurrent_dropout_of_one_cuts_the_recurrence(layer_type: Any) -> None:
    layer = layer_type(3, 4, bidirectional=True, recurrent_dropout=1.0)
    cut = copy.deepcopy(layer).eval()
    for name, parameter in cut.named_parameters():
        if name.startswith("weight_hh"):
            torch.nn.init.zeros_(parameter)
    batch = batch_of(4, 2)
    torch.testing.assert_close(layer(batch)[0].values, cut(batch)[0].values)


def test_recurrent_dropout_keeps_one_mask_over_a_sequence() -> None:
    layer = nn.SimpleRNN(3, 1, recurrent_dropout=0.5)
    batch = batch_of(*[5] * 40)
    torch.manual_seed(1)
    dropped = layer(batch)[0]
    twice, never = copy.deepcopy(layer).eval(), copy.deepcopy(layer).eval()
    torch.nn.init.constant_(twice.get_parameter("weight_hh_l0"), 2 * layer.get_parameter("weight_hh_l0").item())
    torch.nn.init.zeros_(never.get_parameter("weight_hh_l0"))
    kept, cut = twice(batch)[0], never(batch)[0]
    is_kept = [torch.allclose(a, b) for a, b in zip(dropped, kept, strict=True)]
    is_cut = [torch.allclose(a, b) for a, b in zip(dropped, cut, strict=True)]
    assert all(a != b for a, b in zip(is_kept, is_cut, strict=True))
    assert 8 < sum(is_kept) < 32
    torch.manual_seed(1)
    assert torch.equal(layer(batch)[0].values, dropped.values)
    assert not torch.equal(layer(batch)[0].values, dropped.values)
    assert torch.equal(layer.eval()(batch)[0].values, layer(batch)[0].values)


def test_forget_bias_is_the_total_bias_of_the_forget_gate() -> None:
    layer = nn.LSTM(3, 4, 2, bidirectional=True, forget_bias=1.5)
    for suffix in ("_l0", "_l0_reverse", "_l1", "_l1_reverse"):
        total = layer.get_parameter("bias_ih" + suffix) + layer.get_parameter("bias_hh" + suffix)
        assert total[4:8].tolist() == [1.5] * 4
        assert total[:4].abs().min() > 0
        assert total[8:].abs().min() > 0


@pytest.mark.parametrize("layer", [nn.LSTM(3, 300, 2, bidirectional=True, chrono=50), nn.GRU(3, 300, 2, chrono=50)])
def test_chrono_biases_make_memories_of_up_to_t_steps(layer: nn.LSTM | nn.GRU) -> None:
    ends = ("_l0", "_l0_reverse", "_l1", "_l1_reverse") if layer.bidirectional else ("_l0", "_l1")
    for suffix in ends:
        total = (layer.get_parameter("bias_ih" + suffix) + layer.get_parameter("bias_hh" + suffix)).detach().double()
        gates = total.reshape(-1, 300)  # i f g o, or r z n
        memory = 1 / (1 - gates[1].sigmoid())  # uniform from 2 to T (Tallec, Ollivier 2018)
        assert memory.min() >= 2 - 1e-5
        assert memory.max() <= 50 + 1e-3
        assert memory.mean().item() == pytest.approx(26, abs=2.5)  # three standard errors of a mean of 300
        assert gates[2].abs().min() > 0, "the other gates keep torch's random biases"
        if isinstance(layer, nn.LSTM):
            assert torch.equal(gates[0], -gates[1])


def test_chrono_changes_no_other_parameter() -> None:
    torch.manual_seed(0)
    plain = nn.GRU(3, 4)
    torch.manual_seed(0)
    chrono = nn.GRU(3, 4, chrono=9)
    for name, parameter in plain.named_parameters():
        rows = [row for row in range(12) if not (name.startswith("bias") and 4 <= row < 8)]
        assert torch.equal(parameter[rows], chrono.get_parameter(name)[rows])


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_gates_are_kept_because_a_gradient_is_wanted_not_because_of_training(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = []
    real = kernels.forward

    def spy(*args: Any, **options: Any) -> kernels.Forward:
        kept.append(options["keep"])
        return real(*args, **options)

    monkeypatch.setattr(kernels, "forward", spy)
    layer = getattr(nn.LSTM(3, 4), mode)()
    batch = batch_of(2, 1)
    layer(batch)[0].values.sum().backward()
    assert layer.weight_hh_l0.grad.abs().sum() > 0
    with torch.no_grad():
        assert not layer(batch)[0].values.requires_grad
    with torch.inference_mode():
        layer(batch)
    layer.requires_grad_(False)
    layer(batch)
    layer(batch.with_values(batch.values.requires_grad_()))
    assert kept == [True, False, False, False, True]


def test_frozen_parameters_get_no_gradient() -> None:
    layer = nn.GRU(3, 4)
    layer.weight_ih_l0.requires_grad_(False)
    layer(batch_of(2))[0].values.sum().backward()
    assert layer.weight_ih_l0.grad is None
    assert layer.weight_hh_l0.grad is not None


def test_a_loss_on_the_state_alone_reaches_the_weights() -> None:
    layer = nn.LSTM(3, 4)
    batch = batch_of(3, 2)
    _, (hn, cn) = layer(batch)
    for state in (hn, cn):
        gradient = torch.autograd.grad(state.sum(), layer.weight_ih_l0, retain_graph=True)[0]
        assert gradient.abs().sum() > 0


@pytest.mark.parametrize("layer_type", LAYERS)
def test_copies_compute_what_the_layer_computes(layer_type: Any) -> None:
    layer = layer_type(3, 4, 2, bidirectional=True, merge="ave")
    batch = batch_of(3, 1)
    expected = layer(batch)[0].values
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):  # noqa: S301
        assert torch.equal(twin(batch)[0].values, expected)
        twin.weight_ih_l0.data.zero_()
    assert torch.equal(layer(batch)[0].values, expected)


def test_parametrized_weights_are_read_at_every_call() -> None:
    layer = nn.GRU(3, 4)
    torch.nn.utils.parametrizations.weight_norm(layer, "weight_hh_l0")
    batch = batch_of(3)
    before = layer(batch)[0].values
    layer.get_parameter("parametrizations.weight_hh_l0.original0").data.mul_(2)
    assert not torch.equal(layer(batch)[0].values, before)


def test_explain_names_kernel_isa_and_threads() -> None:
    text = nn.GRU(3, 4).explain()
    assert "GRU(3, 4) in float32 runs on Tidegate's kernel 'gru'" in text
    assert f"ISA {kernels.active_isa()}" in text
    assert f"at most {operators.num_threads()} threads" in text
    assert "torch's own implementation on cpu, as kernel='torch' asks" in nn.GRU(3, 4, kernel="torch").explain()
    assert "on meta, as Tidegate's kernels are for the CPU" in nn.GRU(3, 4, device="meta").explain()


def test_repr_lists_what_differs_from_the_defaults() -> None:
    layer = nn.SimpleRNN(3, 4, nonlinearity="relu", num_layers=2, bidirectional=True, merge="sum")
    assert repr(layer) == "SimpleRNN(3, 4, num_layers=2, nonlinearity='relu', bidirectional=True, merge='sum')"
    assert repr(nn.LSTM(3, 4, forget_bias=1.0)) == "LSTM(3, 4, forget_bias=1.0)"
    assert repr(nn.GRU(3, 4, chrono=9)) == "GRU(3, 4, chrono=9)"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"merge": "cat"}, OptionError, "unknown merge 'cat'. Did you mean 'concat'"),
        ({"kernel": "tidgate"}, OptionError, "Did you mean 'tidegate'"),
        ({"merge": "sum"}, InputError, "needs two outputs. Pass bidirectional=True"),
        ({"merge": None}, InputError, "needs two outputs"),
        ({"reverse": True, "bidirectional": True}, InputError, "exclude each other"),
        ({"dropout": 1.5}, InputError, "dropout=1.5, but a probability"),
        ({"recurrent_dropout": -0.1}, InputError, "recurrent_dropout=-0.1"),
        ({"num_layers": 0}, InputError, "num_layers=0, but at least 1"),
        ({"forget_bias": 1.0, "bias": False}, InputError, "forget_bias needs a bias"),
        ({"chrono": 9, "bias": False}, InputError, "chrono needs a bias"),
        ({"chrono": 9, "forget_bias": 1.0}, InputError, "both set the forget gate"),
        ({"chrono": 1}, InputError, "chrono=1, but the longest memory in steps, at least 2"),
    ],
)
def test_options_that_cannot_be_used_are_refused(options: dict[str, Any], error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        nn.LSTM(3, 4, **options)


OPTIONS = "merge recurrent_dropout weight_dropout {}reverse recompute kernel"


@pytest.mark.parametrize(
    ("layer_type", "own"), [(nn.SimpleRNN, ""), (nn.LSTM, "forget_bias chrono "), (nn.GRU, "chrono ")]
)
def test_every_option_is_shown_by_name_and_no_other_is_taken(layer_type: Any, own: str) -> None:
    shown = inspect.signature(layer_type).parameters.values()
    assert [option.name for option in shown if option.kind is option.KEYWORD_ONLY] == OPTIONS.format(own).split()
    made = layer_type(3, 4, **{option.name: option.default for option in shown if option.default is not option.empty})
    assert repr(made) == f"{layer_type.__name__}(3, 4)"
    with pytest.raises(TypeError, match=rf"^{layer_type.__name__}\.__init__\(\) .*unexpected keyword argument 'input'"):
        layer_type(3, 4, input=5)
    of_others = {nn.SimpleRNN: "chrono", nn.LSTM: "nonlinearity", nn.GRU: "forget_bias"}[layer_type]
    with pytest.raises(TypeError, match=f"unexpected keyword argument '{of_others}'"):
        layer_type(3, 4, **{of_others: None})


def test_an_unknown_nonlinearity_is_refused() -> None:
    with pytest.raises(OptionError, match=r"unknown nonlinearity 'tan'\. Did you mean 'tanh'"):
        nn.SimpleRNN(3, 4, nonlinearity="tan")  # type: ignore[arg-type]


def test_dropout_without_a_second_layer_warns() -> None:
    with pytest.warns(UserWarning, match="acts between layers, but num_layers is 1"):
        nn.LSTM(3, 4, dropout=0.5)


def test_a_state_of_the_wrong_shape_is_refused_with_the_remedy() -> None:
    layer = nn.LSTM(3, 128, num_layers=2)
    state = torch.zeros(2, 8, 64)
    with pytest.raises(ShapeError) as caught:
        layer(torch.zeros(5, 8, 3), (state, state))
    assert str(caught.value) == (
        "h0 is [2, 8, 64] but LSTM(3, 128, num_layers=2) wants [2, 8, 128].\n"
        "Pass h0 with that shape, or leave it out to start from zeros."
    )
    good = torch.zeros(2, 8, 128)
    with pytest.raises(ShapeError, match=r"c0 is \[2, 7, 128\] but"):
        layer(torch.zeros(5, 8, 3), (good, good[:, :7]))
    with pytest.raises(ShapeError, match=r"h0 is torch\.float64, but the layer is torch\.float32"):
        layer(torch.zeros(5, 8, 3), (good.double(), good))


@pytest.mark.parametrize(
    ("layer", "x", "options", "message"),
    [
        (nn.LSTM(3, 4), torch.zeros(5, 2, 4), {}, r"input has 4 features, but LSTM\(3, 4\) wants 3"),
        (nn.LSTM(3, 4), torch.zeros(5, 2, 3).double(), {}, "input is torch.float64, but the layer is torch.float32"),
        (nn.LSTM(3, 4), torch.zeros(5), {}, r"input is \[5\], but \[T, B, C\], or \[T, C\] for one sequence"),
        (nn.LSTM(3, 4), [[1.0]], {}, "a list came where a Ragged batch"),
        (nn.LSTM(3, 4), Ragged.from_list([[1.0]]), {}, r"NumPy arrays, but layers take tensors. Pass nn.to_torch"),
        (nn.LSTM(3, 4), batch_of(2).with_values(torch.zeros(2)), {}, r"values of the batch are \[2\], but \[N, C\]"),
        (nn.LSTM(3, 4), torch.zeros(5, 2, 3), {"hx": torch.zeros(1, 2, 4)}, r"wants a pair of tensors \(h0, c0\)"),
        (nn.GRU(3, 4), torch.zeros(5, 2, 3), {"hx": (torch.zeros(1, 2, 4),) * 2}, "GRU wants one tensor h0"),
        (nn.GRU(3, 4), torch.zeros(5, 2), {"table": torch.zeros(9, 3)}, "token ids are torch.float32"),
        (nn.GRU(3, 4), torch.zeros(5, 2).long(), {"table": torch.zeros(9, 4)}, r"table is \[9, 4\], but .* \[V, 3\]"),
        (nn.GRU(3, 4), torch.zeros(5, 2, 3).long(), {"table": torch.zeros(9, 3)}, r"\[T, B\] of token ids"),
        (nn.GRU(3, 4).bfloat16(), torch.zeros(5, 2, 3).bfloat16(), {}, "kernels take float32 or float64"),
    ],
)
def test_input_that_does_not_fit_is_refused(layer: Any, x: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        layer(x, **options)


@pytest.mark.parametrize("wrong", [9, -1])
def test_a_token_id_outside_of_the_table_is_refused(wrong: int) -> None:
    batch = Ragged.from_list([torch.tensor([1, 2]), torch.tensor([wrong, 3])])
    with pytest.raises(InputError, match=str(wrong)):
        nn.GRU(3, 4)(batch, table=torch.zeros(9, 3))


@pytest.mark.parametrize("layer_type", [nn.SimpleRNN, nn.LSTM, nn.GRU])
@pytest.mark.parametrize("options", [{}, {"recompute": True}, {"bidirectional": True, "merge": None}])
def test_an_output_of_a_ragged_batch_may_be_changed_in_place(layer_type: Any, options: dict[str, Any]) -> None:
    layer = layer_type(3, 4, dtype=torch.float64, **options)
    batch = Ragged.from_list([torch.randn(n, 3, dtype=torch.float64) for n in (2, 0, 5)])
    found = []
    for copied in (True, False):
        output = layer(batch)[0]
        parts = [part.values for part in (output if isinstance(output, tuple) else (output,))]
        parts = [part.clone() for part in parts] if copied else parts
        for part in parts:
            part[0] = 0
            part.mul_(3).relu_()
        loss = torch.stack([part.square().sum() for part in parts]).sum()
        found.append(torch.autograd.grad(loss, list(layer.parameters())))
    for ours, wanted in zip(*found, strict=True):
        assert torch.equal(ours, wanted)


def test_a_compiled_layer_trains_where_its_output_is_changed_in_place() -> None:
    layer, x = nn.GRU(3, 4, batch_first=True), torch.randn(2, 5, 3)

    def run(x: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = layer(x)[0]
        output[:, 0] = 0
        output.relu_()
        return output.square().sum()

    found = [
        torch.autograd.grad(each(x), list(layer.parameters()))
        for each in (run, torch.compile(run, backend="aot_eager"))
    ]
    for ours, wanted in zip(*found, strict=True):
        torch.testing.assert_close(ours, wanted)


WRONG_TYPES: list[dict[str, Any]] = [
    *({name: value} for name in ("bias", "batch_first", "bidirectional") for value in (1, 0, "True", "False", None)),
    *({name: value} for name in ("reverse", "recompute") for value in (1, "False", None)),
    *({name: value} for name in ("dropout", "recurrent_dropout", "weight_dropout") for value in (True, "0.1", None)),
    *({name: value} for name in ("input_size", "hidden_size", "num_layers") for value in (2.0, "2", None, True)),
]


@pytest.mark.parametrize("layer_type", LAYERS)
@pytest.mark.parametrize("options", WRONG_TYPES)
def test_arguments_of_another_type_are_refused_as_torch_refuses_them(layer_type: Any, options: dict[str, Any]) -> None:
    ((name, value),) = options.items()
    with pytest.raises(WrongTypeError, match=f"^{name}={value!r} is a {type(value).__name__}, but .* was wanted"):
        layer_type(**{"input_size": 2, "hidden_size": 3} | options)
    assert issubclass(WrongTypeError, TypeError)
    assert issubclass(WrongTypeError, ValueError)


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_a_dropout_that_is_no_probability_is_refused(value: float) -> None:
    with pytest.raises(InputError, match="a probability from 0 to 1 was wanted"):
        nn.GRU(2, 3, 2, dropout=value)


def test_other_arguments_of_a_wrong_type_are_refused() -> None:
    for options in (
        {"forget_bias": True},
        {"forget_bias": "1"},
        {"chrono": 2.5},
        {"proj_size": "2"},
        {"proj_size": 0.0},
    ):
        with pytest.raises(WrongTypeError):
            nn.LSTM(2, 3, **options)
    for modes in (3, None, {"max"}):
        with pytest.raises(WrongTypeError, match="a name or a list of names was wanted"):
            nn.Pool(modes)  # type: ignore[arg-type]
    for tags in (2.0, "2", True):
        with pytest.raises(WrongTypeError, match=r"num_tags=.* an int of at least 1 was wanted"):
            nn.CRF(tags)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="Did you mean 'tanh'"):
        nn.SimpleRNN(2, 3, nonlinearity=["tanh"])  # type: ignore[arg-type]


def test_a_projection_of_zero_is_none_and_others_are_refused() -> None:
    layer = nn.LSTM(2, 3, 1, True, False, 0.0, False, 0, "cpu", torch.float64)  # the order of torch's
    assert layer.weight_hh_l0.shape == (12, 3)
    assert layer.weight_hh_l0.dtype == torch.float64
    with pytest.raises(InputError, match=r"proj_size=2, but Tidegate's kernels do not project.*take torch\.nn\.LSTM"):
        nn.LSTM(2, 3, proj_size=2)
