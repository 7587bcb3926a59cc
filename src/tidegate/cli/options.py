"""Options that several commands share, and how `--set key=value` is read."""

import json
import tomllib
from collections.abc import Callable
from inspect import cleandoc
from pathlib import Path
from shlex import quote
from typing import Annotated, Any

import typer

from tidegate.errors import Argument, InputError, OptionError
from tidegate.tasks.cards import CARDS, by_verb

_VERBS = list(by_verb())
Value = bool | int | float | str | tuple[bool | int | float | str, ...] | dict[str, Any] | None


def named(text: str) -> str:
    """Refuse the empty name that a variable which is not set leaves: as a path it would mean the current folder."""
    if not text:
        raise typer.BadParameter("an empty name was given; wanted that of a file, a folder or a data set.")
    return text


def named_path(text: str) -> Path:
    """Read the path that an option gives.

    >>> named_path("runs/one").as_posix()
    'runs/one'
    """
    return Path(named(text))


Data = Annotated[
    str, typer.Argument(metavar="DATA", parser=named, help="A data set by name, a file, or a folder per class.")
]
ModelPath = Annotated[Path, typer.Argument(metavar="MODEL", parser=named_path, help="A run folder or a model file.")]
Text = Annotated[str | None, typer.Option("--text", metavar="COL", help="The column of the texts, in a file.")]
Label = Annotated[str | None, typer.Option("--label", metavar="COL", help="The column of the labels, in a file.")]
Split = Annotated[
    float | None,
    typer.Option("--split", metavar="SHARE", help="Hold out this share of each class to test on."),
]
Task = Annotated[
    str | None,
    typer.Option("--task", metavar="NAME", help=f"What to learn: {', '.join(_VERBS[:-1])} or {_VERBS[-1]}."),
]
Column = Annotated[
    str | None,
    typer.Option("--column", metavar="COL", help="The column of the tags: upos, xpos, feats, or a number."),
]
Targets = Annotated[
    str | None,
    typer.Option("--target-columns", metavar="A,B", help="The columns to forecast, or all, in a table of series."),
]
Reading = Annotated[
    list[str] | None,
    typer.Option("--read", metavar="KEY=VALUE", help="Any other way to read the data, such as window=128; repeatable."),
]
Epochs = Annotated[int | None, typer.Option("--epochs", metavar="N", min=1, help="Passes over the data, at most.")]
Seed = Annotated[int | None, typer.Option("--seed", metavar="N", min=0, help="The seed of every random choice.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any other parameter; repeatable.")
]
ClusterAt = Annotated[
    str | None,
    typer.Option("--cluster", metavar="ADDRESS", help="Take the machines of a cluster of Ray: auto, or HOST:PORT."),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the run that DIR already holds.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines instead of text for people.")]


_FLAGS = {
    "text": "--text COL", "label": "--label COL", "column": "--column COL", "target_columns": "--target-columns A,B",
    "split": "--split SHARE", "lookback": "--lookback N", "horizon": "--horizon N", "epochs": "--epochs N",
    "embeddings": "--embeddings FILE", "token_file": "--token-file FILE", "port": "--port N",
}  # fmt: skip


Out = Annotated[
    Path | None,
    typer.Option(
        "--out", metavar="DIR", parser=named_path, help="Where to write; by default a new folder under runs/."
    ),
]


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


def given(**options: Value) -> dict[str, Value]:
    """Leave out the options that were not given.

    >>> given(text="review", label=None)
    {'text': 'review'}
    """
    return {name: value for name, value in options.items() if value is not None}


def collect_params(settings: list[str] | None, **flags: Value) -> dict[str, Value]:
    """Join the flags that were given with what `--set` says; `--set` wins.

    >>> collect_params(["dropout=0.3", "scale=false"], epochs=5, cell=None)
    {'epochs': 5, 'dropout': 0.3, 'scale': False}
    """
    return given(**flags) | dict(map(parse_setting, settings or []))


def part_settings(params: dict[str, Value]) -> tuple[dict[str, Value], dict[str, list[Value]]]:
    """Part what is set from what is tried with several values, which commas separate.

    >>> part_settings({"optimizer": "sgd,adam", "dropout": 0.3})
    ({'dropout': 0.3}, {'optimizer': ['sgd', 'adam']})
    """
    several = {name: value.split(",") for name, value in params.items() if isinstance(value, str) and "," in value}
    tried = {name: [parse_setting(f"{name}={one.strip()}")[1] for one in values] for name, values in several.items()}
    return {name: value for name, value in params.items() if name not in tried}, tried


def task_named(verb: str | None) -> str | None:
    """Find the name of the task that `--task` asks for; raises OptionError, with the nearest known one, for no task.

    >>> task_named("forecast")
    'forecaster'
    """
    known = by_verb()
    if verb is None or verb in known:
        return None if verb is None else known[verb].name
    raise OptionError.unknown("task", verb, known)


_OTHER_ARGUMENTS = ("source", "kind", "split", "unlabelled", "progress")  # of `data.load`


def collect_reading(task: str | None, reading: list[str] | None, **flags: Value) -> dict[str, Value]:
    """Join what says how to read the data: the kind of a plain file, the flags that were given, and `--read`.

    >>> collect_reading("forecast", ["past_columns=all"], target_columns="y", text=None)
    {'kind': 'series', 'target_columns': 'y', 'past_columns': 'all'}
    """
    name = task_named(task)
    pairs = [part.partition("=") for part in reading or []]
    if bad := [key for key, equals, value in pairs if not (key.strip() and equals and value.strip())]:
        raise InputError(f"--read {bad[0]} is not KEY=VALUE. Write for example: --read repair=sort")
    if own := [key for key, _, _ in pairs if key.strip() in _OTHER_ARGUMENTS]:
        raise InputError(f"--read {own[0]}=... says nothing about reading a file. Try --task or --split.")
    kind = None if name is None else str(CARDS[name].reads)
    return given(kind=kind, **flags) | {key.strip(): value.strip() for key, _, value in pairs}


def spell_option(argument: Argument) -> str:
    """Write an argument, which a message names, as an option of the command line.

    >>> [spell_option(Argument(*pair)) for pair in (("text",), ("repair", "sort"), ("kind", "series"), ("segment", 0))]
    ['--text COL', '--read repair=sort', '--task forecast', '--set segment=0']
    >>> spell_option(Argument("resample", True))
    '--read resample=true'
    """
    from tidegate.data import loading

    name, value = argument.name, "..." if argument.value is None else argument.value
    value = str(value).lower() if isinstance(value, bool) else value  # as TOML has it
    if name == "kind":
        return f"--task {next((verb for verb, card in by_verb().items() if card.reads == value), value)}"
    if name in _FLAGS:
        flag, _, placeholder = _FLAGS[name].partition(" ")
        return f"{flag} {placeholder if argument.value is None else quote(str(value))}"
    return f"{'--read' if name in loading.options() else '--set'} {quote(f'{name}={value}')}"


def parse_setting(setting: str) -> tuple[str, Value]:
    """Read `key=value` as TOML reads it; a table may also be JSON, and any other value that is no TOML is a word.

    >>> [parse_setting(text) for text in ("epochs=3", "pool=['max', 'mean']", "cell=gru")]
    [('epochs', 3), ('pool', ('max', 'mean')), ('cell', 'gru')]
    >>> parse_setting("class_weight={rare = 5}") == parse_setting('class_weight={"rare": 5}')
    True
    """
    key, equals, text = (part.strip() for part in setting.partition("="))
    if not equals or not key:
        raise InputError(f"--set {setting} is not KEY=VALUE. Write for example: --set dropout=0.3")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return key, _table(key, text) if text.startswith("{") else text
    return key, tuple(value) if isinstance(value, list) else value


def _table(key: str, text: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(text)
        return found
    except (ValueError, RecursionError):
        raise InputError(f"--set {key}={text} is no table. Write for example: --set '{key}={{rare = 5}}'") from None
