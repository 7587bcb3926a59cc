"""What `tidegate predict` does with a model that answers whole files: a table, lines of JSON or a picture for each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidegate.cli.files import Wish, choose_targets
from tidegate.cli.output import emit_json, emit_table, say
from tidegate.errors import InputError

if TYPE_CHECKING:
    from tidegate.tasks.answers import Whole
    from tidegate.tasks.card import Card


def answer_whole(
    card: Card, model: Any, files: list[Path], wish: Wish, *, picture: Path | None, json: bool
) -> list[int]:
    """Print the answers to each file as a table, or as lines of JSON; or write them as a table of the file's format.

    Returns how many rows each has.
    """
    from tidegate.data.rows import spell_table
    from tidegate.durable import atomic_write

    answer = card.answers().whole
    assert answer is not None, "the model answers whole files"
    reading = {name: str(value) for name, value in (wish.reading or {}).items()}
    if wish.text is not None or (wish.out and json):
        raise InputError(f"{f'--text is not for {card.many}' if wish.text else '-o writes a table'}. Leave one out.")
    if not files:
        raise InputError(f"there is nothing to {card.verb}. Give a CSV, TSV, JSONL or Parquet file of {card.reads}.")
    targets = choose_targets(files, wish.out, overwrite=wish.overwrite) if wish.out else [None] * len(files)
    counts = []
    for file, target in zip(files, targets, strict=True):
        found = answer(model, file, reading)
        counts.append(len(found.rows))
        for remark in found.remarks:
            say(f"warning: {remark}")
        if json:
            for told in found.told:
                emit_json(told.json)
        elif target:
            atomic_write(target, spell_table(found.rows, file.suffix.lower()))
            say(f"{file}: {len(found.rows):,} rows {card.verb}, in {target}")
        else:
            emit_table(found.rows)
        if picture:
            _draw(picture, found)
    return counts


def _draw(picture: Path, found: Whole) -> None:
    kind = picture.suffix.lower().removeprefix(".")
    if kind not in ("png", "svg"):
        raise InputError(f"--picture {picture} is neither a .png nor an .svg file.")
    picture.write_bytes(found.draw("png" if kind == "png" else "svg"))
    say(f"Picture: {picture}")
