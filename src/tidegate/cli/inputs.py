"""How commands read what a model shall answer: arguments, or the lines of stdin as they come."""

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from tidegate.data.plain_text import complete_lines
from tidegate.data.showing import shorten
from tidegate.errors import DataError, InputError

if TYPE_CHECKING:
    from tidegate.tasks.card import Command
    from tidegate.tasks.task import AnyTask


def load_task(path: Path) -> Any:
    """Load a model for a command that reads inputs as its task does; raises InputError for a network without a task."""
    import tidegate

    loaded = tidegate.load(path)
    if isinstance(loaded, tidegate.runtime.Executor):
        raise InputError(
            f"{path} holds a network without a task, which does not say what its inputs and outputs mean. "
            "Ask it from Python: tidegate.load(path)(batch)"
        )
    return loaded


def require_other_file(source: Path, target: Path) -> None:
    """Raise InputError where what is written would take the place of what it is made from."""
    if target.resolve() == source.resolve():
        raise InputError(f"{target} is the file that is read. Name another one with -o.")


WORD_SUFFIXES = (".bio", ".bmes", ".bioes", ".conll", ".conllu", ".iob", ".iob2")
"""Of files with a word on each line."""
FILE_SUFFIXES = (".csv", ".jsonl", ".ndjson", ".parquet", ".tsv", *WORD_SUFFIXES)
"""Of files that can be answered."""
_OTHER_SUFFIXES = (".txt", ".json", ".gz", ".zip", ".xls", ".xlsx")


def named_files(given: list[str], *, texts: bool = True) -> list[Path]:
    """Tell which arguments are files; none where they are texts. The name of a file is never taken for a text.

    Raises InputError for files among texts, for folders, for the name of a file that is not there, and unless `texts`
    may come for all that is no file.
    """
    files, others = [Path(word) for word in given if _is_there(word)], list[str]()
    if folders := [file for file in files if file.is_dir()]:
        raise InputError(f"{folders[0]} is a folder. Name the files in it." + _as_text(str(folders[0])) * texts)
    if pipes := [file for file in files if not file.is_file()]:
        raise InputError(f"{pipes[0]} is no regular file. Its lines are answered with: < {pipes[0]}")
    for word in (word for word in given if not _is_there(word)):
        if not texts or _looks_like_a_file(word):
            raise InputError(f"there is no file {word}." + _as_text(word) * texts)
        others.append(word)
    if files and others:
        raise InputError(f"{files[0]} is a file, but {shorten(others[0])!r} is none. Give files, or texts, at a time.")
    return files


def are_pictures(files: list[Path]) -> bool:
    """Tell by their names whether files are pictures, all of them."""
    from tidegate.data.transcribed.images import PICTURES

    return all(file.suffix.lower() in PICTURES for file in files)


def require_texts(given: list[str], advice: str) -> None:
    """Raise InputError with some advice where an argument that is to be a text names a file, or one that is not there.

    A word with a slash may be a text here, such as `and/or`.
    """
    if names := [
        word for word in given if _is_there(word) or word.lower().endswith((*FILE_SUFFIXES, *_OTHER_SUFFIXES))
    ]:
        raise InputError(f"{names[0]} is the name of a file, which is no text to read. {advice}")


def _is_there(word: str) -> bool:
    try:
        return bool(word) and Path(word).exists()
    except (OSError, ValueError):  # longer than any name may be
        return False


def _looks_like_a_file(word: str) -> bool:
    if word.lower().endswith((*FILE_SUFFIXES, *_OTHER_SUFFIXES)):
        return True
    return "/" in word and "://" not in word and not any(map(str.isspace, word)) and not word.startswith(("[", "{"))


def _as_text(word: str) -> str:
    return f" If that is a text to answer, pipe it in: echo {quote(word)} | tidegate predict MODEL"


def trained_on(model: Path) -> dict[str, Any]:
    """Tell how the data of the run that a model comes from was read, by its recipe; empty where there is none."""
    from tidegate.tasks.run import MODEL, RECIPE, RunFolder

    folder = model if model.is_dir() else model.parent
    if (not model.is_dir() and model.name != MODEL) or not (folder / RECIPE).is_file():
        return {}
    return dict(RunFolder.open(folder).recipe.get("data", {}))


def batches(given: list[str] | None) -> Iterator[list[str]]:
    """Give the arguments together; without any, or for a `-`, the complete lines of stdin as soon as they are there.

    Raises InputError when stdin is a terminal, DataError for a line that is not UTF-8.
    """
    if given and given != ["-"]:
        return iter([given])
    return _stdin_batches()


def read_inputs(model: "AnyTask", lines: list[Any]) -> list[Any]:
    """Turn lines into what the model reads: texts as they are, sequences of numbers from JSON, of a blank line none.

    A sequence that has been read already stays.

    Raises DataError for a line that is no JSON.
    """
    from tidegate.tasks.cards import CARDS

    if (single := CARDS[model.name].answers().single) is None:
        return lines
    return [single.read(line) if isinstance(line, str) else line for line in lines]


def require_command(model: Any, path: Path, command: "Command", lacks: str) -> None:
    """Raise InputError where a command asks a model that cannot answer it."""
    from tidegate.checkpoint import NO_TASK
    from tidegate.tasks.cards import CARDS

    name = getattr(model, "name", NO_TASK)  # an executor is of no task
    if name not in CARDS or command not in CARDS[name].asked:
        raise InputError(f"{path} holds a {name}, which {lacks}. Ask it with: tidegate predict")


def _stdin_batches() -> Iterator[list[str]]:
    """Give the complete lines of stdin as soon as they are there, as many together as there are."""
    number = 1
    for lines in _complete_lines():
        yield from _decoded(lines, number)
        number += len(lines)


def stdin_lines() -> Iterator[tuple[int, bytes]]:
    """Give every line of stdin as soon as it is complete, with its number from 1; raises InputError for a terminal."""
    return enumerate((line for lines in _complete_lines() for line in lines), 1)


def _complete_lines() -> Iterator[list[bytes]]:
    if sys.stdin is None or sys.stdin.isatty():
        raise InputError("there is nothing to answer. Give texts, or pipe lines into stdin.")
    descriptor = sys.stdin.fileno()
    yield from complete_lines(iter(lambda: os.read(descriptor, 2**16), b""))


def _decoded(lines: Iterable[bytes], number: int) -> Iterator[list[str]]:
    """Decode one batch of lines; what stands before a line that is not UTF-8 is still given."""
    batch: list[str] = []
    for offset, line in enumerate(lines):
        try:
            batch.append(decode_line(line, f"line {number + offset} of stdin"))
        except DataError:
            if batch:
                yield batch
            raise
    if batch:
        yield batch


def decode_line(line: bytes, where: str) -> str:
    """Decode a line; raises DataError where it is not UTF-8."""
    try:
        return line.removesuffix(b"\r").decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{where} is not UTF-8: byte {error.start} is 0x{line[error.start]:02x}.") from None
