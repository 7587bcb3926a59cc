"""`tidegate export`: a model as a file for other runtimes, proven before it is written."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from tidegate.cli.inputs import require_other_file
from tidegate.cli.options import Json, ModelPath, named_path
from tidegate.cli.output import emit_json, emit_table, say
from tidegate.errors import OptionError

if TYPE_CHECKING:
    from tidegate.export import PairsPart, StateInputs

FORMATS = ("onnx",)

To = Annotated[str, typer.Option("--to", metavar="FORMAT", help="The format to write; there is one: onnx.")]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        metavar="FILE",
        parser=named_path,
        help="The file to write; by default it stands beside the model's.",
    ),
]
States = Annotated[
    str,
    typer.Option(
        "--states", metavar="HOW", help="Whether states are inputs, to read in pieces: optional, required or off."
    ),
]
Part = Annotated[
    str | None,
    typer.Option(
        "--part",
        metavar="PART",
        help="Which graph of a translator: greedy, from ids to ids; encode, which reads a source; or step, a token of "
        "its translation. By default greedy. Of a transcriber: greedy, which also gives the symbols that frames spell.",
    ),
]


def export(
    model: ModelPath,
    to: To,
    out: Out = None,
    states: States = "optional",
    part: Part = None,
    json: Json = False,
) -> None:
    """Write a model for other runtimes.

    The file is run over batches of many sizes and lengths in ONNX Runtime first, and compared with the model. Prints
    the largest differences of each batch; where one is too large, no file is written.

    A translator is written as one file that goes from the ids of sources to those of their translations, by the most
    probable token of each step. Who searches otherwise writes its two parts, one file each. A transcriber gives the
    scores of its frames, and with --part greedy the symbols that the most probable ones spell, too.

    Examples:
      tidegate export runs/imdb-tutorial-bilstm --to onnx
      tidegate export model.safetensors --to onnx -o model.onnx --json
      tidegate export runs/de-en --to onnx --part encode -o encode.onnx
      tidegate export runs/an4 --to onnx --part greedy -o an4.onnx
    """
    import tidegate

    if to not in FORMATS:
        raise OptionError.unknown("format", to, FORMATS)
    target = out or (model / "model.onnx" if model.is_dir() else model.with_suffix(".onnx"))
    require_other_file(model, target)
    exported = tidegate.export.to_onnx(
        tidegate.load(model), target, states=cast("StateInputs", states), part=cast("PairsPart | None", part)
    )
    if json:
        emit_json({**asdict(exported), "path": str(exported.path)})
        return
    for kind, values in (("input", exported.inputs), ("output", exported.outputs)):
        for value in values:
            shape = ", ".join(map(str, value.shape))
            say(f"{kind}: {value.name} {value.type} [{shape}]{' (may be left out)' if value.optional else ''}")
    emit_table(
        [
            {
                "batch": case.name,
                "absolute": f"{case.absolute:.1e}",
                "relative": f"{case.relative:.1e}",
                "own rounding": None if case.rounding is None else f"{case.rounding:.1e}",
            }
            for case in exported.cases
        ]
    )
    say(f"Written: {exported.path} ({exported.bytes:,} bytes, opset {exported.opset})")
