"""Measures graders: how far their numbers are from the true ones."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from tidegate.errors import DataError
from tidegate.health import HealthWarning
from tidegate.tasks.scores import Scores

if TYPE_CHECKING:
    from tidegate.data import Examples

    from .grader import Grader


@dataclass(frozen=True)
class Grades:
    """Hold what a grader reached: the mean squared error over so many examples."""

    mse: float
    examples: int

    def measures(self) -> dict[str, float]:
        """Give the one figure."""
        return {"mse": self.mse}

    @property
    def neglect(self) -> None:
        """There are no classes."""

    def warnings(self) -> list[HealthWarning]:
        """Find nothing to warn of."""
        return []

    def table(self) -> list[dict[str, object]]:
        """Give one row."""
        return [asdict(self)]

    def to_json(self) -> dict[str, Any]:
        """Give both."""
        return asdict(self)


def measure(model: Grader, examples: Examples) -> Grades:
    """Measure a fitted grader; raises DataError where there is no example."""
    if not len(examples):
        raise DataError("there are no examples to evaluate on.")
    return Grades(-model.score(examples.x, examples.y), len(examples))


SCORES = Scores(measure, lambda _kept, _measures, _part: [])
