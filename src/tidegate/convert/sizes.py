"""What a node finds wrong with its own sizes, as an error that says what to do about a model from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import ValidationError

from tidegate.errors import InputError


@contextmanager
def refusing_sizes() -> Iterator[None]:
    """Turn what a node refuses, such as more outputs than a network can have, into an InputError.

    >>> from tidegate.network import Dense
    >>> with refusing_sizes():
    ...     Dense(in_features=1, out_features=70000)
    Traceback (most recent call last):
    tidegate.errors.InputError: a network has no Dense node of such out_features. ...
    """
    try:
        yield
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise InputError(f"a network has no {error.title} node of such {where}. {first['msg']}.") from None
