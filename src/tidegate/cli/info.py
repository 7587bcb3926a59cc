"""`tidegate info`: what is inside a model file."""

from tidegate.cli.options import Json, ModelPath
from tidegate.cli.output import emit_json, emit_table, emit_tree


def info(model: ModelPath, json: Json = False) -> None:
    """Show what is inside a model file, or the model of a run folder.

    The task, the network node by node, what was learned besides, what it was trained with, what it reached, its
    licence, and the hash of all that. The file is checked as it is for predicting.

    Examples:
      tidegate info runs/imdb-tutorial-bilstm
      tidegate info model.safetensors --json
    """
    from tidegate import runs

    found = runs.describe_model(model)
    if json:
        emit_json(found)
        return
    network = found.pop("network")
    last = {name: found.pop(name) for name in ("learned", "params")}
    emit_tree(found)
    print()
    emit_table([
        {
            "node": node["index"],
            "kind": node["kind"],
            "gives": node["gives"],
            "parameters": node["parameters"],
            "settings": " ".join(f"{name}={value}" for name, value in node["settings"].items()),
        }
        for node in network
    ])  # fmt: skip
    print()
    emit_tree(last)
