"""What a measured model says of itself, whatever its task, and what is amiss with one that was measured in training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from tidegate.health import ClassHealth, HealthWarning, never_predicted

if TYPE_CHECKING:
    from tidegate.data import Examples

Record: TypeAlias = Mapping[str, Any]


class Evaluation(Protocol):
    """What a model reached."""

    @property
    def examples(self) -> int:
        """Count what was measured on."""

    def measures(self) -> dict[str, float]:
        """Give the figures of the whole part under their names, that of `Task.chief` among them."""

    @property
    def neglect(self) -> ClassHealth | None:
        """Say which classes the model neglects; None where there are none."""

    def warnings(self) -> list[HealthWarning]:
        """Say what is amiss with the model, and what to do."""

    def table(self) -> list[dict[str, object]]:
        """Give what is known in parts, such as a row for each class; rows share their headings."""

    def to_json(self) -> dict[str, Any]:
        """Give all of it, ready for `json.dumps`."""


@dataclass(frozen=True)
class Scores:
    """Say how a task is measured.

    Args:
        measure: takes a fitted model and examples whose answers are known, and by name how the model is asked, where
            that can be chosen.
        apart: measures again what was measured, without examples whose answer stands in those that were learned from;
            None where that says nothing.
        judge: says what is amiss with a model of which the part held out in training is all that is known. Takes the
            record of the epoch that is kept, its measures with those of guesses, and what to call the part.
    """

    measure: Callable[..., Evaluation]
    judge: Callable[[Record, Mapping[str, float], str], list[HealthWarning]]
    apart: Callable[[Any, Examples], Evaluation] | None = None


def precision_recall_f1(right: int, there: int, named: int) -> tuple[float, float, float]:
    """Measure how well one kind of thing is found; zero where nothing divides.

    Args:
        right: how often it was there and was named.
        there: how often it was there.
        named: how often it was named.

    >>> precision_recall_f1(right=1, there=2, named=4)
    (0.25, 0.5, 0.3333333333333333)
    """
    precision, recall = right / max(named, 1), right / max(there, 1)
    return precision, recall, 2 * right / max(there + named, 1)


def judge_classes(
    kept: Record, _measures: Mapping[str, float], part: str, *, what: str = "class"
) -> list[HealthWarning]:
    """Name the classes that are never predicted, by the record of an epoch; nothing where it tells of none."""
    if "worst_class" not in kept:
        return []
    return never_predicted(ClassHealth(kept["worst_class"], tuple(kept["never_predicted"])), part, what=what)
