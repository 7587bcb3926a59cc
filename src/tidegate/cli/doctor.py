"""`tidegate doctor`: what runs here, and with what."""

import typer

from tidegate.cli.options import Json
from tidegate.cli.output import emit_json, emit_tree


def doctor(json: Json = False) -> None:
    """Show what runs here, and with what.

    Versions, instruction set, threads, torch build and data folders.

    Examples:
      tidegate doctor
      tidegate doctor --json
    """
    from tidegate import runs

    found = runs.describe_environment()
    if json:
        emit_json(found)
    else:
        emit_tree(found)
    if "error" in found["kernels"]:
        raise typer.Exit(1)
