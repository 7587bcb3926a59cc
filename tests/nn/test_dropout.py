"""Dropout of a language model: what it zeroes, what it leaves, and that it acts in training alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tidegate import nn
from tidegate.errors import InputError
from tidegate.network import Dense, Dropout, Embed, Network, Recurrent
from tidegate.nn.dropout import SequenceDropout, drop_words
from tidegate.ragged import Ragged

BATCH = Ragged(torch.ones(9, 200), torch.tensor([0, 4, 4, 9]))


def test_a_sequence_loses_the_same_features_at_all_its_steps() -> None:
    torch.manual_seed(0)
    dropped = SequenceDropout(0.25)(BATCH)
    first, _, last = dropped.to_list()
    for sequence in (first, last):
        assert (sequence == sequence[0]).all()
        assert set(sequence[0].tolist()) == {0.0, torch.tensor(1 / 0.75).item()}
        assert 0.15 < (sequence[0] == 0).float().mean() < 0.35
    assert (first[0] != last[0]).any()


def test_it_acts_in_training_alone() -> None:
    layer = SequenceDropout(0.5).eval()
    assert layer(BATCH) is BATCH
    table = torch.ones(5, 3)
    assert drop_words(table, 0.5, training=False) is table
    assert drop_words(table, 0.0, training=True) is table


def test_words_are_dropped_whole() -> None:
    torch.manual_seed(1)
    table = drop_words(torch.ones(400, 3), 0.2, training=True)
    assert (table == table[:, :1]).all()
    assert set(table.flatten().tolist()) == {0.0, 1.25}
    assert 0.12 < (table[:, 0] == 0).float().mean() < 0.28


@pytest.mark.parametrize("layer_type", [nn.SimpleRNN, nn.LSTM, nn.GRU])
def test_weight_dropout_is_a_layer_with_a_dropped_recurrent_matrix(layer_type: Any) -> None:
    layer = layer_type(3, 4, num_layers=2, bidirectional=True, weight_dropout=0.5)
    x = torch.randn(6, 2, 3)
    torch.manual_seed(5)
    found, _ = layer(x)
    plain = layer_type(3, 4, num_layers=2, bidirectional=True)
    plain.load_state_dict(layer.state_dict())
    torch.manual_seed(5)
    with torch.no_grad():
        for name, parameter in plain.named_parameters():  # in the order in which the layer drops them
            if name.startswith("weight_hh"):
                parameter.copy_(torch.nn.functional.dropout(parameter, 0.5))
    torch.testing.assert_close(found, plain(x)[0], rtol=0, atol=0)
    assert not torch.equal(layer(x)[0], found)
    layer.eval()
    plain.load_state_dict(layer.state_dict())
    torch.testing.assert_close(layer(x)[0], plain(x)[0], rtol=0, atol=0)


def test_a_dropped_entry_of_the_recurrent_matrix_gets_no_gradient() -> None:
    torch.manual_seed(0)
    layer = nn.GRU(3, 8, weight_dropout=0.5)
    output, _ = layer(torch.randn(6, 2, 3))
    output.sum().backward()
    gradient = dict(layer.named_parameters())["weight_hh_l0"].grad
    assert gradient is not None
    assert 0.3 < (gradient.numpy() == 0).mean() < 0.7


def test_a_weight_dropout_that_is_no_probability_is_refused() -> None:
    with pytest.raises(InputError, match=r"weight_dropout=1\.5"):
        nn.LSTM(3, 4, weight_dropout=1.5)


def test_the_dropout_of_a_network_acts_in_training_alone() -> None:
    network = Network.of(
        Embed(vocabulary_size=9, size=4, dropout=0.5),
        Dropout(p=0.5, per_sequence=True),
        Recurrent(cell="lstm", input_size=4, hidden_size=5, weight_dropout=0.5),
        Dense(in_features=5, out_features=2),
    )
    module, batch = nn.build(network), Ragged(torch.tensor([1, 8, 3]), torch.tensor([0, 2, 3]))
    assert not torch.equal(module(batch).values, module(batch).values)
    module.eval()
    assert torch.equal(module(batch).values, module(batch).values)
