"""What is measured of a training module equals what torch and the reference find in their own ways."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

import reference
from tidegate import accelerate, network, nn
from tidegate.nn.health import Gauge, blame, layer_names
from tidegate.ragged import Ragged

CELLS = {"rnn_tanh": nn.SimpleRNN, "lstm": nn.LSTM, "gru": nn.GRU}
GATES = {"rnn_tanh": "h", "lstm": "ifgo", "gru": "rzn"}
LENGTHS = [5, 0, 3, 7]


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def batch(features: int = 3) -> Ragged:
    return Ragged.from_list([torch.randn(length, features, dtype=torch.float64) for length in LENGTHS])


def strong(layer: Any) -> Any:
    """Make weights large enough for some of the gates' values, and not for all, to be saturated."""
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.mul_(6)
    return layer


# --- gradients by layer -------------------------------------------------------------------------------------------


def test_layers_are_named_as_they_stand_in_the_network() -> None:
    module = nn.build(
        network.Network.of(
            network.Embed(vocabulary_size=9, size=4),
            network.Recurrent(cell="gru", input_size=4, hidden_size=3, num_layers=2, bidirectional=True),
            network.Pool(modes=("max",)),
            network.Dense(in_features=6, out_features=2),
        )
    )
    names = layer_names(module)
    assert names["0.weight"] == "0 embed"
    assert names["1.weight_ih_l0"] == names["1.bias_hh_l0"] == "1 recurrent layer 0 forward"
    assert names["1.weight_hh_l1_reverse"] == "1 recurrent layer 1 backward"
    assert names["3.weight"] == names["3.bias"] == "3 dense"
    assert names.keys() == dict(module.named_parameters()).keys()


def test_other_modules_have_names_too() -> None:
    assert set(layer_names(nn.LSTM(2, 3, reverse=True)).values()) == {"recurrent layer 0 backward"}
    assert set(layer_names(torch.nn.Sequential(torch.nn.LayerNorm(3))).values()) == {"0 layernorm"}
    assert layer_names(torch.nn.LSTM(2, 3))["weight_ih_l0"] == "recurrent layer 0 forward"


def test_norms_are_those_of_the_gradients() -> None:
    module = torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.Linear(1, 1, bias=False), torch.nn.Linear(1, 1))
    gradients = ([[3.0, 0.0]], [4.0], [[12.0]])
    for parameter, values in zip(module.parameters(), gradients, strict=False):
        parameter.grad = torch.tensor(values)  # the last layer has none
    length, norms = Gauge(module).grad_norms()
    assert norms == {"0 dense": 5.0, "1 dense": 12.0}
    assert length.item() == 13.0


# --- looking into layers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("recompute", [False, True])
def test_saturated_shares_are_those_of_the_references_gates(cell: str, recompute: bool) -> None:
    layer = strong(CELLS[cell](3, 4, bidirectional=True, dtype=torch.float64, recompute=recompute))
    x, gauge = batch(), Gauge(layer)
    with gauge.looking(True):
        layer(x)[0].values.sum().backward()
    for end, name in (("", "recurrent layer 0 forward"), ("_reverse", "recurrent layer 0 backward")):
        kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        weights = reference.Weights(*(getattr(layer, f"{kind}_l0{end}").detach().numpy() for kind in kinds))
        zero = np.zeros(4)
        runs = [reference.forward(cell, s.numpy(), weights, zero, zero, reverse=bool(end)) for s in x.to_list()]
        values = np.concatenate([run.h if cell == "rnn_tanh" else run.gates for run in runs])  # [N, G*H]
        for index, gate in enumerate(GATES[cell]):
            part = values[:, index * 4 : index * 4 + 4].ravel()
            wanted = sum(abs(v) > 0.95 if gate in "hgn" else v < 0.05 or v > 0.95 for v in part) / len(part)
            assert gauge.saturated[name][gate] == pytest.approx(wanted)
            assert 0 < wanted < 1, "a share that tells nothing"


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("backward", [False, True])
def test_reach_is_what_torch_finds_at_the_state_before_the_first_step(cell: str, backward: bool) -> None:
    """The loss looks at the end of each sequence alone, so the gradient that it gives is the probe."""
    layer: Any = CELLS[cell](3, 4, reverse=backward, dtype=torch.float64)
    x, gauge = batch(), Gauge(layer)
    probes = torch.randn(len(LENGTHS), 4, dtype=torch.float64)
    _, state = layer(x)
    last = state[0] if cell == "lstm" else state  # [1, B, H]
    with gauge.looking(True):
        (last[0] * probes).sum().backward()

    kind = {"rnn_tanh": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[cell]
    other: Any = kind(3, 4, dtype=torch.float64)
    other.load_state_dict(layer.state_dict())
    shares = []
    for sequence, probe in zip(x.to_list(), probes, strict=True):
        if len(sequence):
            starts = [torch.zeros(1, 4, dtype=torch.float64, requires_grad=True) for _ in range(1 + (cell == "lstm"))]
            seen = sequence.flip(0) if backward else sequence
            output = other(seen, tuple(starts) if cell == "lstm" else starts[0])[0]
            (output[-1] * probe).sum().backward()
            far = math.hypot(*(start.grad.norm().item() for start in starts if start.grad is not None))
            shares.append(far / probe.norm().item())
    name = f"recurrent layer 0 {'backward' if backward else 'forward'}"
    assert gauge.reach == {name: pytest.approx(np.median(shares), rel=1e-9)}


def test_a_loss_at_every_step_reaches_every_step() -> None:
    """W_hh is 0.1: 0.1 of what each step gets is handed to the one before, so the far end has 0.1 + 0.01 + ..."""
    layer: Any = nn.SimpleRNN(1, 1, nonlinearity="relu", bias=False, dtype=torch.float64)
    with torch.no_grad():
        layer.weight_ih_l0.fill_(1.0)
        layer.weight_hh_l0.fill_(0.1)
    gauge = Gauge(layer)
    with gauge.looking(True):
        layer(torch.ones(30, 1, dtype=torch.float64))[0].sum().backward()
    assert gauge.reach["recurrent layer 0 forward"] == pytest.approx(1 / 9)
    with gauge.looking(True):
        layer(torch.ones(30, 1, dtype=torch.float64))[0][-1].sum().backward()
    assert gauge.reach["recurrent layer 0 forward"] == pytest.approx(1e-30)
    assert gauge.saturated == {"recurrent layer 0 forward": {}}


def test_nothing_is_seen_without_looking_nor_kept_from_before() -> None:
    layer = nn.GRU(3, 4, dtype=torch.float64)
    gauge, x = Gauge(layer), batch()
    with gauge.looking(True):
        layer(x)[1].sum().backward()
        assert set(gauge.reach) == {"recurrent layer 0 forward"}
        nn.GRU(3, 4, dtype=torch.float64)(x)[1].sum().backward()  # a layer of somebody else
        assert set(gauge.reach) == {"recurrent layer 0 forward"}
    with gauge.looking(False):
        layer(x)[1].sum().backward()
    assert (gauge.saturated, gauge.reach) == ({}, {})


def test_looking_changes_no_gradient() -> None:
    found = []
    for look in (False, True):
        torch.manual_seed(1)
        layer = nn.LSTM(3, 4, num_layers=2, bidirectional=True, recompute=True, dtype=torch.float64)
        gauge = Gauge(layer)
        with gauge.looking(look):
            layer(batch())[0].values.sum().backward()
        assert len(gauge.reach) == (4 if look else 0)
        found.append(b"".join(p.grad.numpy().tobytes() for p in layer.parameters() if p.grad is not None))
    assert found[0] == found[1]


@pytest.mark.parametrize("cell", CELLS)
def test_a_layer_whose_matrix_is_dropped_is_seen_as_any_other(cell: str) -> None:
    """The kernel gets a copy of the matrix; with a mask of ones it is the same matrix, and so the same health."""
    found = []
    for dropped in (0.0, 1e-9):
        torch.manual_seed(1)
        layer = CELLS[cell](3, 4, num_layers=2, bidirectional=True, weight_dropout=dropped, dtype=torch.float64)
        gauge = Gauge(layer)
        with gauge.looking(True):
            layer(batch())[0].values.sum().backward()
        found.append((gauge.saturated, gauge.reach))
    assert set(found[0][1]) == {f"recurrent layer {n} {way}" for n in (0, 1) for way in ("forward", "backward")}
    assert found[1][1] == pytest.approx(found[0][1])
    assert found[1][0] == found[0][0]


def test_layers_whose_weights_are_computed_are_seen_in_torchs_modules_too() -> None:
    model = torch.nn.Sequential(torch.nn.GRU(3, 4))
    accelerate(model)
    torch.nn.utils.parametrizations.weight_norm(model[0], "weight_hh_l0")
    gauge = Gauge(model)
    with gauge.looking(True):
        model(torch.randn(6, 2, 3))[0].sum().backward()
    assert set(gauge.reach) == {"0 recurrent layer 0 forward"}
    assert gauge.reach["0 recurrent layer 0 forward"] > 0


def test_two_gauges_see_their_own_layers_alone() -> None:
    layers = [nn.GRU(3, 4, dtype=torch.float64) for _ in range(2)]
    gauges = [Gauge(layer) for layer in layers]
    with gauges[0].looking(True), gauges[1].looking(True):
        layers[0](batch())[1].sum().backward()
        assert (len(gauges[0].reach), len(gauges[1].reach)) == (1, 0)
    layers[1](batch())[1].sum().backward()
    assert len(gauges[1].reach) == 0
    with gauges[1].looking(True):
        layers[1](batch())[1].sum().backward()
    assert len(gauges[1].reach) == 1


@pytest.mark.parametrize("lengths", [[], [0, 0]])
def test_empty_batches_have_no_share_and_no_reach(lengths: list[int]) -> None:
    layer = nn.LSTM(3, 4)
    values, offsets = torch.zeros(sum(lengths), 3), torch.zeros(len(lengths) + 1, dtype=torch.int64)
    gauge = Gauge(layer)
    with gauge.looking(True):
        layer(Ragged(values, offsets))[0].values.sum().backward()
    assert gauge.saturated == {"recurrent layer 0 forward": {}}
    assert gauge.reach == {"recurrent layer 0 forward": 0.0}


# --- blame --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("factors", "first", "guilty"),
    [
        ([1.0, 2.0, math.nan, 1.0], 2, 1),
        ([1.0, math.inf, 1.0, math.nan], 1, 2),
        ([math.nan] * 4, 0, 4),
        ([1.0, 2.0, 5.0, 4.0], 2, 0),
    ],
)
def test_blame_falls_on_the_first_bad_loss_or_the_longest_gradient(
    factors: list[float], first: int, guilty: int
) -> None:
    module = torch.nn.Linear(1, 1, bias=False)
    before = module.weight.detach().clone()
    found = blame(module, lambda index: (module.weight * factors[index]).sum(), 4)
    assert (found.first, found.guilty, found.examples) == (first, guilty, 4)
    assert torch.equal(module.weight, before)
    assert module.weight.grad is None


def test_blame_finds_a_gradient_that_is_not_finite_behind_a_finite_loss() -> None:
    module = torch.nn.Linear(1, 1, bias=False)
    weight = module.weight
    losses = [weight.sum(), (weight - weight.detach()).sum().sqrt(), (weight.sum() * 0).sqrt()]  # slopes 1, inf, nan
    found = blame(module, lambda index: losses[index], 3)
    assert (found.first, found.guilty) == (1, 2)
