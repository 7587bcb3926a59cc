"""What is measured of a program that trains equals what torch and the reference find in their own ways."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

import reference
from tidegate.cells import CELLS
from tidegate.engine import CrossEntropy, Errors, Program
from tidegate.engine.gauge import Gauge, layer_names
from tidegate.network import (
    Crf,
    Decode,
    Dense,
    Dropout,
    Embed,
    Network,
    Pool,
    Recurrent,
    Spell,
    Tied,
    parameter_shapes,
)  # fmt: skip
from tidegate.ragged import Ragged

LENGTHS = [5, 0, 3, 7]
TORCH = {"rnn_tanh": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}
Array = npt.NDArray[Any]


def batch() -> Ragged:
    rng = np.random.default_rng(0)
    return Ragged.from_list([rng.standard_normal((length, 3)) for length in LENGTHS])


def strong(network: Network, seed: int = 0) -> Program:
    """Draw weights large enough for some of the gates' values, and not for all, to be saturated."""
    rng = np.random.default_rng(seed)
    return Program(
        network, {name: rng.standard_normal(shape) * 1.5 for name, shape in parameter_shapes(network).items()}
    )


def every_step(program: Program, batch: Ragged) -> CrossEntropy:
    return CrossEntropy(np.arange(len(batch.values)) % program.network.output_size, np.ones(len(batch)))


def test_layers_are_named_as_they_stand_in_the_network() -> None:
    letters = (
        Embed(vocabulary_size=5, size=2),
        Recurrent(cell="lstm", input_size=2, hidden_size=1),
        Pool(modes=("max",)),
    )
    spelled = Spell(words=Embed(vocabulary_size=9, size=4), characters=letters)
    read = Recurrent(cell="gru", input_size=5, hidden_size=3, num_layers=2, bidirectional=True)
    names = layer_names(Network.of(spelled, read, Dropout(p=0.1), Dense(in_features=6, out_features=2), Crf(tags=2)))
    assert names["0.words.weight"] == "0.words embed"
    assert names["0.characters.1.weight_hh_l0"] == "0.characters.1 recurrent layer 0 forward"
    assert names["1.weight_ih_l0"] == names["1.bias_hh_l0"] == "1 recurrent layer 0 forward"
    assert names["1.weight_hh_l1_reverse"] == "1 recurrent layer 1 backward"
    assert names["3.weight"] == names["3.bias"] == "3 dense"
    assert names["4.transitions"] == "4 crf"


@pytest.mark.parametrize(
    "network",
    [
        Network.of(Recurrent(cell="rnn_relu", input_size=2, hidden_size=2, reverse=True, bias=False)),
        Network.of(Recurrent(cell="gru", input_size=2, hidden_size=2), Decode(steps=2, size=2)),
        Network.of(
            Embed(vocabulary_size=3, size=2), Dense(in_features=2, out_features=2), Tied(vocabulary_size=3, size=2)
        ),
    ],
)
def test_every_parameter_has_a_layer(network: Network) -> None:
    assert list(layer_names(network)) == list(parameter_shapes(network))


@pytest.mark.parametrize("cell", TORCH)
def test_saturated_shares_are_those_of_the_references_gates(cell: Any) -> None:
    program, x = strong(Network.of(Recurrent(cell=cell, input_size=3, hidden_size=4, bidirectional=True))), batch()
    gauge = Gauge(program)
    with gauge.looking(True):
        program.gradient(x, every_step(program, x))
    for end, way in (("", "forward"), ("_reverse", "backward")):
        kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        weights = reference.Weights(*(program.weights[f"0.{kind}_l0{end}"] for kind in kinds))
        zero = np.zeros(4)
        runs = [reference.forward(cell, rows, weights, zero, zero, reverse=bool(end)) for rows in x.to_list()]
        letters = CELLS[cell].letters or "h"
        values = np.concatenate([run.gates if CELLS[cell].gated else run.h for run in runs])  # [N, G*H]
        for index, gate in enumerate(letters):
            part = values[:, index * 4 : index * 4 + 4].ravel()
            wanted = sum(abs(v) > 0.95 if gate in "hgn" else v < 0.05 or v > 0.95 for v in part) / len(part)
            assert gauge.saturated[f"0 recurrent layer 0 {way}"][gate] == pytest.approx(wanted)
            assert 0 < wanted < 1, "a share that tells nothing"


@pytest.mark.parametrize("cell", TORCH)
@pytest.mark.parametrize("backward", [False, True])
def test_reach_is_what_torch_finds_at_the_state_before_the_first_step(cell: Any, backward: bool) -> None:
    """The loss looks at the end of each sequence alone, so the gradient that it gives is the probe."""
    layer = Recurrent(cell=cell, input_size=3, hidden_size=4, reverse=backward)
    program, x, probes = (
        strong(Network.of(layer, Pool(modes=("last",)))),
        batch(),
        np.random.default_rng(1).random((4, 4)),
    )
    gauge = Gauge(program)
    truth = program(x) - probes / 2  # so that the gradient of the square is the probe
    with gauge.looking(True):
        program.gradient(x, Errors(truth, np.ones(4), ("mse",) * 4))

    other: Any = TORCH[cell](3, 4, dtype=torch.float64)
    other.load_state_dict(
        {name[2:].removesuffix("_reverse"): torch.from_numpy(w) for name, w in program.weights.items()}
    )
    shares = []
    for rows, probe in zip(x.to_list(), torch.from_numpy(probes), strict=True):
        if len(rows):
            starts = [torch.zeros(1, 4, dtype=torch.float64, requires_grad=True) for _ in range(1 + (cell == "lstm"))]
            seen = torch.from_numpy(rows).flip(0) if backward else torch.from_numpy(rows)
            output = other(seen, tuple(starts) if cell == "lstm" else starts[0])[0]
            (output[-1] * probe).sum().backward()
            far = math.hypot(*(start.grad.norm().item() for start in starts if start.grad is not None))
            shares.append(far / probe.norm().item())
    name = f"0 recurrent layer 0 {'backward' if backward else 'forward'}"
    assert gauge.reach == {name: pytest.approx(np.median(shares), rel=1e-9)}


def test_a_loss_at_every_step_reaches_every_step() -> None:
    """W_hh is 0.1: 0.1 of what each step gets is handed to the one before, so the far end has 0.1 + 0.01 + ..."""
    layer = Recurrent(cell="rnn_relu", input_size=1, hidden_size=1, bias=False)
    weights = {"0.weight_ih_l0": np.ones((1, 1)), "0.weight_hh_l0": np.full((1, 1), 0.1)}
    x = Ragged.from_list([np.ones((30, 1))])
    program = Program(Network.of(layer), weights)
    gauge = Gauge(program)
    with gauge.looking(True):
        program.gradient(x, Errors(program(x).T - 1, np.ones(1), ("mse",) * 30))
    assert gauge.reach["0 recurrent layer 0 forward"] == pytest.approx(1 / 9)
    last = Program(Network.of(layer, Pool(modes=("last",))), weights)
    gauge = Gauge(last)
    with gauge.looking(True):
        last.gradient(x, Errors(last(x) - 1, np.ones(1), ("mse",)))
    assert gauge.reach["0 recurrent layer 0 forward"] == pytest.approx(1e-30)
    assert gauge.saturated == {"0 recurrent layer 0 forward": {}}


def test_nothing_is_seen_without_looking_nor_kept_from_before() -> None:
    program, x = strong(Network.of(Recurrent(cell="gru", input_size=3, hidden_size=4))), batch()
    gauge = Gauge(program)
    with gauge.looking(True):
        program.gradient(x, every_step(program, x))
    seen = gauge.reach
    with gauge.looking(True):
        program.gradient(x, every_step(program, x))
    assert gauge.reach == seen
    with gauge.looking(False):
        program.gradient(x, every_step(program, x))
    assert (gauge.saturated, gauge.reach) == ({}, {})


@pytest.mark.parametrize("cell", CELLS)
def test_looking_changes_no_gradient(cell: Any) -> None:
    layer = Recurrent(
        cell=cell,
        input_size=3,
        hidden_size=4,
        num_layers=2,
        bidirectional=True,
        weight_dropout=0.3,
        recurrent_dropout=0.2,
    )
    program, x = strong(Network.of(layer)), batch()
    found = []
    for look in (False, True):
        gauge = Gauge(program)
        with gauge.looking(look):
            program.gradient(x, every_step(program, x))
        found.append(program.gradient_array.tobytes())
    assert found[0] == found[1]
    names = {f"0 recurrent layer {index} {way}" for index in (0, 1) for way in ("forward", "backward")}
    assert gauge.saturated.keys() == gauge.reach.keys() == names, "a matrix that is dropped is seen as any other"


@pytest.mark.parametrize("lengths", [[], [0, 0]])
def test_empty_batches_have_no_share_and_no_reach(lengths: list[int]) -> None:
    program = strong(Network.of(Recurrent(cell="lstm", input_size=3, hidden_size=4)))
    x = Ragged(np.zeros((0, 3)), np.zeros(len(lengths) + 1, np.int64))
    gauge = Gauge(program)
    with gauge.looking(True):
        program.gradient(x, every_step(program, x))
    assert gauge.saturated == {"0 recurrent layer 0 forward": {}}
    assert gauge.reach == {"0 recurrent layer 0 forward": 0.0}


def test_blame_falls_on_the_first_bad_loss_or_the_longest_gradient() -> None:
    program, x = strong(Network.of(Dense(in_features=3, out_features=2), Pool(modes=("max",)))), batch()
    labels = CrossEntropy(np.array([0, 1, 0, 1]), np.ones(4))
    whole = program.blame(x, labels)
    assert (whole.guilty, whole.examples) == (0, 4)
    for rows in (6, 9):
        x.values[rows] = np.nan  # in the third sequence, and in the last one
    found = program.blame(x, labels)
    assert (found.first, found.guilty, found.examples) == (2, 2, 4)
