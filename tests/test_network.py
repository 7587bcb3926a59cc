"""A network is data: what fits together round-trips, what does not is refused with its reason."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tidegate.cells import CELLS
from tidegate.errors import InputError, ShapeError
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
    check_shapes,
    parameter_shapes,
)

SIZES = st.integers(1, 40)
OTHER_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(), lambda part: st.lists(part) | st.dictionaries(st.text(), part)
)
MODES = st.lists(st.sampled_from(["last", "first", "max", "mean"]), min_size=1, max_size=4, unique=True)
TORCH = {"rnn_tanh": torch.nn.RNN, "rnn_relu": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}


@st.composite
def networks(draw: st.DrawFn) -> Network:
    """Draw a network of the usual form, every option of its nodes included."""
    bidirectional = draw(st.booleans())
    layer = Recurrent(
        cell=draw(st.sampled_from(sorted(CELLS))),
        input_size=draw(SIZES),
        hidden_size=draw(SIZES),
        num_layers=draw(st.integers(1, 3)),
        bidirectional=bidirectional,
        merge=draw(st.sampled_from(["concat", "sum", "mul", "ave"])),
        reverse=not bidirectional and draw(st.booleans()),
        bias=draw(st.booleans()),
        dropout=draw(st.floats(0, 0.9)),
    )
    modes: Any = draw(MODES)
    nodes: list[Node] = [layer, Pool(modes=tuple(modes)), Dropout(p=0.5)]
    if draw(st.booleans()):
        nodes.insert(0, Embed(vocabulary_size=draw(SIZES), size=layer.input_size))
    return Network.of(*nodes, Dense(in_features=layer.output_size * len(modes), out_features=draw(SIZES)))


@given(networks())
def test_json_gives_the_network_back(network: Network) -> None:
    assert Network.from_json(network.to_json()) == network
    assert Network.from_json(json.dumps(json.loads(network.to_json()), indent=1)).to_json() == network.to_json()


@given(networks(), st.data())
def test_a_network_with_one_changed_field_is_read_or_refused_by_name(network: Network, data: st.DataObject) -> None:
    content = json.loads(network.to_json())
    place = data.draw(st.integers(0, len(content["nodes"]) - 1))
    node = content["nodes"][place]
    field = data.draw(st.sampled_from(sorted(node)))
    node[field] = data.draw(st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text()))
    read = read_or_refused(json.dumps(content))
    if isinstance(read, str):
        assert re.search(rf"nodes\.{place}[.:]|node \d+ \(", read)
    else:
        assert getattr(read.nodes[place], field) == node[field]
        assert Network.from_json(read.to_json()) == read


def read_or_refused(text: str) -> Network | str:
    """Read a network, or say why it is none."""
    try:
        return Network.from_json(text)
    except InputError as refusal:
        return str(refusal)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_any_other_json_is_refused(content: Any) -> None:
    with pytest.raises(InputError, match="not a network"):
        Network.from_json(json.dumps(content))


@pytest.mark.parametrize("text", ["", "{", b"\xff\xfe", "[" * 100_000, '{"nodes": [], "version": 1}'])
def test_text_that_is_no_network_is_refused(text: str | bytes) -> None:
    with pytest.raises(InputError, match="not a network"):
        Network.from_json(text)


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


BOTH_WAYS = {"bidirectional": True, "reverse": True}
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


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        ('{"kind": "dense", "in_features": 1, "out_features": 1000000000}', "nodes.0.dense.out_features"),
        ('{"kind": "dense", "in_features": 1, "out_features": 2.5}', "nodes.0.dense.out_features"),
        ('{"kind": "dense", "in_features": 1, "out_features": "2"}', "nodes.0.dense.out_features"),
        ('{"kind": "dense", "in_features": 1, "out_features": 2, "run": "rm"}', "nodes.0.dense.run"),
        ('{"kind": "dropout", "p": 1.0}', "nodes.0.dropout.p"),
        ('{"kind": "dropout", "p": NaN}', "nodes.0.dropout.p"),
        ('{"kind": "pool", "modes": ["max", "max"]}', "name one mode twice"),
        ('{"kind": "transformer"}', "nodes.0"),
        (
            json.dumps({"kind": "recurrent", "cell": "gru", "input_size": 1, "hidden_size": 1, **BOTH_WAYS}),
            "exclude each other",
        ),
    ],
)
def test_a_field_out_of_range_is_named(part: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        Network.from_json(f'{{"version": 1, "nodes": [{part}]}}')


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"1.bias": None}, "weights are missing: 1.bias"),
        ({"2.bias": (1,)}, "weights that the network does not have: 2.bias"),
        ({"1.weight": (6, 1)}, r"weight '1.weight' is \[6, 1\]; the network wants \[1, 6\]"),
    ],
)
def test_weights_that_do_not_fit_are_refused(change: dict[str, tuple[int, ...] | None], reason: str) -> None:
    network = Network.of(LAYER, Dense(in_features=6, out_features=1))
    shapes = {name: shape for name, shape in (parameter_shapes(network) | change).items() if shape is not None}
    with pytest.raises(ShapeError, match=reason):
        check_shapes(network, shapes)


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
