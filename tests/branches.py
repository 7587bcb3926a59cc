"""Networks that branch: nodes read earlier ones by name, and are joined again."""

from __future__ import annotations

from typing import Any

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
    Spell,
    Split,
    Tied,
    Wide,
)

WORDS = Embed(vocabulary_size=40, size=6, name="words")


def layer(**changes: Any) -> Recurrent:
    usual: dict[str, Any] = {"cell": "lstm", "input_size": 6, "hidden_size": 5}
    return Recurrent(**usual | changes)


def ended(*nodes: Node, width: int, out: int = 3) -> Network:
    """Put a dense node behind others."""
    return Network.of(*nodes, Dense(in_features=width, out_features=out))


BRANCHES: dict[str, Network] = {
    "two branches over the words, and the words": ended(
        WORDS,
        layer(bidirectional=True),
        Pool(modes=("last", "max"), name="read"),
        layer(cell="gru", reads="words", hidden_size=4),
        Pool(modes=("mean",), name="mean"),
        Pool(modes=("max", "mean"), reads="words", name="bag"),
        Join(reads=("mean", "read", "bag")),
        width=4 + 20 + 12,
    ),
    "features and what a layer makes of them, every step": ended(
        layer(num_layers=2, name="above", dropout=0.0),
        layer(cell="gru", reads="input", hidden_size=3, name="aside"),
        Join(reads=("above", "input", "aside")),
        width=5 + 6 + 3,
    ),
    "one output read by four": ended(
        WORDS,
        Dense(in_features=6, out_features=6, activation="tanh", name="middle"),
        layer(),
        Pool(modes=("last",), name="first"),
        layer(cell="gru", reads="middle", reverse=True),
        Pool(modes=("last",), name="second"),
        Pool(modes=("max",), reads="middle", name="third"),
        Pool(modes=("first",), reads="middle", name="fourth"),
        Join(reads=("first", "second", "third", "fourth")),
        width=5 + 5 + 6 + 6,
    ),
    "one layer pooled twice": ended(
        WORDS,
        layer(name="layer", bidirectional=True, merge="sum"),
        Pool(modes=("last",), name="last"),
        Pool(modes=("last", "max"), reads="layer", name="more"),
        Join(reads=("more", "last")),
        width=15,
    ),
    "a tagger that joins": Network.of(
        WORDS,
        layer(bidirectional=True, name="upper"),
        Join(reads=("upper", "words")),
        Dense(in_features=16, out_features=4),
        Crf(tags=4),
    ),
    "a tagger whose spelling branches": Network.of(
        Spell(
            words=Embed(vocabulary_size=40, size=6),
            characters=(
                Embed(vocabulary_size=15, size=4, name="letters"),
                layer(cell="gru", input_size=4, bidirectional=True),
                Pool(modes=("last",), name="read"),
                Pool(modes=("max",), reads="letters", name="most"),
                Join(reads=("most", "read")),
            ),
        ),
        layer(input_size=20),
        Dense(in_features=5, out_features=4),
        Crf(tags=4),
    ),
    "tied by name": Network.of(
        WORDS,
        layer(hidden_size=6, name="lower"),
        layer(hidden_size=6, name="upper"),
        Join(reads=("lower", "upper")),
        Dense(in_features=12, out_features=6),
        Tied(vocabulary_size=40, size=6, table="words"),
    ),
    "a wide node behind branches": Network.of(
        WORDS,
        layer(),
        Pool(modes=("last",), name="deep"),
        Pool(modes=("mean",), reads="words", name="bag"),
        Join(reads=("deep", "bag")),
        Dense(in_features=11, out_features=3),
        Wide(features=25, outputs=3),
    ),
    "numbers beside words in two branches": ended(
        Embed(vocabulary_size=40, size=4, beside=2, name="words"),
        layer(),
        Pool(modes=("max",), name="deep"),
        layer(cell="gru", reads="words"),
        Pool(modes=("mean",), name="aside"),
        Join(reads=("aside", "deep")),
        width=10,
    ),
    "two decoders of one encoder": ended(
        Split(channels=3, size=3, shared=2),
        Dense(in_features=5, out_features=6, activation="relu"),
        layer(cell="gru", hidden_size=6, name="encoder"),
        Decode(steps=4, channels=3, size=6, name="ahead"),
        Decode(steps=4, channels=3, size=6, reads="encoder", name="beside"),
        Join(reads=("ahead", "beside")),
        width=12,
        out=2,
    ),
}
BRANCHES_THAT_DROP: dict[str, Network] = {
    "branches that drop": ended(
        Embed(vocabulary_size=40, size=6, dropout=0.3, name="words"),
        Dropout(p=0.2, name="fewer"),
        layer(num_layers=2, bidirectional=True, dropout=0.3, recurrent_dropout=0.2, weight_dropout=0.2),
        Pool(modes=("mean",), name="deep"),
        Dropout(p=0.2, reads="fewer", per_sequence=True),
        Pool(modes=("mean",), name="bag"),
        Join(reads=("bag", "deep")),
        Dropout(p=0.3),
        width=16,
    ),
}
