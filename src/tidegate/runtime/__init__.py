"""Runs a network without torch."""

from tidegate.runtime.executor import Executor, run_sorted

__all__ = ["Executor", "run_sorted"]
