"""Looking inside: traces, the flow of gradients, attributions; learning curves and reports. Needs no torch.

Knows networks and weights, and what a task says of itself; knows no task by name.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tidegate.inspect.attribution import Attribution, attribute
    from tidegate.inspect.flow import Clipping, Flow, GradientFlow, gradient_flow
    from tidegate.inspect.tracing import DirectionTrace, Trace, trace

__all__ = [
    "Attribution",
    "Clipping",
    "DirectionTrace",
    "Flow",
    "GradientFlow",
    "Trace",
    "attribute",
    "gradient_flow",
    "trace",
]

# No file is called as one of its functions is: importing it would put the file in the function's place.
_HOMES = {
    "attribution": ("Attribution", "attribute"),
    "flow": ("Clipping", "Flow", "GradientFlow", "gradient_flow"),
    "tracing": ("DirectionTrace", "Trace", "trace"),
}


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for: a learning curve needs no kernels."""
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"tidegate.inspect.{home}"), name)
    raise AttributeError(f"module 'tidegate.inspect' has no attribute {name!r}")
