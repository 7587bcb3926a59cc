"""How fast is one training step at real review lengths, beside PyTorch's best mode?

Embedding, recurrent layer, max over time, linear, cross-entropy, clipping and Adam over batches of 128 reviews: 10,000
words, the last 500 tokens. PyTorch runs padded to 500, padded to the longest of the batch, padded in batches of like
length (buckets), and packed. All see the same reviews; the time is per valid token. Padded, PyTorch's second direction
begins inside the padding and so computes something else; where no sequence is padded all must agree, and do.

    python -m benchmarks.training_step [--cell lstm] [--hidden 32] [--rounds 10]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from benchmarks.race import answer, machine, race, ratios, save
from tidegate import data, kernels, nn
from tidegate.data import tokenizer
from tidegate.ragged import Ragged

WORDS, LAST, BATCH, BATCHES = 10_000, 500, 128, 12
OURS, PACKED = "tidegate", "torch packed"
PADDED = ("torch padded to 500", "torch padded to longest", "torch in buckets")
ENGINES = (OURS, *PADDED, PACKED)
PACKED_ROUNDS = 1  # it is so slow that more would take longer than all the others together


def prepare(path: Path) -> int:
    """Write the token ids of the first batches of shuffled IMDB reviews; return how many tokens they have."""
    texts = data.load("imdb").train.x
    chosen = np.random.default_rng(0).permutation(len(texts))[: BATCH * BATCHES]
    tokens = tokenizer.train_words([texts[i] for i in chosen], WORDS).encode(
        [texts[i] for i in chosen], max_tokens=LAST, keep="last"
    )
    np.savez(path, values=tokens.values, offsets=tokens.offsets)
    return len(tokens.values)


class Model(torch.nn.Module):
    """The same parameters under either layer; torch's when ``theirs``."""

    def __init__(self, cell: str, hidden: int, theirs: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table = torch.nn.Embedding(WORDS + 1, hidden, padding_idx=WORDS)
        kinds: dict[str, Any] = {
            "rnn": (torch.nn.RNN, nn.SimpleRNN),
            "lstm": (torch.nn.LSTM, nn.LSTM),
            "gru": (torch.nn.GRU, nn.GRU),
        }
        self.layer = kinds[cell][0](hidden, hidden, bidirectional=True, batch_first=True)
        self.head = torch.nn.Linear(2 * hidden, 2)
        if not theirs:
            ours = kinds[cell][1](hidden, hidden, bidirectional=True, batch_first=True)
            ours.load_state_dict(self.layer.state_dict())
            self.layer = ours
        self.pool = nn.Pool(["max"])

    def forward(self, batch: Any) -> Tensor:
        if isinstance(batch, Ragged):
            output, _ = self.layer(batch, table=self.table.weight)
            return cast(Tensor, self.head(self.pool(output)))
        ids, lengths, packed = batch
        x = self.table(ids)
        if packed:
            x = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        output, _ = self.layer(x)
        if packed:
            output, _ = torch.nn.utils.rnn.pad_packed_sequence(output, batch_first=True)
        over = torch.arange(output.shape[1])[None, :, None] >= lengths[:, None, None]
        return cast(Tensor, self.head(output.masked_fill(over, -torch.inf).amax(1)))


def make_batches(engine: str, values: Tensor, offsets: Tensor) -> list[Any]:
    """Cut the reviews into batches in the form that an engine takes; padding is done here, outside the time."""
    lengths = offsets.diff()
    order = lengths.argsort() if engine == "torch in buckets" else torch.arange(len(lengths))
    ragged = Ragged(values, offsets)
    parts = [ragged.select(order[i : i + BATCH]) for i in range(0, len(order), BATCH)]
    if engine == OURS:
        return parts
    batches = []
    for part in parts:
        longest = LAST if engine == "torch padded to 500" else int(part.lengths.max())
        ids = torch.full((len(part), longest), WORDS)
        for row, sequence in zip(ids, part.to_list(), strict=True):
            row[: len(sequence)] = sequence
        batches.append((ids, part.lengths, engine == PACKED))
    return batches


def work(engine: str, cell: str, hidden: int, path: Path, threads: int) -> None:
    """Be the process of one engine."""
    torch.set_num_threads(threads)
    arrays = np.load(path)
    values, offsets = torch.from_numpy(arrays["values"].astype(np.int64)), torch.from_numpy(arrays["offsets"])
    if engine != OURS:
        torch.set_flush_denormal(True)
    model = Model(cell, hidden, engine != OURS)
    batches = make_batches(engine, values, offsets)
    labels = torch.arange(BATCH) % 2
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-4, fused=True)

    def step(batch: Any) -> Tensor:
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(batch), labels)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        return loss.detach()

    def check() -> list[float]:
        """Give the loss and gradient norms on one batch of equal lengths, where padding cannot make a difference."""
        ids = torch.stack([values[end - 40 : end] for end in offsets[1:].tolist() if end >= 40][:BATCH])
        whole = torch.arange(0, ids.numel() + 1, 40)
        batch = (ids, whole.diff(), engine == PACKED) if engine != OURS else Ragged(ids.flatten(), whole)
        model.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(batch), labels)
        torch.autograd.backward(loss)
        norms = [p.grad.norm() for p in model.parameters() if p.grad is not None]
        return [loss.item(), *(norm.item() for norm in norms)]

    def run() -> float:
        begin = time.perf_counter()
        for batch in batches:
            step(batch)
        return time.perf_counter() - begin

    answer(check, run)


def main() -> None:
    """Read the arguments; race the engines, or be one of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cell", default="lstm", choices=("rnn", "lstm", "gru"))
    parser.add_argument("--hidden", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=kernels.get_num_threads())
    # What follows is for the processes that the race starts.
    parser.add_argument("--engine", choices=ENGINES, help=argparse.SUPPRESS)
    parser.add_argument("--tokens", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.engine:
        work(args.engine, args.cell, args.hidden, args.tokens, args.threads)
    else:
        compare(args.cell, args.hidden, args.rounds, args.threads)


def compare(cell: str, hidden: int, rounds: int, threads: int) -> None:
    """Race the engines, print a Markdown table and keep the samples."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tokens.npz"
        tokens = prepare(path)
        common = ["--cell", cell, "--hidden", str(hidden), "--threads", str(threads), "--tokens", str(path)]
        commands = {engine: ["-m", "benchmarks.training_step", "--engine", engine, *common] for engine in ENGINES}
        where = machine(threads)
        packed = {engine: commands.pop(engine) if engine == PACKED else commands[engine] for engine in (OURS, PACKED)}
        seconds = race(commands, threads=threads, rounds=rounds, tolerance=1e-3)
        apart = race(packed, threads=threads, rounds=PACKED_ROUNDS, tolerance=1e-3)
    seconds[PACKED] = apart[PACKED]
    best = min(ENGINES[1:], key=lambda engine: statistics.median(seconds[engine]))
    print(f"bidirectional {cell}, {hidden} units: {tokens:,} tokens in {BATCHES} batches of {BATCH}")
    print(f"{where['processor']}, {threads} threads\n")
    print("| engine | ms per step | valid tokens per second | time / Tidegate's (least - most) |\n|---|---|---|---|")
    for engine in ENGINES:
        middle = statistics.median(seconds[engine])
        ours = apart[OURS] if engine == PACKED else seconds[OURS]
        ratio, least, most = ratios(seconds[engine], ours)
        per_step, speed = middle / BATCHES * 1e3, tokens / middle
        print(f"| {engine} | {per_step:.1f} | {speed:,.0f} | {ratio:.1f} ({least:.1f} - {most:.1f}) |")
    record = {
        "question": (__doc__ or "").split("\n")[0],
        "setting": {"cell": cell, "hidden": hidden, "words": WORDS, "last_tokens": LAST, "batch": BATCH},
        "machine": where,
        "isa": kernels.active_isa(),
        "tokens": tokens,
        "batches": BATCHES,
        "best_rival": best,
        "ratio_to_best": ratios(seconds[best], seconds[OURS]),
        "seconds": seconds,
        "seconds_of_tidegate_beside_packed": apart[OURS],
    }
    print(f"\nsamples: {save(f'training-step-{cell}-{hidden}', record)}", file=sys.stderr)


if __name__ == "__main__":
    main()
