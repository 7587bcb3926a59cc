"""How long does an epoch of a network take that learns to transcribe with CTC, beside PyTorch's LSTM and `ctc_loss`?

And how long does it take to read the same utterances, by the most probable symbol of each frame?

Utterances as short commands have them: 100 frames of 13 numbers a second, one to four seconds, seven symbols of 28 a
second; three frames become one. Three layers of 128 units in each direction, batches of 16 of like length, AdamW.
PyTorch pads its batches and does not pack them, which is its fastest way; before, with packed sequences there, both
must give the same loss of a batch. Rounds alternate in one process. What CTC takes is told by a step whose loss is
cross-entropy instead.

    python -m benchmarks.ctc [--rounds 5]
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import torch

import tidegate as tg
from benchmarks import command
from benchmarks.race import PAUSE, Outcome
from benchmarks.record import OURS, machine, save
from tidegate import ctc
from tidegate.engine import CrossEntropy, CtcLikelihood, Optimiser, Program, Rule
from tidegate.network import Ctc, Dense, Network, Recurrent, Window
from tidegate.ragged import Ragged
from tidegate.runtime import Executor
from tidegate.train import initial_weights

FEATURES, STRIDE, HIDDEN, LAYERS, SYMBOLS, BATCH, UTTERANCES = 13, 3, 128, 3, 29, 16, 128
NETWORK = Network.of(
    Window(width=STRIDE, stride=STRIDE, size=FEATURES),
    Recurrent(cell="lstm", input_size=STRIDE * FEATURES, hidden_size=HIDDEN, num_layers=LAYERS, bidirectional=True),
    Dense(in_features=2 * HIDDEN, out_features=SYMBOLS),
    Ctc(symbols=SYMBOLS),
)
Batch = tuple[list[Any], list[Any]]


def draw_batches() -> list[Batch]:
    """Draw utterances and labels, and put those of like length together."""
    rng = np.random.default_rng(0)
    lengths = np.sort(rng.integers(100, 401, UTTERANCES))
    signals = [rng.standard_normal((length, FEATURES)).astype(np.float32) for length in lengths]
    labels = [rng.integers(1, SYMBOLS, max(length * 7 // 100, 1)) for length in lengths]
    cuts = range(0, UTTERANCES, BATCH)
    return [(signals[first : first + BATCH], labels[first : first + BATCH]) for first in cuts]


class Ours:
    """Train in the core."""

    def __init__(self, weights: dict[str, Any], threads: int) -> None:
        self.program = Program(NETWORK, weights, num_threads=threads)
        self.executor = Executor(NETWORK, weights, num_threads=threads)
        self.optimiser = Optimiser(self.program, Rule("adamw", 0.01))

    def step(self, batch: Batch, *, spells: bool = True) -> float:
        """Make one update; return the loss per symbol. Without `spells` each frame has a class of its own."""
        x, labels = Ragged.from_list(batch[0], dtype=np.float32), ctc.Labels.of(batch[1])
        loss: Any = CtcLikelihood(labels, np.full(len(batch[0]), 1 / len(labels.values)))
        if not spells:
            classes = np.arange(int(np.sum(NETWORK.steps(np.asarray(x.lengths))))) % SYMBOLS
            loss = CrossEntropy(classes, loss.weight)
        lost = self.program.gradient(x, loss)
        self.optimiser.apply(1e-3)
        return lost.total

    def read(self, batch: Batch) -> list[list[int]]:
        """Read what the most probable symbols spell."""
        x = Ragged.from_list(batch[0], dtype=np.float32)
        offsets = np.cumsum([0, *NETWORK.steps(np.asarray(x.lengths))]).astype(np.int64)
        found = ctc.greedy(ctc.Frames(self.executor(x), offsets))
        return [found.symbols[begin:end].tolist() for begin, end in pairwise(found.begins.tolist())]


class Theirs(torch.nn.Module):
    """The same with torch's own layers."""

    def __init__(self, weights: dict[str, Any]) -> None:
        super().__init__()
        inputs = STRIDE * FEATURES
        self.lstm = torch.nn.LSTM(inputs, HIDDEN, LAYERS, bidirectional=True, batch_first=True)
        self.dense = torch.nn.Linear(2 * HIDDEN, SYMBOLS)
        named = {("lstm." if name[0] == "1" else "dense.") + name[2:]: array for name, array in weights.items()}
        self.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in named.items()})
        self.optimiser = torch.optim.AdamW(self.parameters(), lr=1e-3, weight_decay=0.01)

    def score(self, batch: Batch, *, packed: bool) -> tuple[Any, Any]:
        """Return the scores of padded frames, and how many there are of each utterance."""
        counts = [-(-len(signal) // STRIDE) for signal in batch[0]]
        x = torch.zeros(len(counts), max(counts) * STRIDE, FEATURES)
        for row, signal in enumerate(batch[0]):
            x[row, : len(signal)] = torch.from_numpy(signal)
        x, lengths = x.reshape(len(counts), max(counts), STRIDE * FEATURES), torch.tensor(counts)
        if packed:
            sequence = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
            h, _ = torch.nn.utils.rnn.pad_packed_sequence(self.lstm(sequence)[0], batch_first=True)
        else:
            h, _ = self.lstm(x)
        return self.dense(h), lengths

    def lose(self, batch: Batch, *, packed: bool) -> Any:
        """Return the loss per symbol of a batch."""
        scores, lengths = self.score(batch, packed=packed)
        logs = scores.log_softmax(2).transpose(0, 1)
        labels, sizes = torch.from_numpy(np.concatenate(batch[1])), torch.tensor([len(label) for label in batch[1]])
        lost = torch.nn.functional.ctc_loss(logs, labels, lengths, sizes, reduction="sum")
        return lost / sizes.sum()

    @torch.no_grad()
    def read(self, batch: Batch, *, packed: bool = False) -> list[list[int]]:
        """Read what the most probable symbols spell."""
        scores, lengths = self.score(batch, packed=packed)
        rows = zip(scores.argmax(2), lengths.tolist(), strict=True)
        paths = [torch.unique_consecutive(row[:length]) for row, length in rows]
        return [path[path != 0].tolist() for path in paths]

    def step(self, batch: Batch) -> float:
        """Make one update; return the loss per symbol."""
        self.optimiser.zero_grad()
        lost = self.lose(batch, packed=False)
        lost.backward()
        self.optimiser.step()
        return float(lost.detach())


def timed(work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """Wait until the threads of others sleep, then time a round."""
    time.sleep(PAUSE)
    begun = clock()
    work()
    return clock() - begun


def run(rounds: int, threads: int) -> None:
    """Compare, print and keep the samples."""
    where, batches = machine(threads), draw_batches()
    tg.kernels.set_num_threads(threads)
    torch.set_num_threads(threads)
    weights = initial_weights(NETWORK, seed=0)
    ours, theirs = Ours(weights, threads), Theirs(weights)
    if ours.read(batches[-1]) != theirs.read(batches[-1], packed=True):
        raise SystemExit("the same utterances are read as something else")
    with torch.no_grad():
        wanted = theirs.lose(batches[-1], packed=True).item()
    found = ours.step(batches[-1])
    if abs(found - wanted) > 1e-4 * wanted:
        raise SystemExit(f"the losses differ: {found} and {wanted}")
    ways: dict[str, Callable[[], object]] = {
        OURS: lambda: [ours.step(batch) for batch in batches],
        "tidegate with cross-entropy": lambda: [ours.step(batch, spells=False) for batch in batches],
        "torch, padded": lambda: [theirs.step(batch) for batch in batches],
        "tidegate, reading": lambda: [ours.read(batch) for batch in batches],
        "torch, padded, reading": lambda: [theirs.read(batch) for batch in batches],
    }
    outcome, clock = Outcome(), time.process_time if threads == 1 else time.perf_counter
    for number in range(rounds + 1):  # the first one warms up
        for name, work in ways.items():
            seconds = timed(work, clock)
            if number:
                outcome.add(name, seconds)
    middle = {name: statistics.median(seconds) for name, seconds in outcome.seconds.items()}
    figures = {
        "torch / tidegate": middle["torch, padded"] / middle[OURS],
        "torch / tidegate, reading": middle["torch, padded, reading"] / middle["tidegate, reading"],
        "what CTC takes of an epoch beyond cross-entropy": 1 - middle["tidegate with cross-entropy"] / middle[OURS],
    }
    setting = {"hidden": HIDDEN, "layers": LAYERS, "directions": 2, "batch": BATCH, "utterances": UTTERANCES}
    tokens = sum(len(signal) for signals, _ in batches for signal in signals)
    save("ctc-epoch", __doc__, where, setting=setting, outcome=outcome, tokens=tokens, figures=figures)
    for name, value in (middle | figures).items():
        print(f"{name}: {value:.3f}")


def main() -> None:
    """Answer the question."""
    args = command.parser(__doc__).parse_args()
    run(args.rounds, args.threads)


if __name__ == "__main__":
    main()
