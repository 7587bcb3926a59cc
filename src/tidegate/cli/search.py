"""`tidegate search`: many trainings that look for the best parameters, each told to the next ones."""

from contextlib import closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tidegate.cli.options import (
    ClusterAt,
    Column,
    Data,
    Epochs,
    Json,
    Label,
    Reading,
    Seed,
    Settings,
    Split,
    Targets,
    Task,
    Text,
    collect_params,
    collect_reading,
    named_path,
    task_named,
)
from tidegate.cli.output import emit_json, emit_table, say
from tidegate.cli.signals import leave_on_sigterm
from tidegate.cli.training import naming
from tidegate.errors import InputError

if TYPE_CHECKING:
    from tidegate.search.trials import Tried

SpaceFile = Annotated[
    Path, typer.Option("--space", metavar="FILE", parser=named_path, help="What may be chosen, as TOML.")
]
Trials = Annotated[int, typer.Option("--trials", metavar="N", help="How many trainings, those of before among them.")]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers", metavar="N", help="How many train at the same time; with --cluster one for each machine."
    ),
]
Preset = Annotated[str | None, typer.Option("--preset", metavar="NAME", help="A set-up by name to start from.")]
Measure = Annotated[
    str | None, typer.Option("--measure", metavar="NAME", help="What is to be best on the part held out.")
]
Prune = Annotated[bool, typer.Option("--prune/--no-prune", help="End trainings early that are worse than most.")]
Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="DIR", parser=named_path, help="The folder; by default one under runs/."),
]


def search(
    data: Data,
    space: SpaceFile,
    trials: Trials = 20,
    workers: Workers = None,
    cluster: ClusterAt = None,
    task: Task = None,
    text: Text = None,
    label: Label = None,
    column: Column = None,
    targets: Targets = None,
    reading: Reading = None,
    split: Split = None,
    preset: Preset = None,
    measure: Measure = None,
    prune: Prune = True,
    epochs: Epochs = None,
    seed: Seed = None,
    settings: Settings = None,
    out: Out = None,
    json: Json = False,
) -> None:
    """Look for the parameters with which a task learns best.

    A line of the space names a parameter: with a list of values, or a range such as {low = 16, high = 128, step = 16}
    or {low = 1e-4, high = 1e-1, log = true}; anything else is the same in all trials. Only the part held out is looked
    at; a test part stays unseen until a trial is finished with `tidegate train --resume`.

    With --cluster trials train on the machines of a cluster of Ray, which find data and folder under the same paths.

    The folder keeps a journal, a run folder for each trial, the page and its pictures. The same command goes on where
    it was stopped, also with more trials.

    Examples:
      tidegate search imdb --space space.toml --trials 50 --workers 2
      tidegate search ett --task forecast --target-columns all --space space.toml --measure mae
    """
    from tidegate import runs
    from tidegate.scale import Cluster
    from tidegate.search import Space, open_search, read_space
    from tidegate.search.report import rows_of

    options = collect_reading(task, reading, text=text, label=label, column=column, target_columns=targets, split=split)
    found = read_space(space)
    given = collect_params(settings, epochs=epochs)
    if both := sorted(given.keys() & found.chosen.keys()):
        told = f"{', '.join(both)} would be chosen and the same in all trials"
        raise InputError(f"{told}: take it out of {space}, or leave --epochs and --set out.")
    whole = Space(found.chosen, {**found.fixed, **given})
    folder = out or Path("runs") / f"{Path(data).stem}-search"
    with naming(data), leave_on_sigterm():
        opened = open_search(
            runs.Source(data, options),
            whole,
            out=folder,
            task=task_named(task),
            preset=preset,
            measure=measure,
            prune=prune,
            seed=seed or 0,
        )
        with closing(opened), nullcontext() if cluster is None else Cluster(cluster) as machines:
            if machines is not None:
                workers = len(machines.machines()) if workers is None else workers
                say(f"{workers} trials at a time on {machines.told}")
            with closing(
                opened.run(trials=trials, workers=1 if workers is None else workers, cluster=machines)
            ) as ended:
                for one in ended:
                    say(_spelled(one, opened.setting.measure))
            opened.write()
            best = opened.best
    if json:
        emit_json(
            {"measure": opened.setting.measure, "best": best and vars(best), "trials": [*map(vars, opened.tried)]}
        )
    else:
        emit_table(rows_of(opened.tried, opened.setting.measure))
    say(f"Page: {opened.page}")
    if best is not None:
        run = opened.folder_of(best.number)
        say(f"Next: tidegate train --resume {run} (measures the best once); tidegate predict {run}")


def _spelled(trial: "Tried", measure: str) -> str:
    """Say what a trial reached, with which parameters."""
    reached = "not finite" if trial.value is None else f"{measure} {trial.value:.4f}"
    told = ", ".join(f"{name}={value}" for name, value in trial.params.items())
    return f"trial {trial.number}: {reached}, {trial.ended} after {len(trial.values)} epochs; {told}"
