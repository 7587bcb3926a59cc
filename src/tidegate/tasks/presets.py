"""Set-ups by name: parameters of a task that are known to do well, or that tutorials teach.

They stand in the folders of the tasks, every parameter but the seed written out, so that a better default leaves a
preset as it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidegate.errors import InputError, OptionError
from tidegate.tasks.cards import CARDS


def names(task: str) -> tuple[str, ...]:
    """List the names of the presets of a task; most have none."""
    return tuple(_presets(task))


def get(name: str, *, task: str) -> dict[str, Any]:
    """Copy the parameters of a preset of a task.

    Raises OptionError with the nearest name for one that is not known, InputError for one of another task.

    >>> get("tutorial-lstm", task="text-classifier")["hidden_size"]
    32
    """
    known = _presets(task)
    if name in known:
        return dict(known[name])
    if others := [other for other, card in CARDS.items() if name in card.presets]:
        raise InputError(f"the preset {name!r} is for a {others[0]}, not for a {task}. Set the parameters instead.")
    raise OptionError.unknown("preset", name, known or [name for card in CARDS.values() for name in card.presets])


def _presets(task: str) -> Mapping[str, Mapping[str, Any]]:
    return CARDS[task].presets if task in CARDS else {}
