"""What `tidegate predict` does with files: the same table or column file again, with an answer beside every row."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from tidegate.cli.output import say
from tidegate.cli.progress import show_answering
from tidegate.cli.signals import leave_on_sigterm
from tidegate.errors import DataError, InputError

if TYPE_CHECKING:
    from tidegate.data.rows import Rows
    from tidegate.runs import Layout, Piece
    from tidegate.tasks.answers import Single

_READING = ("encoding", "delimiter")


@dataclass(frozen=True)
class Wish:
    """Hold what was asked for besides the files.

    text: the column of the texts, or of the sequences.
    out: the file to write, or the folder; None for stdout.
    """

    text: str | None = None
    out: Path | None = None
    overwrite: bool = False
    reading: dict[str, Any] | None = None


def answer_files(model: Any, model_path: Path, files: Sequence[Path], wish: Wish) -> list[int]:
    """Write each file again with the answers beside its rows; return how many each has.

    Raises InputError before anything is read or written.
    """
    reading = _checked_reading(model, wish)
    targets = choose_targets(files, wish.out, overwrite=wish.overwrite)
    with ExitStack() as opened:
        jobs = [_open(model, model_path, file, wish.text, reading, opened) for file in files]
        return [_write(*job) for job in zip(files, targets, jobs, strict=True)]


def read_files(model: Any, model_path: Path, file: Path, wish: Wish) -> Iterator[list[Any]]:
    """Give what is to be answered in a file, batch by batch: texts, sequences, or sentences of words."""
    from tidegate import runs

    reading = _checked_reading(model, wish)
    if not is_table(file):
        with closing(open_words(model, file, wish.text, reading)) as lines:
            yield from (batch.sentences for batch in lines.batches())
        return
    if _steps(model, model_path, file, wish.text, reading) is not None:
        raise InputError(f"{file} has a row for each step, and is answered as a table only. Leave --json out.")
    rows, column = open_table(model, model_path, file, wish.text, reading)
    with closing(rows):
        for batch in rows.batches([column]):
            where = runs.row_name(rows, batch, column)
            yield runs.row_inputs(model, batch.cells[0], where)


def choose_targets(files: Sequence[Path], out: Path | None, *, overwrite: bool) -> list[Path | None]:
    """Name the file to write for each that is read, None for stdout.

    Raises InputError where one is there already, would be read and written at once, or has the name of another format.
    """
    if out is None:
        if len(files) > 1:
            raise InputError(
                f"{len(files)} files came, which cannot be one table. Name a folder for the answers: -o DIR"
            )
        return [None]
    if len(files) > 1 and out.exists() and not out.is_dir():
        raise InputError(f"{len(files)} files came, but -o {out} is no folder. Name one.")
    into_folder = len(files) > 1 or out.is_dir()
    targets = [out / file.name if into_folder else out for file in files]
    if len(set(targets)) < len(targets):
        raise InputError("two of the files have one name, and their answers would, too. Answer them one by one.")
    for file, target in zip(files, targets, strict=True):
        _check_target(file, target, overwrite=overwrite)
    if into_folder:
        out.mkdir(parents=True, exist_ok=True)
    elif not out.absolute().parent.is_dir():
        raise InputError(f"there is no folder {out.parent} to write {out.name} into. Make it first.")
    return list(targets)


def _checked_reading(model: Any, wish: Wish) -> dict[str, Any]:
    from tidegate.cli.steps import COLUMNS

    reading, known = wish.reading or {}, [*_READING, *(COLUMNS if _single(model).steps else ())]
    if stray := [name for name in reading if name not in known]:
        can = f"only {', '.join(known[:-1])} and {known[-1]} can be said"
        raise InputError(f"--read {stray[0]}=...: of a file to answer, {can}.")
    return reading


def _steps(model: Any, model_path: Path, file: Path, text: str | None, reading: dict[str, Any]) -> Layout | None:
    """Tell what stands where in a table with a row per step; None for tables of another kind."""
    from tidegate.cli.steps import COLUMNS, find_steps

    if not _single(model).steps:
        return None
    if text is None:
        return find_steps(model, model_path, file, reading)
    if said := [name for name in COLUMNS if name in reading]:
        raise InputError(f"--text names a column of whole sequences, --read {said[0]}=... does not. Leave one out.")
    return None


def _check_target(file: Path, target: Path, *, overwrite: bool) -> None:
    if target.exists() and target.samefile(file):
        raise InputError(f"{target} is the file that is read. Name another one with -o.")
    if target.exists() and not (overwrite and target.is_file()):
        advice = "Name another one, or add --overwrite." if target.is_file() else "Name a file."
        raise InputError(f"{target} is there already. {advice}")
    if _known(target.suffix) and _known(file.suffix) and target.suffix.lower() != file.suffix.lower():
        raise InputError(
            f"answers have the form of the file, but {target} is named as {target.suffix} and {file} is {file.suffix}. "
            f"Write {target.with_suffix(file.suffix)}."
        )


def _known(suffix: str) -> bool:
    from tidegate.cli.inputs import FILE_SUFFIXES

    return suffix.lower() in FILE_SUFFIXES


def _open(
    model: Any, model_path: Path, file: Path, text: str | None, reading: dict[str, Any], opened: ExitStack
) -> Iterator[Piece]:
    """Open a file as what it holds, and say as what; return the pieces of what is written."""
    from tidegate import runs

    if not is_table(file):
        lines = opened.enter_context(closing(open_words(model, file, text, reading)))
        say(f"file {file}: a word on each line")
        return runs.answer_words(model, lines)
    if (layout := _steps(model, model_path, file, text, reading)) is not None:
        return _open_steps(model, file, layout, reading, opened)
    rows, column = open_table(model, model_path, file, text, reading)
    opened.enter_context(closing(rows))
    names = " and ".join(map(repr, runs.answer_names(model, rows.names)))
    say(f"file {file}: {_single(model).many} from the column {column!r}, answers as {names}")
    return runs.answer_rows(model, rows, column)


def _open_steps(model: Any, file: Path, layout: Layout, reading: dict[str, Any], opened: ExitStack) -> Iterator[Piece]:
    from tidegate import runs
    from tidegate.cli.steps import describe
    from tidegate.data.rows import open_rows

    form = {name: value for name, value in reading.items() if name in _READING}
    with closing(open_rows(file, **form)) as rows:
        names = " and ".join(map(repr, runs.answer_names(model, rows.names)))
    say(f"file {file}: {describe(layout)}; answers as {names}")
    return opened.enter_context(closing(runs.answer_steps(model, lambda: open_rows(file, **form), layout)))


def is_table(file: Path) -> bool:
    """Tell by its name whether a file is a table."""
    from tidegate.data.rows import KINDS

    return file.suffix.lower() in KINDS


def open_table(model: Any, model_path: Path, file: Path, text: str | None, reading: dict[str, Any]) -> tuple[Rows, str]:
    """Open a table; return it, and the column to answer. Raises InputError where nothing decides which."""
    from tidegate.data.rows import open_rows

    rows = open_rows(file, **reading)
    try:
        return rows, _choose_column(model, model_path, rows, text)
    except BaseException:
        rows.close()
        raise


def open_words(model: Any, file: Path, text: str | None, reading: dict[str, Any]) -> Any:
    """Open a column file for a tagger; raises InputError for other models, and for what does not look like one."""
    from tidegate.cli.inputs import WORD_SUFFIXES
    from tidegate.data.rows import KINDS
    from tidegate.data.word_lines import WordLines

    by_line = f"The lines of a text are answered through a pipe: tidegate predict MODEL < {file}"
    if _single(model).words is None:
        raise InputError(f"{file} is no table ({', '.join(KINDS)}), so there is no row to answer. {by_line}")
    if text is not None or "delimiter" in reading:
        raise InputError(f"--text and --read delimiter=... are for tables, but {file} is none. Leave them out.")
    lines = WordLines(file, **reading)
    found = lines.last_column(1000)
    if file.suffix.lower() not in WORD_SUFFIXES and found and not found & model.known_tags:
        lines.close()
        raise InputError(
            f"{file} does not look like a word on each line: what stands last there is no tag of this model. "
            f"If it is a column file, name it .conll. {by_line}"
        )
    return lines


def _single(model: Any) -> Single:
    """Say how a model answers inputs one by one."""
    from tidegate.runs.answers import single_of

    return single_of(model)


def _choose_column(model: Any, model_path: Path, rows: Rows, wanted: str | None) -> str:
    """Take the column that was named, or that the model was trained on, or else the one with a usual name."""
    from tidegate.cli.inputs import trained_on
    from tidegate.cli.steps import sequence_column
    from tidegate.data.tables import TEXT_NAMES, Columns, listing, usual

    found, known = rows.names, trained_on(model_path)
    by_name = sequence_column(found) if _single(model).steps else usual(TEXT_NAMES, found)
    chosen = wanted or (known.get("text") if known.get("text") in found else None) or by_name
    if chosen is None and len(found) == 1:
        chosen = found[0]
    if chosen is None and len(found) == 2 and not _single(model).steps:
        label = known.get("label")
        with suppress(InputError):
            chosen = Columns(label=label if label in found else None).pick(found, rows.path)[0]
    if chosen is None:
        unclear = f"{rows.path} has no column that is clearly the {_single(model).many}."
        raise DataError(f"{unclear} {listing(found)} Name it: --text COL")
    if chosen not in found:
        raise DataError(f"{rows.path} has no column {chosen!r}. {listing(found)}")
    if found.count(chosen) > 1:
        raise DataError(f"{rows.path} has {found.count(chosen)} columns named {chosen!r}. Rename all but one.")
    return chosen


def _write(file: Path, target: Path | None, pieces: Iterator[Piece]) -> int:
    """Write the pieces to stdout, or to a file that is there once all of them are; return the rows."""
    from tidegate.durable import atomic_file, sweep_drafts

    if target is None and file.suffix.lower() == ".parquet" and sys.stdout.isatty():
        raise InputError("Parquet is nothing to read at a terminal. Name a file for the answers: -o answers.parquet")
    if target is not None:
        sweep_drafts(target)
    rows, bar = 0, target is not None or not sys.stdout.isatty()
    sys.stdout.flush()
    with (
        leave_on_sigterm(),
        atomic_file(target) if target else nullcontext(_stdout()) as out,
        show_answering(file.name, bar=bar) as show,
    ):
        for piece in pieces:
            out.write(piece.data)
            rows = piece.rows
            show(rows, piece.share)
        out.flush()
    say(f"{file}: {rows:,} {'rows' if is_table(file) else 'words'} answered" + (f", in {target}" if target else ""))
    return rows


def _stdout() -> BinaryIO:
    return sys.stdout.buffer
