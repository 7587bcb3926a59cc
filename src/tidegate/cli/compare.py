"""`tidegate compare`: several presets on the same data, side by side."""

from typing import Annotated

import typer

from tidegate.cli.options import (
    Column,
    Data,
    Epochs,
    Json,
    Label,
    Out,
    Overwrite,
    Reading,
    Seed,
    Settings,
    Split,
    Targets,
    Task,
    Text,
    collect_params,
    collect_reading,
    part_settings,
    task_named,
)
from tidegate.cli.output import emit_json, emit_table, say
from tidegate.cli.training import carry_out, naming

Presets = Annotated[str, typer.Option("--presets", metavar="A,B,C", help="The set-ups to train, by name.")]


def compare(
    data: Data,
    presets: Presets,
    task: Task = None,
    text: Text = None,
    label: Label = None,
    column: Column = None,
    targets: Targets = None,
    reading: Reading = None,
    split: Split = None,
    epochs: Epochs = None,
    seed: Seed = None,
    settings: Settings = None,
    out: Out = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Train several presets side by side.

    Prints one table, and draws the learning curves into a picture and a page. A setting with several values, separated
    by commas, is tried with each of them.

    Example:
      tidegate compare imdb --presets tutorial-simplernn,tutorial-lstm,tutorial-bilstm
      tidegate compare imdb --presets tutorial-lstm --set optimizer=sgd,rmsprop,adam
    """
    from tidegate import runs

    names = [name.strip() for name in presets.split(",") if name.strip()]
    options = collect_reading(task, reading, text=text, label=label, column=column, target_columns=targets, split=split)
    params, vary = part_settings(collect_params(settings, epochs=epochs, seed=seed))
    with naming(data, params.get("embeddings")):
        comparison = runs.compare(
            runs.Source(data, options),
            names,
            task=task_named(task),
            params=params,
            vary=vary,
            out=out,
            overwrite=overwrite,
        )
    say(comparison.dataset.summary())
    results = {name: carry_out(training) for name, training in comparison.trainings()}
    if json:
        emit_json({name: result.to_json() for name, result in results.items()})
    else:
        emit_table([{"preset": name, **result.headline()} for name, result in results.items()])
    comparison.write(results)
    say(f"Learning curves: {comparison.curves}\nPage: {comparison.report}")
