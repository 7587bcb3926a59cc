"""What stands where in a table with a row per step, for `tidegate predict`: as the run read it, or as was said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidegate.cli.inputs import trained_on
from tidegate.errors import Argument, DataError

if TYPE_CHECKING:
    from tidegate.data.rows import Rows
    from tidegate.runs import Layout

COLUMNS = ("group", "label", "features", "window")
"""What can be said of such a table with `--read`."""
_SEQUENCE_NAMES = ("sequence", "steps", "x", "features", "values")


def find_steps(model: Any, model_path: Path, file: Path, reading: Mapping[str, Any]) -> Layout | None:
    """Tell what stands where in a table with a row per step; None where a column holds whole sequences.

    Raises DataError where columns are missing, or there are not as many features as the model was trained on.
    """
    from tidegate.data.recordings import Choice, read_count
    from tidegate.data.rows import open_rows
    from tidegate.data.tables import listing
    from tidegate.runs import Layout

    said = {name: str(value) for name, value in reading.items() if name in COLUMNS}
    told = bool(said)
    form = {name: value for name, value in reading.items() if name not in COLUMNS}
    known = {name: str(value) for name, value in trained_on(model_path).items() if name in COLUMNS}
    with closing(open_rows(file, **form)) as rows:
        names = rows.names
        if not told and (candidate := sequence_column(names)) and _hold_sequences(rows, [candidate]):
            return None
    known = {name: text for name, text in known.items() if name not in ("group", "label") or text in names}
    window = read_count("window", said.pop("window", known.pop("window", None)))
    named = known | said
    choice = Choice(named.get("group"), named.get("label"), named.get("features"))
    group, features = choice.pick_steps(names, file)
    with closing(open_rows(file, **form)) as rows:
        if not told and (column := _hold_sequences(rows, features)):
            raise DataError(
                f"{file}: the column {column!r} seems to hold whole sequences, but might be one of several. "
                f"{listing(names)} Name it: --text {column}"
            )
    _check_count(model, file, features)
    return Layout(features, group, window)


def describe(layout: Layout) -> str:
    """Say for a reader what a layout takes for what."""
    features = ", ".join(map(repr, layout.features))
    told_apart = "one recording" if layout.group is None else f"recordings told apart by {layout.group!r}"
    cut = "" if layout.window is None else f" in windows of {layout.window:,} steps"
    return f"a row for each step, {told_apart}{cut}; features {features if len(features) < 80 else features[:79] + '…'}"


def sequence_column(found: Sequence[str]) -> str | None:
    """Name the column that may hold whole sequences, one in each row: it has a usual name, or stands alone."""
    from tidegate.data.tables import usual

    return usual(_SEQUENCE_NAMES, found) or (found[0] if len(found) == 1 else None)


def _hold_sequences(rows: Rows, columns: Sequence[str]) -> str | None:
    """Name the first column whose first filled cells hold lists, or JSON of them."""
    heads = next(rows.batches(columns), None)
    for column, cells in zip(columns, [] if heads is None else heads.cells, strict=heads is not None):
        filled = next((cell for cell in cells if cell is not None and str(cell).strip()), "")
        if isinstance(filled, list) or str(filled).lstrip().startswith("["):
            return column
    return None


def _check_count(model: Any, file: Path, features: Sequence[str]) -> None:
    wanted = model.preparation_.input_size
    if len(features) != wanted:
        found = f"{len(features)} columns for features, {', '.join(map(repr, features))}"
        raise DataError(
            f"{file} has {found}, but the model was trained on {wanted}. Say which: ", Argument("features", "A,B"),
            ", or name the label: ", Argument("label", "COL"), ", or a column of whole sequences: --text COL",
        )  # fmt: skip
