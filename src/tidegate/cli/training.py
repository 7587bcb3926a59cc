"""Carries a training out at the terminal: shows its steps, and stops between two of them when a signal asks for it."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from tidegate.cli.output import say
from tidegate.cli.progress import show_training
from tidegate.cli.signals import leave_on_sigterm, stop_on_signals
from tidegate.errors import DataError, WorkerError

if TYPE_CHECKING:
    from tidegate.runs import Baseline, Result, Training
    from tidegate.scale import Workers


@contextmanager
def telling() -> Iterator[None]:
    """Say what goes on before the first update, as the log has it."""
    log, level, handler = logging.getLogger("tidegate"), logging.getLogger("tidegate").level, _Saying(logging.INFO)
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)


class _Saying(logging.Handler):
    """Say each record of the log."""

    def emit(self, record: logging.LogRecord) -> None:
        """Say it, without its place or level."""
        say(record.getMessage())


@contextmanager
def naming(data: str | None, *others: object) -> Iterator[None]:
    """Name the data in front of what is wrong with it, unless the message does, or names one of some other files."""
    try:
        yield
    except DataError as error:
        other = any(file is not None and str(file) in str(error) for file in others)
        raise (error if data is None or other else error.about(data)) from None


def carry_out(training: "Training", *, baselines: bool = False, crew: "Workers | None" = None) -> "Result":
    """Train to the end, fit simple models beside it if wanted, and sum the run up.

    SIGINT and SIGTERM save the state, say how to go on, and leave with 130 and 143, also while a crew waits for others.
    """
    folder, waiting = training.folder.path, [] if crew is None else [crew.give_up]
    shown = show_training(f"{folder.name} on {training.dataset.name}")
    with stop_on_signals(*waiting) as stop, shown as show:
        try:
            for step in training.steps:
                show(step)
                if stop.signal:
                    break
        except WorkerError as error:
            if stop.signal is None:
                raise
            say(str(error))
        if stop.signal:
            training.stop()
    if stop.signal:
        say(f"stopped by {stop.signal.name}; the state is saved. To go on: tidegate train --resume {folder}")
        raise typer.Exit(128 + stop.signal)
    return training.finish(_fit_baselines(training) if baselines else [])


def _fit_baselines(training: "Training") -> list["Baseline"]:
    """Fit simple models to the same data and say each as it comes; whoever stops it keeps the model."""
    found = []
    try:
        with leave_on_sigterm():
            for each in training.baselines():
                told = f"not fitted: {each.skipped}." if each.value is None else f"fitted in {each.seconds:.1f} s"
                say(f"beside the network: {each.name}, {told}")
                found.append(each)
    except (KeyboardInterrupt, SystemExit) as stop:
        say(
            "stopped while simple models were fitted beside the network, which is trained. To measure it: "
            f"tidegate train --resume {training.folder.path} (--no-baselines leaves them out)"
        )
        training.folder.release()
        raise typer.Exit(130 if isinstance(stop, KeyboardInterrupt) else 143) from None
    return found
