"""Networks of pairs: how sides, attention and states fit, what is refused and how, and what a file says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tidegate
from couples import COUPLES, WORDS, layer
from programs import batch_of, weights_of
from tidegate import convert, export, inspect
from tidegate.errors import InputError
from tidegate.network import Attend, Dense, Embed, Join, Network, Pool, Recurrent, Take, parameter_shapes
from tidegate.runtime import Executor, StreamPool

LEFT, RIGHT = Take(side="source", reads="words", name="left"), Take(side="target", reads="words", name="right")
ENDS = Pool(modes=("last",), name="ends")


def attend(**changes: Any) -> Attend:
    usual: dict[str, Any] = {"memory": "left", "query_size": 6, "memory_size": 6}
    return Attend(**usual | changes)


@pytest.mark.parametrize(
    ("nodes", "reason"),
    [
        ([WORDS, LEFT, Take(side="target")], "takes a side of pairs, but reads a row of each step of the source"),
        ([WORDS, layer(), Take(side="source")], "goes beyond single rows, but reads both sides of pairs"),
        ([WORDS, Pool(modes=("max",)), Take(side="source", reads="words")], "goes beyond single rows"),
        ([WORDS, LEFT, Pool(modes=("max",)), Dense(in_features=6, out_features=2, reads="words")], "ends with both"),
        (
            [Dense(in_features=6, out_features=6), Take(side="source")],
            "needs an embed node at the beginning, with nothing beside",
        ),
        ([Embed(vocabulary_size=9, size=4, beside=2), Take(side="source")], "with nothing beside: pairs are ids"),
        (
            [WORDS, LEFT, RIGHT, Join(reads=("left", "right"))],
            "'right' beside 'left': a row of each step of the target is not a row of each step of the source",
        ),
        ([WORDS, LEFT, RIGHT, attend(memory="words")], "goes beyond single rows"),
        ([WORDS, LEFT, RIGHT, attend(memory="lef")], "reads 'lef', but those before it are called"),
        ([WORDS, LEFT, RIGHT, attend(query_size=5)], "wants 5 features but gets 6"),
        ([WORDS, LEFT, RIGHT, attend(memory_size=5)], "wants 5 features but gets 6 from 'left'"),
        (
            [WORDS, LEFT, layer(), ENDS, RIGHT, attend(memory="ends", memory_size=5)],
            "cannot attend from a row of each step of the target to 'ends', which is one row of each sequence",
        ),
        ([WORDS, LEFT, layer(), ENDS, attend(query_size=5)], "cannot follow a pool"),
        ([WORDS, LEFT, RIGHT, layer(starts="left")], "cannot start with 'left': a row of each step of the source came"),
        (
            [WORDS, LEFT, layer(), ENDS, RIGHT, layer(starts="ends")],
            "starts with 10 numbers, its states side by side, but gets 5 from 'ends'",
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_a_reason(nodes: Any, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        Network.of(*nodes)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"score": "additive"}, "an additive score has a size, and no other"),
        ({"size": 4}, "an additive score has a size, and no other"),
        ({"score": "dot", "memory_size": 5}, "a dot score wants rows of one size, but query_size=6 and memory_size=5"),
        ({"score": "cosine"}, "Input should be 'dot', 'general' or 'additive'"),
    ],
)
def test_scores_that_cannot_be_are_refused(fields: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        attend(**fields)


@pytest.mark.parametrize(
    ("changes", "size"),
    [
        ({}, 10),
        ({"cell": "gru"}, 5),
        ({"num_layers": 2, "bidirectional": True}, 40),
        ({"cell": "gru", "reverse": True, "num_layers": 3}, 15),
    ],
)
def test_a_layer_says_how_many_numbers_it_begins_with(changes: Any, size: int) -> None:
    assert layer(**changes).start_size == size


def test_each_side_has_rows_of_its_own() -> None:
    network = COUPLES["a translation of two hops"]
    sides = {node.name: rows.side for node, rows in zip(network.nodes, network.gives, strict=True) if node.name}
    assert sides == {
        "words": "both", "encoder": "source", "bridge": "", "decoder1": "target", "context1": "target",
        "decoder2": "target", "context2": "target",
    }  # fmt: skip
    assert network.reads_pairs
    assert network.steps(9, source=4) == 5
    assert network.steps(np.array([9, 3]), source=np.array([4, 3])).tolist() == [5, 0]


def test_parameters_of_scores_have_their_sizes() -> None:
    shapes = parameter_shapes(COUPLES["a translation by additive scores"])
    attending = {name[2:]: shape for name, shape in shapes.items() if name.startswith("5.")}
    assert attending == {"weight_q": (7, 5), "weight_k": (7, 10), "bias": (7,), "v": (7,)}
    assert parameter_shapes(COUPLES["a translation of two hops"])["8.weight"] == (5, 10)


@pytest.mark.parametrize("name", COUPLES)
def test_a_file_says_the_same_again(name: str) -> None:
    network = COUPLES[name]
    assert Network.from_json(network.to_json()) == network


def test_a_file_of_a_layer_says_nothing_new_where_nothing_is() -> None:
    plain = Network.of(Recurrent(cell="gru", input_size=3, hidden_size=2))
    assert "starts" not in json.loads(plain.to_json())["nodes"][0]


@pytest.mark.parametrize("name", COUPLES)
@pytest.mark.parametrize(
    "ask",
    [
        lambda executor, batch: convert.to_torch(executor),
        lambda executor, batch: inspect.trace(executor, batch),
        lambda executor, batch: executor.stream(),
        lambda executor, batch: StreamPool(executor, 1, lookahead=4),
    ],
    ids=["convert", "inspect", "stream", "pool of streams"],
)
def test_who_knows_single_sequences_alone_refuses_with_what_to_do(name: str, ask: Any) -> None:
    network = COUPLES[name]
    executor = Executor(network, weights_of(network, np.float32))
    with pytest.raises(InputError, match=r"(?s)pairs.*attend.*(Decoder|nn\.build|Recording\.attention)"):
        ask(executor, batch_of(network, np.float32, size=3, longest=5))


@pytest.mark.parametrize("name", COUPLES)
def test_a_whole_graph_is_refused_where_nobody_knows_how_targets_begin(name: str, tmp_path: Path) -> None:
    network = COUPLES[name]
    executor = Executor(network, weights_of(network, np.float32))
    with pytest.raises(InputError, match=r"export a Translator|no targets of pairs|sources reads targets|Run it with"):
        export.to_onnx(executor, tmp_path / "never-written.onnx")
    assert not list(tmp_path.iterdir())


def test_a_model_file_holds_pairs_too(tmp_path: Path) -> None:
    network = COUPLES["a translation of two hops"]
    executor, batch = Executor(network, weights_of(network, np.float32)), batch_of(network, np.float32)
    executor.save(tmp_path / "model")
    assert tidegate.load(tmp_path / "model")(batch).tobytes() == executor(batch).tobytes()
