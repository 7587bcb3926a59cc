"""`tidegate convert`: a model of Keras becomes a model file."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from tidegate.cli.inputs import require_other_file
from tidegate.cli.options import Json, named_path
from tidegate.cli.output import emit_json, emit_table, say

Source = Annotated[
    Path, typer.Argument(metavar="FILE", help="A .keras file, a whole model in .h5, or weights with --config.")
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        metavar="FILE",
        parser=named_path,
        help="The model file to write; by default it stands beside FILE.",
    ),
]
Config = Annotated[
    Path | None,
    typer.Option(
        "--config", metavar="FILE", parser=named_path, help="For weights alone: the JSON that model.to_json() wrote."
    ),
]
Licence = Annotated[
    str | None, typer.Option("--licence", metavar="NAME", help="Name the licence of the model in the file.")
]


def convert(
    source: Source, out: Out = None, config: Config = None, licence: Licence = None, json: Json = False
) -> None:
    """Make a model file of a Keras model.

    The file is read as data: Keras need not be installed, and nothing in the file is run. Random sequences go through
    Keras's equations and through the network first; where the two differ by more than 1e-5, no file is written.

    Examples:
      tidegate convert model.keras -o model.safetensors
      tidegate convert model.weights.h5 --config model.json --json
    """
    import tidegate
    from tidegate import runs

    target = out or source.with_suffix(".safetensors")
    require_other_file(source, target)
    found = tidegate.convert.read_keras(source, config=config)
    found.model.save(target, licence=licence)
    nodes = list(runs.describe_nodes(found.model.network))
    if json:
        emit_json({"path": str(target), "network": nodes, "proof": asdict(found.proof), "notes": list(found.notes)})
        return
    emit_table([{key: node[key] for key in ("index", "kind", "gives", "parameters")} for node in nodes])
    say(f"Proof: {found.proof}.")
    for note in found.notes:
        say(f"Note: {note}")
    say(f"Written: {target}")
