"""How long would a piece of work take at least on this machine?

The multiply-adds of its matrix products at the measured peak, then its gate functions at their measured rate, then the
bytes that no cache can hold between two uses at the measured bandwidth of the memory: nothing else has to be done, and
nothing of it overlaps.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from benchmarks import peak
from benchmarks.work import GATES

FUNCTIONS = {"rnn": 1, "lstm": 5, "gru": 3}  # values of sigmoid and tanh for each unit of a step
ADAM = 7 * 4  # bytes that it reads and writes of each parameter: the parameter, its gradient and two means


@dataclass(frozen=True)
class Work:
    """What has to be done: floating-point operations of products, values of gate functions, bytes through memory."""

    operations: float
    functions: float
    moved: float = 0.0


def forward(cell: str, inputs: int, hidden: int, directions: int, *, tokens: int, projected: int) -> Work:
    """Return the work of a layer over so many tokens, of which the distinct ones alone meet the input weights."""
    of_units = GATES[cell] * hidden * directions
    operations = 2 * of_units * (hidden * tokens + inputs * projected)
    return Work(operations, FUNCTIONS[cell] * hidden * directions * tokens)


def training(work: Work, *, parameters: int = 0, moved: float = 0.0) -> Work:
    """Return that of a training step: each product has two gradients, and the optimiser moves all parameters."""
    return Work(3 * work.operations, work.functions, work.moved + moved + ADAM * parameters)


@cache
def limits(threads: int) -> dict[str, float]:
    """Measure the machine, once."""
    return peak.measure(threads)


def told(work: Work, threads: int) -> dict[str, Any]:
    """Return what a record says of it: the seconds that the work takes at least, and what the machine can do."""
    found = limits(threads)
    seconds = (
        work.operations / found["FMA in registers, GFLOP/s"]
        + work.functions / found["gate functions, billion/s"]
        + work.moved / found["reading memory, GB/s"]
    ) / 1e9
    return {"floor": seconds, "peak": found}
