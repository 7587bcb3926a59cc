"""How good is the default classifier of texts beside linear models and fastText, on sets that anyone can get?

python -m benchmarks.accuracy [--sets trec,mr] [--seeds 5] [--first 0] [--models tidegate,fastText] [--rows 1000]

`benchmarks.accuracy_sets` says where the files come from. All models are trained on the training part and measured on
the test part: with each seed where there is one test part, else on each fold once. Linear models and fastText read the
same texts on the same cores. fastText is left out where it is not installed. With `--rows` they learn from so many
texts of the training part, drawn anew for each seed, and are measured on 1,500 others of it; no test part is looked at.

Of each training, with all that belongs to it, it notes the seconds on the clock and those of processors: the latter say
more where the machine does other work. What some of the models or later seeds gave is kept in a file of its own.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline, make_union

import tidegate as tg
from benchmarks.accuracy_sets import SETS, Pairs, Split
from benchmarks.record import machine, save
from tidegate import kernels
from tidegate.data.tokenizer import train_words
from tidegate.tasks.classifying.baselines import compare_linear
from tidegate.tasks.classifying.labelled import Labelled

SHORT = 60  # words of a text, on average, below which characters are features of the linear model, too


def tidegate(train: Pairs, test: Pairs, seed: int) -> float:
    """Train the default."""
    return (
        tg.TextClassifier(seed=seed)
        .fit(*map(list, zip(*train, strict=True)))
        .score(*map(list, zip(*test, strict=True)))
    )


def linear(train: Pairs, test: Pairs, _seed: int) -> float:
    """Train TF-IDF of words 1-2, of characters 1-5 where texts are short, and a logistic regression."""
    features: list[Any] = [TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"\S+")]
    if statistics.mean(len(text.split()) for text, _ in train) < SHORT:
        features.append(TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 5), sublinear_tf=True, min_df=2))
    model = make_pipeline(make_union(*features), LogisticRegression(C=10, max_iter=500))
    (X, y), (U, v) = (map(list, zip(*part, strict=True)) for part in (train, test))
    return float(model.fit(X, y).score(U, v))


def bayes(train: Pairs, test: Pairs, _seed: int) -> float:
    """Train the second of the models that `tidegate train` fits beside a network: naive-Bayes bigrams."""
    classes = sorted({label for _, label in train})
    number = {label: at for at, label in enumerate(classes)}
    learn, held = (
        Labelled([text for text, _ in part], np.array([number.get(label, -1) for _, label in part]))
        for part in (train, test)
    )
    *_, found = compare_linear(learn, held, len(classes))
    assert found.value is not None
    return found.value


def fasttext(train: Pairs, test: Pairs, seed: int) -> float:
    """Train fastText (Joulin et al. 2016) with bigrams, 25 epochs where texts are short and 5 where not."""
    import fasttext as rival

    words = train_words([text for text, _ in train])
    numbers = {label: f"__label__{at}" for at, label in enumerate(sorted({label for _, label in train}))}
    epochs = 25 if statistics.mean(len(text.split()) for text, _ in train) < SHORT else 5
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "train.txt"
        rows = [f"{numbers[label]} {' '.join(words.tokenize(text))}\n" for text, label in train]
        random.Random(seed).shuffle(rows)  # it reads them in their order
        file.write_text("".join(rows))
        model = rival.train_supervised(str(file), wordNgrams=2, epoch=epochs, lr=0.5, seed=seed, thread=1, verbose=0)
    said = [model.f.predict(" ".join(words.tokenize(text)) + "\n", 1, 0.0, "strict") for text, _ in test]
    right = (found[0][1] == numbers.get(label) for found, (_, label) in zip(said, test, strict=True))
    return float(sum(right)) / len(test)


MODELS = {
    "tidegate": tidegate,
    "TF-IDF": linear,
    "naive Bayes": bayes,  # its seconds are those of both models that are fitted in one go
    "fastText": fasttext,
}
_KEPT_BACK = 1500  # texts that those who learn from few are measured on
_SEEDLESS = frozenset({"TF-IDF", "naive Bayes"})


def main() -> None:
    """Measure, print a table, and keep every number."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--rows", type=int, help="learn from so few texts")
    args = parser.parse_args()
    where = machine(kernels.get_num_threads())
    part = "" if args.models == ",".join(MODELS) else "-" + args.models.replace(",", "-").replace(" ", "-").lower()
    part += f"-from-seed-{args.first}" if args.first else ""
    part += f"-of-{args.rows}-texts" if args.rows else ""
    for name in args.sets.split(","):
        found: dict[str, list[tuple[float, float, float]]] = {}
        for model in args.models.split(","):
            seeds = range(args.first, args.first + (1 if model in _SEEDLESS else args.seeds))
            splits = SETS[name] if args.rows is None else partial(drawn, SETS[name], args.rows, args.seeds)
            found[model] = list(runs(splits, MODELS[model], seeds))
            if found[model]:
                right, _, seconds = zip(*found[model], strict=True)
                told = f"{statistics.mean(right):.4f}  ±{statistics.pstdev(right):.4f}"
                print(f"{name:16} {model:28} {told} {statistics.mean(seconds):7.1f} s", flush=True)
            save(f"accuracy-{name}{part}", __doc__, where, setting={"seeds": args.seeds}, runs=found)


def drawn(splits: Callable[[], Iterator[Split]], rows: int, draws: int) -> Iterator[Split]:
    """Draw so many texts of a training part, and 1,500 others of it."""
    learn, _ = next(splits())
    for draw in range(draws):
        taken = random.Random(draw).sample(learn, rows + _KEPT_BACK)
        yield taken[:rows], taken[rows:]


def runs(
    splits: Callable[[], Iterator[Split]], fit: Callable[[Pairs, Pairs, int], float], seeds: range
) -> Iterator[tuple[float, float, float]]:
    """Train on each split, with each seed where there is but one split.

    Yields accuracy, seconds on the clock and seconds of processors.
    """
    parts = list(splits())
    for number in seeds if len(parts) == 1 else range(len(parts)):
        begun, worked = time.perf_counter(), time.process_time()
        try:
            right = fit(*parts[number % len(parts)], number)
        except ImportError:
            return
        yield right, time.perf_counter() - begun, time.process_time() - worked


if __name__ == "__main__":
    main()
