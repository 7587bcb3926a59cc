"""A network as data becomes a module: names, numbers and gradients of the same network written with torch.nn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tidegate import nn
from tidegate.errors import InputError, ShapeError
from tidegate.network import (
    Decode,
    Dense,
    Dropout,
    Embed,
    Network,
    Pool,
    Recurrent,
    Split,
    Tied,
    parameter_shapes,
)
from tidegate.ragged import Ragged
from tidegate.runtime import Executor

TOKENS = Ragged.from_list([torch.tensor([1, 2, 3]), torch.tensor([8]), torch.tensor([4, 4])])


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def network(**options: Any) -> Network:
    """Describe embed, recurrent, pool and two dense nodes."""
    layer = Recurrent(**{"cell": "lstm", "input_size": 3, "hidden_size": 4, "bidirectional": True, **options})
    return Network(
        nodes=(
            Embed(vocabulary_size=9, size=3),
            layer,
            Pool(modes=("max", "last", "mean")),
            Dense(in_features=3 * layer.output_size, out_features=5, activation="relu"),
            Dropout(p=0.5),
            Dense(in_features=5, out_features=2),
        )
    )


@pytest.mark.parametrize("cell", ["rnn_tanh", "rnn_relu", "lstm", "gru"])
@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bias": False, "bidirectional": False}])
def test_parameters_have_the_names_and_shapes_of_the_model_file(cell: str, options: dict[str, Any]) -> None:
    description = network(cell=cell, **options)
    weights = nn.build(description).state_dict()
    assert {name: tuple(weight.shape) for name, weight in weights.items()} == parameter_shapes(description)


JOIN: dict[Any, Callable[[Tensor, Tensor], Tensor]] = {
    "concat": lambda a, b: torch.cat([a, b], dim=-1),
    "sum": torch.add,
    "mul": torch.mul,
    "ave": lambda a, b: (a + b) / 2,
}


@pytest.mark.parametrize("merge", JOIN)
def test_last_is_the_final_state_of_both_directions(merge: Any) -> None:
    module = nn.build(network(merge=merge)).eval()
    weights = module.state_dict()
    layer = torch.nn.LSTM(3, 4, bidirectional=True)
    layer.load_state_dict({name: weights[f"1.{name}"] for name in layer.state_dict()})
    scores = module(TOKENS)
    for row, tokens in zip(scores, TOKENS, strict=True):
        h, (hn, _) = layer(weights["0.weight"][tokens])
        h = JOIN[merge](h[:, :4], h[:, 4:])
        pooled = torch.cat([h.max(0).values, JOIN[merge](hn[0], hn[1]), h.mean(0)])
        expected = torch.relu(pooled @ weights["3.weight"].T + weights["3.bias"])
        torch.testing.assert_close(row, expected @ weights["5.weight"].T + weights["5.bias"], rtol=1e-4, atol=1e-6)


def test_last_of_a_reversed_layer_is_its_first_token() -> None:
    description = Network(
        nodes=(Recurrent(cell="gru", input_size=3, hidden_size=4, reverse=True), Pool(modes=("last",)))
    )
    module = nn.build(description)
    batch = Ragged.from_list([torch.randn(3, 3), torch.randn(0, 3), torch.randn(2, 3)])
    output, _ = module.get_submodule("0")(batch)
    expected = torch.stack([output[0][0], torch.zeros(4), output[2][0]])
    assert torch.equal(module(batch), expected)


def test_every_parameter_gets_a_gradient() -> None:
    module = nn.build(network(num_layers=2, dropout=0.1, recurrent_dropout=0.1))
    module(TOKENS.select([0, 1, 2] * 10)).square().sum().backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_dropout_acts_in_training_alone() -> None:
    module = nn.build(network())
    assert not torch.equal(module(TOKENS), module(TOKENS))
    module.eval()
    assert torch.equal(module(TOKENS), module(TOKENS))


def test_without_a_pool_each_token_gets_a_row() -> None:
    description = Network(
        nodes=(
            Embed(vocabulary_size=9, size=3),
            Dropout(p=0.0),
            Recurrent(cell="gru", input_size=3, hidden_size=4),
            Dense(in_features=4, out_features=2, activation="sigmoid"),
        )
    )
    module = nn.build(description)
    weights = module.state_dict()
    output = module(TOKENS)
    layer = torch.nn.GRU(3, 4)
    layer.load_state_dict({name: weights[f"2.{name}"] for name in layer.state_dict()})
    for rows, tokens in zip(output, TOKENS, strict=True):
        h = layer(weights["0.weight"][tokens])[0]
        torch.testing.assert_close(rows, torch.sigmoid(h @ weights["3.weight"].T + weights["3.bias"]))


def test_input_that_does_not_fit_is_refused() -> None:
    module = nn.build(network())
    with pytest.raises(ShapeError, match="a Tensor came where a Ragged batch was wanted"):
        module(torch.zeros(3))
    with pytest.raises(InputError, match="9"):
        module(Ragged.from_list([torch.tensor([9])]))
    with pytest.raises(ShapeError, match="token ids"):
        module(Ragged.from_list([torch.zeros(2, 3)]))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("cell", ["gru", "lstm", "rnn_tanh"])
def test_what_is_decoded_and_its_gradients_are_those_of_torch(cell: str, channels: int) -> None:
    """Write SegRNN once more with torch.nn, over padded segments of equal number, and compare output and gradients."""
    first = [Split(channels=channels, size=2)] if channels > 1 else []
    layer = Recurrent(cell=cell, input_size=6, hidden_size=5)  # type: ignore[arg-type]
    decode = Decode(steps=4, channels=channels, size=6)
    description = Network.of(*first, Dense(in_features=2, out_features=6, activation="relu"), layer, decode)
    module = nn.build(description).double()
    values = torch.randn(3 * 2, channels * 2, dtype=torch.float64)  # three sequences of two segments
    got = module(Ragged(values, torch.tensor([0, 2, 4, 6])))
    assert got.lengths.tolist() == [4] * 3 * channels

    at = len(first)
    rival = {"gru": torch.nn.GRU, "lstm": torch.nn.LSTM, "rnn_tanh": torch.nn.RNN}[cell](
        6, 5, batch_first=True
    ).double()
    rival.load_state_dict(module.get_submodule(str(at + 1)).state_dict())
    dense: Any = module.get_submodule(str(at))
    parts = dict(module.get_submodule(str(at + 2)).named_parameters())
    x = values.reshape(3, 2, channels, 2).transpose(1, 2).reshape(3 * channels, 2, 2)
    _, state = rival(torch.relu(dense(x)))
    position = parts["position"].repeat(3 * channels, 1)  # [B * C * M, .]
    if channels > 1:
        position = torch.cat([position, parts["channel"].repeat_interleave(4, dim=0).repeat(3, 1)], dim=1)
    many = [s.repeat_interleave(4, dim=1) for s in (state if cell == "lstm" else (state,))]
    wanted, _ = rival(position[:, None], tuple(many) if cell == "lstm" else many[0])
    torch.testing.assert_close(got.values, wanted[:, 0], rtol=1e-12, atol=1e-12)

    names = [f"{at + 2}.{name}" for name in parts]
    grads = torch.autograd.grad(got.values.square().sum(), [*parts.values(), dense.weight], retain_graph=True)
    rivals = torch.autograd.grad(wanted.square().sum(), [*parts.values(), dense.weight])
    for name, one, other in zip([*names, "dense"], grads, rivals, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-10, msg=name)


@pytest.mark.parametrize("cell", [nn.SimpleRNN, nn.LSTM, nn.GRU])
@pytest.mark.parametrize("merge", ["concat", "mul"])
def test_a_layer_as_a_network_gives_its_numbers(cell: Any, merge: Any) -> None:
    layer = cell(3, 4, num_layers=2, bidirectional=True, merge=merge, dropout=0.5, recurrent_dropout=0.3).train()
    description, weights = nn.as_network(layer)
    x = torch.randn(5, 3)
    got = Executor(description, weights)(Ragged(x.numpy(), np.array([0, 3, 5])))
    np.testing.assert_array_equal(got, layer.eval()(Ragged(x, torch.tensor([0, 3, 5])))[0].values.detach().numpy())
    assert nn.as_network(cell(3, 4, reverse=True, bias=False))[0].nodes[0] == Recurrent(
        cell=layer.cell, input_size=3, hidden_size=4, reverse=True, bias=False
    )


def test_what_was_built_is_the_network_it_was_built_of() -> None:
    module = nn.build(network())
    description, weights = nn.as_network(module)
    assert description == network()
    assert {name: array.shape for name, array in weights.items()} == parameter_shapes(network())
    np.testing.assert_array_equal(weights["3.bias"], module.state_dict()["3.bias"].numpy())
    with pytest.raises(InputError, match=r"Linear is neither a recurrent layer of tidegate\.nn nor"):
        nn.as_network(torch.nn.Linear(1, 1))


def test_what_a_layer_takes_becomes_one_ragged_batch() -> None:
    padded = torch.arange(12.0).reshape(2, 3, 2).requires_grad_()
    steps_first = nn.as_ragged(nn.GRU(2, 3), padded)
    batch_first = nn.as_ragged(nn.GRU(2, 3, batch_first=True), padded)
    assert [sequence.tolist() for sequence in steps_first] == padded.transpose(0, 1).tolist()
    assert [sequence.tolist() for sequence in batch_first] == padded.tolist()
    assert not batch_first.values.requires_grad
    sequences = [torch.ones(1, 2), torch.zeros(3, 2)]
    packed = nn.as_ragged(nn.GRU(2, 3), torch.nn.utils.rnn.pack_sequence(sequences, enforce_sorted=False))
    assert [sequence.tolist() for sequence in packed] == [sequence.tolist() for sequence in sequences]
    assert nn.as_ragged(nn.GRU(2, 3), "anything else") == "anything else"


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn_tanh"])
def test_pieces_that_carry_their_state_give_what_the_whole_gives_and_what_the_executor_gives(cell: Any) -> None:
    network = Network.of(
        Embed(vocabulary_size=9, size=4),
        Recurrent(cell=cell, input_size=4, hidden_size=5),
        Recurrent(cell=cell, input_size=5, hidden_size=4),
        Tied(vocabulary_size=9, size=4),
    )
    module, ids = nn.build(network).eval(), torch.tensor([1, 8, 3, 3, 0, 7, 2])
    whole = module(Ragged(ids, torch.tensor([0, 7]))).values
    carried: Any = {}
    parts = []
    for begin, end in ((0, 3), (3, 4), (4, 7)):
        rows, carried = module.advance(Ragged(ids[begin:end], torch.tensor([0, end - begin])), carried)
        parts.append(torch.nn.functional.linear(rows.values, *module.head))
    torch.testing.assert_close(torch.cat(parts), whole)
    torch.testing.assert_close(module.head[0], module.get_parameter("0.weight"))
    weights = {name: parameter.detach().numpy() for name, parameter in module.named_parameters()}
    found = Executor(network, weights)(Ragged(ids.numpy(), np.array([0, 7])))
    np.testing.assert_allclose(found, whole.detach().numpy(), rtol=1e-5, atol=1e-6)
