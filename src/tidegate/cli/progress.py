"""Shows training as it goes: a bar where stderr is a terminal, one plain line per epoch everywhere else."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

from tidegate.cli.output import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.progress import Progress

    from tidegate.train import Step


_SECONDS = 10.0  # between two lines that say how far it is


@contextmanager
def show_training(title: str, *, lines: bool = True) -> Iterator[Callable[[Step], None]]:
    """Give a function that takes every step and shows it; a bar goes when the block ends, the lines of epochs stay.

    With `lines=False` there are no lines of epochs or warnings: where there is no bar either, nothing is shown.
    """
    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        with _bar() as progress:
            yield _BarDisplay(progress, title, lines)
    elif lines:
        say(title)
        yield _show_line
    else:
        yield lambda step: None


@contextmanager
def show_answering(title: str, *, bar: bool) -> Iterator[Callable[[int, float], None]]:
    """Give a function that takes how many rows are answered, and the share of the file, and shows both.

    A bar where stderr is a terminal, unless `bar` is False, since answers come to that terminal; else now and then a
    line.
    """
    if bar and sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[rows]}"))
        with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task(title, total=1.0, rows="")
            yield lambda rows, share: progress.update(task, completed=share, rows=f"{rows:,} rows")
        return
    told = monotonic()

    def show_line(rows: int, share: float) -> None:
        nonlocal told
        if monotonic() - told > _SECONDS:
            told = monotonic()
            say(f"{title}: {rows:,} rows answered, {share:.0%} of the file")

    yield show_line


def _show_line(step: Step) -> None:
    for warning in step.warnings:
        say(f"warning: {warning}")
    if step.end_of_epoch:
        say(epoch_line(step))


def epoch_line(step: Step) -> str:
    """Say in one line what an epoch brought.

    >>> from types import SimpleNamespace as Step
    >>> epoch_line(Step(epoch=2, epochs=5, mean_loss=0.3, valid={"mse": 0.31}, classes=None, refit=False, seconds=3.21))
    'epoch 2/5  train loss 0.3000  valid mse 0.3100  3.2 s'
    """
    shown = {name: value for name, value in (step.valid or {}).items() if name not in _IN_THE_METRICS}
    measured = [f"valid {name.replace('_', ' ')} {value:.4f}" for name, value in shown.items()]
    if step.classes is not None:
        measured.append(f"({step.classes.worst})")
    epoch, loss = f"epoch {step.epoch}/{step.epochs}", f"train loss {step.mean_loss:.4f}"
    if step.refit:
        measured.append("on all rows")
    return "  ".join([epoch, loss, *measured, f"{step.seconds:.1f} s"])


_IN_THE_METRICS = ("uncalibrated_loss", "uncalibrated_ece", "temperature")  # which a line has no room for


class _BarDisplay:
    """Move the bar with every step and leave a line above it for every epoch, unless it is to leave none."""

    def __init__(self, progress: Progress, title: str, lines: bool) -> None:
        self.progress, self.lines, self.tokens, self.since = progress, lines, 0, 0.0
        self.task = progress.add_task(title, total=None, epoch="", loss="", speed="")

    def __call__(self, step: Step) -> None:
        self.tokens += step.tokens
        if self.since == 0.0:
            self.since, self.tokens = step.seconds, 0  # a resumed run brings its seconds along, but not its tokens
        speed = self.tokens / (step.seconds - self.since) if step.seconds > self.since else 0.0
        self.progress.update(
            self.task,
            total=step.steps,
            completed=step.step,
            epoch=f"epoch {step.epoch}/{step.epochs}",
            loss=f"loss {step.mean_loss:.4f}",
            speed=f"{speed:,.0f} tokens/s",
        )
        if not self.lines:
            return
        for warning in step.warnings:
            self.progress.console.print(f"warning: {warning}", highlight=False, markup=False)
        if step.end_of_epoch:
            self.progress.console.print(epoch_line(step), highlight=False)


def _bar() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description} {task.fields[epoch]}"),
        BarColumn(),
        TextColumn("{task.fields[loss]}  {task.fields[speed]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
