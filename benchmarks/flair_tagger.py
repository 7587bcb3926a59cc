"""How much faster does Flair's SequenceTagger train and predict after `tg.accelerate`, its code untouched?

Trainable word vectors of 100 and a character BiLSTM, a BiLSTM of 256 units and a CRF, for the universal tags of UD
English EWT, in batches of 32 sentences as they come. The tagger packs its input. Both rivals run the same program with
the same weights; one calls `tg.accelerate(tagger)` first. Loss, gradients and predictions must agree before time is
taken. The parts of a step that are Flair's own (words to ids, one tensor per token, the CRF) are in the time of both.

Needs the package `flair`, and the data in `$TIDEGATE_DATA/ud_english_ewt`.

    python -m benchmarks.flair_tagger [--no-characters] [--rounds 5]
"""

from __future__ import annotations

import argparse
import logging
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import torch

import tidegate as tg
from benchmarks.race import answer, machine, race, ratios, save

HIDDEN, WORD, BATCH, BATCHES = 256, 100, 32, 8
TORCH, OURS = "flair", "flair, accelerated"
MODES = ("train", "predict")


def read() -> list[list[tuple[str, str]]]:
    """Read words and universal tags of the first training sentences, enough for all batches and the vocabulary."""
    path = Path(os.environ.get("TIDEGATE_DATA", "data")) / "ud_english_ewt" / "en_ewt-ud-train.conllu"
    if not path.exists():
        raise SystemExit(f"{path} is not there. Set TIDEGATE_DATA to the folder that holds ud_english_ewt.")
    sentences = []
    for block in path.read_text(encoding="utf-8").strip().split("\n\n"):
        rows = [line.split("\t") for line in block.splitlines() if not line.startswith("#")]
        sentences.append([(row[1], row[3]) for row in rows if row[0].isdigit()])
    return sentences


def dictionary(items: set[str], unknown: bool) -> Any:
    from flair.data import Dictionary

    made = Dictionary(add_unk=unknown)
    for item in sorted(items):
        made.add_item(item)
    return made


def make_tagger(sentences: list[list[tuple[str, str]]], characters: bool) -> Any:
    """Build the tagger with its random weights; no dropout, so that two processes can agree."""
    from flair.embeddings import CharacterEmbeddings, OneHotEmbeddings, StackedEmbeddings
    from flair.models import SequenceTagger

    torch.manual_seed(0)
    words = {word for sentence in sentences for word, _ in sentence}
    tags = {tag for sentence in sentences for _, tag in sentence}
    embeddings = [OneHotEmbeddings(dictionary(words, unknown=True), embedding_length=WORD)]
    if characters:
        embeddings.append(CharacterEmbeddings(dictionary(set("".join(words)), unknown=True)))
    options = {"word_dropout": 0.0, "locked_dropout": 0.0}
    return SequenceTagger(
        StackedEmbeddings(embeddings), dictionary(tags, unknown=False), "upos", hidden_size=HIDDEN, **options
    )


def work(engine: str, mode: str, characters: bool, threads: int) -> None:
    """Be the process of one engine."""
    import flair

    logging.getLogger("flair").setLevel(logging.ERROR)
    torch.set_num_threads(threads)
    flair.device = torch.device("cpu")
    plain = read()
    tagger = make_tagger(plain, characters)
    optimiser = torch.optim.SGD(tagger.parameters(), lr=0.01)
    if engine == OURS:
        report = tg.accelerate(tagger)
        assert len(report.swapped) == 1 + characters
        print(report, file=sys.stderr)
    batches = [sentences_of(plain[start : start + BATCH]) for start in range(0, BATCH * BATCHES, BATCH)]

    def train() -> None:
        tagger.train()
        for batch in batches:
            optimiser.zero_grad()
            loss, _ = tagger.forward_loss(batch)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(tagger.parameters(), 5.0)
            optimiser.step()
            forget(batch)

    def predict() -> None:
        tagger.eval()
        for batch in batches:
            tagger.predict(batch, mini_batch_size=BATCH, label_name="found", force_token_predictions=True)

    def check() -> list[float]:
        """Give the loss, all gradient norms, and the place of every predicted tag among the tags."""
        tagger.train().zero_grad()
        loss, _ = tagger.forward_loss(batches[0])
        loss.backward()
        norms = [parameter.grad.norm().item() for parameter in tagger.parameters() if parameter.grad is not None]
        forget(batches[0])
        predict()
        tags = [token.get_label("found").value for batch in batches for sentence in batch for token in sentence]
        places = tagger.label_dictionary
        return [loss.item(), *norms, *(float(places.get_idx_for_item(tag)) for tag in tags)]

    def run() -> float:
        begin = time.perf_counter()
        {"train": train, "predict": predict}[mode]()
        return time.perf_counter() - begin

    answer(check, run)


def sentences_of(plain: list[list[tuple[str, str]]]) -> list[Any]:
    from flair.data import Sentence

    made = []
    for pairs in plain:
        sentence = Sentence([word for word, _ in pairs])
        for token, (_, tag) in zip(sentence, pairs, strict=True):
            token.add_label("upos", tag)
        made.append(sentence)
    return made


def forget(batch: list[Any]) -> None:
    """Drop the embeddings that Flair stores at each token, as its trainer does after a step."""
    from flair.training_utils import store_embeddings

    store_embeddings(batch, "none")


def compare(mode: str, characters: bool, rounds: int, threads: int) -> None:
    """Race the two, print a Markdown table and keep the samples."""
    common = ["--mode", mode, "--threads", str(threads), *([] if characters else ["--no-characters"])]
    commands = {engine: ["-m", "benchmarks.flair_tagger", "--engine", engine, *common] for engine in (TORCH, OURS)}
    tokens = sum(len(sentence) for sentence in read()[: BATCH * BATCHES])
    where = machine(threads)
    seconds = race(commands, threads=threads, rounds=rounds, tolerance=1e-4)
    with_characters = "with" if characters else "without"
    print(f"\n{mode}, {with_characters} characters: {tokens:,} tokens in {BATCHES} batches of {BATCH}")
    print(f"{where['processor']}, {threads} threads\n")
    print("| engine | ms per batch | tokens per second | time / accelerated (least - most) |\n|---|---|---|---|")
    for engine, samples in seconds.items():
        middle = statistics.median(samples)
        ratio, least, most = ratios(samples, seconds[OURS])
        print(
            f"| {engine} | {middle / BATCHES * 1e3:.1f} | {tokens / middle:,.0f} "
            f"| {ratio:.2f} ({least:.2f} - {most:.2f}) |"
        )
    record = {
        "question": (__doc__ or "").split("\n")[0],
        "setting": {"mode": mode, "characters": characters, "hidden": HIDDEN, "word": WORD, "batch": BATCH},
        "machine": where,
        "isa": tg.kernels.active_isa(),
        "tokens": tokens,
        "batches": BATCHES,
        "ratio": ratios(seconds[TORCH], seconds[OURS]),
        "seconds": seconds,
    }
    name = f"flair-tagger-{mode}" + ("" if characters else "-words")
    print(f"\nsamples: {save(name, record)}", file=sys.stderr)


def main() -> None:
    """Read the arguments; race the two, or be one of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-characters", dest="characters", action="store_false")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=tg.kernels.get_num_threads())
    # What follows is for the processes that the race starts.
    parser.add_argument("--engine", choices=(TORCH, OURS), help=argparse.SUPPRESS)
    parser.add_argument("--mode", choices=MODES, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.engine:
        work(args.engine, args.mode, args.characters, args.threads)
        return
    for mode in MODES:
        compare(mode, args.characters, args.rounds, args.threads)


if __name__ == "__main__":
    main()
