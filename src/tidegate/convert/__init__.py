"""Models of torch and Keras become networks, and networks become modules of torch; each conversion is proved.

Knows networks and weights. Loads torch only where a module of torch comes or goes, and never loads Keras.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from tidegate.errors import MissingPackageError

if TYPE_CHECKING:
    from tidegate.convert.keras import from_keras, read_keras
    from tidegate.convert.proof import Conversion, Proof
    from tidegate.convert.torch_network import to_torch
    from tidegate.convert.torch_parts import from_torch

__all__ = ["Conversion", "Proof", "from_keras", "from_torch", "read_keras", "to_torch"]

_HOMES = {
    "keras": ("from_keras", "read_keras"),
    "proof": ("Conversion", "Proof"),
    "torch_network": ("to_torch",),
    "torch_parts": ("from_torch",),
}


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for: a file of Keras needs no torch."""
    for home, names in _HOMES.items():
        if name in names:
            if home.startswith("torch") and find_spec("torch") is None:
                raise MissingPackageError.of("torch", "train", f"convert.{name}")
            return getattr(import_module(f"tidegate.convert.{home}"), name)
    raise AttributeError(f"module 'tidegate.convert' has no attribute {name!r}")
