"""`tidegate lab`: how far back cells can learn to remember."""

from typing import TYPE_CHECKING, Annotated

import typer

from tidegate.cli.options import Json, Out, Overwrite, Seed, given
from tidegate.cli.output import emit_json, emit_table, say
from tidegate.cli.progress import show_training
from tidegate.cli.signals import StopRequest, stop_on_signals
from tidegate.data.showing import show
from tidegate.errors import InputError

if TYPE_CHECKING:
    from tidegate.lab import Lab, Outcome, Trial

Task = Annotated[str, typer.Option("--task", metavar="NAME", help="adding, copy, temporal-order or first-token.")]
Cells = Annotated[str, typer.Option("--cells", metavar="A,B,C", help="The cells to train, by name.")]
Lengths = Annotated[str, typer.Option("--lengths", metavar="T,T,T", help="How many steps back the answer lies.")]
Updates = Annotated[int | None, typer.Option("--updates", metavar="N", min=1, help="Updates, at most.")]
HiddenSize = Annotated[int | None, typer.Option("--hidden-size", metavar="N", min=1, help="Units of each direction.")]
BatchSize = Annotated[int | None, typer.Option("--batch-size", metavar="N", min=1, help="New problems per update.")]
LearningRate = Annotated[
    float | None, typer.Option("--learning-rate", metavar="R", help="Of the gated cells; a SimpleRNN takes a tenth.")
]
Mixed = Annotated[
    bool | None, typer.Option("--mixed/--no-mixed", help="Train on shorter problems, too; checks are on those of T.")
]


def lab(
    task: Task = "adding",
    cells: Cells = "rnn,lstm,lstm-chrono,gru,bilstm",
    lengths: Lengths = "50,100,200,400,800",
    updates: Updates = None,
    hidden_size: HiddenSize = None,
    batch_size: BatchSize = None,
    learning_rate: LearningRate = None,
    mixed: Mixed = None,
    seed: Seed = None,
    out: Out = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Find out how far back cells can learn to remember.

    Every cell is trained on a generated task whose answer lies T steps back, until it solves it or has no updates left.
    Prints one row per cell and T beside the level that needs no memory; draws the curves, success against T, and the
    gradient flow of the trained cells.

    Ctrl-C or SIGTERM leaves what was finished.

    Examples:
      tidegate lab
      tidegate lab --task first-token --cells rnn,bilstm --lengths 20,200 --out runs/first
    """
    from tidegate.lab import lab as enter

    visit = enter(
        task,
        cells=split(cells),
        lengths=split_lengths(lengths),
        settings=given(
            updates=updates,
            hidden_size=hidden_size,
            batch_size=batch_size,
            learning_rate=learning_rate,
            mixed=mixed,
            seed=seed,
        ),
        out=out,
        overwrite=overwrite,
    )
    with stop_on_signals() as stop:
        done = _train(visit, stop)
    _report(visit, done, json)
    if stop.signal:
        say(f"stopped by {stop.signal.name}; {len(done)} of {visit.count} trainings were finished")
        raise typer.Exit(128 + stop.signal)


def _train(visit: "Lab", stop: StopRequest) -> "list[Trial]":
    """Train cell after cell until all are done or a signal comes; each that is finished is saved at once."""
    done: list[Trial] = []
    for trial in visit.trials():
        with show_training(f"{trial.cell}, T = {trial.length}", lines=False) as show_step:
            for step in trial.steps():
                show_step(step)
                if stop.signal:
                    return done
        if stop.signal:
            return done
        done.append(trial)
        visit.save(done)
        say(outcome_line(trial.outcome()))
    return done


def _report(visit: "Lab", done: "list[Trial]", json: bool) -> None:
    """Print what the finished trainings came to, write the results and the page, and give the folder free."""
    outcomes = visit.ranked(done)
    if json:
        emit_json({"task": visit.task.name, "outcomes": [outcome.to_json() for outcome in outcomes]})
    else:
        emit_table([outcome.headline() for outcome in outcomes])
    if done:
        visit.write(done)
        say(f"Results: {visit.results}")
    visit.release()
    if any(outcome.curve for outcome in outcomes):
        say(f"Page: {visit.report}")


def split(text: str) -> list[str]:
    """Read names that stand between commas.

    >>> split("rnn, lstm,")
    ['rnn', 'lstm']
    """
    return [word.strip() for word in text.split(",") if word.strip()]


def split_lengths(text: str) -> list[int]:
    """Read whole numbers that stand between commas; raises InputError for anything else.

    >>> split_lengths("50,100")
    [50, 100]
    """
    words = split(text)
    for word in words:
        if not word.isdecimal():
            raise InputError(f"--lengths holds {word!r}, but whole numbers of steps were wanted, such as 50,100.")
    return list(map(int, words))


def outcome_line(outcome: "Outcome") -> str:
    """Say in one line what one training came to."""
    how = "solved" if outcome.solved else f"not finite: {outcome.trouble}" if outcome.trouble else "not solved"
    level = "" if outcome.level is None else f", level {show(outcome.level)} (trivial {show(outcome.trivial_level)})"
    told = f"{outcome.updates} updates{level}, {outcome.seconds:.1f} s"
    return f"{outcome.cell}, T = {outcome.length}: {how}, {told}"
