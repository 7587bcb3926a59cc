"""Measures language models: how well they foresee texts that they have not seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tidegate.errors import DataError

if TYPE_CHECKING:
    from tidegate.data import Examples
    from tidegate.tasks import LanguageModel


@dataclass(frozen=True)
class Foresight:
    """Hold what a language model reached over whole texts, and how many texts and characters those were."""

    examples: int
    characters: int
    found: dict[str, float]

    def measures(self) -> dict[str, float]:
        """Give perplexity, loss in nats per token, and where tokens spell any text the bits per character."""
        return {"perplexity": self.found["perplexity"], **self.found}

    def table(self) -> list[dict[str, object]]:
        """Give how much was measured, in one row."""
        return [{"texts": f"{self.examples:,}", "characters": f"{self.characters:,}"}]

    def to_json(self) -> dict[str, Any]:
        """Give all of it, ready for `json.dumps`."""
        return {"examples": self.examples, "characters": self.characters, **self.measures()}


def measure_language_model(model: LanguageModel, examples: Examples) -> Foresight:
    """Measure a fitted language model on texts, each read from its beginning to its end, however long.

    Raises DataError where there is no text.
    """
    if not len(examples):
        raise DataError("there are no texts to evaluate on.")
    texts = list(examples.x)
    return Foresight(len(texts), sum(map(len, texts)), model.measure(texts))
