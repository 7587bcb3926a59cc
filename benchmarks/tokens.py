"""What does it cost to turn a text into ids, beside the package `tokenizers` and beside the network that reads them?

Texts of IMDB cut to 25 and to 247 tokens, in batches of 1, 16 and 64; the network is a bidirectional LSTM of 32 units.
All take turns in one process, on one thread, and each is asked in the form that it is quickest in. Then all
25,000 reviews in one call, where all ids must be the same.

    python -m benchmarks.tokens [--rounds 20]
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import cast

import tokenizers

from benchmarks import command, work
from benchmarks.engines.tidegate import network_of
from benchmarks.record import OURS, machine, save
from benchmarks.tables import rows
from benchmarks.work import Job
from tidegate import data, kernels
from tidegate.data.tokenizer import Tokenizer, train_words
from tidegate.ragged import Ragged
from tidegate.runtime import Executor

LENGTHS, BATCHES, HIDDEN = (25, 247), (1, 16, 64), 32
CALLS = 256  # texts that are read between two looks at the clock
LIBRARY, NETWORK = "tokenizers", "network"

Reader = Callable[[list[str]], object]


def cut(texts: Sequence[str], tokenizer: Tokenizer, length: int, count: int) -> Iterator[str]:
    """Take the beginnings of reviews that have so many tokens, or one less where two stand without a space between."""
    for text in texts:
        words = text.split(" ")[:length]
        while len(words) > 1 and len(tokenizer.encode([" ".join(words)])[0]) > length:
            words.pop()
        if length - 1 <= len(tokenizer.encode([" ".join(words)])[0]) <= length:
            yield " ".join(words)
            count -= 1
        if not count:
            return


def microseconds(read: Reader, texts: list[str], batch: int, at: int) -> float:
    """Return the processor time for each text, read in batches."""
    begins = [(at + step) * batch % len(texts) for step in range(max(1, CALLS // batch))]
    chosen = [texts[begin : begin + batch] for begin in begins]
    began = time.process_time()
    for part in chosen:
        read(part)
    return (time.process_time() - began) / sum(map(len, chosen)) * 1e6


def contestants(tokenizer: Tokenizer, library: tokenizers.Tokenizer) -> dict[str, Reader]:
    """Build what is compared; the network reads the ids that our tokenizer gives, which are made beforehand."""
    weights = work.draw_weights("lstm", HIDDEN, HIDDEN, 2)
    network, named = network_of(Job("lstm", HIDDEN, HIDDEN, 2, 1, ""), weights)
    executor, known = Executor(network, named, num_threads=1), dict[tuple[str, ...], Ragged]()

    def answer(texts: list[str]) -> object:
        key = tuple(texts)
        if key not in known:
            known[key] = tokenizer.encode(texts)
        return executor(known[key])

    return {
        OURS: tokenizer.encode,
        LIBRARY: lambda texts: library.encode_batch_fast(texts, add_special_tokens=False),
        NETWORK: answer,
    }


def run(rounds: int, threads: int) -> None:
    """Race the three, print a Markdown table and keep the samples; `threads` is not asked: each takes one."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    where = machine(1)
    kernels.set_num_threads(1)
    texts = cast(list[str], data.load("imdb").train.x)
    tokenizer = train_words(texts, work.WORDS)
    library = tokenizers.Tokenizer.from_str(tokenizer.to_json())
    samples: dict[str, dict[str, list[float]]] = {}
    for length in LENGTHS:
        chosen = list(cut(texts, tokenizer, length, max(BATCHES) * 4))
        for batch in BATCHES:
            race = contestants(tokenizer, library)
            for read in race.values():
                microseconds(read, chosen, batch, 0)  # the first call builds what is kept
            found = samples.setdefault(f"{length} tokens, batches of {batch}", {name: [] for name in race})
            for turn in range(rounds):
                for name, read in race.items():
                    found[name].append(microseconds(read, chosen, batch, turn))
    all_reviews = compare_all(texts, tokenizer, library)
    setting = {"hidden": HIDDEN, "words": work.WORDS, "unit": "microseconds of processor time for each text"}
    save("tokens", __doc__, where, setting=setting, parts=samples, seconds_of_all_reviews=all_reviews)
    print(table(samples) + "\n")
    print(", ".join(f"all reviews by {name}: {took:.2f} s" for name, took in all_reviews.items()))


def compare_all(texts: list[str], tokenizer: Tokenizer, library: tokenizers.Tokenizer) -> dict[str, float]:
    """Read all reviews in one call each, raise AssertionError where an id differs, and return the seconds."""
    began = time.process_time()
    ours = tokenizer.encode(texts)
    between = time.process_time()
    theirs = library.encode_batch_fast(texts, add_special_tokens=False)
    end = time.process_time()
    assert all(row.tolist() == encoding.ids for row, encoding in zip(ours, theirs, strict=True)), "the ids differ"
    return {OURS: between - began, LIBRARY: end - between}


def table(samples: dict[str, dict[str, list[float]]]) -> str:
    """Write the medians and what they are of each other."""
    body = []
    for name, parts in samples.items():
        ours, library, network = (statistics.median(parts[part]) for part in (OURS, LIBRARY, NETWORK))
        body.append(
            [name, f"{ours:.1f}", f"{library:.1f}", f"{network:.1f}", f"{library / ours:.0f}", f"{ours / network:.2f}"]
        )
    return rows(["µs a text", OURS, LIBRARY, NETWORK, "library / ours", "ours / network"], body)


def main() -> None:
    """Answer the question."""
    args = command.parser(__doc__).parse_args()
    run(args.rounds, args.threads)


if __name__ == "__main__":
    main()
