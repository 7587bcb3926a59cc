"""Writes models for other runtimes: as ONNX graphs that are proven before they are handed over.

Knows tasks by what they say of themselves; no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tidegate.export.interface import Interface, SequenceInterface, StateInputs
    from tidegate.export.onnx import Exported, to_onnx
    from tidegate.export.proof import Case

__all__ = ["Case", "Exported", "Interface", "SequenceInterface", "StateInputs", "to_onnx"]

_HOMES = {
    "interface": ("Interface", "SequenceInterface", "StateInputs"),
    "onnx": ("Exported", "to_onnx"),
    "proof": ("Case",),
}


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for: a task that says how it is exported needs no more than that."""
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"tidegate.export.{home}"), name)
    raise AttributeError(f"module 'tidegate.export' has no attribute {name!r}")
