"""`tidegate evaluate`: how good a model is on examples whose labels are known."""

from pathlib import Path
from typing import Annotated, Any

import typer

from tidegate.cli.inputs import load_task, require_command, trained_on
from tidegate.cli.options import Column, Data, Json, Label, ModelPath, Reading, Split, Targets, Text, collect_reading
from tidegate.cli.output import emit_json, emit_table, emit_tree, say
from tidegate.errors import InputError, OptionError

_PARTS = ("all", "train", "valid", "test")
_GROUPS = ("speaker", "book", "page")
Part = Annotated[
    str | None, typer.Option("--part", metavar="NAME", help=f"Take this part of the data: {', '.join(_PARTS)}.")
]
By = Annotated[
    str | None,
    typer.Option("--by", metavar="|".join(_GROUPS), help="Of a transcriber: errors of each of these, too."),
]

Beam = Annotated[
    int, typer.Option("--beam", metavar="N", min=0, help="Of a transcriber: measure a search among N texts; 0, none.")
]
NoLanguage = Annotated[
    bool, typer.Option("--no-lm", help="Of a transcriber: leave out what training learned of texts.")
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
    by: By = None,
    beam: Beam = 0,
    no_lm: NoLanguage = False,
    json: Json = False,
) -> None:
    """Measure a model on examples whose answers are known.

    Of the data that the run was made with, the part that the run held out is taken, read as the run read it; of a data
    set its test part; of any other file all of it. --part takes another one. stderr says which it is.

    A forecaster forecasts from every time, beside two guesses that need no model: the last value, and the value one
    season before.

    Examples:
      tidegate evaluate runs/imdb-tutorial-bilstm imdb
      tidegate evaluate runs/an4 an4 --by speaker --beam 16
      tidegate evaluate model.safetensors new.csv --text review --label stars --json
    """
    from tidegate import runs

    loaded = load_task(model)
    asked = _asked(loaded, model, by, beam, no_lm)
    options = collect_reading(None, reading, text=text, label=label, column=column, target_columns=targets, split=split)
    kind = {"kind": loaded.kind} if Path(data).exists() else {}
    if part not in (None, *_PARTS):
        raise OptionError.unknown("part", str(part), _PARTS)
    chosen = runs.choose_part(runs.Source(data, kind | options), trained_on(model), part)  # type: ignore[arg-type]
    say(chosen.dataset.summary())
    say(chosen.note)
    loaded.check_taken(chosen.dataset.taken)
    if by and getattr(chosen.examples.x, "groups", None) is None:
        raise InputError(f"nothing here says which {by} an example is of. Leave --by out.")
    learned = None if chosen.name in ("all", "train") else chosen.dataset.train
    found = runs.evaluate(loaded, chosen.examples, learned, **asked)
    for warning in found.warnings():
        say(f"warning: {warning}")
    if json:
        emit_json({"model": str(model), "data": chosen.dataset.name, "part": chosen.name, **found.to_json()})
        return
    say(f"{model} on {found.examples:,} examples of {chosen.dataset.name} ({chosen.name})")
    worst = found.neglect.worst if found.neglect else None
    signature = getattr(found, "signature", "")  # of BLEU, without which its number says little
    emit_tree(runs.show_measures(found.measures(), worst) | ({"signature": signature} if signature else {}))
    print()
    emit_table(found.table())
    if by:
        print()
        emit_table(_by_group(found, by))


def _by_group(found: Any, by: str) -> list[dict[str, object]]:
    """Give the errors of each speaker, book or page."""
    return [{by: row.pop("group"), **row} for row in found.by_group()]


def _asked(loaded: Any, model: Path, by: str | None, beam: int, no_lm: bool) -> dict[str, Any]:
    """Say how a transcriber reads; raises InputError where another model was told so, before anything is measured."""
    if by is not None and by not in _GROUPS:
        raise OptionError.unknown("kind of group", by, _GROUPS)
    for option, value in {"--by": by, "--beam": beam, "--no-lm": no_lm}.items():
        if value:
            require_command(loaded, model, "transcribe", f"is no transcriber, so that {option} says nothing to it")
    return {"beam": beam, "language": not no_lm} if beam or no_lm else {}
