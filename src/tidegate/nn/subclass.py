"""A client's own subclass of a recurrent layer of torch: is it safe to let it run on the kernels, and how.

The class that is made stands between the client's and torch's, so that ``super().forward`` in the client's code finds
our forward where it found torch's, with the same arguments. Nothing else of the client's code is touched.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any
from weakref import WeakKeyDictionary

import torch

_FREE = frozenset({"forward", "extra_repr", "reset_parameters", "flatten_parameters", "__constants__"})
"""What a subclass may define without another meaning for the walk of the kernels."""
_made: WeakKeyDictionary[type, type] = WeakKeyDictionary()


def why_unsafe(layer: torch.nn.Module, theirs: type, ours: type) -> str | None:
    """Say why a layer whose class is a subclass of torch's ``theirs`` cannot be one of ``ours``, too."""
    own = _own_classes(type(layer), theirs)
    for kind in own:
        if reason := _why_forward(kind) or _why_weights(kind):
            return reason
    defined = {name: kind.__name__ for kind in reversed(own) for name in vars(kind)}
    for name in sorted(_meant(theirs)):
        if name in defined:
            return f"its class {defined[name]} has a {name} of its own, which torch's forward reads"
    held = {*defined, *vars(layer), *layer._modules, *layer._parameters, *layer._buffers}
    for name in sorted(_walked(ours, theirs)):
        if name in held:
            return f"it has a {name} of its own, a name that Tidegate's layers use"
    return None


def accelerated_class(kind: type, ours: type) -> type:
    """Make, once, the class of an accelerated layer of a client's class."""
    if kind not in _made:
        body: dict[str, Any] = {
            "__module__": kind.__module__,
            "__reduce_ex__": lambda layer, _protocol: (_blank, (kind, ours), layer.__getstate__()),
            "theirs": kind,
        }
        _made[kind] = type(kind)(f"Accelerated{kind.__name__}", (kind, ours), body)
    return _made[kind]


def _blank(kind: type, ours: type) -> Any:
    """Begin the copy of an accelerated layer; its state follows."""
    made: Any = accelerated_class(kind, ours)
    return made.__new__(made)


def _own_classes(kind: type, theirs: type) -> list[type]:
    """List the classes that a client put before torch's."""
    of_torch = set(theirs.__mro__)
    return [each for each in kind.__mro__ if each not in of_torch and each.__module__ != "abc"]


def _why_forward(kind: type) -> str | None:
    """Say why a class's forward does not provably leave the recurrence to the class behind it."""
    forward = vars(kind).get("forward")
    if forward is None:
        return None
    if not inspect.isfunction(forward) or hasattr(forward, "__wrapped__"):
        return f"the forward of its class {kind.__name__} is not a plain function"
    if not {"super", "forward"} <= set(forward.__code__.co_names):
        return f"the forward of its class {kind.__name__} does not end in super().forward"
    return None


def _why_weights(kind: type) -> str | None:
    """Say that a class reaches for the list of weights that torch's forward reads and ours does not."""
    functions = [member for member in vars(kind).values() if inspect.isfunction(member)]
    if any("_flat_weights" in function.__code__.co_names for function in functions):
        return f"its class {kind.__name__} works on _flat_weights, which torch's forward reads"
    return None


def _meant(theirs: type) -> Iterable[str]:
    """Name what torch's forward reads of its class, and copies and pickles of a module."""
    names = {name for kind in theirs.__mro__ if kind not in torch.nn.Module.__mro__ for name in vars(kind)}
    common = {name for name in names if name.startswith("__") and name != "__setstate__"}
    pickled = {"__reduce__", "__reduce_ex__", "__getstate__", "__setstate__", "__deepcopy__"}
    pickled |= {"__getattr__", "__getattribute__", "__setattr__"}
    return (names - common - _FREE) | pickled


def _walked(ours: type, theirs: type) -> Iterable[str]:
    """Name what our walk reads of its class and torch's class does not have."""
    names = {name for kind in ours.__mro__ if kind not in theirs.__mro__ for name in vars(kind)}
    return {name for name in names if not name.startswith("__")} - _FREE - {"_get_name", "_abc_impl"}
