"""Measures language models: how well they foresee texts that they have not seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tidegate.errors import DataError
from tidegate.health import HealthWarning
from tidegate.tasks.scores import Scores

if TYPE_CHECKING:
    from tidegate.data import Examples
    from tidegate.tasks import LanguageModel


@dataclass(frozen=True)
class Foresight:
    """Hold what a language model reached over whole texts, and how many texts and characters those were.

    gaps: of a model that fills gaps, how often it names the right word from the left, the right and both; else empty.
    """

    examples: int
    characters: int
    found: dict[str, float]
    gaps: dict[str, float]

    def measures(self) -> dict[str, float]:
        """Give perplexity, loss in nats per token, and where tokens spell any text the bits per character."""
        return {"perplexity": self.found["perplexity"], **self.found}

    @property
    def neglect(self) -> None:
        """Tokens are too many to tell of one by one."""

    def warnings(self) -> list[HealthWarning]:
        """Find nothing to warn of."""
        return []

    def table(self) -> list[dict[str, object]]:
        """Give a row for each side of a gap, or one with how much was measured."""
        if self.gaps:
            return [{"gaps seen from": side, "right words": f"{share:.2%}"} for side, share in self.gaps.items()]
        return [{"texts": f"{self.examples:,}", "characters": f"{self.characters:,}"}]

    def to_json(self) -> dict[str, Any]:
        """Give all of it, ready for `json.dumps`."""
        return {"examples": self.examples, "characters": self.characters, **self.measures(), "gaps": self.gaps}


def measure_language_model(model: LanguageModel, examples: Examples) -> Foresight:
    """Measure a fitted language model on texts, each read from its beginning to its end, however long.

    Raises DataError where there is no text.
    """
    if not len(examples):
        raise DataError("there are no texts to evaluate on.")
    texts = list(examples.x)
    gaps = model.measure_gaps(texts) if model.fills_gaps else {}
    return Foresight(len(texts), sum(map(len, texts)), model.measure(texts), gaps)


SCORES = Scores(measure_language_model, lambda _kept, _measures, _part: [])
