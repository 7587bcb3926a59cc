"""Whole networks in the core: built of the descriptions of their nodes, run, and run back. Knows arrays alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

import tidegate._core as _core
from tidegate.cells import CELLS, GRID_CELLS
from tidegate.kernels.checks import Array, choose
from tidegate.kernels.rows import ACTIVATIONS, mode_numbers

Description: TypeAlias = Mapping[str, Any]
"""The fields of a node by name, its `kind` among them."""

if TYPE_CHECKING:
    Program: TypeAlias = _core.Program
    Loss: TypeAlias = _core.Loss

RUN, RECORD, TRAIN = range(3)
"""What weights are packed for: to run; to be recorded, and gone back through; to be trained, with dropout."""

_MERGES = ("concat", "sum", "mul", "ave")
_SCORES = ("dot", "general", "additive")
_FLATTENINGS = ("sum", "concat", "last")
_PINBALL = 2
_ERRORS = ("mse", "mae")
_RULES = ("sgd", "rmsprop", "adam")
_OPTIONS = ("scale", "rate", "beta1", "beta2", "epsilon", "correction1", "correction2")


def build(nodes: Sequence[Description], *, width: int, output_size: int, kind: np.dtype[Any]) -> Program:
    """Build a program of nodes that fit together.

    Args:
        nodes: their fields by name, as `network` has them.
        width: features of each row that comes in; 0 where token ids do.
        output_size: features of each row that comes out.
        kind: float32 or float64.
    """
    made: type[Program] = {4: _core.Program32, 8: _core.Program64}[kind.itemsize]
    return made.build([_coded(node) for node in nodes], width, output_size)


def cross_entropy(labels: Array, begin: Array, weight: Array, kind: np.dtype[Any], smoothing: float = 0.0) -> Loss:
    """Make the loss of rows with one true class each: `labels` of all rows, those of sequence b from `begin[b]` on.

    `smoothing` is the share of the truth that all classes have alike.
    """
    made: type[_core._CrossEntropy] = {4: _core.CrossEntropy32, 8: _core.CrossEntropy64}[kind.itemsize]
    return made(labels, begin, weight, smoothing)


def soft_cross_entropy(truth: Array, begin: Array, weight: Array) -> Loss:
    """Make the loss of rows of which it is known how likely each class is: `truth` [rows, K] of all rows, as above."""
    made: type[_core._SoftCrossEntropy] = {4: _core.SoftCrossEntropy32, 8: _core.SoftCrossEntropy64}[
        truth.dtype.itemsize
    ]
    return made(truth, begin, weight)


def binary_cross_entropy(truth: Array, begin: Array, weight: Array) -> Loss:
    """Make the loss of rows of answers of yes or no: `truth` `[rows, K]`, those of sequence b from `begin[b]` on."""
    made: type[_core._BinaryCrossEntropy] = {4: _core.BinaryCrossEntropy32, 8: _core.BinaryCrossEntropy64}[
        truth.dtype.itemsize
    ]
    return made(truth, begin, weight)


def crf_likelihood(
    program: Program, tags: Array, begin: Array, weight: Array, penalty: Array, kind: np.dtype[Any]
) -> Loss:
    """Make the loss of true tags under the conditional random field that a program ends with."""
    made: type[_core._CrfLikelihood] = {4: _core.CrfLikelihood32, 8: _core.CrfLikelihood64}[kind.itemsize]
    return made(program, tags, begin, weight, penalty)


def ctc_likelihood(labels: Array, begins: Array, weight: Array, kind: np.dtype[Any]) -> Loss:
    """Make the loss of labels over all paths that read as them: `labels` end to end, those of b from `begins[b]`."""
    made: type[_core._CtcLikelihood] = {4: _core.CtcLikelihood32, 8: _core.CtcLikelihood64}[kind.itemsize]
    return made(labels, begins, weight)


def errors_of(
    truth: Array, scale: Array, shift: Array, asked: Sequence[str | float], share: Array, weight: Array
) -> Loss:
    """Make the loss of numbers: `asked` says of each number of a sequence `mse`, `mae` or the level of a quantile."""
    made: type[_core._Regression] = {4: _core.Regression32, 8: _core.Regression64}[truth.dtype.itemsize]
    kinds = np.array([_ERRORS.index(a) if isinstance(a, str) else _PINBALL for a in asked], np.int32)
    levels = np.array([0.0 if isinstance(a, str) else a for a in asked])
    return made(truth, scale, shift, kinds, levels, share, weight)


def sums_of_squares(gradient: Array, begins: Array, threads: int) -> Array:
    """Sum the squares of each parameter's gradient, [P] float64; parameter p lies at `begins[p] : begins[p + 1]`."""
    squares = np.empty(len(begins) - 1)
    _core.sum_squares(gradient, begins, squares, threads)
    return squares


def update(
    rule: str,
    parameters: Array,
    gradient: Array,
    first: Array | None,
    second: Array | None,
    *,
    begins: Array,
    decay: Array,
    options: Mapping[str, float],
    nesterov: bool,
    decoupled: bool,
    threads: int,
) -> None:
    """Move parameters in place by one of the rules `sgd`, `rmsprop` and `adam`.

    `decay` [P] is that of each parameter; `options` are those of `_OPTIONS`, 1 where they are left out.
    """
    numbers = [options.get(name, 1.0) for name in _OPTIONS]
    _core.update(
        _RULES.index(rule), parameters, gradient, first, second, begins, decay, numbers, nesterov, decoupled, threads
    )


def _coded(node: Description) -> dict[str, Any]:
    """Put numbers in place of names, as the core has them."""
    coded = dict(node)
    match node["kind"]:
        case "embed":
            coded["beside"] = node.get("beside", 0)
        case "recurrent":
            coded |= {"cell": choose("cell", node["cell"], list(CELLS)), "merge": _MERGES.index(node["merge"])}
        case "pool":
            coded["modes"] = mode_numbers(node["modes"])
        case "take":
            coded["target"] = node["side"] == "target"
        case "attend":
            coded |= {"score": choose("score", node["score"], _SCORES), "size": node["size"] or 0}
        case "dense":
            coded["activation"] = choose("activation", node["activation"], ACTIVATIONS)
        case "fold":
            coded["rows"], coded["columns"] = node["block"]
        case "scan2d":
            coded["passes"] = [_coded(layer) | {"columns": axis == "columns"} for axis, layer in node["passes"].items()]
        case "waves":
            coded |= {"cell": choose("cell", node["cell"], list(GRID_CELLS)), "merge": _MERGES.index(node["merge"])}
        case "unflatten":
            coded["along_y"] = node["axis"] == "y"
        case "flatten":
            coded |= {"along_y": node["axis"] == "y", "mode": _FLATTENINGS.index(node["mode"])}
            coded["cells"] = node["cells"] or 1
        case "spell":
            coded["characters"] = [_coded(part) for part in node["characters"]]
    return coded
