"""Proves an exported graph: it is run in ONNX Runtime over many batches, beside our own runtime. Knows no nodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.errors import ExportError
from tidegate.export.interface import Interface, StateInputs

Array: TypeAlias = npt.NDArray[Any]

TOLERANCE: Final = 1e-4
"""By how much a number may differ, as a share of its size, or absolutely where it is below 1.

Both sides compute in float32, but ONNX Runtime adds in another order and has other approximations of exp and tanh.
"""


_REPORT: Final = "This is a fault of Tidegate: please report it, with the network of the model."


@dataclass(frozen=True)
class Case:
    """Tell how far a graph was from our own runtime on one batch.

    Args:
        name: what kind of batch it was.
        absolute: the largest difference of all outputs.
        relative: the largest difference as a share of `Interface.sizes`, the size of a number for the most part.
        output: the output that this one is of.
    """

    name: str
    absolute: float
    relative: float
    output: str


def prove(content: bytes, interface: Interface, *, states: StateInputs) -> tuple[Case, ...]:
    """Run a graph on all that its interface draws, and compare each output with that of our own runtime.

    Raises ExportError where a number differs by more than `TOLERANCE`, an output has another shape, or the graph does
    not run.
    """
    rng, session = np.random.default_rng(0), open_session(content)
    return tuple(_judge(name, session, inputs, interface) for name, inputs in interface.draw(rng, states))


def open_session(content: bytes) -> Any:
    """Open a graph in ONNX Runtime, quietly; raises ExportError where it does not take it."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what goes wrong is raised; that states may be passed in is no news
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ExportError(f"ONNX Runtime does not take the graph: {error}. {_REPORT}") from error


def _judge(name: str, session: Any, inputs: Mapping[str, Array], interface: Interface) -> Case:
    """Compare all outputs of one batch; raises ExportError where they differ."""
    names = [output.name for output in session.get_outputs()]
    try:
        found = dict(zip(names, session.run(names, dict(inputs)), strict=True))
    except Exception as error:
        raise ExportError(f"{name}: ONNX Runtime does not run the graph: {error}. {_REPORT}") from error
    wanted = interface.expect(inputs)
    shapes, expected = ({n: list(array.shape) for n, array in arrays.items()} for arrays in (found, wanted))
    if shapes != expected:
        raise ExportError(f"{name}: the outputs of the graph are {shapes}; wanted {expected}. {_REPORT}")
    sizes = interface.sizes(inputs, wanted)
    away = {n: np.abs(found[n].astype(np.float64) - array) for n, array in wanted.items()}
    worst = {n: float((away[n] / sizes[n]).max(initial=0.0)) for n in wanted}
    output = max(worst, key=lambda n: (np.isnan(worst[n]), worst[n]))
    if not worst[output] <= TOLERANCE:  # nor where it is no number
        raise ExportError(
            f"{name}: the output {output!r} of the graph differs from what the model answers by {worst[output]:.2g} of "
            f"its size; {TOLERANCE:g} is allowed. {_REPORT}"
        )
    return Case(name, max(float(a.max(initial=0.0)) for a in away.values()), worst[output], output)
