"""`tidegate transcribe` and `tidegate align`: what is said or written in files, or in samples from a pipe."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tidegate.cli.inputs import load_task, require_command
from tidegate.cli.options import ModelPath, Reading, collect_reading, named_path
from tidegate.cli.output import say
from tidegate.errors import InputError
from tidegate.transcripts import FORMATS, Written, spell

if TYPE_CHECKING:
    from tidegate.data import Recordings

_CHUNK = 3200  # bytes of a pipe, a fifth of a second at 8 kHz

Files = Annotated[
    list[str] | None,
    typer.Argument(metavar="FILE|-", help="Sound, pictures of lines, or features; - with --stream for a pipe."),
]
Format = Annotated[str, typer.Option("--format", metavar="|".join(FORMATS), help="What to write.")]
Out = Annotated[
    Path | None, typer.Option("-o", "--out", metavar="OUT", parser=named_path, help="Write there, not to stdout.")
]
Live = Annotated[
    bool, typer.Option("--stream", help="Read 16 bit samples of one channel from stdin, and tell what is heard so far.")
]
Lookahead = Annotated[
    int | None,
    typer.Option("--lookahead", metavar="K", help="With --stream: frames that a model of both directions waits for."),
]
File = Annotated[Path, typer.Argument(metavar="FILE", help="Sound, the picture of a line, or features.")]
Told = Annotated[str, typer.Argument(metavar="TEXT", help="What is said or written there.")]


def transcribe(
    model: ModelPath,
    files: Files = None,
    form: Format = "text",
    out: Out = None,
    reading: Reading = None,
    stream: Live = False,
    lookahead: Lookahead = None,
) -> None:
    """Read what is said or written in files.

    Places are in seconds of the sound or pixels of the picture. With --stream, raw samples come from stdin: what is
    heard so far goes to stderr, the whole to stdout.

    Examples:
      tidegate transcribe runs/fraktur scans/line.png --format hocr
      tidegate transcribe runs/prompts call.wav other.wav --format json
      tidegate transcribe runs/prompts - --stream < microphone.raw
    """
    loaded = load_task(model)
    require_command(loaded, model, "transcribe", "reads no files of sound or lines")
    if stream:
        if files not in (None, [], ["-"]):
            raise InputError(f"--stream reads samples from stdin, but {files[0]} came. Pipe it: < {files[0]}")
        found = [Written("stdin", _hear(loaded, lookahead), "seconds")]
    elif not files or files == ["-"]:
        raise InputError("there is nothing to transcribe. Give files, or samples through a pipe with --stream.")
    else:
        signals = _read(loaded, [Path(file) for file in files], reading)
        found = _written(signals, loaded.transcribe(signals))
    _put(spell(form, found), out)


def align(
    model: ModelPath, file: File, text: Told, form: Format = "json", out: Out = None, reading: Reading = None
) -> None:
    """Find where each symbol and word of a known text lies in a file.

    Example:
      tidegate align runs/prompts call.wav "thank you for calling" --format ctm
    """
    loaded = load_task(model)
    require_command(loaded, model, "transcribe", "aligns no texts")
    signals = _read(loaded, [file], reading)
    _put(spell(form, _written(signals, [loaded.align(signals, text)])), out)


def _read(loaded: Any, files: list[Path], reading: list[str] | None) -> "Recordings":
    """Read files as the model wants them: at its rate, or its height."""
    from tidegate.data.transcribed.reading import read_choices, read_files

    if absent := [file for file in files if not file.is_file()]:
        raise InputError(f"there is no file {absent[0]}.")
    wanted = {name: str(value) for name, value in collect_reading(None, reading).items()}
    if unknown := wanted.keys() - {"channel", "resample", "invert"}:
        raise InputError(f"--read {min(unknown)}=... says nothing here; to choose are channel, resample and invert.")
    return read_files(files, read_choices(**loaded.wants(), **wanted))


def _written(signals: "Recordings", told: list[Any]) -> list[Written]:
    found = []
    for index, (name, each) in enumerate(zip(signals.names, told, strict=True)):
        width = signals.place(index, float(signals.lengths[index])) - signals.place(index, 0)
        height = signals.width * float(signals.scales[index, 0])
        size = (round(width), round(height)) if signals.reads == "line" else (0, 0)
        found.append(Written(name, each, signals.unit, size))  # type: ignore[arg-type]
    return found


def _hear(loaded: Any, lookahead: int | None) -> Any:
    """Read samples from stdin as they come; say what is heard each time it changes."""
    from tidegate.data.transcribed.sound import read_samples

    if loaded.reads != "sound":
        raise InputError(f"this model reads {loaded.reads}, and a pipe brings sound. Give it files.")
    if sys.stdin is None or sys.stdin.isatty():
        raise InputError("no samples come through a pipe. Write them there: < microphone.raw")
    live, text, left = loaded.stream(lookahead=lookahead), "", b""
    while chunk := os.read(sys.stdin.fileno(), _CHUNK):
        whole = left + chunk
        left = whole[len(whole) & ~1 :]
        told = live.push(read_samples(whole[: len(whole) & ~1]))
        if told.text != text:
            text = told.text
            say(text)
    if left:
        say("warning: half a sample came last, and was left out.")
    return live.finish()


def _put(document: str, out: Path | None) -> None:
    if out is None:
        sys.stdout.write(document)
    else:
        from tidegate.durable import atomic_write

        atomic_write(out, document.encode("utf-8", "backslashreplace"))
        say(f"written: {out}")
