"""Builds the network of a translator by one rule. Knows nodes and sizes, neither texts nor weights.

The rows of the output are the tokens of the target so far. A recurrent layer reads these alone and attends to what the
encoder says of the input; with two hops it hands both to a second layer, which remembers what was attended and attends
again. So no node waits for another within a step, as it does where what was attended is fed back into the input (Luong
et al. 2015, section 3.3), and each node runs over all steps at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from tidegate.cells import CELLS, CellName
from tidegate.network import Attend, Dense, Dropout, Embed, Join, Network, Node, Pool, Recurrent, Score, Take, Tied

Hops: TypeAlias = Literal[1, 2]


@dataclass(frozen=True)
class Rule:
    """Say how large a network is, and what is dropped in training.

    vocabulary_size: ids of both sides, marks included.
    cell: of all recurrent layers.
    embedding_size: features of a token, on both sides and where the output is compared with them.
    hidden_size: units of each direction of the encoder.
    decoder_size: units of each layer of the decoder.
    num_layers: layers of the encoder.
    hops: how often the input is attended to, and layers of the decoder.
    attention: how a row of the decoder is compared with one of the encoder.
    starts: whether the decoder begins with what the encoder says of the whole input, rather than zeros.
    dropout: share of features dropped where they enter a layer, the same at all steps of a sequence.
    recurrent_dropout: the same where a state enters its own layer again.
    word_dropout: share of words of both sides that are hidden from an update.
    """

    vocabulary_size: int
    cell: CellName
    embedding_size: int
    hidden_size: int
    decoder_size: int
    num_layers: int
    hops: Hops
    attention: Score
    starts: bool
    dropout: float
    recurrent_dropout: float
    word_dropout: float


def build(rule: Rule) -> Network:
    """Build the network of a rule, which reads `Pairs` of ids and scores what follows each token of the target."""
    return Network.of(
        Embed(vocabulary_size=rule.vocabulary_size, size=rule.embedding_size, dropout=rule.word_dropout, name="table"),
        *_encoder(rule),
        *_bridges(rule),
        *_decoder(rule),
    )


def _encoder(rule: Rule) -> list[Node]:
    recurrent = Recurrent(
        cell=rule.cell, input_size=rule.embedding_size, hidden_size=rule.hidden_size, num_layers=rule.num_layers,
        bidirectional=True, dropout=rule.dropout if rule.num_layers > 1 else 0.0,
        recurrent_dropout=rule.recurrent_dropout, name="encoder",
    )  # fmt: skip
    return [Take(side="source", reads="table", name="source"), *_dropped(rule, "source"), recurrent]


def _bridges(rule: Rule) -> list[Node]:
    """Make of the mean of what the encoder says the states with which the layers of the decoder begin."""
    if not rule.starts:
        return []
    size, states = 2 * rule.hidden_size, rule.decoder_size * (2 if CELLS[rule.cell].carries_c else 1)
    bridges = [
        Dense(in_features=size, out_features=states, activation="tanh", reads="gist", name=f"bridge{hop}")
        for hop in range(1, rule.hops + 1)
    ]
    return [Pool(modes=("mean",), reads="encoder", name="gist"), *bridges]


def _decoder(rule: Rule) -> list[Node]:
    nodes: list[Node] = [Take(side="target", reads="table", name="target"), *_dropped(rule, "target")]
    width = rule.embedding_size
    for hop in range(1, rule.hops + 1):
        recurrent = Recurrent(
            cell=rule.cell, input_size=width, hidden_size=rule.decoder_size, recurrent_dropout=rule.recurrent_dropout,
            starts=f"bridge{hop}" if rule.starts else None, name=f"decoder{hop}",
        )  # fmt: skip
        attend = Attend(
            memory="encoder", score=rule.attention, query_size=rule.decoder_size, memory_size=2 * rule.hidden_size,
            size=rule.decoder_size if rule.attention == "additive" else None, name=f"attention{hop}",
        )  # fmt: skip
        joined = Join(reads=(f"decoder{hop}", f"attention{hop}"), name=f"joined{hop}")
        nodes += [recurrent, attend, joined, *_dropped(rule, f"joined{hop}")]
        width = rule.decoder_size + 2 * rule.hidden_size
    return [
        *nodes,
        Dense(in_features=width, out_features=rule.embedding_size, activation="tanh"),
        *([Dropout(p=rule.dropout)] if rule.dropout else []),
        Tied(vocabulary_size=rule.vocabulary_size, size=rule.embedding_size, table="table"),
    ]


def _dropped(rule: Rule, what: str) -> list[Node]:
    return [Dropout(p=rule.dropout, per_sequence=True, reads=what)] if rule.dropout else []
