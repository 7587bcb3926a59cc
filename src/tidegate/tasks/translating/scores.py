"""Measures translators on texts whose translations are known: BLEU, chrF, exact matches, by the length of sources."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tidegate.data.pairs.measures import bleu, chrf, exact_match
from tidegate.errors import DataError
from tidegate.health import ClassHealth, HealthWarning, new_symbols
from tidegate.tasks.edits import error_rate
from tidegate.tasks.scores import Record, Scores
from tidegate.tasks.translating.measuring import knows_bleu
from tidegate.tasks.translating.reading import check_sides

if TYPE_CHECKING:
    from tidegate.data import Examples
    from tidegate.tasks.translating.translator import Translator

_EDGES = (0, 10, 15, 20, 30, 10**9)  # tokens of a source, by which it is put with others of its length


@dataclass(frozen=True, eq=False)
class Translating:
    """Hold what a translator reached.

    found, right: the translations, and what they should have been.
    sources: what was translated.
    lengths: tokens of each source.
    by_words: whether BLEU and chrF say something, as the outputs are texts.
    cut: translations that did not end within the limit.
    new: symbols of what should have come out that no translation in training has, with how often they stand there.
    unseen: the measures without pairs of which a side stands in training; None where nobody knows which do.
    without_bleu: whether BLEU and chrF are missing, as sacrebleu is not installed.
    """

    found: list[str]
    right: list[str]
    sources: list[str]
    lengths: list[int]
    by_words: bool
    cut: int
    new: dict[str, int] = field(default_factory=dict)
    unseen: dict[str, float] | None = None
    without_bleu: bool = False

    @property
    def examples(self) -> int:
        """Count the pairs."""
        return len(self.right)

    def measures(self) -> dict[str, float]:
        """Give the figures of the whole part."""
        return measured(self.found, self.right, by_words=self.by_words)

    @property
    def signature(self) -> str:
        """Say exactly how BLEU was computed; empty where it was not."""
        return bleu(self.found, self.right).signature if self.by_words else ""

    @property
    def neglect(self) -> ClassHealth | None:
        """There are no classes."""
        return None

    def warnings(self) -> list[HealthWarning]:
        """Name symbols that the model cannot know, and say where BLEU is missing."""
        out = []
        if self.without_bleu:
            told = "BLEU and chrF are left out, as sacrebleu is not installed."
            out.append(HealthWarning("no-bleu", told, "pip install 'tidegate[translate]', and evaluate again."))
        return [*out, *new_symbols(self.new, "translations")]

    def by_length(self) -> list[tuple[str, int, dict[str, float]]]:
        """Measure the sources by their lengths: a name, how many there are, and the measures of each."""
        out = []
        for low, high in pairwise(_EDGES):
            own = [index for index, length in enumerate(self.lengths) if low < length <= high or length == low == 0]
            if own:
                name = f"{low + 1} to {high}" if high < _EDGES[-1] else f"over {low}"
                texts = [[texts[index] for index in own] for texts in (self.found, self.right)]
                out.append((name, len(own), measured(texts[0], texts[1], by_words=self.by_words)))
        return out

    def table(self) -> list[dict[str, object]]:
        """Give a row for sources of each length."""
        return [{"tokens": name, "texts": count, **_shown(found)} for name, count, found in self.by_length()]

    def to_json(self) -> dict[str, Any]:
        """Give all of it, ready for `json.dumps`."""
        lengths = [{"tokens": name, "examples": count, **found} for name, count, found in self.by_length()]
        told = {"examples": self.examples, "signature": self.signature, "by_length": lengths, "cut": self.cut}
        return self.measures() | told | {"unseen": self.unseen, "new_symbols": self.new,
                                         "warnings": list(map(str, self.warnings()))}  # fmt: skip


def measured(found: Sequence[str], right: Sequence[str], *, by_words: bool) -> dict[str, float]:
    """Give `bleu` and `chrf` of texts, or `cer` of symbols; and `exact`, the share that is exactly right.

    `cer` is the share of symbols to put in, take out and replace.
    """
    exact = {"exact": exact_match(found, right)}
    if by_words:
        return {"bleu": bleu(found, right).score, "chrf": chrf(found, right).score} | exact
    return exact | {"cer": error_rate(found, right)}


def measure_translator(model: Translator, examples: Examples) -> Translating:
    """Measure a fitted translator on examples, at least one, with a beam of 5. Raises DataError for none."""
    if not len(examples):
        raise DataError("there are no examples to evaluate on.")
    sources, right = check_sides(examples.x, examples.y)
    told = model.translate(sources)
    known = set(model.reading_.letters)
    symbols = Counter(symbol for text in right for symbol in text if symbol not in known)
    return Translating(
        found=[one.text for one in told],
        right=right,
        sources=sources,
        lengths=[len(one.source) for one in told],
        by_words=model.chief_measure == "bleu" and knows_bleu(),
        without_bleu=model.chief_measure == "bleu" and not knows_bleu(),
        cut=sum(one.cut for one in told),
        new=dict(sorted(symbols.items(), key=lambda item: (-item[1], item[0]))),
    )


def apart_from(found: Translating, learned: Examples) -> Translating:
    """Measure again without pairs of which a side stands in training."""
    sources, targets = (set(side) for side in check_sides(learned.x, learned.y))
    pairs = zip(found.sources, found.right, strict=True)
    new = [index for index, (source, target) in enumerate(pairs) if source not in sources and target not in targets]
    if not new:
        return found
    texts = [[texts[index] for index in new] for texts in (found.found, found.right)]
    return replace(found, unseen={**measured(texts[0], texts[1], by_words=found.by_words), "examples": float(len(new))})


def _shown(measures: Mapping[str, float]) -> dict[str, str]:
    return {name: f"{value:.2%}" if name in ("exact", "cer") else f"{value:.1f}" for name, value in measures.items()}


def judge(_kept: Record, _measures: Mapping[str, float], _part: str) -> list[HealthWarning]:
    """Find nothing amiss by numbers alone."""
    return []


SCORES = Scores(measure_translator, judge, apart_from)
