"""A network is data: what fits together round-trips, what does not is refused with its reason."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.cells import CELLS
from tidegate.errors import InputError, ShapeError
from tidegate.network import (
    Dense,
    Dropout,
    Embed,
    Flatten,
    Fold,
    Network,
    Node,
    Pool,
    Recurrent,
    check_shapes,
    parameter_shapes,
)

SIZES = st.integers(1, 40)
OTHER_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(), lambda part: st.lists(part) | st.dictionaries(st.text(), part)
)
MODES = st.lists(st.sampled_from(["last", "first", "max", "mean"]), min_size=1, max_size=4, unique=True)


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


BOTH_WAYS = {"bidirectional": True, "reverse": True}
LAYER = Recurrent(cell="lstm", input_size=4, hidden_size=6)


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


def test_steps_of_images_want_their_sizes() -> None:
    network = Network.of(Fold(block=(2, 2), size=1), Flatten(mode="sum"))
    assert network.steps(12, height=3, width=4) == 2
    assert network.steps(np.array([12, 0]), height=np.array([3, 0]), width=np.array([4, 9])).tolist() == [2, 5]
    for wrong in ({}, {"height": 3}, {"width": 4}, {"height": 3, "width": 5}):
        with pytest.raises(ShapeError, match=r"reads images, and height \* width is not the 12 cells .* pass both"):
            network.steps(12, **wrong)
    with pytest.raises(ShapeError, match=r"not the 12, 4 cells"):
        network.steps(np.array([12, 4]), height=np.array([3, 3]), width=np.array([4, 4]))
