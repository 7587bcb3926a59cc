"""Nodes by themselves: which fit where, how wide they are, and which parameters they have."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tidegate.cells import CELLS
from tidegate.errors import InputError
from tidegate.network import (
    Decode,
    Dense,
    Dropout,
    Embed,
    Network,
    Node,
    Pool,
    Recurrent,
    Split,
    Tied,
    Wide,
    parameter_shapes,
)

TORCH = {"rnn_tanh": torch.nn.RNN, "rnn_relu": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}


@pytest.mark.parametrize("cell", [name for name, cell in sorted(CELLS.items()) if cell.torch])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_parameters_are_those_of_torch(cell: Any, bias: bool, bidirectional: bool) -> None:
    network = Network.of(
        Embed(vocabulary_size=7, size=5),
        Recurrent(cell=cell, input_size=5, hidden_size=3, num_layers=3, bias=bias, bidirectional=bidirectional),
    )
    rival = TORCH[cell](5, 3, num_layers=3, bias=bias, bidirectional=bidirectional)
    wanted = {f"1.{name}": tuple(tensor.shape) for name, tensor in rival.state_dict().items()}
    assert parameter_shapes(network) == {"0.weight": (7, 5)} | wanted


def test_merged_directions_are_as_wide_as_one() -> None:
    sizes: Any = {"input_size": 4, "hidden_size": 6, "bidirectional": True}
    assert Recurrent(cell="gru", merge="concat", **sizes).output_size == 12
    assert Recurrent(cell="gru", merge="ave", **sizes).output_size == 6


LAYER = Recurrent(cell="lstm", input_size=4, hidden_size=6)


@pytest.mark.parametrize(
    ("nodes", "reason"),
    [
        ((LAYER, Dense(in_features=7, out_features=1)), r"node 1 \(dense\) wants 7 features but gets 6"),
        ((Embed(vocabulary_size=9, size=5), LAYER), r"node 1 \(recurrent\) wants 4 features but gets 5"),
        ((LAYER, Embed(vocabulary_size=9, size=5)), r"node 1 \(embed\) must come first"),
        ((LAYER, Pool(modes=("max",)), Recurrent(cell="gru", input_size=6, hidden_size=2)), "no steps are left"),
        ((LAYER, Pool(modes=("max",)), Pool(modes=("max",))), "no steps are left"),
        ((LAYER, Dropout(p=0.1), Pool(modes=("last",))), "must stand right after a recurrent node"),
        ((Dropout(p=0.1), LAYER), "cannot come first"),
        ((Pool(modes=("max",)),), "cannot come first"),
        ((Embed(vocabulary_size=2**24, size=2**16),), "parameters; at most"),
        ((), "at least 1 item"),
    ],
)
def test_nodes_that_do_not_fit_are_refused(nodes: tuple[Node, ...], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        Network.of(*nodes)


# --- the nodes of forecasters ------------------------------------------------------------------------------------


def segments(**changes: Any) -> list[Node]:
    """Describe the network of SegRNN for three channels, segments of four steps and two shared features."""
    options: dict[str, Any] = {"cell": "gru", "input_size": 8, "hidden_size": 5}
    layer = Recurrent(**options | changes)
    return [
        Split(channels=3, size=4, shared=2),
        Dense(in_features=6, out_features=8, activation="relu"),
        layer,
        Decode(steps=7, channels=3, size=8),
        Dense(in_features=5, out_features=4),
    ]


def test_a_split_and_a_decoder_round_trip_and_name_their_parameters() -> None:
    network = Network.of(*segments())
    assert Network.from_json(network.to_json()) == network
    assert (network.input_size, network.output_size) == (14, 4)
    shapes = parameter_shapes(network)
    assert (shapes["3.position"], shapes["3.channel"]) == ((7, 4), (3, 4))
    alone = Network.of(Recurrent(cell="lstm", input_size=8, hidden_size=5), Decode(steps=7, size=8))
    assert parameter_shapes(alone)["1.position"] == (7, 8)
    assert "1.channel" not in parameter_shapes(alone)


@pytest.mark.parametrize(
    ("nodes", "reason"),
    [
        (segments(bidirectional=True), "must stand right after a recurrent node of one direction"),
        (segments(reverse=True), "must stand right after a recurrent node of one direction"),
        ([Dense(in_features=8, out_features=8), Decode(steps=2, size=8)], "must stand right after a recurrent node"),
        ([Decode(steps=2, size=8)], "must stand right after a recurrent node"),
        (
            [Recurrent(cell="gru", input_size=8, hidden_size=5), Decode(steps=2, size=6)],
            "embeds in 6 features, but the recurrent node reads 8",
        ),
        (
            [Recurrent(cell="gru", input_size=8, hidden_size=5), Decode(steps=2, size=8, channels=2)],
            "of 2 channels wants a split into as many at the beginning",
        ),
        ([Dense(in_features=8, out_features=8), Split(channels=2, size=4)], "must come first"),
        ([Split(channels=2, size=4), Dense(in_features=8, out_features=8)], "wants 8 features but gets 4"),
    ],
)
def test_splits_and_decoders_that_do_not_fit_are_refused(nodes: list[Node], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        Network.of(*nodes)


def test_a_tied_node_has_the_table_of_the_embedding_and_a_bias_of_its_own() -> None:
    first = Embed(vocabulary_size=9, size=4)
    network = Network.of(first, Recurrent(cell="gru", input_size=4, hidden_size=4), Tied(vocabulary_size=9, size=4))
    assert network.output_size == 9
    assert parameter_shapes(network)["2.bias"] == (9,)
    assert "2.weight" not in parameter_shapes(network)
    assert Network.from_json(network.to_json()) == network


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ((Dense(in_features=4, out_features=4), Tied(vocabulary_size=9, size=4)), "needs an embed node of its own"),
        ((Embed(vocabulary_size=8, size=4), Tied(vocabulary_size=9, size=4)), r"\[9, 4\], at the beginning"),
        (
            (Embed(vocabulary_size=9, size=4), Dense(in_features=4, out_features=3), Tied(vocabulary_size=9, size=4)),
            "wants 4 features but gets 3",
        ),
        (
            (Embed(vocabulary_size=9, size=4), Pool(modes=("max",)), Dropout(p=0.1, per_sequence=True)),
            "with per_sequence cannot follow a pool",
        ),
    ],
)
def test_nodes_of_a_language_model_that_do_not_fit_are_refused(made: tuple[Node, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Network.of(*made)


# --- what texts bring besides their words ------------------------------------------------------------------------


def read_by(*last: Node) -> list[Node]:
    """Describe a classifier of two classes that reads three numbers beside each token."""
    layer = Recurrent(cell="gru", input_size=7, hidden_size=5)
    return [
        Embed(vocabulary_size=9, size=4, beside=3),
        layer,
        Pool(modes=("max",)),
        Dense(in_features=5, out_features=2),
        *last,
    ]


def test_numbers_beside_widen_the_rows_and_a_wide_node_adds_a_matrix() -> None:
    network = Network.of(*read_by(Wide(features=6, outputs=2)))
    assert Network.from_json(network.to_json()) == network
    assert (network.input_size, network.output_size, network.reads_documents) == (9, 2, True)
    shapes = parameter_shapes(network)
    assert (shapes["0.weight"], shapes["1.weight_ih_l0"]) == ((9, 4), (15, 7))
    assert (shapes["4.weight"], shapes["4.bias"]) == ((6, 2), (2,))


def test_a_table_without_numbers_beside_is_written_as_it_always_was() -> None:
    assert "beside" not in Network.of(Embed(vocabulary_size=9, size=4)).to_json()


@pytest.mark.parametrize(
    ("nodes", "reason"),
    [
        (read_by(Wide(features=6, outputs=3)), "wants 3 features but gets 2"),
        (read_by(Wide(features=6, outputs=2), Dropout(p=0.1)), "must come last, after a pool"),
        ([LAYER, Wide(features=6, outputs=6)], "must come last, after a pool"),
        ([LAYER, Pool(modes=("max",)), Wide(features=6, outputs=6)], "needs an embed node at the beginning"),
        ([Embed(vocabulary_size=9, size=4, beside=1), LAYER], "wants 4 features but gets 5"),
    ],
)
def test_numbers_beside_and_wide_nodes_that_do_not_fit_are_refused(nodes: list[Node], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        Network.of(*nodes)
