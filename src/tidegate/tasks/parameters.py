"""Checks the parameters of a task against the types and ranges that its fields declare. Knows no task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError, create_model

import tidegate.cells as cells
from tidegate.errors import InputError, OptionError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

CELLS = {card.option: card.name for card in cells.CELLS.values()}
"""The cells by the names that users type."""


def parameter_names(task: type[DataclassInstance]) -> tuple[str, ...]:
    """List the names of the parameters: the fields that the constructor takes."""
    return tuple(f.name for f in fields(task) if f.init)


def require_known(task: type[DataclassInstance], names: Mapping[str, object]) -> None:
    """Raise OptionError, with the nearest known name, for a name that is no parameter."""
    known = parameter_names(task)
    for name in names:
        if name == "class_weight" and name not in known:
            raise OptionError(
                f"{task.__name__} has no class_weight: classifiers alone give each example a class. Leave it out; fit "
                "says which tasks take a sample_weight."
            )
        if name not in known:
            raise OptionError.unknown(f"parameter of {task.__name__}", name, known)


def checked(task: type[DataclassInstance], params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters, each in its type and within its range; NumPy's scalars become Python's.

    Raises InputError that names the parameter, OptionError with the nearest known name where names are to choose from.
    """
    plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in params.items()}
    try:
        model = _schema(task).model_validate(plain)
    except ValidationError as error:
        raise _translate(error, task) from None
    return {name: getattr(model, name) for name in parameter_names(task)}


@cache
def _schema(task: type[DataclassInstance]) -> type[BaseModel]:
    hints = get_type_hints(task, include_extras=True)
    members: dict[str, Any] = {f.name: (hints[f.name], f.default) for f in fields(task) if f.init}
    return create_model(task.__name__, __config__=ConfigDict(extra="forbid"), **members)


def _translate(error: ValidationError, task: type[DataclassInstance]) -> InputError:
    first = error.errors(include_url=False)[0]
    name, value = str(first["loc"][0]), first["input"]
    if first["type"] == "literal_error":
        return OptionError.unknown(name, str(value), _names(get_type_hints(task)[name]))
    said = first["msg"].removeprefix("Value error, ")
    return InputError(f"{name}={value!r} cannot be used: {said[0].lower()}{said[1:]}")


def _names(hint: Any) -> list[str]:
    """List the names that a type lets one choose from, wherever in it they stand."""
    if get_origin(hint) is Literal:
        return [str(name) for name in get_args(hint)]
    return [name for part in get_args(hint) for name in _names(part)]
