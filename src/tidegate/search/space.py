"""What a search may choose: a value or a range for each parameter, read from TOML. Knows no task and no search."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from tidegate.errors import InputError

Choice: TypeAlias = "Among | Between"
_RANGE = {"low", "high", "step", "log"}


class Ask(Protocol):
    """Choose values, as a trial of Optuna does."""

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        """Choose one of several."""

    def suggest_int(self, name: str, low: int, high: int, *, step: int, log: bool) -> int:
        """Choose a whole number."""

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None, log: bool) -> float:
        """Choose a number."""


@dataclass(frozen=True)
class Among:
    """Choose one of several values."""

    values: tuple[Any, ...]

    def choose(self, ask: Ask, name: str) -> Any:
        """Let a trial choose."""
        return ask.suggest_categorical(name, self.values)


@dataclass(frozen=True)
class Between:
    """Choose a number from `low` to `high`, both included; whole where both are. `log`: evenly by its logarithm."""

    low: float
    high: float
    step: float | None = None
    log: bool = False

    @property
    def whole(self) -> bool:
        """Tell whether only whole numbers are meant."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def choose(self, ask: Ask, name: str) -> Any:
        """Let a trial choose."""
        if self.whole:
            return ask.suggest_int(name, int(self.low), int(self.high), step=int(self.step or 1), log=self.log)
        return ask.suggest_float(name, self.low, self.high, step=self.step, log=self.log)


@dataclass(frozen=True)
class Space:
    """Hold what is chosen, and what is the same in all trials, by the name of the parameter."""

    chosen: Mapping[str, Choice]
    fixed: Mapping[str, Any] = field(default_factory=dict)

    def choose(self, ask: Ask) -> dict[str, Any]:
        """Let a trial choose all, and put what is fixed beside it."""
        return dict(self.fixed) | {name: choice.choose(ask, name) for name, choice in self.chosen.items()}

    def to_json(self) -> dict[str, Any]:
        """Write it down, to tell it from others."""
        chosen = {name: vars(choice) for name, choice in self.chosen.items()}
        return {"chosen": chosen, "fixed": dict(self.fixed)}


def read_space(path: Path) -> Space:
    r"""Read a file of TOML: a line for each parameter.

    A list says which values there are, a table with `low` and `high` a range of numbers, in which `step` and
    `log = true` may stand, too; anything else is the same in all trials.

    Raises:
        InputError: it is no TOML, a range or a list is not in order, or there is nothing to choose.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "space.toml"
    ...     _ = file.write_text('cell = ["lstm", "gru"]\nhidden_size = {low = 8, high = 64, log = true}\nseed = 3')
    ...     space = read_space(file)
    >>> space.chosen["cell"], space.fixed
    (Among(values=('lstm', 'gru')), {'seed': 3})
    """
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is no readable TOML: {error}") from None
    chosen: dict[str, Choice] = {}
    for name, value in found.items():
        if isinstance(value, list):
            chosen[name] = _among(path, name, value)
        elif isinstance(value, dict):
            chosen[name] = _between(path, name, value)
    if not chosen:
        raise InputError(f"{path} leaves nothing to choose. Give one a list, or a range: {{low = 1, high = 9}}.")
    return Space(chosen, {name: value for name, value in found.items() if name not in chosen})


def _among(path: Path, name: str, values: list[Any]) -> Among:
    if not values or any(isinstance(value, list | dict) for value in values):
        raise InputError(f"{path}: {name} = {values}; wanted one or more numbers, words or truth values.")
    return Among(tuple(values))


def _between(path: Path, name: str, told: dict[str, Any]) -> Between:
    numbers = {key: value for key, value in told.items() if key != "log"}
    plain = all(isinstance(value, int | float) and not isinstance(value, bool) for value in numbers.values())
    good = {"low", "high"} <= told.keys() <= _RANGE and plain and isinstance(told.get("log", False), bool)
    if not good or not told["low"] <= told["high"]:
        raise InputError(f"{path}: {name} = {told}; wanted {{low = ..., high = ...}}, with step or log = true besides.")
    if told.get("log") and (told["low"] <= 0 or "step" in told):
        raise InputError(f"{path}: {name} = {told}; with log = true, low must be more than 0, and there is no step.")
    return Between(**told)
