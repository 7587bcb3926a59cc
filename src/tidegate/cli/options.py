"""Options that several commands share, and how `--set key=value` is read."""

import tomllib
from collections.abc import Callable
from inspect import cleandoc
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tidegate.errors import InputError, OptionError

if TYPE_CHECKING:
    from tidegate.data.dataset import Kind

Value = bool | int | float | str | tuple[bool | int | float | str, ...] | None

Data = Annotated[str, typer.Argument(metavar="DATA", help="A data set by name, a file, or a folder per class.")]
ModelPath = Annotated[Path, typer.Argument(metavar="MODEL", help="A run folder or a model file.")]
Text = Annotated[str | None, typer.Option("--text", metavar="COL", help="The column of the texts, in a file.")]
Label = Annotated[str | None, typer.Option("--label", metavar="COL", help="The column of the labels, in a file.")]
Split = Annotated[
    float | None,
    typer.Option("--split", metavar="SHARE", help="Hold out this share of each class to test on."),
]
Column = Annotated[
    str | None,
    typer.Option("--column", metavar="COL", help="The column of the tags: upos, xpos, feats, or a number."),
]
Task = Annotated[
    str | None,
    typer.Option("--task", metavar="classify|tag", help="What a file is for; a data set by name knows it."),
]
_KINDS: dict[str, "Kind"] = {"classify": "text", "tag": "tagged"}
Epochs = Annotated[int | None, typer.Option("--epochs", metavar="N", min=1, help="Passes over the data, at most.")]
Seed = Annotated[int | None, typer.Option("--seed", metavar="N", min=0, help="The seed of every random choice.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any other parameter; repeatable.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the run that DIR already holds.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines instead of text for people.")]


def help_text(command: Callable[..., None]) -> str:
    r"""Make the help of a command from its docstring; the lines of its examples stay as they are.

    >>> def greet() -> None:
    ...     '''Say hello.
    ...
    ...     Example:
    ...       tidegate greet
    ...     '''
    >>> help_text(greet)
    'Say hello.\n\n\x08\nExample:\n  tidegate greet'
    """
    return cleandoc(command.__doc__ or "").replace("\n\nExample", "\n\n\b\nExample")


def kind_for(task: str | None) -> "Kind | None":
    """Name the kind of data that a task reads; raises OptionError, with the nearest name, for an unknown one.

    >>> kind_for("tag")
    'tagged'
    """
    if task is not None and task not in _KINDS:
        raise OptionError.unknown("task", task, _KINDS)
    return None if task is None else _KINDS[task]


def given(**options: Value) -> dict[str, Value]:
    """Leave out the options that were not given.

    >>> given(text="review", label=None)
    {'text': 'review'}
    """
    return {name: value for name, value in options.items() if value is not None}


def collect_params(settings: list[str] | None, **flags: Value) -> dict[str, Value]:
    """Join the flags that were given with what `--set` says; `--set` wins.

    >>> collect_params(["dropout=0.3", "clip=none"], epochs=5, cell=None)
    {'epochs': 5, 'dropout': 0.3, 'clip': None}
    """
    return given(**flags) | dict(map(parse_setting, settings or []))


def parse_setting(setting: str) -> tuple[str, Value]:
    """Read `key=value` as TOML reads it; `none` is nothing, and a value that is no TOML is a word.

    >>> [parse_setting(text) for text in ("epochs=3", "pool=['max', 'mean']", "cell=gru", "clip=none")]
    [('epochs', 3), ('pool', ('max', 'mean')), ('cell', 'gru'), ('clip', None)]
    """
    key, equals, text = (part.strip() for part in setting.partition("="))
    if not equals or not key:
        raise InputError(f"--set {setting} is not KEY=VALUE. Write for example: --set dropout=0.3")
    if text == "none":
        return key, None
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return key, text
    return key, tuple(value) if isinstance(value, list) else value
