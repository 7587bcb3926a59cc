"""What simple models reach that a result is read against, whatever the task. Knows no task and fits nothing itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from tidegate.data import Examples


@dataclass(frozen=True)
class Baseline:
    """Hold what one simple model reached, and the seconds that fitting and measuring it took.

    measure: which of the measures of the task `value` is.
    value: from 0 to 1, more is better; None for a model that was not fitted.
    skipped: why it was not fitted.
    """

    name: str
    measure: str
    value: float | None
    seconds: float = 0.0
    skipped: str = ""

    def to_json(self) -> dict[str, Any]:
        """Give all of it, ready for `json.dumps`."""
        return asdict(self)

    def to_record(self, part: str) -> dict[str, Any]:
        """Say for the metrics of a run what it reached on a part.

        >>> Baseline("majority class", "accuracy", 0.5).to_record("test")["baseline"]
        'majority class'
        """
        said = self.to_json()
        return {"baseline": said.pop("name"), "part": part, **said}


FitBaselines: TypeAlias = Callable[[Any, "Examples", "Examples | None"], Iterator[Baseline]]
"""Fits simple models beside a fitted task to its training part and measures them: on the part that is passed, or where
that is None on the one that the task held out of the training part itself. Yields nothing where it held out none."""
