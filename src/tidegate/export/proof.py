"""Proves an exported graph: it is run in ONNX Runtime over many batches, beside our own runtime. Knows no nodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.errors import ExportError
from tidegate.export.interface import Interface, StateInputs, Trial

Array: TypeAlias = npt.NDArray[Any]

TOLERANCE: Final = 1e-5
"""By how much a number may differ, as a share of its size, or absolutely where it is below 1.

Both sides compute in float32, but ONNX Runtime adds in another order and has other approximations of exp and tanh.
"""
_ROOM: Final = 8
"""How many times as far from our answers ONNX Runtime may be as these are from answers in float64."""


_REPORT: Final = "This is a fault of Tidegate: please report it, with the network of the model."


@dataclass(frozen=True)
class Case:
    """Tell how far a graph was from our own runtime on one batch.

    Args:
        name: what kind of batch it was.
        absolute: the largest difference of all outputs.
        relative: the largest difference as a share of `Interface.sizes`, the size of a number for the most part.
        output: the output that this one is of.
        rounding: how far our own answers in float32 are from those in float64, where the difference alone was too large
            and the model could be one that makes much of little; else None.
    """

    name: str
    absolute: float
    relative: float
    output: str
    rounding: float | None = None


def prove(content: bytes, interface: Interface, *, states: StateInputs) -> tuple[Case, ...]:
    """Run a graph on all that its interface draws, and compare each output with that of our own runtime.

    Raises ExportError where a number differs by more than `TOLERANCE`, and not because the model itself makes much of
    rounding; where an output has another shape; or where the graph does not run.
    """
    rng, run = np.random.default_rng(0), partial(_run, open_session(content))
    return tuple(_judge(trial) for trial in interface.trials(rng, states, run))


def open_session(content: bytes) -> Any:
    """Open a graph in ONNX Runtime, quietly; raises ExportError where it does not take it."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what goes wrong is raised; that states may be passed in is no news
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ExportError(f"ONNX Runtime does not take the graph: {error}. {_REPORT}") from error


def _run(session: Any, name: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
    names = [output.name for output in session.get_outputs()]
    try:
        return dict(zip(names, session.run(names, dict(inputs)), strict=True))
    except Exception as error:
        raise ExportError(f"{name}: ONNX Runtime does not run the graph: {error}. {_REPORT}") from error


def _judge(trial: Trial) -> Case:
    """Compare all outputs of one batch; raises ExportError where they differ."""
    name, found, wanted, sizes = trial.name, trial.found, trial.wanted, trial.sizes
    shapes, expected = ({n: list(array.shape) for n, array in arrays.items()} for arrays in (found, wanted))
    if shapes != expected:
        raise ExportError(f"{name}: the outputs of the graph are {shapes}; wanted {expected}. {_REPORT}")
    away = {n: np.abs(found[n].astype(np.float64) - array) for n, array in wanted.items()}
    worst = {n: float((away[n] / sizes[n]).max(initial=0.0)) for n in wanted}
    output = max(worst, key=lambda n: (np.isnan(worst[n]), worst[n]))
    rounding = None if worst[output] <= TOLERANCE else trial.rounding()
    if rounding is not None:
        allowed = {n: TOLERANCE * sizes[n] + _ROOM * rounding.get(n, 0.0) for n in wanted}
        if not all((away[n] <= allowed[n]).all() for n in wanted):  # as no number is that is not finite
            raise ExportError(
                f"{name}: the output {output!r} of the graph differs from what the model answers by "
                f"{worst[output]:.2g} of its size; {TOLERANCE:g} is allowed. {_REPORT}"
            )
    largest = max(float(a.max(initial=0.0)) for a in away.values())
    return Case(
        name, largest, worst[output], output, None if rounding is None else max(rounding.values(), default=None)
    )
