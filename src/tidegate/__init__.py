"""Train, explain and ship recurrent sequence models on the CPU you already have: `import tidegate as tg`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tidegate import convert, data, errors, export, inspect, kernels, network, nn, runtime, tasks, train
    from tidegate.checkpoint import library_version
    from tidegate.errors import TidegateError
    from tidegate.network import Network
    from tidegate.nn.accelerate import accelerate, restore
    from tidegate.ragged import Ragged
    from tidegate.tasks import (
        Forecaster,
        LanguageModel,
        SequenceClassifier,
        TextClassifier,
        TokenTagger,
        load,
    )

    __version__ = library_version()

__all__ = [
    "Forecaster",
    "LanguageModel",
    "Network",
    "Ragged",
    "SequenceClassifier",
    "TextClassifier",
    "TidegateError",
    "TokenTagger",
    "__version__",
    "accelerate",
    "convert",
    "data",
    "errors",
    "export",
    "inspect",
    "kernels",
    "load",
    "network",
    "nn",
    "restore",
    "runtime",
    "tasks",
    "train",
]

_HOMES = {
    "Forecaster": "tidegate.tasks",
    "LanguageModel": "tidegate.tasks",
    "Network": "tidegate.network",
    "Ragged": "tidegate.ragged",
    "SequenceClassifier": "tidegate.tasks",
    "TextClassifier": "tidegate.tasks",
    "TidegateError": "tidegate.errors",
    "TokenTagger": "tidegate.tasks",
    "accelerate": "tidegate.nn",
    "load": "tidegate.tasks",
    "restore": "tidegate.nn",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for, so that `import tidegate` costs next to nothing."""
    if name == "__version__":
        return import_module("tidegate.checkpoint").library_version()
    if name not in __all__:
        raise AttributeError(f"module 'tidegate' has no attribute {name!r}")
    home = import_module(_HOMES.get(name, f"tidegate.{name}"))
    value = getattr(home, name) if name in _HOMES else home
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
