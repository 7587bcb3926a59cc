"""What is looking twice at the source worth, beside one look, or beside feeding what was read back into the input?

Four decoders of as many weights each (their widths are chosen so) learn the same pairs of Multi30k, German to English,
with the same updates, the same share of features dropped and the same learning rate, in one training loop of PyTorch.
`one hop` is the network of `Translator`, `two hops` that with `hops=2`, which must lose the same on a batch before.
Measured on the pairs held out: nats per token, and BLEU of the most probable tokens. Small data and small networks:
what is left of a difference when both grow this cannot tell.

    TIDEGATE_DATA=... python -m benchmarks.input_feeding [--pairs 12000] [--epochs 8] [--seeds 2]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

import tidegate as tg
from benchmarks.record import machine, save
from benchmarks.torch_translators import Batch, Hops, InputFeeding, Layers, Sizes, Translator
from tidegate.data.pairs.measures import bleu
from tidegate.data.pairs.subwords import train_subwords
from tidegate.network import Network
from tidegate.runtime import Executor
from tidegate.tasks.translating.building import Rule, build
from tidegate.tasks.translating.choosing import log_probabilities
from tidegate.tasks.translating.reading import Corpus, Reading
from tidegate.train import Recipe, initial_weights
from tidegate.train.recipe import learning_rate

Array: TypeAlias = npt.NDArray[Any]

LONGEST = 18  # tokens of a side
VOCABULARY = 3000
BATCH = 32
SMALL = Sizes(vocabulary=0, embedding=96, encoder=96, decoder=128, layers=2, dropout=0.2)
KINDS: dict[str, tuple[type[Translator], Layers]] = {
    "one hop": (Hops, 1),
    "two hops": (Hops, 2),
    "input feeding, one layer": (InputFeeding, 1),
    "input feeding, two layers": (InputFeeding, 2),
}


@dataclass(frozen=True)
class Data:
    """Hold pairs to learn from and to measure on, as texts and as ids."""

    reading: Reading
    train: Corpus
    held: Corpus
    targets: list[str]


def multi30k(*parts: str) -> list[list[tuple[str, str]]]:
    """Read parts of the data, German and English sentences side by side."""
    options: dict[str, Any] = {"from": "de", "to": "en"}
    found = tg.data.load("multi30k", **options)
    return [list(zip(getattr(found, part).x, getattr(found, part).y, strict=True)) for part in parts]


def load(pairs: int) -> Data:
    """Take the first pairs of Multi30k whose sides are short, and all short ones of the validation part."""
    train, held = multi30k("train", "valid")
    subwords = train_subwords([text for pair in train[: 2 * pairs] for text in pair], VOCABULARY)
    reading = Reading(subwords, "de", "en")

    def short(part: Sequence[tuple[str, str]], most: int) -> tuple[list[str], Corpus]:
        sides = [subwords.encode(list(side)) for side in zip(*part, strict=True)]
        kept = np.flatnonzero(np.max([side.lengths for side in sides], axis=0) <= LONGEST)[:most]
        return [part[at][1] for at in kept], Corpus.of(reading, *(side.select(kept) for side in sides))

    _, learned = short(train, pairs)
    targets, measured = short(held, len(held))
    return Data(reading, learned, measured, targets)


def batch_of(corpus: Corpus, indices: Array) -> Batch:
    """Pad some pairs."""
    pairs, labels = corpus.batch(indices)
    return Batch.of(list(pairs.source), list(pairs.target), labels)


def weigh(model: torch.nn.Module) -> int:
    """Count the weights of a model."""
    return sum(parameter.numel() for parameter in model.parameters())


def sized(kind: str, vocabulary: int) -> Sizes:
    """Choose the width of a decoder so that there are as many weights as with two hops."""
    whole = replace(SMALL, vocabulary=vocabulary)
    wanted, (made, layers) = weigh(Hops(whole)), KINDS[kind]
    widths = [replace(whole, decoder=width, layers=layers) for width in range(96, 321, 4)]
    return min(widths, key=lambda sizes: abs(weigh(made(sizes)) - wanted))


def check(corpus: Corpus, sizes: Sizes) -> None:
    """Make sure that torch's network of hops is Tidegate's: the loss of a batch must be the same."""
    network, weights = tidegate_network(sizes)
    pairs, labels = corpus.batch(np.arange(BATCH))
    wanted = log_probabilities(Executor(network, weights)(pairs), np.arange(len(labels)), labels)
    model = Hops(sizes).eval()
    model.load_tidegate(by_node(network, weights))
    batch = batch_of(corpus, np.arange(BATCH))
    with torch.no_grad():
        lost = torch.nn.functional.cross_entropy(model(batch), batch.labels).item()
    if abs(lost + wanted.mean()) > 1e-4 * lost:
        raise SystemExit(f"the losses differ: {lost} and {-wanted.mean()}")


def tidegate_network(sizes: Sizes) -> tuple[Network, dict[str, Array]]:
    """Build the network of a `Translator` with as many hops as there are layers, without dropout."""
    rule = Rule(
        vocabulary_size=sizes.vocabulary, cell="lstm", embedding_size=sizes.embedding, hidden_size=sizes.encoder,
        decoder_size=sizes.decoder, num_layers=1, hops=sizes.layers, attention="general", starts=True,
        dropout=sizes.dropout, recurrent_dropout=0.0, word_dropout=0.0,
    )  # fmt: skip
    network = build(rule)
    return network, initial_weights(network, seed=0, embedding_scale=(3 / sizes.embedding) ** 0.5)


def by_node(network: Network, weights: dict[str, Array]) -> dict[str, Array]:
    """Put the names of nodes, or else their kinds, in place of their numbers."""
    names = {"dense": "mixed", "tied": "tied"}
    called = [node.name or names.get(node.kind, "") for node in network.nodes]
    return {f"{called[int(name.split('.')[0])]}.{name.split('.', 1)[1]}": array for name, array in weights.items()}


def train(model: Translator, data: Data, recipe: Recipe) -> None:
    """Make the updates of a recipe."""
    model.begin_as_tidegate()
    optimiser = torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    steps = len(data.train) // BATCH
    for step in range(recipe.epochs * steps):
        epoch, at = divmod(step, steps)
        order = np.random.default_rng([recipe.seed, epoch]).permutation(len(data.train))
        batch = batch_of(data.train, order[at * BATCH : (at + 1) * BATCH])
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(recipe, step, total=recipe.epochs * steps)
        optimiser.zero_grad()
        lost = torch.nn.functional.cross_entropy(model(batch), batch.labels, label_smoothing=0.1)
        torch.autograd.backward(lost)
        torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.max_grad_norm)
        optimiser.step()


@torch.no_grad()
def measure(model: Translator, data: Data) -> dict[str, float]:
    """Compute nats per token and BLEU of the part held out; the targets grow by their most probable tokens."""
    model.eval()
    whole = batch_of(data.held, np.arange(len(data.held)))
    nats = torch.nn.functional.cross_entropy(model(whole), whole.labels).item()
    reading, sources = data.reading, list(data.held.sources)
    written = np.full((len(sources), 1), reading.start)
    for _ in range(2 * LONGEST):
        rows = Batch.of(sources, list(written), np.zeros(1))
        last = model.scores(model.said(rows)[:, -1])
        last[:, [reading.subwords.unknown, reading.start]] = -torch.inf
        written = np.concatenate([written, last.argmax(1).numpy()[:, None]], axis=1)
        if (written == reading.end).any(axis=1).all():
            break
    texts = [reading.subwords.decode(row[1 : _end(row, reading.end)].astype(np.int32)) for row in written]
    return {"nats": nats, "bleu": bleu(texts, data.targets).score}


def _end(row: Array, end: int) -> int:
    """Say where a row ends, if it does."""
    at = np.flatnonzero(row == end)
    return int(at[0]) if len(at) else len(row)


def run(pairs: int, epochs: int, seeds: int, threads: int) -> None:
    """Train each decoder from each seed, print and keep what they reach."""
    where, data = machine(threads), load(pairs)
    torch.set_num_threads(threads)
    check(data.train, sized("two hops", data.reading.size))
    found: dict[str, dict[str, list[float]]] = {kind: {"nats": [], "bleu": [], "seconds": []} for kind in KINDS}
    sizes = {kind: sized(kind, data.reading.size) for kind in KINDS}
    for seed in range(seeds):
        for kind, (made, _) in KINDS.items():
            torch.manual_seed(seed)
            model = made(sizes[kind])
            recipe = Recipe(
                epochs, BATCH, 2e-3, weight_decay=0.01, schedule="cosine", warmup=0.05, max_grad_norm=1.0, seed=seed
            )
            begun = time.process_time()
            train(model, data, recipe)
            reached = {"seconds": time.process_time() - begun, **measure(model, data)}
            for name, value in reached.items():
                found[kind][name].append(value)
            told = ", ".join(f"{name} {value:.2f}" for name, value in reached.items())
            print(f"seed {seed}, {kind}: {told}", flush=True)
            _keep(data, where, epochs, sizes, found)


def _keep(
    data: Data, where: dict[str, Any], epochs: int, sizes: dict[str, Sizes], found: dict[str, dict[str, list[float]]]
) -> None:
    """Write down what was found so far."""
    setting = {
        "pairs": len(data.train), "held_out": len(data.held), "longest": LONGEST, "vocabulary": data.reading.size,
        "updates": epochs * (len(data.train) // BATCH), "batch": BATCH,
        "embedding": SMALL.embedding, "encoder": SMALL.encoder,
        "decoder": {kind: one.decoder for kind, one in sizes.items()},
        "weights": {kind: weigh(KINDS[kind][0](one)) for kind, one in sizes.items()},
    }  # fmt: skip
    reached = {kind: each for kind, each in found.items() if each["bleu"]}
    figures = {
        f"{kind}, {name}": statistics.mean(each[name]) for kind, each in reached.items() for name in ("nats", "bleu")
    }
    save("input-feeding", __doc__, where, setting=setting, reached=reached, figures=figures)


def main() -> None:
    """Answer the question."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=12000)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=2)
    args = parser.parse_args()
    run(args.pairs, args.epochs, args.seeds, threads=1)


if __name__ == "__main__":
    main()
