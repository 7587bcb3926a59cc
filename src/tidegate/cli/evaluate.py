"""`tidegate evaluate`: how good a model is on examples whose labels are known."""

from pathlib import Path
from typing import Annotated

import typer

from tidegate.cli.inputs import load_task, trained_on
from tidegate.cli.options import Column, Data, Json, Label, ModelPath, Reading, Split, Targets, Text, collect_reading
from tidegate.cli.output import emit_json, emit_table, emit_tree, say
from tidegate.errors import OptionError

_PARTS = ("all", "train", "valid", "test")
Part = Annotated[
    str | None, typer.Option("--part", metavar="NAME", help=f"Take this part of the data: {', '.join(_PARTS)}.")
]


def evaluate(
    model: ModelPath,
    data: Data,
    text: Text = None,
    label: Label = None,
    column: Column = None,
    targets: Targets = None,
    reading: Reading = None,
    split: Split = None,
    part: Part = None,
    json: Json = False,
) -> None:
    """Measure a model on examples whose answers are known.

    Of the data that the run was made with, the part that the run held out is taken, read as the run read it; of a data
    set its test part; of any other file all of it. --part takes another one. stderr says which it is.

    A forecaster forecasts from every time, beside two guesses that need no model: the last value, and the value one
    season before.

    Examples:
      tidegate evaluate runs/imdb-tutorial-bilstm imdb
      tidegate evaluate model.safetensors new.csv --text review --label stars --json
    """
    from tidegate import runs

    loaded = load_task(model)
    options = collect_reading(None, reading, text=text, label=label, column=column, target_columns=targets, split=split)
    kind = {"kind": loaded.kind} if Path(data).exists() else {}
    if part not in (None, *_PARTS):
        raise OptionError.unknown("part", str(part), _PARTS)
    chosen = runs.choose_part(runs.Source(data, kind | options), trained_on(model), part)  # type: ignore[arg-type]
    say(chosen.dataset.summary())
    say(chosen.note)
    found = runs.evaluate(loaded, chosen.examples)
    for warning in found.warnings():
        say(f"warning: {warning}")
    if json:
        emit_json({"model": str(model), "data": chosen.dataset.name, "part": chosen.name, **found.to_json()})
        return
    say(f"{model} on {found.examples:,} examples of {chosen.dataset.name} ({chosen.name})")
    worst = found.neglect.worst if found.neglect else None
    emit_tree(runs.show_measures(found.measures(), worst))
    print()
    emit_table(found.table())
