"""Nodes that read earlier ones by name: what is refused and how, and what a file says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from branches import BRANCHES, WORDS, layer
from tidegate.errors import InputError
from tidegate.network import (
    Crf,
    Decode,
    Dense,
    Dropout,
    Embed,
    Join,
    Network,
    Node,
    Pool,
    Recurrent,
    Rows,
    Spell,
    Split,
    Tied,
    Wide,
)


def dense(width: int = 6, out: int = 6, **named: Any) -> Dense:
    return Dense(in_features=width, out_features=out, **named)


def pool(**named: Any) -> Pool:
    return Pool(modes=("max",), **named)


@pytest.mark.parametrize(
    ("nodes", "reason"),
    [
        ([WORDS, dense(reads="word")], r"node 1 \(dense\) reads 'word', but those before it are called input, words"),
        ([WORDS, dense(reads="later"), dense(name="later")], "reads 'later', which does not come before it"),
        ([WORDS, dense(name="own", reads="own")], r"node 1 \(dense 'own'\) reads 'own', which does not come before it"),
        ([WORDS, dense(name="words")], r"node 1 \(dense 'words'\) cannot be called so, as node 0 \(embed 'words'\) is"),
        ([dense(name="input")], "cannot be called so, as what the network reads is"),
        ([WORDS, dense(), dense(reads="words")], r"node 1 \(dense\) is read by no node, and is not the last"),
        ([WORDS, layer(reads="input")], r"reads the input, which are ids, as only node 0 \(embed 'words'\) can"),
        ([WORDS, layer(input_size=7, reads="words")], r"wants 7 features but gets 6 from 'words'"),
        ([dense(5), layer(reads="input", name="x"), Join(reads=("input", "x"))], "wants 6 features but gets 5"),
        ([Join(reads=("input", "input"))], "cannot come first"),
        ([WORDS, Join()], "wants the names of two nodes or more"),
        ([WORDS, Join(reads="words")], "wants the names of two nodes or more"),
        ([WORDS, dense(name="d"), dense(reads=("words", "d"))], "reads one node, not words, d. Join them before"),
        (
            [WORDS, pool(name="p"), Join(reads=("words", "p"))],
            "'p' beside 'words': one row of each sequence is not a row",
        ),
        ([WORDS, layer(name="l"), pool(), Pool(modes=("last",), reads="words")], "or read one"),
        ([WORDS, dense(name="d"), layer(), Pool(modes=("last",), reads="d")], "or read one"),
        ([WORDS, pool(name="p"), layer(reads="p")], "cannot follow a pool"),
        ([pool(), layer(name="x"), pool(reads="x")], "cannot come first"),
        ([WORDS, dense(), Tied(vocabulary_size=40, size=6, table="other")], "wants the table of 'other'"),
        (
            [Embed(vocabulary_size=40, size=6), Tied(vocabulary_size=40, size=6, table="words")],
            "of 'words', which is no",
        ),
        ([WORDS, dense(), Crf(tags=6), dense(reads="words")], "must come last"),
        ([WORDS, pool(name="p"), Wide(features=3, outputs=6), dense(reads="p")], "must come last"),
        (
            [
                Split(channels=2, size=6, name="parted"),
                layer(cell="gru", name="encoder"),
                Decode(steps=4, channels=2, size=6, name="four"),
                Decode(steps=3, channels=2, size=6, reads="encoder", name="three"),
                Join(reads=("four", "three")),
            ],
            "3 rows of each of 2 channels of each sequence is not 4 rows",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(nodes: list[Node], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        Network.of(*nodes)


def test_rows_that_grow_without_end_are_refused() -> None:
    """Each of a few joins doubles the features: no file may ask for a row that fills the memory."""
    nodes: list[Node] = [Embed(vocabulary_size=2, size=2**16, name="n0")]
    for index in range(1, 40):
        nodes.append(Dropout(p=0.1, reads=f"n{index - 1}", name=f"d{index}"))
        nodes.append(Join(reads=(f"n{index - 1}", f"d{index}"), name=f"n{index}"))
    with pytest.raises(InputError, match="at most 524,288 are allowed"):
        Network.of(*nodes[:40])


@pytest.mark.parametrize("name", ["", "9", "a b", "a.b", "a" * 65, "ä", 3, ["words"]])
def test_a_name_is_a_word(name: Any) -> None:
    text = json.dumps({"nodes": [{"kind": "dense", "name": name, "in_features": 1, "out_features": 1}]})
    with pytest.raises(InputError, match="name"):
        Network.from_json(text)


def test_the_words_of_a_node_that_spells_have_no_name() -> None:
    letters = (
        Embed(vocabulary_size=9, size=4, name="letters"),
        pool(name="most"),
        Pool(modes=("mean",), reads="letters", name="mean"),
        Join(reads=("mean", "most")),
    )
    spell = Spell(words=Embed(vocabulary_size=40, size=6), characters=letters)
    assert Network.of(spell).output_size == 6 + 8
    with pytest.raises(ValueError, match="have no name"):
        Spell(words=WORDS, characters=letters)


def test_what_was_left_out_is_what_stands_before() -> None:
    """A network that says by name what it would read anyway is the same, but for its text."""
    plain = Network.of(WORDS, layer(), Pool(modes=("last",)), dense(5, 3))
    named = Network.of(
        WORDS,
        layer(reads="words", name="layer"),
        Pool(modes=("last",), reads="layer", name="row"),
        dense(5, 3, reads="row"),
    )
    assert plain.sources == named.sources == ((-1,), (0,), (1,), (2,))
    assert not named.branches
    assert all((a.width, a.pooled) == (b.width, b.pooled) for a, b in zip(plain.gives, named.gives, strict=True))


def test_a_file_without_names_is_what_it_was_byte_for_byte() -> None:
    text = (
        '{"version":1,"nodes":[{"kind":"embed","vocabulary_size":9,"size":4,"dropout":0.0},'
        '{"kind":"recurrent","cell":"gru","input_size":4,"hidden_size":4,"num_layers":1,"bidirectional":false,'
        '"merge":"concat","reverse":false,"bias":true,"dropout":0.0,"recurrent_dropout":0.0,"weight_dropout":0.0},'
        '{"kind":"tied","vocabulary_size":9,"size":4}]}'
    )
    network = Network.from_json(text)
    assert network.to_json() == text
    again = Network.of(
        Embed(vocabulary_size=9, size=4), layer(cell="gru", input_size=4, hidden_size=4), network.nodes[2]
    )
    assert again.to_json() == text


def test_names_are_written_and_read() -> None:
    text = BRANCHES["tied by name"].to_json()
    nodes = json.loads(text)["nodes"]
    assert [node.get("name") for node in nodes] == ["words", "lower", "upper", None, None, None]
    assert (nodes[3]["reads"], nodes[5]["table"]) == (["lower", "upper"], "words")
    assert Network.from_json(text) == BRANCHES["tied by name"]
    one = Network.of(dense(name="a"), dense(reads="a"))
    assert json.loads(one.to_json())["nodes"][1]["reads"] == "a"


def test_each_node_says_which_rows_it_hands_on() -> None:
    encoder = Recurrent(cell="gru", input_size=6, hidden_size=6, name="encoder")
    network = Network.of(Split(channels=3, size=6), encoder, Decode(steps=4, channels=3, size=6), pool(), dense())
    parted, read, decoded, pooled, last = network.gives
    assert (parted.channels, read.steps, decoded.steps, decoded.pooled) == (3, 0, 4, False)
    assert (pooled.steps, pooled.pooled, last.width) == (0, True, 6)
    assert decoded.beside(Rows(None, 1, channels=3, steps=4)) and not decoded.beside(pooled)
