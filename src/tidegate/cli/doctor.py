"""`tidegate doctor`: what runs here, and with what."""

from tidegate.cli.options import Json
from tidegate.cli.output import emit_json, emit_tree


def doctor(json: Json = False) -> None:
    """Show what runs here, and with what.

    Versions, instruction set, threads, torch build and data folders.

    Examples:
      tidegate doctor
      tidegate doctor --json
    """
    from tidegate.runs.environment import environment

    found = environment()
    if json:
        emit_json(found)
    else:
        emit_tree(found)
