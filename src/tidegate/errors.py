"""Every error that Tidegate raises on purpose. Knows nothing of where they are raised.

    TidegateError                    exit code
    ├── InputError (ValueError)          2     what the caller passed cannot be used
    │   ├── ShapeError                   2     an array of the wrong shape, type or length
    │   ├── WrongTypeError (TypeError)   2     an argument of the wrong type, such as "False" for a bool
    │   ├── OptionError                  2     an unknown name; the nearest known one is suggested
    │   ├── DataError                    2     the content of a data file; row or byte named
    │   ├── StreamEndedError             2     a step of a stream that was finished or closed
    │   └── StateError                   2     the saved state of a stream: truncated, altered or of another model
    ├── ModelFileError                   1     a model file that is truncated, altered or of another kind
    ├── RunFolderError                   2     an output folder that cannot be used as asked
    ├── DownloadError                    1     a data set that could not be fetched
    ├── ConversionError                  1     a converted model that does not compute what the original does
    ├── TrainingError                    1     training that cannot go on, such as a loss that is not finite
    ├── WorkerError                      1     workers that train together, of which one is late, lost or wrong
    ├── ExportError                      1     an exported graph that does not answer as the model does
    ├── ServeError                       1     what a server refused or could not answer, with its HTTP status
    └── MissingPackageError (ImportError) 1    an optional package that is not installed

A message says what came, what was wanted and what to do. It may name an argument in passing (`Argument`), which is then
spelled for whoever reads it: as Python writes it, or as an option of the command line.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Argument:
    """Name an argument within a message, and a value to pass for it; None stands for one of the reader's own.

    >>> str(Argument("repair", "sort")), str(Argument("text"))
    ("repair='sort'", 'text=...')
    """

    name: str
    value: str | float | bool | None = None

    def __str__(self) -> str:
        return f"{self.name}={'...' if self.value is None else repr(self.value)}"


class TidegateError(Exception):
    """Stand at the root of every error that Tidegate raises on purpose.

    The message is one text, or pieces of it and arguments (`Argument`) between them.

    >>> error = TidegateError("times must ascend; pass ", Argument("repair", "sort"), ".")
    >>> str(error), error.spelled(lambda argument: f"--read {argument.name}={argument.value}")
    ("times must ascend; pass repair='sort'.", 'times must ascend; pass --read repair=sort.')
    """

    exit_code = 1

    def __str__(self) -> str:
        return self.spelled(str)

    def spelled(self, spell: Callable[[Argument], str]) -> str:
        """Give the message with its arguments as `spell` writes them."""
        return "".join(spell(piece) if isinstance(piece, Argument) else str(piece) for piece in self.args)

    def about(self, place: str) -> Self:
        """Name in front where it happened, such as a file, unless the message does already; return the error."""
        if place not in str(self):
            self.args = (f"{place}: ", *self.args)
        return self


class InputError(TidegateError, ValueError):
    """Refuse an argument or data that cannot be used."""

    exit_code = 2


class ShapeError(InputError):
    """Refuse an array whose shape, type or length does not fit."""


class WrongTypeError(InputError, TypeError):
    """Refuse an argument of the wrong type."""


class OptionError(InputError):
    """Refuse a name that is not known."""

    @classmethod
    def unknown(cls, what: str, name: str, known: Iterable[str]) -> OptionError:
        """Build the message for an unknown name: the nearest known one first, then all of them.

        >>> print(OptionError.unknown("cell", "lstn", ["rnn", "lstm", "gru"]))
        unknown cell 'lstn'. Did you mean 'lstm'? Known: gru, lstm, rnn.
        """
        names = sorted(known)
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        return cls(f"unknown {what} {name!r}.{hint} Known: {', '.join(names)}.")


class DataError(InputError):
    """Refuse the content of a data file or a row of data."""


class DataWarning(UserWarning):
    """Tell of what is doubtful in data and was read all the same."""


class StreamEndedError(InputError):
    """Refuse a step of a stream that was finished or closed."""


class StateError(InputError):
    """Refuse the saved state of a stream that is truncated, altered or of another model."""


class ModelFileError(TidegateError):
    """Refuse a model file that is truncated, altered or of another kind."""


class RunFolderError(TidegateError):
    """Refuse an output folder that cannot be used as asked."""

    exit_code = 2


class DownloadError(TidegateError):
    """Report a data set that could not be fetched."""


class ConversionError(TidegateError):
    """Report a converted model that does not compute what the original does."""


class TrainingError(TidegateError):
    """Report training that cannot go on."""


class ExportError(TidegateError):
    """Report an exported graph that does not answer as the model does; nothing was written."""


class ServeError(TidegateError):
    """Report what a server refused or could not answer.

    Args:
        message: what came, what was wanted, and what to do.
        status: of HTTP.
        kind: one word for programs, such as `overloaded`.
        retry_after: seconds after which to try again; None where that is of no use.

    >>> error = ServeError("too many requests wait.", status=429, kind="overloaded", retry_after=2)
    >>> str(error), error.status, error.kind
    ('too many requests wait.', 429, 'overloaded')
    """

    def __init__(self, message: str, *, status: int, kind: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status, self.kind, self.retry_after = status, kind, retry_after


class WorkerError(TidegateError):
    """Report that workers cannot go on together; the worker and its machine are named."""


class MissingPackageError(TidegateError, ImportError):
    """Report an optional package that is needed and not installed."""

    @classmethod
    def of(cls, package: str, extra: str, purpose: str) -> MissingPackageError:
        """Build the message that names the extra which brings the package.

        >>> print(MissingPackageError.of("torch", "torch", "tidegate.nn"))
        tidegate.nn needs the package 'torch', which is not installed. Run: pip install 'tidegate[torch]'
        """
        return cls(
            f"{purpose} needs the package {package!r}, which is not installed. Run: pip install 'tidegate[{extra}]'"
        )


class OddTagsWarning(UserWarning):
    """Tell that some tags are none of the scheme that explains most of them, and what was made of them."""
