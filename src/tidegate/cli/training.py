"""Carries a training out at the terminal: shows its steps, and stops between two of them when a signal asks for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from tidegate.cli.output import say
from tidegate.cli.progress import show_training
from tidegate.cli.signals import stop_on_signals
from tidegate.errors import DataError

if TYPE_CHECKING:
    from tidegate.runs import Result, Training


@contextmanager
def naming(data: str | None, *others: object) -> Iterator[None]:
    """Name the data in front of what is wrong with it, unless the message does, or names one of some other files."""
    try:
        yield
    except DataError as error:
        other = any(file is not None and str(file) in str(error) for file in others)
        raise (error if data is None or other else error.about(data)) from None


def carry_out(training: "Training") -> "Result":
    """Train to the end and sum the run up.

    SIGINT and SIGTERM save the state, say how to go on, and leave with 130 and 143.
    """
    folder = training.folder.path
    with stop_on_signals() as stop, show_training(f"{folder.name} on {training.dataset.name}") as show:
        for step in training.steps:
            show(step)
            if stop.signal:
                training.stop()
                break
    if stop.signal:
        say(f"stopped by {stop.signal.name}; the state is saved. To go on: tidegate train --resume {folder}")
        raise typer.Exit(128 + stop.signal)
    return training.finish()
