"""Runs a network without torch."""

from tidegate.runtime.executor import (
    Executor,
    LayerRun,
    NodeRun,
    Recording,
    cut,
    final_state,
    look_up,
    matrix_name,
    run_sorted,
)
from tidegate.runtime.writer import Sampling, Writer

__all__ = [
    "Executor",
    "LayerRun",
    "NodeRun",
    "Recording",
    "Sampling",
    "Writer",
    "cut",
    "final_state",
    "look_up",
    "matrix_name",
    "run_sorted",
]
