"""How commands speak: results go to stdout as a table or as JSON, everything else to stderr."""

from __future__ import annotations

import codecs
import io
import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TextIO

from tidegate.data.showing import show


def ready_streams() -> None:
    """Let stdout and stderr take whatever is printed: what their encoding cannot spell is escaped as in Python.

    What would be written to a stream that was closed before we began goes nowhere.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def write_nowhere(stream: TextIO) -> None:
    """Let go nowhere what is still to be written to a stream that nobody reads any longer."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def say(message: str) -> None:
    """Tell the person at the terminal something that is not a result; where nobody listens, go on."""
    try:
        print(message, file=sys.stderr, flush=True)
    except BrokenPipeError:
        write_nowhere(sys.stderr)


def emit_json(result: object) -> None:
    """Print one JSON object on one line; a number that is not finite is refused, because JSON has none.

    Where stdout is not UTF-8, all but ASCII is escaped.

    >>> emit_json({"accuracy": 0.5, "label": "好"})
    {"accuracy": 0.5, "label": "好"}
    """
    print(spell_json(result))


def spell_json(result: object) -> str:
    """Write what `emit_json` prints."""
    return json.dumps(result, ensure_ascii=not _is_unicode(sys.stdout.encoding), allow_nan=False)


def _is_unicode(encoding: str | None) -> bool:
    """Tell whether every character can be written in an encoding; a stream without one keeps them as they are."""
    return encoding is None or codecs.lookup(encoding).name.startswith("utf-")


def emit_table(rows: Sequence[Mapping[str, object]]) -> None:
    """Print rows under the keys of the first one; a column of figures stands to the right.

    >>> emit_table([{"preset": "lstm", "epochs": 5}, {"preset": "rnn", "epochs": 12}])
    preset  epochs
    lstm         5
    rnn         12
    """
    if not rows:
        return
    header = list(rows[0])
    cells = [header, *([show(row[key]) for key in header] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(header))]
    right = [all(line[column][:1] in "-0123456789" for line in cells[1:]) for column in range(len(header))]
    for line in cells:
        padded = (
            text.rjust(width) if to_right else text.ljust(width)
            for text, width, to_right in zip(line, widths, right, strict=True)
        )
        print("  ".join(padded).rstrip())


def emit_tree(content: Mapping[str, object], *, indent: str = "") -> None:
    """Print a nested structure, one line per value, names to the left.

    >>> emit_tree({"python": "3.12", "kernels": {"isa": "avx2", "available": ["scalar", "avx2"]}})
    python     3.12
    kernels
      isa        avx2
      available  scalar, avx2
    """
    width = max(map(len, content), default=0)
    for name, value in content.items():
        if isinstance(value, Mapping):
            print(f"{indent}{name}")
            emit_tree(value, indent=indent + "  ")
        else:
            text = ", ".join(map(show, value)) if isinstance(value, list) else show(value)
            print(f"{indent}{name.ljust(width)}  {text}")
