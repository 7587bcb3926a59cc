"""Flair's SequenceTagger with words and characters, as it is or, where the mode says so, after `tg.accelerate`.

The parts of a step that are Flair's own (words to ids, one tensor per token, the CRF) are in the time of both.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import flair
import torch
from flair.data import Dictionary, Sentence
from flair.embeddings import CharacterEmbeddings, OneHotEmbeddings, StackedEmbeddings
from flair.models import SequenceTagger
from flair.training_utils import store_embeddings

from benchmarks.engines import Contest, clock
from benchmarks.work import Job

BATCH, BATCHES = 32, 8

Sentences: TypeAlias = list[list[tuple[str, str]]]


def read(path: Path) -> Sentences:
    """Read words and universal tags from a file in the CoNLL-U format."""
    found = []
    for block in path.read_text(encoding="utf-8").strip().split("\n\n"):
        rows = [line.split("\t") for line in block.splitlines() if not line.startswith("#")]
        found.append([(row[1], row[3]) for row in rows if row[0].isdigit()])
    return found


def dictionary(items: set[str], *, unknown: bool) -> Dictionary:
    made = Dictionary(add_unk=unknown)
    for item in sorted(items):
        made.add_item(item)
    return made


def make_tagger(job: Job, plain: Sentences) -> SequenceTagger:
    """Build the tagger with its random weights, and without dropout so that two processes can agree."""
    torch.manual_seed(0)
    words = {word for sentence in plain for word, _ in sentence}
    tags = {tag for sentence in plain for _, tag in sentence}
    embeddings: list[Any] = [OneHotEmbeddings(dictionary(words, unknown=True), embedding_length=job.inputs)]
    if "characters" in job.mode:
        embeddings.append(CharacterEmbeddings(dictionary(set("".join(words)), unknown=True)))
    options = {"word_dropout": 0.0, "locked_dropout": 0.0}
    tagger = SequenceTagger(
        StackedEmbeddings(embeddings), dictionary(tags, unknown=False), "upos", hidden_size=job.hidden, **options
    )
    if "accelerated" in job.mode:
        import tidegate as tg

        print(tg.accelerate(tagger), file=sys.stderr)
    return tagger


def contest(job: Job, choose: Callable[[Callable[[], None], Callable[[], None]], Callable[[], None]]) -> Contest:
    """Race on training or on predicting; loss, gradients and every predicted tag must be equal."""
    logging.getLogger("flair").setLevel(logging.ERROR)
    torch.set_num_threads(job.threads)
    flair.device = torch.device("cpu")
    plain = read(Path(job.arrays))
    tagger = make_tagger(job, plain)
    optimiser = torch.optim.SGD(tagger.parameters(), lr=0.01)
    batches = [labelled(plain[start : start + BATCH]) for start in range(0, BATCH * BATCHES, BATCH)]

    def train() -> None:
        tagger.train()
        for batch in batches:
            optimiser.zero_grad()
            loss, _ = tagger.forward_loss(batch)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(tagger.parameters(), 5.0)
            optimiser.step()
            store_embeddings(batch, "none")  # as Flair's trainer does after a step

    def predict() -> None:
        tagger.eval()
        for batch in batches:
            tagger.predict(batch, mini_batch_size=BATCH, label_name="found", force_token_predictions=True)

    def check() -> list[float]:
        tagger.train().zero_grad()
        loss, _ = tagger.forward_loss(batches[0])
        loss.backward()
        norms = [parameter.grad.norm().item() for parameter in tagger.parameters() if parameter.grad is not None]
        store_embeddings(batches[0], "none")
        predict()
        found = [token.get_label("found").value for batch in batches for sentence in batch for token in sentence]
        return [loss.item(), *norms, *(float(tagger.label_dictionary.get_idx_for_item(tag)) for tag in found)]

    return Contest(check, clock(choose(train, predict)))


def train(job: Job) -> Contest:
    return contest(job, lambda train, _: train)


def predict(job: Job) -> Contest:
    return contest(job, lambda _, predict: predict)


def labelled(plain: Sentences) -> list[Sentence]:
    made = []
    for pairs in plain:
        sentence = Sentence([word for word, _ in pairs])
        for token, (_, tag) in zip(sentence, pairs, strict=True):
            token.add_label("upos", tag)
        made.append(sentence)
    return made
