"""The command line: one file per command, each calls the library and prints. Loads nothing heavy before it must."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from typing import TextIO

import typer

from tidegate.cli import (
    compare,
    complete,
    convert,
    data,
    demo,
    doctor,
    evaluate,
    export,
    generate,
    info,
    inspect,
    lab,
    predict,
    search,
    serve,
    train,
    transcribe,
    translate,
    work,
)
from tidegate.cli.options import help_text, spell_option
from tidegate.cli.output import ready_streams, say, write_nowhere
from tidegate.errors import OddTagsWarning, TidegateError

app = typer.Typer(
    name="tidegate",
    no_args_is_help=True,
    rich_markup_mode=None,  # rich takes 0.35 s to draw a help page (measured 2026-11-21), plain text 0.01 s
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    train.train,
    work.work,
    evaluate.evaluate,
    predict.predict,
    serve.serve,
    transcribe.transcribe,
    transcribe.align,
    translate.translate,
    generate.generate,
    complete.complete,
    inspect.inspect,
    info.info,
    export.export,
    convert.convert,
    compare.compare,
    search.search,
    lab.lab,
    doctor.doctor,
    demo.demo,
):
    app.command(help=help_text(command))(command)
app.add_typer(data.app, name="data", help=help_text(data.data))


def show_version(wanted: bool) -> None:
    """Print the version and leave."""
    if wanted:
        import tidegate

        print(f"tidegate {tidegate.__version__}")
        raise typer.Exit


def root(
    version: bool = typer.Option(
        False, "--version", callback=show_version, is_eager=True, help="Print the version and leave."
    ),
) -> None:
    """Train, explain and ship recurrent sequence models on the CPU you already have.

    Examples:
      tidegate train imdb --preset tutorial-bilstm
      tidegate predict runs/imdb-tutorial-bilstm "I laughed, I cried, and I would see it again."
    """


app.callback(help=help_text(root))(root)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code.

    0: done. 1: it failed. 2: it was misused. 130 and 143: SIGINT and SIGTERM. An error that the user can act on is one
    line on stderr and never a traceback; that a reader of stdout went away, as `head` does, is no error.

    >>> main(["--version"])  # doctest: +SKIP
    tidegate 0.1.0
    0
    """
    ready_streams()
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            warnings.simplefilter("ignore", OddTagsWarning)  # whoever read the file has told of them, with their lines
            app(args=None if argv is None else list(argv), prog_name="tidegate")
    except SystemExit as stop:
        if isinstance(stop.__context__, BrokenPipeError):  # which typer turns into an exit of 1
            return _flushed(0)
        return _flushed(stop.code if isinstance(stop.code, int) else 0)
    except TidegateError as error:
        return _failed(error.spelled(spell_option), error.exit_code)
    except BrokenPipeError:
        return _flushed(0)
    except OSError as error:
        return _failed(f"{error.filename}: {error.strerror}" if error.filename else str(error), 1)
    except MemoryError as error:
        told = f"the memory is not enough ({error})" if str(error) else "the memory is not enough"
        return _failed(f"{told}. Take fewer or shorter inputs, a smaller batch_size or a smaller network.", 1)
    except KeyboardInterrupt:
        return _failed("interrupted", 130)
    return 0


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Print a warning as one line, without the place in our code that it came from."""
    say(f"warning: {message}")


def _failed(message: str, code: int) -> int:
    say(f"error: {message}")
    return _flushed(code)


def _flushed(code: int) -> int:
    """Flush stdout now, where what cannot be written can still be told, and a reader who went away passed over."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        write_nowhere(sys.stdout)
    except OSError as error:
        write_nowhere(sys.stdout)
        say(f"error: stdout cannot be written: {error.strerror}")
        return code or 1
    return code
