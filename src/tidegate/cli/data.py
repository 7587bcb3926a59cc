"""`tidegate data`: the data sets that are known by name."""

from typing import Annotated

import typer

from tidegate.cli.options import Json, help_text
from tidegate.cli.output import emit_json, emit_table
from tidegate.errors import DownloadError

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
Name = Annotated[str, typer.Argument(metavar="NAME", help="A name that `tidegate data list` shows.")]


def data() -> None:
    """List, fetch and find data sets.

    A data set is looked for in TIDEGATE_DATA, then in the cache, and only then downloaded.

    Examples:
      tidegate data list
      tidegate data get imdb
    """


def list_(json: Json = False) -> None:
    """List the data sets: kind, licence, place, and below them what to cite.

    Example:
      tidegate data list --json
    """
    from tidegate import data

    sources = [data.describe(name) for name in data.names()]
    rows = [{"name": s.name, "kind": s.kind, "licence": s.licence, "path": s.find()} for s in sources]
    if json:
        cited = zip(rows, sources, strict=True)
        emit_json([{**row, "path": row["path"] and str(row["path"]), "citation": s.citation} for row, s in cited])
        return
    emit_table([{**row, "path": row["path"] or "not here yet"} for row in rows])
    print()
    for source in sources:
        print(f"{source.name}: {source.citation}")


def get(name: Name) -> None:
    """Fetch and prepare a data set, and print where its file is.

    Example:
      tidegate data get imdb
    """
    from tidegate import data

    print(data.get(name))


def path(name: Name) -> None:
    """Print where the file of a data set is; fail where it would have to be downloaded.

    Example:
      ls -l "$(tidegate data path imdb)"
    """
    from tidegate import data

    found = data.path(name)
    if found is None:
        raise DownloadError(f"{name} is not on this machine. Fetch it: tidegate data get {name}")
    print(found)


app.command("list", help=help_text(list_))(list_)
app.command(help=help_text(get))(get)
app.command(help=help_text(path))(path)
app.callback()(data)
