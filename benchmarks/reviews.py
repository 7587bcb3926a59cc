"""The IMDB reviews as the benchmarks read them: 10,000 words, the last 500 tokens of each."""

from __future__ import annotations

from functools import cache
from typing import cast

import numpy as np

from benchmarks import work
from benchmarks.work import Array
from tidegate import data
from tidegate.data import tokenizer
from tidegate.ragged import Ragged


@cache
def training_set() -> tuple[Ragged, Array]:
    """Tokenise the 25,000 reviews to train on; return them and their labels, 0 or 1."""
    train = data.load("imdb").train
    texts = cast(list[str], train.x)
    tokens = tokenizer.train_words(texts, work.WORDS).encode(texts, max_tokens=work.LAST, keep="last")
    return tokens, np.unique(train.y, return_inverse=True)[1].astype(np.int64)


def few(batches: int) -> dict[str, Array]:
    """Choose some batches across all lengths, as ``work.deal`` says."""
    tokens, _ = training_set()
    chosen = tokens.select(work.deal(tokens.lengths, batches))
    return {"values": chosen.values, "offsets": chosen.offsets}
