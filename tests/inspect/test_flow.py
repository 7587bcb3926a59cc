"""The flow of gradients: autograd's norms through a loop, by distance; what vanishes, explodes and is clipped."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import loop
import tidegate as tg
from tidegate.errors import InputError, OptionError
from tidegate.inspect import flow
from tidegate.network import Dense, Embed, Network, Pool, Recurrent, parameter_shapes
from tidegate.ragged import Ragged

H = 4
LENGTHS = [6, 1, 0, 3, 6]


def network_of(cell: Any, **layer: Any) -> Network:
    options = {"bidirectional": True, "num_layers": 2, **layer}
    recurrent = Recurrent(cell=cell, input_size=3, hidden_size=H, **options)
    return Network.of(Embed(vocabulary_size=9, size=3), recurrent, Pool(modes=("max",)))


def weights_of(network: Network, scale: float = 0.7) -> dict[str, Any]:
    rng = np.random.default_rng(3)
    return {name: rng.uniform(-scale, scale, shape) for name, shape in parameter_shapes(network).items()}


def tokens(lengths: list[int]) -> Ragged:
    rng = np.random.default_rng(0)
    return Ragged.from_list([rng.integers(0, 9, length) for length in lengths], dtype=np.int32)


@pytest.mark.parametrize("cell", ["rnn_tanh", "rnn_relu", "lstm", "gru"])
@pytest.mark.parametrize("layer", [{}, {"bidirectional": False, "reverse": True, "bias": False}], ids=str)
def test_norms_are_autograds_through_a_loop(cell: Any, layer: dict[str, Any]) -> None:
    """With as many probes as units the mean over them is exact: that over the unit vectors."""
    network = network_of(cell, **layer)
    weights, x = weights_of(network), tokens(LENGTHS)
    found = tg.inspect.gradient_flow((network, weights), x, probes=H)
    squares = {each.name: np.zeros((2, 6)) for each in found.flows}
    for index in range(len(x)):
        for unit in range(H):
            _, walks = loop.run(network, loop.to_torch(weights), torch.from_numpy(x[index]))
            for walk in walks if len(x[index]) else []:
                for state in (*walk.h, *walk.c):
                    state.grad = None
                walk.last[unit].backward(retain_graph=True)  # type: ignore[no-untyped-call]
                for part, states in enumerate((walk.h, walk.c)):
                    norms = (walk.gradients(states) ** 2).sum(axis=1) if states else np.zeros(len(walk.h))
                    squares[walk.name][part, : len(norms)] += norms if "backward" in walk.name else norms[::-1]
    sequences = np.array([4, 3, 3, 2, 2, 2])
    for each in found.flows:
        np.testing.assert_array_equal(each.distance, range(6))
        np.testing.assert_array_equal(each.sequences, sequences)
        want = np.sqrt(squares[each.name] / sequences / H)
        np.testing.assert_allclose(each.h, want[0], rtol=1e-10)
        assert each.h[0] == pytest.approx(1, abs=1e-14)
        if cell == "lstm":
            assert each.c is not None
            np.testing.assert_allclose(each.c, want[1], rtol=1e-10)
        else:
            assert each.c is None


def test_the_norm_that_is_clipped_is_that_of_autograd() -> None:
    """One direction, all unit vectors: the gradient of the mean over the sequences that have a step."""
    network = network_of("gru", bidirectional=False, num_layers=1)
    weights, x = weights_of(network), tokens(LENGTHS)
    square = 0.0
    for unit in range(H):
        tensors = loop.to_torch(weights)
        losses = [loop.run(network, tensors, torch.from_numpy(ids))[1][0].last[unit] for ids in x if len(ids)]
        torch.stack(losses).mean().backward()  # type: ignore[no-untyped-call]
        gradients = [tensor.grad for name, tensor in tensors.items() if name.startswith("1.")]
        square += sum(float((gradient**2).sum()) for gradient in gradients if gradient is not None)
    norm = np.sqrt(square / H)
    for limit, scale in ((2 * norm, 1.0), (norm / 4, 0.25), (0, 1.0), (None, 1.0)):
        clipping = tg.inspect.gradient_flow((network, weights), x, probes=H, max_grad_norm=limit).clipping
        assert clipping.norm == pytest.approx(norm, rel=1e-10)
        assert clipping.scale == pytest.approx(scale, rel=1e-10)
        assert clipping.max_grad_norm == (limit or None)


def test_few_probes_estimate_what_all_of_them_give() -> None:
    network = network_of("lstm")
    model, x = (network, weights_of(network)), tokens([12])
    exact = tg.inspect.gradient_flow(model, x, probes=H).flows
    many = [tg.inspect.gradient_flow(model, x, probes=1, seed=seed).flows for seed in range(200)]
    assert (many[0][0].h != many[1][0].h).any()
    for number, each in enumerate(exact):
        mean = np.sqrt(np.mean([flows[number].h ** 2 for flows in many], axis=0))
        np.testing.assert_allclose(mean, each.h, rtol=0.2)


def test_one_relu_unit_multiplies_by_its_weight_at_each_step() -> None:
    network = Network.of(Recurrent(cell="rnn_relu", input_size=1, hidden_size=1, bias=False, reverse=True))
    for weight in (0.5, 2.0):
        model = (network, {"0.weight_ih_l0": np.ones((1, 1)), "0.weight_hh_l0": np.full((1, 1), weight)})
        found = tg.inspect.gradient_flow(model, [np.ones((400, 1)), np.ones((3, 1))], max_grad_norm=1.0)
        np.testing.assert_allclose(found.flow("layer 0 backward").h, weight ** np.arange(400.0), rtol=1e-12)
        assert (found.clipping.scale < 1e-100) == (weight == 2)


def test_a_network_in_float32_is_seen_far_below_its_range() -> None:
    network = Network.of(Recurrent(cell="rnn_tanh", input_size=1, hidden_size=1, bias=False))
    weights = {"0.weight_ih_l0": np.zeros((1, 1), np.float32), "0.weight_hh_l0": np.full((1, 1), 0.5, np.float32)}
    found = tg.inspect.gradient_flow((network, weights), [np.zeros((300, 1), np.float32)])
    assert found.flows[0].h[-1] == pytest.approx(0.5**299, rel=1e-12)


def test_batches_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    network = network_of("lstm")
    model, x = (network, weights_of(network)), tokens(LENGTHS)
    whole = tg.inspect.gradient_flow(model, x)
    monkeypatch.setattr(flow, "_TOKENS", 2)
    pieces = tg.inspect.gradient_flow(model, x)
    assert pieces.clipping.norm == pytest.approx(whole.clipping.norm, rel=1e-12)
    for one, other in zip(whole.flows, pieces.flows, strict=True):
        np.testing.assert_allclose(one.h, other.h, rtol=1e-12)


def test_a_task_clips_to_its_own_norm() -> None:
    texts, labels = ["good fun", "so good", "a bore", "dull, and bad"] * 5, ["pos", "pos", "neg", "neg"] * 5
    model = tg.TextClassifier(hidden_size=4, epochs=1, max_grad_norm=1e-3).fit(texts, labels)
    clipping = tg.inspect.gradient_flow(model, texts).clipping
    assert clipping.max_grad_norm == 1e-3
    assert clipping.scale == pytest.approx(1e-3 / clipping.norm)
    assert tg.inspect.gradient_flow(model, texts, max_grad_norm=0).clipping.scale == 1


def test_what_it_cannot_do_is_refused() -> None:
    network = Network.of(Recurrent(cell="gru", input_size=2, hidden_size=3), Dense(in_features=3, out_features=1))
    model = (network, weights_of(network))
    with pytest.raises(OptionError, match=r"'layer 0 backward'.* Known: layer 0 forward"):
        tg.inspect.gradient_flow(model, [np.ones((2, 2))]).flow("layer 0 backward")
    with pytest.raises(InputError, match="probes is 0"):
        tg.inspect.gradient_flow(model, [np.ones((2, 2))], probes=0)
    with pytest.raises(InputError, match="max_grad_norm -1"):
        tg.inspect.gradient_flow(model, [np.ones((2, 2))], max_grad_norm=-1)
