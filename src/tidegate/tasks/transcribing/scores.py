"""Measures transcribers on recordings whose texts are known: errors, how sure they are of it, and what is mistaken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from tidegate.data.transcribed.recordings import Recordings
from tidegate.data.transcribed.texts import unseen_symbols
from tidegate.errors import DataError
from tidegate.health import ClassHealth, HealthWarning, new_symbols
from tidegate.tasks.edits import distance, paired
from tidegate.tasks.scores import Record, Scores
from tidegate.tasks.transcribing.language import WIDTH
from tidegate.tasks.transcribing.ordering import as_shown
from tidegate.tasks.transcribing.reading import as_recordings

if TYPE_CHECKING:
    from tidegate.data import Examples
    from tidegate.tasks.transcribing.transcriber import Transcriber

_DRAWS, _SEED = 1000, 0  # of the bootstrap
_BINS = 10
_SHOWN = 20  # confusions

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Transcribing:
    """Hold what a transcriber reached: errors as shares of all symbols and of all words, and of texts not all right.

    counts: [B, 4] of each recording: wrong symbols, symbols, wrong words, words.
    groups: its speaker, book or page; None where nobody knows.
    wrong: [B] whether its text is not all right.
    right: the right texts.
    searched: the errors that a search with what was learned of texts makes on them; empty where nothing was, or where
        the errors above are those of a search.
    new: symbols of the right texts that training never saw, with how often; they count as errors.
    unseen: without recordings whose text stands in training; None where nobody knows which do.
    confusions: what was read for what, with how often; an empty text for what is missing or too much.
    reliability: how sure symbols are, how often they are right, and how many there are, bin by bin.
    """

    counts: Counts
    groups: list[str] | None
    wrong: npt.NDArray[np.bool_]
    right: list[str]
    confusions: list[tuple[str, str, int]]
    reliability: list[list[float]]
    new: dict[str, int] = field(default_factory=dict)
    unseen: dict[str, float] | None = None
    searched: dict[str, float] = field(default_factory=dict)

    @property
    def examples(self) -> int:
        """Count the recordings."""
        return len(self.counts)

    def measures(self) -> dict[str, float]:
        """Give the figures of the whole part."""
        cer, wer = rates(self.counts)
        beam = {f"beam_{name}": value for name, value in self.searched.items()}
        return {"cer": cer, "wer": wer, "ser": float(self.wrong.mean())} | beam

    @property
    def neglect(self) -> ClassHealth | None:
        """There are no classes."""
        return None

    def warnings(self) -> list[HealthWarning]:
        """Name symbols that the model cannot know."""
        return new_symbols(self.new)

    def intervals(self) -> dict[str, list[float]]:
        """Give the 95 % interval of each error rate: whole speakers, books or pages are drawn anew 1,000 times."""
        _, owners = np.unique(self.groups or np.arange(len(self.counts)).astype(str).tolist(), return_inverse=True)
        sums = np.zeros((int(owners.max()) + 1, 4), np.int64)
        np.add.at(sums, owners, self.counts)
        drawn = np.random.default_rng(_SEED).integers(len(sums), size=(_DRAWS, len(sums)))
        found = np.array([rates(sums[rows]) for rows in drawn])  # [draws, 2]
        low, high = np.quantile(found, [0.025, 0.975], axis=0)
        return {name: [float(low[at]), float(high[at])] for at, name in enumerate(("cer", "wer"))}

    def by_group(self) -> list[dict[str, object]]:
        """Give a row for each speaker, book or page, the worst first; none where nobody knows them."""
        groups = np.array(self.groups or [], dtype=object)
        rows = [(name, self.counts[groups == name]) for name in sorted(set(self.groups or []))]
        told = [(name, len(counts), *rates(counts)) for name, counts in rows]
        return [
            {"group": name, "recordings": count, "cer": f"{cer:.2%}", "wer": f"{wer:.2%}"}
            for name, count, cer, wer in sorted(told, key=lambda row: (-row[2], row[0]))
        ]

    def table(self) -> list[dict[str, object]]:
        """Give a row for symbols and words, with their intervals, and for texts."""
        measures, intervals = self.measures(), self.intervals()
        counts = {"cer": int(self.counts[:, 1].sum()), "wer": int(self.counts[:, 3].sum()), "ser": self.examples}
        rows = []
        for of, name in (("symbols", "cer"), ("words", "wer"), ("texts", "ser")):
            span = " to ".join(f"{share:.2%}" for share in intervals.get(name, []))
            unseen = "" if self.unseen is None else f"{self.unseen[name]:.2%}"
            row = {"of": of, "error": f"{measures[name]:.2%}", "95 %": span, "count": counts[name]}
            rows.append(row | ({"unseen texts": unseen} if unseen else {}))
        return rows

    def to_json(self) -> dict[str, Any]:
        """Give all of it, ready for `json.dumps`."""
        return {
            **self.measures(),
            "examples": self.examples,
            "intervals": self.intervals(),
            "unseen": self.unseen,
            "groups": self.by_group(),
            "confusions": [list(row) for row in self.confusions],
            "reliability": self.reliability,
            "new_symbols": self.new,
            "warnings": list(map(str, self.warnings())),
        }


def rates(counts: Counts) -> tuple[float, float]:
    """Divide the wrong symbols and words of all recordings together by all symbols and words.

    >>> rates(np.array([[1, 4, 1, 2], [0, 6, 0, 2]]))
    (0.1, 0.25)
    """
    symbols, all_symbols, words, all_words = counts.sum(axis=0).tolist()
    return symbols / max(all_symbols, 1), words / max(all_words, 1)


def count_errors(found: str, right: str) -> tuple[int, int, int, int]:
    """Count wrong symbols, symbols, wrong words and words of a text.

    >>> count_errors("a cap", "a cat")
    (1, 5, 1, 2)
    """
    words = right.split()
    return distance(found, right), len(right), distance(found.split(), words), len(words)


def measure_transcriber(
    model: Transcriber, examples: Examples, *, beam: int = 0, language: bool = True
) -> Transcribing:
    """Measure a fitted transcriber on examples, at least one. Raises DataError for none.

    Args:
        model: it.
        examples: recordings and their texts.
        beam: measure a search among so many texts; 0 reads the most probable symbol of each frame, and tells beside it
            what the search makes of it that a model uses which learned of texts alone.
        language: whether a search uses what was learned of texts alone.
    """
    if not len(examples):
        raise DataError("there are no examples to evaluate on.")
    given = as_recordings(examples.x, examples.y, reads=model.reads, rate=model.rate, known=True)
    scorer: Literal["learned"] | None = "learned" if language else None
    told, right = model.transcribe(given, beam=beam, scorer=scorer), given.texts or []
    searched = {}
    if not beam and language and model.scorer_ is not None:
        texts = [one.text for one in model.transcribe(given, beam=WIDTH)]
        cer, wer = rates(_counted(texts, right))
        wrong = [one != text for one, text in zip(texts, right, strict=True)]
        searched = {"cer": cer, "wer": wer, "ser": float(np.mean(wrong))}
    mistaken, sure = Counter[tuple[str, str]](), list[tuple[float, bool]]()
    for one, text in zip(told, right, strict=True):
        shown = iter(one.symbols)
        for symbol, wanted in paired([each.text for each in one.symbols], list(as_shown(text, model.reads))):
            if symbol is not None:
                sure.append((next(shown).confidence, symbol == wanted))
            if symbol != wanted:
                mistaken[(wanted or "", symbol or "")] += 1
    return Transcribing(
        counts=_counted([one.text for one in told], right),
        groups=given.groups,
        wrong=np.array([one.text != text for one, text in zip(told, right, strict=True)]),
        right=list(right),
        confusions=[
            (*pair, count) for pair, count in sorted(mistaken.items(), key=lambda item: (-item[1], item[0]))[:_SHOWN]
        ],
        reliability=_binned(sure),
        searched=searched,
        new=dict(unseen_symbols(right, model.symbols_).most_common()),
    )


def apart_from(found: Transcribing, learned: Examples) -> Transcribing:
    """Measure again without recordings whose text stands in training."""
    known = set(learned.x.texts or ()) if isinstance(learned.x, Recordings) else set(learned.y)
    new = np.array([text not in known for text in found.right])
    if not new.any():
        return found
    cer, wer = rates(found.counts[new])
    told = {"cer": cer, "wer": wer, "ser": float(found.wrong[new].mean()), "examples": int(new.sum())}
    return replace(found, unseen=told)


def _counted(found: Sequence[str], right: Sequence[str]) -> Counts:
    return np.array([count_errors(one, text) for one, text in zip(found, right, strict=True)], np.int64)


def _binned(sure: Sequence[tuple[float, bool]]) -> list[list[float]]:
    """Put symbols into ten bins by how sure they are: mean, share that is right, count; empty bins are left out."""
    if not sure:
        return []
    shares, hits = np.array([share for share, _ in sure]), np.array([hit for _, hit in sure])
    places = np.minimum((shares * _BINS).astype(np.int64), _BINS - 1)
    bins = [places == number for number in range(_BINS)]
    return [[float(shares[own].mean()), float(hits[own].mean()), int(own.sum())] for own in bins if own.any()]


def judge(_kept: Record, _measures: Mapping[str, float], _part: str) -> list[HealthWarning]:
    """Find nothing amiss by numbers alone."""
    return []


SCORES = Scores(measure_transcriber, judge, apart_from)
