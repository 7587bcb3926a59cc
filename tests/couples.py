"""Networks that read pairs, attend, or begin with states of other nodes."""

from __future__ import annotations

from typing import Any

from tidegate.network import Attend, Dense, Dropout, Embed, Join, Network, Node, Pool, Recurrent, Take, Tied

WORDS = Embed(vocabulary_size=40, size=6, name="words")
SOURCE, TARGET = Take(side="source", reads="words"), Take(side="target", reads="words")


def layer(**changes: Any) -> Recurrent:
    usual: dict[str, Any] = {"cell": "lstm", "input_size": 6, "hidden_size": 5}
    return Recurrent(**usual | changes)


def encoder(**changes: Any) -> tuple[Node, ...]:
    """Read the source both ways: 10 features a row."""
    return SOURCE, layer(bidirectional=True, name="encoder", **changes)


def bridge(width: int, size: int) -> tuple[Node, ...]:
    """Make the states that a decoder begins with of the ends and of the mean of a source."""
    pooled = Pool(modes=("last", "mean"), reads="encoder")
    return pooled, Dense(in_features=width, out_features=size, activation="tanh", name="bridge")


def hop(index: int, query: int, score: Any = "general", **changes: Any) -> tuple[Node, ...]:
    """Attend, and put what was attended to beside what asked."""
    found = Attend(memory="encoder", score=score, query_size=query, memory_size=10, name=f"context{index}", **changes)
    return found, Join(reads=(f"decoder{index}", f"context{index}"))


def translator(dropout: float = 0.0, hidden_words: float = 0.0) -> Network:
    """Make one of two hops, small."""
    return Network.of(
        WORDS.model_copy(update={"dropout": hidden_words}),
        *encoder(recurrent_dropout=dropout),
        *bridge(20, 20),
        TARGET,
        Dropout(p=dropout),
        layer(num_layers=2, starts="bridge", dropout=dropout, recurrent_dropout=dropout, name="decoder1"),
        *hop(1, 5),
        layer(cell="gru", input_size=15, hidden_size=4, name="decoder2"),
        *hop(2, 4),
        Dense(in_features=14, out_features=6, activation="tanh"),
        Dropout(p=dropout, per_sequence=True),
        Tied(vocabulary_size=40, size=6),
    )


COUPLES: dict[str, Network] = {
    "a translation of two hops": translator(),
    "a translation by additive scores": Network.of(
        WORDS,
        *encoder(),
        TARGET,
        layer(cell="gru", name="decoder1"),
        *hop(1, 5, "additive", size=7),
        Dense(in_features=15, out_features=9),
    ),
    "a translation by products": Network.of(
        WORDS,
        SOURCE,
        layer(cell="gru", bidirectional=True, merge="ave", name="encoder"),
        Pool(modes=("mean",)),
        Dense(in_features=5, out_features=5, name="bridge"),
        TARGET,
        layer(cell="rnn_tanh", starts="bridge", name="decoder"),
        Attend(memory="encoder", score="dot", query_size=5, memory_size=5, name="context"),
        Join(reads=("decoder", "context", "decoder")),
        Dense(in_features=15, out_features=9),
    ),
    "both sides of pairs, pooled": Network.of(
        WORDS,
        Dense(in_features=6, out_features=6, activation="tanh", name="shared"),
        Take(side="source"),
        layer(),
        Pool(modes=("last", "max"), name="left"),
        Take(side="target", reads="shared"),
        layer(cell="gru"),
        Pool(modes=("mean",), name="right"),
        Join(reads=("left", "right")),
        Dense(in_features=15, out_features=3),
    ),
    "a text that attends to itself": Network.of(
        WORDS,
        layer(name="read"),
        Attend(memory="words", query_size=5, memory_size=6, name="context"),
        Join(reads=("read", "context")),
        Pool(modes=("mean", "max")),
        Dense(in_features=22, out_features=3),
    ),
    "states of both directions that another layer begins with": Network.of(
        WORDS,
        layer(cell="gru"),
        Pool(modes=("last", "mean")),
        Dense(in_features=10, out_features=32, name="begin"),
        layer(bidirectional=True, hidden_size=4, num_layers=2, reads="words", starts="begin", merge="sum"),
        Dense(in_features=4, out_features=3),
    ),
}
COUPLES_THAT_DROP: dict[str, Network] = {"a translation that drops": translator(0.3, hidden_words=0.2)}
