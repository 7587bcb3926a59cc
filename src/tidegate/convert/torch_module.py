"""A network as one module of plain torch, for padded batches with lengths. Imports torch and nothing else.

The file stands on its own: where Tidegate is not installed, a copy of it and a `state_dict` are enough.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


class PlainNetwork(nn.Module):
    """Run nodes in their order over padded sequences; what lies past a length has no effect.

    The children are named by the index of their node, so that a `state_dict` has the names of the model file.

    Args:
        nodes: the nodes of a network, as `json.loads(network.to_json())["nodes"]` gives them.

    Raises:
        ValueError: a node of a kind that torch has no module for.

    >>> pool = {"kind": "pool", "modes": ["max"]}
    >>> network = PlainNetwork([{"kind": "dense", "in_features": 2, "out_features": 1, "activation": None}, pool])
    >>> list(network(torch.zeros(3, 4, 2), torch.tensor([4, 1, 2])).shape)
    [3, 1]
    """

    def __init__(self, nodes: list[dict[str, Any]]) -> None:
        super().__init__()
        self.nodes = nodes
        for index, node in enumerate(nodes):
            self.add_module(str(index), _module(node))
        if nodes[-1]["kind"] == "tied":
            self.get_submodule(str(len(nodes) - 1)).weight = self.get_submodule("0").weight

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Return [B, K] where the network pools, else [B, T, K] with zeros past each length.

        Args:
            x: ids [B, T] or features [B, T, C], padded with anything; B and T are at least 1.
            lengths: [B], each from 0 to T. An empty sequence pools to zeros.

        Raises:
            ValueError: the batch is empty, or a length is out of its range.
        """
        steps = x.shape[1]
        if not (len(x) and steps) or lengths.shape != x.shape[:1] or lengths.min() < 0 or lengths.max() > steps:
            raise ValueError(
                f"x is {list(x.shape)} and lengths are {lengths.tolist()!s:.60}; wanted at least one sequence and one "
                f"step, and for each sequence a length from 0 to {steps}."
            )
        live = torch.arange(steps, device=x.device) < lengths.to(x.device)[:, None]  # [B, T]
        x = x.masked_fill(~live if x.dim() == 2 else ~live[..., None], 0)
        final: Tensor | None = None
        named: dict[str | None, tuple[Tensor, Tensor | None]] = {"input": (x, final)}
        for node, module in zip(self.nodes, self.children(), strict=True):
            reads = [named[name] for name in _names(node)]
            x, final = reads[0] if reads else (x, final)
            match node["kind"]:
                case "join":
                    x = torch.cat([read for read, _ in reads], dim=-1)
                case "recurrent":
                    x, final = _recur(node, module, x, lengths)
                case "pool":
                    x = torch.cat([_pool(mode, x, final, live) for mode in node["modes"]], dim=1)
                case "dropout" if node["per_sequence"]:
                    x = module(x.transpose(1, 2)).transpose(1, 2)
                case _:
                    x = _ACTIVATIONS[node.get("activation")](module(x))
            named[node.get("name")] = (x, final)
        return x if any(node["kind"] == "pool" for node in self.nodes) else x * live[..., None]


_ACTIVATIONS = {None: lambda x: x, "relu": torch.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid}


def _module(node: dict[str, Any]) -> nn.Module:
    match node["kind"]:
        case "embed":
            return nn.Embedding(node["vocabulary_size"], node["size"])
        case "recurrent":
            sizes = (node["input_size"], node["hidden_size"])
            options = {name: node[name] for name in ("num_layers", "bias", "bidirectional")}
            options["dropout"] = node["dropout"] if node["num_layers"] > 1 else 0.0
            name, _, nonlinearity = node["cell"].partition("_")
            more = {"nonlinearity": nonlinearity} if nonlinearity else {}
            if layer := getattr(nn, name.upper(), None):
                made: nn.Module = layer(*sizes, batch_first=True, **options, **more)
                return made
        case "dense":
            return nn.Linear(node["in_features"], node["out_features"])
        case "tied":
            return nn.Linear(node["size"], node["vocabulary_size"])
        case "dropout":
            return nn.Dropout1d(node["p"]) if node["per_sequence"] else nn.Dropout(node["p"])
        case "pool" | "join":
            return nn.Identity()
    raise ValueError(f"torch has no module for a {node['kind']!r} node")


def _names(node: dict[str, Any]) -> list[str]:
    """List the names of what a node reads; none where it is the node before."""
    reads = node.get("reads", [])
    return [reads] if isinstance(reads, str) else reads


def _recur(node: dict[str, Any], layer: nn.Module, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Return the states at all steps [B, T, F] and the final ones [B, F], the two directions merged."""
    x = _flipped(x, lengths) if node["reverse"] else x
    some = lengths.cpu().clamp(min=1)  # torch packs no empty sequence
    packed = pack_padded_sequence(x, some, batch_first=True, enforce_sorted=False)
    packed, state = layer(packed)
    out, _ = pad_packed_sequence(packed, batch_first=True, total_length=x.shape[1])
    hidden = state[0] if isinstance(state, tuple) else state  # [L * D, B, H]
    final = hidden[-2 if node["bidirectional"] else -1 :].transpose(0, 1).flatten(1)
    final = final.masked_fill((lengths == 0).to(x.device)[:, None], 0)
    merged = (out, final) if not node["bidirectional"] else (_merge(node["merge"], out), _merge(node["merge"], final))
    return (_flipped(merged[0], lengths) if node["reverse"] else merged[0]), merged[1]


def _flipped(x: Tensor, lengths: Tensor) -> Tensor:
    """Turn each sequence round within its length."""
    step = torch.arange(x.shape[1], device=x.device)
    end = lengths.to(x.device)[:, None]
    source = torch.where(step < end, end - 1 - step, step)  # [B, T]
    return x.gather(1, source[..., None].expand_as(x))


def _merge(mode: str, out: Tensor) -> Tensor:
    forward, backward = out.chunk(2, dim=-1)
    match mode:
        case "sum":
            return forward + backward
        case "mul":
            return forward * backward
        case "ave":
            return (forward + backward) / 2
    return out


def _pool(mode: str, x: Tensor, final: Tensor | None, live: Tensor) -> Tensor:
    match mode:
        case "last" if final is not None:
            return final
        case "first":
            pooled = x[:, 0]
        case "max":
            pooled = x.masked_fill(~live[..., None], -torch.inf).amax(dim=1)
        case _:
            pooled = (x * live[..., None]).sum(dim=1) / live.sum(dim=1, keepdim=True).clamp(min=1)
    return pooled.masked_fill(~live.any(dim=1, keepdim=True), 0)
