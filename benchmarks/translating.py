"""How fast is a translator trained and searched, beside JoeyNMT's recurrent one and beside plain PyTorch?

Multi30k, German to English, as subwords of a vocabulary that all share, in batches of 64 pairs of like length, which is
the best mode of those who pad; and in batches as they come. Embedding 256, an encoder of 256 units each way, a decoder
of one layer of 512, which JoeyNMT's and `torch, input feeding` feed what it attended to. `torch, the same network` is
that of Tidegate, and both must lose the same before. Updates are whole: loss, gradient, clipping, Adam. A search
follows 5 outputs of each of 64 sentences, of all at once or of 8 one by one, each to 15 tokens, so that none ends
sooner elsewhere.

Everybody has one thread, and time is that of the processor: the machine may have other work.

    python -m benchmarks.translating [--rounds 5] [--compile]

JoeyNMT takes part where it is installed; see `benchmarks.joeynmt_translator`.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

import tidegate as tg
from benchmarks import command
from benchmarks.ctc import timed
from benchmarks.input_feeding import batch_of, check, multi30k, tidegate_network
from benchmarks.joeynmt_translator import JoeyNmt
from benchmarks.race import Outcome, ratios
from benchmarks.record import OURS, machine, save
from benchmarks.torch_translators import Batch, Hops, InputFeeding, Sizes, Translator
from tidegate.data.pairs.subwords import train_subwords
from tidegate.engine import CrossEntropy, Optimiser, Program, Rule
from tidegate.ragged import Ragged
from tidegate.runtime import Executor
from tidegate.tasks.translating.reading import Corpus, Reading
from tidegate.tasks.translating.searching import Rules, searcher

Array: TypeAlias = npt.NDArray[Any]

VOCABULARY, BATCH, BATCHES = 8000, 64, 6
BEAM, STEPS, SENTENCES, FEW = 5, 15, 64, 8
RATE, SMOOTHING, LONGEST_GRADIENT = 1e-3, 0.1, 1.0
SIZES = Sizes(vocabulary=0, decoder=512, layers=1, dropout=0.3)
SAME = "torch, the same network"


@dataclass(frozen=True)
class Work:
    """Hold what is read: the pairs of batches, by number, and sentences to translate."""

    reading: Reading
    corpus: Corpus
    alike: list[Array]
    mixed: list[Array]
    sentences: Ragged

    @property
    def sizes(self) -> Sizes:
        """The sizes of all translators."""
        return replace(SIZES, vocabulary=self.reading.size)

    def tokens(self, batches: Sequence[Array]) -> int:
        """Count the tokens of both sides of some batches, marks included."""
        return int(sum(self.corpus.lengths[indices].sum() for indices in batches))


def load() -> Work:
    """Read the data, and choose batches: of sorted pairs from all over, and of pairs by chance."""
    train, test = multi30k("train", "test")
    sides = [list(side) for side in zip(*train, strict=True)]
    reading = Reading(train_subwords([text for side in sides for text in side], VOCABULARY), "de", "en")
    corpus = Corpus.of(reading, *(reading.subwords.encode(side) for side in sides))
    order = np.lexsort((np.asarray(corpus.inputs.lengths), np.asarray(corpus.sources.lengths)))
    begins = np.linspace(0, len(order) - BATCH, 2 * BATCHES + 1).astype(int)[1::2]
    alike = [order[begin : begin + BATCH] for begin in begins]
    mixed = np.split(np.random.default_rng(0).permutation(len(order))[: BATCH * BATCHES], BATCHES)
    return Work(reading, corpus, alike, mixed, reading.sources([text for text, _ in test[:SENTENCES]]))


class Ours:
    """Train and search in the core."""

    def __init__(self, work: Work) -> None:
        self._work = work
        network, weights = tidegate_network(work.sizes)
        self._program = Program(network, weights, num_threads=1)
        self._optimiser = Optimiser(self._program, Rule("adam"))
        weights[f"{len(network.nodes) - 1}.bias"][work.reading.end] = -1e9  # no output ends
        self._search = searcher(Executor(network, weights), work.reading)

    def step(self, indices: Array) -> None:
        """Make one update."""
        pairs, labels = self._work.corpus.batch(indices)
        weight = np.full(len(indices), 1 / len(labels))
        self._program.gradient(pairs, CrossEntropy(labels, weight, label_smoothing=SMOOTHING))
        length = float(np.sqrt(sum(part**2 for part in self._optimiser.lengths().values())))
        self._optimiser.apply(RATE, scale=min(1.0, LONGEST_GRADIENT / length))

    def search(self, sentences: Ragged) -> int:
        """Search outputs of all sentences, and count their tokens."""
        rules = Rules(beam=BEAM, max_length=STEPS)
        found = self._search.search(sentences, rules, lengths=np.asarray(sentences.lengths) - 1)
        return sum(len(best.ids) for (best,) in found)


class Theirs:
    """Train in PyTorch, and search where the decoder goes step by step."""

    def __init__(self, model: Translator, work: Work) -> None:
        self._work, self._model = work, model
        self._optimiser = torch.optim.Adam(model.parameters(), lr=RATE, fused=True)

    def step(self, indices: Array) -> None:
        """Make one update."""
        batch = batch_of(self._work.corpus, indices)
        self._model.train()
        self._optimiser.zero_grad()
        lost = torch.nn.functional.cross_entropy(self._model(batch), batch.labels, label_smoothing=SMOOTHING)
        torch.autograd.backward(lost)
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), LONGEST_GRADIENT)
        self._optimiser.step()

    def search(self, sentences: Ragged) -> int:
        """Search outputs of all sentences, and count their tokens."""
        assert isinstance(self._model, InputFeeding), "the other is not written"
        reading = self._work.reading
        self._model.eval()
        batch = Batch.of(list(sentences), list(sentences), np.zeros(1))
        barred = [reading.end, reading.start, reading.subwords.unknown]
        found = self._model.search(
            batch.source, batch.lengths, start=reading.start, beam=BEAM, steps=STEPS, barred=barred
        )
        return int(found[:, 0].numel())


class Joey:
    """Train and search in JoeyNMT."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._joey = JoeyNmt(work.sizes, rate=RATE, longest_gradient=LONGEST_GRADIENT, smoothing=SMOOTHING)

    def step(self, indices: Array) -> None:
        """Make one update."""
        corpus = self._work.corpus
        targets = [ids[1:] for ids in corpus.inputs.select(indices)]
        self._joey.step(self._joey.batch(list(corpus.sources.select(indices)), targets))

    def search(self, sentences: Ragged) -> int:
        """Search outputs of all sentences, and count their tokens."""
        return int(self._joey.search(self._joey.batch(list(sentences)), beam=BEAM, steps=STEPS).size)


Engine: TypeAlias = Ours | Theirs | Joey


def engines(work: Work, outcome: Outcome, *, compiled: bool) -> dict[str, Engine]:
    """Make all who take part."""
    made: dict[str, Engine] = {OURS: Ours(work), SAME: Theirs(Hops(work.sizes), work)}
    made["torch, input feeding"] = Theirs(InputFeeding(work.sizes), work)
    if compiled:
        model = InputFeeding(work.sizes)
        model.step = torch.compile(model.step, dynamic=True)  # type: ignore[method-assign]
        made["torch, input feeding, compiled"] = Theirs(model, work)
    try:
        made["JoeyNMT"] = Joey(work)
    except ModuleNotFoundError as missing:
        outcome.absent["JoeyNMT"] = f"{missing.name} is not installed; see benchmarks.joeynmt_translator"
    else:
        outcome.versions["joeynmt"] = version("joeynmt")
    return made


def race(ways: Mapping[str, Callable[[], object]], rounds: int, outcome: Outcome) -> None:
    """Let all go once to be warm, then time them A B B A."""
    for number in range(rounds + 1):
        for name in list(ways) if number % 2 else list(ways)[::-1]:
            seconds = timed(ways[name], time.process_time)
            if number:
                outcome.add(name, seconds)
        print(f"round {number} of {rounds}", flush=True)


def run(rounds: int, *, compiled: bool) -> None:
    """Answer all three questions, print and keep the samples."""
    where, work = machine(1), load()
    tg.kernels.set_num_threads(1)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    check(work.corpus, work.sizes)
    setting = {"vocabulary": work.reading.size, "batch": BATCH, "batches": BATCHES, "time": "of the processor"}
    for name, batches in (("alike", work.alike), ("mixed", work.mixed)):
        outcome = Outcome()
        made = engines(work, outcome, compiled=compiled)
        race({who: partial(_train, one, batches) for who, one in made.items()}, rounds, outcome)
        tell(f"translating-train-{name}", where, outcome, work.tokens(batches), setting)
    for name, size in (("batch", SENTENCES), ("one", 1)):
        outcome = Outcome()
        made = engines(work, outcome, compiled=compiled)
        parts = [work.sentences.select(np.arange(at, at + size)) for at in range(0, max(size, FEW), size)]
        ways = {who: partial(_search, one, parts) for who, one in made.items() if who != SAME}
        tokens = STEPS * sum(map(len, parts))
        if any(search() != tokens for search in ways.values()):
            raise SystemExit(f"outputs are not all of {STEPS} tokens")
        race(ways, rounds, outcome)
        told = setting | {"beam": BEAM, "sentences": sum(map(len, parts)), "together": size}
        tell(f"translating-beam-{name}", where, outcome, tokens, told)


def _train(one: Engine, batches: list[Array]) -> None:
    for indices in batches:
        one.step(indices)


def _search(one: Engine, parts: list[Ragged]) -> int:
    return sum(one.search(sentences) for sentences in parts)


def tell(name: str, where: dict[str, Any], outcome: Outcome, tokens: int, setting: dict[str, Any]) -> None:
    """Print how many tokens there were a second, and the ratios; keep the samples."""
    save(name, __doc__, where, setting=setting, outcome=outcome, tokens=tokens)
    for who, seconds in outcome.seconds.items():
        middle, least, most = ratios(seconds, outcome.seconds[OURS])
        speed = tokens / statistics.median(seconds)
        print(f"{name}, {who}: {speed:,.0f} tokens a second, {middle:.1f} times ({least:.1f} - {most:.1f})")


def main() -> None:
    """Answer the question."""
    parser = command.parser(__doc__)
    parser.add_argument("--compile", action="store_true", help="also compile the step of input feeding")
    args = parser.parse_args()
    run(args.rounds, compiled=args.compile)


if __name__ == "__main__":
    main()
