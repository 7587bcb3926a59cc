"""How good is the default classifier of texts beside linear models and fastText, on sets that anyone can get?

python -m benchmarks.accuracy [--sets trec,mr] [--seeds 5]

The files are looked for in $TIDEGATE_DATA, as their authors give them out: imdb/, trec/TREC.train and TREC.test (Li &
Roth 2002, six classes, and fifty), mr/rt-polarity.neg and .pos (Pang & Lee 2005, ten folds), ud_english_ewt/ (which
of five kinds of text a sentence is from). All are trained on the training part and measured on the test part, once for
each seed; linear models and fastText on the same texts and cores. fastText is left out where it is not installed.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline, make_union

import tidegate as tg
from benchmarks.record import machine, save
from tidegate import data, kernels
from tidegate.data.tokenizer import train_words

Pairs: TypeAlias = list[tuple[str, str]]
Split: TypeAlias = tuple[Pairs, Pairs]

SHORT = 60  # words of a text, on average, below which characters are features of the linear model, too


def home(name: str) -> Path:
    """Find the folder of a data set."""
    return Path(os.environ["TIDEGATE_DATA"]) / name


def lines(path: Path) -> list[str]:
    """Read the lines of an old file that are not blank."""
    return [line for line in path.read_text(encoding="latin1").splitlines() if line.strip()]


def trec(label: Callable[[str], str]) -> Iterator[Split]:
    """Questions and what they ask for."""
    yield tuple(
        [(row.split(" ", 1)[1], label(row)) for row in lines(home("trec") / f"TREC.{part}")]
        for part in ("train", "test")
    )  # type: ignore[misc]


def mr() -> Iterator[Split]:
    """Sentences of film reviews, in ten folds."""
    rows = [(row, kind) for kind in ("neg", "pos") for row in lines(home("mr") / f"rt-polarity.{kind}")]
    random.Random(0).shuffle(rows)
    for fold in range(10):
        yield [row for at, row in enumerate(rows) if at % 10 != fold], rows[fold::10]


def imdb() -> Iterator[Split]:
    """Film reviews."""
    found = data.load("imdb")
    assert found.test is not None
    yield [list(zip(part.x, map(str, part.y), strict=True)) for part in (found.train, found.test)]  # type: ignore[misc]


def genres() -> Iterator[Split]:
    """Sentences of the web, and which kind of page each is from."""

    def read(part: str) -> Pairs:
        text = (home("ud_english_ewt") / f"en_ewt-ud-{part}.conllu").read_text(encoding="utf-8")
        heads = [
            dict(row[2:].split(" = ", 1) for row in block.splitlines() if " = " in row) for block in text.split("\n\n")
        ]
        return [(head["text"], head["sent_id"].split("-")[0]) for head in heads if "text" in head]

    yield read("train"), read("test")


SETS: dict[str, Callable[[], Iterator[Split]]] = {
    "trec": lambda: trec(lambda row: row.split(":")[0]),
    "trec-50": lambda: trec(lambda row: row.split(" ")[0]),
    "mr": mr,
    "ewt-genres": genres,
    "imdb": imdb,
}


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


MODELS = {"tidegate": tidegate, "TF-IDF, logistic regression": linear, "fastText": fasttext}


def main() -> None:
    """Measure, print a table, and keep every number."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--seeds", type=int, default=5)
    args = parser.parse_args()
    where = machine(kernels.get_num_threads())
    found: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for name in args.sets.split(","):
        found[name] = {}
        for model, fit in MODELS.items():
            found[name][model] = list(runs(SETS[name], fit, 1 if model.startswith("TF-IDF") else args.seeds))
            right, seconds = zip(*found[name][model], strict=True) if found[name][model] else ((), ())
            if right:
                print(
                    f"{name:12} {model:28} {statistics.mean(right):.4f}  {statistics.mean(seconds):7.1f} s", flush=True
                )
        save(f"accuracy-{name}", __doc__, where, setting={"seeds": args.seeds}, runs=found[name])


def runs(
    splits: Callable[[], Iterator[Split]], fit: Callable[[Pairs, Pairs, int], float], seeds: int
) -> Iterator[tuple[float, float]]:
    """Train on each split, with each seed where there is but one split; yields accuracy and seconds."""
    parts = list(splits())
    for number in range(max(seeds, len(parts)) if len(parts) == 1 else len(parts)):
        begun = time.perf_counter()
        try:
            right = fit(*parts[number % len(parts)], number)
        except ImportError:
            return
        yield right, time.perf_counter() - begun


if __name__ == "__main__":
    main()
