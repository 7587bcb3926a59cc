"""Measures the health of a module that trains, from what its layers keep for their gradients anyway.

Gradients by layer, saturated gates, how far gradients reach, and the example that a number which is not finite comes
from. Knows no criteria; those are in `tidegate.health`.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from tidegate.cells import CELLS
from tidegate.health import SATURATED_SIGMOID, SATURATED_TANH, Blame
from tidegate.nn.operators import BackwardRun, watched
from tidegate.nn.recurrent import Recurrent
from tidegate.nn.stack import Stack

Array = npt.NDArray[Any]

_ROWS = 2048  # steps of a batch at most whose gates are counted: a share to within 1 %, at the price of a small layer
_KINDS = {nn.Embedding: "embed", nn.Linear: "dense"}
_PLACE = re.compile(r"_l(\d+)(_reverse)?$")


def layer_names(module: nn.Module) -> dict[str, str]:
    """Name the layer that each parameter belongs to, by the name of the parameter.

    >>> layer_names(nn.Sequential(nn.Linear(2, 3), nn.GRU(3, 4)))["1.weight_hh_l0"]
    '1 recurrent layer 0 forward'
    """
    names = {}
    for path, child in module.named_modules():
        for name, _ in child.named_parameters(recurse=False):
            names[f"{path}.{name}" if path else name] = f"{path} {_kind(child, name)}".strip()
    return names


class Gauge:
    """Read the health of one module, step after step.

    Args:
        module: what trains; its parameters may change, but not be replaced.
    """

    def __init__(self, module: nn.Module) -> None:
        names = layer_names(module)
        named = dict(module.named_parameters())
        self._layers = [names[name] for name in named]
        self.parameters = list(named.values())
        stacks = {path: child for path, child in module.named_modules() if isinstance(child, Stack)}
        self._watchers = {stack: partial(self._look, f"{path} ".lstrip(), stack) for path, stack in stacks.items()}
        self.saturated: dict[str, dict[str, float]] = {}
        self.reach: dict[str, float] = {}

    @contextmanager
    def looking(self, wanted: bool) -> Iterator[None]:
        """Fill `saturated` and `reach` from the layers that run back while the block lasts, if `wanted`."""
        self.saturated, self.reach = {}, {}
        with watched(self._watchers if wanted else {}):
            yield

    def grad_norms(self) -> tuple[Tensor, dict[str, float]]:
        """Measure the gradient once: its length, and the length of each layer's part of it."""
        every = zip(self._layers, self.parameters, strict=True)
        present = [(layer, parameter.grad) for layer, parameter in every if parameter.grad is not None]
        norms = torch.stack([torch.linalg.vector_norm(grad) for _, grad in present])  # [P]
        parts = defaultdict(list)
        for (layer, _), norm in zip(present, norms.tolist(), strict=True):
            parts[layer].append(norm)
        return torch.linalg.vector_norm(norms), {layer: math.hypot(*found) for layer, found in parts.items()}

    def _look(self, path: str, stack: Stack, layer: int, run: BackwardRun) -> None:
        for d, direction in enumerate(run.directions):
            name = f"{path}{_direction(layer, backward=direction.reverse)}"
            self.saturated[name] = saturation(run, d)
            self.reach[name] = reach(run, d)


def blame(module: nn.Module, loss: Callable[[int], Tensor], examples: int) -> Blame:
    """Run each of a batch's examples alone, and find those whose loss or gradient is not finite.

    Leaves the weights as they are, and the gradients cleared.

    Args:
        module: as it was when the number came up.
        loss: gives the loss of one example alone, by its place in the batch.
        examples: in the batch.
    """
    lengths = np.empty(examples)  # of gradients
    for index in range(examples):
        module.zero_grad()
        value = loss(index)
        value.backward()  # type: ignore[no-untyped-call]
        grads = [p.grad for p in module.parameters() if p.grad is not None]
        lengths[index] = nn.utils.get_total_norm(grads).item() if math.isfinite(value.item()) else math.nan
    module.zero_grad()
    bad = np.flatnonzero(~np.isfinite(lengths))
    return Blame(int(bad[0] if len(bad) else lengths.argmax()), len(bad), examples)


def saturation(run: BackwardRun, d: int) -> dict[str, float]:
    """Compute the share of each gate's values that are saturated; `{}` for a relu, which saturates at zero alone."""
    every = max(1, len(run.forward.h) // _ROWS)
    H = run.directions[d].w_hh.shape[1]
    card = CELLS[run.cell]
    if card.function == "relu" or not len(run.forward.h):
        return {}
    if run.forward.gates is None:
        h = run.forward.h[::every, d * H : (d + 1) * H]
        return {"h": float((np.abs(h) > SATURATED_TANH).mean())}
    values = run.forward.gates[d, ::every]  # [n, G*H]
    found = {}
    for index, gate in enumerate(card.letters):
        part = values[:, index * H : (index + 1) * H]
        low, high = (-SATURATED_TANH, SATURATED_TANH) if gate in card.tanh else SATURATED_SIGMOID
        found[gate] = float(((part < low) | (part > high)).mean())
    return found


def reach(run: BackwardRun, d: int) -> float:
    """Compute how much of the gradient gets through to the far end of the median sequence.

    That is the length of dL/dh (and dL/dc) at the state before the first step that the direction reads, over the
    longest dL/dh that the loss gives one of the sequence's steps by itself. A loss that looks at every step gives about
    one or more, however soon gradients fade; a loss that looks at the last step gives what survives the whole way.
    Zero where no gradient comes at all, or where every sequence is empty.
    """
    H = run.directions[d].w_hh.shape[1]
    found = run.gradients.directions[d]
    far = _lengths(found.h0) if found.c0 is None else np.hypot(_lengths(found.h0), _lengths(found.c0))  # [B]
    filled = np.flatnonzero(np.diff(run.offsets))
    if not len(filled):
        return 0.0
    near = np.maximum.reduceat(_lengths(run.dh[:, d * H : (d + 1) * H]), run.offsets[filled])  # [B']
    if run.dhn is not None:
        near = np.maximum(near, _lengths(run.dhn[d])[filled])
    ratio = np.divide(far[filled], near, out=np.zeros_like(near), where=near > 0)
    return float(np.median(ratio))


def _lengths(rows: Array) -> Array:
    """Compute the Euclidean length of each row, in float64."""
    lengths: Array = np.linalg.norm(rows.astype(np.float64), axis=1)
    return lengths


def _direction(layer: int, *, backward: bool) -> str:
    return f"recurrent layer {layer} {'backward' if backward else 'forward'}"


def _kind(module: nn.Module, parameter: str) -> str:
    place = _PLACE.search(parameter)
    if place and isinstance(module, Recurrent | nn.RNNBase):
        backward = place[2] or getattr(module, "reverse", False)
        return _direction(int(place[1]), backward=bool(backward))
    return _KINDS.get(type(module), type(module).__name__.lower())
