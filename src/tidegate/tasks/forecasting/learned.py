"""What a forecaster learns besides its weights, and which series it can learn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tidegate.data.series import Roles, Series
from tidegate.data.times import Step
from tidegate.errors import Argument, DataError
from tidegate.tasks.forecasting.windows import Scaling
from tidegate.tasks.task import Json


@dataclass(frozen=True)
class LearnedSeries:
    """Hold what a forecaster learns besides its weights.

    Args:
        roles: what the columns are.
        step: from one time to the next.
        scaling: of the columns.
        ends: by the name of a series, the last time that training has seen of it.
        baselines: see `Forecaster.baselines_`.
    """

    roles: Roles
    step: Step
    scaling: Scaling
    ends: dict[str, Any]
    baselines: dict[str, float]

    def to_json(self) -> Json:
        """Write all of it."""
        return {
            "roles": {key: list(v) if isinstance(v, tuple) else v for key, v in vars(self.roles).items()},
            "step": vars(self.step),
            "scaling": self.scaling.to_json(),
            "ends": {name: str(end) for name, end in self.ends.items()},
            "baselines": self.baselines,
        }


def read_learned(stored: Json) -> LearnedSeries:
    """Read what `LearnedSeries.to_json` wrote; raises KeyError, TypeError or ValueError for anything else."""
    found: Json = {key: tuple(v) if isinstance(v, list) else v for key, v in stored["roles"].items()}
    roles = Roles(**found)
    step = Step(**stored["step"])
    if (
        type(step.count) is not int
        or not 1 <= step.count < 2**53
        or step.unit not in ("ms", "month", "business", "index")
    ):
        raise ValueError("it names no step of time")
    if not roles.targets or not all(isinstance(name, str) for name in roles.columns):
        raise ValueError("it names no target, or a column by something else than a text")
    scaling = Scaling.from_json(stored["scaling"], len(roles.columns))
    ends = {str(n): int(e) if step.unit == "index" else np.datetime64(e, "ms") for n, e in dict(stored["ends"]).items()}
    return LearnedSeries(roles, step, scaling, ends, {str(n): float(v) for n, v in dict(stored["baselines"]).items()})


def check_alike(series: Sequence[Series]) -> Roles:
    """Check that all series have one set of columns, one step, and names of their own; return the roles."""
    if not series:
        raise DataError("there is no series to learn from.")
    for s in series:
        if s.roles.columns != series[0].roles.columns or s.step != series[0].step:
            raise DataError(
                f"{s!r} and {series[0]!r} differ in their columns or steps; a model learns from series alike."
            )
    names = [s.name for s in series]
    if twice := [name for name in names if names.count(name) > 1]:
        raise DataError(f"two series are called {twice[0]!r}; give each a name of its own.")
    return series[0].roles


def check_learnable(series: Sequence[Series], whole: Sequence[Series], least: int) -> None:
    """Refuse series that are too short for one window, and targets that never change; `whole` has what is held out."""
    for s, given in zip(series, whole, strict=True):
        own = s.values[s.begin : s.known]
        if s.known < least or not len(own):
            held = given.known - s.known
            less = (f" {held} more are held out to measure on (", Argument("validation_fraction"), ").") if held else ()
            raise DataError(
                f"{s!r} is too short: lookback + horizon is {least} steps, and of each series that many are needed to "
                "learn from.", *less, " Leave it out, or shorten lookback or horizon.",
            )  # fmt: skip
        for column, name in enumerate(s.roles.targets):
            if (own[:, column] == own[0, column]).all():
                raise DataError(
                    f"{s!r}: {name!r} is {own[0, column]:g} in all {len(own)} steps to learn from; a constant needs no "
                    "model. Leave it out."
                )
