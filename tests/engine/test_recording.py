"""What a network read and gave, and the way back through it: equal to autograd, to the bit whoever runs it."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from branches import BRANCHES
from tidegate import kernels, nn
from tidegate.engine import Runner
from tidegate.errors import ShapeError
from tidegate.network import (
    Decode,
    Dense,
    Dropout,
    Embed,
    Join,
    Network,
    Pool,
    Recurrent,
    Spell,
    Split,
    parameter_shapes,
)
from tidegate.ragged import Ragged
from tidegate.words import Words

Array = npt.NDArray[Any]


def layer(cell: Any = "lstm", input_size: int = 4, hidden_size: int = 5, **options: Any) -> Recurrent:
    return Recurrent(cell=cell, input_size=input_size, hidden_size=hidden_size, **options)


BOTH_WAYS = Network.of(
    layer(cell="gru", num_layers=2, bidirectional=True, dropout=0.4, recurrent_dropout=0.4),
    Dropout(p=0.4),
    Dense(in_features=10, out_features=6, activation="tanh"),
    layer(input_size=6, bidirectional=True, merge="mul", weight_dropout=0.4),
    Pool(modes=("last", "max")),
    Dense(in_features=10, out_features=3, activation="sigmoid"),
)
CHANNELS = Network.of(
    Split(channels=2, size=3, shared=1),
    Dense(in_features=4, out_features=4, activation="relu"),
    layer(),
    Decode(steps=3, channels=2, size=4),
    Dense(in_features=5, out_features=2),
)
NETWORKS = {
    "both ways": BOTH_WAYS,
    "every step": Network.of(layer(cell="rnn_relu", reverse=True), Dense(in_features=5, out_features=3)),
    "channels": CHANNELS,
    "branches": BRANCHES["features and what a layer makes of them, every step"],
    "what is read is pooled, too": Network.of(
        Pool(modes=("max", "mean"), name="bag"),
        layer(reads="input", name="layer"),
        Pool(modes=("last",), name="deep"),
        Pool(modes=("mean",), reads="layer", name="even"),
        Join(reads=("bag", "deep", "even")),
        Dense(in_features=18, out_features=2, activation="tanh"),
    ),
}


def runner(network: Network, dtype: Any = np.float64, **options: Any) -> Runner:
    rng = np.random.default_rng(3)
    shapes = parameter_shapes(network).items()
    return Runner(network, {name: rng.uniform(-0.6, 0.6, shape).astype(dtype) for name, shape in shapes}, **options)


def batch(network: Network, dtype: Any = np.float64) -> Ragged:
    lengths = [4] * 6 if network is CHANNELS else [7, 0, 3, 12, 1, 5]
    rows = np.random.default_rng(1).standard_normal((sum(lengths), network.input_size)).astype(dtype)
    return Ragged(rows, np.concatenate([[0], np.cumsum(lengths)]))


def gradient_of(output: Array) -> Array:
    return np.random.default_rng(2).standard_normal(output.shape).astype(output.dtype)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_gradient_of_the_input_is_that_of_autograd(name: str) -> None:
    network = NETWORKS[name]
    ours, x = runner(network), batch(network)
    recording = ours.record(x)
    module = nn.build(network).double().eval()
    module.load_state_dict({name: torch.from_numpy(array) for name, array in ours.weights.items()})
    rows = torch.from_numpy(x.values).requires_grad_()
    out: Any = module(Ragged(rows, torch.from_numpy(x.offsets)))
    values = out if isinstance(out, torch.Tensor) else out.values
    values.backward(torch.from_numpy(gradient_of(recording.output)))
    assert rows.grad is not None
    np.testing.assert_allclose(recording.output, values.detach().numpy(), rtol=1e-12)
    dx = recording.back(gradient_of(recording.output), need_dx=True).dx
    assert dx is not None
    np.testing.assert_allclose(dx, rows.grad.numpy(), rtol=1e-10, atol=1e-13)


def test_what_flows_through_each_direction_adds_up_to_the_whole() -> None:
    recording = runner(BOTH_WAYS).record(batch(BOTH_WAYS))
    doutput = gradient_of(recording.output)
    whole, *ways = (recording.back(doutput, need_dx=True, through=way).dx for way in (None, 0, 1))
    assert whole is not None and all(way is not None and np.abs(way).max() > 1e-3 for way in ways)
    np.testing.assert_allclose(np.sum([way for way in ways if way is not None], axis=0), whole, rtol=1e-11, atol=1e-14)


def everything(recording: Any) -> list[Array]:
    parts = [recording.output, *(run.gave for run in recording.nodes)]
    for run in recording.nodes:
        for one in run.layers:
            parts += [part for part in (one.out.h, one.out.gates, one.out.memo, one.out.hn) if part is not None]
    return parts


@pytest.mark.parametrize("name", NETWORKS)
def test_going_back_leaves_a_recording_as_it_was(name: str) -> None:
    recording = runner(NETWORKS[name]).record(batch(NETWORKS[name]))
    before = [part.tobytes() for part in everything(recording)]
    doutput = gradient_of(recording.output)
    first, second = (recording.back(doutput, steps=True, need_dx=True) for _ in range(2))
    assert [part.tobytes() for part in everything(recording)] == before
    assert first.dx is not None and second.dx is not None and first.dx.tobytes() == second.dx.tobytes()
    for one, other in zip(first.layers, second.layers, strict=True):
        assert one.dh.tobytes() == other.dh.tobytes() and np.abs(one.dh).max() > 0


def test_what_was_recorded_outlives_the_recording_and_the_next_one() -> None:
    ours, x = runner(BOTH_WAYS), batch(BOTH_WAYS)
    parts = everything(ours.record(x))
    before = [part.tobytes() for part in parts]
    gc.collect()
    others = [ours.record(Ragged(x.values * 2, x.offsets)) for _ in range(3)]
    assert [part.tobytes() for part in parts] == before
    assert everything(others[-1])[0].tobytes() != before[0]


@pytest.mark.parametrize("name", NETWORKS)
def test_threads_change_no_bit(name: str) -> None:
    def bits(threads: int) -> list[bytes]:
        recording = runner(NETWORKS[name], np.float32, num_threads=threads).record(batch(NETWORKS[name], np.float32))
        passed = recording.back(gradient_of(recording.output), steps=True, need_dx=True)
        assert passed.dx is not None
        return [part.tobytes() for part in (*everything(recording), *(one.dh for one in passed.layers), passed.dx)]

    assert bits(1) == bits(2) == bits(4)


def test_words_that_are_spelled_are_recorded_as_the_network_reads_them() -> None:
    letters = (Embed(vocabulary_size=6, size=2), layer(cell="gru", input_size=2, hidden_size=3), Pool(modes=("last",)))
    network = Network.of(
        Spell(words=Embed(vocabulary_size=5, size=1), characters=letters), layer(), Dense(in_features=5, out_features=2)
    )
    ours = runner(network)
    words = Words(Ragged.from_list([[1, 2], [4]]), np.array([0, 1, 1]), Ragged.from_list([[1, 5], [3]]))
    recording = ours.record(words)
    assert recording.output.tobytes() == ours(words).tobytes()
    assert recording.nodes[1].reads[0].tobytes() == ours.spell(words).values.tobytes()
    again = kernels.forward("lstm", recording.nodes[1].reads[0], words.offsets, recording.nodes[1].layers[0].directions)
    np.testing.assert_array_equal(recording.nodes[1].gave, again.h)


def test_a_gradient_of_another_shape_is_refused() -> None:
    recording = runner(BOTH_WAYS).record(batch(BOTH_WAYS))
    with pytest.raises(ShapeError, match=r"doutput is \[6, 4\] but \[6, 3\] is wanted"):
        recording.back(np.zeros((6, 4)))
