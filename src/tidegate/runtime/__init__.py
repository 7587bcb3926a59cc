"""Runs a network without torch."""

from tidegate.runtime.executor import Executor, run_sorted
from tidegate.runtime.writer import Sampling, Writer

__all__ = ["Executor", "Sampling", "Writer", "run_sorted"]
