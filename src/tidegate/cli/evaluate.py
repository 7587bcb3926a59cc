"""`tidegate evaluate`: how good a model is on examples whose labels are known."""

from pathlib import Path

from tidegate.cli.inputs import load_task
from tidegate.cli.options import Column, Data, Json, Label, ModelPath, Reading, Split, Targets, Text, collect_reading
from tidegate.cli.output import emit_json, emit_table, emit_tree, say


def evaluate(
    model: ModelPath,
    data: Data,
    text: Text = None,
    label: Label = None,
    column: Column = None,
    targets: Targets = None,
    reading: Reading = None,
    split: Split = None,
    json: Json = False,
) -> None:
    """Measure a model on examples whose answers are known.

    The test part of a data set is taken, or all of it where it has no parts. A forecaster forecasts from every time of
    it, beside two guesses that need no model: the last value, and the value one season before.

    Examples:
      tidegate evaluate runs/imdb-tutorial-bilstm imdb
      tidegate evaluate model.safetensors new.csv --text review --label stars --json
    """
    from tidegate import runs

    loaded = load_task(model)
    options = collect_reading(None, reading, text=text, label=label, column=column, target_columns=targets, split=split)
    kind = {"kind": loaded.reads} if Path(data).exists() else {}
    dataset = runs.Source(data, kind | options).load()
    part = "all" if dataset.test is None else "test"
    say(dataset.summary())
    found = runs.evaluate(loaded, dataset.train if dataset.test is None else dataset.test)
    if json:
        emit_json({"model": str(model), "data": dataset.name, "part": part, **found.to_json()})
        return
    say(f"{model} on {found.examples:,} examples of {dataset.name} ({part})")
    emit_tree({name: runs.show_measure(name, value) for name, value in found.measures().items()})
    print()
    emit_table(found.table())
