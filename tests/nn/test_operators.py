"""The operators: exact gradients, no graph break, and no second gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tidegate import kernels, nn
from tidegate.cells import CELLS
from tidegate.nn import operators, pool
from tidegate.nn.operands import Operands
from tidegate.ragged import Ragged


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def arguments(cell: str, *, directions: int = 1, table: bool = False, states: bool = True, mask: bool = False) -> Any:
    """Draw the arguments of `recurrent` over the lengths 2, 0, 3, all wanting gradients in float64."""
    C, H, B, N = 2, 3, 3, 5

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=torch.float64, requires_grad=True)

    rows = CELLS[cell].gates * H
    weights = [draw(*shape) for _ in range(directions) for shape in ((rows, C), (rows, H), (rows,), (rows,))]
    h0, c0 = (draw(directions, B, H) if states and name[0] in CELLS[cell].states else None for name in ("h0", "c0"))
    return [
        cell,
        False,
        torch.tensor([0, 3, 3, 1, 0]) if table else draw(N, C),
        torch.tensor([0, 2, 2, 5]),
        draw(4, C) if table else None,
        *weights,
        *[None] * (8 - len(weights)),
        h0,
        c0,
        (torch.rand(directions, B, H) > 0.3).double() * 1.4 if mask else None,
    ]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    "options",
    [{}, {"directions": 2}, {"table": True, "directions": 2}, {"mask": True, "directions": 2}, {"states": False}],
)
def test_gradients_are_exact(cell: str, options: dict[str, Any]) -> None:
    inputs = arguments(cell, **options)
    places = [place for place, value in enumerate(inputs) if isinstance(value, Tensor) and value.requires_grad]

    def run(*tensors: Tensor) -> Any:
        full = list(inputs)
        for place, tensor in zip(places, tensors, strict=True):
            full[place] = tensor
        outputs = operators.recurrent(*full, False, False)
        return outputs[: 1 + len(CELLS[cell].states)]

    assert torch.autograd.gradcheck(run, [inputs[place] for place in places])


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("options", [{"directions": 2, "mask": True}, {"table": True, "states": False}])
def test_the_operator_keeps_torch_contract(cell: str, options: dict[str, Any]) -> None:
    inputs = arguments(cell, **options)
    torch.library.opcheck(operators.recurrent, (*inputs, False, False))
    frozen = [value.detach() if isinstance(value, Tensor) else value for value in inputs]
    for keep in (False, True):
        torch.library.opcheck(operators.recurrent, (*frozen, keep, False))


@pytest.mark.parametrize("cell", ["rnn_tanh", "lstm"])
def test_the_backward_operator_keeps_torch_contract(cell: str) -> None:
    inputs = [v.detach() if isinstance(v, Tensor) else v for v in arguments(cell, directions=2)]
    outputs = operators.recurrent(*inputs, True, False)
    dh, dhn = torch.randn_like(outputs[0]), torch.randn_like(outputs[1])
    for need_dx in (False, True):
        torch.library.opcheck(
            operators.recurrent_backward, (*inputs, outputs[0], *outputs[3:], dh, dhn, None, need_dx, False)
        )


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("options", [{"directions": 2, "mask": True}, {"table": True, "states": False}])
def test_recomputing_keeps_nothing_and_gives_the_same_bits(cell: str, options: dict[str, Any]) -> None:
    inputs = arguments(cell, **options)
    wanted = [value for value in inputs if isinstance(value, Tensor) and value.requires_grad]
    found = {}
    for recompute in (False, True):
        h, hn, cn, gates, memo = operators.recurrent(*inputs, False, recompute)
        if CELLS[cell].gated:
            assert (gates.numel() == memo.numel() == 0) is recompute
        loss = (h * h).sum() + hn.sin().sum() + cn.sum()
        first = torch.autograd.grad(loss, wanted, retain_graph=True)
        second = torch.autograd.grad(loss, wanted)
        for a, b in zip(first, second, strict=True):
            assert torch.equal(a, b)
        found[recompute] = first
    for kept, again in zip(found[False], found[True], strict=True):
        assert torch.equal(kept, again)


def test_the_pool_operator_keeps_torch_contract() -> None:
    h = torch.randn(5, 3, requires_grad=True)
    torch.library.opcheck(pool.pool, (h, torch.tensor([0, 2, 2, 5]), ["max", "mean"]))


def test_keep_returns_gates_and_memo() -> None:
    inputs = [v.detach() if isinstance(v, Tensor) else v for v in arguments("lstm", directions=2)]
    *_, gates, memo = operators.recurrent(*inputs, True, False)
    assert (gates.shape, memo.shape) == ((2, 5, 12), (2, 5, 3))
    *_, gates, memo = operators.recurrent(*inputs, False, False)
    assert gates.numel() == memo.numel() == 0


@pytest.mark.parametrize("asked", [None, 3])
def test_threads_are_those_asked_of_tidegate_else_those_of_torch(
    asked: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = []
    real = {name: getattr(kernels, name) for name in ("forward", "backward", "pool", "pool_backward")}

    def spy(name: str) -> Any:
        def run(*args: Any, num_threads: int, **options: Any) -> Any:
            used.append(num_threads)
            return real[name](*args, num_threads=num_threads, **options)

        return run

    for name in real:
        monkeypatch.setattr(kernels, name, spy(name))
    monkeypatch.setattr(kernels, "explicit_num_threads", lambda: asked)
    batch = Ragged.from_list([torch.randn(3, 2), torch.randn(1, 2)])
    nn.Pool("max")(nn.GRU(2, 3)(batch)[0]).sum().backward()
    assert used == [asked or torch.get_num_threads()] * 4


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("options", [{"directions": 2, "mask": True}, {"table": True, "states": False}])
def test_second_gradients_are_exact(cell: str, options: dict[str, Any]) -> None:
    inputs = arguments(cell, **options)
    places = [place for place, value in enumerate(inputs) if isinstance(value, Tensor) and value.requires_grad]

    def run(*tensors: Tensor) -> Any:
        full = list(inputs)
        for place, tensor in zip(places, tensors, strict=True):
            full[place] = tensor
        return operators.run_layer(Operands(*full))[: 1 + len(CELLS[cell].states)]

    assert torch.autograd.gradgradcheck(run, [inputs[place] for place in places])


class Model(torch.nn.Module):
    """Read tokens, run two layers, pool and score."""

    def __init__(self, layer_type: Any) -> None:
        super().__init__()
        self.table = torch.nn.Parameter(torch.randn(9, 3))
        self.layer = layer_type(3, 4, 2, bidirectional=True, merge="sum")
        self.pool = nn.Pool(["max", "last"])
        self.score = torch.nn.Linear(8, 2)

    def forward(self, batch: Ragged) -> Tensor:
        scores: Tensor = self.score(self.pool(self.layer(batch, table=self.table)[0]))
        return scores


def compiled(module: torch.nn.Module) -> Any:
    torch._dynamo.reset()
    return torch.compile(module, fullgraph=True, backend="aot_eager")


def assert_compiles(module: torch.nn.Module, *inputs: Any) -> None:
    """Compare output and gradients with and without the compiler, which fails at a graph break."""
    found = []
    for run in (module, compiled(module)):
        module.zero_grad()
        output = run(*inputs)
        output = output[0] if isinstance(output, tuple) else output
        values = output.values if isinstance(output, Ragged) else output
        values.square().sum().backward()
        found.append([values, *(p.grad for p in module.parameters())])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_a_model_over_ragged_tokens_compiles_without_a_graph_break() -> None:
    model = Model(nn.LSTM)
    assert_compiles(model, Ragged.from_list([torch.tensor([1, 2, 3]), torch.tensor([8])]))


@pytest.mark.parametrize("layer_type", [nn.SimpleRNN, nn.LSTM, nn.GRU])
def test_a_layer_over_padded_input_compiles_without_a_graph_break(layer_type: Any) -> None:
    layer = layer_type(3, 4, batch_first=True)
    state = torch.randn(1, 2, 4)
    hx = (state, state) if layer_type is nn.LSTM else state
    assert_compiles(layer, torch.randn(2, 5, 3), hx)


def test_a_compiled_layer_returns_a_ragged_batch_and_takes_new_lengths() -> None:
    layer = nn.GRU(3, 4)
    run = compiled(layer)
    with torch.no_grad():
        for lengths in ([2, 1], [4, 0, 3], [1, 7, 2, 2]):
            batch = Ragged.from_list([torch.randn(length, 3) for length in lengths])
            output, hn = run(batch)
            assert isinstance(output, Ragged)
            assert output.lengths.tolist() == lengths
            assert torch.equal(output.values, layer(batch)[0].values)
            assert torch.equal(hn, layer(batch)[1])
