"""The parts of a torch model become a network: `from_torch`. Knows `torch.nn`; reads the code of no `forward`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from tidegate.cells import TORCH_CELLS
from tidegate.convert.proof import prove, sequences
from tidegate.convert.sizes import refusing_sizes
from tidegate.errors import InputError, OptionError
from tidegate.network import Dense, Dropout, Embed, Network, Node, Pool, PoolMode, Recurrent
from tidegate.runtime import Executor

Array: TypeAlias = npt.NDArray[Any]
Part: TypeAlias = nn.Module | str | tuple[str, ...]

_ACTIVATIONS: Mapping[type, str] = MappingProxyType({nn.ReLU: "relu", nn.Tanh: "tanh", nn.Sigmoid: "sigmoid"})


def from_torch(*parts: Part, against: Callable[[Tensor], Any] | None = None) -> Executor:
    """Make a network of the parts of a torch model, in the order in which data passes them.

    A `forward` is code, which cannot be read safely; so name the parts, and how steps become one row, as
    `tidegate.network.Pool` calls it: `from_torch(model.embedding, model.lstm, "last", model.fc, against=model)`.

    Random sequences prove the conversion: one by one they go through the parts, as torch runs them, and through
    `against`, and all numbers must agree within 1e-5.

    Args:
        parts: `nn.Embedding`, `nn.RNN`, `nn.LSTM`, `nn.GRU` (stacked, bidirectional, with or without biases),
            `nn.Linear`, with `nn.ReLU`, `nn.Tanh` or `nn.Sigmoid` behind it, `nn.Dropout`, `nn.Sequential` and
            `nn.ModuleList` of these; and at most once the name of a pooling, or a tuple of names whose rows stand side
            by side. `last` is the final state of both directions of the layer before it. What a layer returns besides
            its output is left out.
        against: the whole model, or any function that is given one sequence as a batch, [1, T] ids or [1, T, C], and
            returns what the network should: [1, K] where it pools, else [1, T, K]. A model is put into `eval` mode
            meanwhile.

    Raises:
        InputError: a part or an option that has no counterpart, or parts that do not fit together.
        OptionError: an unknown pooling.
        ConversionError: the proof failed.

    >>> torch.manual_seed(0)
    <torch._C.Generator object at ...>
    >>> lstm = nn.LSTM(8, 16, bidirectional=True, batch_first=True)
    >>> model = from_torch(nn.Embedding(100, 8), lstm, "last", nn.Linear(32, 2))
    >>> [node.kind for node in model.network.nodes]
    ['embed', 'recurrent', 'pool', 'dense']
    """
    flat = list(_flatten(parts))
    nodes, weights = _read(flat)
    network = Network.of(*nodes)
    model = Executor(network, weights)
    pooled = any(isinstance(node, Pool) for node in nodes)
    x, hint = sequences(network, model.dtype), _hint(nodes)
    modules = [part for part in (*flat, against) if isinstance(part, nn.Module)]
    with _evaluating(modules), torch.no_grad():
        prove(model, lambda one: _follow(flat, one), x, pooled=pooled)
        if against is not None:
            prove(model, lambda one: _ask(against, one, modules, pooled=pooled), x, pooled=pooled, hint=hint)
    return model


def _flatten(parts: Any) -> Iterator[Part]:
    for part in parts:
        if isinstance(part, nn.Sequential | nn.ModuleList | list):
            yield from _flatten(part)
        elif not isinstance(part, nn.Identity):
            yield part


def _read(parts: list[Part]) -> tuple[list[Node], dict[str, Array]]:
    """Read the nodes and weights of all parts; raises InputError for a part that has no counterpart."""
    nodes: list[Node] = []
    weights: dict[str, Array] = {}
    for part in parts:
        if (activation := _ACTIVATIONS.get(type(part))) is not None:
            last = nodes.pop() if nodes else None
            if not isinstance(last, Dense) or last.activation is not None:
                raise InputError(f"{part} does not stand behind a Linear; a network applies it nowhere else.")
            nodes.append(last.model_copy(update={"activation": activation}))
            continue
        with refusing_sizes():
            node, arrays = _read_one(part)
        weights |= {f"{len(nodes)}.{name}": array for name, array in arrays.items()}
        nodes.append(node)
    return nodes, weights


def _read_one(part: Part) -> tuple[Node, dict[str, Array]]:
    match part:
        case str() | tuple():
            modes = (part,) if isinstance(part, str) else part
            for mode in modes:
                if mode not in get_args(PoolMode):
                    raise OptionError.unknown("pooling", str(mode), get_args(PoolMode))
            return Pool(modes=modes), {}  # type: ignore[arg-type]
        case nn.Embedding():
            if part.max_norm is not None:
                raise InputError(f"{part} changes its rows while it reads them (max_norm); wanted max_norm=None.")
            return Embed(vocabulary_size=part.num_embeddings, size=part.embedding_dim), {"weight": _array(part.weight)}
        case nn.RNNBase():
            return _read_layer(part)
        case nn.Linear():
            weight = _array(part.weight)
            given: Tensor | None = part.bias
            bias = np.zeros(len(weight), weight.dtype) if given is None else _array(given)
            return Dense(in_features=part.in_features, out_features=len(weight)), {"weight": weight, "bias": bias}
        case nn.Dropout():
            return Dropout(p=part.p), {}
    raise InputError(_refusal(part))


def _read_layer(layer: nn.RNNBase) -> tuple[Node, dict[str, Array]]:
    if layer.proj_size:
        raise InputError(f"{layer} projects its state (proj_size={layer.proj_size}); a network knows no projection.")
    node = Recurrent(
        cell=TORCH_CELLS[layer.mode],
        input_size=layer.input_size,
        hidden_size=layer.hidden_size,
        num_layers=layer.num_layers,
        bidirectional=layer.bidirectional,
        bias=layer.bias,
        dropout=layer.dropout,
    )
    names = [name for names in layer._all_weights for name in names]
    return node, {name: _array(getattr(layer, name)) for name in names}


def _array(parameter: Tensor) -> Array:
    array = parameter.detach().cpu()
    if array.dtype not in (torch.float32, torch.float64):
        raise InputError(f"a parameter is {array.dtype}; wanted float32 or float64, such as module.float() makes.")
    copy: Array = array.numpy().copy()  # training goes on without the network
    return copy


def _refusal(part: Any) -> str:
    if type(part).__module__.startswith("tidegate.nn."):
        return f"{type(part).__name__} is a layer of Tidegate: runtime.Executor(*nn.as_network(layer)) runs it."
    known = (nn.Embedding, nn.RNNBase, nn.Linear, nn.Dropout)
    if isinstance(part, nn.Module):
        names = [f"model.{name}" for name, child in part.named_children() if isinstance(child, known)]
        if names:
            return (
                f"{type(part).__name__} is code of its own. Name its parts in the order of its forward, and how steps "
                f"become one row; they are: {', '.join(names)}. For example: from_torch(model.embedding, model.lstm, "
                '"last", model.fc, against=model)'
            )
    return (
        f"{part!r:.80} has no counterpart in a network of Tidegate. Known are Embedding, RNN, LSTM, GRU, Linear, ReLU, "
        "Tanh, Sigmoid, Dropout, Sequential, and the names of poolings."
    )


def _hint(nodes: list[Node]) -> str:
    both = any(isinstance(node, Recurrent) and node.bidirectional for node in nodes)
    if both and any(isinstance(node, Pool) and "last" in node.modes for node in nodes):
        return " Of a bidirectional layer `last` is h_n, the final state of both directions, not output[:, -1]."
    return " Are the parts all that its forward does, in this order?"


@contextmanager
def _evaluating(modules: list[nn.Module]) -> Iterator[None]:
    """Switch dropout off for a while."""
    training = [(inner, inner.training) for module in modules for inner in module.modules()]
    try:
        for module in modules:
            module.eval()
        yield
    finally:
        for inner, was in training:
            inner.training = was


def _tensor(x: Array, modules: Any) -> Tensor:
    parameter = next((p for m in modules if isinstance(m, nn.Module) for p in m.parameters()), None)
    return torch.as_tensor(x, device=None if parameter is None else parameter.device)


def _ask(model: Callable[[Tensor], Any], x: Array, modules: list[nn.Module], *, pooled: bool) -> Array:
    """Ask the whole model about one sequence; a last axis of length one that it squeezes away is put back."""
    out = model(_tensor(x, modules)[None])
    rows = np.asarray((out[0] if isinstance(out, tuple) else out).detach().cpu())
    wanted = 1 if pooled else 2
    one = rows[0] if rows.ndim > wanted or rows.ndim == wanted == 2 else rows
    return one[..., None] if one.ndim < wanted else one


def _follow(parts: list[Part], x: Array) -> Array:
    """Run the parts over one sequence with torch's own code."""
    rows, final = _tensor(x, parts), None
    for part in parts:
        match part:
            case nn.RNNBase():
                axis = 0 if part.batch_first else 1
                out, state = part(rows.unsqueeze(axis))
                rows = out.squeeze(axis)
                hidden = state[0] if isinstance(state, tuple) else state  # [L * D, 1, H]
                final = hidden[-2 if part.bidirectional else -1 :, 0].flatten()
            case nn.Module():
                rows = part(rows)
            case _:
                rows = torch.cat([_pool(mode, rows, final) for mode in ((part,) if isinstance(part, str) else part)])
    return np.asarray(rows.detach().cpu().numpy())


def _pool(mode: str, rows: Tensor, final: Tensor | None) -> Tensor:
    match mode:
        case "last" if final is not None:
            return final
        case "first":
            return rows[0]
        case "max":
            return rows.max(dim=0).values
    return rows.mean(dim=0)
