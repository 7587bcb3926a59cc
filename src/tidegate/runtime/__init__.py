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
from tidegate.runtime.stream import Prepared, Stream
from tidegate.runtime.stream_pool import Streamable, StreamPool
from tidegate.runtime.writer import Sampling, Writer

__all__ = [
    "Executor",
    "LayerRun",
    "NodeRun",
    "Prepared",
    "Recording",
    "Sampling",
    "Stream",
    "StreamPool",
    "Streamable",
    "Writer",
    "cut",
    "final_state",
    "look_up",
    "matrix_name",
    "run_sorted",
]
