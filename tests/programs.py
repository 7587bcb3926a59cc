"""Networks of every kind of node that the core trains, each with batches and weights that are drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from branches import BRANCHES, BRANCHES_THAT_DROP
from couples import COUPLES, COUPLES_THAT_DROP
from tidegate.cells import CELLS
from tidegate.documents import Documents, Sparse
from tidegate.grid import Grid
from tidegate.network import (
    Crf,
    Ctc,
    Decode,
    Dense,
    Dropout,
    Embed,
    Flatten,
    Fold,
    Network,
    Pool,
    Recurrent,
    Scan2d,
    Spectrogram,
    Spell,
    Split,
    Tied,
    Unflatten,
    Wide,
    Window,
    parameter_shapes,
)  # fmt: skip
from tidegate.pairs import Pairs
from tidegate.ragged import Ragged
from tidegate.words import Words

Array = npt.NDArray[Any]
WORDS = Embed(vocabulary_size=40, size=6)
BESIDE = Embed(vocabulary_size=40, size=4, beside=2)
FEATURES = Wide(features=25, outputs=3)


def spell(dropout: float) -> Spell:
    reader = Recurrent(cell="lstm", input_size=4, hidden_size=3, bidirectional=True)
    letters = (Embed(vocabulary_size=15, size=4), Dropout(p=dropout), reader, Pool(modes=("last",)))
    return Spell(words=WORDS, characters=letters)


def layer(**changes: Any) -> Recurrent:
    usual: dict[str, Any] = {"cell": "lstm", "input_size": 6, "hidden_size": 5}
    return Recurrent(**usual | changes)


def classifier(recurrent: Recurrent, *modes: Any, first: Any = WORDS) -> Network:
    width = recurrent.output_size * len(modes)
    activated = Dense(in_features=width, out_features=4, activation="tanh")
    return Network.of(*first and [first], recurrent, Pool(modes=modes), activated, Dense(in_features=4, out_features=3))


def widened(network: Network) -> Network:
    return Network.of(*network.nodes, FEATURES)


def tagger(first: Any) -> Network:
    width = first.size if isinstance(first, Embed) else first.output_size
    read = layer(cell="gru", input_size=width, bidirectional=True)
    return Network.of(first, read, Dense(in_features=read.output_size, out_features=4), Crf(tags=4))


def forecaster(channels: int) -> Network:
    parted = [Split(channels=channels, size=3, shared=2)] if channels > 1 else []
    first = Dense(in_features=5, out_features=6, activation="relu")
    cells = layer(cell="gru", hidden_size=6, num_layers=2)
    return Network.of(
        *parted, first, cells, Decode(steps=4, channels=channels, size=6), Dense(in_features=6, out_features=2)
    )


SCANS: tuple[dict[str, Any], ...] = (
    {"order": "rows-columns", "directions": 4},
    {"order": "columns-rows", "directions": 4, "cell": "gru", "merge": "sum"},
    {"order": "rows-columns", "directions": 2, "cell": "rnn_tanh", "merge": "mul"},
    {"order": "columns-rows", "directions": 1},
    {"order": "rows", "directions": 2, "cell": "gru", "merge": "ave"},
)


def scanner(**about: Any) -> Network:
    scan = Scan2d(input_size=12, hidden_size=5, **about)
    pool, last = Pool(modes=("mean", "max")), Dense(in_features=2 * scan.output_size, out_features=3)
    return Network.of(Fold(block=(2, 3), size=2), scan, pool, last)


DIAGONALS: tuple[dict[str, Any], ...] = (
    {"cell": "stable", "directions": 1},
    {"cell": "mdlstm", "directions": 2, "merge": "mul"},
    {"cell": "stable", "directions": 4, "merge": "ave"},
    {"cell": "mdlstm", "directions": 4},
)


def scanner_by_diagonals(**about: Any) -> Network:
    first = Scan2d(input_size=4, hidden_size=5, **about)
    second = Scan2d(input_size=2 * first.output_size, hidden_size=3, **about)
    pool, last = Pool(modes=("mean", "max")), Dense(in_features=2 * second.output_size, out_features=3)
    return Network.of(Fold(block=(2, 1), size=2), first, Fold(block=(1, 2), size=first.output_size), second, pool, last)


NETWORKS: dict[str, Network] = {
    **{f"{cell}, both ways": classifier(layer(cell=cell, bidirectional=True), "max") for cell in CELLS},
    **{
        f"merged by {merge}": classifier(layer(bidirectional=True, merge=merge, num_layers=2), "last", "mean")
        for merge in ("concat", "sum", "mul", "ave")
    },
    "all ways of pooling": classifier(layer(num_layers=2), "first", "last", "max", "mean"),
    "reverse, without bias": classifier(layer(reverse=True, bias=False), "last", "max"),
    "features": classifier(layer(cell="gru"), "mean", first=()),
    "every step": Network.of(WORDS, layer(), Dense(in_features=5, out_features=3)),
    "words read before the layer": Network.of(
        WORDS, Dense(in_features=6, out_features=6, activation="sigmoid"), layer()
    ),
    "tied": Network.of(WORDS, layer(hidden_size=6), Tied(vocabulary_size=40, size=6)),
    "tagger": tagger(WORDS),
    "tagger that spells": tagger(spell(0.0)),
    "numbers beside the words": classifier(layer(bidirectional=True), "max", "mean", first=BESIDE),
    "numbers beside, every step": Network.of(BESIDE, layer(cell="gru"), Dense(in_features=5, out_features=3)),
    "words and a wide node": widened(classifier(layer(), "last")),
    "numbers beside, and a wide node": widened(classifier(layer(bidirectional=True), "max", "mean", first=BESIDE)),
    "frames of rows that overlap": Network.of(
        Window(width=5, stride=2, size=3),
        layer(input_size=15),
        Window(width=2, stride=3),
        Dense(in_features=10, out_features=3),
    ),
    "rows that are skipped, pooled": Network.of(
        WORDS, layer(), Window(width=1, stride=4), Pool(modes=("max", "mean")), Dense(in_features=10, out_features=3)
    ),
    "frames that spell": Network.of(
        Window(width=3, stride=3, size=4),
        layer(input_size=12, bidirectional=True),
        Dense(in_features=10, out_features=5),
        Ctc(symbols=5),
    ),
    "a sound that spells": Network.of(
        Spectrogram(rate=100, frame=16, hop=4, bands=4, low=2, high=50),
        layer(input_size=4),
        Dense(in_features=5, out_features=3),
        Ctc(symbols=3),
    ),
    **{f"images, {about['order']} in {about['directions']} direction(s)": scanner(**about) for about in SCANS},
    **{
        f"images, {about['cell']} in {about['directions']} direction(s)": scanner_by_diagonals(**about)
        for about in DIAGONALS
    },
    "cells of images, each answered": Network.of(
        Dense(in_features=2, out_features=4, activation="tanh"),
        Scan2d(input_size=4, hidden_size=3),
        Dense(in_features=6, out_features=3),
    ),
    "columns that spell": Network.of(
        Scan2d(input_size=2, hidden_size=4, order="columns", directions=1),
        Flatten(mode="last"),
        layer(input_size=4, bidirectional=True),
        Dense(in_features=10, out_features=5),
        Ctc(symbols=5),
    ),
    "columns that are summed, and read by steps": Network.of(
        Fold(block=(2, 2), size=2),
        Scan2d(input_size=8, hidden_size=4, directions=2),
        Flatten(mode="sum"),
        layer(input_size=4, cell="gru"),
    ),
    "sequences as images": Network.of(
        Unflatten(cells=4, features=2),
        Fold(block=(2, 3)),
        Scan2d(input_size=12, hidden_size=4, directions=2),
        Flatten(mode="concat", cells=2),
        layer(input_size=8, cell="gru"),
        Dense(in_features=5, out_features=4),
        Ctc(symbols=4),
    ),
    "sequences whose steps are rows": Network.of(
        Dense(in_features=3, out_features=6, activation="tanh"),
        Unflatten(axis="y", cells=3, features=2),
        Scan2d(input_size=2, hidden_size=3),
        Pool(modes=("mean",)),
        Dense(in_features=6, out_features=3),
    ),
    "rows side by side": Network.of(
        Scan2d(input_size=2, hidden_size=3),
        Flatten(axis="y", mode="concat", cells=13),
        layer(input_size=78),
        Pool(modes=("last",)),
        Dense(in_features=5, out_features=3),
    ),
    "one series": forecaster(1),
    "three channels": forecaster(3),
    **BRANCHES,
    **COUPLES,
}
DROPPING = {
    **BRANCHES_THAT_DROP,
    **COUPLES_THAT_DROP,
    "everything that is dropped": Network.of(
        Embed(vocabulary_size=40, size=6, dropout=0.3),
        layer(num_layers=2, bidirectional=True, merge="sum", dropout=0.3, recurrent_dropout=0.2, weight_dropout=0.25),
        Dropout(p=0.2, per_sequence=True),
        Pool(modes=("mean",)),
        Dropout(p=0.3),
        Dense(in_features=5, out_features=3),
    ),
    "what stands beside, where much is dropped": Network.of(
        Embed(vocabulary_size=40, size=4, dropout=0.3, beside=2),
        layer(bidirectional=True, merge="sum", recurrent_dropout=0.2),
        Pool(modes=("mean",)),
        Dropout(p=0.3),
        Dense(in_features=5, out_features=3),
        FEATURES,
    ),
    "a tagger that drops": Network.of(
        spell(0.3),
        layer(input_size=12, dropout=0.0, recurrent_dropout=0.3),
        Dropout(p=0.3),
        Dense(in_features=5, out_features=4),
        Crf(tags=4),
    ),
}

# What the core cuts another way: threads share the few sequences, or a long one is lost part by part.
LARGE: dict[str, tuple[Network, dict[str, int]]] = {
    f"{size} sequence(s) of a wide {cell}": (
        classifier(layer(cell=cell, hidden_size=300, bidirectional=True), "max", "last"),
        {"size": size, "longest": 20},
    )
    for cell in CELLS
    for size in (1, 2)
} | {
    "one long text with numbers beside": (NETWORKS["numbers beside, every step"], {"size": 2, "longest": 600}),
    "one long text, tied": (NETWORKS["tied"], {"size": 2, "longest": 600}),
    "long texts": (NETWORKS["every step"], {"longest": 600}),
}

# Texts whose gates are too many to be kept.
LONG: dict[str, tuple[Network, dict[str, int]]] = {
    f"a text that is cut in time, {cell}": (
        classifier(layer(cell=cell, hidden_size=16, bidirectional=True), "mean", "last", first=first),
        {"size": 3, "longest": longest},
    )
    for cell, longest, first in (("lstm", 80_000, WORDS), ("gru", 90_000, ()), ("rnn_tanh", 180_000, WORDS))
} | {
    "a text that is cut in time in each of two branches": (
        BRANCHES["one output read by four"],
        {"size": 3, "longest": 300_000},
    ),
    "a text that is cut in time, with numbers beside": (
        widened(classifier(layer(hidden_size=16, bidirectional=True), "mean", "last", first=BESIDE)),
        {"size": 3, "longest": 80_000},
    ),
}


def batch_of(
    network: Network, dtype: Any = np.float64, size: int = 33, longest: int = 60
) -> Ragged | Words | Documents | Pairs:
    """Draw sequences of very different lengths, empty ones among them where a network may read those."""
    rng = np.random.default_rng(1)
    fixed = any(isinstance(node, Decode) for node in network.nodes)
    lengths = np.full(size, 7) if fixed else np.append(rng.integers(0, 12, size - 1), longest)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    if network.reads_pairs:
        others = rng.permutation(offsets[1:] - offsets[:-1])  # of the targets, some of which are empty, too
        target = Ragged(rng.integers(0, 40, others.sum()), np.concatenate([[0], np.cumsum(others)]))
        return Pairs(Ragged(rng.integers(0, 40, offsets[-1]), offsets), target)
    if network.reads_words:
        letters = rng.integers(1, 7, 19)
        spellings = Ragged(rng.integers(0, 15, letters.sum()), np.concatenate([[0], np.cumsum(letters)]))
        return Words(Ragged(rng.integers(0, 40, offsets[-1]), offsets), rng.integers(0, 19, offsets[-1]), spellings)
    if network.reads_images:
        sizes = np.concatenate([rng.integers(0, 14, (size - 3, 2)), [[1, 13], [13, 1], [0, 4]]])
        images = [rng.standard_normal((*shape, network.input_size)).astype(dtype) for shape in sizes]
        return Grid.from_list(images)
    if network.reads_tokens:
        tokens = Ragged(rng.integers(0, 40, offsets[-1]), offsets)
        return documents_of(network, tokens, rng, dtype) if network.reads_documents else tokens
    return Ragged(rng.standard_normal((offsets[-1], network.input_size)).astype(dtype), offsets)


def documents_of(network: Network, tokens: Ragged, rng: np.random.Generator, dtype: Any) -> Documents:
    """Put drawn numbers beside tokens, and features where they are read, of some texts none at all."""
    first, wide = network.nodes[0], network.wide
    width = first.beside if isinstance(first, Embed) else 0
    beside = rng.standard_normal((len(tokens.values), width)).astype(dtype)
    if wide is None:
        return Documents(tokens, beside)
    counts = rng.integers(0, 9, len(tokens))
    columns = Ragged(rng.integers(0, wide.features, counts.sum(), np.int32), np.concatenate([[0], np.cumsum(counts)]))
    return Documents(tokens, beside, Sparse(columns, rng.standard_normal(counts.sum()).astype(dtype)))


def weights_of(network: Network, dtype: Any = np.float64) -> dict[str, Array]:
    rng = np.random.default_rng(0)
    shapes = parameter_shapes(network).items()
    return {  # small enough that no gradient grows over thousands of steps
        name: (rng.standard_normal(shape) * min(0.4, 0.9 / shape[-1] ** 0.5)).astype(dtype) for name, shape in shapes
    }
