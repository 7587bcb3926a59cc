"""How commands read what a model shall answer: arguments, or the lines of stdin as they come."""

import json
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidegate.data.graphemes import split_graphemes
from tidegate.data.plain_text import complete_lines
from tidegate.errors import DataError, InputError

if TYPE_CHECKING:
    from tidegate.tasks import AnyTask


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


def batches(given: list[str] | None) -> Iterator[list[str]]:
    """Give the arguments together; without any, or for a `-`, the complete lines of stdin as soon as they are there.

    Raises InputError when stdin is a terminal, DataError for a line that is empty or not UTF-8.
    """
    if given and given != ["-"]:
        return iter([given])
    return _stdin_batches()


def read_inputs(model: "AnyTask", lines: list[str]) -> list[Any]:
    """Turn lines into what the model reads: texts as they are, sequences of numbers from JSON.

    Raises DataError for a line that is no JSON.
    """
    return [_sequence(line) for line in lines] if model.reads == "sequence" else lines


def shorten(text: str, width: int = 80) -> str:
    """Bring a text onto one line of at most `width` characters, as a reader counts them.

    >>> shorten("a  very long line", 8)
    'a very …'
    """
    line = " ".join(text.split())
    if len(line) <= width:
        return line
    characters = split_graphemes(line)
    return line if len(characters) <= width else "".join(characters[: width - 1]) + "…"


def _sequence(line: str) -> list[list[float]]:
    try:
        steps: list[list[float]] = json.loads(line)
        return steps
    except (ValueError, RecursionError):
        raise DataError(f"{shorten(line)!r} is not a sequence. Write JSON such as [[0.1, 0.2], [0.3, 0.4]].") from None


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


def decode_line(line: bytes, where: str, *, allow_empty: bool = False) -> str:
    """Decode a line; raises DataError where it is not UTF-8, or empty unless that is allowed."""
    try:
        text = line.removesuffix(b"\r").decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{where} is not UTF-8: byte {error.start} is 0x{line[error.start]:02x}.") from None
    if not text.strip() and not allow_empty:
        raise DataError(f"{where} is empty. Leave empty lines out.")
    return text
