"""Says what is inside a model file, once it has been checked like one that is loaded. Knows no task by name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from math import prod
from typing import Any, TypeAlias

from tidegate.checkpoint import load_model
from tidegate.data.tokenizer import Tokenizer
from tidegate.errors import ModelFileError
from tidegate.network import Network, parameter_shapes
from tidegate.tasks import model_file, restore

Json: TypeAlias = dict[str, Any]

_TOKENIZER = '{"version"'  # how the JSON of one begins
_SHOWN = 20  # items of a list, more are counted


def describe_model(path: str | os.PathLike[str]) -> Json:
    """Collect what a model file, or the model of a run folder, says.

    Returns:
        A plain structure, ready for JSON: `file`, `bytes`, `sha256`, `library` (the version that wrote it), `task`,
        `licence`, `data` and `metrics` (None or empty where the file does not say), `dtype`, `parameters`, `network`
        (one entry per node), `learned` (labels, vocabularies and scales, long ones summed up) and `params`, the
        arguments that it was trained with.

    Raises ModelFileError when the file could not be loaded.
    """
    file = model_file(path)
    model = load_model(file)
    try:
        restore(model)
    except ModelFileError as error:
        raise ModelFileError(f"{file}: {error}") from None
    known = model.task.keys() - {"name", "params"}
    return {
        "file": str(file),
        "bytes": file.stat().st_size,
        "sha256": model.sha256,
        "library": model.library,
        "task": model.task["name"],
        "licence": model.about.licence,
        "data": model.about.data,
        "metrics": model.about.metrics,
        "dtype": str(next(iter(model.weights.values())).dtype) if model.weights else None,
        "parameters": sum(array.size for array in model.weights.values()),
        "network": list(describe_nodes(model.network)),
        "learned": {key: _summed_up(model.task[key]) for key in sorted(known)},
        "params": model.task.get("params", {}),
    }


def describe_nodes(network: Network) -> Iterator[Json]:
    """Describe each node: its kind and settings, the shape of what it gives, and its weights.

    In shapes, N counts steps and B sequences; nodes that part or lengthen sequences multiply them.

    >>> from tidegate.network import Dense, Network, Pool
    >>> network = Network.of(Dense(in_features=1, out_features=3), Pool(modes=("max", "mean")))
    >>> [(node["kind"], node["gives"], node["parameters"]) for node in describe_nodes(network)]
    [('dense', '[N, 3]', 6), ('pool', '[B, 6]', 0)]
    """
    shapes = parameter_shapes(network)
    for index, (node, rows) in enumerate(zip(network.nodes, network.gives, strict=True)):
        times = [count for count in (rows.channels, rows.steps) if count > 1]
        count = " * ".join(["B" if rows.pooled or rows.steps else "N", *map(str, times)])
        own = {name: list(shape) for name, shape in shapes.items() if name.startswith(f"{index}.")}
        yield {
            "index": index,
            "kind": node.kind,
            "settings": node.model_dump(exclude_defaults=True, mode="json"),
            "gives": f"[{count}, {rows.width}]",
            "parameters": sum(map(prod, own.values())),
            "weights": own,
        }


def _summed_up(value: Any) -> Any:
    """Replace tokenizers by what they are, and long lists and objects by their beginning and their length."""
    if isinstance(value, str) and value.startswith(_TOKENIZER):
        return f"{Tokenizer(value).size:,} tokens"
    if isinstance(value, dict):
        shown = {key: _summed_up(inner) for key, inner in list(value.items())[:_SHOWN]}
        return shown | ({"...": f"{len(value):,} in all"} if len(value) > _SHOWN else {})
    if isinstance(value, list):
        return [_summed_up(inner) for inner in value[:_SHOWN]] + (
            [f"... {len(value):,} in all"] if len(value) > _SHOWN else []
        )
    return value
