"""`tidegate data`: the data sets that are known by name."""

from typing import Annotated

import typer

from tidegate.cli.options import Json
from tidegate.cli.output import emit_json, emit_table, say

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
Name = Annotated[str, typer.Argument(metavar="NAME", help="A name that `tidegate data list` shows.")]


@app.callback()
def data() -> None:
    r"""List, fetch and find data sets.

    \b
    Examples:
      tidegate data list
      tidegate data get imdb
    """
