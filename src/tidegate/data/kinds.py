"""The kinds of data, one row each: how a file of the user is read, and how examples are counted and held out.

Whoever must know of a kind reads its row. Nothing that reads files is loaded before it is asked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any, Literal, TypeAlias

Kind = Literal["text", "sequence", "series", "tagged", "corpus", "transcribed", "pairs"]
"""What the examples are: a text with a label; a sequence of features with a label; numbers over time, to go on with;
words with a tag each; a text to learn a language from; sound or lines of writing with their texts; texts in
pairs, each the translation of the other."""
Parts: TypeAlias = Sequence[Any]
"""The `Examples` of a data set, part by part."""


@dataclass(frozen=True)
class Layout:
    """Say how a file or folder of the user is read.

    Args:
        load: takes the path, `unlabelled` and the columns; returns a `Dataset`.
        columns: what can be chosen, as arguments of `load`.
    """

    load: Callable[..., Any]
    columns: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class KindCard:
    """Say what everybody else may know of a kind of data.

    Args:
        layout_at: where it stands how a file is read, a `Layout`, as `file:name` in the folder `data`.
        unit: what the examples of a part are called.
        count: says in a line how many there are in all parts.
        in_time: whether what is held out is the end of every example, so that each part has all of them.
        retold: whether a recipe names the columns that were taken, so that other files are read alike.
    """

    layout_at: str
    unit: str
    count: Callable[[Parts], str]
    in_time: bool = False
    retold: bool = False

    def layout(self) -> Layout:
        """Import how a file is read."""
        module, _, name = self.layout_at.partition(":")
        found: Layout = getattr(import_module(f"tidegate.data.{module}"), name)
        return found


def _count(parts: Parts, things: str) -> str:
    return " + ".join(f"{len(part):,}" for part in parts) + f" {things}"


def _count_sentences(parts: Parts) -> str:
    words = sum(len(sentence) for part in parts for sentence in part.x)
    tags = {tag for part in parts for sentence in part.y for tag in sentence}
    return f"{_count(parts, 'sentences')}, {words:,} words, {len(tags):,} tags"


def _count_series(parts: Parts) -> str:
    """Count the series, their rows in all parts together, and say how far apart these are."""
    series = [one for part in parts for one in part.x]
    rows = sum(one.known - one.begin for one in series)
    count = len({one.name for one in series})
    return f"{count:,} series, {rows:,} rows" + (f", {series[0].step} apart" if series else "")


def _count_transcribed(parts: Parts) -> str:
    """Count the recordings and their symbols, and what was left out of all parts together, by the reason."""
    symbols = {symbol for part in parts for text in part.x.texts or () for symbol in text}
    dropped = sum((Counter(part.x.dropped) for part in parts), Counter[str]())
    left_out = ", ".join(f"{count:,} {why}" for why, count in sorted(dropped.items()))
    return f"{_count(parts, 'recordings')}, {len(symbols):,} symbols" + (f"; left out: {left_out}" if left_out else "")


def _count_pairs(parts: Parts) -> str:
    """Count the pairs, and those of all parts together of which a side is empty."""
    empty = sum(not (source and target) for part in parts for source, target in zip(part.x, part.y, strict=True))
    return _count(parts, "pairs") + (f"; {empty:,} have an empty side" if empty else "")


_examples, _documents = partial(_count, things="examples"), partial(_count, things="documents")

KINDS: dict[Kind, KindCard] = {
    "text": KindCard(layout_at="files:LAYOUT", unit="rows", count=_examples),
    "sequence": KindCard(layout_at="images:LAYOUT", unit="sequences", count=_examples, retold=True),
    "series": KindCard(layout_at="series_tables:LAYOUT", unit="series", count=_count_series, in_time=True),
    "tagged": KindCard(layout_at="tagged:LAYOUT", unit="sentences", count=_count_sentences),
    "corpus": KindCard(layout_at="corpus:LAYOUT", unit="documents", count=_documents),
    "transcribed": KindCard(layout_at="transcribed.reading:LAYOUT", unit="recordings", count=_count_transcribed),
    "pairs": KindCard(layout_at="pairs.reading:LAYOUT", unit="pairs", count=_count_pairs, retold=True),
}
