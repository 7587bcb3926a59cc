"""Measures transcribers on recordings whose texts are known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from tidegate.errors import DataError
from tidegate.health import ClassHealth, HealthWarning
from tidegate.tasks.scores import Record, Scores
from tidegate.tasks.transcribing.errors import distance
from tidegate.tasks.transcribing.reading import as_recordings

if TYPE_CHECKING:
    from tidegate.data import Examples
    from tidegate.tasks.transcribing.transcriber import Transcriber


@dataclass(frozen=True)
class Transcribing:
    """Hold what a transcriber reached: errors as shares of all symbols and of all words, and of texts not all right."""

    cer: float
    wer: float
    ser: float
    examples: int
    symbols: int
    words: int

    def measures(self) -> dict[str, float]:
        """Give the figures of the whole part."""
        return {"cer": self.cer, "wer": self.wer, "ser": self.ser}

    @property
    def neglect(self) -> ClassHealth | None:
        """There are no classes."""
        return None

    def warnings(self) -> list[HealthWarning]:
        """Find nothing amiss by numbers alone."""
        return []

    def table(self) -> list[dict[str, object]]:
        """Give a row for symbols, words and texts."""
        parts = (
            ("symbols", self.cer, self.symbols),
            ("words", self.wer, self.words),
            ("texts", self.ser, self.examples),
        )
        return [{"of": name, "error": f"{share:.4f}", "count": count} for name, share, count in parts]

    def to_json(self) -> dict[str, Any]:
        """Give all of it, ready for `json.dumps`."""
        return asdict(self)


def measure_transcriber(model: Transcriber, examples: Examples) -> Transcribing:
    """Measure a fitted transcriber on examples, at least one. Raises DataError for none."""
    if not len(examples):
        raise DataError("there are no examples to evaluate on.")
    given = as_recordings(examples.x, examples.y, reads=model.reads, rate=model.rate, known=True)
    found, right = model.predict(given), given.texts or []
    words = [(a.split(), b.split()) for a, b in zip(found, right, strict=True)]
    symbols, count = sum(map(len, right)), sum(len(b) for _, b in words)
    return Transcribing(
        cer=sum(map(distance, found, right)) / max(symbols, 1),
        wer=sum(distance(a, b) for a, b in words) / max(count, 1),
        ser=sum(a != b for a, b in zip(found, right, strict=True)) / len(right),
        examples=len(right),
        symbols=symbols,
        words=count,
    )


def judge(_kept: Record, _measures: Mapping[str, float], _part: str) -> list[HealthWarning]:
    """Find nothing amiss by numbers alone."""
    return []


SCORES = Scores(measure_transcriber, judge)
