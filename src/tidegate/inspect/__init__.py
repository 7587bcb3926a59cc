"""Looking inside: traces, the flow of gradients, attributions, and pictures and pages of them. Needs no torch.

Knows networks and weights, and what a task says of itself; knows no task by name.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tidegate.inspect.attribution import Attribution, attribute
    from tidegate.inspect.charts import draw_activations, draw_confusion, draw_gradient_flow
    from tidegate.inspect.curves import draw_learning_curves
    from tidegate.inspect.examination import Examination, examine
    from tidegate.inspect.flow import Clipping, Flow, GradientFlow, gradient_flow
    from tidegate.inspect.memory import Check, Outcome, draw_memory_curves, draw_memory_success
    from tidegate.inspect.pictures import draw_attribution, draw_gates, draw_states
    from tidegate.inspect.tracing import DirectionTrace, Trace, trace

__all__ = [
    "Attribution",
    "Check",
    "Clipping",
    "DirectionTrace",
    "Examination",
    "Flow",
    "GradientFlow",
    "Outcome",
    "Trace",
    "attribute",
    "draw_activations",
    "draw_attribution",
    "draw_confusion",
    "draw_gates",
    "draw_gradient_flow",
    "draw_learning_curves",
    "draw_memory_curves",
    "draw_memory_success",
    "draw_states",
    "examine",
    "gradient_flow",
    "trace",
]

# No file is called as one of its functions is: importing it would put the file in the function's place.
_HOMES = {
    "attribution": ("Attribution", "attribute"),
    "charts": ("draw_activations", "draw_confusion", "draw_gradient_flow"),
    "curves": ("draw_learning_curves",),
    "examination": ("Examination", "examine"),
    "flow": ("Clipping", "Flow", "GradientFlow", "gradient_flow"),
    "memory": ("Check", "Outcome", "draw_memory_curves", "draw_memory_success"),
    "pictures": ("draw_attribution", "draw_gates", "draw_states"),
    "tracing": ("DirectionTrace", "Trace", "trace"),
}


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for: a learning curve needs no kernels."""
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"tidegate.inspect.{home}"), name)
    raise AttributeError(f"module 'tidegate.inspect' has no attribute {name!r}")
