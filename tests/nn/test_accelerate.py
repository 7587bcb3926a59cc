"""accelerate and restore: torch's layers on our kernels, with torch's own run as the expected value everywhere."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

import tidegate as tg
from accelerated import CELLS, LENGTHS, B, C, H, Scripted, T, assert_same, flat, gradients

TYPES = [torch.nn.RNN, torch.nn.LSTM, torch.nn.GRU]

pytestmark = pytest.mark.usefixtures("from_the_first_step")


class Tagger(torch.nn.Module):
    """A client: embeds, packs, runs, unpacks and scores, as programs do."""

    def __init__(self, cell: str = "lstm", **options: Any) -> None:
        super().__init__()
        self.table = torch.nn.Embedding(9, C)
        self.rnn = CELLS[cell](C, H, batch_first=True, bidirectional=True, **options)
        self.head = torch.nn.Linear(2 * H, 2)

    def forward(self, ids: Tensor, lengths: list[int]) -> Any:
        self.rnn.flatten_parameters()
        packed = pack_padded_sequence(self.table(ids), torch.tensor(lengths), batch_first=True, enforce_sorted=False)
        output, _ = self.rnn(packed)
        return self.head(pad_packed_sequence(output, batch_first=True)[0])


IDS = torch.arange(B * T).view(B, T) % 9


def batch_of(form: str, dtype: torch.dtype, batch_first: bool) -> tuple[Any, Tensor]:
    """Make an input in one form, and the tensor that its gradient is asked of."""
    shape = {"unbatched": (T, C), "padded": (B, T, C) if batch_first else (T, B, C)}.get(form, (B, T, C))
    x = torch.randn(shape, dtype=dtype, requires_grad=True)
    if form in ("padded", "unbatched"):
        return x, x
    lengths = torch.tensor(sorted(LENGTHS, reverse=True) if form == "sorted" else LENGTHS)
    return pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=form == "sorted"), x


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("num_layers", [1, 3])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("form", ["padded", "packed", "sorted", "unbatched"])
@pytest.mark.parametrize("with_state", [False, True])
def test_output_and_gradients_are_those_of_torch(
    cell: str, num_layers: int, bidirectional: bool, batch_first: bool, form: str, with_state: bool, calls: list[str]
) -> None:
    for dtype in (torch.float32, torch.float64):
        options = {"num_layers": num_layers, "bidirectional": bidirectional, "batch_first": batch_first}
        layer = CELLS[cell](C, H, dtype=dtype, **options)
        x, source = batch_of(form, dtype, batch_first)
        shape = (num_layers * (1 + bidirectional), *([] if form == "unbatched" else [B]), H)
        h0, c0 = (torch.randn(shape, dtype=dtype, requires_grad=True) for _ in range(2))
        hx: Any = ((h0, c0) if cell == "lstm" else h0) if with_state else None
        inputs = [source, *(flat(hx) if with_state else []), *layer.parameters()]
        theirs = layer(x, hx)
        wanted = gradients(theirs, inputs)
        assert not calls
        tg.accelerate(layer)
        ours = layer(x, hx)
        assert calls == [cell] * num_layers
        assert_same(flat(ours), flat(theirs), dtype)
        assert_same(gradients(ours, inputs), wanted, dtype)
        assert type(ours[0]) is type(theirs[0])
        if isinstance(theirs[0], PackedSequence):
            for ours_part, theirs_part in zip(ours[0][1:], theirs[0][1:], strict=True):
                assert ours_part is theirs_part or torch.equal(ours_part, theirs_part)  # type: ignore[arg-type]
        calls.clear()


@settings(max_examples=60, deadline=None)
@given(
    cell=st.sampled_from(sorted(CELLS)),
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=7),
    sizes=st.tuples(st.integers(1, 9), st.integers(1, 19), st.integers(1, 2)),
    options=st.fixed_dictionaries({"bidirectional": st.booleans(), "bias": st.booleans()}),
)
def test_any_packed_batch_gives_what_torch_gives(
    cell: str, lengths: list[int], sizes: tuple[int, int, int], options: dict[str, Any]
) -> None:
    layer = CELLS[cell](*sizes, dtype=torch.float64, **options)
    rows = torch.randn(len(lengths), max(lengths), sizes[0], dtype=torch.float64)
    packed = pack_padded_sequence(rows, torch.tensor(lengths), batch_first=True, enforce_sorted=False)
    theirs = layer(packed)
    wanted = gradients(theirs, list(layer.parameters()))
    assert tg.accelerate(layer).swapped == ("",)
    ours = layer(packed)
    assert_same(flat(ours), flat(theirs), torch.float64)
    assert_same(gradients(ours, list(layer.parameters())), wanted, torch.float64)


@pytest.mark.parametrize("layer_type", TYPES)
def test_a_layer_stays_the_object_that_it_is(layer_type: Any) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, C), layer_type(C, H, 2, bidirectional=True))
    layer = model[1]
    before = dict(model.named_parameters())
    state = copy.deepcopy(model.state_dict())
    told, printed = dict(vars(layer)), repr(layer)
    assert tg.accelerate(model).swapped == ("1",)
    assert model[1] is layer
    assert isinstance(layer, layer_type)
    assert vars(layer) == told
    assert repr(layer) == printed[:-1] + ", accelerated=True)"
    assert [*dict(model.named_parameters())] == [*before]
    assert all(parameter is before[name] for name, parameter in model.named_parameters())
    assert list(model.state_dict()) == list(state)
    assert [weight for group in layer.all_weights for weight in group] == layer._flat_weights
    model.load_state_dict(state, strict=True)
    assert tg.restore(model) == ("1",)
    assert type(layer) is layer_type
    assert vars(layer) == told
    assert repr(layer) == printed
    assert all(parameter is before[name] for name, parameter in model.named_parameters())


@pytest.mark.parametrize("cell", CELLS)
def test_an_optimiser_made_before_trains_to_the_weights_of_torch(cell: str, calls: list[str]) -> None:
    reference = Tagger(cell).double()
    model = copy.deepcopy(reference)
    optimisers = [torch.optim.Adam(each.parameters(), lr=0.1) for each in (reference, model)]
    tg.accelerate(model)
    start = copy.deepcopy(model.rnn.weight_hh_l0)
    for _ in range(3):
        for each, optimiser in zip((reference, model), optimisers, strict=True):
            optimiser.zero_grad()
            each(IDS, LENGTHS).square().sum().backward()
            optimiser.step()
    assert calls == [cell] * 3
    assert not torch.allclose(model.rnn.weight_hh_l0, start)
    assert_same(list(model.parameters()), list(reference.parameters()), torch.float64)


def test_a_shared_layer_stays_one_and_tied_weights_stay_tied() -> None:
    model: Any = torch.nn.ModuleDict({"a": torch.nn.GRU(C, C), "b": torch.nn.GRU(C, C)})
    model["again"] = model["a"]
    model["b"].weight_hh_l0 = model["a"].weight_hh_l0
    assert tg.accelerate(model).swapped == ("a", "b")
    assert model["again"] is model["a"]
    assert model["b"].weight_hh_l0 is model["a"].weight_hh_l0
    model["b"](torch.randn(T, B, C))[0].sum().backward()
    assert model["a"].weight_hh_l0.grad.abs().sum() > 0
    assert tg.restore(model) == ("a", "b")


def test_twice_is_once_and_restoring_nothing_does_nothing() -> None:
    model = torch.nn.Sequential(torch.nn.LSTM(C, H))
    assert tg.restore(model) == ()
    tg.accelerate(model)
    kind = type(model[0])
    again = tg.accelerate(model)
    assert type(model[0]) is kind
    assert (again.swapped, dict(again.kept)) == ((), {"0": "it is accelerated already"})
    assert tg.restore(model) == ("0",)
    assert tg.restore(model) == ()


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("twin_of", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])  # noqa: S301
def test_copies_are_accelerated_too(cell: str, twin_of: Callable[[Any], Any], calls: list[str]) -> None:
    model = Tagger(cell)
    expected = model(IDS, LENGTHS)
    tg.accelerate(model)
    twin = twin_of(model)
    assert_same([twin(IDS, LENGTHS)], [expected], torch.float32)
    assert calls == [cell]
    twin.rnn.weight_ih_l0.data.zero_()
    assert_same([model(IDS, LENGTHS)], [expected], torch.float32)
    assert tg.restore(twin) == ("rnn",)


def test_hooks_and_old_weight_norm_run_as_before(calls: list[str]) -> None:
    model = Tagger("gru").double()
    with pytest.warns(FutureWarning, match="weight_norm"):
        torch.nn.utils.weight_norm(model.rnn, "weight_hh_l0")
    seen: list[str] = []
    model.rnn.register_forward_pre_hook(lambda *_: seen.append("before"))
    model.rnn.register_forward_hook(lambda *_: seen.append("after"))

    def twice(gradient: Tensor) -> Tensor:
        seen.append("gradient")
        return 2 * gradient

    model.rnn.weight_ih_l0.register_hook(twice)
    parameters = list(model.parameters())
    found = []
    for accelerated in (False, True):
        if accelerated:
            assert tg.accelerate(model).swapped == ("rnn",)
        model.rnn.weight_hh_l0_g.data.fill_(1.5)
        found.append([model(IDS, LENGTHS), *torch.autograd.grad(model(IDS, LENGTHS).square().sum(), parameters)])
    assert seen == 2 * ["before", "after", "before", "after", "gradient"]
    assert calls == ["gru"] * 2
    assert_same(found[1], found[0], torch.float64)


def test_dropout_between_layers_acts_in_training_alone() -> None:
    layer = torch.nn.LSTM(C, H, 2, dropout=0.5)
    x = torch.randn(T, B, C)
    expected = layer.eval()(x)[0]
    tg.accelerate(layer)
    assert_same([layer(x)[0]], [expected], torch.float32)
    layer.train()
    assert not torch.allclose(layer(x)[0], layer(x)[0])
    assert layer.training
    tg.restore(layer)
    assert layer.training


def test_what_follows_may_ask_for_a_view_of_the_output() -> None:
    layer = torch.nn.GRU(C, H)
    x = torch.randn(T, B, C)
    expected = layer(x)[0].view(T * B, H)
    tg.accelerate(layer)
    assert_same([layer(x)[0].view(T * B, H)], [expected], torch.float32)


def test_frozen_parameters_stay_frozen_and_moved_ones_are_followed(calls: list[str]) -> None:
    model = Tagger("lstm")
    model.rnn.weight_hh_l0.requires_grad_(False)
    tg.accelerate(model)
    model(IDS, LENGTHS).sum().backward()
    assert model.rnn.weight_hh_l0.grad is None
    assert model.rnn.weight_ih_l0.grad is not None
    model.share_memory()
    assert model.rnn.weight_ih_l0.is_shared()
    wide = model.double()(IDS, LENGTHS)
    assert calls == ["lstm"] * 2
    tg.restore(model)
    assert_same([wide], [model(IDS, LENGTHS)], torch.float64)


def test_a_layer_follows_weights_that_are_replaced_for_one_call() -> None:
    layer = torch.nn.GRU(C, H, dtype=torch.float64)
    x = torch.randn(T, B, C, dtype=torch.float64)
    other = {name: torch.randn_like(weight) for name, weight in layer.named_parameters()}
    expected = torch.func.functional_call(layer, other, (x,))[0]
    tg.accelerate(layer)
    assert_same([torch.func.functional_call(layer, other, (x,))[0]], [expected], torch.float64)
    assert not torch.allclose(layer(x)[0], expected)


def half(layer: Any, x: Tensor) -> Tensor:
    return layer.bfloat16()(x.bfloat16())[0]  # type: ignore[no-any-return]


def under_autocast(layer: Any, x: Tensor) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        return layer(x)[0]  # type: ignore[no-any-return]


def by_torch_func(layer: Any, x: Tensor) -> Tensor:
    return torch.func.grad(lambda each: layer(each)[0].square().sum())(x)  # type: ignore[no-any-return]


def forward_derivative(layer: Any, x: Tensor) -> Tensor:
    layer.requires_grad_(False)
    with forward_ad.dual_level():
        dual: Any = forward_ad.make_dual(x, torch.ones_like(x))  # type: ignore[no-untyped-call]
        return forward_ad.unpack_dual(layer(dual)[0]).tangent  # type: ignore[no-any-return, no-untyped-call]


@pytest.mark.filterwarnings("ignore:.*torch.jit.script. is deprecated")
@pytest.mark.parametrize("run", [half, under_autocast])
def test_torch_computes_what_the_kernels_cannot(run: Callable[[Any, Tensor], Tensor], calls: list[str]) -> None:
    layer = torch.nn.GRU(C, H)
    twin = copy.deepcopy(layer)
    x = torch.randn(T, B, C)
    tg.accelerate(layer)
    assert torch.equal(run(layer, x), run(twin, x))
    assert not calls


@pytest.mark.filterwarnings("ignore:.*torch.jit.script. is deprecated")
@pytest.mark.parametrize("run", [by_torch_func, forward_derivative])
def test_under_transforms_the_equations_run(run: Callable[[Any, Tensor], Tensor], calls: list[str]) -> None:
    layer = torch.nn.GRU(C, H)
    twin = copy.deepcopy(layer)
    x = torch.randn(T, B, C)
    tg.accelerate(layer)
    torch.testing.assert_close(run(layer, x), run(twin, x))
    assert not calls


@pytest.mark.filterwarnings("ignore:.*deprecated", "ignore::torch.jit.TracerWarning", "ignore:.*assigned during export")
def test_a_trace_and_an_export_hold_operators_of_torch() -> None:
    model = Scripted()
    x = torch.randn(T, B, C)
    expected = model(x)
    tg.accelerate(model)
    traced = torch.jit.trace(model, (x,))  # type: ignore[no-untyped-call]
    assert "aten::lstm" in {node.kind() for node in traced.inlined_graph.nodes()}
    assert torch.equal(traced(x), expected)
    exported = torch.export.export(model, (x,))
    assert "tidegate" not in str(exported.graph)
    assert torch.equal(exported.module()(x), expected)


def test_a_compiled_model_runs_the_kernels(calls: list[str]) -> None:
    model = Scripted()
    x = torch.randn(T, B, C)
    expected = model(x)
    tg.accelerate(model)
    run = torch.compile(model, backend="eager")
    assert_same([run(x)], [expected], torch.float32)
    assert calls == ["lstm"]
    assert_same(gradients(run(x), list(model.parameters())), gradients(expected, list(model.parameters())), x.dtype)


def test_explain_says_what_runs() -> None:
    layer = torch.nn.RNN(C, H, nonlinearity="relu")
    tg.accelerate(layer)
    explain: Callable[[], str] = layer.explain  # type: ignore[assignment]
    assert "AcceleratedRNN(3, 5) in float32 runs on Tidegate's kernel 'rnn_relu'" in explain()
    with torch.autocast("cpu", torch.bfloat16):
        assert "torch's own implementation on cpu, as autocast chooses the number types" in explain()
    layer.half()
    assert "torch's own implementation on cpu, as Tidegate's kernels take float32 or float64" in explain()
    layer.to("meta")
    assert "torch's own implementation on meta, as Tidegate's kernels are for the CPU" in explain()


IN_PLACE: dict[str, Callable[[Tensor, Tensor], Any]] = {
    "added to": lambda y, x: y.add_(x.sum()),
    "relu_": lambda y, _: torch.relu_(y),
    "masked": lambda y, _: y.mul_((torch.rand(y.shape) > 0.5).to(y)),
    "masked_fill_": lambda y, _: y.masked_fill_(y > 0.1, 2.0),
    "one step": lambda y, _: y[:, 0].zero_(),
    "a slice": lambda y, x: y[..., 1:3].mul_(x.mean()),
}


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("form", ["padded", "unbatched", "packed"])
@pytest.mark.parametrize("change", IN_PLACE)
def test_an_output_changed_in_place_trains_as_a_copy_does(cell: str, form: str, change: str) -> None:
    """Torch's own float32 LSTM refuses some of these; what a copy of its output gives is right for all."""
    for dtype in (torch.float32, torch.float64):
        layer = CELLS[cell](C, H, 2, batch_first=True, bidirectional=True, dtype=dtype)
        found = []
        for accelerated in (False, True):
            if accelerated:
                assert tg.accelerate(layer).swapped
            torch.manual_seed(2)
            x, source = batch_of(form, dtype, batch_first=True)
            output, ends = layer(x)
            values = output.data if form == "packed" else output
            values, state = (values, flat(ends)[0]) if accelerated else (values.clone(), flat(ends)[0].clone())
            torch.manual_seed(1)
            IN_PLACE[change](values, source)
            state.mul_(2.0)
            inputs = [source, *layer.parameters()]
            loss = (values * torch.linspace(0, 1, values.numel(), dtype=dtype).view_as(values)).sum() + state.sum()
            torch.autograd.grad(loss, inputs, retain_graph=True)
            found.append([values, state, *torch.autograd.grad(loss, inputs)])
        assert_same(found[1], found[0], dtype)
