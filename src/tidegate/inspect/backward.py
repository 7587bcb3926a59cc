"""Takes the gradient of a network's output back through the nodes that were recorded, in NumPy and kernels.

Follows the order of arithmetic of the kernels, so that the gradients of a sequence do not depend on its batch.
Knows neither losses nor tasks, and leaves out the gradients of what is not recurrent.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.errors import InputError
from tidegate.kernels import Forward, Gradients, backward, linear, pool_backward
from tidegate.network import Crf, Dense, Dropout, Embed, Pool, Recurrent, Tied
from tidegate.runtime import Executor, LayerRun, NodeRun, Recording, final_state, matrix_name

Array: TypeAlias = npt.NDArray[Any]


@dataclass(frozen=True)
class Passed:
    """Hold what the way back left: the gradients of each layer, top layer first, and of the input."""

    layers: tuple[Gradients, ...]
    dx: Array | None  # [N, C]


@dataclass(frozen=True)
class _Gradient:
    """Hold the gradient of what passes between two nodes."""

    rows: Array
    final: Array | None = None  # [B, F] of the final state


def pass_back(
    executor: Executor,
    recording: Recording,
    doutput: Array,
    *,
    steps: bool = False,
    need_dx: bool = False,
    through: int | None = None,
) -> Passed:
    """Return the gradients of the recurrent layers, top layer first, and of the input where it is asked for.

    Args:
        executor: what made the recording.
        recording: of one batch.
        doutput: the gradient of the recorded output, in its shape.
        steps: keep those of every step.
        need_dx: go on to the input `[N, C]`, which must be features.
        through: follow only what flows through this direction, 0 or 1, of the last layer that has two.
    """
    recurrent = [run for run in recording.nodes if isinstance(run.node, Recurrent)]
    double = [run for run in recurrent if isinstance(run.node, Recurrent) and run.node.bidirectional]
    gradient = _Gradient(doutput)
    layers: list[Gradients] = []
    for run in reversed(recording.nodes):
        match run.node:
            case Dense() | Tied():
                weight = executor.weights[matrix_name(run.node, run.index)]
                gradient = _Gradient(_through_dense(run.node, weight, run.gave.rows, gradient.rows))
            case Pool():
                gradient = _through_pool(run.node, run, gradient.rows)
            case Recurrent():
                only = through if double and run is double[-1] else None
                options = {"steps": steps, "num_threads": executor.num_threads}
                layers += _through_layers(run, gradient, only, need_dx or run is not recurrent[0], options)
                dx = layers[-1].dx
                if dx is None:  # nothing below is asked for
                    break
                gradient = _Gradient(dx)
            case Embed() | Dropout() | Crf():
                pass
            case _:
                raise InputError(f"no gradient is taken back through a node of the kind {run.node.kind!r} yet.")
    return Passed(tuple(layers), gradient.rows if need_dx else None)


def _through_dense(node: Dense | Tied, weight: Array, y: Array, dy: Array) -> Array:
    match node.activation if isinstance(node, Dense) else None:
        case "relu":
            dy = np.where(y > 0, dy, dy.dtype.type(0))
        case "tanh":
            dy = dy * (1 - y * y)
        case "sigmoid":
            dy = dy * (y * (1 - y))
    return linear(dy, np.ascontiguousarray(weight.T))


def _through_pool(node: Pool, run: NodeRun, dpooled: Array) -> _Gradient:
    width = run.read.rows.shape[1]
    blocks = {mode: dpooled[:, i * width : (i + 1) * width] for i, mode in enumerate(node.modes)}
    final = blocks.pop("last", None)
    if not blocks:
        return _Gradient(np.zeros_like(run.read.rows), final)
    dpooled = np.concatenate(list(blocks.values()), axis=1)
    return _Gradient(pool_backward(dpooled, run.read.rows, run.read.offsets, tuple(blocks)), final)


def _through_layers(
    run: NodeRun, gradient: _Gradient, only: int | None, need_dx: bool, options: dict[str, Any]
) -> list[Gradients]:
    """Go down through the stacked layers of one node, with `only` one direction of the top layer where it is said."""
    node, top = run.node, run.layers[-1]
    assert isinstance(node, Recurrent)
    dh, dhn = _unmerge(node, top.out.h, gradient.rows), None  # [N, D*H]
    if gradient.final is not None:
        both = _unmerge(node, final_state(top.out), gradient.final)  # [B, D*H]
        dhn = np.stack(np.split(both, node.num_directions, axis=1))  # [D, B, H]
    if only is not None:
        top, dh = one_direction(top, only), np.split(dh, 2, axis=1)[only]
        dhn = None if dhn is None else dhn[only : only + 1]
    found: list[Gradients] = []
    for number, layer in reversed(list(enumerate([*run.layers[:-1], top]))):
        gradients = backward(
            layer.cell, layer.x, run.read.offsets, layer.directions, layer.out, dh,
            dhn=dhn, table=layer.table, need_dx=need_dx or number > 0, **options,
        )  # fmt: skip
        found.append(gradients)
        if gradients.dx is not None:
            dh, dhn = gradients.dx, None
    return found


def _unmerge(node: Recurrent, h: Array, d: Array) -> Array:
    """Return the gradient of both directions `[., 2H]`, given that of what they were merged to."""
    if node.merge == "concat" or not node.bidirectional:
        return d
    match node.merge:
        case "mul":
            ahead, back = np.split(h, 2, axis=1)
            return np.concatenate([d * back, d * ahead], axis=1)
        case "ave":
            d = d / 2
    return np.concatenate([d, d], axis=1)


def one_direction(layer: LayerRun, d: int) -> LayerRun:
    """Take one direction of a layer as a layer of its own, as `kernels.backward` takes it."""
    out, part = layer.out, slice(d, d + 1)
    h = np.ascontiguousarray(np.split(out.h, len(layer.directions), axis=1)[d])
    cn, gates, memo = (None if array is None else array[part] for array in (out.cn, out.gates, out.memo))
    alone = Forward(h, out.hn[part], cn, gates, memo)
    return replace(layer, directions=layer.directions[part], out=alone)
