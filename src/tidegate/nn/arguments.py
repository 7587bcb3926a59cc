"""Checks of what layers are built with: what torch refuses is refused, and the message says what to pass."""

from __future__ import annotations

from numbers import Integral

from tidegate.errors import InputError, WrongTypeError


def check_count(name: str, value: object) -> None:
    """Raise unless a value is a whole number of at least 1.

    >>> check_count("hidden_size", 8.0)
    Traceback (most recent call last):
    tidegate.errors.WrongTypeError: hidden_size=8.0 is a float, but an int of at least 1 was wanted.
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        kind = type(value).__name__
        raise WrongTypeError(f"{name}={value!r} is a {kind}, but an int of at least 1 was wanted.")
    if value < 1:
        raise InputError(f"{name}={value}, but at least 1 was wanted.")


def check_flag(name: str, value: object) -> None:
    """Raise unless a value is True or False; "False" and 0 would be taken for the one or the other."""
    if not isinstance(value, bool):
        kind = type(value).__name__
        raise WrongTypeError(f"{name}={value!r} is a {kind}, but a bool was wanted. Pass True or False.")


def check_share(name: str, value: object) -> None:
    """Raise unless a value is a probability."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        kind = type(value).__name__
        raise WrongTypeError(f"{name}={value!r} is a {kind}, but a probability from 0 to 1 was wanted. Pass a float.")
    if not 0 <= value <= 1:
        raise InputError(f"{name}={value}, but a probability from 0 to 1 was wanted.")
